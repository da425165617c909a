//! The log that screens show: the newest lines in memory, each also in the log file.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use wavedeck_api::{clock::Anchor, stage::Level};

use crate::snapshot::LogEntry;

/// Lines kept for the screen.
const KEPT: usize = 500;

/// Errors that a summary repeats.
const LAST_ERRORS: usize = 8;

/// The newest lines of the log.
#[derive(Default)]
pub struct Journal {
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    entries: VecDeque<LogEntry>,
    next: u64,
    /// Copy for snapshots, made anew only after a change.
    shared: Option<Arc<[LogEntry]>>,
}

impl Journal {
    /// Adds a line, here and in the log file.
    pub fn add(&self, level: Level, from: &str, text: impl Into<Arc<str>>) {
        let text = text.into();
        match level {
            Level::Info => tracing::info!(from, "{text}"),
            Level::Warn => tracing::warn!(from, "{text}"),
            Level::Error => tracing::error!(from, "{text}"),
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = lines.next;
        lines.next += 1;
        if lines.entries.len() == KEPT {
            lines.entries.pop_front();
        }
        let unix_ns = Anchor::now().unix_ns;
        lines.entries.push_back(LogEntry { number, unix_ns, level, from: from.into(), text });
        lines.shared = None;
    }

    /// The newest lines, oldest first.
    pub fn newest(&self) -> Arc<[LogEntry]> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Lines { entries, shared, .. } = &mut *lines;
        shared.get_or_insert_with(|| entries.iter().cloned().collect()).clone()
    }

    /// The last few errors, oldest first: `from: text`.
    pub fn last_errors(&self) -> Vec<String> {
        let lines = self.newest();
        let errors = lines.iter().rev().filter(|entry| entry.level == Level::Error).take(LAST_ERRORS);
        let mut texts: Vec<String> = errors.map(|entry| format!("{}: {}", entry.from, entry.text)).collect();
        texts.reverse();
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_make_room_and_numbers_go_on() {
        let journal = Journal::default();
        for n in 0..KEPT + 3 {
            journal.add(Level::Info, "test", format!("line {n}"));
        }
        let lines = journal.newest();
        assert_eq!((lines.len(), lines[0].number), (KEPT, 3));
        assert_eq!(&*lines[KEPT - 1].text, "line 502");
    }
}
