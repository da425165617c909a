//! Questions and small forms that lie over a view.
use ratatui::{
    Frame,
    text::{Line, Span},
};
use wavedeck_api::handle::RecordingState;

use super::super::{
    action::Places,
    bindings::table,
    line_edit::LineEdit,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};

pub(in super::super) fn ask_quit(frame: &mut Frame<'_>, scene: &Scene<'_>, theme: &Theme) {
    let snapshot = scene.snapshot;
    let is_open = matches!(snapshot.recording, RecordingState::Recording | RecordingState::Paused);
    let staged = scene.app.form.staged.len();
    let mut lines = vec![Line::default()];
    if is_open {
        lines.push(Line::from(span(" A recording is open.", Role::Warn, theme)));
    }
    if staged > 0 {
        let edits = if staged == 1 { "1 staged edit was".into() } else { format!("{staged} staged edits were") };
        lines.push(Line::from(span(format!(" {edits} not applied."), Role::Warn, theme)));
    }
    lines.push(Line::default());
    let possible = table().iter().filter(|e| e.places.meets(Places::ASK_QUIT));
    for entry in possible.filter(|e| (e.enabled)(scene.app, snapshot).is_ok()) {
        let keys: Vec<String> = entry.keys.iter().take(2).map(|key| key.label(theme.is_plain())).collect();
        let name = (entry.name)(scene.app, snapshot);
        let help = if name == entry.help { "" } else { entry.help };
        lines.push(Line::from(vec![
            span(format!("   {} ", pen::left(&keys.join(" "), 8, theme)), Role::Key, theme),
            span(format!("{} ", pen::left(name, 15, theme)), Role::Title, theme),
            span(help, Role::Dim, theme),
        ]));
    }
    lines.push(Line::default());
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let inner = pen::popup(frame, 78, height, "Quit?", theme);
    for (row, line) in (0_u16..).zip(lines) {
        pen::line(frame, inner, row, line);
    }
}

/// A text being typed for something.
pub(in super::super) fn text(frame: &mut Frame<'_>, title: &str, line: &LineEdit, theme: &Theme) {
    let inner = pen::popup(frame, 58, 5, title, theme);
    let mut spans = vec![Span::raw(" ")];
    spans.extend(typed(line, usize::from(inner.width).saturating_sub(2), theme));
    pen::line(frame, inner, 1, Line::from(spans));
}

/// A line being typed, with its cursor, as much of it as fits.
pub(super) fn typed(line: &LineEdit, width: usize, theme: &Theme) -> Vec<Span<'static>> {
    let (before, under, behind) = line.parts();
    let skip = (before.chars().count() + 1).saturating_sub(width);
    let before: String = before.chars().skip(skip).collect();
    let room = width.saturating_sub(before.chars().count() + 1);
    let behind: String = behind.chars().take(room).collect();
    vec![
        span(pen::plain(&before, theme), Role::Text, theme),
        span(pen::plain(&under.to_string(), theme), Role::Chosen, theme),
        span(pen::plain(&behind, theme), Role::Text, theme),
    ]
}
