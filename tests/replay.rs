//! A recording replayed by the program: the same bits at any speed and on any threads, and a recording of it the same.
mod common;

use std::path::{Path, PathBuf};

use common::{only_recording, succeed};
use serde_json::{Value, json};
use wavedeck_recording::{Recording, Samples};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recordings/sample.mcap");

/// Replays without a screen; the account at the end.
fn replay(home: &Path, file: &Path, args: &[&str]) -> Value {
    let file = file.to_str().expect("UTF-8");
    let all = [&["replay", file, "--headless", "--json"], args].concat();
    common::summary(&succeed(home, &all))
}

/// Stream, hash, samples and runs.
fn hashes(summary: &Value) -> Vec<Value> {
    assert_eq!(summary["dropped"], 0, "{summary}");
    summary["hashes"].as_array().expect("hashes").clone()
}

/// The sample's own pipeline with a thread for each stage by this rule.
fn pipeline_on_threads(home: &Path, thread: impl Fn(usize) -> String) -> PathBuf {
    let own = Recording::open(SAMPLE).expect("a recording").pipeline_json().expect("it has one");
    let mut config: Value = serde_json::from_str(&own).expect("JSON");
    let stages = config["stages"].as_array_mut().expect("a list");
    stages.iter_mut().enumerate().for_each(|(number, stage)| stage["thread"] = json!(thread(number)));
    let path = home.join("threads.json");
    std::fs::write(&path, config.to_string()).expect("written");
    path
}

#[test]
fn the_same_bits_come_out_at_any_speed_and_on_any_threads() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| hashes(&replay(home.path(), Path::new(SAMPLE), &[&["--hash"], args].concat()));
    let expected = run(&["--speed", "max"]);
    let streams: Vec<&str> = expected.iter().map(|hash| hash["stream"].as_str().expect("a name")).collect();
    assert_eq!(streams, ["board.out", "volts.out", "clean.out", "psd.out"]);
    assert!(expected.iter().all(|hash| hash["samples"].as_u64() > Some(0)), "{expected:?}");
    assert_eq!(expected[0]["runs"], 2, "the gap is in it");

    assert_eq!(run(&["--speed", "40"]), expected, "at another speed");
    for threads in [1, 2, 100] {
        let config = pipeline_on_threads(home.path(), |stage| format!("t{}", stage % threads));
        assert_eq!(
            run(&["--speed", "max", "--config", config.to_str().expect("UTF-8")]),
            expected,
            "{threads} threads"
        );
    }
    // A change that matters shows, so the hashes are not all the same by chance.
    let other = run(&["--speed", "max", "--set", "clean.lowpass_hz=30"]);
    let differ: Vec<bool> = other.iter().zip(&expected).map(|(other, expected)| other != expected).collect();
    assert_eq!(differ, [false, false, true, true]);
}

#[test]
fn to_view_only_shows_the_streams_in_their_units() {
    let home = tempfile::tempdir().expect("a folder");
    let own = hashes(&replay(home.path(), Path::new(SAMPLE), &["--hash", "--speed", "max"]));
    let viewed = hashes(&replay(home.path(), Path::new(SAMPLE), &["--hash", "--speed", "max", "--view-only"]));
    assert_eq!((viewed.len(), &viewed[0]), (2, &own[0]));
    assert_eq!((&viewed[1]["stream"], &viewed[1]["hash"]), (&json!("board_units.out"), &own[1]["hash"]));
}

#[test]
fn a_recording_of_a_replay_has_the_streams_of_the_original() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("again");
    let set = format!("rec.dir={}", dir.display());
    let summary =
        replay(home.path(), Path::new(SAMPLE), &["--speed", "max", "--record", "--name", "again", "--set", &set]);
    assert_eq!(summary["produced"], summary["recorded"], "{summary}");

    assert_eq!(only_recording(&dir), dir.join("again.mcap"));
    let (original, again) = (Recording::open(SAMPLE), Recording::open(dir.join("again.mcap")));
    let (original, again) = (original.expect("a recording"), again.expect("a recording"));
    assert_eq!(original.streams().len(), again.streams().len());
    for (number, (one, other)) in original.streams().iter().zip(again.streams()).enumerate() {
        assert_eq!((&one.name, &one.spec), (&other.name, &other.spec));
        assert_eq!(samples(&original, number), samples(&again, number));
        // How far apart samples lie in time is kept too.
        let times = |recording: &Recording| -> Vec<(u64, u64)> {
            let batches = recording.batches(number, 0).expect("a stream").map(|batch| batch.expect("whole"));
            batches.map(|batch| (batch.first_index, batch.t0_ns)).collect()
        };
        let (one, other) = (times(&original), times(&again));
        for ((index, time), (_, begin)) in other.iter().zip(std::iter::repeat(&other[0])) {
            let nearest = one.iter().rev().find(|(first, _)| first <= index).expect("it is in the original");
            let rate = original.streams()[number].spec.rate;
            let expected = nearest.1 + rate.nanoseconds_at(index - nearest.0) - one[0].1;
            assert!((time - begin).abs_diff(expected) <= 1, "sample {index}");
        }
    }
    let gaps = |recording: &Recording| -> Vec<_> {
        let gaps = recording.gaps().expect("readable").into_iter();
        gaps.map(|gap| (gap.stream, gap.first_index, gap.n)).collect()
    };
    assert_eq!(gaps(&original), gaps(&again));
    succeed(home.path(), &["verify", dir.join("again.mcap").to_str().expect("UTF-8")]);
}

/// Each sample of a stream with its index.
fn samples(recording: &Recording, stream: usize) -> Vec<(u64, Vec<i32>)> {
    let channels = recording.streams()[stream].spec.frame_len();
    let batches = recording.batches(stream, 0).expect("a stream").map(|batch| batch.expect("whole"));
    let frames = batches.flat_map(|batch| {
        let Samples::Counts(counts) = batch.samples else { panic!("these are counts") };
        let frames: Vec<Vec<i32>> = counts.chunks_exact(channels).map(<[i32]>::to_vec).collect();
        (batch.first_index..).zip(frames)
    });
    frames.collect()
}
