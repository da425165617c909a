//! A table: one row per sample, in the unit of each channel or in counts.
use std::{
    fmt::{self, Write as _},
    io::Write,
};

use csv::StringRecord;
use wavedeck_api::signal::{ChannelSpec, Rate};

use crate::export::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Survey, Values, in_unit};

/// Writes `sample,time_s,<channel [unit]>,...,marker`.
///
/// Missing samples are a jump in `sample`; no row is made up for them. A mark whose sample is missing stands on
/// the next row there is, or on the last.
pub(crate) struct Csv<W: Write> {
    out: csv::Writer<W>,
    /// Set by `begin`.
    rate: Option<Rate>,
    origin: u64,
    channels: Vec<ChannelSpec>,
    counts: bool,
    row: StringRecord,
    /// True if `row` is still to be written, for a mark may belong to it.
    is_waiting: bool,
    /// Row and label of each mark not yet written.
    labels: Vec<(u64, String)>,
    text: String,
}

impl<W: Write> Csv<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: csv::Writer::from_writer(out),
            rate: None,
            origin: 0,
            channels: Vec::new(),
            counts: false,
            row: StringRecord::new(),
            is_waiting: false,
            labels: Vec::new(),
            text: String::new(),
        }
    }

    fn field(&mut self, text: fmt::Arguments<'_>) {
        self.text.clear();
        // A string takes whatever is written into it.
        let _ = self.text.write_fmt(text);
        // `.0` says nothing.
        self.row.push_field(self.text.strip_suffix(".0").unwrap_or(&self.text));
    }

    fn write_waiting(&mut self, next_row: u64) -> Result<(), ExportError> {
        if std::mem::take(&mut self.is_waiting) {
            let due = self.labels.iter().take_while(|(row, _)| *row < next_row).count();
            let labels: Vec<String> = self.labels.drain(..due).map(|(_, label)| label).collect();
            self.row.push_field(&labels.join(";"));
            self.out.write_record(&self.row)?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Csv<W> {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        self.rate = Some(header.rate);
        self.origin = header.origin;
        self.channels = header.channels.to_vec();
        self.counts = header.counts;
        let mut names = vec!["sample".to_owned(), "time_s".to_owned()];
        names.extend(self.channels.iter().map(|channel| {
            let unit = if self.counts { "counts" } else { &channel.unit };
            if unit.is_empty() { channel.name.clone() } else { format!("{} [{unit}]", channel.name) }
        }));
        names.push("marker".to_owned());
        Ok(self.out.write_record(names)?)
    }

    fn gap(&mut self, _: &Gap) -> Result<(), ExportError> {
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        self.labels.push((mark.row, mark.label.clone()));
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.channels.len();
        let channels = std::mem::take(&mut self.channels);
        for frame in 0..frames.values.len() / width {
            let index = frames.first_index + frame as u64;
            self.write_waiting(index)?;
            self.row.clear();
            self.field(format_args!("{index}"));
            let ns = self.rate.map_or(0, |rate| rate.nanoseconds_at(index - self.origin));
            // Nine digits, so nothing is cut.
            self.field(format_args!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000));
            let at = frame * width;
            match frames.values {
                Values::Counts(counts) if self.counts => {
                    counts[at..at + width].iter().for_each(|count| self.field(format_args!("{count}")));
                }
                Values::Counts(counts) => {
                    for (count, channel) in counts[at..at + width].iter().zip(&channels) {
                        self.field(format_args!("{:?}", in_unit(*count, channel)));
                    }
                }
                // The shortest text that reads back as the same number.
                Values::Physical(values) => {
                    values[at..at + width].iter().for_each(|value| self.field(format_args!("{value:?}")));
                }
            }
            self.is_waiting = true;
        }
        self.channels = channels;
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        self.write_waiting(u64::MAX)?;
        self.out.flush()?;
        Ok(Notes::default())
    }
}
