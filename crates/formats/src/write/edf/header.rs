//! The header of a file.
use wavedeck_recording::LocalTime;

use super::{
    Width,
    layout::Layout,
    scaling::Scaling,
    text::{field, subfield},
};
use crate::export::Header;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Place of the number of records in the header.
pub(super) const RECORDS_AT: u64 = 236;

/// What the header says of the file as a whole.
pub(super) struct Head<'a> {
    pub(super) width: Width,
    pub(super) labels: &'a [String],
    pub(super) scalings: &'a [Scaling],
    pub(super) layout: &'a Layout,
    pub(super) annotation_bytes: usize,
    pub(super) records: u64,
    /// Unix time of the first sample in whole seconds; `None` if it is not known.
    pub(super) start_s: Option<u64>,
}

impl Head<'_> {
    pub(super) fn bytes(&self, header: &Header<'_>) -> Vec<u8> {
        let signals = self.labels.len() + 1;
        let mut out = Vec::new();
        match self.width {
            Width::Bits16 => out.extend(field("0", 8)),
            Width::Bits24 => out.extend(b"\xffBIOSEMI"),
        }
        let about = header.about;
        out.extend(field(&cut(format!("X X X {}", subfield(&about.subject)), 80), 80));
        let (date, time, long_date) = self.start_texts();
        let parts = [&about.session, &about.operator, &header.stream.device].map(|text| cut(subfield(text), 21));
        out.extend(field(&cut(format!("Startdate {long_date} {}", parts.join(" ")), 80), 80));
        out.extend(field(&date, 8));
        out.extend(field(&time, 8));
        out.extend(field(&(256 * (signals + 1)).to_string(), 8));
        out.extend(field(self.width.format(), 44));
        out.extend(field(&self.records.to_string(), 8));
        out.extend(field(&self.layout.duration_text(), 8));
        out.extend(field(&signals.to_string(), 4));
        self.signals(&mut out);
        out
    }

    fn signals(&self, out: &mut Vec<u8>) {
        let (low, high) = self.width.range();
        let mut column = |n: usize, of: &dyn Fn(usize) -> String, annotations: String| {
            (0..self.scalings.len()).for_each(|signal| out.extend(field(&of(signal), n)));
            out.extend(field(&annotations, n));
        };
        let scaling = |signal: usize| &self.scalings[signal];
        column(16, &|signal| self.labels[signal].clone(), self.width.annotations().to_owned());
        column(80, &|_| String::new(), String::new());
        column(8, &|signal| scaling(signal).unit.clone(), String::new());
        column(8, &|signal| scaling(signal).physical.0.clone(), "-1".into());
        column(8, &|signal| scaling(signal).physical.1.clone(), "1".into());
        column(8, &|signal| scaling(signal).digital.0.to_string(), low.to_string());
        column(8, &|signal| scaling(signal).digital.1.to_string(), high.to_string());
        column(80, &|_| String::new(), String::new());
        let annotations = self.annotation_bytes / self.width.bytes();
        column(8, &|_| self.layout.samples.to_string(), annotations.to_string());
        column(32, &|_| String::new(), String::new());
    }

    /// Date, time and long date of the start.
    fn start_texts(&self) -> (String, String, String) {
        let Some(start_s) = self.start_s else {
            return ("01.01.85".into(), "00.00.00".into(), "X".into());
        };
        let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::at(start_s * 1_000_000_000);
        let name = MONTHS.get(usize::from(month) - 1).unwrap_or(&"JAN");
        // Two digits stand for 1985 to 2084; the long date says the rest.
        let short = if (1985..2085).contains(&year) { format!("{:02}", year % 100) } else { "yy".into() };
        (
            format!("{day:02}.{month:02}.{short}"),
            format!("{hour:02}.{minute:02}.{second:02}"),
            format!("{day:02}-{name}-{year:04}"),
        )
    }
}

fn cut(text: String, n: usize) -> String {
    text.chars().take(n).collect()
}
