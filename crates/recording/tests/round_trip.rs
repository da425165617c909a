//! What is written is read back, sample for sample.
mod common;

use common::{
    ANCHOR, BATCH, Feeder, all, assert_as_fed, counts_stream, header, open, options, physical_stream, unbroken,
};
use serde_json::json;
use tempfile::tempdir;
use wavedeck_api::packet::Flags;
use wavedeck_recording::{
    Codec, Edit, Event, GapReason, Recording, RecordingOptions, RecordingWriter, Samples, WriteError,
};

fn is_send<T: Send + Sync>() {}

#[test]
fn every_sample_comes_back_in_both_codecs() {
    for (plain, codec) in [(false, Codec::Planar), (true, Codec::Plain)] {
        let dir = tempdir().expect("a directory");
        let mut feeder = Feeder::new(RecordingOptions { plain, ..options(dir.path()) }, 8);
        feeder.feed(200);

        let finished = feeder.finish();

        let recording = open(&finished.path);
        assert!(recording.is_closed());
        assert_eq!(recording.streams()[0].codec, codec);
        let batches = all(recording.batches(0, 0).expect("the stream"));
        assert_eq!((batches[0].first_index, unbroken(&batches)), (0, 2000));
        batches.iter().for_each(|batch| assert_as_fed(batch, 8));
        assert_eq!(finished.ledger.streams[0].recorded, 2000);
        assert_eq!(recording.ledger(), &finished.ledger);
        assert_eq!(recording.recount().expect("whole"), finished.ledger);
    }
}

#[test]
fn physical_values_come_back_bit_for_bit() {
    let dir = tempdir().expect("a directory");
    let values = [0.1f32, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, 1e-40];
    let mut writer =
        RecordingWriter::create(options(dir.path()), vec![physical_stream("ecg", 2)], ANCHOR).expect("created");
    let header = wavedeck_api::packet::PacketHeader { batch_size: 3, ..header(0, 7, 2) };
    writer.batch_values(0, &header, &values, header.timestamp_ns).expect("taken");

    let finished = writer.finish().expect("closed");

    let batches = all(open(&finished.path).batches(0, 0).expect("the stream"));
    let Samples::Values(back) = &batches[0].samples else { panic!("values were written") };
    assert_eq!(back.map_bits(), values.map_bits());
    assert_eq!(batches[0].first_index, 7);
}

trait Bits {
    fn map_bits(&self) -> Vec<u32>;
}

impl<T: AsRef<[f32]>> Bits for T {
    fn map_bits(&self) -> Vec<u32> {
        self.as_ref().iter().map(|value| value.to_bits()).collect()
    }
}

#[test]
fn streams_stay_apart_and_keep_their_description() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 3), physical_stream("aux", 1)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams.clone(), ANCHOR).expect("created");
    for n in 0..10 {
        let eeg = header(n, n * 10, 3);
        let aux = header(n, n * 10, 1);
        writer.batch_counts(0, &eeg, &common::counts(n * 10, BATCH, 3), eeg.timestamp_ns).expect("taken");
        writer.batch_values(1, &aux, &[n as f32; 10], aux.timestamp_ns).expect("taken");
    }

    let recording = open(&writer.finish().expect("closed").path);

    for (stored, given) in recording.streams().iter().zip(&streams) {
        assert_eq!((&stored.name, &stored.spec, &stored.device), (&given.name, &given.spec, &given.device));
    }
    let aux = recording.stream("aux").expect("there");
    let last = all(recording.batches(aux, 90).expect("the stream")).pop().expect("there").samples;
    let Samples::Values(last) = last else { panic!("values were written") };
    assert!(last.ends_with(&[9.0; 10]), "{last:?}");
    assert_eq!(recording.pipeline_json().expect("attached"), r#"{"stages":[]}"#);
    assert_eq!(recording.anchor(), ANCHOR);
    assert_eq!(recording.about("operator"), Some("an operator"));
    assert!(recording.stream("other").is_err());
    is_send::<Recording>();
    is_send::<RecordingWriter>();
}

#[test]
fn times_follow_the_samples_through_the_anchor() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    feeder.feed(100);

    let recording = open(&feeder.finish().path);

    for batch in all(recording.batches(0, 0).expect("the stream")) {
        assert_eq!(batch.t0_ns, ANCHOR.unix_ns + batch.first_index * 4_000_000);
        assert_eq!(batch.arrival_ns, batch.t0_ns);
    }
}

#[test]
fn a_seek_lands_on_the_batch_that_holds_the_sample() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(300);
    feeder.lose(1000);
    feeder.feed(300);
    let recording = open(&feeder.finish().path);

    for index in [0, 9, 10, 1234, 2999, 4000, 6999] {
        let first = recording.batches(0, index).expect("the stream").next().expect("there").expect("whole");
        assert!((first.first_index..first.end_index()).contains(&index), "{} from {index}", first.first_index);
        assert_as_fed(&first, 2);
    }
    for missing in [3000, 3999] {
        let next = recording.batches(0, missing).expect("the stream").next().expect("there").expect("whole");
        assert_eq!(next.first_index, 4000, "from {missing}");
    }
    assert!(recording.batches(0, 7000).expect("the stream").next().is_none());
}

#[test]
fn a_seek_finds_the_sample_where_times_do_not_follow_the_rate() {
    let dir = tempdir().expect("a directory");
    let mut writer =
        RecordingWriter::create(options(dir.path()), vec![counts_stream("eeg", 1)], ANCHOR).expect("created");
    let mut late_ns = 0;
    for n in 0..400 {
        // A board ten times too slow for a while, then one that stood still for an hour.
        late_ns += match n {
            100..200 => 360_000_000,
            300 => 3_600_000_000_000,
            _ => 0,
        };
        let mut header = header(n, n * u64::from(BATCH), 1);
        header.timestamp_ns += late_ns;
        writer
            .batch_counts(0, &header, &common::counts(header.first_sample, BATCH, 1), header.timestamp_ns)
            .expect("taken");
        writer.tick(header.timestamp_ns).expect("open");
    }
    let recording = open(&writer.finish().expect("closed").path);

    for index in 0..4000 {
        let first = recording.batches(0, index).expect("the stream").next().expect("there").expect("whole");
        assert!((first.first_index..first.end_index()).contains(&index), "{} from {index}", first.first_index);
    }
}

#[test]
fn a_seek_in_time_lands_on_the_same_batch() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(300);
    let recording = open(&feeder.finish().path);

    for index in [0, 1, 777, 1500, 2999] {
        let unix_ns = ANCHOR.unix_ns + index * 4_000_000;
        let first = recording.batches_from_time(0, unix_ns).expect("the stream").next().expect("there");
        let first = first.expect("whole");
        assert!((first.first_index..first.end_index()).contains(&index), "{} from {index}", first.first_index);
    }
}

#[test]
fn marks_edits_and_gaps_come_back_as_they_were_noted() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    feeder.feed(5);
    let at_ns = ANCHOR.monotonic_ns + 1_000_000;
    let event = Event {
        label: "eyes, \"closed\"".into(),
        source: "key".into(),
        stream: Some(0),
        index: Some(42),
        duration_s: Some(1.5),
    };
    feeder.writer.event(&event, at_ns).expect("noted");
    let edit = Edit {
        path: "/stages/1/params/cutoff_hz".into(),
        old: json!(30.0),
        new: json!(40.0),
        at_sample: Some(50),
        by: "key".into(),
        outcome: "applied".into(),
    };
    feeder.writer.param(&edit, at_ns).expect("noted");
    feeder.lose(30);
    feeder.feed(1);
    feeder.writer.gap(0, &common::gap(90, 10, GapReason::Paused), at_ns).expect("noted");

    let finished = feeder.finish();

    let recording = open(&finished.path);
    let events = recording.events().expect("readable");
    assert_eq!((events[0].label.as_str(), events[0].index), ("eyes, \"closed\"", Some(42)));
    assert_eq!((events[0].stream.as_deref(), events[0].duration_s), (Some("eeg"), Some(1.5)));
    assert_eq!(events[0].time_ns, ANCHOR.unix_ns + 1_000_000);
    let edits = recording.params().expect("readable");
    assert_eq!((&edits[0].path, &edits[0].new, edits[0].at_sample), (&edit.path, &json!(40.0), Some(50)));
    let gaps: Vec<_> =
        recording.gaps().expect("readable").iter().map(|gap| (gap.first_index, gap.n, gap.reason)).collect();
    assert_eq!(gaps, [(50, 30, GapReason::Device), (90, 10, GapReason::Paused)]);
    let ledger = &finished.ledger.streams[0];
    assert_eq!((ledger.recorded, ledger.lost(), ledger.paused(), ledger.is_balanced()), (60, 30, 10, true));
    assert_eq!((finished.gaps, finished.events), (2, 1));
}

#[test]
fn a_batch_says_what_happened_before_it() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 1)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    let second = wavedeck_api::packet::PacketHeader { flags: Flags::RECONNECTED, ..header(1, 25, 1) };
    for header in [header(0, 0, 1), second] {
        writer.batch_counts(0, &header, &common::counts(header.first_sample, BATCH, 1), 0).expect("taken");
    }

    let batches = all(open(&writer.finish().expect("closed").path).batches(0, 0).expect("the stream"));

    assert_eq!((batches[0].dropped_before, batches[0].flags), (0, Flags::NONE));
    assert_eq!((batches[1].dropped_before, batches[1].flags), (15, Flags::GAP.with(Flags::RECONNECTED)));
}

#[test]
fn what_does_not_fit_the_stream_is_refused_and_changes_nothing() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(2);
    let header = header(2, 20, 2);
    let samples = common::counts(20, BATCH, 2);

    let short = feeder.writer.batch_counts(0, &header, &samples[1..], 0);
    let kind = feeder.writer.batch_values(0, &header, &[0.0; 20], 0);
    let stream = feeder.writer.batch_counts(1, &header, &samples, 0);
    let back = feeder.writer.batch_counts(0, &common::header(2, 19, 2), &samples, 0);
    let gap = feeder.writer.gap(0, &common::gap(10, 5, GapReason::Device), 0);

    assert!(matches!(short, Err(WriteError::Shape { .. })), "{short:?}");
    assert!(matches!(kind, Err(WriteError::Shape { .. })), "{kind:?}");
    assert!(matches!(stream, Err(WriteError::NoSuchStream { .. })), "{stream:?}");
    assert!(matches!(back, Err(WriteError::OutOfOrder { expected: 20, got: 19, .. })), "{back:?}");
    assert!(matches!(gap, Err(WriteError::OutOfOrder { .. })), "{gap:?}");
    assert_eq!(feeder.writer.recorded(0), 20);
    assert!(feeder.finish().ledger.streams[0].is_balanced());
}

#[test]
fn two_recordings_of_one_name_are_two_files() {
    let dir = tempdir().expect("a directory");
    let mut first = Feeder::new(options(dir.path()), 1);
    let mut second = Feeder::new(options(dir.path()), 1);
    first.feed(1);
    second.feed(2);

    let (second, first) = (second.finish(), first.finish());
    let mut third = Feeder::new(options(dir.path()), 1);
    third.feed(3);
    let third = third.finish();

    let names: Vec<_> = [&first, &second, &third].iter().map(|f| f.path.file_name().expect("a name")).collect();
    assert_eq!(names, ["run.mcap", "run-2.mcap", "run-3.mcap"]);
    let recorded = |finished: &wavedeck_recording::Finished| open(&finished.path).ledger().streams[0].recorded;
    assert_eq!([&first, &second, &third].map(recorded), [10, 20, 30]);
}

#[test]
fn a_stream_of_256_channels_in_packets_of_one_frame_comes_back() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("wide", 256)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    for index in 0..50 {
        let header = wavedeck_api::packet::PacketHeader { batch_size: 1, ..header(index, index, 256) };
        writer.batch_counts(0, &header, &common::counts(index, 1, 256), 0).expect("taken");
    }

    let batches = all(open(&writer.finish().expect("closed").path).batches(0, 0).expect("the stream"));

    assert_eq!(unbroken(&batches), 50);
    batches.iter().for_each(|batch| assert_as_fed(batch, 256));
}

#[test]
fn a_recording_without_samples_is_a_recording() {
    let dir = tempdir().expect("a directory");

    let finished = Feeder::new(options(dir.path()), 4).finish();

    let recording = open(&finished.path);
    assert!(recording.batches(0, 0).expect("the stream").next().is_none());
    assert!(recording.batches(0, 99).expect("the stream").next().is_none());
    assert!(!recording.ledger().is_degraded());
}
