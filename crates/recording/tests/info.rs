//! What `info` says about a recording, to programs and to people.
mod common;

use common::{ANCHOR, Feeder, open, options};
use tempfile::tempdir;
use wavedeck_recording::{Event, GapReason, Recording, RecordingInfo};

fn recorded(dir: &std::path::Path) -> Recording {
    let mut feeder = Feeder::new(options(dir), 2);
    feeder.next = 100;
    feeder.feed(50);
    feeder.lose(25);
    feeder.feed(50);
    let event = Event { label: "blink".into(), stream: Some(0), index: Some(350), ..Event::default() };
    feeder.writer.event(&event, ANCHOR.monotonic_ns + 1_000_000_000).expect("noted");
    open(&feeder.finish().path)
}

#[test]
fn the_account_and_the_places_are_right() {
    let dir = tempdir().expect("a directory");

    let info = RecordingInfo::of(&recorded(dir.path())).expect("readable");

    let stream = &info.streams[0];
    assert_eq!((stream.rate.as_str(), stream.rate_hz), ("250/1", 250.0));
    assert_eq!((stream.first_index, stream.last_index), (Some(100), Some(1124)));
    assert_eq!((stream.recorded, stream.lost, stream.paused, stream.balanced), (1000, 25, 0, true));
    assert_eq!((stream.duration_s, info.duration_s), (4.1, 4.1));
    assert_eq!(stream.channels, ["CH1 [uV]", "CH2 [uV]"]);
    assert_eq!((info.gaps[0].first_index, info.gaps[0].n, info.gaps[0].reason), (600, 25, GapReason::Device));
    assert_eq!((info.gaps[0].time_s, info.markers[0].time_s), (2.0, 1.0));
    assert!(info.closed && info.degraded);
    assert_eq!(info.start_unix_ns, ANCHOR.unix_ns);
}

#[test]
fn programs_get_json() {
    let dir = tempdir().expect("a directory");
    let info = RecordingInfo::of(&recorded(dir.path())).expect("readable");

    let json = serde_json::to_value(&info).expect("JSON");

    assert_eq!(json["streams"][0]["kind"], "counts");
    assert_eq!(json["gaps"][0]["reason"], "device");
    assert_eq!(json["markers"][0]["label"], "blink");
    assert_eq!(json["app_version"], "0.1.0");
}

#[test]
fn people_get_a_page() {
    let dir = tempdir().expect("a directory");
    let info = RecordingInfo::of(&recorded(dir.path())).expect("readable");
    let info = RecordingInfo { path: "run.mcap".into(), bytes: 4711, start: "then".into(), ..info };

    let expected = "\
file       run.mcap
session    test
operator   an operator
started    then
duration   4.100 s
size       4711 bytes
written by wavedeck 0.1.0
state      closed, 25 samples LOST

stream `eeg`: counts at 250/1 Hz
  device    a board
  channels  2: CH1 [uV], CH2 [uV]
  samples   100 to 1124, 4.100 s
  account   1000 recorded, 25 lost, 0 paused

gaps (1)
         2.000 s  eeg: 25 samples from 600, device lost samples

markers (1)
         1.000 s  blink at sample 350
";
    assert_eq!(info.to_string(), expected);
}

#[test]
fn a_cut_file_says_so() {
    let dir = tempdir().expect("a directory");
    let path = recorded(dir.path()).path().to_owned();
    let bytes = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");

    let info = RecordingInfo::of(&open(&path)).expect("readable");

    assert!(!info.closed);
    assert!(info.to_string().contains("state      NOT CLOSED"), "{info}");
    assert!(info.streams[0].recorded > 0);
}

#[test]
fn a_damaged_chunk_does_not_hide_the_rest() {
    let dir = tempdir().expect("a directory");
    let path = recorded(dir.path()).path().to_owned();
    let mut bytes = std::fs::read(&path).expect("readable");
    // The mark is in the last chunk, which ends before the message indexes and the summary.
    let chunk = bytes.windows(4).rposition(|window| window == b"\x28\xb5\x2f\xfd").expect("a chunk of zstd");
    bytes[chunk + 30] ^= 1;
    std::fs::write(&path, &bytes).expect("written");

    let info = RecordingInfo::of(&open(&path)).expect("readable");

    assert_eq!((info.damaged_chunks, info.markers.len(), info.gaps.len()), (1, 0, 1));
    assert!(info.degraded);
}
