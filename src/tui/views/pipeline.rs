//! Every stage with the queues that lead to it, and the pools: what is full, what was dropped, what takes time.
use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_api::link::Overflow;
use wavedeck_plane::{EdgeTelemetry, PoolTelemetry, StageState, StageTelemetry};

use super::super::{
    pen::{self, span},
    rates::{edges_into, ends},
    scale,
    scene::Scene,
    theme::{Role, Theme},
};

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let pools = scene.snapshot.telemetry.pools.len();
    let detail_rows = 6.min(area.height / 3);
    let pool_rows = u16::try_from(pools + 2).unwrap_or(u16::MAX).min((area.height - detail_rows) / 3);
    let stages = Rect { height: area.height - detail_rows - pool_rows, ..area };
    let pool_area = Rect { y: stages.bottom(), height: pool_rows, ..area };
    let detail = Rect { y: pool_area.bottom(), height: detail_rows, ..area };
    stage_table(frame, stages, scene, theme);
    pool_table(frame, pool_area, scene, theme);
    chosen(frame, detail, scene, theme);
}

fn stage_table(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let telemetry = &scene.snapshot.telemetry;
    let mut lines = Vec::new();
    let mut first_of = Vec::new();
    for (index, stage) in telemetry.stages.iter().enumerate() {
        first_of.push(lines.len());
        let mut edges = edges_into(scene.snapshot, &stage.id);
        lines.push(stage_line(index, stage, edges.next(), scene, area.width, theme));
        lines.extend(edges.map(|edge| {
            let mut spans = vec![Span::raw(" ".repeat(Columns::of(area.width).before_queue()))];
            spans.extend(edge_spans(edge, area.width, theme));
            Line::from(spans)
        }));
    }
    let rows = usize::from(area.height.saturating_sub(3));
    let chosen = first_of.get(scene.app.stage).copied().unwrap_or(0);
    // The queues of the chosen stage should be visible with it.
    let last = first_of.get(scene.app.stage + 1).map_or(lines.len(), |next| *next).saturating_sub(1);
    let first = pen::first_visible(last, lines.len(), rows).min(chosen);
    let more = if lines.len() > rows {
        format!("  {}-{} of {}", first + 1, (first + rows).min(lines.len()), lines.len())
    } else {
        String::new()
    };
    let inner = pen::boxed(frame, area, &format!("Stages{more}"), theme);
    let columns = Columns::of(area.width);
    let head = format!(
        "{} {} {:>7} {:>5} {:>7}  {:<f$} {:<g$}{:>7} high drop",
        pen::left("   stage", 3 + columns.stage, theme),
        pen::left("state", 7, theme),
        "pkt/s",
        "cpu",
        "worst",
        "from",
        "queue",
        "n/cap",
        f = columns.from,
        g = columns.gauge,
    );
    pen::line(frame, inner, 0, Line::from(span(head, Role::Dim, theme)));
    for (row, line) in (1_u16..).zip(lines.into_iter().skip(first).take(rows)) {
        pen::line(frame, inner, row, line);
    }
}

/// Columns that get wider where there is room.
struct Columns {
    stage: usize,
    from: usize,
    gauge: usize,
}

impl Columns {
    fn of(width: u16) -> Self {
        match width {
            140.. => Self { stage: 24, from: 24, gauge: 34 },
            100..140 => Self { stage: 16, from: 12, gauge: 14 },
            _ => Self { stage: 10, from: 7, gauge: 8 },
        }
    }

    /// Columns before the queue: margin and mark, name, state, rate, load, worst, and what is between them.
    fn before_queue(&self) -> usize {
        3 + self.stage + 1 + 7 + 1 + 7 + 1 + 5 + 1 + 7 + 2
    }
}

fn stage_line(
    index: usize,
    stage: &StageTelemetry,
    edge: Option<&EdgeTelemetry>,
    scene: &Scene<'_>,
    width: u16,
    theme: &Theme,
) -> Line<'static> {
    let is_chosen = index == scene.app.stage;
    let rate = scene.rates.stages.get(index);
    let unknown = || theme.signs().unknown.to_owned();
    let packets = rate.map_or_else(unknown, |rate| format!("{:.1}", rate.packets_per_s));
    let load = rate.and_then(|rate| rate.load).map_or_else(unknown, |load| format!("{:.1}%", load * 100.0));
    let worst = if stage.waits { unknown() } else { milliseconds(stage.worst) };
    let (state, role) = state(stage.state);
    let mark = if is_chosen { theme.signs().chosen } else { " " };
    let name = format!(" {mark} {}", pen::left(&pen::plain(&stage.id, theme), Columns::of(width).stage, theme));
    let mut spans = vec![
        span(name, if is_chosen { Role::Title } else { Role::Text }, theme),
        Span::raw(" "),
        span(pen::left(state, 7, theme), role, theme),
        Span::raw(format!(" {:>7} {:>5} {:>7}  ", pen::fit(&packets, 7, theme), load, worst)),
    ];
    match edge {
        Some(edge) => spans.extend(edge_spans(edge, width, theme)),
        None => spans.push(span("(source)", Role::Dim, theme)),
    }
    Line::from(spans)
}

fn edge_spans(edge: &EdgeTelemetry, width: u16, theme: &Theme) -> Vec<Span<'static>> {
    let counts = &edge.counts;
    let share = counts.in_flight_packets as f64 / f64::from(edge.capacity.max(1));
    let (from, _) = ends(&edge.id);
    let dropped = counts.dropped_packets;
    // A drop policy drops by wish; a queue that must not drop never may.
    let drop_role = match (dropped, edge.policy) {
        (0, _) => Role::Text,
        (_, Overflow::Block) => Role::Alarm,
        _ => Role::Warn,
    };
    let columns = Columns::of(width);
    let from = pen::left(&pen::plain(from, theme), columns.from, theme);
    let mut spans = vec![span(format!("{from} "), Role::Dim, theme)];
    spans.extend(pen::gauge(share, columns.gauge, pen::fill_role(share), theme));
    spans.extend([
        span(pen::right(&format!("{}/{}", counts.in_flight_packets, edge.capacity), 7, theme), Role::Text, theme),
        span(pen::right(&counts.high_water.to_string(), 5, theme), Role::Text, theme),
        Span::raw(" "),
        span(format!("{dropped:>3} "), drop_role, theme),
    ]);
    spans
}

fn state(state: StageState) -> (&'static str, Role) {
    match state {
        StageState::Waiting => ("waiting", Role::Dim),
        StageState::Starting => ("start", Role::Text),
        StageState::Running => ("run", Role::Good),
        StageState::Finishing => ("finish", Role::Text),
        StageState::Done => ("done", Role::Dim),
        StageState::Failed => ("FAILED", Role::Alarm),
    }
}

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms >= 100.0 { format!("{ms:.0} ms") } else { format!("{ms:.1} ms") }
}

fn pool_table(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let pools = &scene.snapshot.telemetry.pools;
    let rows = usize::from(area.height.saturating_sub(2));
    if rows == 0 {
        return;
    }
    // The fullest first: with many pools the others are as good as out of sight.
    let mut by_fill: Vec<&PoolTelemetry> = pools.iter().collect();
    if pools.len() > rows {
        by_fill.sort_by(|a, b| share(b).total_cmp(&share(a)));
    }
    let more = if pools.len() > rows { format!(", fullest {rows} of {}", pools.len()) } else { String::new() };
    let inner = pen::boxed(frame, area, &format!("Pools{more}"), theme);
    for (row, pool) in (0_u16..).zip(by_fill.into_iter().take(rows)) {
        let share = share(pool);
        let each = pool.bytes as f64 / f64::from(pool.capacity.max(1));
        let misses = if pool.misses > 0 { Role::Bad } else { Role::Dim };
        let mut spans =
            vec![span(format!("   {} ", pen::left(&pen::plain(&pool.name, theme), 14, theme)), Role::Text, theme)];
        spans.extend(pen::gauge(share, 14, pen::fill_role(share), theme));
        spans.extend([
            span(pen::right(&pen::percent(share), 5, theme), Role::Text, theme),
            span(pen::right(&format!("{}/{}", pool.in_use, pool.capacity), 10, theme), Role::Text, theme),
            span(format!(" x {:<8}", scale::bytes(each)), Role::Dim, theme),
            span(format!("high {:<5}", pool.high_water), Role::Text, theme),
            span(format!("misses {}", pool.misses), misses, theme),
        ]);
        pen::line(frame, inner, row, Line::from(spans));
    }
}

fn share(pool: &PoolTelemetry) -> f64 {
    f64::from(pool.in_use) / f64::from(pool.capacity.max(1))
}

fn chosen(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let snapshot = scene.snapshot;
    let Some(stage) = snapshot.telemetry.stages.get(scene.app.stage) else { return };
    if area.height < 3 {
        return;
    }
    let title = format!("{} ({}) on thread {}", stage.id, stage.kind, stage.thread);
    let inner = pen::boxed(frame, area, &title, theme);
    let width = usize::from(inner.width);
    let summary = snapshot.stages.iter().find(|s| s.id == stage.id).map_or("", |s| s.summary);
    let summary = pen::fit(&format!(" {}", pen::plain(summary, theme)), width, theme);
    let mut lines = vec![Line::from(span(summary, Role::Text, theme))];
    for (port, counts) in &stage.outputs {
        let lost = counts.lost_device + counts.lost_overrun;
        let text = format!(" {port}: {} samples sent, lost: ", counts.sent_samples);
        let loss = format!("device {}, no buffer {}", counts.lost_device, counts.lost_overrun);
        lines.push(Line::from(vec![
            span(text, Role::Text, theme),
            span(loss, if lost > 0 { Role::Bad } else { Role::Dim }, theme),
        ]));
    }
    for edge in edges_into(snapshot, &stage.id) {
        let policy = match edge.policy {
            Overflow::Block => "never drops",
            Overflow::DropOldest => "drops the oldest when full",
            Overflow::DropNewest => "drops the newest when full",
        };
        let counts = &edge.counts;
        let text = format!(
            " {}: {} samples taken, {} dropped; {policy}",
            edge.id, counts.consumed_samples, counts.dropped_samples
        );
        lines.push(Line::from(span(pen::fit(&pen::plain(&text, theme), width, theme), Role::Dim, theme)));
    }
    for (row, line) in (0_u16..).zip(lines) {
        pen::line(frame, inner, row, line);
    }
}
