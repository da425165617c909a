//! Recordings made for the purpose, played step by step.
use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use wavedeck_api::{clock::Anchor, testing::Harness};
use wavedeck_recording::{Event, Gap, GapReason, GapTracker, RecordingOptions, RecordingWriter, StreamInfo};

use super::*;
use crate::fixtures;

const FRAMES: u32 = 10;
const ANCHOR: Anchor = Anchor { monotonic_ns: 0, unix_ns: 1_795_529_858_000_000_000 };

type Packets = Vec<(PacketHeader, Vec<i32>)>;

fn writer(dir: &Path, specs: &[(&str, StreamSpec)]) -> RecordingWriter {
    let stream =
        |(name, spec): &(&str, StreamSpec)| StreamInfo { name: (*name).into(), spec: spec.clone(), device: "".into() };
    let options = RecordingOptions { dir: dir.to_owned(), name: Some("run".into()), ..RecordingOptions::default() };
    RecordingWriter::create(options, specs.iter().map(stream).collect(), ANCHOR).expect("created")
}

fn header(first_sample: u64, batch_size: u32, channels: u16) -> PacketHeader {
    let timestamp_ns = first_sample * 4_000_000;
    PacketHeader { first_sample, timestamp_ns, batch_size, channels, ..PacketHeader::default() }
}

/// Two channels: the index, and the same below zero.
fn samples(indices: std::ops::Range<u64>) -> Vec<i32> {
    indices.flat_map(|index| [index as i32, -(index as i32)]).collect()
}

/// A recording of runs of counts, each in one packet and of one chunk; what is between them is lost.
fn recorded(runs: &[std::ops::Range<u64>]) -> (TempDir, PathBuf) {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path(), &[("eeg", fixtures::counts(2, FRAMES))]);
    let mut tracker = GapTracker::new();
    for run in runs {
        let header = header(run.start, u32::try_from(run.end - run.start).expect("short"), 2);
        if let Some(gap) = tracker.observe(&header) {
            writer.gap(0, &gap, header.timestamp_ns).expect("noted");
        }
        writer.batch_counts(0, &header, &samples(run.clone()), header.timestamp_ns).expect("taken");
        writer.commit().expect("open");
    }
    let path = writer.finish().expect("closed").path;
    (dir, path)
}

fn build(path: &Path, params: Value) -> Result<Harness, BuildError> {
    let mut all = json!({ "path": path, "speed": 0 });
    for (key, value) in params.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    Harness::new("replay", all, &[])
}

/// A replay that has started, as fast as possible unless `params` say otherwise.
fn replay(path: &Path, params: Value) -> Harness {
    let mut stage = build(path, params).expect("it builds");
    stage.start().expect("it starts");
    stage
}

/// Runs until there is nothing to do, and takes what came.
fn run(stage: &mut Harness) -> Packets {
    stage.run().expect("it runs");
    stage.take::<Counts>("out")
}

fn ask(stage: &Harness, command: TransportCommand) {
    stage.transport.as_ref().expect("a replay").request(command).expect("taken");
}

fn status(stage: &Harness) -> TransportStatus {
    stage.transport.as_ref().expect("a replay").status()
}

/// First and end of each packet, each of which must hold what was recorded.
fn extents(packets: &Packets) -> Vec<(u64, u64)> {
    for (header, values) in packets {
        assert_eq!(*values, samples(header.first_sample..header.end_sample()));
        assert_eq!(header.channels, 2);
    }
    packets.iter().map(|(header, _)| (header.first_sample, header.end_sample())).collect()
}

#[test]
fn the_counts_come_back_with_their_shape_indices_and_times() {
    let (_dir, path) = recorded(&[100..110, 110..120, 120..125]);
    let mut stage = replay(&path, json!({}));

    let packets = run(&mut stage);

    assert_eq!(*stage.spec("out"), fixtures::counts(2, FRAMES));
    assert_eq!(extents(&packets), [(100, 110), (110, 120), (120, 125)]);
    let numbers: Vec<_> = packets.iter().map(|(header, _)| (header.seq, header.flags)).collect();
    assert_eq!(numbers, [(0, Flags::NONE), (1, Flags::NONE), (2, Flags::NONE)]);
    let times: Vec<_> = packets.iter().map(|(header, _)| header.timestamp_ns - packets[0].0.timestamp_ns).collect();
    assert_eq!(times, [0, 40_000_000, 80_000_000]);
    assert_eq!(status(&stage).duration_s, 0.1);
}

#[test]
fn physical_values_come_back_bit_for_bit_from_the_stream_that_is_named() {
    let dir = tempdir().expect("a directory");
    let mut writer =
        writer(dir.path(), &[("eeg", fixtures::counts(2, FRAMES)), ("filtered", fixtures::physical(1, FRAMES))]);
    let values = [0.1f32, -0.0, f32::MIN_POSITIVE, f32::MAX];
    writer.batch_counts(0, &header(0, 5, 2), &samples(0..5), 0).expect("taken");
    writer.batch_values(1, &header(7, 4, 1), &values, 0).expect("taken");
    let path = writer.finish().expect("closed").path;
    let mut stage = replay(&path, json!({ "stream": "filtered" }));

    stage.run().expect("it runs");

    let packets = stage.take::<Physical>("out");
    assert_eq!((packets.len(), packets[0].0.first_sample), (1, 7));
    assert_eq!(packets[0].1.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), values.map(f32::to_bits));
    assert_eq!(*stage.spec("out"), fixtures::physical(1, FRAMES));
}

#[test]
fn a_batch_of_any_length_is_sent_in_packets_that_fit() {
    let (_dir, path) = recorded(std::slice::from_ref(&(0..34)));
    let mut stage = replay(&path, json!({}));

    let packets = run(&mut stage);

    assert_eq!(extents(&packets), [(0, 10), (10, 20), (20, 30), (30, 34)]);
}

#[test]
fn a_gap_is_a_jump_of_the_index_with_its_mark() {
    let (_dir, path) = recorded(&[0..10, 25..35]);
    let mut stage = replay(&path, json!({}));

    let packets = run(&mut stage);

    assert_eq!(extents(&packets), [(0, 10), (25, 35)]);
    assert!(packets[1].0.flags.has(Flags::GAP));
    assert_eq!(packets[1].0.timestamp_ns - packets[0].0.timestamp_ns, 100_000_000);
    assert_eq!(*status(&stage).gaps, [(0.04, 0.06)]);
}

#[test]
fn a_gap_lasts_as_long_as_it_did_while_the_position_moves_on() {
    let an_hour = 250 * 3600;
    let (_dir, path) = recorded(&[0..10, an_hour..an_hour + 10]);
    let mut stage = replay(&path, json!({ "speed": 1 }));
    assert_eq!(stage.step().expect("it runs"), Flow::Again);
    assert_eq!(extents(&stage.take::<Counts>("out")), [(0, 10)]);

    let Flow::Until(wake) = stage.step().expect("it runs") else { panic!("the next one is due in an hour") };

    assert!(wake <= Instant::now() + PUBLISH);
    ask(&stage, TransportCommand::Speed(1000.0));
    let began = Instant::now();
    while status(&stage).position_s < 0.1 {
        assert!(began.elapsed() < Duration::from_secs(60), "it stands at {} s", status(&stage).position_s);
        stage.step().expect("it runs");
        std::thread::yield_now();
    }
    let at_pause = status(&stage).position_s;
    ask(&stage, TransportCommand::Pause);
    stage.step().expect("it runs");
    assert!((at_pause..3600.0).contains(&status(&stage).position_s));
    ask(&stage, TransportCommand::Play);
    assert!(stage.take::<Counts>("out").is_empty());
    ask(&stage, TransportCommand::Speed(0.0));
    assert_eq!(extents(&run(&mut stage)), [(an_hour, an_hour + 10)]);
}

#[test]
fn a_seek_goes_both_ways_and_marks_where_it_lands() {
    let (_dir, path) = recorded(&[1000..1010, 1010..1020, 1020..1030, 1050..1060]);
    let mut stage = replay(&path, json!({}));
    assert_eq!(stage.step().expect("it runs"), Flow::Again);
    stage.take::<Counts>("out");

    ask(&stage, TransportCommand::Seek(0.1));
    let forward = run(&mut stage);
    // It stands at the end now, and a seek alone does not set it going.
    ask(&stage, TransportCommand::Seek(0.012));
    assert!(run(&mut stage).is_empty());
    assert_eq!((status(&stage).position_s, status(&stage).ended), (0.012, false));
    ask(&stage, TransportCommand::Play);
    let back = run(&mut stage);
    ask(&stage, TransportCommand::Seek(0.15));
    ask(&stage, TransportCommand::Play);
    let into_gap = run(&mut stage);

    assert_eq!(extents(&forward), [(1025, 1030), (1050, 1060)]);
    assert_eq!(extents(&back), [(1003, 1010), (1010, 1020), (1020, 1030), (1050, 1060)]);
    assert_eq!(extents(&into_gap), [(1050, 1060)]);
    for packets in [&forward, &back, &into_gap] {
        assert!(packets[0].0.flags.has(Flags::SEEKED));
        assert!(packets[1..].iter().all(|(header, _)| !header.flags.has(Flags::SEEKED)));
    }
}

#[test]
fn a_seek_beyond_either_end_stops_there() {
    let (_dir, path) = recorded(&[0..10, 10..20]);
    let mut stage = replay(&path, json!({}));
    run(&mut stage);

    for (asked, got) in [(-5.0, 0.0), (f64::NAN, 0.0), (1e30, 0.08)] {
        ask(&stage, TransportCommand::Seek(asked));
        run(&mut stage);
        assert_eq!(status(&stage).position_s, got, "{asked}");
    }
}

#[test]
fn at_the_end_it_stays_and_play_begins_again() {
    let (_dir, path) = recorded(&[0..10, 10..20]);
    let mut stage = replay(&path, json!({}));

    assert_eq!(stage.run().expect("it runs"), Flow::Idle);

    let at_end = status(&stage);
    assert_eq!((at_end.ended, at_end.playing, at_end.position_s), (true, false, 0.08));
    assert_eq!(stage.take::<Counts>("out").len(), 2);
    ask(&stage, TransportCommand::Play);
    assert_eq!(extents(&run(&mut stage)), [(0, 10), (10, 20)]);
}

#[test]
fn at_the_end_it_stops_when_told_so() {
    let (_dir, path) = recorded(&[0..10, 10..20]);
    let mut stage = replay(&path, json!({ "at_end": "stop" }));

    assert_eq!(stage.run().expect("it runs"), Flow::Done);

    assert_eq!(extents(&stage.take::<Counts>("out")), [(0, 10), (10, 20)]);
    assert!(status(&stage).ended);
}

#[test]
fn at_the_end_it_begins_again_when_told_so_and_waits_for_free_buffers() {
    let (_dir, path) = recorded(&[0..10, 10..20]);
    let mut stage = replay(&path, json!({ "at_end": "loop", "from_s": 0.02 }));

    // It ends where all buffers of the harness are in flight.
    assert_eq!(stage.run().expect("it runs"), Flow::Idle);

    let packets = stage.take::<Counts>("out");
    assert_eq!(extents(&packets)[..5], [(5, 10), (10, 20), (5, 10), (10, 20), (5, 10)]);
    let seeked = |header: &PacketHeader| header.flags.has(Flags::SEEKED);
    assert_eq!(packets[..3].iter().map(|(header, _)| seeked(header)).collect::<Vec<_>>(), [false, false, true]);
    assert!(!status(&stage).ended);
    let next = run(&mut stage);
    let last = packets.last().expect("packets").0.end_sample();
    assert_eq!(next[0].0.first_sample, if last == 20 { 5 } else { last });
}

#[test]
fn a_part_of_a_recording_can_be_played_and_no_seek_leaves_it() {
    let (_dir, path) = recorded(&[0..10, 10..20, 20..30]);
    let mut stage = replay(&path, json!({ "from_s": 0.02, "to_s": 0.1 }));
    assert_eq!(status(&stage).position_s, 0.02);

    assert_eq!(extents(&run(&mut stage)), [(5, 10), (10, 20), (20, 25)]);

    ask(&stage, TransportCommand::Seek(0.0));
    ask(&stage, TransportCommand::Play);
    assert_eq!(extents(&run(&mut stage)), [(5, 10), (10, 20), (20, 25)]);
    assert_eq!((status(&stage).position_s, status(&stage).duration_s), (0.1, 0.12));
}

#[test]
fn a_pause_holds_and_play_goes_on_with_the_next_sample() {
    let (_dir, path) = recorded(&[0..10, 10..20, 20..30]);
    let mut stage = replay(&path, json!({}));
    assert_eq!(stage.step().expect("it runs"), Flow::Again);
    assert_eq!(extents(&stage.take::<Counts>("out")), [(0, 10)]);

    ask(&stage, TransportCommand::Pause);
    assert_eq!(stage.run().expect("it runs"), Flow::Idle);
    assert_eq!((stage.take::<Counts>("out").len(), status(&stage).playing), (0, false));
    ask(&stage, TransportCommand::Play);
    let packets = run(&mut stage);

    assert_eq!(extents(&packets), [(10, 20), (20, 30)]);
    assert_eq!(packets[0].0.flags, Flags::NONE);
}

#[test]
fn a_speed_that_is_none_changes_nothing() {
    let (_dir, path) = recorded(&[0..10, 10..20]);
    let mut stage = replay(&path, json!({}));

    for (asked, got) in [(2.0, 2.0), (f64::NAN, 2.0), (-1.0, 2.0), (1e9, 1000.0), (0.0, 0.0)] {
        ask(&stage, TransportCommand::Speed(asked));
        run(&mut stage);
        assert_eq!(status(&stage).speed, got, "{asked}");
    }
}

#[test]
fn markers_stand_where_they_were_set() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path(), &[("eeg", fixtures::counts(2, FRAMES))]);
    writer.batch_counts(0, &header(100, 10, 2), &samples(100..110), 0).expect("taken");
    let event = Event { label: "blink".into(), stream: Some(0), index: Some(105), ..Event::default() };
    writer.event(&event, 0).expect("noted");
    // The first sample is 0.4 s behind the start.
    writer.event(&Event { label: "by time".into(), ..Event::default() }, 430_000_000).expect("noted");
    let stage = replay(&writer.finish().expect("closed").path, json!({}));

    assert_eq!(*status(&stage).markers, [(0.02, "blink".to_owned()), (0.03, "by time".to_owned())]);
}

#[test]
fn a_damaged_part_is_told_and_left_out() {
    let (_dir, path) = recorded(&[0..200, 200..400, 400..600]);
    let mut bytes = fs::read(&path).expect("readable");
    // Chunks are zstd frames: the first explains the file, then there is one for each batch.
    let chunks: Vec<_> = bytes.windows(4).enumerate().filter(|(_, four)| four == b"\x28\xb5\x2f\xfd").collect();
    let second = chunks[2].0;
    bytes[second + 30] ^= 1;
    fs::write(&path, bytes).expect("written");
    let mut stage = replay(&path, json!({}));

    let packets = run(&mut stage);

    assert_eq!((packets[19].0.first_sample, packets[20].0.first_sample, packets.len()), (190, 400, 40));
    let notes = stage.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].level == Level::Error && notes[0].text.contains("left out"), "{notes:?}");
}

#[test]
fn a_recording_without_samples_is_over_at_once() {
    let (_dir, path) = recorded(&[]);

    for at_end in ["stay", "loop"] {
        let mut stage = replay(&path, json!({ "at_end": at_end }));
        assert_eq!(stage.run().expect("it runs"), Flow::Idle);
        assert!(status(&stage).ended);
    }
}

#[test]
fn an_account_that_ends_before_it_begins_plays_nothing() {
    let (_dir, path) = recorded(&[100..110, 110..120]);
    let mut bytes = fs::read(&path).expect("readable");
    let (right, wrong) = (br#""next_index":120"#, br#""next_index": 20"#);
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(right)).collect();
    assert!(!places.is_empty(), "the ledger is stored as it is");
    places.iter().for_each(|at| bytes[*at..at + wrong.len()].copy_from_slice(wrong));
    fs::write(&path, bytes).expect("written");

    let mut stage = replay(&path, json!({}));

    assert_eq!(stage.run().expect("it runs"), Flow::Idle);
    assert_eq!((status(&stage).duration_s, status(&stage).ended), (0.0, true));
}

#[test]
fn what_cannot_be_played_is_refused_with_a_hint() {
    let (dir, path) = recorded(&[0..10, 10..20]);
    let text = dir.path().join("notes.txt");
    fs::write(&text, "not a recording at all").expect("written");
    let missing = dir.path().join("missing.mcap");
    let cases = [
        (Path::new(""), json!({}), "`path` is empty", "set it to a recording"),
        (&text, json!({}), "the table must be rows of numbers", "correct it there"),
        (&missing, json!({}), "does not exist", "check the path"),
        (dir.path(), json!({}), "is a directory", "name one of the .mcap files"),
        (&path, json!({ "stream": "ecg" }), "stream `ecg` is not in this recording", "name one of the streams"),
        (&path, json!({ "from_s": 0.08 }), "nothing lies between", "0.080 s long"),
        (&path, json!({ "from_s": 0.06, "to_s": 0.04 }), "nothing lies between", "0.080 s long"),
    ];

    for (path, params, said, cure) in cases {
        let Err(BuildError::Rejected { what, hint: Some(hint) }) = build(path, params) else {
            panic!("{}: {said}", path.display())
        };
        assert!(what.contains(said) && hint.contains(cure), "{what}; {hint}");
    }
}

#[test]
fn a_recording_of_several_streams_wants_one_named() {
    let dir = tempdir().expect("a directory");
    let specs = [("eeg", fixtures::counts(1, FRAMES)), ("aux", fixtures::counts(1, FRAMES))];
    let path = writer(dir.path(), &specs).finish().expect("closed").path;

    let Err(BuildError::Rejected { what, hint }) = build(&path, json!({})) else { panic!("it cannot choose") };

    assert_eq!(what, "the recording has several streams");
    assert_eq!(hint.as_deref(), Some("set `stream` to one of eeg, aux"));
}

#[test]
fn streams_that_begin_at_different_times_keep_their_distance() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path(), &[("eeg", fixtures::counts(2, FRAMES)), ("aux", fixtures::counts(2, FRAMES))]);
    writer.batch_counts(0, &header(100, 10, 2), &samples(100..110), 0).expect("taken");
    writer.batch_counts(1, &header(200, 10, 2), &samples(200..210), 0).expect("taken");
    let path = writer.finish().expect("closed").path;
    // Sample 200 of one is 0.4 s behind sample 100 of the other.
    let both = ["eeg", "aux"].map(|stream| {
        let mut stage = replay(&path, json!({ "stream": stream, "to_s": 0.42 }));
        (status(&stage), extents(&run(&mut stage)))
    });

    assert_eq!(both.each_ref().map(|(status, _)| (status.position_s, status.duration_s)), [(0.0, 0.44), (0.4, 0.44)]);
    assert_eq!(both.map(|(_, extents)| extents), [vec![(100, 110)], vec![(200, 205)]]);
}

#[test]
fn what_was_before_a_moment_is_shown_and_then_it_stands_there() {
    let (_dir, path) = recorded(&[0..10, 10..20, 20..30, 30..40]);
    let mut stage = replay(&path, json!({ "speed": 0 }));
    ask(&stage, TransportCommand::Pause);
    assert!(run(&mut stage).is_empty());

    ask(&stage, TransportCommand::Show { at_s: 0.1, before_s: 0.06 });
    let shown = run(&mut stage);

    assert_eq!(extents(&shown), [(10, 20), (20, 25)]);
    assert!(shown[0].0.flags.has(Flags::SEEKED));
    assert_eq!((status(&stage).sample, status(&stage).playing), (25, false));
    ask(&stage, TransportCommand::Play);
    assert_eq!(extents(&run(&mut stage)), [(25, 30), (30, 40)]);
}

#[test]
fn what_is_shown_in_passing_takes_a_moment_at_any_speed() {
    let minutes = 250 * 120;
    let (_dir, path) = recorded(std::slice::from_ref(&(0..minutes)));
    let mut stage = replay(&path, json!({ "speed": 0.1 }));
    ask(&stage, TransportCommand::Show { at_s: 100.0, before_s: 10.0 });
    let (began, mut packets) = (Instant::now(), Vec::new());
    while status(&stage).position_s < 100.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it stands at {} s", status(&stage).position_s);
        stage.step().expect("it runs");
        packets.extend(stage.take::<Counts>("out"));
    }
    let extents = extents(&packets);
    assert_eq!((extents[0].0, extents.last().map(|last| last.1)), (90 * 250, Some(100 * 250)));
}

#[test]
fn steps_go_by_frames_and_packets_both_ways_and_pass_over_gaps() {
    let (_dir, path) = recorded(&[0..10, 10..20, 35..45, 45..55]);
    let mut stage = replay(&path, json!({}));
    let mut step = |command| {
        ask(&stage, command);
        let packets = run(&mut stage);
        (extents(&packets), status(&stage).sample, status(&stage).playing)
    };

    assert_eq!(step(TransportCommand::Step(1)), (vec![(0, 1)], 1, false));
    assert_eq!(step(TransportCommand::Step(12)), (vec![(1, 10), (10, 13)], 13, false));
    assert_eq!(step(TransportCommand::Step(0)), (vec![], 13, false));
    // Frames that are missing are no frames.
    assert_eq!(step(TransportCommand::Step(8)), (vec![(13, 20), (35, 36)], 36, false));
    assert_eq!(step(TransportCommand::StepPackets(2)), (vec![(36, 45), (45, 55)], 55, false));
    assert_eq!(step(TransportCommand::Step(-5)), (vec![], 50, false));
    assert_eq!(step(TransportCommand::StepPackets(-1)), (vec![], 40, false));
    // A step back shows as much of the past as the last move did.
    assert_eq!(step(TransportCommand::Show { at_s: 0.2, before_s: 0.02 }), (vec![(45, 50)], 50, false));
    assert_eq!(step(TransportCommand::Step(-1)), (vec![(44, 45), (45, 49)], 49, false));
    assert_eq!(step(TransportCommand::Step(i64::MIN)), (vec![], 0, false));
}

#[test]
fn steps_that_come_together_add_up() {
    let (_dir, path) = recorded(&[0..10, 10..20, 20..30]);
    let mut stage = replay(&path, json!({}));
    let mut all = |commands: &[TransportCommand]| {
        commands.iter().for_each(|command| ask(&stage, *command));
        let packets = run(&mut stage);
        (extents(&packets), status(&stage).sample)
    };
    use TransportCommand::{Show, Step, StepPackets};

    assert_eq!(all(&[Step(1), Step(3), Step(-1)]), (vec![(0, 3)], 3));
    assert_eq!(all(&[Step(1), Step(-3)]), (vec![], 1));
    assert_eq!(all(&[StepPackets(1), StepPackets(1)]), (vec![(1, 10), (10, 20)], 20));
    // While what was before a moment is still being sent, steps are counted from there.
    let show = Show { at_s: 0.06, before_s: 0.02 };
    assert_eq!(all(&[show, Step(2), Step(1), Step(-2)]), (vec![(11, 16)], 16));
    assert_eq!(all(&[show, StepPackets(1)]), (vec![(10, 20), (20, 25)], 25));
}

#[test]
fn a_loop_is_played_until_it_is_left_or_lifted() {
    let (_dir, path) = recorded(&[0..10, 10..20, 20..30, 30..40]);
    let mut stage = replay(&path, json!({}));
    ask(&stage, TransportCommand::Loop(Some((0.12, 0.06))));

    // Until all buffers of the harness are in flight.
    let packets = run(&mut stage);

    assert_eq!(extents(&packets)[..6], [(0, 10), (10, 20), (20, 30), (15, 20), (20, 30), (15, 20)]);
    assert_eq!(status(&stage).loop_s, Some((0.06, 0.12)));
    ask(&stage, TransportCommand::Seek(0.14));
    assert_eq!(extents(&run(&mut stage)), [(35, 40)], "who goes behind it plays on to the end");
    ask(&stage, TransportCommand::Seek(0.08));
    ask(&stage, TransportCommand::Loop(None));
    ask(&stage, TransportCommand::Play);
    assert_eq!(extents(&run(&mut stage)), [(20, 30), (30, 40)]);
    assert_eq!(status(&stage).loop_s, None);
}

#[test]
fn a_loop_in_which_nothing_is_stands_still_and_none_is_no_loop() {
    let (_dir, path) = recorded(&[0..10, 50..60]);
    let mut stage = replay(&path, json!({}));
    ask(&stage, TransportCommand::Loop(Some((0.1, 0.1))));
    stage.step().expect("it runs");
    assert_eq!(status(&stage).loop_s, None);
    stage.take::<Counts>("out");
    ask(&stage, TransportCommand::Seek(0.08));
    ask(&stage, TransportCommand::Loop(Some((0.08, 0.16))));
    assert_eq!(run(&mut stage), []);
    assert!(!status(&stage).playing && !status(&stage).ended);
}

#[test]
fn what_a_person_left_out_is_not_lost() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path(), &[("eeg", fixtures::counts(2, FRAMES))]);
    let mut put = |run: std::ops::Range<u64>, reason| {
        let header = header(run.start, 10, 2);
        if let Some(reason) = reason {
            writer.gap(0, &Gap { first_index: run.start - 15, n: 15, reason }, header.timestamp_ns).expect("noted");
        }
        writer.batch_counts(0, &header, &samples(run), header.timestamp_ns).expect("taken");
    };
    put(0..10, None);
    put(25..35, Some(GapReason::Paused));
    put(50..60, Some(GapReason::Device));
    let mut stage = replay(&writer.finish().expect("closed").path, json!({}));
    let marks: Vec<bool> = run(&mut stage).iter().map(|(header, _)| header.flags.has(Flags::RESUMED)).collect();
    assert_eq!(marks, [false, true, false]);
}
