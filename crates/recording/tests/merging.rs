//! Small packets become larger batches: fewer bytes, the same samples.
mod common;

use std::{path::Path, time::Duration};

use common::{ANCHOR, BATCH, Feeder, all, counts, counts_stream, gap, header, open, options, physical_stream};
use tempfile::tempdir;
use wavedeck_api::{
    packet::{Flags, PacketHeader},
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};
use wavedeck_recording::{
    DecodedBatch, Finished, GapReason, Recording, RecordingOptions, RecordingWriter, Samples, StreamInfo,
};

/// Most frames that are gathered at 250 Hz.
const LONGEST: u32 = 50;

fn batches(recording: &Recording) -> Vec<DecodedBatch> {
    all(recording.batches(0, 0).expect("the stream"))
}

/// First index and length of each batch.
fn extents(batches: &[DecodedBatch]) -> Vec<(u64, u32)> {
    batches.iter().map(|batch| (batch.first_index, batch.n_frames)).collect()
}

/// Index and channels of every frame.
fn samples(batches: &[DecodedBatch]) -> Vec<(u64, Vec<i32>)> {
    let frames = |batch: &DecodedBatch| {
        let Samples::Counts(counts) = &batch.samples else { panic!("counts were written") };
        let width = counts.len() / batch.n_frames as usize;
        let frames = counts.chunks(width).map(<[i32]>::to_vec);
        (batch.first_index..).zip(frames).collect::<Vec<_>>()
    };
    batches.iter().flat_map(frames).collect()
}

/// A writer of one stream of counts of two channels, which closes chunks when it is told to.
fn writer(dir: &Path) -> RecordingWriter {
    let options = RecordingOptions { commit_interval: Duration::from_secs(3600), ..options(dir) };
    RecordingWriter::create(options, vec![counts_stream("eeg", 2)], ANCHOR).expect("created")
}

fn feed(writer: &mut RecordingWriter, header: PacketHeader) {
    let samples = counts(header.first_sample, header.batch_size, 2);
    writer.batch_counts(0, &header, &samples, header.timestamp_ns + 7).expect("taken");
}

fn packet(first_sample: u64, batch_size: u32) -> PacketHeader {
    PacketHeader { batch_size, ..header(first_sample, first_sample, 2) }
}

#[test]
fn a_merged_file_has_the_samples_and_the_account_of_one_that_is_not() {
    let recorded = |chunk_bytes: usize| {
        let dir = tempdir().expect("a directory");
        let mut feeder = Feeder::new(RecordingOptions { chunk_bytes, ..options(dir.path()) }, 3);
        feeder.feed(101);
        feeder.lose(33);
        feeder.feed(50);
        let recording = open(&feeder.finish().path);
        (batches(&recording), recording.recount().expect("whole"), recording.ledger().clone())
    };

    let (merged, recount, ledger) = recorded(1 << 20);
    // A chunk of no size has no room for a run.
    let (single, single_recount, _) = recorded(0);

    assert_eq!(single.len(), 151);
    assert!(merged.len() <= 100, "{} batches", merged.len());
    assert_eq!(samples(&merged), samples(&single));
    assert_eq!((&recount, &recount), (&ledger, &single_recount));
    let missing = |batches: &[DecodedBatch]| batches.iter().map(|batch| batch.dropped_before).sum::<u32>();
    assert_eq!((missing(&merged), missing(&single)), (33, 33));
}

#[test]
fn a_batch_has_the_time_and_arrival_of_its_first_packet_and_never_splits_one() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    for n in 0..6 {
        feed(&mut writer, packet(n * 20, 2 * BATCH));
    }

    let batches = batches(&open(&writer.finish().expect("closed").path));

    assert_eq!(extents(&batches), [(0, 40), (40, 40), (80, 40)]);
    for batch in batches {
        assert_eq!(batch.t0_ns, ANCHOR.unix_ns + batch.first_index * 4_000_000);
        assert_eq!(batch.arrival_ns, batch.t0_ns + 7);
    }
}

#[test]
fn a_full_run_is_written_at_once_and_a_longer_packet_as_it_is() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    let lengths = [5, 45, 5, LONGEST, 5, 100, 49, 1];
    let mut next = 0;
    for length in lengths {
        feed(&mut writer, packet(next, length));
        next += u64::from(length);
    }

    let batches = batches(&open(&writer.finish().expect("closed").path));

    assert_eq!(extents(&batches), [(0, 50), (50, 5), (55, 50), (105, 5), (110, 100), (210, 50)]);
}

#[test]
fn less_time_is_gathered_at_500_hz_and_above() {
    let dir = tempdir().expect("a directory");
    let mut stream = counts_stream("eeg", 2);
    stream.spec.rate = Rate::new(500, 1).expect("positive");
    let mut writer = RecordingWriter::create(options(dir.path()), vec![stream], ANCHOR).expect("created");
    for index in 0..50 {
        feed(&mut writer, packet(index, 1));
    }

    let batches = batches(&open(&writer.finish().expect("closed").path));

    assert_eq!(extents(&batches), [(0, 25), (25, 25)]);
}

#[test]
fn a_gap_ends_a_batch_noted_or_not() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    feed(&mut writer, packet(0, 5));
    feed(&mut writer, packet(8, 5));
    writer.gap(0, &gap(13, 2, GapReason::Paused), 0).expect("noted");
    feed(&mut writer, packet(15, 5));

    let recording = open(&writer.finish().expect("closed").path);

    let batches = batches(&recording);
    assert_eq!(extents(&batches), [(0, 5), (8, 5), (15, 5)]);
    let dropped: Vec<_> = batches.iter().map(|batch| (batch.dropped_before, batch.flags)).collect();
    assert_eq!(dropped, [(0, Flags::NONE), (3, Flags::GAP), (2, Flags::GAP)]);
    assert_eq!(recording.ledger().streams[0].paused(), 2);
}

#[test]
fn a_mark_begins_a_batch() {
    for flags in [Flags::GAP, Flags::RESYNC, Flags::RECONNECTED, Flags::RESUMED, Flags::SEEKED] {
        let dir = tempdir().expect("a directory");
        let mut writer = writer(dir.path());
        feed(&mut writer, packet(0, 5));
        feed(&mut writer, PacketHeader { flags, ..packet(5, 5) });
        feed(&mut writer, PacketHeader { param_epoch: 1, ..packet(10, 5) });

        let batches = batches(&open(&writer.finish().expect("closed").path));

        assert_eq!(extents(&batches), [(0, 5), (5, 10)]);
        assert_eq!((batches[0].flags, batches[1].flags), (Flags::NONE, flags));
    }
}

#[test]
fn a_commit_takes_what_was_gathered_along() {
    let dir = tempdir().expect("a directory");
    let mut writer = writer(dir.path());
    let status = writer.status();
    feed(&mut writer, packet(0, 5));
    feed(&mut writer, packet(5, 5));
    assert!(status.pending_bytes() >= 80);

    writer.commit().expect("open");

    let begin = std::time::Instant::now();
    while status.written_bytes() < status.accepted_bytes() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the chunk is written");
        std::thread::yield_now();
    }
    // As after a kill: what is read is what was written by now.
    assert_eq!(extents(&batches(&open(writer.path()))), [(0, 10)]);
    feed(&mut writer, packet(10, 5));
    assert_eq!(extents(&batches(&open(&writer.finish().expect("closed").path))), [(0, 10), (10, 5)]);
}

#[test]
fn a_tick_every_200_milliseconds_takes_what_was_gathered_along() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(70);
    let recording = open(&feeder.finish().path);

    // Packets of 40 ms close the first chunk at the sixth and every other at the fifth.
    let begins: Vec<_> = extents(&batches(&recording)).into_iter().map(|(first, _)| first).collect();
    assert!((0..12).all(|chunk| begins.contains(&(60 + chunk * 50))), "{begins:?}");
}

#[test]
fn streams_are_gathered_apart_and_values_as_well() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 2), physical_stream("aux", 1)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    for n in 0..4 {
        feed(&mut writer, packet(n * 5, 5));
        let aux = PacketHeader { batch_size: 3, ..header(n, n * 3, 1) };
        writer.batch_values(1, &aux, &[n as f32, 0.5, -0.0], aux.timestamp_ns).expect("taken");
    }
    assert_eq!((writer.recorded(0), writer.recorded(1)), (20, 12));

    let recording = open(&writer.finish().expect("closed").path);

    assert_eq!(extents(&batches(&recording)), [(0, 20)]);
    let aux = all(recording.batches(1, 0).expect("the stream"));
    let expected = (0..4).flat_map(|n| [n as f32, 0.5, -0.0]).collect();
    assert_eq!(aux.len(), 1);
    assert_eq!(aux[0].samples, Samples::Values(expected));
}

/// A minute of eight channels as a 24-bit board sees a head: drift, alpha waves, mains and noise of 1 uV.
fn a_head(dir: &Path) -> Finished {
    const CHANNELS: usize = 8;
    const FRAMES: u32 = 10;
    let rate = Rate::new(250, 1).expect("positive");
    let channels = (1..=CHANNELS).map(|n| ChannelSpec::counts(format!("CH{n}"), "uV", 0.022_351_741_790_771_484));
    let spec =
        StreamSpec { kind: SignalKind::Counts, channels: channels.collect(), rate, max_batch: FRAMES, spectrum: None };
    let stream = StreamInfo { name: "eeg".into(), spec, device: "a board".into() };
    let mut writer = RecordingWriter::create(options(dir), vec![stream], ANCHOR).expect("created");
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1u32 << 24) - 0.5
    };
    for seq in 0..60 * 25 {
        let first_sample = seq * u64::from(FRAMES);
        let header = PacketHeader {
            seq,
            first_sample,
            timestamp_ns: ANCHOR.monotonic_ns + rate.nanoseconds_at(first_sample),
            batch_size: FRAMES,
            channels: CHANNELS as u16,
            ..PacketHeader::default()
        };
        let mut samples = Vec::new();
        for index in first_sample..header.end_sample() {
            let seconds = index as f64 / 250.0;
            let wave = |hz: f64, uv: f64, phase: f64| uv * (std::f64::consts::TAU * (hz * seconds + phase)).sin();
            samples.extend((0..CHANNELS).map(|channel| {
                let phase = channel as f64 / 8.0;
                let uv = 5000.0 * phase + wave(0.1, 200.0, phase) + wave(10.0, 20.0, phase) + wave(50.0, 10.0, 0.0);
                // Four uniform terms are close enough to a normal distribution.
                let noise: f64 = (0..4).map(|_| noise()).sum::<f64>() * 3f64.sqrt();
                ((uv + noise) / 0.022_351_741_790_771_484) as i32
            }));
        }
        writer.batch_counts(0, &header, &samples, header.timestamp_ns).expect("taken");
        writer.tick(header.timestamp_ns).expect("open");
    }
    writer.finish().expect("closed")
}

#[test]
fn eight_channels_at_250_hz_are_far_smaller_than_their_samples() {
    let dir = tempdir().expect("a directory");

    let finished = a_head(dir.path());

    let raw = finished.ledger.streams[0].recorded * 8 * 4;
    assert!(finished.bytes * 10 < raw * 8, "{} of {raw} bytes", finished.bytes);
}
