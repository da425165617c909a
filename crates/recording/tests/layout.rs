//! The file as any MCAP reader sees it.
mod common;

use std::{collections::BTreeMap, fs, time::Duration};

use common::{ANCHOR, BATCH, Feeder, header, options};
use mcap::{MessageStream, Summary};
use tempfile::tempdir;
use wavedeck_api::packet::{Flags, PacketHeader};
use wavedeck_recording::{Event, RecordingOptions};

/// Times of the messages of each topic, after the start.
fn times(bytes: &[u8]) -> BTreeMap<String, Vec<u64>> {
    let mut times = BTreeMap::<String, Vec<u64>>::new();
    for message in MessageStream::new(bytes).expect("an MCAP file") {
        let message = message.expect("whole");
        assert_eq!(message.log_time, message.publish_time);
        times.entry(message.channel.topic.clone()).or_default().push(message.log_time - ANCHOR.unix_ns);
    }
    times
}

#[test]
fn what_repeats_comes_at_its_time() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    // 70 s in batches of 40 ms.
    feeder.feed(1750);
    let bytes = fs::read(feeder.finish().path).expect("readable");

    let times = times(&bytes);

    let seconds = |topic: &str| times[topic].iter().map(|ns| ns / 1_000_000_000).collect::<Vec<_>>();
    assert_eq!(seconds("/session"), [0, 60]);
    assert_eq!(seconds("/clock"), [0, 10, 20, 30, 40, 50, 60]);
    assert_eq!(times["/stats"].len(), 70);
    assert!(times["/eeg/data"].len() <= 1000, "{}", times["/eeg/data"].len());
    let preview = &times["/eeg/preview"];
    assert_eq!(preview.len(), 700);
    assert!(preview.windows(2).all(|pair| pair[1] - pair[0] == 100_000_000));
}

#[test]
fn a_chunk_is_closed_when_its_oldest_sample_is_200_milliseconds_old() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    for _ in 0..250 {
        let oldest_ns = header(0, feeder.next, 1).timestamp_ns;
        assert!(feeder.writer.due_ns() <= oldest_ns + 200_000_000, "before its first sample it is not later");
        feeder.feed(1);
        assert!(feeder.writer.due_ns() > oldest_ns, "a tick has closed what was due");
    }

    let bytes = fs::read(feeder.finish().path).expect("readable");

    let summary = Summary::read(&bytes).expect("closed").expect("a summary");
    // Batches come every 40 ms; the first chunk is the one that explains the file.
    let spans = summary.chunk_indexes.iter().map(|chunk| chunk.message_end_time - chunk.message_start_time);
    assert!(spans.max() <= Some(240_000_000));
    assert!((50..=52).contains(&summary.chunk_indexes.len()), "{} chunks", summary.chunk_indexes.len());
}

#[test]
fn a_packet_that_was_long_on_its_way_is_not_kept_back_as_long_as_others() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    let sample_ns = header(0, 0, 1).timestamp_ns;
    feeder.writer.tick(sample_ns + 190_000_000).expect("open");
    feeder.writer.batch_counts(0, &header(0, 0, 1), &common::counts(0, BATCH, 1), sample_ns).expect("taken");

    assert_eq!(feeder.writer.due_ns(), sample_ns + 200_000_000);

    let accepted = feeder.writer.status().accepted_bytes();
    feeder.writer.tick(sample_ns + 200_000_000).expect("open");
    assert!(feeder.writer.status().accepted_bytes() > accepted);
    // One that is older still does not make chunks of single packets.
    feeder.writer.batch_counts(0, &header(1, 10, 1), &common::counts(10, BATCH, 1), sample_ns).expect("taken");
    assert_eq!(feeder.writer.due_ns(), sample_ns + 300_000_000);
}

/// The start is at another time than the test: what is read off the wall clock cannot be taken for what follows from it.
#[test]
fn a_wall_clock_that_is_set_while_recording_moves_no_time_in_the_file() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    feeder.feed(300);
    feeder.writer.event(&Event::default(), ANCHOR.monotonic_ns + 12_000_000_000).expect("noted");
    let bytes = fs::read(feeder.finish().path).expect("readable");

    let recorded = ANCHOR.unix_ns..=ANCHOR.unix_ns + 12_000_000_000;
    for message in MessageStream::new(&bytes).expect("an MCAP file") {
        let message = message.expect("whole");
        assert!(recorded.contains(&message.log_time), "{} at {}", message.channel.topic, message.log_time);
    }
}

#[test]
fn a_chunk_is_closed_early_when_it_is_large() {
    let dir = tempdir().expect("a directory");
    let options =
        RecordingOptions { chunk_bytes: 10_000, commit_interval: Duration::from_secs(3600), ..options(dir.path()) };
    let mut feeder = Feeder::new(options, 16);
    feeder.feed(100);

    let bytes = fs::read(feeder.finish().path).expect("readable");

    let summary = Summary::read(&bytes).expect("closed").expect("a summary");
    let sizes: Vec<_> = summary.chunk_indexes.iter().map(|chunk| chunk.uncompressed_size).collect();
    assert!(sizes.len() >= 6 && sizes[1..].iter().all(|size| *size < 13_000), "{sizes:?}");
}

#[test]
fn the_file_explains_itself() {
    let dir = tempdir().expect("a directory");
    let bytes = fs::read(Feeder::new(options(dir.path()), 1).finish().path).expect("readable");

    let summary = Summary::read(&bytes).expect("closed").expect("a summary");

    let attached: Vec<_> = summary.attachment_indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(attached, ["pipeline.json", "README.txt", "read_me.py"]);
    let noted: Vec<_> = summary.metadata_indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(noted, ["recording", "ledger"]);
    let channel = summary.channels.values().find(|channel| channel.topic == "/eeg/data").expect("there");
    let schema = channel.schema.as_ref().expect("there");
    assert_eq!((schema.name.as_str(), schema.encoding.as_str()), ("sig.SampleBatch", "protobuf"));
    assert_eq!(channel.metadata["rate_hz"], "250/1");
}

#[test]
fn times_never_step_back_on_a_stream() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 1);
    feeder.feed(100);
    let late = PacketHeader { flags: Flags::RESYNC, ..header(100, 1000, 1) };
    let arrival_ns = late.timestamp_ns + 5_000_000_000;
    let samples = common::counts(1000, BATCH, 1);
    feeder.writer.batch_counts(0, &late, &samples, arrival_ns).expect("taken");
    let bytes = fs::read(feeder.finish().path).expect("readable");

    let times = times(&bytes);

    assert!(times["/eeg/data"].is_sorted());
    assert_eq!(times["/eeg/data"].last(), Some(&4_000_000_000));
}
