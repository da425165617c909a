//! Every view as a picture of text at four sizes. A change of a screen is a change of a file under `snapshots/`:
//! `INSTA_UPDATE=always cargo test -p wavedeck --lib pictures` writes them anew, to be looked at before they are kept.
use super::*;

const SIZES: [(u16, u16); 4] = [(80, 24), (160, 48), (250, 70), (40, 10)];

fn pictures(what: &str, snapshot: &Snapshot, view: View, change: impl Fn(&mut Stand)) {
    for (signs, theme) in [("braille", BRAILLE), ("ascii", ASCII)] {
        let mut all = String::new();
        for (width, height) in SIZES {
            let mut stand = showing(snapshot.clone(), view, width, height);
            change(&mut stand);
            let text = stand.text(&theme);
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            all.push_str(&format!("== {width}x{height}\n{}\n", lines.join("\n").trim_end()));
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{what}_{signs}"), all);
        });
    }
}

#[test]
fn monitor() {
    pictures("monitor_recording", &fixtures::recording(), View::Monitor, |_| {});
}

#[test]
fn monitor_of_a_replay() {
    pictures("monitor_replay", &fixtures::replay(), View::Monitor, |_| {});
}

#[test]
fn monitor_with_cursors_on_dense_lanes() {
    pictures("monitor_cursors", &fixtures::snapshot(), View::Monitor, |stand| {
        stand.app.shown = super::super::super::app::Held { first: 0, end: stand.history.end(), rate_hz: 250.0 };
        for key in [Key::Char('d'), Key::Left, Key::Char('c'), Key::Enter, Key::ShiftRight] {
            stand.press(key);
        }
    });
}

#[test]
fn spectrum() {
    pictures("spectrum", &fixtures::snapshot(), View::Spectrum, |stand| stand.press(Key::Char('n')));
}

#[test]
fn pipeline() {
    pictures("pipeline", &fixtures::snapshot(), View::Pipeline, |stand| stand.press(Key::Down));
}

#[test]
fn params_locked_while_recording() {
    pictures("params_locked", &fixtures::recording(), View::Params, |stand| stand.app.form.stage = 1);
}

#[test]
fn params_with_a_staged_edit() {
    pictures("params_staged", &fixtures::snapshot(), View::Params, |stand| {
        stand.app.form.stage = 1;
        stand.press(Key::Right);
    });
}

#[test]
fn recordings() {
    pictures("recordings", &fixtures::replay(), View::Recordings, |_| {});
}

#[test]
fn log() {
    pictures("log", &fixtures::snapshot(), View::Log, |_| {});
}

#[test]
fn what_lies_on_top() {
    pictures("quit", &fixtures::recording(), View::Monitor, |stand| stand.press(Key::Char('q')));
    pictures("palette", &fixtures::snapshot(), View::Monitor, |stand| {
        stand.press(Key::Char(':'));
        stand.press(Key::Char('m'));
    });
    pictures("help", &fixtures::snapshot(), View::Pipeline, |stand| stand.press(Key::Char('?')));
}
