//! The screens in a real pseudo-terminal: what a person presses, and what is true afterwards.
mod common;

#[path = "common/screen.rs"]
mod screen;

use std::path::Path;

use common::{Board, cyton_config, only_recording, recorded_bytes, succeed, wait_until};
use screen::{Screen, has_braille};
use serde_json::{Value, json};

const ESCAPE: &str = "\x1b";
const ENTER: &str = "\r";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const RIGHT: &str = "\x1b[C";

fn demo(home: &Path) -> (Vec<String>, std::path::PathBuf) {
    let dir = home.join("rec");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    (vec!["run".into(), config.into(), "--set".into(), format!("rec.dir={}", dir.display())], dir)
}

fn start(home: &Path, args: &[String]) -> Screen {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let screen = Screen::start(home, 80, 24, &args);
    screen.wait_for("READY");
    screen
}

fn info(home: &Path, dir: &Path) -> Value {
    let path = only_recording(dir);
    serde_json::from_str(&succeed(home, &["info", path.to_str().expect("UTF-8"), "--json"])).expect("JSON")
}

#[test]
fn a_recording_is_started_paused_marked_resumed_and_finished_by_keys() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, dir) = demo(home.path());
    let mut screen = start(home.path(), &args);
    wait_until("waves", || has_braille(&screen.text()));

    screen.press("R");
    screen.wait_for("REC 00:00:0");
    wait_until("data in the file", || recorded_bytes(&dir) > 8000);
    screen.press("m");
    screen.wait_for("M1");
    screen.press("R");
    screen.wait_for("PAUSED");
    std::thread::sleep(std::time::Duration::from_millis(700));
    screen.press("R");
    wait_until("recording again", || screen.header().contains("REC") && !screen.header().contains("PAUSED"));
    std::thread::sleep(std::time::Duration::from_millis(700));
    screen.press("S");
    assert!(screen.header().contains("REC"), "S asks once");
    screen.press("S");
    screen.wait_for("READY");
    screen.press("q");
    assert_eq!(screen.wait(), 0);
    wait_until("the terminal is given back", || screen.is_given_back());

    let info = info(home.path(), &dir);
    assert_eq!((&info["closed"], &info["degraded"]), (&json!(true), &json!(false)));
    assert_eq!(info["markers"].as_array().map(Vec::len), Some(1), "{info}");
    let gaps = info["gaps"].as_array().expect("a list");
    assert_eq!((gaps.len(), &gaps[0]["reason"]), (1, &json!("paused")), "{info}");
    assert_eq!(info["streams"][0]["balanced"], true);
}

#[test]
fn a_filter_corner_is_changed_in_the_form_and_locked_while_recording() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, dir) = demo(home.path());
    let mut screen = start(home.path(), &args);
    screen.press("4");
    screen.wait_for("rate_hz");
    screen.press("\t");
    screen.press("\t");
    screen.wait_for("lowpass_hz");

    // The second field of the filter: edit, type, apply.
    screen.press(DOWN);
    screen.press(ENTER);
    for _ in 0..8 {
        screen.press("\x7f");
    }
    screen.press("30");
    screen.press(ENTER);
    screen.press("a");
    screen.press("6");
    screen.wait_for("lowpass_hz 45.0 → 30.0");

    screen.press("R");
    screen.wait_for("REC 00:00:0");
    screen.press("4");
    screen.wait_for("locked");
    screen.press(RIGHT);
    screen.press("a");
    screen.press("6");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!screen.text().contains("30.0 →"), "nothing was changed while recording:\n{}", screen.text());
    screen.press("q");
    screen.press("f");
    assert_eq!(screen.wait(), 0);
    // The change before the start is within reach of the seconds that the file holds from before it.
    let edits = info(home.path(), &dir)["edits"].clone();
    let told: Vec<_> = edits.as_array().expect("a list").iter().map(|edit| (&edit["path"], &edit["new"])).collect();
    assert_eq!(told, [(&json!("clean.lowpass_hz"), &json!(30.0))]);
}

#[test]
fn a_fixed_parameter_is_applied_by_a_restart_and_a_bad_one_leaves_the_pipeline_as_it_was() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, _) = demo(home.path());
    let mut screen = start(home.path(), &args);
    screen.press("4");
    screen.wait_for("rate_hz");
    screen.press(RIGHT);
    screen.wait_for("restarts the pipeline");
    screen.press("a");
    wait_until("nine channels", || screen.header().contains("9ch"));

    // A rate at which the filter of 45 Hz cannot be built.
    screen.press(DOWN);
    screen.press(ENTER);
    for _ in 0..8 {
        screen.press("\x7f");
    }
    screen.press("60");
    screen.press(ENTER);
    screen.press("a");
    screen.wait_for("edits stay staged: `clean`");
    assert!(screen.header().contains("READY") && screen.header().contains("9ch 250Hz"), "{}", screen.header());
    screen.press("u");
    screen.press("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn the_header_is_in_every_view_at_both_sizes_and_through_a_resize() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, _) = demo(home.path());
    let mut screen = start(home.path(), &args);
    for (columns, rows) in [(80, 24), (160, 48), (100, 30)] {
        screen.resize(columns, rows);
        let parts = [
            ("1", "ECG"),
            ("2", "Peaks of"),
            ("3", "board.out"),
            ("4", "rate_hz"),
            ("5", "Recordings"),
            ("6", "pipeline"),
        ];
        for (key, part) in parts {
            screen.press(key);
            screen.wait_for(part);
            wait_until("the header", || {
                let header = screen.header();
                ["READY", "demo", "drop 0", "q ", "pool "].iter().all(|part| header.contains(part))
            });
        }
        screen.press("?");
        screen.wait_for("start a recording");
        assert!(screen.header().contains("READY"));
        screen.press(ESCAPE);
    }
    screen.press("1");
    screen.press(UP);
    screen.press("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_recording_running() {
    let home = tempfile::tempdir().expect("a folder");
    let (mut args, dir) = demo(home.path());
    args.push("--record".into());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut screen = Screen::start(home.path(), 80, 24, &args);
    screen.wait_for("REC 00:00:0");

    screen.vanish();
    let before = recorded_bytes(&dir);
    wait_until("the recording goes on", || recorded_bytes(&dir) > before + 8000);
    assert!(screen.runs());
    let spent = cpu_seconds(&screen);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let share = (cpu_seconds(&screen) - spent) / 2.0;
    assert!(share < 0.5, "a vanished terminal must not be polled in a loop: {share} of a core");
    screen.signal("-TERM");
    assert_eq!(screen.wait(), 0);
    let info = info(home.path(), &dir);
    assert_eq!((&info["closed"], &info["degraded"]), (&json!(true), &json!(false)));
}

/// User and system time of the program so far.
fn cpu_seconds(screen: &Screen) -> f64 {
    let id = screen.child.process_id().expect("it runs");
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("/proc");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    // utime and stime are the 14th and 15th of all, in hundredths of a second.
    (fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime")) / 100.0
}

#[test]
fn a_hang_up_signal_ends_the_program_when_nothing_is_recorded() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, _) = demo(home.path());
    let mut screen = start(home.path(), &args);
    screen.signal("-HUP");
    screen.wait();
}

#[test]
fn a_termination_signal_finishes_the_recording_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().expect("a folder");
    let (mut args, dir) = demo(home.path());
    args.push("--record".into());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut screen = Screen::start(home.path(), 80, 24, &args);
    screen.wait_for("REC 00:00:01");
    screen.signal("-TERM");
    assert_eq!(screen.wait(), 0);
    wait_until("the terminal is given back", || screen.is_given_back());
    assert_eq!(info(home.path(), &dir)["closed"], true);
}

#[test]
fn a_recording_is_replayed_and_left_for_live_again() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, dir) = demo(home.path());
    let record = [&args[..], &["--headless".into(), "--record".into(), "--duration".into(), "3s".into()]].concat();
    let record: Vec<&str> = record.iter().map(String::as_str).collect();
    succeed(home.path(), &record);
    only_recording(&dir);

    let mut screen = start(home.path(), &args);
    screen.press("5");
    screen.wait_for("_demo.mcap");
    screen.press(ENTER);
    screen.wait_for("REPLAY");
    screen.press("1");
    wait_until("waves of the recording", || has_braille(&screen.text()));
    // To a time, frame by frame, and between two moments again and again.
    screen.press(" ");
    screen.wait_for("play");
    screen.press("g");
    screen.wait_for("Go to");
    screen.press("1.5");
    screen.press(ENTER);
    screen.wait_for("0:01.5 of 0:0");
    let at = |screen: &Screen| -> u64 {
        let text = screen.text();
        let number = text.split("sample ").nth(1).and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    wait_until("the sample", || at(&screen) > 0);
    let here = at(&screen);
    screen.press("..,");
    wait_until("a frame further on", || at(&screen) == here + 1);
    screen.press("A");
    screen.press("g");
    screen.press("+0.5");
    screen.press(ENTER);
    screen.wait_for("0:02.0 of 0:0");
    screen.press("B");
    screen.wait_for("A 0:01.5 B 0:02.0");
    screen.press("L");
    wait_until("no loop", || !screen.text().contains("B 0:02.0"));
    screen.press("l");
    screen.wait_for("READY");
    screen.press("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_cyton_on_a_serial_port_is_seen_with_its_channels() {
    let home = tempfile::tempdir().expect("a folder");
    let (link, dir) = (home.path().join("port"), home.path().join("rec"));
    let config = home.path().join("cyton.json");
    std::fs::write(&config, cyton_config(&link, &dir, false)).expect("written");
    let _board = Board::start(home.path(), &link, &["--gap-at", "300:9"]);
    let mut screen = Screen::start(home.path(), 80, 24, &["run", config.to_str().expect("UTF-8")]);
    screen.wait_for("CH8");
    // Nine at least: a machine that stands still for seconds loses more, and says so too.
    wait_until("the gap in the header", || {
        let header = screen.header();
        let count = header.split("DROP ").nth(1).and_then(|rest| rest.split_whitespace().next());
        count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count >= 9)
    });
    screen.press("q");
    assert_eq!(screen.wait(), 3);
}

#[test]
fn clicks_on_tabs_lanes_and_hints_do_what_is_written_there() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, _) = demo(home.path());
    let mut screen = start(home.path(), &args);
    wait_until("waves", || has_braille(&screen.text()));
    let click = |screen: &mut Screen, what: &str| {
        let text = screen.text();
        let (row, line) = text.lines().enumerate().find(|(_, line)| line.contains(what)).expect("it is shown");
        let before = line.split(what).next().expect("a beginning").chars().count();
        screen.press(&format!("\x1b[<0;{};{}M\x1b[<0;{};{}m", before + 1, row + 1, before + 1, row + 1));
    };

    click(&mut screen, "Pipeline");
    screen.wait_for("Pools");
    click(&mut screen, "Monitor");
    screen.wait_for("Fp1");
    click(&mut screen, "Fp1");
    wait_until("another lane", || screen.text().lines().any(|line| line.starts_with("▌Fp1")));
    click(&mut screen, "? help");
    screen.wait_for("Keys");
}

#[test]
fn it_goes_to_the_shell_and_comes_back_but_not_while_it_records() {
    let home = tempfile::tempdir().expect("a folder");
    let (args, _) = demo(home.path());
    let mut screen = Screen::start_other("bash", home.path(), 80, 24, &["--norc", "--noprofile", "-i"]);
    screen.press(&format!("PS1='ready> '; {} {}\r", env!("CARGO_BIN_EXE_wavedeck"), args.join(" ")));
    screen.wait_for("READY");

    screen.press("\x1a");
    screen.wait_for("Stopped");
    screen.press("echo in the sh''ell\r");
    screen.wait_for("in the shell");
    screen.press("fg\r");
    screen.wait_for("READY");
    wait_until("waves again", || has_braille(&screen.text()));

    screen.press("R");
    screen.wait_for("REC 00:00:0");
    screen.press("\x1a");
    screen.wait_for("not suspended");
    assert!(screen.header().contains("REC"));
    screen.press("qf");
    screen.wait_for("ready>");
    screen.press("exit\r");
    screen.wait();
}
