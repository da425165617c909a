//! Recordings of this program.
use std::collections::BTreeSet;

use wavedeck_recording::{ReadError, Recording};

use crate::{
    error::SourceError,
    source::{About, Annotation, Blocks, MissingRun, Source, SourceStream},
};

pub(crate) struct Native {
    recording: Recording,
    about: About,
    streams: Vec<SourceStream>,
    annotations: Vec<Annotation>,
    missing: Vec<MissingRun>,
}

impl Native {
    pub(crate) fn new(recording: Recording) -> Result<Self, ReadError> {
        let text = |key: &str| recording.about(key).unwrap_or_default().to_owned();
        let mut about = About {
            path: recording.path().to_owned(),
            format: "Wavedeck recording".into(),
            start_unix_ns: Some(recording.start_unix_ns()),
            subject: text("subject"),
            operator: text("operator"),
            session: text("session"),
            notes: text("notes"),
            pipeline_json: recording.pipeline_json().ok(),
            warnings: Vec::new(),
        };
        let streams: Vec<SourceStream> = recording
            .streams()
            .iter()
            .map(|stored| {
                let account = recording.ledger().streams.iter().find(|account| account.stream == stored.name);
                let first_index = account.and_then(|account| account.first_index).unwrap_or(0);
                // A damaged account may end before it begins.
                let end_index = account.map_or(first_index, |account| account.next_index.max(first_index));
                let (name, spec, device) = (stored.name.clone(), stored.spec.clone(), stored.device.clone());
                SourceStream { name, spec, device, first_index, end_index }
            })
            .collect();
        let number_of = |name: &str| streams.iter().position(|stream| stream.name == name);
        let mut damage = BTreeSet::new();
        let mut note = |error: ReadError| {
            damage.insert(error.to_string());
            Ok(())
        };
        let annotations = recording.events_or(&mut note)?.into_iter().map(|event| {
            let stream = event.stream.as_deref().map_or(Some(0), number_of);
            Annotation {
                label: event.label,
                source: event.source,
                time_ns: event.time_ns,
                sample: stream.zip(event.index),
                duration_s: event.duration_s,
            }
        });
        let mut annotations: Vec<Annotation> = annotations.collect();
        annotations.sort_by_key(|annotation| annotation.time_ns);
        let missing = recording.gaps_or(&mut note)?.into_iter().filter_map(|gap| {
            let stream = number_of(&gap.stream)?;
            Some(MissingRun { stream, first_index: gap.first_index, n: gap.n, reason: gap.reason.as_str().to_owned() })
        });
        let missing = missing.collect();
        about.warnings.extend(damage);
        Ok(Self { recording, about, streams, annotations, missing })
    }
}

impl Source for Native {
    fn about(&self) -> &About {
        &self.about
    }

    fn streams(&self) -> &[SourceStream] {
        &self.streams
    }

    fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    fn missing(&self) -> &[MissingRun] {
        &self.missing
    }

    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError> {
        Ok(Box::new(self.recording.batches(stream, from_index)?.map(|batch| batch.map_err(SourceError::from))))
    }
}
