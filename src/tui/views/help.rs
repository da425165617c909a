//! The list of keys, from the action table: what it says is what keys do.
use ratatui::{Frame, text::Line};

use super::super::{
    action::{Action, Entry, Places},
    app::View,
    bindings::table,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};

/// Columns of the keys.
const KEYS: usize = 13;

pub(in super::super) fn render(frame: &mut Frame<'_>, scroll: usize, scene: &Scene<'_>, theme: &Theme) {
    let lines = lines(scene, theme);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let rows = usize::from(height.min(frame.area().height.saturating_sub(1)).saturating_sub(2));
    let first = scroll.min(lines.len().saturating_sub(rows));
    let title = if rows < lines.len() {
        format!("Keys, lines {}-{} of {}: Up and Down scroll, Esc closes", first + 1, first + rows, lines.len())
    } else {
        "Keys: Esc closes".to_owned()
    };
    let inner = pen::popup(frame, 80, height, &title, theme);
    for (row, line) in (0_u16..).zip(lines.into_iter().skip(first).take(rows)) {
        pen::line(frame, inner, row, line);
    }
}

fn lines(scene: &Scene<'_>, theme: &Theme) -> Vec<Line<'static>> {
    let is_replay = scene.snapshot.transport.is_some();
    let here = Places::of(scene.app.view);
    let mut lines = Vec::new();
    let mut section = |title: String, fits: &dyn Fn(&Entry) -> bool| {
        let entries: Vec<&Entry> =
            table().iter().filter(|e| e.when.fits(is_replay) && fits(e) && !is_told_before(e)).collect();
        if entries.is_empty() {
            return;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::from(span(format!(" {title}"), Role::Title, theme)));
        lines.extend(entries.into_iter().map(|entry| line(entry, theme)));
    };
    let everywhere = |e: &Entry| e.places == Places::VIEWS;
    section(format!("{} (this view)", scene.app.view.name()), &|e| e.places.meets(here) && !everywhere(e));
    section("Everywhere".into(), &everywhere);
    for view in View::ALL.into_iter().filter(|view| *view != scene.app.view) {
        let place = Places::of(view);
        section(view.name().into(), &|e| e.places.meets(place) && !everywhere(e));
    }
    for (title, place) in [
        ("Monitor with cursors", Places::CURSORS),
        ("Finish?", Places::ASK_FINISH),
        ("Quit?", Places::ASK_QUIT),
        ("Help", Places::HELP),
    ] {
        section(title.into(), &|e| e.places.meets(place));
    }
    lines
}

/// The keys of markers are one line.
fn is_told_before(entry: &Entry) -> bool {
    matches!(entry.action, Action::MarkWithKey(2..))
}

fn line(entry: &Entry, theme: &Theme) -> Line<'static> {
    let mut keys: Vec<String> = entry.keys.iter().map(|key| key.label(theme.is_plain())).collect();
    if matches!(entry.action, Action::MarkWithKey(_)) {
        keys.push("to F9".to_owned());
    }
    Line::from(vec![
        span(format!("  {} ", pen::left(&keys.join(" "), KEYS, theme)), Role::Key, theme),
        span(entry.help, Role::Text, theme),
    ])
}
