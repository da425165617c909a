//! A source in memory, to export from.
#![allow(dead_code, reason = "each test file uses a part of it")]
use std::{ops::ControlFlow, path::Path};

use wavedeck_api::{
    packet::Flags,
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};
use wavedeck_formats::{
    About, Annotation, Blocks, ExportError, ExportOptions, ExportSummary, Format, MissingRun, Source, SourceError,
    SourceStream, export_file,
};
use wavedeck_recording::{DecodedBatch, Samples};

/// Unix time of sample 0.
pub(crate) const START_NS: u64 = 1_795_529_858_123_456_789;

pub(crate) struct Made {
    about: About,
    streams: Vec<SourceStream>,
    annotations: Vec<Annotation>,
    missing: Vec<MissingRun>,
    blocks: Vec<DecodedBatch>,
}

impl Made {
    /// One stream of runs of samples, each with the index of its first.
    pub(crate) fn new(rate: Rate, channels: Vec<ChannelSpec>, runs: Vec<(u64, Samples)>) -> Self {
        let width = channels.len();
        let mut blocks = Vec::new();
        for (first_index, samples) in runs {
            let (kind, n) = match &samples {
                Samples::Counts(counts) => (SignalKind::Counts, counts.len()),
                Samples::Values(values) => (SignalKind::Physical, values.len()),
            };
            let batch = DecodedBatch {
                t0_ns: START_NS + rate.nanoseconds_at(first_index),
                first_index,
                n_frames: u32::try_from(n / width).expect("a small run"),
                arrival_ns: 0,
                device_ts: 0,
                flags: Flags::NONE,
                dropped_before: 0,
                samples,
            };
            blocks.push((kind, batch));
        }
        let kind = blocks.first().map_or(SignalKind::Counts, |(kind, _)| *kind);
        let blocks: Vec<DecodedBatch> = blocks.into_iter().map(|(_, block)| block).collect();
        let mut missing = Vec::new();
        for pair in blocks.windows(2) {
            let (first_index, n) = (pair[0].end_index(), pair[1].first_index - pair[0].end_index());
            if n > 0 {
                missing.push(MissingRun { stream: 0, first_index, n, reason: "device".into() });
            }
        }
        let spec = StreamSpec { kind, channels: channels.into(), rate, max_batch: 1000, spectrum: None };
        let stream = SourceStream {
            name: "eeg".into(),
            spec,
            device: "a board".into(),
            first_index: blocks.first().map_or(0, |block| block.first_index),
            end_index: blocks.last().map_or(0, DecodedBatch::end_index),
        };
        let about = About {
            format: "made up".into(),
            start_unix_ns: Some(START_NS),
            subject: "Jane Doe".into(),
            ..About::default()
        };
        Self { about, streams: vec![stream], annotations: Vec::new(), missing, blocks }
    }

    /// With a mark at a sample.
    pub(crate) fn mark(mut self, index: u64, label: &str, duration_s: Option<f64>) -> Self {
        let time_ns = START_NS + self.streams[0].spec.rate.nanoseconds_at(index);
        let (label, source) = (label.to_owned(), String::new());
        self.annotations.push(Annotation { label, source, time_ns, sample: Some((0, index)), duration_s });
        self
    }

    /// Of a time nobody knows.
    pub(crate) fn without_date(mut self) -> Self {
        self.about.start_unix_ns = None;
        self
    }
}

impl Source for Made {
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

    fn blocks(&self, _: usize, from_index: u64) -> Result<Blocks, SourceError> {
        let blocks: Vec<_> = self.blocks.iter().filter(|block| block.end_index() > from_index).cloned().collect();
        Ok(Box::new(blocks.into_iter().map(Ok)))
    }
}

/// The file that comes of it.
pub(crate) fn exported(
    source: &dyn Source,
    format: Format,
    options: &ExportOptions,
    path: &Path,
) -> Result<(Vec<u8>, ExportSummary), ExportError> {
    let summary = export_file(source, format, options, path, true, &mut |_| ControlFlow::Continue(()))?;
    Ok((std::fs::read(path).expect("a file"), summary))
}

pub(crate) fn rate(numerator: u64, denominator: u64) -> Rate {
    Rate::new(numerator, denominator).expect("positive")
}
