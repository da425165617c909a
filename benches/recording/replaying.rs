//! Replays by the program itself as fast as they go, against nothing but reading the recording.
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use wavedeck_recording::Recording;

use crate::{
    measure::{Options, Way, in_turns},
    report::{Report, Target, Unit},
    setup::{self, Board, SMALL, Signal, WIDE},
};

/// How many times a board's pace a recording passes through volts and four filters, and hashed at that.
pub(crate) fn through_filters(options: &Options, report: &mut Report) {
    for (board, seconds) in [(SMALL, 36_000), (WIDE, 60)] {
        let signal = Signal::of(board);
        let packets = Signal::packets_in(options.length(Duration::from_secs(seconds)));
        let length = Signal::due_after(packets - 1).as_secs_f64();
        let dir = tempfile::tempdir().expect("a folder");
        let recording = setup::recording(dir.path(), "replayed", &signal, packets);
        let config = dir.path().join("filters.json");
        fs::write(&config, pipeline(board)).expect("written");
        let replayed = |extra: &'static [&'static str]| -> Way<'_, f64> {
            Box::new(|| length / replay(&recording.path, &config, extra))
        };
        let ways = vec![replayed(&[]), replayed(&["--hash"]), Box::new(|| length / read(&recording.path))];
        let [filtered, hashed, read] =
            <[Vec<f64>; 3]>::try_from(in_turns(options.rounds().min(3), ways)).expect("three ways");
        let baseline = || ("reading it", read.clone());
        // Of the program's start to its end too, which a run of a moment is nothing else but.
        let target = (board.rate_hz == SMALL.rate_hz && options.is_measuring()).then_some(Target::AtLeast(10_000.0));
        let name = format!("{}: replay through filters, times real time", board.name);
        report.compare(name, Unit::Times, filtered, baseline(), target);
        let name = format!("{}: the same with hashes", board.name);
        report.compare(name, Unit::Times, hashed, baseline(), None);
    }
}

/// Volts, and a highpass, a lowpass and a notch over the recording's stream.
fn pipeline(Board { channels, rate_hz, .. }: Board) -> String {
    json!({
        "version": 1,
        "name": "filters",
        "stages": [
            { "id": "eeg", "type": "synthetic", "params": { "channels": channels, "rate_hz": f64::from(rate_hz) } },
            { "id": "volts", "type": "to_voltage", "params": { "vref": 4.5, "gain": 24.0, "adc_bits": 24 } },
            { "id": "clean", "type": "filter",
              "params": { "highpass_hz": 0.5, "lowpass_hz": 45.0, "notch_hz": 50.0 } },
        ],
        "connections": [{ "from": "eeg.out", "to": "volts.in" }, { "from": "volts.out", "to": "clean.in" }],
    })
    .to_string()
}

/// Seconds from the start of the program to its end.
fn replay(recording: &Path, config: &Path, extra: &[&str]) -> f64 {
    let begin = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavedeck"));
    command.arg("replay").arg(recording).arg("--config").arg(config);
    command.args(["--headless", "--json", "--speed", "max"]).args(extra);
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let took = begin.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    took
}

/// Seconds to read and decode every batch.
fn read(path: &Path) -> f64 {
    let begin = Instant::now();
    let recording = Recording::open(path).expect("a recording");
    let frames: u64 =
        recording.batches(0, 0).expect("the stream").map(|batch| u64::from(batch.expect("whole").n_frames)).sum();
    assert_eq!(frames, recording.ledger().streams[0].recorded);
    begin.elapsed().as_secs_f64()
}
