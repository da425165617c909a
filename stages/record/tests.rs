//! The stage with real files, and what is in them afterwards.
use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use wavedeck_api::{pool::MemoryPool, testing::Harness};
use wavedeck_recording::{GapTracker, Recording, RecordingWriter, Samples};

use super::{
    file::{InFile, OpenFile},
    *,
};
use crate::fixtures;

const FRAMES: u32 = 10;
/// More than may wait for the disk when `max_pending_mb` is 1: refused, however fast the disk is.
const HUGE: u32 = (1 << 20) / 4 + 1;

/// A recorder of one stream and its folder.
struct Bench {
    dir: TempDir,
    stage: Harness,
}

impl Bench {
    fn new(spec: StreamSpec, params: Value) -> Self {
        let dir = tempdir().expect("a directory");
        let mut all = json!({ "dir": dir.path(), "preroll_s": 0.0, "spare_mb": 0 });
        for (key, value) in params.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        let stage = Harness::new("record", all, &[("raw", spec)]).expect("it builds");
        Self { dir, stage }
    }

    /// Of two channels of counts in packets of ten.
    fn of_counts() -> Self {
        Self::new(fixtures::counts(2, FRAMES), json!({}))
    }

    fn ask(&mut self, command: RecordCommand) {
        self.stage.recorder.as_ref().expect("a recorder").request(command).expect("taken");
        self.run();
    }

    fn begin(&mut self) {
        let session = SessionInfo {
            name: "test".into(),
            file_name: "run".into(),
            pipeline_json: r#"{"stages":[]}"#.into(),
            app_version: "1.2.3".into(),
        };
        self.ask(RecordCommand::Start(session.into()));
    }

    fn run(&mut self) {
        self.stage.run().expect("it goes on");
    }

    /// Lets ten frames arrive.
    fn feed(&mut self, first_sample: u64) {
        self.feed_frames(first_sample, FRAMES);
    }

    fn feed_frames(&mut self, first_sample: u64, frames: u32) {
        self.push(first_sample, frames);
        self.run();
    }

    fn push(&mut self, first_sample: u64, frames: u32) {
        self.stage.push::<Counts>("raw", first_sample, &samples(first_sample..first_sample + u64::from(frames)));
    }

    fn status(&self) -> RecorderStatus {
        self.stage.recorder.as_ref().expect("a recorder").status()
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir.path()).expect("readable");
        let mut names: Vec<_> =
            files.map(|file| file.expect("readable").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn recording(&self, name: &str) -> Recording {
        Recording::open(self.dir.path().join(name)).expect("a recording")
    }
}

/// Two channels: the index, and the same below zero.
fn samples(indices: std::ops::Range<u64>) -> Vec<i32> {
    indices.flat_map(|index| [index as i32, -(index as i32)]).collect()
}

/// Runs of recorded samples, each of which must be as it was fed.
fn runs(recording: &Recording) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for batch in recording.batches(0, 0).expect("the stream") {
        let batch = batch.expect("whole");
        assert_eq!(batch.samples, Samples::Counts(samples(batch.first_index..batch.end_index())));
        match runs.last_mut() {
            Some(last) if last.1 == batch.first_index => last.1 = batch.end_index(),
            _ => runs.push((batch.first_index, batch.end_index())),
        }
    }
    runs
}

fn gaps(recording: &Recording) -> Vec<(u64, u64, GapReason)> {
    recording.gaps().expect("readable").iter().map(|gap| (gap.first_index, gap.n, gap.reason)).collect()
}

fn nanoseconds_at(sample: u64) -> u64 {
    sample * 4_000_000
}

#[test]
fn a_recording_is_one_file_with_its_pause_in_it() {
    let mut bench = Bench::of_counts();
    bench.feed(0);
    assert_eq!(bench.status().state, RecordingState::Idle);

    bench.begin();
    assert_eq!((bench.status().state, bench.files()), (RecordingState::Recording, vec!["run.mcap.part".to_owned()]));
    bench.feed(10);
    bench.feed(20);
    bench.ask(RecordCommand::Pause);
    assert_eq!(bench.status().state, RecordingState::Paused);
    bench.feed(30);
    bench.feed(40);
    bench.ask(RecordCommand::Resume);
    assert_eq!(bench.status().state, RecordingState::Recording);
    bench.feed(50);
    bench.ask(RecordCommand::Finish);
    bench.feed(60);

    assert_eq!(bench.files(), ["run.mcap"]);
    let recording = bench.recording("run.mcap");
    assert!(recording.is_closed() && !recording.ledger().is_degraded());
    assert_eq!(runs(&recording), [(10, 30), (50, 60)]);
    assert_eq!(gaps(&recording), [(30, 20, GapReason::Paused)]);
    let ledger = &recording.ledger().streams[0];
    assert_eq!((ledger.recorded, ledger.paused(), ledger.is_balanced()), (30, 20, true));
    let status = bench.status();
    assert_eq!((status.state, status.error), (RecordingState::Idle, None));
    assert_eq!(status.path, Some(recording.path().to_owned()));
    assert_eq!((status.recorded_samples, status.lost_samples, status.gaps), (30, 0, 1));
    assert_eq!(status.recorded_s, 0.12);
    assert_eq!(status.streams, [("feed0".to_owned(), 30)]);
    assert_eq!((status.saved_bytes, status.written_bytes), (recording.bytes(), recording.bytes()));
    let notes: Vec<_> = bench.stage.notes().into_iter().map(|note| note.text.to_string()).collect();
    let file = |name: &str| bench.dir.path().join(name).display().to_string();
    let (begun, ended) = (format!("writing {}", file("run.mcap.part")), format!("finished {}", file("run.mcap")));
    assert_eq!(notes, [&*begun, "paused; the file stays open", "writing again", &*ended]);
}

#[test]
fn what_waits_when_it_is_to_end_is_recorded_but_not_with_values_from_after_it() {
    let mut bench = Bench::of_counts();
    bench.feed(0);
    bench.begin();
    // More than it takes at once.
    (10..510).step_by(10).for_each(|first| bench.push(first, FRAMES));
    bench.stage.param_epoch = 1;
    bench.push(510, FRAMES);
    bench.ask(RecordCommand::Pause);
    assert_eq!(bench.status().recorded_samples, 500);

    bench.feed(520);
    bench.ask(RecordCommand::Resume);
    (530..560).step_by(10).for_each(|first| bench.push(first, FRAMES));
    bench.stage.param_epoch = 2;
    (560..2000).step_by(10).for_each(|first| bench.push(first, FRAMES));
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");
    assert_eq!(runs(&recording), [(10, 510), (530, 560)]);
    assert_eq!(gaps(&recording), [(510, 20, GapReason::Paused)]);
    assert!(recording.ledger().streams[0].is_balanced());
}

#[test]
fn the_file_says_who_recorded_what() {
    let about = json!({ "operator": "me", "subject": "you", "notes": "dry electrodes", "plain": true });
    let mut bench = Bench::new(fixtures::counts(2, FRAMES), about);
    bench.begin();
    bench.feed(0);
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");

    let about = ["operator", "subject", "notes", "session", "app_version"].map(|key| recording.about(key));
    assert_eq!(about, ["me", "you", "dry electrodes", "test", "1.2.3"].map(Some));
    assert_eq!(recording.pipeline_json().expect("attached"), r#"{"stages":[]}"#);
    let stream = &recording.streams()[0];
    assert_eq!((stream.name.as_str(), stream.device.as_str()), ("feed0", "test"));
    assert_eq!(stream.spec, fixtures::counts(2, FRAMES));
    assert_eq!(stream.codec, wavedeck_recording::Codec::Plain);
}

#[test]
fn physical_values_are_recorded_and_packets_of_any_length() {
    let mut bench = Bench::new(fixtures::physical(1, FRAMES), json!({}));
    bench.begin();
    bench.stage.push::<Physical>("raw", 0, &[]);
    bench.stage.push::<Physical>("raw", 0, &[0.5]);
    bench.stage.push::<Physical>("raw", 1, &[]);
    bench.stage.push::<Physical>("raw", 1, &[f32::MIN_POSITIVE, -2.0]);
    bench.run();
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");

    let batches = recording.batches(0, 0).expect("the stream").map(|batch| batch.expect("whole").samples);
    assert_eq!(batches.collect::<Vec<_>>(), [Samples::Values(vec![0.5, f32::MIN_POSITIVE, -2.0])]);
    assert_eq!((recording.ledger().streams[0].recorded, gaps(&recording)), (3, Vec::new()));
}

#[test]
fn a_marker_lands_on_its_sample() {
    let mut bench = Bench::of_counts();
    bench.begin();
    bench.feed(0);
    bench.feed(10);
    // Within the newest packet, on the next one that is still on its way, and beyond all sense.
    for sample in [13, 27, 1000] {
        let (label, source) = (format!("at {sample}"), "key".to_owned());
        bench.ask(RecordCommand::Marker { label, source, timestamp_ns: nanoseconds_at(sample) });
    }
    assert_eq!(bench.status().markers, 3);
    bench.ask(RecordCommand::Finish);

    let events = bench.recording("run.mcap").events().expect("readable");

    let places: Vec<_> = events.iter().map(|event| (event.label.as_str(), event.index)).collect();
    assert_eq!(places, [("at 13", Some(13)), ("at 27", Some(27)), ("at 1000", Some(30))]);
    assert_eq!((events[0].stream.as_deref(), events[0].source.as_str()), (Some("feed0"), "key"));
}

#[test]
fn a_change_is_journaled_with_what_became_of_it() {
    let mut bench = Bench::of_counts();
    let change = |applied| change(applied, 77, clock::now_ns());
    bench.ask(RecordCommand::Param(change(true)));
    bench.begin();
    bench.ask(RecordCommand::Param(change(true)));
    bench.ask(RecordCommand::Param(change(false)));
    bench.ask(RecordCommand::Finish);

    let edits = bench.recording("run.mcap").params().expect("readable");

    let outcomes: Vec<_> = edits.iter().map(|edit| (edit.outcome.as_str(), edit.at_sample)).collect();
    // The first was made right before the start.
    assert_eq!(outcomes, [("applied", Some(77)), ("applied", Some(77)), ("refused", None)]);
    let edit = &edits[0];
    assert_eq!((edit.path.as_str(), &edit.old, &edit.new), ("filter.low_hz", &json!(1.0), &json!(2.0)));
    assert_eq!(edit.by, "screen");
}

#[test]
fn what_the_device_lost_is_a_gap_and_on_screen() {
    let mut bench = Bench::of_counts();
    bench.begin();
    bench.feed(0);
    bench.feed(25);
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");

    assert_eq!(gaps(&recording), [(10, 15, GapReason::Device)]);
    assert_eq!((bench.status().lost_samples, bench.status().gaps), (15, 1));
    assert!(recording.ledger().is_degraded());
    let notes = bench.stage.notes();
    let is_told =
        |note: &wavedeck_api::stage::Note| note.level == Level::Warn && note.text.contains("lacks 15 samples");
    assert!(notes.iter().any(is_told), "{notes:?}");
}

#[test]
fn the_seconds_before_a_start_are_in_its_file_and_no_more() {
    // Packets of ten samples at 250 Hz: five of them are 0.2 s.
    let mut bench = Bench::new(fixtures::counts(2, FRAMES), json!({ "preroll_s": 0.2 }));
    (0..20).for_each(|packet| bench.feed(packet * 10));
    bench.begin();
    bench.feed(200);
    bench.ask(RecordCommand::Finish);
    bench.feed(210);
    bench.feed(220);

    let recording = bench.recording("run.mcap");
    let runs = runs(&recording);
    assert!(runs.len() == 1 && runs[0].1 == 210, "{runs:?}");
    assert!((130..=150).contains(&runs[0].0), "{runs:?}");
    assert!(!recording.ledger().is_degraded() && recording.ledger().streams[0].is_balanced());
    bench.begin();
    bench.ask(RecordCommand::Finish);
    let again = bench.recording("run-2.mcap");
    assert_eq!(self::runs(&again), [(210, 230)], "what the file before has is not in this one");
}

#[test]
fn a_change_since_the_first_sample_is_in_the_journal() {
    let mut bench = Bench::new(fixtures::counts(2, FRAMES), json!({ "preroll_s": 5.0 }));
    bench.feed(0);
    bench.ask(RecordCommand::Param(change(true, 7, clock::now_ns())));
    bench.begin();
    bench.ask(RecordCommand::Finish);
    let edits = bench.recording("run.mcap").params().expect("readable");
    assert_eq!((edits.len(), edits[0].at_sample, &edits[0].old), (1, Some(7), &json!(1.0)));
}

#[test]
fn samples_from_before_a_change_that_is_forgotten_are_left_out() {
    let mut bench = Bench::new(fixtures::counts(2, FRAMES), json!({ "preroll_s": 5.0 }));
    (0..4).for_each(|packet| bench.feed(packet * 10));
    // So many that the first one, made within the second packet, is forgotten.
    for n in 0..=MOST_EDITS as u64 {
        bench.ask(RecordCommand::Param(change(true, 15 + n, nanoseconds_at(15 + n))));
    }
    bench.begin();
    bench.ask(RecordCommand::Finish);
    let recording = bench.recording("run.mcap");
    let edits = recording.params().expect("readable");
    assert_eq!((edits.len(), edits[0].at_sample), (MOST_EDITS, Some(16)));
    assert_eq!(runs(&recording), [(20, 40)]);
}

fn change(applied: bool, at_sample: u64, timestamp_ns: u64) -> ParamChange {
    ParamChange {
        path: "filter.low_hz".into(),
        old: json!(1.0),
        new: json!(2.0),
        at_sample,
        applied,
        by: "screen".into(),
        timestamp_ns,
    }
}

#[test]
fn a_recording_of_several_files_loses_nothing_between_them() {
    let mut bench = Bench::new(fixtures::counts(2, FRAMES), json!({ "segment_min": 0.002 }));
    bench.begin();
    for packet in 0..40 {
        bench.feed(packet * 10);
        std::thread::sleep(Duration::from_millis(10));
    }
    bench.ask(RecordCommand::Finish);
    let files = bench.files();
    assert!(files.len() >= 2 && files[0] == "run_001.mcap" && files[1] == "run_002.mcap", "{files:?}");
    let mut next = 0;
    for file in &files {
        let recording = bench.recording(file);
        assert!(recording.is_closed() && !recording.ledger().is_degraded());
        for (begin, end) in runs(&recording) {
            assert_eq!(begin, next, "{file}");
            next = end;
        }
    }
    assert_eq!(next, 400);
    assert_eq!((bench.status().recorded_samples, bench.status().files as usize), (400, files.len()));
}

#[test]
fn a_wall_clock_that_is_set_between_two_files_moves_no_time_in_the_second() {
    let dir = tempdir().expect("a directory");
    let options = RecordingOptions { dir: dir.path().to_owned(), name: Some("run".into()), ..Default::default() };
    let stream = StreamInfo { name: "eeg".into(), spec: fixtures::counts(2, FRAMES), device: String::new() };
    let segments = SegmentLimits { duration: Duration::ZERO, bytes: 1 };
    let limits = Limits { warn_s: 0.0, stop_s: 0.0, stop_bytes: 0 };
    // The wall clock was an hour ahead at the start, and then somebody has set it.
    let now = Anchor::now();
    let ahead = Anchor { unix_ns: now.unix_ns + 3_600_000_000_000, ..now };
    let mut take = Take::begin(options, &[stream], ahead, segments, limits).expect("begun");

    take.rotate().expect("begun");

    assert_eq!(take.finish().into_iter().filter(Result::is_ok).count(), 2);
    let started = ["run_001.mcap", "run_002.mcap"]
        .map(|name| Recording::open(dir.path().join(name)).expect("a recording").start_unix_ns());
    assert_eq!(started[0], ahead.unix_ns);
    let apart = Duration::from_nanos(started[1].checked_sub(started[0]).expect("later"));
    assert!(apart < Duration::from_secs(1800), "{apart:?}");
}

#[test]
fn the_reason_of_a_gap_follows_from_packet_numbers_and_marks() {
    let dir = tempdir().expect("a directory");
    let spec = fixtures::counts(2, FRAMES);
    let mut pool = MemoryPool::<Counts>::new(&spec, 1);
    let stream = StreamInfo { name: "eeg".into(), spec, device: String::new() };
    let options = RecordingOptions { dir: dir.path().to_owned(), name: Some("run".into()), ..Default::default() };
    let writer = RecordingWriter::create(options, vec![stream], Anchor::now()).expect("created");
    let mut file = OpenFile::new(writer, vec![InFile::default()]);
    let mut tracker = GapTracker::new();
    let arrivals = [
        (0, 0, Flags::NONE),
        (1, 20, Flags::NONE),
        (3, 40, Flags::NONE),
        (4, 60, Flags::RECONNECTED),
        (5, 80, Flags::RESUMED),
        (6, 100, Flags::SEEKED),
    ];

    for (seq, first_sample, flags) in arrivals {
        let mut packet = pool.try_acquire().expect("the last one was taken");
        packet.frames_mut(FRAMES).copy_from_slice(&samples(first_sample..first_sample + u64::from(FRAMES)));
        let header = packet.header_mut();
        (header.seq, header.first_sample, header.flags) = (seq, first_sample, flags);
        let reason = tracker.observe(header).map(|gap| gap.reason);
        let (header, samples) = (*packet.header(), Payload::Counts(packet.samples()));
        file.write(0, &header, samples, reason, 0).expect("taken");
    }

    assert_eq!((file.gaps, file.lost), (5, 30));
    let recording = Recording::open(file.writer.finish().expect("closed").path).expect("a recording");
    let reasons: Vec<_> = gaps(&recording).into_iter().map(|(.., reason)| reason).collect();
    let expected = ["device", "overrun", "reconnect", "pipeline_paused", "seek"];
    assert_eq!(reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(runs(&recording).len(), 6);
}

#[test]
fn what_the_disk_has_no_room_for_is_one_gap_told_once_and_no_pause_hides_it() {
    let mut bench = Bench::new(fixtures::counts(2, HUGE), json!({ "max_pending_mb": 1 }));
    let marker = || RecordCommand::Marker { label: "?".into(), source: "key".into(), timestamp_ns: 0 };
    let huge = u64::from(HUGE);
    bench.begin();
    bench.feed(0);
    bench.feed_frames(10, HUGE);
    bench.feed_frames(10 + huge, HUGE);
    bench.ask(marker());
    assert_eq!((bench.status().lost_samples, bench.status().gaps), (2 * huge, 0));
    let next = 10 + 2 * huge;
    bench.feed(next);
    bench.feed_frames(next + 10, HUGE);
    bench.ask(RecordCommand::Pause);
    bench.feed(next + 10 + huge);
    bench.ask(RecordCommand::Resume);
    bench.feed(next + 20 + huge);
    bench.feed_frames(next + 30 + huge, HUGE);
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");

    let expected = [
        (10, 2 * huge, GapReason::Overrun),
        (next + 10, huge, GapReason::Overrun),
        (next + 10 + huge, 10, GapReason::Paused),
        (next + 30 + huge, huge, GapReason::Overrun),
    ];
    assert_eq!(gaps(&recording), expected);
    assert_eq!(runs(&recording).len(), 3);
    let ledger = &recording.ledger().streams[0];
    assert_eq!((ledger.recorded, ledger.lost(), ledger.is_balanced()), (30, 4 * huge, true));
    assert_eq!(bench.status().lost_samples, 4 * huge);
    let notes = bench.stage.notes();
    let told = notes.iter().filter(|note| note.level == Level::Error && note.text.contains("samples are being lost"));
    assert_eq!(told.count(), 3, "{notes:?}");
}

#[test]
fn a_pause_before_packets_that_are_refused_is_not_called_a_loss() {
    let mut bench = Bench::new(fixtures::counts(2, HUGE), json!({ "max_pending_mb": 1 }));
    let huge = u64::from(HUGE);
    bench.begin();
    bench.feed(0);
    bench.ask(RecordCommand::Pause);
    bench.feed(10);
    bench.ask(RecordCommand::Resume);
    bench.feed_frames(20, HUGE);
    bench.feed_frames(20 + huge, HUGE);
    bench.ask(RecordCommand::Finish);

    let expected = [(10, 10, GapReason::Paused), (20, 2 * huge, GapReason::Overrun)];
    assert_eq!(gaps(&bench.recording("run.mcap")), expected);
    assert_eq!(bench.status().lost_samples, 2 * huge);
    let notes = bench.stage.notes();
    assert!(notes.iter().any(|note| note.text.contains("samples are being lost")), "{notes:?}");
}

#[test]
fn samples_that_come_again_are_not_recorded_again() {
    let mut bench = Bench::of_counts();
    bench.begin();
    for first_sample in [0, 10, 20, 5, 15, 25, 35, 45] {
        bench.feed(first_sample);
    }
    bench.ask(RecordCommand::Finish);

    let recording = bench.recording("run.mcap");

    assert_eq!(runs(&recording), [(0, 30), (35, 55)]);
    assert_eq!(gaps(&recording), [(30, 5, GapReason::Seek)]);
    assert_eq!(bench.status().lost_samples, 0);
    assert!(bench.stage.notes().iter().all(|note| note.level == Level::Info));
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_the_stage_goes_on() {
    let mut bench = Bench::of_counts();
    let file = bench.dir.path().join("file");
    fs::write(&file, "in the way").expect("written");
    let dir = file.join("recordings");
    bench.stage =
        Harness::new("record", json!({ "dir": dir }), &[("raw", fixtures::counts(2, FRAMES))]).expect("built");

    bench.begin();
    bench.feed(0);

    let status = bench.status();
    assert_eq!((status.state, &status.dir), (RecordingState::Failed, &dir));
    let error = status.error.expect("a reason");
    assert!(error.contains(dir.to_str().expect("plain")) && error.contains("Not a directory"), "{error}");
    assert_eq!(&*bench.stage.notes()[0].text, error.as_str());

    fs::remove_file(&file).expect("removed");
    bench.begin();
    bench.feed(10);
    bench.ask(RecordCommand::Finish);
    assert_eq!((bench.status().state, bench.status().error), (RecordingState::Idle, None));
    assert_eq!(runs(&Recording::open(dir.join("run.mcap")).expect("a recording")), [(0, 20)], "with what came before");
}

#[test]
fn a_second_start_makes_a_second_file_and_never_one_over_the_first() {
    let mut bench = Bench::of_counts();
    bench.begin();
    bench.feed(0);
    // While one is open another start means nothing.
    bench.begin();
    bench.feed(10);
    bench.ask(RecordCommand::Finish);
    bench.ask(RecordCommand::Finish);
    bench.begin();
    assert_eq!((bench.status().recorded_samples, bench.status().state), (0, RecordingState::Recording));
    bench.feed(20);
    bench.ask(RecordCommand::Finish);

    assert_eq!(bench.files(), ["run-2.mcap", "run.mcap"]);
    assert_eq!(runs(&bench.recording("run.mcap")), [(0, 20)]);
    assert_eq!(runs(&bench.recording("run-2.mcap")), [(20, 30)]);
}

#[test]
fn the_end_of_the_stage_closes_an_open_file() {
    let mut bench = Bench::of_counts();
    bench.begin();
    bench.feed(0);
    bench.stage.push::<Counts>("raw", 10, &samples(10..20));
    bench.stage.close();
    assert_eq!(bench.stage.run().expect("it runs"), Flow::Done);

    bench.stage.finish().expect("closed");

    assert_eq!(runs(&bench.recording("run.mcap")), [(0, 20)]);
    assert_eq!(bench.status().state, RecordingState::Idle);
}

#[test]
fn a_stage_that_is_dropped_leaves_a_file_with_all_its_samples() {
    let mut bench = Bench::of_counts();
    bench.begin();
    bench.feed(0);
    let dir = bench.dir;

    drop(bench.stage);

    let recording = Recording::open(dir.path().join("run.mcap.part")).expect("a recording");
    assert!(!recording.is_closed());
    assert_eq!(runs(&recording), [(0, 10)]);
}

#[test]
fn it_builds_with_defaults_and_touches_no_disk() {
    let stage = Harness::new("record", json!({}), &[("raw", fixtures::counts(1, 1))]).expect("it builds");

    let status = stage.recorder.expect("a recorder").status();

    assert_eq!((status.state, status.dir.as_path()), (RecordingState::Idle, Path::new("recordings")));
    assert!(!Path::new("recordings").exists());
}
