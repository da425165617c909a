//! What is in a file, for people and for programs.
use std::fmt;

use serde::Serialize;
use wavedeck_api::signal::SignalKind;
use wavedeck_recording::LocalTime;

use crate::{error::SourceError, source::Source};

/// Everything about a file but its samples.
#[derive(Clone, Debug, Serialize)]
pub struct SourceReport {
    /// The file.
    pub path: String,
    /// Name of its format.
    pub format: String,
    /// Unix time of the start; `None` if the file does not say.
    pub start_unix_ns: Option<u64>,
    /// Who or what was recorded.
    pub subject: String,
    /// Who recorded.
    pub operator: String,
    /// The session.
    pub session: String,
    /// Anything else.
    pub notes: String,
    /// What could not be kept or had to be guessed.
    pub warnings: Vec<String>,
    /// The streams.
    pub streams: Vec<StreamSummary>,
    /// Runs of missing samples.
    pub gaps: Vec<GapSummary>,
    /// Marks.
    pub markers: Vec<MarkSummary>,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSummary {
    /// Name of the stream.
    pub name: String,
    /// Counts or physical.
    pub kind: SignalKind,
    /// What the samples came from.
    pub device: String,
    /// Frames per second as an exact fraction.
    pub rate: String,
    /// Frames per second.
    pub rate_hz: f64,
    /// Channels as `name [unit]`.
    pub channels: Vec<String>,
    /// Index of the first frame.
    pub first_index: u64,
    /// Index after the last frame.
    pub end_index: u64,
    /// Seconds from the first frame to the end of the last, missing ones included.
    pub duration_s: f64,
}

/// A run of missing samples.
#[derive(Clone, Debug, Serialize)]
pub struct GapSummary {
    /// Name of the stream.
    pub stream: String,
    /// Index of the first missing frame.
    pub first_index: u64,
    /// How many are missing.
    pub n: u64,
    /// Why, in a word.
    pub reason: String,
    /// Seconds after the first frame of the stream.
    pub time_s: f64,
}

/// A mark.
#[derive(Clone, Debug, Serialize)]
pub struct MarkSummary {
    /// What happened.
    pub label: String,
    /// Seconds after the first frame of the first stream.
    pub time_s: f64,
    /// How long it lasted; `None` for a moment.
    pub duration_s: Option<f64>,
}

impl SourceReport {
    /// Looks at a file.
    ///
    /// # Errors
    /// If its first samples cannot be read.
    pub fn of(source: &dyn Source) -> Result<Self, SourceError> {
        let about = source.about();
        let streams = source.streams();
        let first = match streams.first() {
            Some(stream) => source.blocks(0, stream.first_index)?.find_map(Result::ok),
            None => None,
        };
        let begin_ns = first.map_or_else(|| about.start_unix_ns.unwrap_or(0), |block| block.t0_ns);
        let summaries = streams.iter().map(|stream| StreamSummary {
            name: stream.name.clone(),
            kind: stream.spec.kind,
            device: stream.device.clone(),
            rate: stream.spec.rate.to_string(),
            rate_hz: stream.spec.rate.hz(),
            channels: stream.spec.channels.iter().map(|of| format!("{} [{}]", of.name, of.unit)).collect(),
            first_index: stream.first_index,
            end_index: stream.end_index,
            duration_s: stream.end_index.saturating_sub(stream.first_index) as f64 / stream.spec.rate.hz(),
        });
        let gaps = source.missing().iter().filter_map(|run| {
            let stream = streams.get(run.stream)?;
            let time_s = run.first_index.saturating_sub(stream.first_index) as f64 / stream.spec.rate.hz();
            let (name, reason) = (stream.name.clone(), run.reason.clone());
            Some(GapSummary { stream: name, first_index: run.first_index, n: run.n, reason, time_s })
        });
        let markers = source.annotations().iter().map(|mark| MarkSummary {
            label: mark.label.clone(),
            time_s: mark.time_ns.saturating_sub(begin_ns) as f64 / 1e9,
            duration_s: mark.duration_s,
        });
        Ok(Self {
            path: about.path.display().to_string(),
            format: about.format.clone(),
            start_unix_ns: about.start_unix_ns,
            subject: about.subject.clone(),
            operator: about.operator.clone(),
            session: about.session.clone(),
            notes: about.notes.clone(),
            warnings: about.warnings.clone(),
            streams: summaries.collect(),
            gaps: gaps.collect(),
            markers: markers.collect(),
        })
    }
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &str| match value {
            "" => Ok(()),
            value => writeln!(f, "{key:<10} {value}"),
        };
        line("file", &self.path)?;
        line("format", &self.format)?;
        line("session", &self.session)?;
        line("subject", &self.subject)?;
        line("operator", &self.operator)?;
        line("notes", &self.notes)?;
        line("started", &self.start_unix_ns.map_or_else(String::new, |ns| LocalTime::at(ns).to_string()))?;
        for warning in &self.warnings {
            line("note", warning)?;
        }
        for stream in &self.streams {
            writeln!(f, "\nstream `{}`: {} at {} Hz", stream.name, stream.kind, stream.rate)?;
            if !stream.device.is_empty() {
                writeln!(f, "  device    {}", stream.device)?;
            }
            writeln!(f, "  channels  {}: {}", stream.channels.len(), stream.channels.join(", "))?;
            let last = stream.end_index.saturating_sub(1);
            writeln!(f, "  samples   {} to {last}, {:.3} s", stream.first_index, stream.duration_s)?;
        }
        if !self.gaps.is_empty() {
            writeln!(f, "\ngaps ({})", self.gaps.len())?;
        }
        for GapSummary { stream, first_index, n, reason, time_s } in &self.gaps {
            writeln!(f, "  {time_s:>12.3} s  {stream}: {n} samples from {first_index}, {reason}")?;
        }
        if !self.markers.is_empty() {
            writeln!(f, "\nmarkers ({})", self.markers.len())?;
        }
        for MarkSummary { label, time_s, duration_s } in &self.markers {
            let lasting = duration_s.map_or_else(String::new, |seconds| format!(", {seconds:.3} s long"));
            writeln!(f, "  {time_s:>12.3} s  {label}{lasting}")?;
        }
        Ok(())
    }
}
