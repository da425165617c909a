//! When each record begins, and what is annotated.
use super::{
    super::{
        foreign::{MOST_ANNOTATIONS, MOST_TEXT, Shared},
        number::Decimal,
    },
    header::Header,
    tal::{self, Note},
};
use crate::error::SourceError;

/// Most places where time jumps that are kept.
const MOST_SEGMENTS: usize = 1 << 20;
/// Bytes read at once where records are small.
const READ_BYTES: usize = 1 << 20;

/// Records that follow one another without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The first.
    pub(super) record: u64,
    /// When it begins, after the first of the file.
    pub(super) start_ns: i64,
}

/// What the annotations say of time.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// When the first record begins, after the start in the header.
    pub(super) first_ns: i64,
    /// One at least, if there are records.
    pub(super) segments: Vec<Segment>,
    pub(super) notes: Vec<Note>,
    pub(super) warnings: Vec<String>,
}

impl Timeline {
    /// Reads the annotations of all records. `half_sample_ns`: a record that begins later than that has a gap before
    /// it, if the file allows for gaps.
    pub(super) fn read(file: &Shared, header: &Header, records: u64, half_sample_ns: i64) -> Result<Self, SourceError> {
        let mut found = Self { segments: vec![Segment { record: 0, start_ns: 0 }], ..Self::default() };
        let lists: Vec<(usize, usize)> = header
            .signals
            .iter()
            .filter(|signal| signal.is_annotations && signal.samples > 0)
            .map(|signal| (signal.offset, signal.samples * header.width.bytes()))
            .collect();
        let Some((first, last)) = lists.first().zip(lists.last()) else {
            return Ok(found);
        };
        // From the first signal of annotations to the last; of several records at once if little lies between.
        let (from, to) = (first.0, last.0 + last.1);
        let step =
            if header.record_bytes <= READ_BYTES / 16 { (READ_BYTES / header.record_bytes.max(1)) as u64 } else { 1 };
        let mut bytes = Vec::new();
        let mut clock = Clock::new(header, half_sample_ns);
        let (mut wrong, mut lost, mut text_bytes) = (0, 0, 0);
        for first_record in (0..records).step_by(step as usize) {
            let n = step.min(records - first_record) as usize;
            bytes.resize((n - 1) * header.record_bytes + to - from, 0);
            file.read(header.bytes + first_record * header.record_bytes as u64 + from as u64, &mut bytes)?;
            for (number, record) in (first_record..).zip(0..n) {
                let mut begin = None;
                for (place, (offset, length)) in lists.iter().enumerate() {
                    let at = record * header.record_bytes + offset - from;
                    let known = found.notes.len();
                    let (time, bad) = tal::read(&bytes[at..at + length], &mut found.notes);
                    begin = if place == 0 { time } else { begin };
                    wrong += bad;
                    text_bytes += found.notes[known..].iter().map(|note| note.text.len()).sum::<usize>();
                    if found.notes.len() > MOST_ANNOTATIONS || text_bytes > MOST_TEXT {
                        lost += found.notes.len() - known;
                        found.notes.truncate(known);
                    }
                }
                clock.take(number, begin, &mut found);
            }
        }
        if header.is_plus() && clock.untimed > 0 {
            found.warnings.push(format!("{} records do not say when they begin", clock.untimed));
        }
        if clock.early > 0 {
            found.warnings.push(format!("{} records begin before the last one ends", clock.early));
        }
        if clock.too_many > 0 {
            found.warnings.push(format!("{} gaps beyond the first {MOST_SEGMENTS} are closed", clock.too_many));
        }
        if wrong > 0 {
            found.warnings.push(format!("{wrong} annotations make no sense and are left out"));
        }
        if lost > 0 {
            found.warnings.push(format!("{lost} annotations beyond the first {MOST_ANNOTATIONS} are left out"));
        }
        Ok(found)
    }
}

/// Follows the times of records.
struct Clock {
    is_discontinuous: bool,
    duration: Decimal,
    half_sample_ns: i64,
    untimed: u64,
    early: u64,
    too_many: u64,
}

impl Clock {
    fn new(header: &Header, half_sample_ns: i64) -> Self {
        let (is_discontinuous, duration) = (header.is_discontinuous(), header.duration);
        Self { is_discontinuous, duration, half_sample_ns, untimed: 0, early: 0, too_many: 0 }
    }

    fn take(&mut self, record: u64, begin: Option<i64>, found: &mut Timeline) {
        let Some(begin) = begin else {
            self.untimed += 1;
            return;
        };
        if record == 0 {
            found.first_ns = begin;
            return;
        }
        let Some(last) = found.segments.last().filter(|_| self.is_discontinuous) else {
            return;
        };
        let digits = self.duration.digits.checked_mul(i128::from(record - last.record));
        let since = digits.and_then(|digits| Decimal { digits, ..self.duration }.scaled(9));
        let expected = since.and_then(|since| last.start_ns.checked_add(since));
        let (Some(expected), Some(start_ns)) = (expected, begin.checked_sub(found.first_ns)) else {
            self.early += 1;
            return;
        };
        let late = start_ns.saturating_sub(expected);
        if late > self.half_sample_ns {
            match found.segments.len() < MOST_SEGMENTS {
                true => found.segments.push(Segment { record, start_ns }),
                false => self.too_many += 1,
            }
        } else if late < -self.half_sample_ns {
            self.early += 1;
        }
    }
}
