//! EDF+ and BDF+: 16 or 24 bits, annotations in the file.
mod header;
mod layout;
mod scaling;
mod tal;
mod text;

use std::{
    collections::BTreeSet,
    io::{Seek, SeekFrom, Write},
};

use header::{Head, RECORDS_AT};
use layout::{Layout, TICKS};
use scaling::Scaling;
use tal::{Annotations, Note};
use wavedeck_api::signal::{ChannelSpec, SignalKind};

pub(in crate::write) use text::ascii;

use crate::export::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Survey, Values};

/// Text of an annotation over samples that are missing and made up; MNE knows it.
pub(crate) const SKIP: &str = "BAD_ACQ_SKIP";
/// Text of an annotation over what fills the last record.
pub(crate) const PADDING: &str = "BAD_PADDING (data end here)";

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// EDF+.
    Bits16,
    /// BDF+.
    Bits24,
}

impl Width {
    fn bytes(self) -> usize {
        if self == Self::Bits16 { 2 } else { 3 }
    }

    fn bits(self) -> u32 {
        8 * self.bytes() as u32
    }

    fn range(self) -> (i32, i32) {
        (-(1 << (self.bits() - 1)), (1 << (self.bits() - 1)) - 1)
    }

    fn format(self) -> &'static str {
        if self == Self::Bits16 { "EDF+C" } else { "BDF+C" }
    }

    fn annotations(self) -> &'static str {
        if self == Self::Bits16 { "EDF Annotations" } else { "BDF Annotations" }
    }
}

/// Writes EDF+ or BDF+. The file is continuous: missing frames repeat the last one before them, and an annotation says
/// so by the name that MNE knows.
pub(crate) struct Edf<W: Write + Seek> {
    out: W,
    width: Width,
    channels: Vec<ChannelSpec>,
    scalings: Vec<Scaling>,
    layout: Layout,
    annotations: Annotations,
    /// Integers of the record in the making, frame by frame.
    record: Vec<i32>,
    /// The last frame.
    last: Vec<i32>,
    records: u64,
    bytes: Vec<u8>,
    clamped: u64,
    not_finite: u64,
    filled: u64,
    notes: Notes,
}

impl<W: Write + Seek> Edf<W> {
    pub(crate) fn new(out: W, width: Width) -> Self {
        Self {
            out,
            width,
            channels: Vec::new(),
            scalings: Vec::new(),
            layout: Layout { samples: 1, ticks: TICKS, error: 0.0 },
            annotations: Annotations::default(),
            record: Vec::new(),
            last: Vec::new(),
            records: 0,
            bytes: Vec::new(),
            clamped: 0,
            not_finite: 0,
            filled: 0,
            notes: Notes::default(),
        }
    }

    /// Adds the frame in `last`.
    fn push_last(&mut self) -> Result<(), ExportError> {
        self.record.extend_from_slice(&self.last);
        if self.record.len() as u64 == self.layout.samples * self.last.len() as u64 {
            self.write_record()
        } else {
            Ok(())
        }
    }

    fn write_record(&mut self) -> Result<(), ExportError> {
        let (channels, width) = (self.last.len(), self.width.bytes());
        self.bytes.clear();
        self.bytes.reserve(self.record.len() * width + self.annotations.bytes);
        for channel in 0..channels {
            for digital in self.record.iter().skip(channel).step_by(channels) {
                self.bytes.extend_from_slice(&digital.to_le_bytes()[..width]);
            }
        }
        self.annotations.of_record(self.records, &self.layout, &mut self.bytes);
        self.record.clear();
        self.records += 1;
        Ok(self.out.write_all(&self.bytes)?)
    }

    /// Says what the integers cannot hold as it was.
    fn note_scalings(&mut self, header: &Header<'_>, labels: &[String]) {
        let bits = self.width.bits();
        let steps = self.scalings.iter().zip(&self.channels);
        let steps = steps.filter_map(|(scaling, channel)| Some((scaling.step()?, channel)));
        if let Some((step, channel)) = steps.clone().max_by(|a, b| a.0.total_cmp(&b.0)) {
            let (n, step, unit) = (steps.count(), text::short(step), &channel.unit);
            if header.stream.spec.kind == SignalKind::Counts {
                let own = text::short(channel.scale.abs());
                self.notes.warnings.push(format!(
                    "{n} channels are rounded: {bits} bits hold steps of {step} {unit} over the range of {}, the \
                     recording has steps of {own} {unit}",
                    channel.name,
                ));
            } else {
                self.notes.remarks.push(format!(
                    "{n} channels are stored in {bits} bits over the range of their values, in steps of {step} {unit} \
                     or less"
                ));
            }
        }
        let shifted = self.scalings.iter().filter(|scaling| scaling.is_shifted()).count();
        if shifted > 0 {
            self.notes
                .remarks
                .push(format!("counts of {shifted} channels are shifted to fit {bits} bits, none is rounded"));
        }
        let errors = self.scalings.iter().map(|scaling| scaling.error);
        let error = errors.fold(0.0, f64::max);
        if error > scaling::LIMIT {
            self.notes.warnings.push(format!(
                "the eight characters that the header has for a range leave a relative error of {error:.1e} in the scale"
            ));
        }
        let changed = labels.iter().zip(&self.channels).filter(|(label, channel)| **label != channel.name);
        let changed: Vec<String> = changed.map(|(label, channel)| format!("{} is {label}", channel.name)).collect();
        if !changed.is_empty() {
            self.notes.warnings.push(format!("labels have 16 plain characters: {}", changed.join(", ")));
        }
        let units: BTreeSet<String> = self
            .scalings
            .iter()
            .zip(&self.channels)
            .filter(|(scaling, channel)| scaling.unit != text::ascii(channel.unit.trim()))
            .map(|(scaling, channel)| format!("{} as {}", channel.unit, scaling.unit))
            .collect();
        if !units.is_empty() {
            let units: Vec<String> = units.into_iter().collect();
            self.notes.remarks.push(format!("units are written {}", units.join(", ")));
        }
        if self.layout.error > 0.0 {
            self.notes.warnings.push(format!(
                "no record length fits {} Hz; the rate in the file is wrong by {:.1e} of it",
                header.rate, self.layout.error
            ));
        }
    }

    fn unfit(&self, what: String) -> ExportError {
        ExportError::Unfit { format: self.width.format(), what }
    }
}

impl<W: Write + Seek> Sink for Edf<W> {
    fn needs_survey(&self) -> bool {
        true
    }

    fn begin(&mut self, header: &Header<'_>, survey: Option<&Survey>) -> Result<(), ExportError> {
        let Some(survey) = survey.filter(|survey| survey.end_index > header.first_index) else {
            return Err(self.unfit("there are no samples".into()));
        };
        let bits = self.width.bits();
        self.channels = header.channels.to_vec();
        let is_counts = header.stream.spec.kind == SignalKind::Counts;
        self.scalings.clear();
        for (channel, extent) in self.channels.iter().zip(&survey.extents) {
            let scaling =
                match self.scalings.iter().zip(&self.channels).find(|(other, of)| other.suits(channel, of, extent)) {
                    Some((scaling, _)) => scaling.clone(),
                    None if is_counts => scaling::of_counts(channel, *extent, bits),
                    None => scaling::of_values(channel, *extent, bits),
                };
            self.scalings.push(scaling);
        }
        self.last = vec![0; self.channels.len()];
        for gap in &survey.gaps {
            super::fill_bytes(self.width.format(), gap, (self.width.bytes() * self.channels.len()) as u64)?;
        }

        let frames = survey.end_index - header.first_index;
        let start = header.about.start_unix_ns.map(|_| header.start_ns.saturating_add(50) / 100);
        let start_ticks = start.map_or(0, |ticks| ticks % TICKS);
        let frame_bytes = (self.width.bytes() * self.channels.len()) as u64;
        // The room for annotations depends on the records, and those on the room: a guess for the first.
        self.layout = Layout::new(header.rate, frame_bytes, 64);
        let mut found = self.annotate(header, survey, frames, start_ticks);
        if self.layout.samples * frame_bytes + found.bytes as u64 > 61_440 {
            self.layout = Layout::new(header.rate, frame_bytes, found.bytes as u64 + 64);
            found = self.annotate(header, survey, frames, start_ticks);
        }
        self.annotations = found;
        let records = self.layout.records(frames);
        if records > 99_999_999 {
            return Err(
                self.unfit(format!("{records} records are more than its header can count; give a shorter range"))
            );
        }
        let labels = text::labels(self.channels.iter().map(|channel| &*channel.name), self.width.annotations());
        self.note_scalings(header, &labels);
        if self.annotations.cut > 0 {
            self.notes.warnings.push(format!("{} markers are cut to 500 bytes", self.annotations.cut));
        }
        let head = Head {
            width: self.width,
            labels: &labels,
            scalings: &self.scalings,
            layout: &self.layout,
            annotation_bytes: self.annotations.bytes,
            records,
            start_s: start.map(|ticks| ticks / TICKS),
        };
        Ok(self.out.write_all(&head.bytes(header))?)
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), ExportError> {
        self.filled += gap.n;
        (0..gap.n).try_for_each(|_| self.push_last())
    }

    fn mark(&mut self, _: &Mark) -> Result<(), ExportError> {
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.channels.len();
        for frame in 0..frames.values.len() / width {
            let at = frame * width;
            let scaled = self.scalings.iter().zip(&self.channels).zip(&mut self.last);
            match frames.values {
                Values::Counts(counts) => {
                    for (((scaling, channel), last), count) in scaled.zip(&counts[at..at + width]) {
                        let (digital, is_clamped) = scaling.of_count(*count, channel);
                        *last = digital;
                        self.clamped += u64::from(is_clamped);
                    }
                }
                Values::Physical(values) => {
                    for (((scaling, _), last), value) in scaled.zip(&values[at..at + width]) {
                        if value.is_nan() {
                            self.not_finite += 1;
                            continue;
                        }
                        let (digital, is_clamped) = scaling.of_value(f64::from(*value));
                        *last = digital;
                        self.clamped += u64::from(is_clamped);
                    }
                }
            }
            self.push_last()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        while !self.record.is_empty() {
            self.push_last()?;
        }
        self.out.seek(SeekFrom::Start(RECORDS_AT))?;
        self.out.write_all(&text::field(&self.records.to_string(), 8))?;
        self.out.flush()?;
        if self.filled > 0 {
            self.notes
                .remarks
                .push(format!("{} missing frames repeat the last one, annotated BAD_ACQ_SKIP", self.filled));
        }
        if self.clamped > 0 {
            self.notes.warnings.push(format!("{} samples beyond the range are stored as its end", self.clamped));
        }
        if self.not_finite > 0 {
            self.notes.warnings.push(format!("{} samples that are no number repeat the last one", self.not_finite));
        }
        Ok(std::mem::take(&mut self.notes))
    }
}

impl<W: Write + Seek> Edf<W> {
    /// Marks, gaps and the end of the data as annotations.
    fn annotate(&self, header: &Header<'_>, survey: &Survey, frames: u64, start_ticks: u64) -> Annotations {
        let first = header.first_index;
        let marks = survey.marks.iter().map(|mark| Note {
            frame: mark.index - first,
            duration_s: mark.duration_s,
            text: mark.label.clone(),
        });
        let seconds =
            |frame: u64, n: u64| (self.layout.ticks_at(frame + n) - self.layout.ticks_at(frame)) as f64 / TICKS as f64;
        let gaps = survey.gaps.iter().map(|gap| Note {
            frame: gap.first_index - first,
            duration_s: Some(seconds(gap.first_index - first, gap.n)),
            text: SKIP.into(),
        });
        let records = self.layout.records(frames);
        let padding = records * self.layout.samples - frames;
        let end = (padding > 0).then(|| Note {
            frame: frames,
            duration_s: Some(seconds(frames, padding)),
            text: PADDING.into(),
        });
        let mut notes: Vec<Note> = marks.chain(gaps).chain(end).collect();
        notes.sort_by_key(|note| note.frame);
        Annotations::new(&notes, &self.layout, records, start_ticks, self.width.bytes())
    }
}
