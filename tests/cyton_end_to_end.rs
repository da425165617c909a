//! Bytes on a pty -> recording -> CSV, every sample compared with the board's own record.
mod common;

use std::{path::Path, process::Stdio};

use common::{Board, cyton_config, only_recording, rows, run, succeed, summary, text, wait_until, wavedeck};
use serde_json::{Value, json};

/// What a recording's CSV says of sample index and counts, and what the board says it sent.
fn compare_with_truth(home: &Path, recording: &Path, truth: &Path, channels: usize) -> usize {
    let table = home.join("out.csv");
    let paths = [recording, table.as_path()].map(|path| path.to_str().expect("UTF-8"));
    succeed(home, &["export", paths[0], "--to", "csv", "--counts", "-o", paths[1]]);
    let (got, expected) = (rows(&table), rows(truth));
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        // sample,time_s,CH1..,marker against sample,counter,CH1..
        assert_eq!(got[0], expected[0]);
        assert_eq!(got[2..2 + channels], expected[2..2 + channels], "sample {}", got[0]);
    }
    got.len()
}

fn gaps(info: &Value) -> Value {
    let gaps = info["gaps"].as_array().expect("a list of gaps");
    let of = |gap: &Value| json!([gap["first_index"], gap["n"], gap["reason"]]);
    gaps.iter().map(of).collect()
}

/// Where the sample index of a table jumps: first missing sample, how many, why.
fn gaps_between(rows: &[Vec<String>]) -> Vec<(u64, u64, &'static str)> {
    let samples: Vec<u64> = rows.iter().map(|row| row[0].parse().expect("an index")).collect();
    let jumps = samples.windows(2).filter(|pair| pair[1] > pair[0] + 1);
    jumps.map(|pair| (pair[0] + 1, pair[1] - pair[0] - 1, "device")).collect()
}

#[test]
fn twenty_seconds_of_a_cyton_with_two_gaps_arrive_sample_for_sample() {
    let home = tempfile::tempdir().expect("a folder");
    let (link, truth, dir) = (home.path().join("port"), home.path().join("truth.csv"), home.path().join("rec"));
    let config = home.path().join("cyton.json");
    std::fs::write(&config, cyton_config(&link, &dir, false)).expect("written");
    let truth_arg = truth.to_str().expect("UTF-8");
    let gap_args = ["--gap-at", "1234:7", "--gap-at", "3000:100"];
    let board_args = [&["--seconds", "20", "--truth", truth_arg], &gap_args[..]].concat();
    let mut board = Board::start(home.path(), &link, &board_args);

    let config = config.to_str().expect("UTF-8");
    let output = run(home.path(), &["run", config, "--headless", "--json", "--record", "--duration", "23s"]);
    board.wait();

    assert_eq!(output.status.code(), Some(3), "samples were lost: {}", text(&output.stderr));
    let recording = only_recording(&dir);
    let compared = compare_with_truth(home.path(), &recording, &truth, 8);
    let summary = summary(&text(&output.stdout));
    let count = |key: &str| summary[key].as_u64().expect("a number");
    assert_eq!((count("recorded"), count("produced")), (compared as u64, count("recorded") + count("dropped")));

    // The board notes what it really sent: on a machine that stood still it may have lost more than was planted.
    let expected = gaps_between(&rows(&truth));
    let info = succeed(home.path(), &["info", recording.to_str().expect("UTF-8"), "--json"]);
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(gaps(&info), json!(expected));
    assert!(expected.contains(&(1234, 7, "device")) && expected.contains(&(3000, 100, "device")), "{expected:?}");
    assert_eq!((&info["closed"], &info["degraded"]), (&json!(true), &json!(true)));

    let table = home.path().join("physical.csv");
    let recording = recording.to_str().expect("UTF-8");
    succeed(home.path(), &["export", recording, "--to", "csv", "-o", table.to_str().expect("UTF-8")]);
    let head = std::fs::read_to_string(&table).expect("a table");
    let head = head.lines().next().expect("a header");
    assert_eq!(head, "sample,time_s,CH1 [uV],CH2 [uV],CH3 [uV],CH4 [uV],CH5 [uV],CH6 [uV],CH7 [uV],CH8 [uV],marker");
}

#[test]
fn a_daisy_gives_sixteen_channels_at_half_the_rate() {
    let home = tempfile::tempdir().expect("a folder");
    let (link, truth, dir) = (home.path().join("port"), home.path().join("truth.csv"), home.path().join("rec"));
    let config = home.path().join("daisy.json");
    std::fs::write(&config, cyton_config(&link, &dir, true)).expect("written");
    let truth_arg = truth.to_str().expect("UTF-8");
    let mut board = Board::start(home.path(), &link, &["--daisy", "--seconds", "4", "--truth", truth_arg]);

    let config = config.to_str().expect("UTF-8");
    let output = run(home.path(), &["run", config, "--headless", "--json", "--record", "--duration", "7s"]);
    board.wait();

    let summary = summary(&text(&output.stdout));
    let recording = only_recording(&dir);
    let compared = compare_with_truth(home.path(), &recording, &truth, 16);
    assert_eq!(summary["recorded"], compared);
    assert!(compared >= 495, "{compared} rows of 4 s at 125 Hz");
}

#[test]
fn a_port_pulled_out_while_recording_loses_nothing_saved_and_comes_back() {
    let home = tempfile::tempdir().expect("a folder");
    let (link, dir, log) = (home.path().join("port"), home.path().join("rec"), home.path().join("run.jsonl"));
    let config = home.path().join("cyton.json");
    std::fs::write(&config, cyton_config(&link, &dir, false)).expect("written");
    let board = Board::start(home.path(), &link, &[]);
    let mut run = wavedeck(home.path())
        .args(["run", config.to_str().expect("UTF-8"), "--headless", "--json", "--record"])
        .stdout(std::fs::File::create(&log).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let recorded = || {
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        let last = lines.lines().rfind(|line| line.contains("\"status\"")).unwrap_or("{}").to_owned();
        serde_json::from_str::<Value>(&last).ok().and_then(|line| line["recorded"].as_u64()).unwrap_or(0)
    };

    wait_until("some samples", || recorded() > 300);
    board.unplug();
    let is_said = |word: &str| std::fs::read_to_string(&log).unwrap_or_default().contains(word);
    wait_until("the loss of the port is told", || is_said("port"));
    let before = recorded();
    let _back = Board::start(home.path(), &link, &[]);
    wait_until("samples flow again", || recorded() > before + 300);
    let id = run.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    let status = run.wait().expect("it ends");

    assert_eq!(status.code(), Some(3), "samples were lost");
    let info = succeed(home.path(), &["info", only_recording(&dir).to_str().expect("UTF-8"), "--json"]);
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!(info["closed"], true);
    let gaps = gaps(&info);
    assert_eq!(gaps[0][2], "reconnect", "{gaps}");
    assert_eq!(info["streams"][0]["balanced"], true);
}

#[test]
fn a_port_that_is_missing_busy_or_mute_is_told_with_a_cure() {
    let home = tempfile::tempdir().expect("a folder");
    let (link, dir) = (home.path().join("port"), home.path().join("rec"));
    let config = home.path().join("cyton.json");
    std::fs::write(&config, cyton_config(&link, &dir, false)).expect("written");
    let config = config.to_str().expect("UTF-8");
    let args = ["run", config, "--headless", "--json", "--duration", "5s"];

    let output = run(home.path(), &args);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("port") && printed.contains(link.to_str().expect("UTF-8")), "{printed}");
    assert_eq!(summary(&printed)["faults"], 1);

    let _board = Board::start(home.path(), &link, &[]);
    let holder = serialport::new(link.to_str().expect("UTF-8"), 115_200).open().expect("the port is free");
    let printed = text(&run(home.path(), &args).stdout);
    assert!(printed.contains("in use") || printed.contains("busy"), "{printed}");
    drop(holder);
}
