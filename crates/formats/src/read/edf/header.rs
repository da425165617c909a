//! The header: 256 bytes on the file, 256 on each signal, all of it text in fields of fixed length.
use wavedeck_api::signal::ChannelSpec;

use super::{
    super::{foreign::Shared, number::Decimal},
    Width,
};
use crate::error::SourceError;

/// Bytes on the file, and on each signal.
const PART: u64 = 256;
/// Largest record that is read; common programs stop at a quarter of it.
const MOST_RECORD_BYTES: u64 = 64 << 20;

/// What the header says.
pub(super) struct Header {
    pub(super) width: Width,
    pub(super) patient: String,
    pub(super) recording: String,
    pub(super) date: String,
    pub(super) time: String,
    /// `EDF+C`, `BDF+D` and the like; something else in files before the `+`.
    pub(super) reserved: String,
    /// Bytes before the first record.
    pub(super) bytes: u64,
    /// Number of records; `None` if the file was not closed.
    pub(super) records: Option<u64>,
    /// Seconds of a record.
    pub(super) duration: Decimal,
    pub(super) signals: Vec<Signal>,
    /// Bytes of a record.
    pub(super) record_bytes: usize,
    pub(super) warnings: Vec<String>,
}

/// One signal.
pub(super) struct Signal {
    pub(super) channel: ChannelSpec,
    pub(super) is_annotations: bool,
    /// Samples in a record.
    pub(super) samples: usize,
    /// Place in the record, in bytes.
    pub(super) offset: usize,
}

impl Header {
    /// Reads the header of a file of `length` bytes.
    pub(super) fn read(file: &Shared, length: u64) -> Result<Self, SourceError> {
        let mut bytes = vec![0; PART as usize];
        let cut = |needed| SourceError::Cut { path: file.path.to_path_buf(), within: "its header", length, needed };
        if length < PART {
            return Err(cut(PART));
        }
        file.read(0, &mut bytes)?;
        let mut fields = Fields { file, bytes: &bytes, at: 0 };
        let width = if fields.take(8)[0] == 0xff { Width::Bits24 } else { Width::Bits16 };
        let [patient, recording] = [fields.text(80), fields.text(80)];
        let [date, time] = [fields.text(8), fields.text(8)];
        let said = fields.text(8);
        let reserved = fields.text(44);
        let records = fields.number("number of records", 8, "a whole number, or -1 if not known")?;
        let duration = fields.number("duration of a record", 8, "a number of seconds")?;
        let count = fields.number("number of signals", 4, "1 to 9999")?.scaled(0).filter(|count| *count > 0);
        let count = count.ok_or_else(|| fields.wrong("number of signals", 4, "1 to 9999"))? as u64;
        let mut header = Self {
            width,
            patient,
            recording,
            date,
            time,
            reserved,
            bytes: PART * (count + 1),
            records: records.scaled(0).and_then(|records| u64::try_from(records).ok()),
            duration,
            signals: Vec::new(),
            record_bytes: 0,
            warnings: Vec::new(),
        };
        if length < header.bytes {
            return Err(cut(header.bytes));
        }
        header.bytes_said(&said, length);
        header.read_signals(file, count as usize)?;
        Ok(header)
    }

    /// True if the file keeps to EDF+ or BDF+.
    pub(super) fn is_plus(&self) -> bool {
        self.reserved.starts_with("EDF+") || self.reserved.starts_with("BDF+")
    }

    /// True if there may be time between records.
    pub(super) fn is_discontinuous(&self) -> bool {
        self.is_plus() && self.reserved[4..].starts_with('D')
    }

    /// Name of the format.
    pub(super) fn format(&self) -> String {
        let base = if self.width == Width::Bits24 { "BDF" } else { "EDF" };
        match self.is_plus() {
            true if self.is_discontinuous() => format!("{base}+D"),
            true => format!("{base}+C"),
            false => base.to_owned(),
        }
    }

    fn bytes_said(&mut self, said: &str, length: u64) {
        let Some(bytes) = said.parse::<u64>().ok().filter(|bytes| *bytes != self.bytes) else {
            return;
        };
        self.warnings.push(format!("header must take {} bytes, it says {bytes}", self.bytes));
        if (self.bytes..=length).contains(&bytes) {
            self.bytes = bytes;
        }
    }

    fn read_signals(&mut self, file: &Shared, count: usize) -> Result<(), SourceError> {
        let mut bytes = vec![0; count * PART as usize];
        file.read(PART, &mut bytes)?;
        let mut fields = Fields { file, bytes: &bytes, at: 0 };
        let mut column = |n: usize| -> Vec<String> { (0..count).map(|_| fields.text(n)).collect() };
        let (labels, _, units) = (column(16), column(80), column(8));
        let ends = [column(8), column(8), column(8), column(8)];
        let (_, samples) = (column(80), column(8));
        let mut offset = 0u64;
        for signal in 0..count {
            let label = &labels[signal];
            let place = |field: &str| format!("{field} of signal {} ({label})", signal + 1);
            let bad = |field: &str, expected: &str, found: &str| file.bad(place(field), expected, found);
            let most = MOST_RECORD_BYTES / self.width.bytes() as u64;
            let n = samples[signal].parse::<u64>().ok().filter(|n| *n <= most);
            let n = n.ok_or_else(|| bad("samples per record", &format!("0 to {most}"), &samples[signal]))?;
            let is_annotations = matches!(&**label, "EDF Annotations" | "BDF Annotations");
            let number = |end: usize, field: &str| {
                let text = ends[end][signal].replace(',', ".");
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                // What an annotation is scaled by means nothing.
                let number = if is_annotations { Some(number.unwrap_or(0.0)) } else { number };
                number.ok_or_else(|| bad(field, "a number", &ends[end][signal]))
            };
            let physical = (number(0, "physical minimum")?, number(1, "physical maximum")?);
            let digital = (number(2, "digital minimum")?, number(3, "digital maximum")?);
            let mut channel = scaled(label, &units[signal], physical, digital);
            if channel.name.is_empty() {
                channel.name = format!("signal {}", signal + 1);
            }
            if !is_annotations && (physical.0 == physical.1 || digital.0 == digital.1) {
                self.warnings.push(format!("`{}` has no range, its counts are taken as they are", channel.name));
            }
            if n == 0 && !is_annotations {
                self.warnings.push(format!("`{}` has no samples and is left out", channel.name));
            }
            self.signals.push(Signal { channel, is_annotations, samples: n as usize, offset: offset as usize });
            offset += n * self.width.bytes() as u64;
            if offset > MOST_RECORD_BYTES {
                return Err(bad("samples per record", "such that a record has at most 64 MiB", &samples[signal]));
            }
        }
        self.record_bytes = offset as usize;
        Ok(())
    }
}

fn scaled(label: &str, unit: &str, physical: (f64, f64), digital: (f64, f64)) -> ChannelSpec {
    let scale = (physical.1 - physical.0) / (digital.1 - digital.0);
    if scale == 0.0 || !scale.is_finite() {
        return ChannelSpec::counts(label, unit, 1.0);
    }
    let range = Some((physical.0.min(physical.1), physical.0.max(physical.1)));
    ChannelSpec { offset: physical.0 - digital.0 * scale, range, ..ChannelSpec::counts(label, unit, scale) }
}

/// Takes fields one by one.
struct Fields<'a> {
    file: &'a Shared,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        self.at += n;
        &self.bytes[self.at - n..self.at]
    }

    /// UTF-8 or, failing that, Latin-1: the standard knows neither, files in use have both.
    fn text(&mut self, n: usize) -> String {
        let bytes = self.take(n);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().copied().map(char::from).collect(),
        };
        text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
    }

    fn number(&mut self, field: &str, n: usize, expected: &str) -> Result<Decimal, SourceError> {
        let text = self.text(n);
        Decimal::parse(&text.replace(',', ".")).ok_or_else(|| self.wrong(field, n, expected))
    }

    /// That the field just taken is not as expected.
    fn wrong(&mut self, field: &str, n: usize, expected: &str) -> SourceError {
        self.at -= n;
        let (at, found) = (self.at, self.text(n));
        self.file.bad(format!("{field} at byte {at}"), expected, &found)
    }
}
