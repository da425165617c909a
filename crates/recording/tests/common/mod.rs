//! A recording to test with: its streams, its samples and the steps to make it.
#![allow(dead_code, reason = "each test file uses a part of it")]
use std::path::Path;

use wavedeck_api::{
    clock::Anchor,
    packet::{Flags, PacketHeader},
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};
use wavedeck_recording::{
    Batches, DecodedBatch, Event, Finished, Gap, GapTracker, Recording, RecordingOptions, RecordingWriter, Samples,
    StreamInfo,
};

pub(crate) const ANCHOR: Anchor = Anchor { monotonic_ns: 5_000_000_000, unix_ns: 1_795_529_858_123_456_789 };
pub(crate) const BATCH: u32 = 10;

pub(crate) fn options(dir: &Path) -> RecordingOptions {
    RecordingOptions {
        dir: dir.to_owned(),
        name: Some("run".into()),
        session_name: "test".into(),
        pipeline_json: r#"{"stages":[]}"#.into(),
        app_version: "0.1.0".into(),
        operator: "an operator".into(),
        ..RecordingOptions::default()
    }
}

pub(crate) fn counts_stream(name: &str, channels: usize) -> StreamInfo {
    let channels = (1..=channels).map(|n| ChannelSpec::counts(format!("CH{n}"), "uV", 0.5 * n as f64)).collect();
    stream(name, SignalKind::Counts, channels)
}

pub(crate) fn physical_stream(name: &str, channels: usize) -> StreamInfo {
    let channels = (1..=channels).map(|n| ChannelSpec::physical(format!("CH{n}"), "mV")).collect();
    stream(name, SignalKind::Physical, channels)
}

fn stream(name: &str, kind: SignalKind, channels: Vec<ChannelSpec>) -> StreamInfo {
    let rate = Rate::new(250, 1).expect("positive");
    let spec = StreamSpec { kind, channels: channels.into(), rate, max_batch: BATCH, spectrum: None };
    StreamInfo { name: name.into(), spec, device: "a board".into() }
}

/// The count of a channel at an index, the same on every call; now and then one at the end of the range.
pub(crate) fn count(index: u64, channel: usize) -> i32 {
    let mixed = (index * 31 + channel as u64 * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    match mixed % 97 {
        0 => i32::MIN,
        1 => i32::MAX,
        _ => (mixed % 2000) as i32 - 1000,
    }
}

pub(crate) fn counts(first: u64, frames: u32, channels: usize) -> Vec<i32> {
    let frames = first..first + u64::from(frames);
    frames.flat_map(|index| (0..channels).map(move |channel| count(index, channel))).collect()
}

pub(crate) fn header(seq: u64, first_sample: u64, channels: usize) -> PacketHeader {
    let rate = Rate::new(250, 1).expect("positive");
    PacketHeader {
        seq,
        first_sample,
        timestamp_ns: ANCHOR.monotonic_ns + rate.nanoseconds_at(first_sample),
        batch_size: BATCH,
        channels: channels as u16,
        flags: Flags::NONE,
        ..PacketHeader::default()
    }
}

/// Feeds one stream of counts batch by batch, ticking as a stage would.
pub(crate) struct Feeder {
    pub(crate) writer: RecordingWriter,
    pub(crate) channels: usize,
    pub(crate) seq: u64,
    pub(crate) next: u64,
    tracker: GapTracker,
}

impl Feeder {
    pub(crate) fn new(options: RecordingOptions, channels: usize) -> Self {
        let writer = RecordingWriter::create(options, vec![counts_stream("eeg", channels)], ANCHOR).expect("created");
        Self { writer, channels, seq: 0, next: 0, tracker: GapTracker::new() }
    }

    pub(crate) fn feed(&mut self, batches: u32) {
        for _ in 0..batches {
            let header = header(self.seq, self.next, self.channels);
            if let Some(gap) = self.tracker.observe(&header) {
                self.writer.gap(0, &gap, header.timestamp_ns).expect("noted");
            }
            let samples = counts(self.next, BATCH, self.channels);
            self.writer.batch_counts(0, &header, &samples, header.timestamp_ns).expect("taken");
            self.seq += 1;
            self.next += u64::from(BATCH);
            self.writer.tick(header.timestamp_ns).expect("open");
        }
    }

    /// Lets the device lose samples.
    pub(crate) fn lose(&mut self, n: u64) {
        self.next += n;
    }

    pub(crate) fn finish(self) -> Finished {
        self.writer.finish().expect("closed")
    }
}

/// All batches of a stream of which none may be damaged.
pub(crate) fn all(batches: Batches) -> Vec<DecodedBatch> {
    batches.map(|batch| batch.expect("whole")).collect()
}

/// Frames in all batches, of which none may be missing in between.
pub(crate) fn unbroken(batches: &[DecodedBatch]) -> u64 {
    for pair in batches.windows(2) {
        assert_eq!(pair[0].end_index(), pair[1].first_index);
    }
    frames(batches)
}

/// Frames in all batches.
pub(crate) fn frames(batches: &[DecodedBatch]) -> u64 {
    batches.iter().map(|batch| u64::from(batch.n_frames)).sum()
}

/// Checks that a batch holds what was fed.
pub(crate) fn assert_as_fed(batch: &DecodedBatch, channels: usize) {
    let expected = counts(batch.first_index, batch.n_frames, channels);
    assert_eq!(batch.samples, Samples::Counts(expected), "batch at {}", batch.first_index);
}

pub(crate) fn open(path: &Path) -> Recording {
    Recording::open(path).expect("a recording")
}

pub(crate) fn gap(first_index: u64, n: u64, reason: wavedeck_recording::GapReason) -> Gap {
    Gap { first_index, n, reason }
}

/// Random numbers that are the same on every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit as u64) as usize
    }
}

/// Opcode, begin and end of the records outside chunks, up to the first that is not whole.
pub(crate) fn records(bytes: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 9) {
        let length = u64::from_le_bytes(head[1..].try_into().expect("eight bytes"));
        let Some(end) = usize::try_from(length).ok().and_then(|length| (at + 9).checked_add(length)) else { break };
        if end > bytes.len() || head[0] == 0 || head[0] > 15 {
            break;
        }
        found.push((head[0], at, end));
        at = end;
    }
    found
}

/// A closed recording of one stream with many chunks, a gap of 20 samples and a mark, and its bytes.
pub(crate) fn recorded(dir: &Path, batches: u32) -> (std::path::PathBuf, Vec<u8>) {
    let mut feeder = Feeder::new(options(dir), 4);
    feeder.feed(batches / 2);
    feeder.lose(20);
    let event = Event { label: "here".into(), stream: Some(0), index: Some(feeder.next), ..Event::default() };
    feeder.writer.event(&event, ANCHOR.monotonic_ns + 1_000_000_000).expect("noted");
    feeder.feed(batches / 2);
    let path = feeder.finish().path;
    let bytes = std::fs::read(&path).expect("readable");
    (path, bytes)
}

/// The report on a file, which must be whole.
pub(crate) fn assert_whole(path: &Path) -> wavedeck_recording::VerifyReport {
    let report = wavedeck_recording::verify(path).expect("readable");
    assert!(report.whole && report.closed, "{report}");
    report
}
