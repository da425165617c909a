//! The stage against a board on a real pseudo-terminal.
pub(super) mod fake;

use std::{path::Path, time::Instant};

use fake::{FakeBoard, Kind, frame};
use serde_json::{Value, json};
use wavedeck_api::{packet::PacketHeader, prelude::*, testing::Harness};

use super::frame::{FRAME_CHANNELS, microvolts_per_count};

/// Steps of at most a tick each that a test waits for something: half a minute, far more than any needs.
const MOST_STEPS: usize = 1500;

fn stage(path: &Path, params: Value) -> Harness {
    let mut all = json!({ "port": path.to_str().expect("a plain path") });
    for (key, value) in params.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    Harness::new("cyton", all, &[]).expect("it builds")
}

fn started(board: &FakeBoard, params: Value) -> Harness {
    let mut stage = stage(board.path(), params);
    stage.start().expect("the board answers");
    board.wait_for("b");
    stage
}

/// One step, and the wait that it asks for.
fn step(stage: &mut Harness) {
    if let Flow::Until(moment) = stage.step().expect("it runs") {
        std::thread::sleep(moment.saturating_duration_since(Instant::now()));
    }
}

type Packets = Vec<(PacketHeader, Vec<i32>)>;

/// Steps until `samples` samples came.
fn samples(stage: &mut Harness, samples: usize) -> Packets {
    let mut packets = Packets::new();
    for _ in 0..MOST_STEPS {
        step(stage);
        packets.extend(stage.take::<Counts>("out"));
        if packets.iter().map(|(header, _)| header.batch_size as usize).sum::<usize>() >= samples {
            return packets;
        }
    }
    panic!("only {packets:?} came");
}

/// Steps until a note holds `text`, and returns it.
fn note(stage: &mut Harness, text: &str) -> String {
    for _ in 0..MOST_STEPS {
        step(stage);
        if let Some(note) = stage.notes().into_iter().find(|note| note.text.contains(text)) {
            return note.text.to_string();
        }
    }
    panic!("nobody said `{text}`");
}

fn start_error(path: &Path, params: Value) -> String {
    stage(path, params).start().expect_err("it cannot start").to_string()
}

fn places(packets: &Packets) -> Vec<(u64, u32)> {
    packets.iter().map(|(header, _)| (header.first_sample, header.batch_size)).collect()
}

#[test]
fn rows_come_as_they_were_sent_in_packets_of_the_batch_size() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({ "batch": 4 }));
    board.send((0..10).flat_map(frame));

    let packets = samples(&mut stage, 10);

    assert_eq!(places(&packets), [(0, 4), (4, 4), (8, 2)], "the rest comes when it is old enough");
    let values: Vec<i32> = packets.into_iter().flat_map(|(_, values)| values).collect();
    let sent: Vec<i32> = (0..10).flat_map(fake::counts).collect();
    assert_eq!(values, sent);
}

#[test]
fn the_stream_says_what_its_counts_are_worth() {
    let board = FakeBoard::new(Kind::Cyton);
    let stage = stage(board.path(), json!({ "gain": 8 }));
    let spec = stage.spec("out");
    assert_eq!((spec.channels.len(), spec.rate.to_string().as_str(), spec.max_batch), (8, "250/1", 10));
    assert_eq!((spec.channels[7].name.as_str(), spec.channels[7].unit.as_str()), ("CH8", "uV"));
    assert_eq!(spec.channels[0].scale, microvolts_per_count(8));
    let (low, high) = spec.channels[0].range.expect("a 24-bit converter has one");
    assert!((low + 562_500.07).abs() < 0.01 && (high - 562_500.0).abs() < 0.01, "{low}..{high}");
}

#[test]
fn a_gap_is_counted_marked_and_never_inside_a_packet() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    board.send((0..5).chain(12..15).flat_map(frame));

    let packets = samples(&mut stage, 8);

    assert_eq!(places(&packets), [(0, 5), (12, 3)]);
    assert_eq!((packets[0].0.flags, packets[1].0.flags), (Flags::NONE, Flags::GAP));
    assert_eq!(stage.counts("out").lost_device, 7);
}

#[test]
fn a_damaged_stretch_is_marked_where_frames_were_searched() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    board.send((0..5).flat_map(frame).chain([1, 2, 3]).chain((5..9).flat_map(frame)));

    let packets = samples(&mut stage, 9);

    assert_eq!(places(&packets), [(0, 5), (5, 4)]);
    assert_eq!(packets[1].0.flags, Flags::RESYNC);
    assert_eq!(stage.counts("out").lost_device, 0);
}

#[test]
fn a_daisy_gives_sixteen_channels() {
    let board = FakeBoard::new(Kind::Daisy);
    let mut stage = started(&board, json!({ "daisy": true }));
    assert_eq!((stage.spec("out").channels.len(), stage.spec("out").rate.to_string().as_str()), (16, "125/1"));
    board.send((0..8).flat_map(frame));

    let packets = samples(&mut stage, 3);

    let first: Vec<i32> = fake::counts(3).into_iter().chain(fake::counts(2)).collect();
    assert_eq!(packets[0].1[..16], first);
    assert_eq!(packets[0].0.first_sample, 0);
    assert_eq!(board.commands(), "svCb");
}

#[test]
fn a_daisy_that_is_not_wanted_is_switched_off() {
    let board = FakeBoard::new(Kind::Daisy);
    started(&board, json!({}));
    assert_eq!(board.commands(), "svcb");
}

#[test]
fn a_daisy_that_is_not_there_is_an_error() {
    let board = FakeBoard::new(Kind::Cyton);
    let error = start_error(board.path(), json!({ "daisy": true }));
    assert!(error.starts_with("no Daisy answers on "), "{error}");
}

#[test]
fn gain_and_test_signal_are_set_before_the_stream_begins() {
    let board = FakeBoard::new(Kind::Cyton);
    started(&board, json!({ "gain": 4, "test_signal": "fast" }));
    let channels: String = (1..=8).map(|channel| format!("x{channel}020110X")).collect();
    assert_eq!(board.commands(), format!("sv{channels}=b"));
}

#[test]
fn a_setting_that_the_board_refuses_is_an_error_with_its_words() {
    let board = FakeBoard::new(Kind::Stubborn);
    let error = start_error(board.path(), json!({ "gain": 1 }));
    assert!(error.contains("refuses `x1000110X`: Failure: too few chars"), "{error}");
}

#[test]
fn a_port_that_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "x").expect("a file");
    let dangling = folder.path().join("cyton");
    std::os::unix::fs::symlink("/dev/pts/none", &dangling).expect("a link");
    let board = FakeBoard::new(Kind::Cyton);
    let _first = started(&board, json!({}));

    let cases = [
        (Path::new(""), "set stage.port to a serial port, e.g. /dev/ttyUSB0"),
        (&folder.path().join("none"), "does not exist: is the device plugged in?"),
        (&dangling, "is a link to nothing: is the device plugged in?"),
        (&file, "is not a serial port"),
        (folder.path(), "is not a serial port"),
        (Path::new("/dev/null"), "is not a serial port"),
        (board.path(), "is in use by another program"),
    ];
    for (path, reason) in cases {
        let error = start_error(path, json!({}));
        assert!(error.contains(reason), "{}: {error}", path.display());
    }
}

#[test]
fn a_silent_port_is_told_from_one_that_speaks_something_else() {
    let silent = FakeBoard::new(Kind::Mute);
    let error = start_error(silent.path(), json!({}));
    let question = "is the dongle's switch on GPIO6 and the board on PC?";
    assert_eq!(error, format!("nothing answered on {}: {question}", silent.path().display()));

    let strange = FakeBoard::new(Kind::Parrot);
    let error = start_error(strange.path(), json!({}));
    assert!(error.contains("bytes came from") && error.contains("no answer of an OpenBCI board"), "{error}");
}

#[test]
fn an_unplugged_board_is_taken_up_again_where_time_has_gone() {
    let mut board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    board.send((0..5).flat_map(frame));
    samples(&mut stage, 5);

    board.unplug();
    note(&mut stage, "is gone");
    note(&mut stage, "still waiting");
    board.plug_in();
    note(&mut stage, "is back");
    board.send((0..5).flat_map(frame));
    let packets = samples(&mut stage, 5);

    let header = packets[0].0;
    assert!(header.flags.has(Flags::RECONNECTED.with(Flags::GAP)), "{header:?}");
    // Half a second at least until the port is tried again.
    assert!(header.first_sample >= 5 + 125, "{header:?}");
    assert_eq!(stage.counts("out").lost_device, header.first_sample - 5);
}

#[test]
fn an_unplugged_board_is_the_end_if_so_wished() {
    let mut board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({ "reconnect": false }));
    board.unplug();
    let error = (0..MOST_STEPS).find_map(|_| stage.step().err()).expect("it ends");
    assert!(error.to_string().contains("is gone"), "{error}");
}

#[test]
fn silence_and_noise_are_told_once_each() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    let text = note(&mut stage, "no data from");
    assert!(text.ends_with("for 2 s: is the board on, charged and in range?"), "{text}");

    board.send((0..5).flat_map(frame));
    note(&mut stage, "again");
    samples(&mut stage, 5);

    board.send([0xA0, 0xC0].into_iter().cycle().take(2000));
    let text = note(&mut stage, "no frame of a Cyton");
    assert!(text.starts_with("2000 bytes from"), "{text}");
}

#[test]
fn rows_without_a_buffer_are_counted_as_overrun() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({ "batch": 1 }));
    // A harness has 1024 buffers; nobody takes any back.
    for start in (0..1100).step_by(50) {
        board.send((start..start + 50).flat_map(frame));
        let made = |stage: &Harness| stage.counts("out").sent_samples + stage.counts("out").lost_overrun;
        for _ in 0..MOST_STEPS {
            if made(&stage) == start + 50 {
                break;
            }
            stage.step().expect("it runs");
        }
    }
    let counts = stage.counts("out");
    assert_eq!((counts.sent_samples, counts.lost_overrun, counts.lost_device), (1024, 76, 0));

    stage.take::<Counts>("out");
    board.send((1100..1103).flat_map(frame));
    let packets = samples(&mut stage, 3);
    assert_eq!(packets[0].0.first_sample, 1100);
    assert!(packets[0].0.flags.has(Flags::GAP));
}

#[test]
fn the_board_is_stopped_at_the_end() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    board.send((0..3).flat_map(frame));
    // Three frames are no full packet; the end sends them.
    stage.stop();
    stage.step().expect("it runs");
    stage.finish().expect("it ends");
    board.wait_for("bs");
}

#[test]
fn garbage_makes_no_packets_and_does_not_hang() {
    let board = FakeBoard::new(Kind::Cyton);
    let mut stage = started(&board, json!({}));
    let garbage = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8);
    for piece in garbage.collect::<Vec<u8>>().chunks(1000) {
        board.send(piece.iter().copied());
        stage.step().expect("it runs");
    }
    board.send(frame(0).into_iter().take(20));
    for _ in 0..5 {
        stage.step().expect("it runs");
    }
    assert!(stage.take::<Counts>("out").is_empty());
    board.send((1..1 + FRAME_CHANNELS as u64).flat_map(frame));
    let packets = samples(&mut stage, FRAME_CHANNELS);
    assert_eq!(packets[0].1[..FRAME_CHANNELS], fake::counts(1));
}
