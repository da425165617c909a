//! The pipeline as it runs: how stages are joined, what is full, what was dropped, what takes time.
mod chosen;
mod graph;
mod pools;
mod spark;
mod stages;

use std::{borrow::Cow, time::Duration};

use ratatui::{Frame, layout::Rect};
use wavedeck_plane::Telemetry;

use super::super::{
    rates::edges_into,
    scale,
    scene::Scene,
    theme::{Role, Theme},
    trends::Zero,
};

/// Counters as the view shows them.
struct Shown<'a> {
    /// Since the start, or since a person set them to zero.
    telemetry: Cow<'a, Telemetry>,
    zero: Option<&'a Zero>,
}

impl<'a> Shown<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let (now, zero) = (&scene.snapshot.telemetry, scene.app.zero.as_ref());
        Self { telemetry: zero.map_or(Cow::Borrowed(now), |zero| Cow::Owned(zero.since(now))), zero }
    }

    /// Said in the titles of boxes with counters.
    fn since(&self) -> String {
        self.zero.map_or_else(String::new, |zero| format!(", since {}", scale::time_of_day(zero.unix_ns)))
    }

    /// High-water mark of a queue; with a sign if it was at least that.
    fn high_water(&self, edge: usize) -> String {
        let known = |zero: &Zero| zero.high_water(&self.telemetry, edge);
        let high = self.telemetry.edges.get(edge).map_or(0, |edge| edge.counts.high_water);
        at_least(self.zero.map_or((high, true), known))
    }

    /// The same of a pool.
    fn pool_high_water(&self, pool: usize) -> String {
        let known = |zero: &Zero| zero.pool_high_water(&self.telemetry, pool);
        let high = self.telemetry.pools.get(pool).map_or(0, |pool| pool.high_water);
        at_least(self.zero.map_or((high, true), known))
    }
}

fn at_least((number, is_exact): (u32, bool)) -> String {
    format!("{number}{}", if is_exact { "" } else { "+" })
}

/// Rows of each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rows {
    graph: u16,
    stages: u16,
    pools: u16,
    chosen: u16,
}

impl Rows {
    /// The table gets what its lines need and the rest goes to what is below; with little room the rest goes first.
    fn of(area: Rect, lines: usize, pools: usize) -> Self {
        let side_by_side = is_side_by_side(area);
        let graph = if area.height >= 16 { 2 } else { 0 };
        let rest = area.height - graph;
        let lines = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(3);
        // A third for each at least, as far as there is a third; the table gets more if the others do not need it.
        let pool_rows = u16::try_from(pools + 2).unwrap_or(u16::MAX);
        if rest < 9 {
            return Self { graph, stages: rest, ..Self::default() };
        }
        if side_by_side {
            let below = (rest / 3).max(8.min(rest / 2)).max(rest.saturating_sub(lines));
            return Self { graph, stages: rest - below, pools: below, chosen: below };
        }
        let chosen = (rest / 3).min(6);
        let pools = pool_rows.min((rest - chosen) / 3);
        let stages = rest - chosen - pools;
        let spare = stages.saturating_sub(lines);
        let more_pools = spare.min(pool_rows - pools);
        let more_chosen = spare - more_pools;
        Self { graph, stages: stages - spare, pools: pools + more_pools, chosen: chosen + more_chosen }
    }
}

fn is_side_by_side(area: Rect) -> bool {
    area.width >= 140
}

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let shown = Shown::of(scene);
    let telemetry = &shown.telemetry;
    // Every stage has a line, and one more for each queue after its first.
    let sources = telemetry.stages.iter().filter(|stage| edges_into(scene.snapshot, &stage.id).next().is_none());
    let lines = telemetry.edges.len() + sources.count();
    let rows = Rows::of(area, lines, telemetry.pools.len());
    let graph = Rect { height: rows.graph, ..area };
    let stages = Rect { y: graph.bottom(), height: rows.stages, ..area };
    let below = Rect { y: stages.bottom(), height: area.height - rows.graph - rows.stages, ..area };
    let (pools, chosen) = if is_side_by_side(area) {
        let half = area.width / 2;
        (Rect { width: half, ..below }, Rect { x: below.x + half, width: area.width - half, ..below })
    } else {
        let pools = Rect { height: rows.pools, ..below };
        (pools, Rect { y: pools.bottom(), height: rows.chosen, ..below })
    };
    graph::render(frame, graph, scene, theme);
    stages::render(frame, stages, scene, &shown, theme);
    pools::render(frame, pools, &shown, theme);
    chosen::render(frame, chosen, scene, &shown, theme);
}

/// A time in at most five characters.
fn time(time: Duration) -> String {
    let ns = time.as_secs_f64() * 1e9;
    let (number, unit) = match ns {
        _ if ns < 999.5 => return format!("{ns:.0}ns"),
        _ if ns < 999_500.0 => (ns / 1e3, "µs"),
        _ if ns < 999_500_000.0 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    if number < 9.95 { format!("{number:.1}{unit}") } else { format!("{number:.0}{unit}") }
}

/// How alarming drops at a queue are: a drop policy drops by wish, a queue that must not drop never may.
fn drop_role(dropped: u64, policy: wavedeck_api::link::Overflow) -> Role {
    match (dropped, policy) {
        (0, _) => Role::Text,
        (_, wavedeck_api::link::Overflow::Block) => Role::Alarm,
        _ => Role::Warn,
    }
}

#[cfg(test)]
#[path = "pipeline/tests.rs"]
mod tests;
