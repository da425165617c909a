//! Annotations: time-stamped lists, spread over the records.
use std::collections::BTreeMap;

use super::layout::{Layout, seconds_text};

/// Longest text of an annotation in bytes; common readers cut there.
const MOST_TEXT: usize = 500;

/// The annotations of a file, each in a record that has room for it.
#[derive(Default)]
pub(super) struct Annotations {
    /// Bytes of annotations per record.
    pub(super) bytes: usize,
    records: BTreeMap<u64, Vec<u8>>,
    /// Ticks between the start in the header and the first sample.
    start_ticks: u64,
    /// Annotations whose text was cut.
    pub(super) cut: u64,
}

/// What is to be annotated.
pub(super) struct Note {
    /// Frame from the beginning of the file.
    pub(super) frame: u64,
    pub(super) duration_s: Option<f64>,
    pub(super) text: String,
}

impl Annotations {
    /// Finds a record for each note, its own or a later one, the end failing that an earlier one. The bytes per record
    /// are a multiple of `sample_bytes`.
    pub(super) fn new(notes: &[Note], layout: &Layout, records: u64, start_ticks: u64, sample_bytes: usize) -> Self {
        let mut all = Self { start_ticks, ..Self::default() };
        let lists: Vec<(u64, Vec<u8>)> = notes.iter().map(|note| all.list(note, layout)).collect();
        let keeping = seconds_text(start_ticks + layout.ticks * records).len() + 9;
        let longest = lists.iter().map(|(_, list)| list.len()).max().unwrap_or(0);
        let total: usize = lists.iter().map(|(_, list)| list.len()).sum();
        // With this room every record takes its share and one more.
        let share = total.div_ceil(usize::try_from(records.max(1)).unwrap_or(usize::MAX));
        let room = if lists.is_empty() { 0 } else { longest + share };
        all.bytes = (keeping + room).next_multiple_of(sample_bytes * 2);
        let room = all.bytes - keeping;
        let mut record = 0;
        let mut left = Vec::new();
        for (own, list) in lists {
            record = own.max(record);
            while record < records && !all.fits(record, &list, room) {
                record += 1;
            }
            match record < records {
                true => all.put(record, &list),
                false => left.push(list),
            }
        }
        let mut record = records.saturating_sub(1);
        for list in left.into_iter().rev() {
            while record > 0 && !all.fits(record, &list, room) {
                record -= 1;
            }
            all.put(record, &list);
        }
        all
    }

    /// The annotations of a record, the time of the record first, filled up.
    pub(super) fn of_record(&mut self, record: u64, layout: &Layout, out: &mut Vec<u8>) {
        let end = out.len() + self.bytes;
        let ticks = self.start_ticks + record * layout.ticks;
        out.extend(format!("+{}\x14\x14\0", seconds_text(ticks)).bytes());
        out.extend(self.records.remove(&record).unwrap_or_default());
        out.resize(end, 0);
    }

    fn fits(&self, record: u64, list: &[u8], room: usize) -> bool {
        self.records.get(&record).map_or(0, Vec::len) + list.len() <= room
    }

    fn put(&mut self, record: u64, list: &[u8]) {
        self.records.entry(record).or_default().extend_from_slice(list);
    }

    /// The record of a note, and its bytes.
    fn list(&mut self, note: &Note, layout: &Layout) -> (u64, Vec<u8>) {
        let mut list = format!("+{}", seconds_text(self.start_ticks + layout.ticks_at(note.frame)));
        if let Some(duration_s) = note.duration_s.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
            let text = format!("{duration_s:.7}");
            list.push('\x15');
            list.push_str(text.trim_end_matches('0').trim_end_matches('.'));
        }
        list.push('\x14');
        let mut text: String = note.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text.len() > MOST_TEXT {
            let starts = text.char_indices().map(|(at, _)| at);
            let end = starts.take_while(|at| *at <= MOST_TEXT - 3).last().unwrap_or(0);
            text.truncate(end);
            text.push_str("...");
            self.cut += 1;
        }
        // An empty text would say that this is the time of the record.
        list.push_str(if text.is_empty() { "mark" } else { &text });
        list.push_str("\x14\0");
        (note.frame / layout.samples, list.into_bytes())
    }
}
