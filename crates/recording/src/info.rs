//! What a recording is, for people and for programs.
use std::{collections::BTreeSet, fmt};

use serde::Serialize;
use serde_json::Value;
use wavedeck_api::signal::SignalKind;

use crate::{
    error::ReadError, gap::GapReason, ledger::StreamLedger, reader::Recording, repair::RepairNote, stamp::LocalTime,
    stored::Codec,
};

/// Everything about a recording but its samples.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingInfo {
    /// The file.
    pub path: String,
    /// Length of the file.
    pub bytes: u64,
    /// Name of the session.
    pub session: String,
    /// Version of the program that wrote it.
    pub app_version: String,
    /// Who recorded.
    pub operator: String,
    /// Who or what was recorded.
    pub subject: String,
    /// Anything else.
    pub notes: String,
    /// Unix time of the start.
    pub start_unix_ns: u64,
    /// Time of the start where this machine is.
    pub start: String,
    /// The longest stream, pauses and losses included.
    pub duration_s: f64,
    /// True if it ended as it should.
    pub closed: bool,
    /// True if samples were lost, the disk failed, or parts of the file are damaged.
    pub degraded: bool,
    /// Why the disk failed.
    pub failed: Option<String>,
    /// Bytes at the end of a cut file that are no whole record.
    pub cut_bytes: u64,
    /// Chunks found damaged; those that hold nothing but samples are searched in unclosed files only.
    pub damaged_chunks: usize,
    /// What a repair noted; `None` if there was none.
    pub repair: Option<RepairNote>,
    /// The streams.
    pub streams: Vec<StreamReport>,
    /// Runs of missing samples.
    pub gaps: Vec<GapReport>,
    /// Marks.
    pub markers: Vec<MarkerReport>,
    /// Parameter changes.
    pub edits: Vec<EditReport>,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamReport {
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
    /// How the samples are stored.
    pub codec: Codec,
    /// Index of the first frame stored; `None` if there is none.
    pub first_index: Option<u64>,
    /// Index of the last frame accounted for.
    pub last_index: Option<u64>,
    /// Frames stored.
    pub recorded: u64,
    /// Frames lost.
    pub lost: u64,
    /// Frames left out on purpose.
    pub paused: u64,
    /// True if stored and missing frames add up to the distance of the indices.
    pub balanced: bool,
    /// From the first frame stored to the last accounted for.
    pub duration_s: f64,
}

/// One run of missing samples.
#[derive(Clone, Debug, Serialize)]
pub struct GapReport {
    /// Stream they are missing from.
    pub stream: String,
    /// Index of the first missing frame.
    pub first_index: u64,
    /// Number of missing frames.
    pub n: u64,
    /// Why they are missing.
    pub reason: GapReason,
    /// Place of the first missing frame, in seconds after the first frame stored.
    pub time_s: f64,
}

/// One mark.
#[derive(Clone, Debug, Serialize)]
pub struct MarkerReport {
    /// What happened.
    pub label: String,
    /// Who or what said so.
    pub source: String,
    /// Stream whose frames `index` counts.
    pub stream: Option<String>,
    /// The frame at which it happened.
    pub index: Option<u64>,
    /// Seconds after the start of the recording.
    pub time_s: f64,
    /// How long it lasted.
    pub duration_s: Option<f64>,
}

/// One parameter change.
#[derive(Clone, Debug, Serialize)]
pub struct EditReport {
    /// Where the parameter is.
    pub path: String,
    /// Value before.
    pub old: Value,
    /// Value asked for.
    pub new: Value,
    /// First frame made with the new value.
    pub at_sample: Option<u64>,
    /// Who asked for it.
    pub by: String,
    /// What became of it.
    pub outcome: String,
    /// Seconds after the start of the recording.
    pub time_s: f64,
}

impl RecordingInfo {
    /// Reads all of `recording` that is not samples, and its first batches.
    ///
    /// # Errors
    /// If a part of the file cannot be read.
    pub fn of(recording: &Recording) -> Result<Self, ReadError> {
        let mut streams = Vec::new();
        for number in 0..recording.streams().len() {
            streams.push(report_stream(recording, number)?);
        }
        let start_unix_ns = recording.start_unix_ns();
        let since_start_s = |time_ns: u64| (i128::from(time_ns) - i128::from(start_unix_ns)) as f64 / 1e9;
        let mut damaged: BTreeSet<u64> = recording.damaged().iter().copied().collect();
        let mut note = |error: ReadError| {
            if let ReadError::Damaged { offset, .. } = error {
                damaged.insert(offset);
            }
            Ok(())
        };
        let (gaps, events, edits) =
            (recording.gaps_or(&mut note)?, recording.events_or(&mut note)?, recording.params_or(&mut note)?);
        let gaps = gaps.into_iter().map(|gap| {
            let stream = streams.iter().find(|stream| stream.name == gap.stream);
            let time_s = stream.map_or(0.0, |stream| {
                let first = i128::from(stream.first_index.unwrap_or(gap.first_index));
                (i128::from(gap.first_index) - first) as f64 / stream.rate_hz
            });
            GapReport { stream: gap.stream, first_index: gap.first_index, n: gap.n, reason: gap.reason, time_s }
        });
        let gaps = gaps.collect();
        let markers = events.into_iter().map(|event| MarkerReport {
            time_s: since_start_s(event.time_ns),
            label: event.label,
            source: event.source,
            stream: event.stream,
            index: event.index,
            duration_s: event.duration_s,
        });
        let edits = edits.into_iter().map(|edit| EditReport {
            time_s: since_start_s(edit.time_ns),
            path: edit.path,
            old: edit.old,
            new: edit.new,
            at_sample: edit.at_sample,
            by: edit.by,
            outcome: edit.outcome,
        });
        let about = |key: &str| recording.about(key).unwrap_or_default().to_owned();
        let cut_bytes = recording.bytes() - recording.good_bytes();
        let damaged_chunks = damaged.len();
        let repair = recording.repair_note();
        let has_holes = repair.as_ref().is_some_and(|note| note.damaged_parts > 0);
        Ok(Self {
            path: recording.path().display().to_string(),
            bytes: recording.bytes(),
            session: about("session"),
            app_version: about("app_version"),
            operator: about("operator"),
            subject: about("subject"),
            notes: about("notes"),
            start_unix_ns,
            start: LocalTime::at(start_unix_ns).to_string(),
            duration_s: streams.iter().map(|stream| stream.duration_s).fold(0.0, f64::max),
            closed: recording.is_closed(),
            degraded: recording.ledger().is_degraded() || damaged_chunks > 0 || has_holes,
            failed: recording.ledger().failed.clone(),
            cut_bytes,
            damaged_chunks,
            repair,
            streams,
            gaps,
            markers: markers.collect(),
            edits: edits.collect(),
        })
    }
}

fn report_stream(recording: &Recording, number: usize) -> Result<StreamReport, ReadError> {
    let stream = &recording.streams()[number];
    let ledgers = &recording.ledger().streams;
    let ledger = ledgers.iter().find(|ledger| ledger.stream == stream.name).cloned();
    let ledger = ledger.unwrap_or_else(|| StreamLedger::new(&stream.name));
    let first = recording.batches(number, 0)?.find_map(Result::ok);
    let first_index = first.map(|batch| batch.first_index);
    let frames = first_index.map_or(0, |first| ledger.next_index.saturating_sub(first));
    let spec = &stream.spec;
    Ok(StreamReport {
        name: stream.name.clone(),
        kind: spec.kind,
        device: stream.device.clone(),
        rate: spec.rate.to_string(),
        rate_hz: spec.rate.hz(),
        channels: spec.channels.iter().map(|channel| format!("{} [{}]", channel.name, channel.unit)).collect(),
        codec: stream.codec,
        first_index,
        last_index: first_index.and(ledger.next_index.checked_sub(1)),
        recorded: ledger.recorded,
        lost: ledger.lost(),
        paused: ledger.paused(),
        balanced: ledger.is_balanced(),
        duration_s: frames as f64 / spec.rate.hz(),
    })
}

impl fmt::Display for RecordingInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn fmt::Display| writeln!(f, "{key:<10} {value}");
        line("file", &self.path)?;
        for (key, value) in [
            ("session", &self.session),
            ("subject", &self.subject),
            ("operator", &self.operator),
            ("notes", &self.notes),
        ] {
            if !value.is_empty() {
                line(key, value)?;
            }
        }
        line("started", &self.start)?;
        line("duration", &format_args!("{:.3} s", self.duration_s))?;
        line("size", &format_args!("{} bytes", self.bytes))?;
        line("written by", &format_args!("wavedeck {}", self.app_version))?;
        line("state", &State(self))?;
        for stream in &self.streams {
            writeln!(f, "\nstream `{}`: {} at {} Hz", stream.name, stream.kind, stream.rate)?;
            writeln!(f, "  device    {}", stream.device)?;
            writeln!(f, "  channels  {}: {}", stream.channels.len(), stream.channels.join(", "))?;
            if let (Some(first), Some(last)) = (stream.first_index, stream.last_index) {
                writeln!(f, "  samples   {first} to {last}, {:.3} s", stream.duration_s)?;
            }
            let StreamReport { recorded, lost, paused, .. } = stream;
            writeln!(f, "  account   {recorded} recorded, {lost} lost, {paused} paused")?;
            if !stream.balanced {
                writeln!(f, "            the account does not add up")?;
            }
        }
        heading(f, "gaps", self.gaps.len())?;
        for gap in &self.gaps {
            let GapReport { stream, first_index, n, reason, time_s } = gap;
            writeln!(f, "  {time_s:>12.3} s  {stream}: {n} samples from {first_index}, {reason}")?;
        }
        heading(f, "markers", self.markers.len())?;
        for marker in &self.markers {
            write!(f, "  {:>12.3} s  {}", marker.time_s, marker.label)?;
            match marker.index {
                Some(index) => writeln!(f, " at sample {index}")?,
                None => writeln!(f)?,
            }
        }
        heading(f, "changes", self.edits.len())?;
        for edit in &self.edits {
            let EditReport { path, old, new, outcome, time_s, .. } = edit;
            writeln!(f, "  {time_s:>12.3} s  {path}: {old} to {new}, {outcome}")?;
        }
        Ok(())
    }
}

fn heading(f: &mut fmt::Formatter<'_>, what: &str, n: usize) -> fmt::Result {
    if n == 0 { Ok(()) } else { writeln!(f, "\n{what} ({n})") }
}

/// Whether all is well, in words.
struct State<'a>(&'a RecordingInfo);

impl fmt::Display for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.0;
        f.write_str(if info.closed { "closed" } else { "NOT CLOSED" })?;
        if info.cut_bytes > 0 {
            write!(f, ", {} bytes at the end are not whole", info.cut_bytes)?;
        }
        if info.damaged_chunks > 0 {
            write!(f, ", {} chunks are DAMAGED", info.damaged_chunks)?;
        }
        if let Some(note) = &info.repair {
            write!(f, ", {note}")?;
        }
        if let Some(reason) = &info.failed {
            write!(f, ", stopped early: {reason}")?;
        }
        let lost: u64 = info.streams.iter().map(|stream| stream.lost).sum();
        if lost > 0 { write!(f, ", {lost} samples LOST") } else { Ok(()) }
    }
}
