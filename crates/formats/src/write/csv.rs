//! A table: one row per sample, in the unit of each channel or in counts.
use std::{borrow::Cow, io::Write};

use wavedeck_api::signal::{ChannelSpec, Rate};

use crate::export::{ExportError, Frames, Header, Mark, Notes, Sink, Survey, Values, in_unit};

/// Writes `sample,time_s,<channel [unit]>,...,marker`.
///
/// Missing samples are a jump in `sample`; no row is made up for them. A mark whose sample is missing stands on
/// the next row there is, or on the last.
pub(crate) struct Csv<W: Write> {
    out: W,
    /// Set by `begin`.
    rate: Option<Rate>,
    origin: u64,
    channels: Vec<ChannelSpec>,
    counts: bool,
    /// The last row but for its marks, which may still come; empty if there is none.
    row: Vec<u8>,
    /// Row and label of each mark not yet written.
    labels: Vec<(u64, String)>,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, rate: None, origin: 0, channels: Vec::new(), counts: false, row: Vec::new(), labels: Vec::new() }
    }

    fn write_waiting(&mut self, next_row: u64) -> Result<(), ExportError> {
        if self.row.is_empty() {
            return Ok(());
        }
        let due = self.labels.iter().take_while(|(row, _)| *row < next_row).count();
        if due > 0 {
            let labels: Vec<String> = self.labels.drain(..due).map(|(_, label)| label).collect();
            self.row.extend(quoted(&labels.join(";")).bytes());
        }
        self.row.push(b'\n');
        self.out.write_all(&self.row)?;
        self.row.clear();
        Ok(())
    }
}

/// The text as one field.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// Appends a number with nothing but what it takes, and a comma.
fn push_float(text: &str, row: &mut Vec<u8>) {
    // `.0` and the plus of an exponent say nothing.
    let bytes = text.strip_suffix(".0").unwrap_or(text).as_bytes();
    match bytes.iter().position(|byte| *byte == b'+') {
        None => row.extend_from_slice(bytes),
        Some(plus) => row.extend([&bytes[..plus], &bytes[plus + 1..]].concat()),
    }
    row.push(b',');
}

fn push_integer(text: &str, row: &mut Vec<u8>) {
    row.extend_from_slice(text.as_bytes());
    row.push(b',');
}

impl<W: Write> Sink for Csv<W> {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        self.rate = Some(header.rate);
        self.origin = header.origin;
        self.channels = header.channels.to_vec();
        self.counts = header.counts;
        let names = self.channels.iter().map(|channel| {
            let unit = if self.counts { "counts" } else { &channel.unit };
            let name = if unit.is_empty() { channel.name.clone() } else { format!("{} [{unit}]", channel.name) };
            format!("{},", quoted(&name))
        });
        Ok(writeln!(self.out, "sample,time_s,{}marker", names.collect::<String>())?)
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        self.labels.push((mark.row, mark.label.clone()));
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.channels.len();
        let (mut integer, mut float) = (itoa::Buffer::new(), zmij::Buffer::new());
        for frame in 0..frames.values.len() / width {
            let index = frames.first_index + frame as u64;
            self.write_waiting(index)?;
            let row = &mut self.row;
            push_integer(integer.format(index), row);
            let ns = self.rate.map_or(0, |rate| rate.nanoseconds_at(index - self.origin));
            write!(row, "{}.{:09},", ns / 1_000_000_000, ns % 1_000_000_000)?;
            let at = frame * width;
            match frames.values {
                Values::Counts(counts) if self.counts => {
                    counts[at..at + width].iter().for_each(|count| push_integer(integer.format(*count), row));
                }
                Values::Counts(counts) => {
                    for (count, channel) in counts[at..at + width].iter().zip(&self.channels) {
                        push_float(float.format(in_unit(*count, channel)), row);
                    }
                }
                // The shortest text that reads back as the same number.
                Values::Physical(values) => {
                    values[at..at + width].iter().for_each(|value| push_float(float.format(*value), row));
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        self.write_waiting(u64::MAX)?;
        self.out.flush()?;
        Ok(Notes::default())
    }
}
