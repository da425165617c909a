//! Beside the waves where there is room: numbers of the chosen channel, queues and pools.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::super::{
    history::{Flag, Why},
    lanes::Middle,
    pen::{self, span},
    rates, scale,
    scene::Scene,
    theme::{Role, Theme},
};

/// Rows of the box for the channel, its frame included.
const CHANNEL_ROWS: u16 = 10;
/// Rows of the box for the spectrum at most.
const SPECTRUM_ROWS: u16 = 13;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let channel = Rect { height: CHANNEL_ROWS.min(area.height), ..area };
    self::channel(frame, channel, scene, theme);
    let rest = Rect { y: channel.bottom(), height: area.height.saturating_sub(channel.height), ..area };
    // The queues need their rows first.
    let telemetry = &scene.snapshot.telemetry;
    let queues = u16::try_from(telemetry.edges.len() + telemetry.pools.len() + 2).unwrap_or(u16::MAX);
    let spare = rest.height.saturating_sub(queues).min(SPECTRUM_ROWS);
    let spectrum = Rect { height: if spare >= 7 { spare } else { 0 }, ..rest };
    if spectrum.height > 0 {
        let inner = pen::boxed(frame, spectrum, "Spectrum", theme);
        super::spectrum::small(frame, inner, scene, theme);
    }
    let rest = Rect { y: spectrum.bottom(), height: rest.height - spectrum.height, ..rest };
    if rest.height > 2 {
        pipeline(frame, rest, scene, theme);
    }
}

fn channel(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let lanes = &scene.app.lanes;
    let spec = scene.history.and_then(|history| history.spec().channels.get(lanes.chosen));
    let Some((spec, lane)) = spec.zip(lanes.all.get(lanes.chosen)) else {
        pen::boxed(frame, area, "Channel", theme);
        return;
    };
    let inner = pen::boxed(
        frame,
        area,
        &format!("Channel {}: {}", lanes.chosen + 1, lanes.order.name(lanes.chosen, &spec.name)),
        theme,
    );
    let plain = theme.is_plain();
    let value = |value: Option<f64>| {
        value.map_or_else(|| theme.signs().unknown.to_owned(), |value| scale::value(value, &spec.unit, plain))
    };
    let numbers = scene.readout.chosen;
    let pairs = [
        ("now", value(scene.readout.value(lanes.chosen)), "mean", value(numbers.map(|n| n.mean))),
        ("min", value(numbers.map(|n| n.min)), "max", value(numbers.map(|n| n.max))),
        ("rms", unsigned(&value(numbers.map(|n| n.rms))), "pk-pk", unsigned(&value(numbers.map(|n| n.max - n.min)))),
    ];
    for (row, (left, first, right, second)) in (0_u16..).zip(pairs) {
        let line = Line::from(vec![
            span(format!(" {left:<6}"), Role::Dim, theme),
            span(pen::left(&first, 13, theme), Role::Lane(lanes.chosen), theme),
            span(format!("{right:<6}"), Role::Dim, theme),
            span(pen::left(&second, 13, theme), Role::Lane(lanes.chosen), theme),
        ]);
        pen::line(frame, inner, row, line);
    }
    let middle = match lanes.middle {
        Middle::Zero => "0".to_owned(),
        Middle::Recent => scale::value(lane.middle, &spec.unit, plain),
    };
    let lost = scene.history.map_or(0, |history| history.missing(Why::Lost));
    let range = spec.range.map_or_else(
        || theme.signs().unknown.to_owned(),
        |(low, high)| format!("{} .. {}", scale::value(low, &spec.unit, plain), scale::value(high, &spec.unit, plain)),
    );
    let lines = [
        ("lane", format!("{} high, middle {middle}", scale::scale(lane.scale, &spec.unit, plain)), Role::Text),
        ("over", format!("the last {} s", lanes.seconds()), Role::Text),
        ("range", range, Role::Text),
        ("lost", format!("{lost} samples here"), if lost > 0 { Role::Bad } else { Role::Text }),
    ];
    for (row, (name, text, role)) in (4_u16..).zip(lines) {
        let text = pen::fit(&text, usize::from(inner.width).saturating_sub(8), theme);
        pen::line(
            frame,
            inner,
            row,
            Line::from(vec![span(format!(" {name:<6}"), Role::Dim, theme), span(text, role, theme)]),
        );
    }
    if scene.readout.flag(lanes.chosen) == Some(Flag::Clip) {
        let alarm = span(" CLIP! the signal is at the end of its range ", Role::Alarm, theme);
        pen::line(frame, inner, 3, Line::from(alarm));
    }
}

fn unsigned(text: &str) -> String {
    text.trim_start_matches('+').to_owned()
}

fn pipeline(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let inner = pen::boxed(frame, area, "Queues and pools", theme);
    let telemetry = &scene.snapshot.telemetry;
    let mut row = 0;
    let mut put = |name: String, used: u64, of: u32, note: (String, Role)| {
        let share = used as f64 / f64::from(of.max(1));
        let mut spans = vec![span(format!(" {} ", pen::left(&name, 14, theme)), Role::Text, theme)];
        spans.extend(pen::gauge(share, 10, pen::fill_role(share), theme));
        spans.push(span(pen::right(&format!("{used}/{of}"), 8, theme), Role::Text, theme));
        spans.extend([Span::raw(" "), span(note.0, note.1, theme)]);
        pen::line(frame, inner, row, Line::from(spans));
        row += 1;
    };
    for edge in &telemetry.edges {
        let dropped = edge.counts.dropped_packets;
        let note = if dropped > 0 { (format!("-{dropped}"), Role::Warn) } else { (String::new(), Role::Dim) };
        let (from, to) = rates::ends(&edge.id);
        let name = format!("{}{}{to}", pen::fit(from, 6, theme), if theme.is_plain() { ">" } else { "→" });
        put(name, edge.counts.in_flight_packets, edge.capacity, note);
    }
    for pool in &telemetry.pools {
        let note = match pool.misses {
            0 => (String::new(), Role::Dim),
            misses => (format!("-{misses}"), Role::Bad),
        };
        put(format!("pool {}", pool.name), u64::from(pool.in_use), pool.capacity, note);
    }
}
