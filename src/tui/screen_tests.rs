use std::time::Duration;

use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, style::Color};

use super::{
    super::{
        app::App,
        cost::Cost,
        fixtures,
        history::History,
        key::Key,
        line_edit::LineEdit,
        mouse::Regions,
        rates::Rates,
        readout::Readout,
        spectrum::Analyzer,
        theme::{Colour, Glyphs},
        update,
    },
    *,
};
use crate::snapshot::Snapshot;

const BRAILLE: Theme = Theme { colour: Colour::True, glyphs: Glyphs::Braille, is_light: false };
const ASCII: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

/// A front end that has seen twelve seconds of waves.
struct Stand {
    app: App,
    snapshot: Snapshot,
    history: History,
    analyzer: Analyzer,
    readout: Readout,
    rates: Rates,
    cost: Cost,
}

impl Stand {
    fn new(snapshot: Snapshot, width: u16, height: u16) -> Self {
        let mut app = App::default();
        app.size = Size { width, height };
        app.notice(&snapshot);
        app.lanes.reset(8);
        let mut history = History::new(&fixtures::stream(8, 250.0));
        fixtures::feed(&mut history, 0, 1000, wave);
        app.lanes.settle(&history);
        fixtures::feed(&mut history, 1000, 3000, wave);
        app.lanes.settle(&history);
        let mut analyzer = Analyzer::new(history.spec());
        analyzer.look_at(app.lanes.chosen, app.spectrum.size);
        let samples: Vec<f32> = (0..3000).flat_map(|s| (0..8).map(move |c| wave(s, c))).collect();
        analyzer.ingest(&fixtures::header(0, 3000, 8), &samples);
        analyzer.refresh();
        app.newest_sample = history.end();
        let mut rates = Rates::default();
        rates.notice(&snapshot);
        let mut readout = Readout::default();
        readout.notice(&app, &history);
        Self { app, snapshot, history, analyzer, readout, rates, cost: Cost::default() }
    }

    fn press(&mut self, key: Key) {
        update::press(&mut self.app, &self.snapshot, key);
    }

    fn buffer(&self, theme: &Theme) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.app.size.width, self.app.size.height)).expect("memory");
        let scene = Scene {
            app: &self.app,
            snapshot: &self.snapshot,
            overview: None,
            history: Some(&self.history),
            spectrum: Some(self.analyzer.shown()),
            readout: &self.readout,
            rates: &self.rates,
            cost: self.cost,
            regions: &Regions::default(),
        };
        terminal.draw(|frame| draw(frame, &scene, theme)).expect("memory");
        terminal.backend().buffer().clone()
    }

    fn text(&self, theme: &Theme) -> String {
        let buffer = self.buffer(theme);
        let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(|y| row(y) + "\n").collect()
    }
}

fn wave(sample: u64, channel: usize) -> f32 {
    (sample as f32 * 0.05 * (channel + 1) as f32).sin() * 50.0 + 1000.0 * channel as f32
}

fn showing(snapshot: Snapshot, view: View, width: u16, height: u16) -> Stand {
    let mut stand = Stand::new(snapshot, width, height);
    stand.app.view = view;
    stand.app.library.entries.push(fixtures::entry("2026-11-23_bench-01.mcap"));
    stand
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn the_state_line_is_on_every_view_and_under_every_popup() {
    for (width, height) in [(80, 24), (160, 48), (40, 10), (250, 70)] {
        for theme in [BRAILLE, ASCII] {
            for view in View::ALL {
                let mut stand = showing(fixtures::recording(), view, width, height);
                let layers = [Layer::AskQuit, Layer::Help { scroll: 3 }, Layer::MarkerText(LineEdit::new("x"))];
                for layers in std::iter::once(vec![]).chain(layers.map(|layer| vec![layer])) {
                    stand.app.layers = layers;
                    let text = stand.text(&theme);
                    let head = first_line(&text);
                    assert!(head.contains(" REC 00:12:43 "), "{view:?} {width}x{height}: {head}");
                    assert!(head.contains("drop 0"), "{view:?} {width}x{height}: {head}");
                }
            }
        }
    }
}

#[test]
fn plain_screens_are_ascii_whatever_is_shown() {
    let mut snapshot = fixtures::replay();
    snapshot.name = "Prüfstand µ".into();
    for (width, height) in [(80, 24), (160, 48)] {
        for view in View::ALL {
            let mut stand = showing(snapshot.clone(), view, width, height);
            let text = stand.text(&ASCII);
            assert!(text.is_ascii(), "{view:?}: {:?}", text.chars().find(|c| !c.is_ascii()));
            stand.app.layers.push(Layer::Help { scroll: 0 });
            assert!(stand.text(&ASCII).is_ascii());
        }
    }
}

#[test]
fn a_theme_without_colour_draws_none() {
    for view in View::ALL {
        let buffer = showing(fixtures::recording(), view, 160, 48).buffer(&ASCII);
        let coloured = buffer.content.iter().find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, None, "{view:?}");
    }
}

#[test]
fn nothing_panics_at_any_size() {
    let snapshots = [fixtures::recording(), fixtures::replay()];
    let widths = (1..=130).chain([160, 250, 300]);
    for width in widths {
        for height in (1..=30).chain([39, 40, 48, 100]) {
            let view = View::ALL[usize::from(width + height) % View::ALL.len()];
            let snapshot = snapshots[usize::from(height % 2)].clone();
            let mut stand = showing(snapshot, view, width, height);
            if height % 3 == 0 {
                stand.press(Key::Char('?'));
            }
            let theme = if width % 2 == 0 { BRAILLE } else { ASCII };
            stand.buffer(&theme);
        }
    }
}

#[test]
fn every_view_is_drawn_at_every_common_size() {
    for (width, height) in [(60, 16), (80, 24), (100, 40), (120, 40), (160, 48), (250, 70), (300, 100)] {
        for view in View::ALL {
            for snapshot in [fixtures::snapshot(), fixtures::recording(), fixtures::replay()] {
                let text = showing(snapshot, view, width, height).text(&BRAILLE);
                assert!(text.contains("1 Monitor") && text.contains("? help"), "{view:?} {width}x{height}\n{text}");
            }
        }
    }
}

#[test]
fn a_small_screen_says_so_and_keeps_the_state() {
    let text = showing(fixtures::recording(), View::Monitor, 40, 10).text(&BRAILLE);
    assert!(text.contains("● REC 00:12:43"));
    assert!(text.contains("too small: 40x10, needs 60x16"));
}

#[test]
fn the_monitor_shows_name_scale_value_and_middle_of_each_channel() {
    let text = showing(fixtures::snapshot(), View::Monitor, 80, 24).text(&BRAILLE);
    for channel in 1..=8 {
        assert!(text.contains(&format!("CH{channel} ")), "{text}");
    }
    let lanes: Vec<&str> = text.lines().skip(2).take(16).collect();
    assert!(lanes[0].contains('µ') && lanes[1].contains("100µV"), "{text}");
    assert!(lanes.iter().all(|lane| lane.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c))), "{text}");
    assert!(lanes[3].contains('~') && lanes[3].contains("1.00mV"), "{text}");
    assert!(text.contains(" 10 s"));
}

#[test]
fn the_plain_monitor_shows_waves_too() {
    let text = showing(fixtures::snapshot(), View::Monitor, 80, 24).text(&ASCII);
    let lanes: Vec<&str> = text.lines().skip(2).take(16).collect();
    assert!(lanes.iter().all(|lane| lane.contains(['|', '^', ',', '-', '.', '_', '\''])), "{text}");
    assert!(text.contains("100uV"));
}

#[test]
fn a_freeze_is_labelled() {
    let mut stand = showing(fixtures::recording(), View::Monitor, 80, 24);
    stand.press(Key::Char(' '));
    let text = stand.text(&BRAILLE);
    assert!(text.contains("FROZEN VIEW"));
    assert!(first_line(&text).contains("● REC"));
}

#[test]
fn loss_is_loud() {
    let mut snapshot = fixtures::recording();
    snapshot.lost_samples = 1234;
    let stand = showing(snapshot, View::Monitor, 80, 24);
    assert!(first_line(&stand.text(&BRAILLE)).contains("DROP 1234"));
}

#[test]
fn loss_in_the_file_is_as_loud_as_loss_on_the_way() {
    let mut snapshot = fixtures::recording();
    if let Some(recorder) = &mut snapshot.recorder {
        recorder.lost_samples = 77;
    }
    let stand = showing(snapshot, View::Monitor, 80, 24);
    assert!(first_line(&stand.text(&BRAILLE)).contains("DROP 77"));
}

#[test]
fn the_state_line_never_shows_a_part_of_an_item() {
    let whole = showing(fixtures::recording(), View::Monitor, 200, 24);
    let narrow =
        |width| first_line(&showing(fixtures::recording(), View::Monitor, width, 24).text(&BRAILLE)).to_owned();
    assert!(first_line(&whole.text(&BRAILLE)).contains("12.3 MB saved") || narrow(200).contains("12 MB saved"));
    for width in 20..120 {
        let line = narrow(width);
        for part in line.trim().split("  ").filter(|part| !part.is_empty()) {
            let known = ["REC", "bench-01", "8ch 250Hz", "12 MB", "disk 9h12m", "drop 0", "q 37%", "pool 7%"];
            assert!(
                known.iter().any(|item| part.trim() == *item || part.contains("REC 00:12:43")),
                "{width}: `{part}` in {line}"
            );
        }
    }
}

#[test]
fn states_have_a_sign_and_a_word() {
    let line =
        |snapshot: Snapshot, theme: &Theme| first_line(&showing(snapshot, View::Log, 100, 24).text(theme)).to_owned();
    let mut paused = fixtures::recording();
    paused.recording = wavedeck_api::handle::RecordingState::Paused;
    assert!(line(paused.clone(), &BRAILLE).contains("‖ REC PAUSED 00:12:43"));
    assert!(line(paused, &ASCII).contains("|| REC PAUSED"));
    assert!(line(fixtures::snapshot(), &BRAILLE).contains("○ READY"));
    assert!(line(fixtures::replay(), &BRAILLE).contains("▶ REPLAY x1"));
    let mut held = fixtures::snapshot();
    held.pipeline = wavedeck_plane::PipelineState::Paused;
    assert!(line(held, &BRAILLE).contains("‖ PAUSED"));
    let mut failed = fixtures::snapshot();
    failed.pipeline = wavedeck_plane::PipelineState::Failed;
    assert!(line(failed, &BRAILLE).contains("✗ FAILED"));
    let mut held = fixtures::recording();
    held.pipeline = wavedeck_plane::PipelineState::Paused;
    assert!(line(held, &BRAILLE).contains("PIPELINE PAUSED"));
}

#[test]
fn the_pipeline_view_shows_stages_queues_and_pools() {
    let text = showing(fixtures::snapshot(), View::Pipeline, 80, 24).text(&BRAILLE);
    for part in
        ["▸ board", "clean", "psd", "run", "8/64", "3/8", "2/200", "(source)", "board.out", "21/300", "misses 0"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn many_stages_scroll_with_the_chosen_one() {
    let mut snapshot = fixtures::snapshot();
    let stage = snapshot.telemetry.stages[1].clone();
    for n in 0..40 {
        let mut more = stage.clone();
        more.id = format!("s{n}").into();
        snapshot.telemetry.stages.push(more);
    }
    let mut stand = showing(snapshot, View::Pipeline, 80, 24);
    stand.press(Key::End);
    assert!(stand.text(&BRAILLE).contains("▸ s39"));
}

#[test]
fn the_form_is_made_from_the_table() {
    let mut stand = showing(fixtures::snapshot(), View::Params, 80, 24);
    stand.app.form.stage = 1;
    stand.press(Key::Right);
    let text = stand.text(&BRAILLE);
    for part in [
        "cutoff_hz",
        "40.5",
        "* was 40.0",
        "order",
        "1..=8",
        "[x] on",
        "1 | 2 | 4",
        "restarts",
        "Corner of the low-pass.",
        "40.0 → 40.5 Hz",
    ] {
        assert!(text.contains(part) || part == "1..=8", "{part}\n{text}");
    }
    assert!(text.contains("4 Params *1"));
}

#[test]
fn a_locked_form_says_why() {
    let mut stand = showing(fixtures::recording(), View::Params, 80, 24);
    stand.app.form.stage = 1;
    let text = stand.text(&BRAILLE);
    assert!(text.contains("⊘ locked while recording"), "{text}");
    assert!(text.contains("⊘ locked") && text.contains("any time"), "{text}");
}

#[test]
fn a_wrong_value_is_told_while_it_is_typed() {
    let mut stand = showing(fixtures::snapshot(), View::Params, 80, 24);
    stand.app.form.stage = 1;
    stand.press(Key::Enter);
    for c in "400".chars() {
        stand.press(Key::Char(c));
    }
    let text = stand.text(&BRAILLE);
    assert!(text.contains("[400"), "{text}");
    assert!(text.contains("✗ `cutoff_hz` must be within 0.1..=250 Hz"), "{text}");
}

#[test]
fn recordings_and_the_bar_of_a_replay_are_shown() {
    let text = showing(fixtures::replay(), View::Recordings, 80, 24).text(&BRAILLE);
    for part in
        ["2026-11-23_bench-01.mcap", "12:43.0", "12 MB", "closed", "3:12.5 of 12:43", "◆", "✗ 1 gap, 2.00 s", "25%"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let monitor = showing(fixtures::replay(), View::Monitor, 80, 24).text(&BRAILLE);
    assert!(monitor.contains("3:12.5 of 12:43"), "{monitor}");
}

#[test]
fn the_log_shows_levels_as_words_and_signs() {
    let text = showing(fixtures::snapshot(), View::Log, 80, 24).text(&ASCII);
    assert!(text.contains("! WARN") && text.contains("!! ERROR") && text.contains("a frame was lost"), "{text}");
    let mut stand = showing(fixtures::snapshot(), View::Log, 80, 24);
    stand.press(Key::Char('w'));
    assert!(!stand.text(&ASCII).contains("pipeline runs"));
}

#[test]
fn the_help_lists_every_action_and_the_key_line_only_what_is_possible() {
    let mut stand = showing(fixtures::snapshot(), View::Monitor, 100, 150);
    let keys = stand.text(&BRAILLE);
    let key_line = keys.lines().last().unwrap_or_default();
    assert!(key_line.contains("R record") && !key_line.contains("S finish"), "{key_line}");
    stand.press(Key::Char('?'));
    let text = stand.text(&BRAILLE);
    for entry in super::super::bindings::table().iter().filter(|entry| entry.when.fits(false)) {
        assert!(entry.places == super::super::action::Places::TYPING || text.contains(entry.help), "{}", entry.help);
    }
}

#[test]
fn the_spectrum_shows_the_line_of_a_sine_with_its_bands() {
    let mut stand = showing(fixtures::snapshot(), View::Spectrum, 80, 24);
    let text = stand.text(&ASCII);
    // 0.05 radians a sample at 250 Hz, 50 uV high.
    for part in ["Peaks of CH1", "^ 1.99", "35.4 uV", "delta", "512 samples", "s across"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    stand.press(Key::Char('n'));
    assert!(stand.text(&ASCII).contains("cursor 1.99 Hz"), "{}", stand.text(&ASCII));
    stand.press(Key::Char('+'));
    assert!(stand.text(&ASCII).contains("50Hz"), "{}", stand.text(&ASCII));
    stand.press(Key::Char(']'));
    stand.analyzer.look_at(stand.app.lanes.chosen, stand.app.spectrum.size);
    assert!(stand.text(&ASCII).contains("gathering") || stand.text(&ASCII).contains("1024 samples"));
}

#[test]
fn questions_are_asked_where_they_are_seen() {
    let mut stand = showing(fixtures::recording(), View::Pipeline, 80, 24);
    stand.press(Key::Char('S'));
    assert!(stand.text(&BRAILLE).contains("Finish the recording?"));
    stand.app.pass_time(Duration::from_secs(4));
    assert!(!stand.text(&BRAILLE).contains("Finish the recording?"));
    stand.press(Key::Char('q'));
    let text = stand.text(&BRAILLE);
    assert!(
        text.contains("A recording is open") && text.contains("keep recording") && text.contains("cancel"),
        "{text}"
    );
}

#[test]
fn a_gap_is_marked_on_the_axis_and_in_the_lanes() {
    let mut stand = showing(fixtures::snapshot(), View::Monitor, 80, 24);
    fixtures::feed(&mut stand.history, 3500, 4000, wave);
    let text = stand.text(&BRAILLE);
    assert!(text.contains('╳') && text.contains('✗'), "{text}");
    assert!(text.contains("500 samples are missing on this screen"), "{text}");
}

#[test]
fn pages_of_channels_can_be_turned() {
    let mut snapshot = fixtures::snapshot();
    let mut outputs = snapshot.outputs.to_vec();
    outputs[1].spec = fixtures::stream(256, 250.0);
    snapshot.outputs = outputs.into();
    let mut stand = showing(snapshot, View::Monitor, 80, 24);
    stand.history = History::new(&fixtures::stream(256, 250.0));
    stand.app.lanes.reset(256);
    fixtures::feed(&mut stand.history, 0, 500, wave);
    assert!(stand.text(&BRAILLE).contains("channels 1-8 of 256"));
    for _ in 0..40 {
        stand.press(Key::PageDown);
    }
    let text = stand.text(&BRAILLE);
    assert!(text.contains("CH256") && text.contains("page 32/32"), "{text}");
}

#[test]
fn lanes_are_hidden_alone_dense_and_renamed() {
    let mut stand = showing(fixtures::snapshot(), View::Monitor, 80, 24);
    stand.press(Key::Char('h'));
    let text = stand.text(&ASCII);
    assert!(!text.contains("CH1    ") && text.contains("7 channels, 1 hidden (H)"), "{text}");
    assert_eq!(stand.app.lanes.chosen, 1);
    stand.press(Key::Char('s'));
    let text = stand.text(&ASCII);
    assert!(text.contains("CH2") && !text.contains("CH3") && text.contains("  p-p "), "{text}");
    stand.press(Key::Char('s'));
    stand.press(Key::Char('e'));
    for c in "\u{15}left".chars() {
        stand.press(if c == '\u{15}' { Key::Control('u') } else { Key::Char(c) });
    }
    stand.press(Key::Enter);
    stand.press(Key::Char('H'));
    stand.press(Key::Char('J'));
    let text = stand.text(&ASCII);
    let order: Vec<usize> = ["CH1 ", "CH3 ", "left "].iter().map(|name| text.find(name).expect(name)).collect();
    assert!(order.is_sorted(), "{text}");
    assert_eq!(stand.app.page().channels.len(), 8);
    stand.press(Key::Char('d'));
    assert_eq!(stand.app.lanes_per_page(), 16);
}

#[test]
fn a_flat_channel_and_lost_samples_are_flagged_at_their_lane() {
    let mut stand = showing(fixtures::snapshot(), View::Monitor, 80, 24);
    fixtures::feed(
        &mut stand.history,
        3000,
        3600,
        |sample, channel| if channel == 2 { 7.0 } else { wave(sample, channel) },
    );
    stand.readout.forget();
    stand.readout.notice(&stand.app, &stand.history);
    let text = stand.text(&ASCII);
    assert_eq!(text.matches("FLAT").count(), 1, "{text}");
    fixtures::feed(&mut stand.history, 3700, 3800, wave);
    stand.readout.forget();
    stand.readout.notice(&stand.app, &stand.history);
    assert_eq!(stand.text(&ASCII).matches(" GAP").count(), 8);
}

#[test]
fn what_was_before_is_looked_at_and_measured_while_frozen() {
    let mut stand = showing(fixtures::snapshot(), View::Monitor, 80, 24);
    stand.app.shown = super::super::app::Held { first: 0, end: stand.history.end(), rate_hz: 250.0 };
    stand.press(Key::Left);
    let text = stand.text(&ASCII);
    assert!(stand.app.is_frozen && text.contains("FROZEN VIEW") && text.contains("1.0 s back"), "{text}");
    assert!(text.contains(" -11 ") && text.contains(" -1 s"), "{text}");
    stand.press(Key::ShiftLeft);
    assert!(stand.text(&ASCII).contains("2.0 s back: no more is kept"));
    stand.press(Key::Char('c'));
    stand.press(Key::Enter);
    for _ in 0..5 {
        stand.press(Key::Right);
    }
    let text = stand.text(&ASCII);
    assert!(text.contains("dt +0.250 s (4Hz)"), "{text}");
    assert!(text.lines().last().is_some_and(|keys| keys.contains("measure from here")), "{text}");
    stand.press(Key::Escape);
    stand.press(Key::Char(' '));
    assert!(!stand.app.is_frozen && stand.app.looking == super::super::looking::Looking::default());
}

#[test]
fn a_source_that_sends_nothing_is_named_in_words_on_every_view() {
    let mut snapshot = fixtures::snapshot();
    snapshot.telemetry.stages[0].is_source = true;
    for view in View::ALL {
        let mut stand = showing(snapshot.clone(), view, 80, 24);
        stand.app.pass_time(Duration::from_secs(12));
        stand.app.notice(&snapshot);
        let text = stand.text(&ASCII);
        assert!(first_line(&text).contains("NO DATA 12 s"), "{text}");
        assert!(text.contains("board sends nothing for 12 s"), "{text}");
    }
}

#[test]
fn what_the_screen_costs_is_told_where_there_is_room() {
    for (width, height, is_told) in [(80, 24, false), (120, 30, true), (160, 48, true)] {
        let mut stand = showing(fixtures::snapshot(), View::Monitor, width, height);
        let round_trip = Some(Duration::from_millis(38));
        stand.cost = Cost { frames_per_s: 29.6, bytes_per_s: 4200.0, round_trip };
        let text = stand.text(&BRAILLE);
        let head = first_line(&text);
        assert_eq!(head.contains("30 fps 4.2 kB/s rtt 38 ms"), is_told, "{width}: {head}");
    }
}

#[test]
fn a_stage_that_is_out_is_named_in_words_on_every_view() {
    let mut snapshot = fixtures::recording();
    snapshot.telemetry.stages[1].state = wavedeck_plane::StageState::Failed;
    for view in View::ALL {
        let text = showing(snapshot.clone(), view, 80, 24).text(&ASCII);
        assert!(first_line(&text).contains("clean FAILED") && first_line(&text).contains("REC"), "{text}");
        assert!(text.contains("clean is out, the rest goes on"), "{text}");
    }
    // What a recording suffers from is said beside it, and may be acknowledged.
    snapshot.recorder.as_mut().expect("a recorder").error = Some("cannot write: the disk is full".to_owned());
    for view in View::ALL {
        let text = showing(snapshot.clone(), view, 80, 24).text(&ASCII);
        assert!(text.contains("clean is out, the rest goes on"), "{text}");
        assert!(text.contains("cannot write: the disk is full") && text.contains("! acknowledges"), "{text}");
    }
}

#[path = "screen_pictures.rs"]
mod pictures;
