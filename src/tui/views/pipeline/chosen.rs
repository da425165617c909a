//! The chosen stage: its queues and its rate over the last minute, its calls, its losses.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_api::link::Overflow;
use wavedeck_plane::{EdgeTelemetry, StageTelemetry};

use super::{
    super::super::{
        pen::{self, span},
        rates::ends,
        scene::Scene,
        theme::{Role, Theme},
        trends::{RECENT, SECONDS},
    },
    Shown, drop_role,
    spark::spark,
    time,
};

/// Columns of the name before a row of signs, with little room and with much.
const NAME: (usize, usize) = (10, 22);
/// Columns of the numbers behind it.
const NUMBERS: usize = 34;

/// Rows of signs at most for each history, where there is room.
const TALLEST: usize = 6;

/// A line, and how urgent it is to show it where there is no room for all: 0 goes first.
struct Row {
    rank: u8,
    lines: Vec<Line<'static>>,
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, shown: &Shown<'_>, theme: &Theme) {
    let index = scene.app.stage;
    let Some(stage) = shown.telemetry.stages.get(index) else { return };
    if area.height < 3 {
        return;
    }
    let title = format!("{} ({}) on thread {}, last {SECONDS} s", stage.id, stage.kind, stage.thread);
    let inner = pen::boxed(frame, area, &title, theme);
    let room = usize::from(inner.height);
    let edges: Vec<(usize, &EdgeTelemetry)> =
        shown.telemetry.edges.iter().enumerate().filter(|(_, edge)| ends(&edge.id).1 == &*stage.id).collect();
    let histories = edges.len() + 1;
    let others = edges.len() + stage.outputs.len() + 2;
    let tall = (room.saturating_sub(others) / histories).clamp(1, TALLEST);
    let wraps = room >= histories * tall + 2 * others;
    let part = Part { scene, width: usize::from(inner.width), tall, wraps, theme };
    let mut rows: Vec<Row> = edges.iter().map(|(index, edge)| part.fill(*index, edge)).collect();
    rows.push(part.rate(index));
    rows.extend(edges.iter().map(|(_, edge)| part.account(edge)));
    rows.push(part.calls(index, stage));
    rows.extend(stage.outputs.iter().map(|(port, counts)| part.output(port, counts)));
    rows.push(part.summary(stage));
    while rows.iter().map(|row| row.lines.len()).sum::<usize>() > room {
        // The last of the least urgent goes.
        let Some(least) = rows.iter().map(|row| row.rank).min() else { break };
        let Some(at) = rows.iter().rposition(|row| row.rank == least) else { break };
        rows.remove(at);
    }
    for (at, line) in (0_u16..).zip(rows.into_iter().flat_map(|row| row.lines)) {
        pen::line(frame, inner, at, line);
    }
}

struct Part<'a> {
    scene: &'a Scene<'a>,
    width: usize,
    /// Rows of each history.
    tall: usize,
    /// Sentences may take several rows.
    wraps: bool,
    theme: &'a Theme,
}

impl Part<'_> {
    fn row(&self, rank: u8, text: &str, role: Role) -> Row {
        let (text, width) = (pen::plain(text, self.theme), self.width.saturating_sub(1));
        let pieces = if self.wraps { pen::wrapped(&text, width) } else { vec![pen::fit(&text, width, self.theme)] };
        let line = |piece: String| Line::from(span(format!(" {piece}"), role, self.theme));
        Row { rank, lines: pieces.into_iter().map(line).collect() }
    }

    /// A history; its name and numbers stand in the lowest of its rows.
    fn history(
        &self,
        rank: u8,
        name: &str,
        values: impl DoubleEndedIterator<Item = f64>,
        most: f64,
        numbers: Vec<Span<'static>>,
    ) -> Row {
        let theme = self.theme;
        let name_columns = if self.width >= 100 { NAME.1 } else { NAME.0 };
        let columns = self.width.saturating_sub(1 + name_columns + 1 + NUMBERS);
        let signs = spark(values, most, (columns, self.tall), theme);
        let lead = |text: &str| span(format!(" {} ", pen::left(text, name_columns, theme)), Role::Text, theme);
        let row = |signs: String| Line::from(vec![lead(""), span(signs, Role::Good, theme)]);
        let mut lines: Vec<Line<'static>> = signs.into_iter().map(row).collect();
        if let Some(last) = lines.last_mut() {
            last.spans[0] = lead(&pen::plain(name, theme));
            last.spans.extend(numbers);
        }
        Row { rank, lines }
    }

    /// A queue over the last minute: now, most and dropped.
    fn fill(&self, index: usize, edge: &EdgeTelemetry) -> Row {
        let (trends, theme) = (&self.scene.rates.trends, self.theme);
        let fullest: Vec<u64> = trends.fullest(index).rev().take(SECONDS).collect();
        let (now, most) = (edge.counts.in_flight_packets, fullest.iter().max().copied().unwrap_or(0));
        let dropped = trends.dropped(index);
        let numbers = vec![
            span(format!(" now {now} max {most} of {}", edge.capacity), Role::Text, theme),
            span(format!(" drops {dropped}"), drop_role(dropped, edge.policy), theme),
        ];
        let values = fullest.iter().rev().map(|n| *n as f64);
        self.history(5, &format!("from {}", ends(&edge.id).0), values, f64::from(edge.capacity), numbers)
    }

    /// The packets per second of the stage.
    fn rate(&self, index: usize) -> Row {
        let trends = &self.scene.rates.trends;
        let most = trends.rates(index).fold(0.0, f64::max);
        let text = match trends.rates(index).next_back() {
            Some(now) => format!(" now {now:.1} max {most:.1}"),
            None => " not known yet".into(),
        };
        self.history(4, "pkt/s", trends.rates(index), most, vec![span(text, Role::Text, self.theme)])
    }

    /// What a queue does when it is full, and what it did so far.
    fn account(&self, edge: &EdgeTelemetry) -> Row {
        let (from, _) = ends(&edge.id);
        let stages = &self.scene.snapshot.telemetry.stages;
        let cannot_wait = stages.iter().any(|stage| *stage.id == *from && stage.waits);
        let policy = match edge.policy {
            Overflow::Block if cannot_wait => "when full samples are lost, its source cannot wait",
            Overflow::Block => "when full the stage before waits",
            Overflow::DropOldest => "when full it drops the oldest",
            Overflow::DropNewest => "when full it drops the newest",
        };
        let counts = &edge.counts;
        let (taken, dropped) = (counts.consumed_samples, counts.dropped_samples);
        let text = format!("{policy}; {taken} samples taken, {dropped} dropped ({})", edge.id);
        match drop_role(dropped, edge.policy) {
            Role::Text => self.row(3, &text, Role::Dim),
            role => self.row(6, &text, role),
        }
    }

    /// How long calls took.
    fn calls(&self, index: usize, stage: &StageTelemetry) -> Row {
        if stage.waits {
            return self.row(1, "calls: waiting for the outside world is part of them", Role::Dim);
        }
        let recent = self.scene.rates.trends.recent_times(&self.scene.snapshot.telemetry, index);
        let unknown = self.theme.signs().unknown;
        let share = |share| recent.percentile_within(share, stage.worst).map_or_else(|| unknown.to_owned(), time);
        let all = |took| if stage.times.calls() == 0 { unknown.to_owned() } else { time(took) };
        let text = format!(
            "calls in {RECENT} s: p50 {} p99 {}; in all: p50 {} p99 {} worst {}",
            share(0.5),
            share(0.99),
            all(stage.p50),
            all(stage.p99),
            all(stage.worst)
        );
        self.row(2, &text, Role::Text)
    }

    fn output(&self, port: &str, counts: &wavedeck_api::port::OutputCounts) -> Row {
        let lost = counts.lost_device + counts.lost_overrun;
        let loss = format!("lost: device {}, no buffer {}", counts.lost_device, counts.lost_overrun);
        let text = format!("{port}: {} samples sent, {loss}", counts.sent_samples);
        if lost > 0 { self.row(6, &text, Role::Bad) } else { self.row(2, &text, Role::Dim) }
    }

    fn summary(&self, stage: &StageTelemetry) -> Row {
        let known = self.scene.snapshot.stages.iter().find(|known| known.id == stage.id);
        self.row(0, known.map_or("", |known| known.summary), Role::Dim)
    }
}
