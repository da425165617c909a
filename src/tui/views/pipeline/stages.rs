//! The table of stages, each with the queues that lead to it.
use std::time::Duration;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_plane::{EdgeTelemetry, StageState, StageTelemetry};

use super::{
    super::super::{
        pen::{self, span},
        rates::ends,
        scene::Scene,
        theme::{Role, Theme},
        trends::RECENT,
    },
    Shown, drop_role, time,
};

/// Columns that are there, and how wide those are that get wider where there is room.
#[derive(Clone, Copy)]
struct Columns {
    stage: usize,
    from: usize,
    gauge: usize,
    has_median: bool,
    has_worst: bool,
    has_high: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        let all = Self { stage: 10, from: 0, gauge: 8, has_median: true, has_worst: false, has_high: true };
        match width {
            170.. => Self { stage: 24, from: 20, gauge: 34, has_worst: true, ..all },
            140..170 => Self { stage: 20, from: 14, gauge: 24, has_worst: true, ..all },
            100..140 => Self { stage: 14, from: 10, gauge: 14, ..all },
            78..100 => all,
            _ => Self { stage: 8, gauge: 0, has_median: false, has_high: false, ..all },
        }
    }

    /// Columns before the queue: margin and mark, name, state, rate, load, times.
    fn before_queue(&self) -> usize {
        let times = 1 + usize::from(self.has_median) + usize::from(self.has_worst);
        3 + self.stage + 1 + 7 + 8 + 6 + 6 * times + 1
    }
}

/// The lines of all stages.
struct Table<'a> {
    scene: &'a Scene<'a>,
    shown: &'a Shown<'a>,
    columns: Columns,
    theme: &'a Theme,
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, shown: &Shown<'_>, theme: &Theme) {
    let table = Table { scene, shown, columns: Columns::of(area.width), theme };
    let telemetry = &shown.telemetry;
    let mut lines = Vec::new();
    let mut first_of = Vec::new();
    for (index, stage) in telemetry.stages.iter().enumerate() {
        first_of.push(lines.len());
        let mut edges = telemetry.edges.iter().enumerate().filter(|(_, edge)| ends(&edge.id).1 == &*stage.id);
        lines.push(table.stage(index, stage, edges.next()));
        lines.extend(edges.map(|edge| table.further_queue(edge)));
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
    let title = format!("Stages{}{more}", shown.since());
    let inner = pen::boxed(frame, area, &title, theme);
    pen::line(frame, inner, 0, table.head());
    for (row, line) in (1_u16..).zip(lines.into_iter().skip(first).take(rows)) {
        pen::line(frame, inner, row, line);
    }
}

impl Table<'_> {
    fn head(&self) -> Line<'static> {
        let columns = self.columns;
        let name = pen::left("   stage", 3 + columns.stage, self.theme);
        let mut text = format!("{name} {:<7} {:>7} {:>5}", "state", "pkt/s", "cpu");
        if columns.has_median {
            text.push_str("   p50");
        }
        text.push_str("   p99");
        if columns.has_worst {
            text.push_str(" worst");
        }
        text.push(' ');
        if columns.from > 0 {
            text.push_str(&format!(" {:<1$}", "from", columns.from));
        }
        text.push_str(&format!(" {:<1$}{2:>7}", "queue", columns.gauge, "n/cap"));
        if columns.gauge == 0 {
            text = text.replace("queue", "").trim_end_matches("n/cap").trim_end().to_owned();
            text = format!("{:<1$} {2:>7}", text, columns.before_queue(), "n/cap");
        }
        text.push_str(if columns.has_high { "  high  drop" } else { "  drop" });
        Line::from(span(text, Role::Dim, self.theme))
    }

    fn stage(&self, index: usize, stage: &StageTelemetry, edge: Option<(usize, &EdgeTelemetry)>) -> Line<'static> {
        let (scene, theme, columns) = (self.scene, self.theme, self.columns);
        let is_chosen = index == scene.app.stage;
        let rate = scene.rates.stages.get(index);
        let unknown = || theme.signs().unknown.to_owned();
        let packets = rate.map_or_else(unknown, |rate| format!("{:.1}", rate.packets_per_s));
        let load = rate.and_then(|rate| rate.load).map_or_else(unknown, |load| format!("{:.1}%", load * 100.0));
        let recent = scene.rates.trends.recent_times(&scene.snapshot.telemetry, index);
        // Waiting for a device says nothing about the stage.
        let share = |share| recent.percentile_within(share, stage.worst).filter(|_| !stage.waits);
        let worst = Some(stage.worst).filter(|_| !stage.waits);
        let written = |took: Option<Duration>| {
            let text = took.map_or_else(unknown, time);
            format!(" {:>5}", pen::plain(&text, theme))
        };
        let (state, role) = state(stage.state);
        let mark = if is_chosen { theme.signs().chosen } else { " " };
        let name = format!(" {mark} {}", pen::left(&pen::plain(&stage.id, theme), columns.stage, theme));
        let mut numbers = format!(" {:>7} {:>5}", pen::fit(&packets, 7, theme), pen::fit(&load, 5, theme));
        if columns.has_median {
            numbers.push_str(&written(share(0.5)));
        }
        numbers.push_str(&written(share(0.99)));
        if columns.has_worst {
            numbers.push_str(&written(worst));
        }
        numbers.push(' ');
        let mut spans = vec![
            span(name, if is_chosen { Role::Title } else { Role::Text }, theme),
            Span::raw(" "),
            span(pen::left(state, 7, theme), role, theme),
            Span::raw(numbers),
        ];
        match edge {
            Some(edge) => {
                if columns.from > 0 {
                    let from = pen::left(&pen::plain(ends(&edge.1.id).0, theme), columns.from, theme);
                    spans.push(span(format!(" {from}"), Role::Dim, theme));
                }
                spans.extend(self.queue(edge));
            }
            None => spans.push(span(" (source)", Role::Dim, theme)),
        }
        Line::from(spans)
    }

    /// A line for a queue of a stage that has one already.
    fn further_queue(&self, edge: (usize, &EdgeTelemetry)) -> Line<'static> {
        let (theme, columns) = (self.theme, self.columns);
        let from = pen::plain(ends(&edge.1.id).0, theme);
        let before = columns.before_queue();
        let lead = if columns.from > 0 {
            format!("{} {}", " ".repeat(before), pen::left(&from, columns.from, theme))
        } else {
            // Without a column of its own the origin stands where the stage has its name.
            pen::left(&format!("     from {from}"), before, theme)
        };
        let mut spans = vec![span(lead, Role::Dim, theme)];
        spans.extend(self.queue(edge));
        Line::from(spans)
    }

    fn queue(&self, (index, edge): (usize, &EdgeTelemetry)) -> Vec<Span<'static>> {
        let theme = self.theme;
        let counts = &edge.counts;
        let share = counts.in_flight_packets as f64 / f64::from(edge.capacity.max(1));
        let mut spans = vec![Span::raw(" ")];
        if self.columns.gauge > 0 {
            spans.extend(pen::gauge(share, self.columns.gauge, pen::fill_role(share), theme));
        }
        let n = format!("{}/{}", counts.in_flight_packets, edge.capacity);
        spans.push(span(pen::right(&n, 7, theme), Role::Text, theme));
        if self.columns.has_high {
            spans.push(span(pen::right(&self.shown.high_water(index), 6, theme), Role::Text, theme));
        }
        let dropped = pen::right(&counts.dropped_packets.to_string(), 5, theme);
        spans.extend([Span::raw(" "), span(dropped, drop_role(counts.dropped_packets, edge.policy), theme)]);
        spans
    }
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

/// What the columns of call times mean.
pub(super) fn times_note() -> String {
    format!("p50, p99: of the calls in the last {RECENT} s")
}
