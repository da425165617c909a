use ratatui::{Terminal, backend::TestBackend};

use super::{
    super::super::{
        app::{App, View},
        cost::Cost,
        fixtures,
        key::Key,
        layout::Size,
        mouse::Regions,
        rates::Rates,
        readout::Readout,
        screen,
        theme::{Colour, Glyphs},
        update,
    },
    *,
};
use crate::snapshot::Snapshot;

const ASCII: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

fn at(field: usize, snapshot: &Snapshot, size: (u16, u16)) -> App {
    let mut app = App::showing(View::Params);
    app.size = Size { width: size.0, height: size.1 };
    app.notice(snapshot);
    (app.form.stage, app.form.field) = (1, field);
    app
}

fn text(app: &App, snapshot: &Snapshot) -> String {
    let mut terminal = Terminal::new(TestBackend::new(app.size.width, app.size.height)).expect("memory");
    let (readout, rates) = (Readout::default(), Rates::default());
    let scene = Scene {
        app,
        snapshot,
        history: None,
        spectrum: None,
        overview: None,
        readout: &readout,
        rates: &rates,
        cost: Cost::default(),
        regions: &Regions::default(),
    };
    terminal.draw(|frame| screen::draw(frame, &scene, &ASCII)).expect("memory");
    let buffer = terminal.backend().buffer();
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| row(y) + "\n").collect()
}

#[test]
fn a_wide_screen_tells_all_about_the_chosen_field() {
    let snapshot = fixtures::snapshot();
    let mut app = at(0, &snapshot, (160, 48));
    update::press(&mut app, &snapshot, Key::Right);
    let shown = text(&app, &snapshot);
    for part in [
        "clean.cutoff_hz",
        "now         40.0 Hz",
        "staged      40.5 Hz, not in force yet",
        "default     40.0 Hz",
        "range       0.1 to 250 Hz",
        "0.5 Hz each",
        "between two",
        "can be changed",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!text(&at(0, &snapshot, (120, 48)), &snapshot).contains("right now"));
}

#[test]
fn a_locked_field_says_why_beside_the_form() {
    let snapshot = fixtures::recording();
    let shown = text(&at(0, &snapshot, (250, 70)), &snapshot);
    assert!(shown.contains("right now   # locked while recording"), "{shown}");
    let label = text(&at(4, &snapshot, (250, 70)), &snapshot);
    assert!(label.contains("right now   can be changed") && label.contains("also while recording"), "{label}");
    let fixed = text(&at(5, &snapshot, (250, 70)), &snapshot);
    assert!(fixed.contains("finish it with S"), "{fixed}");
}

#[test]
fn what_is_looked_for_is_in_the_message_line() {
    let snapshot = fixtures::snapshot();
    let mut app = at(0, &snapshot, (80, 24));
    for key in "/notch".chars() {
        update::press(&mut app, &snapshot, Key::Char(key));
    }
    let shown = text(&app, &snapshot);
    let line = shown.lines().rev().nth(1).unwrap_or_default();
    assert!(line.contains("Find field: notch") && line.contains("1 fits"), "{line}");
    assert!(shown.contains("> notch"), "{shown}");
    update::press(&mut app, &snapshot, Key::Char('x'));
    assert!(text(&app, &snapshot).contains("nothing fits"));
}

#[test]
fn the_name_of_the_file_is_asked_for_on_top() {
    let snapshot = fixtures::snapshot();
    let mut app = at(0, &snapshot, (80, 24));
    update::press(&mut app, &snapshot, Key::Char('w'));
    let shown = text(&app, &snapshot);
    assert!(shown.contains("Write what runs now into") && shown.contains("bench-01-tuned.json"), "{shown}");
}
