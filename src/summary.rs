//! The account at the end of a run: what was produced, recorded and dropped, per stream and per connection.
use std::{fmt, path::PathBuf};

use serde::Serialize;
use wavedeck_api::{handle::StreamHash, link::Overflow};

use crate::{
    exit::Exit,
    session::{Closing, all_lost},
};

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The time asked for was over.
    Duration,
    /// SIGINT, SIGTERM, or the quit key.
    Request,
    /// The terminal is gone and nothing was being recorded.
    HangUp,
    /// Every source has ended.
    Sources,
    /// A stage failed whose `on_fault` is `stop`, or every source failed.
    Fault,
}

/// The account at the end of a run. Counts are samples: one per channel and moment counts once.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Always `summary`: tells this line from status lines.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Name of the pipeline.
    pub name: String,
    /// Seconds that the pipeline ran.
    pub seconds: f64,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// What the sources made, over all streams; what devices lost is part of it.
    pub produced: u64,
    /// Of these, what is in recordings.
    pub recorded: u64,
    /// Of these, what was lost by devices, for want of a buffer, on connections that must not drop, or by a recorder
    /// whose disk was behind.
    pub dropped: u64,
    /// What connections with a drop policy let go; views only.
    pub shed: u64,
    /// Each source's outputs.
    pub streams: Vec<StreamLine>,
    /// Each connection.
    pub edges: Vec<EdgeLine>,
    /// What each stream has come to, where a stage hashes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<StreamHash>,
    /// Files of recordings that were closed, in order; what is in them is whole.
    pub recordings: Vec<PathBuf>,
    /// Why a recording failed.
    pub recording_error: Option<String>,
    /// Stages that were disabled.
    pub faults: u32,
    /// Stages that did not end in time.
    pub stuck: Vec<String>,
    /// The last errors of the log.
    pub errors: Vec<String>,
}

/// One output of a source.
#[derive(Clone, Debug, Serialize)]
pub struct StreamLine {
    /// `stage.port`.
    pub stream: String,
    /// Samples made; what the device lost is part of it.
    pub produced: u64,
    /// Samples in the newest recording.
    pub recorded: u64,
    /// Lost by the device or its cable.
    pub lost_device: u64,
    /// Lost for want of a buffer.
    pub lost_overrun: u64,
    /// Not passed on because the pipeline was paused.
    pub paused: u64,
}

/// One connection: `produced = consumed + dropped + in_flight`.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeLine {
    /// `board.out -> volts.in`.
    pub edge: String,
    /// Samples handed to it.
    pub produced: u64,
    /// Samples taken from it.
    pub consumed: u64,
    /// Samples lost at it.
    pub dropped: u64,
    /// Samples still queued.
    pub in_flight: u64,
    /// Most packets that were ever queued, and how many fit.
    pub high_water: (u32, u32),
    /// What happens when it is full.
    pub policy: Overflow,
}

impl Summary {
    /// The account of a closed session.
    pub fn of(name: &str, closing: &Closing, ended_by: EndedBy) -> Self {
        let telemetry = &closing.telemetry;
        let mut streams = Vec::new();
        for stage in telemetry.stages.iter().filter(|stage| stage.is_source) {
            for (port, counts) in &stage.outputs {
                let name = if stage.outputs.len() > 1 { format!("{}.{port}", stage.id) } else { stage.id.to_string() };
                let in_file =
                    closing.recorders.iter().flat_map(|status| &status.streams).filter(|(stream, _)| *stream == name);
                streams.push(StreamLine {
                    stream: format!("{}.{port}", stage.id),
                    produced: counts.sent_samples + counts.lost_device + counts.lost_overrun,
                    recorded: in_file.map(|(_, samples)| samples).sum(),
                    lost_device: counts.lost_device,
                    lost_overrun: counts.lost_overrun,
                    paused: counts.discarded,
                });
            }
        }
        let edges = telemetry.edges.iter().map(|edge| EdgeLine {
            edge: edge.id.to_string(),
            produced: edge.counts.offered_samples,
            consumed: edge.counts.consumed_samples,
            dropped: edge.counts.dropped_samples,
            in_flight: edge.counts.in_flight_samples,
            high_water: (edge.counts.high_water, edge.capacity),
            policy: edge.policy,
        });
        Self {
            kind: "summary",
            name: name.to_owned(),
            seconds: closing.seconds,
            ended_by,
            produced: streams.iter().map(|stream| stream.produced).sum(),
            recorded: streams.iter().map(|stream| stream.recorded).sum(),
            dropped: closing
                .recorders
                .iter()
                .map(|recorder| all_lost(telemetry, Some(recorder)))
                .max()
                .unwrap_or_else(|| telemetry.lost_samples()),
            shed: telemetry.shed_samples(),
            streams,
            edges: edges.collect(),
            hashes: closing.hashes.clone(),
            recordings: closing.recorders.iter().flat_map(|status| status.closed.iter().cloned()).collect(),
            recording_error: closing.recorders.iter().find_map(|status| status.error.clone()),
            faults: closing.faults,
            stuck: closing.report.stuck.clone(),
            errors: closing.errors.clone(),
        }
    }

    /// The exit code that this account stands for.
    pub fn exit(&self) -> Exit {
        if self.ended_by == EndedBy::Fault || self.recording_error.is_some() || !self.stuck.is_empty() {
            Exit::Failed
        } else if self.dropped > 0 || self.faults > 0 {
            Exit::Degraded
        } else {
            Exit::Ok
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:.1} s", self.name, self.seconds)?;
        writeln!(f, "  {:<28} {:>12} {:>12} {:>12} {:>9}", "stream", "produced", "recorded", "dropped", "paused")?;
        for stream in &self.streams {
            let dropped = stream.lost_device + stream.lost_overrun;
            writeln!(
                f,
                "  {:<28} {:>12} {:>12} {:>12} {:>9}",
                stream.stream, stream.produced, stream.recorded, dropped, stream.paused
            )?;
        }
        writeln!(f, "  {:<28} {:>12} {:>12} {:>12} {:>9}", "connection", "produced", "consumed", "dropped", "queued")?;
        for edge in &self.edges {
            writeln!(
                f,
                "  {:<28} {:>12} {:>12} {:>12} {:>9}",
                edge.edge, edge.produced, edge.consumed, edge.dropped, edge.in_flight
            )?;
        }
        for StreamHash { stream, hash, samples, runs } in &self.hashes {
            writeln!(f, "  hash {stream:<23} {hash}  {samples} samples in {runs} runs")?;
        }
        for path in &self.recordings {
            writeln!(f, "  recording: {}", path.display())?;
        }
        for error in &self.errors {
            writeln!(f, "  error: {error}")?;
        }
        if !self.stuck.is_empty() {
            writeln!(f, "  did not end in time: {}", self.stuck.join(", "))?;
        }
        if self.faults > 0 {
            writeln!(f, "  stages disabled by a fault: {}", self.faults)?;
        }
        write!(f, "produced {}, recorded {}, dropped {}", self.produced, self.recorded, self.dropped)
    }
}
