//! What stands above a table: comments, among them the headers of OpenBCI and OpenSignals.
use serde_json::Value;
use wavedeck_api::signal::Rate;

use super::super::{clock::Civil, number::Decimal};

/// Bytes of comments that are looked at.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// The program a table is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// Any.
    #[default]
    Plain,
    OpenBci,
    OpenSignals,
}

/// What is said of a table above it.
#[derive(Debug, Default)]
pub(super) struct Preamble {
    pub(super) origin: Origin,
    pub(super) rate: Option<Rate>,
    pub(super) device: String,
    pub(super) start_unix_ns: Option<u64>,
    /// Names of the columns, with units.
    pub(super) names: Option<Vec<(String, String)>>,
    /// Channels of an OpenBCI board, which come first.
    pub(super) channels: Option<usize>,
    /// The last comment, which may hold the names.
    pub(super) last: String,
}

impl Preamble {
    /// Takes a comment.
    pub(super) fn take(&mut self, line: &str) {
        let line = line.trim();
        let text = line.trim_start_matches(['#', '%']).trim();
        self.last = text.to_owned();
        if line.starts_with("%OpenBCI") || text.starts_with("OpenBCI Raw") {
            self.origin = Origin::OpenBci;
        } else if text.starts_with("OpenSignals Text File") {
            self.origin = Origin::OpenSignals;
        }
        match self.origin {
            Origin::OpenSignals if text.starts_with('{') => self.take_json(text),
            Origin::OpenBci | Origin::Plain => self.take_pair(text),
            Origin::OpenSignals => {}
        }
    }

    /// `Sample Rate = 250.0 Hz` and the like.
    fn take_pair(&mut self, text: &str) {
        let Some((key, value)) = text.split_once(['=', ':']) else {
            return;
        };
        let value = value.trim();
        match &*key.trim().to_lowercase().replace('_', " ") {
            "sample rate" | "sampling rate" | "samplerate" | "fs" => {
                let number = value.trim_end_matches(|c: char| c.is_alphabetic() || c.is_whitespace());
                self.rate = Decimal::parse(number).and_then(Decimal::rate);
            }
            "number of channels" => self.channels = value.parse().ok(),
            "board" if self.origin == Origin::OpenBci => {
                value.rsplit('$').next().unwrap_or(value).clone_into(&mut self.device)
            }
            _ => {}
        }
    }

    /// The devices of OpenSignals, each with columns of its own.
    fn take_json(&mut self, text: &str) {
        let Ok(Value::Object(devices)) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let mut names = Vec::new();
        let mut kinds: Vec<&str> = Vec::new();
        for about in devices.values() {
            let words = |key: &str| -> Vec<String> {
                let items = about.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
            };
            let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default();
            let labels = words("label");
            let units = words("units");
            let mut columns = words("column");
            if columns.is_empty() {
                let digital = words("digital IO").len();
                columns = std::iter::once("nSeq".to_owned()).chain((1..=digital).map(|n| format!("I{n}"))).collect();
                columns.extend(labels.iter().cloned());
            }
            names.extend(columns.into_iter().map(|name| {
                let unit = labels.iter().position(|label| *label == name).and_then(|place| units.get(place));
                (name, unit.cloned().unwrap_or_default())
            }));
            kinds.push(text("device"));
            let rate = about.get("sampling rate").map(Value::to_string);
            let rate = rate.and_then(|text| Decimal::parse(text.trim_matches('"'))).and_then(Decimal::rate);
            self.rate = self.rate.or(rate);
            self.start_unix_ns = self.start_unix_ns.or_else(|| moment(text("date"), text("time")));
        }
        self.device = kinds.join(", ");
        self.names = Some(names);
    }
}

/// Unix time of a date such as `2016-1-31` and a time such as `14:40:42.5`.
fn moment(date: &str, time: &str) -> Option<u64> {
    let mut date = date.split('-').map(|part| part.trim().parse::<u32>().ok());
    let [year, month, day] = [date.next()??, date.next()??, date.next()??];
    let (clock, part) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':').map(|part| part.trim().parse::<u32>().ok());
    let [hour, minute, second] = [clock.next()??, clock.next()??, clock.next()??];
    let part_ns = Decimal::parse(&format!("0.{part}"))?.scaled(9)?;
    Civil { year: year.into(), month, day, hour, minute, second }.unix_ns()?.checked_add_signed(part_ns)
}
