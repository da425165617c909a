//! Entries of the log as lines: time, level, origin, sentence.
use ratatui::text::Line;
use wavedeck_api::stage::Level;

use super::{
    pen::{self, span},
    scale,
    theme::{Role, Theme},
};
use crate::snapshot::LogEntry;

/// Sign and role of a level; the level is told by a word or sign as well as by its colour.
pub(super) fn level(level: Level) -> (&'static str, Role) {
    match level {
        Level::Info => ("", Role::Dim),
        Level::Warn => ("! ", Role::Warn),
        Level::Error => ("!! ", Role::Bad),
    }
}

/// Columns of a log line before its sentence: time, level, origin.
const BEFORE_TEXT: usize = 1 + 8 + 1 + 8 + 1 + 10 + 1;

/// One entry of the log in one line: time, level, origin, sentence.
pub(super) fn log_line(entry: &LogEntry, width: usize, theme: &Theme) -> Line<'static> {
    let room = width.saturating_sub(BEFORE_TEXT);
    log_line_with(entry, pen::fit(&pen::plain(&entry.text, theme), room, theme), theme)
}

/// One entry of the log in as many lines as its sentence needs.
pub(super) fn log_lines(entry: &LogEntry, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut pieces = pen::wrapped(&pen::plain(&entry.text, theme), width.saturating_sub(BEFORE_TEXT)).into_iter();
    let first = log_line_with(entry, pieces.next().unwrap_or_default(), theme);
    let indent = " ".repeat(BEFORE_TEXT);
    let rest = pieces.map(|piece| Line::from(span(format!("{indent}{piece}"), text_role(entry), theme)));
    std::iter::once(first).chain(rest).collect()
}

fn log_line_with(entry: &LogEntry, text: String, theme: &Theme) -> Line<'static> {
    let (word, role) = match entry.level {
        Level::Info => ("   INFO ", Role::Dim),
        Level::Warn => (" ! WARN ", Role::Warn),
        Level::Error => ("!! ERROR", Role::Bad),
    };
    let from = pen::left(&entry.from, 10, theme);
    Line::from(vec![
        span(format!(" {} ", scale::time_of_day(entry.unix_ns)), Role::Dim, theme),
        span(format!("{word} "), role, theme),
        span(format!("{} ", pen::plain(&from, theme)), Role::Dim, theme),
        span(text, text_role(entry), theme),
    ])
}

fn text_role(entry: &LogEntry) -> Role {
    match entry.level {
        Level::Info => Role::Text,
        Level::Warn => Role::Warn,
        Level::Error => Role::Bad,
    }
}
