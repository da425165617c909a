//! What happened, the newest at the bottom.
use ratatui::{Frame, layout::Rect, text::Line};
use wavedeck_api::stage::Level;

use super::super::{
    log_line::{log_line, log_lines},
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};
use crate::snapshot::LogEntry;

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let view = scene.app.log;
    let which = match view.least {
        None => "all",
        Some(Level::Error) => "errors",
        Some(_) => "warnings and errors",
    };
    let back = if view.back > 0 { format!(", {} newer below", view.back) } else { String::new() };
    let inner = pen::boxed(frame, area, &format!("Log: {which}{back}"), theme);
    let shown = |entry: &&LogEntry| view.least.is_none_or(|least| entry.level >= least);
    let entries: Vec<&LogEntry> = scene.snapshot.log.iter().filter(shown).collect();
    let rows = usize::from(inner.height);
    if entries.is_empty() {
        pen::line(frame, inner, 0, Line::from(span(" nothing has happened yet", Role::Dim, theme)));
    }
    let end = entries.len().saturating_sub(view.back).max(rows.min(entries.len()));
    let width = usize::from(inner.width);
    let recent = &entries[end.saturating_sub(rows)..end];
    let lines: Vec<Line<'_>> = recent.iter().flat_map(|entry| log_lines(entry, width, theme)).collect();
    // The newest at the bottom stays whole; what is above it may be cut off.
    let first = lines.len().saturating_sub(rows);
    for (row, line) in (0_u16..).zip(lines.into_iter().skip(first)) {
        pen::line(frame, inner, row, line);
    }
}

/// The newest entries, as many as fit, the newest at the bottom.
pub(in super::super) fn newest(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let log = &scene.snapshot.log;
    let first = log.len().saturating_sub(usize::from(area.height));
    for (row, entry) in (0_u16..).zip(&log[first..]) {
        pen::line(frame, area, row, log_line(entry, usize::from(area.width), theme));
    }
}
