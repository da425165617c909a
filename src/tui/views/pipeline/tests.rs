use ratatui::{Terminal, backend::TestBackend};
use wavedeck_api::link::Overflow;
use wavedeck_plane::{EdgeTelemetry, QueueAdvice};

use super::{
    super::super::{
        app::{App, View},
        cost::Cost,
        fixtures,
        key::Key,
        mouse::Regions,
        rates::Rates,
        readout::Readout,
        theme::{Colour, Glyphs},
        update,
    },
    *,
};
use crate::snapshot::Snapshot;

const BRAILLE: Theme = Theme { colour: Colour::True, glyphs: Glyphs::Braille, is_light: false };
const ASCII: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

/// The view alone, after some seconds in which something happened.
struct Stand {
    app: App,
    snapshot: Snapshot,
    rates: Rates,
}

impl Stand {
    fn new(snapshot: Snapshot) -> Self {
        let mut app = App::showing(View::Pipeline);
        app.notice(&snapshot);
        Self { app, snapshot, rates: Rates::default() }
    }

    /// A look per 100 ms for so many seconds.
    fn pass(&mut self, seconds: u64, change: impl Fn(&mut Telemetry)) {
        for _ in 0..seconds * 10 {
            self.rates.notice(&self.snapshot);
            self.snapshot.telemetry.at_ns += 100_000_000;
            change(&mut self.snapshot.telemetry);
            self.app.notice(&self.snapshot);
        }
        self.rates.notice(&self.snapshot);
    }

    fn text(&self, width: u16, height: u16, theme: &Theme) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("memory");
        let readout = Readout::default();
        let scene = Scene {
            app: &self.app,
            snapshot: &self.snapshot,
            history: None,
            spectrum: None,
            overview: None,
            readout: &readout,
            rates: &self.rates,
            cost: Cost::default(),
            regions: &Regions::default(),
        };
        terminal.draw(|frame| render(frame, frame.area(), &scene, theme)).expect("memory");
        let buffer = terminal.backend().buffer();
        let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(|y| row(y) + "\n").collect()
    }
}

fn line<'a>(text: &'a str, part: &str) -> &'a str {
    text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part} in\n{text}"))
}

#[test]
fn the_table_tells_rate_load_times_and_queue_of_each_stage() {
    let mut stand = Stand::new(fixtures::snapshot());
    stand.pass(3, |telemetry| {
        telemetry.stages[1].packets += 1;
        let times = telemetry.stages[1].packets as u32 - 900;
        telemetry.stages[1].times = [(times, Duration::from_micros(30))].into_iter().collect();
    });
    for (width, height) in [(80, 20), (160, 36), (250, 58)] {
        let text = stand.text(width, height, &BRAILLE);
        let head = line(&text, "pkt/s");
        for part in ["stage", "state", "cpu", "p50", "p99", "n/cap", "high", "drop"] {
            assert!(head.contains(part), "{part} in {head}");
        }
        let clean = text.lines().find(|line| line.contains(" run ") && line.contains("clean")).expect("a line");
        for part in ["10.0", "33µs", "8/64"] {
            assert!(clean.contains(part), "{part} in {clean}");
        }
        let (n, drop) = (head.find("n/cap").expect("a column"), head.find(" drop").expect("a column"));
        let place = |text: &str, part: &str| {
            text.find(part).map(|at| text[..at].chars().count() + part.chars().count()).expect("a number")
        };
        assert_eq!(place(head, "n/cap"), place(clean, "8/64"), "{text}");
        assert!(drop > n);
    }
}

#[test]
fn waiting_for_a_device_is_no_call_time() {
    let mut stand = Stand::new(fixtures::snapshot());
    stand.pass(2, |_| {});
    let text = stand.text(80, 20, &ASCII);
    let board = text.lines().find(|line| line.contains("(source)")).expect("a line");
    assert!(board.contains("    -     -"), "{board}");
}

#[test]
fn the_chosen_stage_shows_its_last_minute() {
    let mut stand = Stand::new(fixtures::snapshot());
    stand.app.stage = 2;
    stand.pass(30, |telemetry| {
        let counts = &mut telemetry.edges[1].counts;
        counts.in_flight_packets = if telemetry.at_ns / 1_000_000_000 == 20 { 8 } else { 1 };
        counts.dropped_packets += 1;
        counts.dropped_samples += 25;
    });
    let text = stand.text(80, 20, &BRAILLE);
    let fill = line(&text, "from clean");
    assert!(fill.contains("▂█") && fill.contains("█▂"), "{fill}");
    // At a look every 100 ms, 30 s are 300 drops.
    assert!(fill.contains("now 1 max 8 of 8") && fill.contains("drops 300"), "{fill}");
    assert!(text.contains("when full it drops the oldest"), "{text}");
    assert!(text.contains("pkt/s "), "{text}");
}

#[test]
fn a_queue_behind_a_live_source_cannot_make_it_wait() {
    let mut stand = Stand::new(fixtures::snapshot());
    stand.app.stage = 1;
    assert!(stand.text(80, 20, &ASCII).contains("its source cannot wait"));
    stand.snapshot.telemetry.stages[0].waits = false;
    assert!(stand.text(80, 20, &ASCII).contains("the stage before waits"));
}

#[test]
fn losses_are_told_even_where_there_is_hardly_room() {
    let mut snapshot = fixtures::snapshot();
    snapshot.telemetry.stages[1].outputs[0].1.lost_overrun = 77;
    let mut stand = Stand::new(snapshot);
    stand.app.stage = 1;
    assert!(stand.text(80, 20, &ASCII).contains("no buffer 77"));
}

#[test]
fn zeroed_counters_say_since_when_and_leave_the_session_alone() {
    let mut snapshot = fixtures::snapshot();
    snapshot.telemetry.edges[1].counts.dropped_packets = 41;
    let mut stand = Stand::new(snapshot);
    assert!(line(&stand.text(80, 20, &ASCII), "3/8").trim_end_matches(['|', ' ', '\n']).ends_with("41"));
    assert!(update::press(&mut stand.app, &stand.snapshot, Key::Char('z')).is_empty());
    let text = stand.text(80, 20, &ASCII);
    let psd = line(&text, "3/8").trim_end_matches(['|', ' ', '\n']);
    assert!(psd.ends_with(" 0") && psd.contains("3+"), "{psd}");
    assert!(line(&text, "Stages").contains("Stages, since "), "{text}");
    assert_eq!(stand.snapshot.telemetry.edges[1].counts.dropped_packets, 41);
    // Another pipeline has counters of its own.
    stand.snapshot.generation += 1;
    stand.app.notice(&stand.snapshot);
    assert!(!stand.text(80, 20, &ASCII).contains("since "));
}

#[test]
fn the_queue_that_lacks_most_is_advised_first() {
    let mut snapshot = fixtures::snapshot();
    let advice = |queue: &str, holds, needs| QueueAdvice {
        edge: format!("x.out -> {queue}").into(),
        queue: queue.into(),
        holds,
        needs,
        reader: "r".into(),
        latency_ms: 12.5,
        period_ms: 0.1,
    };
    snapshot.telemetry.advice = vec![advice("clean.in", 64, 80), advice("psd.in", 8, 125)];
    let stand = Stand::new(snapshot);
    let text = stand.text(80, 20, &ASCII);
    let first = line(&text, "holds");
    assert!(first.contains("! queue psd.in holds 8, needs 125") && first.contains("(1 more)"), "{text}");
    let text = stand.text(160, 36, &ASCII);
    assert!(line(&text, "clean.in holds").contains("holds 64, needs 80"), "{text}");
}

#[test]
fn a_stage_with_two_inputs_names_both_origins() {
    let mut snapshot = fixtures::snapshot();
    let mut edge: EdgeTelemetry = snapshot.telemetry.edges[0].clone();
    (edge.id, edge.policy) = ("clean.out -> rec.two".into(), Overflow::Block);
    snapshot.telemetry.edges.push(edge);
    let stand = Stand::new(snapshot);
    for width in [60, 80, 110, 160] {
        let text = stand.text(width, 30, &ASCII);
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("2/200") || line.contains("8/64")).collect();
        assert_eq!(rows.len(), 3, "{text}");
        assert!(rows[2].contains("clean"), "{text}");
    }
}

#[test]
fn parts_share_the_rows_and_the_table_comes_first() {
    for height in 1..=70 {
        for width in [60, 80, 160] {
            let area = Rect::new(0, 0, width, height);
            let rows = Rows::of(area, 5, 4);
            let below = if is_side_by_side(area) { rows.chosen } else { rows.pools + rows.chosen };
            assert_eq!(rows.graph + rows.stages + below, height, "{rows:?}");
        }
    }
    let rows = Rows::of(Rect::new(0, 0, 80, 20), 5, 4);
    assert_eq!(rows, Rows { graph: 2, stages: 8, pools: 4, chosen: 6 });
}

#[test]
fn times_are_five_characters_at_most() {
    let written = |ns| time(Duration::from_nanos(ns));
    assert_eq!([written(0), written(64), written(999)], ["0ns", "64ns", "999ns"]);
    assert_eq!([written(1_250), written(12_345), written(999_499)], ["1.2µs", "12µs", "999µs"]);
    assert_eq!([written(999_500), written(12_345_678), written(68_719_476_736)], ["1.0ms", "12ms", "69s"]);
    for ns in (0..400).map(|n| 1.07_f64.powi(n) as u64) {
        assert!(written(ns).chars().count() <= 5 || ns > 1_000_000_000_000, "{}", written(ns));
    }
}
