//! One pass over a table: how many rows, which index each has, what happened, and where to find them again.
use wavedeck_api::signal::Rate;

use super::{
    super::{
        foreign::{MOST_ANNOTATIONS, MOST_TEXT, Shared},
        runs::{Run, Runs},
    },
    dialect::Cell,
    layout::{Layout, not_a_number},
    lines::{Line, Lines, Place, text},
    pace,
    preamble::Origin,
};
use crate::error::SourceError;

/// Rows from one place that is remembered to the next, at first, and most of these places.
const STRIDE: u64 = 1024;
const MOST_PLACES: usize = 1 << 16;
/// Most gaps that are kept.
const MOST_RUNS: u64 = 1 << 20;
/// Largest index.
const MOST_INDEX: u64 = 1 << 60;

/// What a pass over a table finds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) runs: Runs,
    /// Index and label of each mark.
    pub(super) marks: Vec<(u64, String)>,
    /// Row and place, every so many rows.
    pub(super) places: Vec<(u64, Place)>,
    /// Most periods between which no time jumps, and their length.
    pub(super) longest: (u64, i64),
    pub(super) warnings: Vec<String>,
}

/// What is followed from row to row.
#[derive(Default)]
struct Trail {
    row: u64,
    index: u64,
    /// The last number in the index column, and the largest.
    counter: u64,
    largest: u64,
    time_ns: i64,
    /// Index and time from which on no time has jumped.
    since: (u64, i64),
    gaps: u64,
    closed: u64,
    unclear: u64,
    backward: u64,
    mark_bytes: usize,
    lost_marks: u64,
    /// The last mark, if it is a number: as long as it stays it is the same one.
    held: String,
}

/// What a row says beside its values.
#[derive(Default)]
struct Said<'a> {
    columns: usize,
    index: Option<&'a [u8]>,
    time: Option<&'a [u8]>,
}

impl Scan {
    pub(super) fn of(file: &Shared, layout: &Layout) -> Result<Self, SourceError> {
        let mut found = Self::default();
        let mut trail = Trail::default();
        let mut stride = STRIDE;
        let mut lines = Lines::new(file, layout.first, Some(layout.dialect.delimiter));
        let (index_column, time_column) = (layout.index, layout.time.map(|(column, _)| column));
        while let Some(line) = lines.next_row()? {
            let mut said = Said::default();
            for field in layout.dialect.fields(line.bytes) {
                if index_column == Some(said.columns) {
                    said.index = Some(field);
                } else if time_column == Some(said.columns) {
                    said.time = Some(field);
                }
                said.columns += 1;
            }
            if said.columns != layout.dialect.columns {
                if line.is_ended || trail.row == 0 {
                    let expected = format!("one of {} columns", layout.dialect.columns);
                    return Err(file.bad(format!("line {}", line.number()), expected, &said.columns.to_string()));
                }
                found.warnings.push(format!("line {} is cut, it is left out", line.number()));
                break;
            }
            if trail.row.is_multiple_of(stride) {
                found.places.push((trail.row, line.place));
                if found.places.len() > MOST_PLACES {
                    stride *= 2;
                    found.places.retain(|(row, _)| row.is_multiple_of(stride));
                }
            }
            found.follow(file, layout, &line, &said, &mut trail)?;
            for column in &layout.markers {
                let field = layout.dialect.fields(line.bytes).nth(*column).unwrap_or_default();
                if !field.is_empty() {
                    found.mark(layout, field, &mut trail);
                } else {
                    trail.held.clear();
                }
            }
            found.runs.push(Run { index: trail.index, frame: trail.row, n: 1 });
            trail.row += 1;
        }
        found.close(&trail);
        found.warn(&trail);
        Ok(found)
    }

    /// Finds the index of a row.
    fn follow(
        &mut self,
        file: &Shared,
        layout: &Layout,
        line: &Line<'_>,
        said: &Said<'_>,
        trail: &mut Trail,
    ) -> Result<(), SourceError> {
        let number = |column: usize, name: &str, field: &[u8]| not_a_number(file, line.number(), column, name, field);
        let mut gap = None;
        if let (Some(column), Some(field)) = (layout.index, said.index) {
            let digits = layout.dialect.number_text(field);
            let digits = digits.strip_suffix(".0").unwrap_or(&digits);
            let counter = digits.parse::<u64>().ok().filter(|counter| *counter <= MOST_INDEX);
            let counter = counter.ok_or_else(|| number(column, "index", field))?;
            if trail.row > 0 {
                gap = pace::missing_between(trail.counter, counter, trail.largest);
                if layout.is_own && counter <= trail.counter {
                    let expected = format!("more than {}, the sample before it", trail.counter);
                    return Err(file.bad(format!("sample on line {}", line.number()), expected, digits));
                }
                trail.unclear += u64::from(gap.is_none());
            } else if layout.preamble.origin == Origin::Plain {
                trail.index = counter;
            }
            trail.counter = counter;
            trail.largest = trail.largest.max(counter);
        }
        let mut jumps = false;
        if let (Some((column, pace)), Some(field)) = (layout.time, said.time) {
            let time_ns =
                pace.time_ns(&layout.dialect.number_text(field)).ok_or_else(|| number(column, "time", field))?;
            let span = time_ns.saturating_sub(trail.time_ns);
            if trail.row == 0 {
                trail.since = (trail.index, time_ns);
            } else if span < 0 {
                trail.backward += 1;
                jumps = true;
            } else if pace.is_even && span > pace.period_ns.saturating_mul(3) / 2 {
                let periods = (span as f64 / pace.period_ns as f64).round() as u64;
                jumps = gap.is_none_or(|gap| gap + 1 != periods);
                if layout.index.is_none() {
                    gap = Some(periods.saturating_sub(1));
                }
            }
            if jumps || gap.is_some_and(|gap| gap > 0) {
                self.close(trail);
            }
            trail.time_ns = time_ns;
        }
        if trail.row > 0 {
            let mut gap = gap.unwrap_or(0);
            if gap > 0 && trail.gaps == MOST_RUNS {
                (trail.closed, gap) = (trail.closed + 1, 0);
            }
            trail.gaps += u64::from(gap > 0);
            if gap > MOST_INDEX - trail.index.min(MOST_INDEX) {
                let found = text(said.index.or(said.time).unwrap_or_default()).into_owned();
                return Err(file.bad(format!("place of line {}", line.number()), "within 2^60 samples", &found));
            }
            trail.index += 1 + gap;
            if jumps || gap > 0 {
                trail.since = (trail.index, trail.time_ns);
            }
        }
        Ok(())
    }

    /// Ends a part in which no time jumps.
    fn close(&mut self, trail: &Trail) {
        let (periods, span) = (trail.index.saturating_sub(trail.since.0), trail.time_ns.saturating_sub(trail.since.1));
        if periods > self.longest.0 {
            self.longest = (periods, span);
        }
    }

    fn mark(&mut self, layout: &Layout, field: &[u8], trail: &mut Trail) {
        let text = text(field);
        let is_number = matches!(layout.dialect.cell(field), Cell::Number(_) | Cell::Empty);
        let labels: Vec<&str> = match layout.is_own {
            true => text.split(';').collect(),
            // Programs write a number on every row, 0 for none, and the same as long as it lasts.
            false if is_number && (*text == *trail.held || text.parse::<f64>() == Ok(0.0) || text.is_empty()) => {
                Vec::new()
            }
            false => vec![&*text],
        };
        for label in labels {
            trail.mark_bytes += label.len();
            if self.marks.len() < MOST_ANNOTATIONS && trail.mark_bytes <= MOST_TEXT {
                self.marks.push((trail.index, label.to_owned()));
            } else {
                trail.lost_marks += 1;
            }
        }
        if is_number {
            trail.held = text.into_owned();
        }
    }

    fn warn(&mut self, trail: &Trail) {
        let counts = [
            (trail.backward, "times lie before the one above them"),
            (trail.unclear, "times the index begins anew, no gap is seen there"),
            (trail.closed, "gaps are closed, there are too many"),
            (trail.lost_marks, "marks are left out, there are too many"),
        ];
        self.warnings.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    }

    /// The rate, and a word on it if it is a guess.
    pub(super) fn rate(&self, layout: &Layout) -> (Rate, Option<String>) {
        const ONE: Rate = Rate::new(1, 1).expect("neither is zero");
        let preamble = &layout.preamble;
        if let Some(rate) = preamble.rate.filter(|_| preamble.origin != Origin::Plain) {
            return (rate, None);
        }
        let (n, span_ns) = self.longest;
        let of_times = layout.time.and_then(|(_, pace)| {
            let rate = pace::rate(n, span_ns, pace.error_ns)?;
            Some((rate, pace.is_even))
        });
        match (of_times, preamble.rate) {
            (Some((rate, true)), _) | (_, Some(rate)) => (rate, None),
            (Some((_, false)), _) => {
                let rate = pace::rate(n, span_ns, span_ns / 200).unwrap_or(ONE);
                (rate, Some(format!("times are not even, {} Hz is their mean", rate.hz())))
            }
            (None, None) => (ONE, Some("nothing says how fast it was sampled, 1 Hz is assumed".into())),
        }
    }
}
