//! One frame: the views drawn from what is known, and the bytes that show it.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use wavedeck::{
    session::{FromStart, Session},
    tui::{
        advance,
        app::{App, View},
        cost::Cost,
        history::{History, Why},
        layout::Size,
        mouse::Regions,
        painter::Painter,
        rates::Rates,
        readout::Readout,
        scene::Scene,
        screen,
        spectrum::Analyzer,
        theme::{Colour, Glyphs, Theme},
    },
};
use wavedeck_api::packet::PacketHeader;
use wavedeck_plane::PipelineConfig;

use crate::{
    measure::{Options, percentile},
    report::{Report, Row, Target, Unit},
    setup::{Desk, LARGE, SMALL, config},
};

const RATE_HZ: f64 = 250.0;
/// Frames in a pass of the sweep, so that every place of the cursor is measured.
const FRAMES: u64 = 300;

pub(crate) fn of_frames(options: &Options, report: &mut Report) {
    for (desk, milliseconds) in [(SMALL, 0.2), (LARGE, 1.2)] {
        let frames = if options.is_measuring() { FRAMES } else { 3 };
        let rounds: Vec<Frames> = (0..options.rounds()).map(|_| draw(desk, frames)).collect();
        let mut row = |what: &str, unit, of: &dyn Fn(&Frames) -> f64, target: Option<f64>| {
            let name = format!("{}: {what}", desk.name);
            let (ours, target) = (rounds.iter().map(of).collect(), target.map(Target::AtMost));
            report.row(Row { name, unit, ours, baseline: None, target });
        };
        row("a frame, p50", Unit::Nanoseconds, &|run| percentile(&run.ns, 0.5), Some(milliseconds * 1e6));
        row("a frame, p99", Unit::Nanoseconds, &|run| percentile(&run.ns, 0.99), None);
        row("a strip, p50", Unit::Nanoseconds, &|run| percentile(&run.strip_ns, 0.5), None);
        row("a frame, bytes p50", Unit::Bytes, &|run| percentile(&run.bytes, 0.5), None);
        let whole = if desk.channels > SMALL.channels { 50e3 } else { 8e3 };
        row("a whole screen", Unit::Bytes, &|run| run.whole as f64, Some(whole));
    }
}

/// What frames took, one by one, and the bytes of the first, which is a whole screen. A strip is a frame in which nothing
/// is drawn but what the cursor ran over.
struct Frames {
    ns: Vec<u64>,
    strip_ns: Vec<u64>,
    bytes: Vec<u64>,
    whole: u64,
}

fn draw(desk: Desk, frames: u64) -> Frames {
    let home = tempfile::tempdir().expect("a folder");
    let text: Value = serde_json::from_str(&config(desk, home.path())).expect("JSON");
    let config = PipelineConfig::from_value(&text).expect("no mistake of form");
    let registry = wavedeck::registry().expect("distinct names");
    let session = Session::open(config, registry, FromStart::Nothing).expect("it starts");
    let snapshot = session.snapshot();

    let mut app = App::showing(View::Monitor);
    app.size = Size { width: desk.columns, height: desk.rows };
    app.notice(&snapshot);
    let clean: Arc<str> = "clean".into();
    app.watched = Some((clean, "out"));
    let output = app.output(&snapshot).expect("the filter has an output");
    let (mut history, mut at) = (History::new(&output.spec), 0);
    let mut analyzer = Analyzer::new(&output.spec);
    app.lanes.reset(history.spec().channels.len());
    // A whole pass is on the screen, and its scales are settled.
    for _ in 0..40 {
        feed(&mut history, &mut analyzer, &mut at, 125);
        app.lanes.settle(&history);
    }

    let theme = Theme { colour: Colour::Indexed256, glyphs: Glyphs::Braille, is_light: false };
    let cost = Cost { frames_per_s: 30.0, bytes_per_s: 4200.0, round_trip: Some(Duration::from_millis(38)) };
    let (mut painter, mut readout, rates) = (Painter::new(app.size), Readout::default(), Rates::default());
    let mut drawn = Frames { ns: Vec::new(), strip_ns: Vec::new(), bytes: Vec::new(), whole: 0 };
    let mut regions = Regions::default();
    for number in 0..=frames {
        if number > 0 {
            feed(&mut history, &mut analyzer, &mut at, 8);
            let begin = Instant::now();
            let strip = painter.paint_part(|buffer| advance::draw(buffer, &regions, &app, &history, &theme));
            drawn.strip_ns.extend(strip.map(|_| nanoseconds(begin)));
        }
        feed(&mut history, &mut analyzer, &mut at, 8);
        let begin = Instant::now();
        regions = Regions::default();
        app.newest_sample = history.end();
        readout.notice(&app, &history);
        if app.shows_spectrum() {
            analyzer.refresh();
        }
        let scene = Scene {
            app: &app,
            snapshot: &snapshot,
            history: Some(&history),
            spectrum: Some(analyzer.shown()),
            overview: None,
            readout: &readout,
            rates: &rates,
            cost,
            regions: &regions,
        };
        let bytes = painter.paint(|frame| screen::draw(frame, &scene, &theme)).len() as u64;
        if number == 0 {
            drawn.whole = bytes;
            continue;
        }
        drawn.ns.push(nanoseconds(begin));
        drawn.bytes.push(bytes);
    }
    session.close(Duration::from_secs(10));
    drawn
}

fn nanoseconds(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_nanos()).expect("a short time")
}

/// So many more samples of every channel, each of another frequency.
fn feed(history: &mut History, analyzer: &mut Analyzer, at: &mut u64, samples: u32) {
    let channels = history.spec().channels.len();
    let mut data = Vec::with_capacity(samples as usize * channels);
    for sample in *at..*at + u64::from(samples) {
        let seconds = sample as f64 / RATE_HZ;
        data.extend((0..channels).map(|channel| (seconds * (3.0 + channel as f64)).sin() as f32 * 50.0));
    }
    let channels = u16::try_from(channels).expect("few channels");
    let header = PacketHeader { first_sample: *at, batch_size: samples, channels, ..PacketHeader::default() };
    history.ingest(&header, &data, Why::Lost);
    analyzer.ingest(&header, &data);
    *at += u64::from(samples);
}
