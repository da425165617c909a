//! The way out: walks one stream of any file and feeds it to the writer of a format.
mod error;
mod job;
mod marks;
mod output;
mod survey;

use std::{io::Write, num::NonZeroU32, ops::ControlFlow, path::Path};

use wavedeck_api::signal::{ChannelSpec, Rate};

pub use error::ExportError;
pub(crate) use output::sidecar_path;
pub use survey::{Extent, Survey};

use crate::{
    source::{About, Source, SourceStream},
    write::{Csv, Format},
};

/// What to export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportOptions {
    /// Name of the stream; may be left out if there is but one.
    pub stream: Option<String>,
    /// Counts as the device sent them instead of physical values.
    pub counts: bool,
    /// Leave out what is before, in seconds after the first sample.
    pub from_s: Option<f64>,
    /// Leave out what is at or after, in seconds after the first sample.
    pub to_s: Option<f64>,
    /// Numbers of the channels, in the order wanted; all if `None`.
    pub channels: Option<Vec<usize>>,
    /// Keep one frame of so many; for [`Format::Mcap`] only.
    pub every: Option<NonZeroU32>,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Frames read and written.
    pub rows: u64,
    /// Places where frames are missing.
    pub gaps: u64,
    /// Frames missing at those places.
    pub missing: u64,
    /// Marks written.
    pub markers: u64,
    /// Parts of the file left out because they are damaged.
    pub damaged_parts: u64,
    /// What a reader of the output should know, such as how gaps are filled.
    pub remarks: Vec<String>,
    /// What the format could not hold as it was.
    pub warnings: Vec<String>,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames done. A format that must know all samples first takes each of them twice.
    pub done: u64,
    /// Frames to do.
    pub total: u64,
    /// Bytes of samples in a frame, four per channel.
    pub frame_bytes: u64,
}

/// Is told how far an export is and may stop it.
pub type OnProgress<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// What a writer is told before the first frame.
#[derive(Debug)]
pub struct Header<'a> {
    /// What the file says of itself.
    pub about: &'a About,
    /// The stream, with all its channels.
    pub stream: &'a SourceStream,
    /// The channels of the frames to come.
    pub channels: &'a [ChannelSpec],
    /// Frames per second.
    pub rate: Rate,
    /// True if counts are wanted as they are, not in the unit of their channel.
    pub counts: bool,
    /// Index of the first sample of the stream, where time is 0.
    pub origin: u64,
    /// Index of the first frame to come.
    pub first_index: u64,
    /// Unix time of the first frame to come; means nothing if the file does not say when it was made.
    pub start_ns: u64,
}

/// Frames without a gap between them.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    /// Index of the first frame.
    pub first_index: u64,
    /// Unix time of the first frame.
    pub t0_ns: u64,
    /// Values of the channels wanted, frame by frame.
    pub values: Values<'a>,
}

/// Values frame by frame.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Of a stream of counts.
    Counts(&'a [i32]),
    /// Of a stream of physical values.
    Physical(&'a [f32]),
}

impl Values<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Counts(counts) => counts.len(),
            Self::Physical(values) => values.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends all values in the unit of their channels.
    pub fn to_units(&self, channels: &[ChannelSpec], out: &mut Vec<f32>) {
        match self {
            Self::Physical(values) => out.extend_from_slice(values),
            Self::Counts(counts) => {
                let channels = channels.iter().cycle();
                out.extend(counts.iter().zip(channels).map(|(count, channel)| in_unit(*count, channel) as f32));
            }
        }
    }
}

/// What a count is worth.
pub(crate) fn in_unit(count: i32, channel: &ChannelSpec) -> f64 {
    f64::from(count) * channel.scale + channel.offset
}

/// Frames that are missing between two that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Index of the first missing frame.
    pub first_index: u64,
    /// Number of missing frames.
    pub n: u64,
    /// Why, in a word; empty if the file does not say.
    pub reason: String,
}

/// Something that happened, at its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Index of its sample, which may be a missing one.
    pub index: u64,
    /// Index of the frame it stands on: its own or, that being missing, the next; the last if there is no next.
    pub row: u64,
    /// When, on the clock of the frames.
    pub time_ns: u64,
    /// What happened.
    pub label: String,
    /// Who or what said so; may be empty.
    pub source: String,
    /// How long it lasted; `None` for a moment.
    pub duration_s: Option<f64>,
}

/// What a writer says when it is done.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What a reader of the output should know.
    pub remarks: Vec<String>,
    /// What the format could not hold as it was.
    pub warnings: Vec<String>,
    /// What goes into a JSON file beside the output.
    pub sidecar: Option<serde_json::Value>,
}

/// The writer of a format. The calls come in the order of the methods, those in the middle as often as need be and in
/// the order of the samples: a gap before the frames behind it, a mark before the frame it stands on or, if it is
/// later than all, at the end.
pub trait Sink {
    /// True if [`Sink::begin`] needs to know all samples, marks and gaps, for which they are read twice.
    fn needs_survey(&self) -> bool {
        false
    }

    /// Begins.
    ///
    /// # Errors
    /// If the format cannot hold the stream, or the output refuses.
    fn begin(&mut self, header: &Header<'_>, survey: Option<&Survey>) -> Result<(), ExportError>;

    /// Takes note of missing frames. By default nothing is made of them: the index of the next frame jumps.
    ///
    /// # Errors
    /// If the output refuses.
    fn gap(&mut self, _gap: &Gap) -> Result<(), ExportError> {
        Ok(())
    }

    /// Takes a mark.
    ///
    /// # Errors
    /// If the output refuses.
    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError>;

    /// Takes frames.
    ///
    /// # Errors
    /// If the output refuses.
    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError>;

    /// Writes what is left.
    ///
    /// # Errors
    /// If the output refuses.
    fn finish(&mut self) -> Result<Notes, ExportError>;
}

/// Exports to a writer.
///
/// # Errors
/// If stream, channels or range are not in the file, the format cannot hold them, the output refuses, or `progress`
/// stops it. Damaged parts are no error: they are counted.
pub fn export(
    source: &dyn Source,
    options: &ExportOptions,
    sink: &mut dyn Sink,
    progress: &mut OnProgress<'_>,
) -> Result<ExportSummary, ExportError> {
    job::Job::new(source, options)?.run(sink, progress).map(|(summary, _)| summary)
}

/// Writes a table to `out`: `sample,time_s,<channel [unit]>,...,marker`.
///
/// # Errors
/// As [`export`].
pub fn export_csv(
    source: &dyn Source,
    options: &ExportOptions,
    out: &mut dyn Write,
    progress: &mut OnProgress<'_>,
) -> Result<ExportSummary, ExportError> {
    export(source, options, &mut Csv::new(out), progress)
}

/// Writes a file that appears under its name only when it is whole, with its sidecar if the format has one.
///
/// # Errors
/// As [`export`]; [`ExportError::Exists`] if the file is there and not to be overwritten. Nothing is left behind then.
pub fn export_file(
    source: &dyn Source,
    format: Format,
    options: &ExportOptions,
    path: &Path,
    overwrite: bool,
    progress: &mut OnProgress<'_>,
) -> Result<ExportSummary, ExportError> {
    let job = job::Job::new(source, options)?;
    let sidecar = format.has_sidecar().then(|| output::sidecar_path(path));
    let mut output = output::Output::create(path, overwrite)?;
    let beside = sidecar.map(|path| output::Output::create(&path, overwrite)).transpose()?;
    let mut sink = format.sink(output.file(), options);
    let (summary, notes) = job.run(&mut *sink, progress)?;
    drop(sink);
    let beside = match (beside, notes) {
        (Some(mut beside), Some(json)) => {
            let failed = |error: serde_json::Error| beside_error(path, error.into());
            serde_json::to_writer_pretty(beside.file(), &json).map_err(failed)?;
            Some(beside)
        }
        _ => None,
    };
    output.publish()?;
    beside.map_or(Ok(()), output::Output::publish)?;
    Ok(summary)
}

fn beside_error(path: &Path, source: std::io::Error) -> ExportError {
    ExportError::Io { output: output::sidecar_path(path).display().to_string(), source }
}
