//! A stream as a table: one row per sample, in the unit of each channel or in counts.
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use wavedeck_api::signal::{ChannelSpec, Rate, SignalKind};

use crate::{
    batches::{DecodedBatch, Samples},
    error::{ExportError, ReadError},
    naming,
    reader::Recording,
};

/// What to export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CsvOptions {
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
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CsvSummary {
    /// Rows, the header not counted.
    pub rows: u64,
    /// Places where `sample` jumps.
    pub gaps: u64,
    /// Samples missing at those places.
    pub missing: u64,
    /// Marks written.
    pub markers: u64,
    /// Chunks left out because they are damaged.
    pub damaged_chunks: u64,
}

/// Writes the table to `out`: `sample,time_s,<channel [unit]>,...,marker`.
///
/// Missing samples are a jump in `sample`; no row is made up for them. A mark whose sample is missing stands on
/// the next row there is, or on the last.
///
/// # Errors
/// If stream, channels or range are not in the recording, or `out` refuses. Damaged chunks are no error: they
/// are counted.
pub fn export_csv(recording: &Recording, options: &CsvOptions, out: &mut dyn Write) -> Result<CsvSummary, ExportError> {
    let stream = choose_stream(recording, options)?;
    let spec = &recording.streams()[stream].spec;
    let channels = choose_channels(options, &spec.channels)?;
    if options.counts && spec.kind != SignalKind::Counts {
        return Err(ExportError::NoCounts { stream: recording.streams()[stream].name.clone() });
    }
    let (from_s, to_s) = (options.from_s.unwrap_or(0.0), options.to_s.unwrap_or(f64::INFINITY));
    if from_s.is_nan() || to_s.is_nan() || to_s <= from_s {
        return Err(ExportError::Range { from_s, to_s });
    }
    let mut table = Table {
        out: csv::Writer::from_writer(out),
        rate: spec.rate,
        columns: channels.iter().map(|number| (*number, spec.channels[*number].clone())).collect(),
        width: spec.channels.len(),
        counts: options.counts,
        waiting: None,
        next_index: None,
        summary: CsvSummary::default(),
    };
    table.write_header()?;
    // A damaged first chunk must not move the origin of time without need, but nothing better is left.
    if let Some(first) = recording.batches(stream, 0)?.find_map(Result::ok) {
        let range = Range {
            origin: first.first_index,
            from: first.first_index.saturating_add(index_at(spec.rate, from_s)),
            to: first.first_index.saturating_add(index_at(spec.rate, to_s)),
        };
        table.write_rows(recording, stream, &range)?;
    }
    table.out.flush().map_err(|source| ExportError::Io { output: "the table".into(), source })?;
    Ok(table.summary)
}

/// Writes the table to a file that appears under its name only when it is whole.
///
/// # Errors
/// As [`export_csv`]; [`ExportError::Exists`] if the file is there and not to be overwritten.
pub fn export_csv_file(
    recording: &Recording,
    options: &CsvOptions,
    path: &Path,
    overwrite: bool,
) -> Result<CsvSummary, ExportError> {
    let exists = || ExportError::Exists { path: path.to_owned() };
    if !overwrite && fs::symlink_metadata(path).is_ok() {
        return Err(exists());
    }
    let io_error = |source| ExportError::Io { output: path.display().to_string(), source };
    let (temporary, file) = Temporary::beside(path).map_err(io_error)?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let summary = export_csv(recording, options, &mut out)?;
    let file = out.into_inner().map_err(|error| io_error(error.into_error()))?;
    file.sync_all().map_err(io_error)?;
    let renamed = if overwrite { fs::rename(&temporary.0, path) } else { naming::rename_to_free(&temporary.0, path) };
    match renamed {
        Ok(()) => Ok(summary),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(io_error(error)),
    }
}

/// A file that is removed if it still has its temporary name.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> io::Result<(Self, File)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        for n in 0..1000 {
            let temporary = path.with_file_name(format!(".{name}.{n}.tmp"));
            match File::create_new(&temporary) {
                Ok(file) => return Ok((Self(temporary), file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        drop(fs::remove_file(&self.0));
    }
}

/// Sample indices.
struct Range {
    origin: u64,
    from: u64,
    to: u64,
}

struct Table<'a> {
    out: csv::Writer<&'a mut dyn Write>,
    rate: Rate,
    /// Number and description of each channel wanted.
    columns: Vec<(usize, ChannelSpec)>,
    /// Channels per frame.
    width: usize,
    counts: bool,
    /// The last row, held back because a mark may still belong to it.
    waiting: Option<Vec<String>>,
    next_index: Option<u64>,
    summary: CsvSummary,
}

impl Table<'_> {
    fn write_header(&mut self) -> Result<(), ExportError> {
        let mut header = vec!["sample".to_owned(), "time_s".to_owned()];
        header.extend(self.columns.iter().map(|(_, channel)| {
            let unit = if self.counts { "counts" } else { &channel.unit };
            if unit.is_empty() { channel.name.clone() } else { format!("{} [{unit}]", channel.name) }
        }));
        header.push("marker".to_owned());
        Ok(self.out.write_record(header)?)
    }

    fn write_rows(&mut self, recording: &Recording, stream: usize, range: &Range) -> Result<(), ExportError> {
        let mut marks = Marks::of(recording, stream, range)?;
        for batch in recording.batches(stream, range.from)? {
            let batch = match batch {
                Ok(batch) => batch,
                Err(ReadError::Damaged { .. }) => {
                    self.summary.damaged_chunks += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if batch.first_index >= range.to {
                break;
            }
            self.write_batch(&batch, range, &mut marks)?;
        }
        let late = marks.rest();
        if let Some(row) = &mut self.waiting {
            self.summary.markers += late.len() as u64;
            add_labels(row, &late);
        }
        self.write_waiting()
    }

    fn write_batch(&mut self, batch: &DecodedBatch, range: &Range, marks: &mut Marks) -> Result<(), ExportError> {
        if let Some(missing) = self.next_index.and_then(|next| batch.first_index.checked_sub(next)).filter(|n| *n > 0) {
            self.summary.gaps += 1;
            self.summary.missing += missing;
        }
        self.next_index = Some(batch.end_index());
        for frame in 0..batch.n_frames as usize {
            let index = batch.first_index + frame as u64;
            if index < range.from || index >= range.to {
                continue;
            }
            self.write_waiting()?;
            let mut row = Vec::with_capacity(self.columns.len() + 3);
            row.push(index.to_string());
            row.push(seconds(self.rate.nanoseconds_at(index - range.origin)));
            for (number, channel) in &self.columns {
                let place = frame * self.width + number;
                row.push(match &batch.samples {
                    Samples::Counts(counts) if self.counts => counts[place].to_string(),
                    Samples::Counts(counts) => {
                        number_text(format!("{:?}", f64::from(counts[place]) * channel.scale + channel.offset))
                    }
                    Samples::Values(values) => number_text(format!("{:?}", values[place])),
                });
            }
            row.push(String::new());
            let time_ns = batch.t0_ns.saturating_add(self.rate.nanoseconds_at(frame as u64));
            let labels = marks.up_to(index, time_ns);
            self.summary.markers += labels.len() as u64;
            add_labels(&mut row, &labels);
            self.waiting = Some(row);
            self.summary.rows += 1;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), ExportError> {
        match self.waiting.take() {
            Some(row) => Ok(self.out.write_record(row)?),
            None => Ok(()),
        }
    }
}

/// Marks not yet written: those with an index of this stream, and those with a time only.
struct Marks {
    by_index: VecDeque<(u64, String)>,
    by_time: VecDeque<(u64, String)>,
    /// True if what lies beyond the last row is outside the range wanted.
    is_cut: bool,
    range_to: u64,
}

impl Marks {
    fn of(recording: &Recording, stream: usize, range: &Range) -> Result<Self, ReadError> {
        let name = &recording.streams()[stream].name;
        let (mut by_index, mut by_time) = (Vec::new(), Vec::new());
        // A damaged chunk is counted with the samples it held.
        for event in recording.events_or(|_| Ok(()))? {
            match event.index {
                Some(index) if event.stream.as_deref().is_none_or(|of| of == name) => {
                    by_index.push((index, event.label))
                }
                _ => by_time.push((event.time_ns, event.label)),
            }
        }
        by_index.sort_by_key(|(index, _)| *index);
        by_time.sort_by_key(|(time_ns, _)| *time_ns);
        if range.from > range.origin {
            by_index.retain(|(index, _)| *index >= range.from);
            // The time of the first row wanted is not known before it is read; the one before is near enough.
            let rate = recording.streams()[stream].spec.rate;
            let before = recording.batches(stream, range.from)?.find_map(Result::ok);
            let from_ns = before.map_or(0, |batch| {
                let frames = range.from.saturating_sub(batch.first_index);
                batch.t0_ns.saturating_add(rate.nanoseconds_at(frames))
            });
            by_time.retain(|(time_ns, _)| *time_ns >= from_ns);
        }
        let is_cut = range.to != u64::MAX;
        Ok(Self { by_index: by_index.into(), by_time: by_time.into(), is_cut, range_to: range.to })
    }

    /// Takes the labels that belong to a row or, their own sample being missing, before it.
    fn up_to(&mut self, index: u64, time_ns: u64) -> Vec<String> {
        let mut labels = Vec::new();
        for (marks, now) in [(&mut self.by_index, index), (&mut self.by_time, time_ns)] {
            let n = marks.iter().take_while(|(at, _)| *at <= now).count();
            labels.extend(marks.drain(..n).map(|(_, label)| label));
        }
        labels
    }

    /// Takes the labels beyond the last row that still belong to the range.
    fn rest(self) -> Vec<String> {
        let Self { by_index, by_time, is_cut, range_to } = self;
        let by_time = by_time.into_iter().filter(|_| !is_cut).map(|(_, label)| label);
        by_index.into_iter().filter(|(index, _)| *index < range_to).map(|(_, label)| label).chain(by_time).collect()
    }
}

fn choose_stream(recording: &Recording, options: &CsvOptions) -> Result<usize, ExportError> {
    match &options.stream {
        Some(name) => Ok(recording.stream(name)?),
        None if recording.streams().len() == 1 => Ok(0),
        None => Err(ExportError::WhichStream { available: recording.stream_names() }),
    }
}

fn choose_channels(options: &CsvOptions, channels: &[ChannelSpec]) -> Result<Vec<usize>, ExportError> {
    let count = channels.len();
    let wanted = options.channels.clone().unwrap_or_else(|| (0..count).collect());
    match wanted.iter().find(|channel| **channel >= count) {
        Some(channel) => Err(ExportError::NoSuchChannel { channel: *channel, count }),
        None => Ok(wanted),
    }
}

/// Samples from the first one to the first at or after `seconds`.
fn index_at(rate: Rate, seconds: f64) -> u64 {
    // The nanosecond takes back what seconds in binary lose.
    let index = (seconds * rate.hz() - 1e-9 * rate.hz()).ceil();
    // The cast saturates: before the first sample is 0, and without end is the largest.
    index.max(0.0) as u64
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// The shortest text that reads back as the same number, without the `.0` that says nothing.
fn number_text(mut text: String) -> String {
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
    text
}

fn add_labels(row: &mut [String], labels: &[String]) {
    if let Some(marker) = row.last_mut() {
        for label in labels {
            if !marker.is_empty() {
                marker.push(';');
            }
            marker.push_str(label);
        }
    }
}
