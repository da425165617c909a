//! The program as a user meets it: what it prints and how it ends.
mod common;

use std::path::{Path, PathBuf};

use common::{only_recording, rows, run, succeed, summary, text};
use serde_json::{Value, json};

fn demo() -> String {
    format!("{}/configs/demo.json", env!("CARGO_MANIFEST_DIR"))
}

fn write(dir: &Path, name: &str, value: &Value) -> String {
    let path = dir.join(name);
    std::fs::write(&path, value.to_string()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_demo_runs_without_a_screen_and_accounts_for_every_sample() {
    let home = tempfile::tempdir().expect("a folder");
    // On a machine that stands still for seconds a board's buffer runs over, and the program says so: try again then.
    let run = || run(home.path(), &["run", &demo(), "--headless", "--duration", "3s", "--json"]);
    let output = (0..3).map(|_| run()).find(|output| output.status.code() != Some(3)).expect("a machine that runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let summary = summary(&text(&output.stdout));
    let produced = summary["produced"].as_u64().expect("a number");
    assert!((700..=760).contains(&produced), "3 s at 250 Hz gave {produced}");
    assert_eq!((&summary["recorded"], &summary["dropped"]), (&json!(0), &json!(0)));
    for edge in summary["edges"].as_array().expect("a list") {
        let count = |key: &str| edge[key].as_u64().expect("a number");
        assert_eq!(count("produced"), count("consumed") + count("dropped") + count("in_flight"), "{edge}");
        assert_eq!(count("in_flight"), 0, "{edge}");
    }
}

#[test]
fn a_recording_from_the_first_sample_holds_every_one() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let config = json!({ "version": 1, "name": "ramp",
        "stages": [ { "id": "board", "type": "synthetic", "params":
                        { "channels": 3, "rate_hz": 10_000, "signal": "ramp", "pace": "max", "samples": 200_000 } },
                    { "id": "rec", "type": "record", "params": { "dir": dir } } ],
        "connections": [ { "from": "board", "to": "rec", "capacity": 8 } ] });
    let config = write(home.path(), "ramp.json", &config);
    let summary = summary(&succeed(home.path(), &["run", &config, "--headless", "--json", "--record"]));
    assert_eq!(summary["ended_by"], "sources");
    assert_eq!((&summary["produced"], &summary["recorded"]), (&json!(200_000), &json!(200_000)));

    let recording = only_recording(&dir);
    let recording = recording.to_str().expect("UTF-8");
    let table = home.path().join("ramp.csv");
    succeed(home.path(), &["export", recording, "--to", "csv", "--counts", "-o", table.to_str().expect("UTF-8")]);
    let rows = rows(&table);
    assert_eq!(rows.len(), 200_000);
    let value = |row: &[String], column: usize| row[column].parse::<i64>().expect("a count");
    for pair in rows.windows(2) {
        assert_eq!(value(&pair[1], 0), value(&pair[0], 0) + 1);
        for column in 2..5 {
            assert_eq!(value(&pair[1], column), value(&pair[0], column) + 1, "a ramp rises by one");
        }
    }

    // Replayed as fast as possible and recorded again, it is the same stream.
    let again = home.path().join("again");
    let set = format!("rec.dir={}", again.display());
    let args = ["replay", recording, "--speed", "max", "--headless", "--json", "--record", "--set", &set];
    let replayed = common::summary(&succeed(home.path(), &args));
    assert_eq!(replayed["recorded"], 200_000);
    let second = home.path().join("again.csv");
    let copy = only_recording(&again);
    succeed(
        home.path(),
        &["export", copy.to_str().expect("UTF-8"), "--to", "csv", "--counts", "-o", second.to_str().expect("UTF-8")],
    );
    assert!(std::fs::read(&table).expect("a table") == std::fs::read(&second).expect("a table"));
}

#[test]
fn every_mistake_of_a_config_is_told_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let config = json!({ "version": 1, "name": "x",
        "stages": [ { "id": "a", "type": "sinthetic" }, { "id": "b", "type": "gain", "params": { "gain": "loud", "gian": 1 } } ],
        "connections": [ { "from": "a.out", "to": "b.inn" }, { "from": "c", "to": "b.in", "overflow": "drop" } ] });
    let config = write(home.path(), "bad.json", &config);
    let output = run(home.path(), &["check", &config]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    // The shape of the file comes first: what it says is looked at once it can be read.
    assert!(said.contains("/connections/1/overflow") && said.contains("drop_oldest"), "{said}");

    let fixed = std::fs::read_to_string(&config).expect("there").replace("\"drop\"", "\"drop_oldest\"");
    std::fs::write(&config, fixed).expect("written");
    let said = text(&run(home.path(), &["check", &config]).stderr);
    for part in
        ["did you mean `synthetic`?", "/stages/1/params/gain", "did you mean `gain`?", "no input `inn`", "no stage `c`"]
    {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
}

#[test]
fn check_says_which_queue_is_too_small_and_why_stages_share_a_thread() {
    let home = tempfile::tempdir().expect("a folder");
    // Packets of 20 ms, and a thread that may be away for 1 + 5 = 6 ms: one is enough. 1000 ms before a disk need 50.
    let pipeline = json!({ "version": 1, "name": "x",
        "stages": [ { "id": "board", "type": "synthetic", "params": { "rate_hz": 1000.0 } },
                    { "id": "volts", "type": "to_voltage" }, { "id": "psd", "type": "fft" },
                    { "id": "rec", "type": "record" } ],
        "connections": [ { "from": "board", "to": "volts", "capacity": 1 }, { "from": "volts", "to": "psd" },
                         { "from": "board", "to": "rec", "capacity": 49 } ] });
    let config = write(home.path(), "x.json", &pipeline);
    let printed = succeed(home.path(), &["check", &config]);
    assert!(printed.contains("queue rec.raw holds 49, needs 50") && !printed.contains("queue volts"), "{printed}");
    assert!(printed.contains("write \"capacity\": 50, since rec may be away for 1000 ms"), "{printed}");
    assert!(printed.contains("[a chain begins behind board]"), "{printed}");
    let json: Value = serde_json::from_str(&succeed(home.path(), &["check", &config, "--json"])).expect("JSON");
    assert_eq!(json["plan"]["notes"][0]["at"], "/connections/2/capacity", "{json}");
    assert_eq!(json["plan"]["threads"][1]["why"], "a chain begins behind board");
}

#[test]
fn a_stage_that_cannot_be_built_points_at_its_place() {
    let home = tempfile::tempdir().expect("a folder");
    let output = run(home.path(), &["check", &demo(), "--set", "clean.lowpass_hz=200"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("/stages/2") && said.contains("200") && said.contains("125"), "{said}");
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be_are_told() {
    let home = tempfile::tempdir().expect("a folder");
    let garbage = home.path().join("garbage.mcap");
    std::fs::write(&garbage, [7; 1000]).expect("written");
    let garbage = garbage.to_str().expect("UTF-8");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["run", "nowhere.json", "--headless"], 2, "nowhere.json"),
        (&["check", garbage], 2, "garbage.mcap"),
        (&["info", "nowhere.mcap"], 1, "nowhere.mcap"),
        (&["info", garbage], 1, "garbage.mcap"),
        (&["replay", garbage, "--headless"], 2, "garbage.mcap"),
        (&["export", garbage, "--to", "csv", "-o", "x.csv"], 1, "garbage.mcap"),
        (&["stages", "filtr"], 2, "did you mean `filter`?"),
        (&["run", "--frobnicate"], 2, "--frobnicate"),
    ];
    check_refusals(home.path(), cases);
}

#[test]
fn without_a_terminal_the_screen_is_refused_with_a_hint() {
    let home = tempfile::tempdir().expect("a folder");
    let output = run(home.path(), &["run", &demo()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--headless"));
}

#[test]
fn the_stage_types_are_these() {
    let home = tempfile::tempdir().expect("a folder");
    let stages: Value = serde_json::from_str(&succeed(home.path(), &["stages", "--json"])).expect("JSON");
    let ids: Vec<&str> = stages.as_array().expect("a list").iter().filter_map(|stage| stage["id"].as_str()).collect();
    let expected = [
        "cyton",
        "downsample",
        "fft",
        "filter",
        "gain",
        "hash",
        "null",
        "record",
        "replay",
        "synthetic",
        "to_voltage",
        "websocket_sink",
    ];
    assert_eq!(ids, expected);
    let filter = succeed(home.path(), &["stages", "filter"]);
    assert!(filter.contains("lowpass_hz") && filter.contains("locked while recording"), "{filter}");
}

#[test]
fn every_config_of_the_project_builds() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = std::fs::read_dir(format!("{}/configs", env!("CARGO_MANIFEST_DIR"))).expect("the configs");
    let mut count = 0;
    for file in folder {
        let path = file.expect("a file").path();
        let printed = succeed(home.path(), &["check", path.to_str().expect("UTF-8")]);
        assert!(printed.contains("no problem found"), "{printed}");
        count += 1;
    }
    assert!(count >= 3, "{count} configs");
}

#[test]
fn the_sample_recording_replays() {
    let home = tempfile::tempdir().expect("a folder");
    let sample = format!("{}/recordings/sample.mcap", env!("CARGO_MANIFEST_DIR"));
    let info: Value = serde_json::from_str(&succeed(home.path(), &["info", &sample, "--json"])).expect("JSON");
    let samples = info["streams"][0]["recorded"].as_u64().expect("a number");
    assert!(std::fs::metadata(&sample).expect("it is there").len() < 1_000_000);
    let printed = succeed(home.path(), &["replay", &sample, "--headless", "--json", "--speed", "max"]);
    assert_eq!(summary(&printed)["produced"], samples);
}

fn sample() -> String {
    format!("{}/recordings/sample.mcap", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_name_of_the_output_tells_the_format_to_export_to() {
    let home = tempfile::tempdir().expect("a folder");
    let beginnings: &[(&str, &[u8])] = &[
        ("csv", b"sample,time_s,ECG [uV],"),
        ("bdf", b"\xffBIOSEMIX X X X"),
        ("edf", b"0       X X X X"),
        ("wav", b"RIFF"),
        ("npy", b"\x93NUMPY"),
        ("mcap", b"\x89MCAP0\r\n"),
        #[cfg(feature = "parquet")]
        ("parquet", b"PAR1"),
    ];
    for (format, beginning) in beginnings {
        let path = home.path().join(format!("out.{format}"));
        let printed = succeed(home.path(), &["export", &sample(), "-o", path.to_str().expect("UTF-8")]);
        let expected = format!("out.{format}: 5130 rows, 1 gaps with 1050 samples missing, 2 markers\n");
        assert!(printed.contains(&expected), "{printed}");
        assert_eq!(printed.contains("BAD_ACQ_SKIP"), matches!(*format, "bdf" | "edf"), "{printed}");
        assert_eq!(printed.contains("1050 missing frames in 1 gaps are zeros"), *format == "wav", "{printed}");
        assert!(std::fs::read(&path).expect("a file").starts_with(beginning), "{format}");
        let has_sidecar = path.with_extension(format!("{format}.json")).exists();
        assert_eq!(has_sidecar, matches!(*format, "wav" | "npy"), "{format}");
    }
}

#[test]
fn an_export_takes_part_of_a_recording_and_channels_in_the_order_wanted() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("part.npy");
    let output = path.to_str().expect("UTF-8");
    succeed(
        home.path(),
        &["export", &sample(), "-o", output, "--counts", "--channels", "3,1", "--from", "1s", "--to-time", "3s"],
    );
    let sidecar = std::fs::read(home.path().join("part.npy.json")).expect("a sidecar");
    let sidecar: Value = serde_json::from_slice(&sidecar).expect("JSON");
    assert_eq!((&sidecar["rows"], &sidecar["first_index"]), (&json!(500), &json!(1000)));
    assert_eq!((&sidecar["channels"][0]["name"], &sidecar["channels"][1]["name"]), (&json!("Fp2"), &json!("ECG")));
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), 128 + 500 * 2 * 4);
}

#[test]
fn what_a_format_cannot_hold_is_a_warning() {
    let home = tempfile::tempdir().expect("a folder");
    let recording = recorded_ramp(home.path(), 2, 100_000);
    let path = home.path().join("out.edf");
    let args = ["export", recording.to_str().expect("UTF-8"), "-o", path.to_str().expect("UTF-8")];
    let output = run(home.path(), &args);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("100000 rows, 1 warnings"), "{}", text(&output.stdout));
    let said = text(&output.stderr);
    assert!(said.contains("warning: 2 channels are rounded: 16 bits hold steps of"), "{said}");
}

#[test]
fn an_export_that_makes_no_sense_is_refused_with_what_would() {
    let home = tempfile::tempdir().expect("a folder");
    let taken = write(home.path(), "taken.csv", &json!(1));
    let sample = sample();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["export", &sample, "-o", "x.xyz"], 2, "end it in one of csv, bdf, edf"),
        (&["export", &sample, "-o", "-"], 2, "or give --to"),
        (&["export", &sample, "-o", "-", "--to", "bdf"], 2, "not to standard output"),
        (&["export", &sample, "-o", "x.csv", "--every", "2"], 2, "--every is for mcap"),
        (&["export", &sample, "-o", "x.csv", "--stream", "eeg"], 1, "which has board"),
        (&["export", &sample, "-o", "x.csv", "--channels", "9"], 1, "below 8, got 8"),
        (&["export", &sample, "-o", &taken], 1, "exists already; give another name, or --overwrite"),
        (&["export", &sample, "-o", "/nowhere/x.csv"], 1, "cannot write /nowhere/x.csv"),
    ];
    check_refusals(home.path(), cases);
}

#[test]
fn an_interrupted_export_leaves_nothing_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let recording = recorded_ramp(home.path(), 8, 300_000);
    let out = home.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let files = || std::fs::read_dir(&out).expect("readable").count();

    let mut command = common::wavedeck(home.path());
    command.args(["export", recording.to_str().expect("UTF-8"), "-o", out.join("x.csv").to_str().expect("UTF-8")]);
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("the program starts");
    common::wait_until("the output", || files() > 0);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let status = child.wait().expect("a child");

    // On a fast machine it may have ended before the signal came.
    let is_whole = status.success() && out.join("x.csv").exists();
    assert!(is_whole || status.code() == Some(1) && files() == 0, "{status}, {} files", files());
}

/// A recording of a ramp at 10 kHz.
fn recorded_ramp(home: &Path, channels: u32, samples: u32) -> PathBuf {
    let config = json!({ "version": 1, "name": "ramp",
        "stages": [ { "id": "board", "type": "synthetic", "params":
                        { "channels": channels, "rate_hz": 10_000, "signal": "ramp", "pace": "max", "samples": samples } },
                    { "id": "rec", "type": "record", "params": { "dir": home.join("rec") } } ],
        "connections": [ { "from": "board", "to": "rec" } ] });
    let config = write(home, "ramp.json", &config);
    succeed(home, &["run", &config, "--headless", "--record"]);
    only_recording(&home.join("rec"))
}

/// Each command line must end with its code and say its part.
fn check_refusals(home: &Path, cases: &[(&[&str], i32, &str)]) {
    for (args, code, part) in cases {
        let output = run(home, args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

/// The code blocks of the README in one language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_pipeline_in_the_readme_is_valid() {
    let home = tempfile::tempdir().expect("a folder");
    let blocks = blocks("json");
    assert_eq!(blocks.len(), 1);
    let path = home.path().join("readme.json");
    std::fs::write(&path, &blocks[0]).expect("written");
    succeed(home.path(), &["check", path.to_str().expect("UTF-8")]);
}

#[test]
fn every_command_in_the_readme_is_understood() {
    use clap::Parser;
    let lines: Vec<String> =
        blocks("sh").iter().flat_map(|block| block.lines().map(ToOwned::to_owned).collect::<Vec<_>>()).collect();
    let commands = lines.iter().filter(|line| line.starts_with("wavedeck"));
    let mut count = 0;
    for command in commands {
        let words = command.split(" #").next().unwrap_or_default().trim_end_matches('&').split_whitespace();
        let parsed = wavedeck::cli::Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
        count += 1;
    }
    assert!(count >= 10, "{count} commands");
}
