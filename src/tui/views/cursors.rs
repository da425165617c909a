//! Lines to measure with, over the waves, and what they measure.
use ratatui::{Frame, layout::Rect};

use super::super::{
    history::History,
    scale,
    scene::Scene,
    sweep::Sweep,
    theme::{Role, Theme},
};

/// Draws a line at each cursor where no wave is.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, sweep: &Sweep, theme: &Theme) {
    let Some(cursors) = scene.app.looking.cursors else { return };
    let moments = [(cursors.from, Role::Dim), (Some(cursors.at), Role::Key)];
    for (at, role) in moments.into_iter().filter_map(|(at, role)| Some((at?, role))) {
        let Some(dot) = sweep.column_of(at as u64) else { continue };
        let x = area.x + u16::try_from(dot / 2).unwrap_or(u16::MAX);
        for y in area.y..area.bottom() {
            if let Some(cell) = frame.buffer_mut().cell_mut((x, y)).filter(|cell| cell.symbol() == " ") {
                cell.set_symbol(theme.signs().cursor).set_style(theme.style(role));
            }
        }
    }
}

/// Where the cursors are, what the chosen channel is there, and what lies between.
pub(super) fn text(scene: &Scene<'_>, history: &History, theme: &Theme) -> Option<String> {
    let cursors = scene.app.looking.cursors?;
    let chosen = scene.app.lanes.chosen;
    let channel = history.spec().channels.get(chosen)?;
    let value = |at: f64| history.value_at(chosen, at as u64);
    let shown = |value: Option<f64>| {
        value.map_or_else(
            || theme.signs().unknown.to_owned(),
            |value| scale::value(value, &channel.unit, theme.is_plain()),
        )
    };
    let ago = |at: f64| (history.end() as f64 - at) / history.rate_hz();
    let name = scene.app.lanes.order.name(chosen, &channel.name);
    let here = format!("{name} {} at -{:.3} s", shown(value(cursors.at)), ago(cursors.at));
    let Some(from) = cursors.from else { return Some(format!("{here}   Enter measures from here")) };
    let time = (cursors.at - from) / history.rate_hz();
    let per_s = if time == 0.0 { String::new() } else { format!(" ({})", scale::hertz(1.0 / time.abs())) };
    let delta = value(cursors.at).zip(value(from)).map(|(to, from)| to - from);
    let sign = if theme.is_plain() { "d" } else { "\u{394}" };
    Some(format!("{here}   {sign}t {time:+.3} s{per_s}   {sign} {}", shown(delta)))
}
