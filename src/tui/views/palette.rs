//! What can be done, found by typing.
use ratatui::{Frame, text::Line};

use super::super::{
    palette::Palette,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};

/// Columns and rows of the list, its frame included.
const WIDTH: u16 = 76;
const ROWS: u16 = 16;
/// Columns of the keys.
const KEYS: usize = 11;

pub(in super::super) fn render(frame: &mut Frame<'_>, palette: &Palette, scene: &Scene<'_>, theme: &Theme) {
    let inner = pen::popup(frame, WIDTH, ROWS, "What to do: type, Enter does it, Esc leaves", theme);
    let width = usize::from(inner.width);
    let (before, at, after) = palette.line.parts();
    pen::line(
        frame,
        inner,
        0,
        Line::from(vec![
            span(" : ", Role::Key, theme),
            span(before, Role::Text, theme),
            span(at.to_string(), Role::Chosen, theme),
            span(after, Role::Text, theme),
        ]),
    );
    let found = palette.found(scene.app, scene.snapshot);
    if found.is_empty() {
        pen::line(frame, inner, 1, Line::from(span(" nothing of that name can be done here", Role::Dim, theme)));
    }
    let rows = usize::from(inner.height.saturating_sub(1));
    let first = pen::first_visible(palette.chosen, found.len(), rows);
    for (row, (at, entry)) in (1_u16..).zip(found.iter().enumerate().skip(first).take(rows)) {
        let keys: Vec<String> = entry.keys.iter().map(|key| key.label(theme.is_plain())).collect();
        let why = (entry.enabled)(scene.app, scene.snapshot).err();
        let text = why.map_or_else(|| entry.help.to_owned(), |why| format!("{} ({why})", entry.help));
        let is_chosen = at == palette.chosen;
        let sign = if is_chosen { theme.signs().chosen } else { " " };
        let role = match (is_chosen, why) {
            (true, _) => Role::Chosen,
            (false, Some(_)) => Role::Dim,
            (false, None) => Role::Text,
        };
        let keys = pen::left(&keys.join(" "), KEYS, theme);
        let text = pen::left(&text, width.saturating_sub(KEYS + 3), theme);
        pen::line(
            frame,
            inner,
            row,
            Line::from(vec![span(format!("{sign} {keys} "), Role::Key, theme), span(text, role, theme)]),
        );
    }
}
