//! The bar under a replay: where it stands in the recording, how much moves where, where markers, gaps and a loop are.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_api::handle::TransportStatus;

use super::super::{
    mouse::Click,
    pen::{self, span},
    replaying::speed_name,
    scale::{self, Tenths},
    scene::Scene,
    theme::{Role, Theme},
};
use crate::overview::Heights;

/// Two rows: the bar, in it how much moves where, and what lies near. With a third row that is shown over the bar.
pub(in super::super) fn render(
    frame: &mut Frame<'_>,
    area: Rect,
    transport: &TransportStatus,
    scene: &Scene<'_>,
    theme: &Theme,
) {
    let signs = theme.signs();
    let duration = transport.duration_s.max(1e-9);
    let share = (transport.position_s / duration).clamp(0.0, 1.0);
    let percent = format!(" {:>4}", format!("{}%", (share * 100.0).floor()));
    let width = usize::from(area.width).saturating_sub(3 + percent.len());
    if width < 3 {
        return;
    }
    let moves = moves(scene.overview, width, theme);
    let has_row = area.height > 2;
    let mut row = 0;
    if has_row {
        let spans = moves.iter().map(|sign| span(sign.unwrap_or(" "), Role::Text, theme));
        let spans = std::iter::once(span("  ", Role::Dim, theme)).chain(spans);
        pen::line(frame, area, row, Line::from(spans.collect::<Vec<_>>()));
        row += 1;
    }
    let mut cells: Vec<_> =
        moves.iter().map(|sign| (sign.filter(|_| !has_row).unwrap_or(signs.line), Role::Dim)).collect();
    let place = |seconds: f64| ((seconds / duration).clamp(0.0, 1.0) * (width - 1) as f64).round() as usize;
    for (seconds, length) in transport.gaps.iter() {
        for cell in &mut cells[place(*seconds)..=place(seconds + length)] {
            *cell = (signs.gap, Role::Bad);
        }
    }
    for (seconds, _) in transport.markers.iter() {
        cells[place(*seconds)] = (signs.marker, Role::Warn);
    }
    if let Some((begin, end)) = transport.loop_s {
        cells[place(begin)] = ("A", Role::Key);
        cells[place(end)] = ("B", Role::Key);
    }
    cells[place(transport.position_s)] = (signs.scrub.2, Role::Title);
    let mut spans = vec![span(format!(" {}", signs.scrub.0), Role::Dim, theme)];
    spans.extend(cells.into_iter().map(|(sign, role)| span(sign, role, theme)));
    spans.push(span(signs.scrub.1, Role::Dim, theme));
    spans.push(span(percent, Role::Text, theme));
    pen::line(frame, area, row, Line::from(spans));
    let bar = Rect { x: area.x + 2, width: u16::try_from(width).unwrap_or(u16::MAX), height: row + 1, ..area };
    scene.regions.add(bar.intersection(frame.area()), Click::Scrub);
    pen::line(frame, area, row + 1, below(transport, usize::from(area.width), theme));
}

/// For each column how much moves there, as a sign; `None` where nothing is known.
fn moves(overview: Option<&Heights>, width: usize, theme: &Theme) -> Vec<Option<&'static str>> {
    let heights = overview.map_or_else(Default::default, |overview| &*overview.parts);
    let signs = theme.signs().heights;
    let column = |at: usize| {
        let parts = at * heights.len() / width..((at + 1) * heights.len()).div_ceil(width);
        let height = heights
            .get(parts)?
            .iter()
            .flatten()
            .copied()
            .fold(None, |most: Option<f32>, height| Some(most.map_or(height, |most| most.max(height))))?;
        let level = (height.clamp(0.0, 1.0) * signs.len() as f32) as usize;
        Some(signs[level.min(signs.len() - 1)])
    };
    (0..width).map(column).collect()
}

fn below(transport: &TransportStatus, width: usize, theme: &Theme) -> Line<'static> {
    let signs = theme.signs();
    let sign = if transport.playing { signs.play } else { signs.paused };
    let position = scale::clock(transport.position_s, Tenths::Shown);
    let length = scale::clock(transport.duration_s, Tenths::Hidden);
    // Who steps from frame to frame wants to know where that is.
    let sample = if transport.playing { String::new() } else { format!("  sample {}", transport.sample) };
    let repeat = transport.loop_s.map_or_else(String::new, |(begin, end)| {
        let clock = |seconds| scale::clock(seconds, Tenths::Shown);
        format!("  A {} B {}", clock(begin), clock(end))
    });
    let head = format!(" {sign} {position} of {length}  {}{sample}{repeat}", speed_name(transport.speed));
    let mut room = width.saturating_sub(head.chars().count());
    let mut spans = vec![span(head, Role::Text, theme)];
    let gaps = transport.gaps.len();
    let lost: f64 = transport.gaps.iter().map(|gap| gap.1).sum();
    let gaps = match gaps {
        0 => (format!("   {} 0 gaps", signs.gap), Role::Dim),
        1 => (format!("   {} 1 gap, {lost:.2} s", signs.gap), Role::Bad),
        _ => (format!("   {} {gaps} gaps, {lost:.2} s", signs.gap), Role::Bad),
    };
    room = room.saturating_sub(gaps.0.chars().count());
    spans.push(span(gaps.0, gaps.1, theme));
    // The marker passed last and those to come, as many as fit.
    let passed = transport.markers.iter().filter(|marker| marker.0 <= transport.position_s).count();
    for (seconds, label) in transport.markers.iter().skip(passed.saturating_sub(1)) {
        let time = scale::clock(*seconds, Tenths::Hidden);
        let text = format!("   {} {time} {}", signs.marker, pen::fit(&pen::plain(label, theme), 16, theme));
        if text.chars().count() > room {
            break;
        }
        room -= text.chars().count();
        spans.push(span(text, Role::Warn, theme));
    }
    spans.push(Span::raw(""));
    Line::from(spans)
}
