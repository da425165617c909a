//! Disks that fill up, fail or stand still, and what a recording makes of them.
use std::{
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use crossbeam::channel::{self, Receiver, Sender};
use tempfile::{TempDir, tempdir};
use wavedeck_api::{
    clock::Anchor,
    packet::PacketHeader,
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};

use super::RecordingWriter;
use crate::{
    commit::{Disk, Look},
    error::WriteError,
    gap::{Gap, GapReason},
    options::{Event, Finished, RecordingOptions, StreamInfo},
    reader::Recording,
};

const FRAMES: u32 = 100;

/// A real file with faults to order. Only what matters to the tests is shared.
struct FaultyDisk {
    file: File,
    faults: Arc<Faults>,
    written: u64,
    /// A file that takes up all the room there would be.
    spare: PathBuf,
    /// Where each write waits for leave; `None` to wait for nothing.
    gate: Option<Receiver<()>>,
}

#[derive(Default)]
struct Faults {
    /// Bytes the disk can hold; 0 for any number.
    capacity: AtomicU64,
    has_spare: AtomicBool,
    sync_fails: AtomicBool,
    syncs: AtomicU64,
}

impl Disk for FaultyDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(gate) = &self.gate {
            // A closed gate is an open one: the test is over.
            gate.recv().unwrap_or(());
        }
        let capacity = self.faults.capacity.load(SeqCst);
        let has_given_up = self.faults.has_spare.load(SeqCst) && !self.spare.exists();
        let room = if capacity == 0 || has_given_up { u64::MAX } else { capacity.saturating_sub(self.written) };
        let fitting = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.file.append(&bytes[..fitting])?;
        self.written += fitting as u64;
        if fitting == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, SeqCst);
        if self.faults.sync_fails.load(SeqCst) {
            return Err(io::Error::other("a bad sector"));
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.written = length;
        self.file.truncate(length)
    }

    fn look(&self) -> Option<Look> {
        self.file.look()
    }

    fn copy_to(&mut self, other: &mut File, length: u64) -> io::Result<()> {
        self.file.copy_to(other, length)
    }
}

/// A recording on a faulty disk.
struct Bench {
    /// Before the writer: a test that fails must not leave it waiting for the disk.
    leave: Option<Sender<()>>,
    dir: TempDir,
    writer: RecordingWriter,
    faults: Arc<Faults>,
    next: u64,
    /// Frames of a packet.
    frames: u32,
    /// The other end of `leave`.
    gate: Option<Receiver<()>>,
}

fn spec(channels: usize, rate_hz: u32) -> StreamSpec {
    StreamSpec {
        kind: SignalKind::Counts,
        channels: (1..=channels).map(|n| ChannelSpec::counts(format!("CH{n}"), "uV", 1.0)).collect(),
        rate: Rate::new(u64::from(rate_hz), 1).expect("positive"),
        max_batch: FRAMES,
        spectrum: None,
    }
}

fn options(dir: &Path) -> RecordingOptions {
    RecordingOptions { dir: dir.to_owned(), name: Some("run".into()), spare_bytes: 0, ..RecordingOptions::default() }
}

impl Bench {
    fn new(change: impl FnOnce(&mut RecordingOptions)) -> Self {
        Self::with(&spec(1, 1000), change, false)
    }

    /// On a disk that takes no more than the beginning until `leave` is dropped.
    fn standing_still(change: impl FnOnce(&mut RecordingOptions)) -> Self {
        Self::with(&spec(1, 1000), change, true)
    }

    fn with(spec: &StreamSpec, change: impl FnOnce(&mut RecordingOptions), stands_still: bool) -> Self {
        let dir = tempdir().expect("a directory");
        let faults = Arc::new(Faults::default());
        let stream = StreamInfo { name: "eeg".into(), spec: spec.clone(), device: String::new() };
        let anchor = Anchor { monotonic_ns: 0, unix_ns: 1 };
        let mut options = options(dir.path());
        change(&mut options);
        let shared = Arc::clone(&faults);
        faults.has_spare.store(options.spare_bytes > 0, SeqCst);
        let spare = dir.path().join("run.mcap.spare");
        let (leave, gate) = stands_still.then(channel::unbounded).unzip();
        if let Some(leave) = &leave {
            leave.send(()).expect("held by the disk");
        }
        let of_disk = gate.clone();
        let disk = move |file| -> Box<dyn Disk> {
            Box::new(FaultyDisk { file, faults: shared, written: 0, spare, gate: of_disk })
        };
        let writer = RecordingWriter::create_on(options, &[stream], anchor, disk).expect("created");
        Self { leave, dir, writer, faults, next: 0, frames: FRAMES, gate }
    }

    fn try_feed(&mut self) -> Result<(), WriteError> {
        let header = PacketHeader {
            first_sample: self.next,
            timestamp_ns: self.next * 1_000_000,
            batch_size: self.frames,
            channels: 1,
            ..PacketHeader::default()
        };
        // Hard to compress, so that bytes in are about bytes out.
        let samples: Vec<i32> = (0..self.frames).map(|n| noise(self.next + u64::from(n))).collect();
        self.writer.batch_counts(0, &header, &samples, header.timestamp_ns)?;
        self.next = header.end_sample();
        self.writer.tick(header.timestamp_ns)
    }

    fn feed_until_error(&mut self) -> WriteError {
        loop {
            if let Err(error) = self.try_feed() {
                return error;
            }
        }
    }
}

fn noise(index: u64) -> i32 {
    (index.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as i32
}

/// Frames of a recording, each of which must be as it was fed.
fn check_frames(path: &Path) -> u64 {
    let recording = Recording::open(path).expect("a recording");
    let mut frames = 0;
    for batch in recording.batches(0, 0).expect("the stream") {
        let batch = batch.expect("whole");
        let expected = (batch.first_index..batch.end_index()).map(noise).collect();
        assert_eq!(batch.samples, crate::Samples::Counts(expected));
        frames += u64::from(batch.n_frames);
    }
    assert_eq!(recording.ledger().streams[0].recorded, frames);
    frames
}

/// Lets `writer` write on until the disk has taken up its failure.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_keeps_every_chunk_before_and_the_file_is_closed() {
    let mut bench = Bench::new(|_| {});
    bench.faults.capacity.store(60_000, SeqCst);
    let error = bench.feed_until_error();
    assert!(matches!(error, WriteError::Failed { .. }), "{error}");
    let accepted = bench.writer.recorded(0);
    // Room for the end of the file, as a spare would give it.
    bench.faults.capacity.store(0, SeqCst);

    let Finished { path, ledger, bytes, .. } = bench.writer.finish().expect("closed");

    let recording = Recording::open(&path).expect("a recording");
    assert!(recording.is_closed());
    assert_eq!(bytes, recording.bytes());
    assert!(recording.ledger().failed.as_deref().is_some_and(|reason| reason.contains("cannot write")));
    let frames = check_frames(&path);
    assert_eq!(frames, ledger.streams[0].recorded);
    assert!(frames > 5000 && frames < accepted, "{frames} of {accepted}");
    assert_eq!(recording.recount().expect("whole").streams, ledger.streams);
}

#[test]
fn a_full_disk_keeps_all_that_was_accepted_when_there_is_spare_room() {
    let mut bench = Bench::new(|options| options.spare_bytes = 1 << 20);
    bench.faults.capacity.store(60_000, SeqCst);
    let error = bench.feed_until_error();
    assert!(matches!(error, WriteError::Failed { .. }), "{error}");
    let accepted = bench.writer.recorded(0);
    assert!(bench.writer.status().is_full() && !bench.writer.status().has_failed());

    let Finished { path, ledger, .. } = bench.writer.finish().expect("closed");

    let recording = Recording::open(&path).expect("a recording");
    assert!(recording.is_closed() && recording.ledger().is_degraded());
    assert!(ledger.failed.is_some_and(|reason| reason.contains("the disk is full")));
    assert_eq!(check_frames(&path), accepted);
    assert!(std::fs::read_dir(bench.dir.path()).expect("readable").count() == 1, "the spare room is given back");
}

#[test]
fn a_recording_that_is_removed_while_it_is_written_is_there_in_the_end() {
    let mut bench = Bench::new(|_| {});
    while bench.next < 20_000 {
        bench.try_feed().expect("taken");
    }
    std::fs::remove_dir_all(bench.dir.path()).expect("removed");
    bench.try_feed().expect("taken");
    let accepted = bench.writer.recorded(0);

    let finished = bench.writer.finish().expect("closed");

    assert_eq!(finished.path, bench.dir.path().join("run.mcap"));
    assert_eq!(check_frames(&finished.path), accepted);
}

#[test]
fn a_disk_that_stays_full_leaves_a_part_file_of_whole_chunks() {
    let mut bench = Bench::new(|_| {});
    bench.faults.capacity.store(60_000, SeqCst);
    bench.feed_until_error();
    bench.faults.capacity.store(60_001, SeqCst);
    let part = bench.writer.path().to_owned();

    let error = bench.writer.finish().expect_err("no room");

    let WriteError::NotClosed { path, kept_bytes, .. } = error else { panic!("{error}") };
    assert_eq!(path, part);
    assert_eq!(std::fs::metadata(&part).expect("there").len(), kept_bytes);
    assert!(check_frames(&part) > 5000);
}

#[test]
fn after_a_failed_sync_nothing_is_called_saved_and_the_disk_is_not_asked_again() {
    let mut bench = Bench::new(|options| options.sync_interval = Duration::ZERO);
    let status = bench.writer.status();
    bench.faults.sync_fails.store(true, SeqCst);
    let saved = status.saved_bytes();
    bench.feed_until_error();
    let syncs = bench.faults.syncs.load(SeqCst);

    let finished = bench.writer.finish().expect("closed");

    assert_eq!(bench.faults.syncs.load(SeqCst), syncs);
    assert_eq!((status.saved_bytes(), status.saved_samples(0)), (saved, 0));
    assert!(finished.ledger.failed.is_some_and(|reason| reason.contains("a bad sector")));
    check_frames(&finished.path);
}

#[test]
fn a_disk_that_stands_still_makes_packets_refused_and_memory_stay() {
    let mut bench = Bench::standing_still(|options| options.max_pending_bytes = 100_000);
    let status = bench.writer.status();

    let error = bench.feed_until_error();
    assert!(matches!(error, WriteError::Overflow { limit_bytes: 100_000, .. }), "{error}");
    assert!(status.pending_bytes() <= 110_000, "{}", status.pending_bytes());
    let lost_from = bench.next;
    for _ in 0..1000 {
        assert!(matches!(bench.try_feed(), Err(WriteError::Overflow { .. })));
        bench.writer.tick(bench.next * 1_000_000 + 3_600_000_000_000).expect("open");
    }
    assert!(status.pending_bytes() <= 110_000, "{}", status.pending_bytes());
    bench.leave = None;
    wait_until("the disk goes on", || status.pending_bytes() < 50_000);
    bench.next += 500;
    let gap = Gap { first_index: lost_from, n: 500, reason: GapReason::Overrun };
    bench.writer.gap(0, &gap, 0).expect("noted");
    bench.try_feed().expect("taken again");

    let finished = bench.writer.finish().expect("closed");

    let ledger = &finished.ledger.streams[0];
    assert_eq!((ledger.lost(), ledger.is_balanced()), (500, true));
    assert!(finished.ledger.is_degraded());
    assert_eq!(check_frames(&finished.path), ledger.recorded);
}

#[test]
fn writes_that_stand_still_for_350_milliseconds_lose_nothing_of_64_channels_at_30_khz() {
    const RATE_HZ: u64 = 30_000;
    const CHANNELS: usize = 64;
    const PACKET: u32 = 600;
    const STALL_PACKETS: u64 = 350 * RATE_HZ / 1000 / PACKET as u64 + 1;
    let stalls: u64 = if cfg!(miri) { 1 } else { 10 };
    let mut bench = Bench::with(&spec(CHANNELS, RATE_HZ as u32), |_| {}, true);
    let leave = bench.leave.take().expect("a gate");
    let status = bench.writer.status();

    let mut worst = 0;
    for packet in 0..stalls * STALL_PACKETS {
        let first_sample = packet * u64::from(PACKET);
        let header = PacketHeader {
            first_sample,
            timestamp_ns: first_sample * 1_000_000_000 / RATE_HZ,
            batch_size: PACKET,
            channels: CHANNELS as u16,
            ..PacketHeader::default()
        };
        let samples: Vec<i32> =
            (0..PACKET as usize * CHANNELS).map(|at| noise(first_sample + at as u64) >> 12).collect();
        bench.writer.batch_counts(0, &header, &samples, header.timestamp_ns).expect("taken, though nothing is written");
        bench.writer.tick(header.timestamp_ns).expect("open");
        worst = worst.max(status.pending_bytes());
        // So long every write has waited; then the disk takes all there is before it stands still again.
        if (packet + 1) % STALL_PACKETS == 0 {
            bench.writer.commit().expect("open");
            wait_until("the disk has caught up", || {
                leave.send(()).expect("held by the disk");
                status.pending_bytes() == 0
            });
            while bench.gate.as_ref().expect("a gate").try_recv().is_ok() {}
        }
    }
    drop(leave);

    let finished = bench.writer.finish().expect("closed");
    let ledger = &finished.ledger.streams[0];
    assert_eq!((ledger.recorded, ledger.lost()), (stalls * STALL_PACKETS * u64::from(PACKET), 0));
    let limit = options(bench.dir.path()).max_pending_bytes as u64;
    let stall_bytes = STALL_PACKETS * u64::from(PACKET) * CHANNELS as u64 * 4;
    assert!(worst > stall_bytes / 4 && worst < limit / 4, "at worst {worst} of {limit} bytes waited");
}

#[test]
fn small_packets_count_as_waiting_and_stay_when_others_are_refused() {
    let mut bench = Bench::standing_still(|options| options.max_pending_bytes = 3000);
    bench.frames = 9;
    let status = bench.writer.status();
    let waiting = status.pending_bytes();
    bench.try_feed().expect("taken");
    assert_eq!(status.pending_bytes() - waiting, 9 * 4);

    let error = bench.feed_until_error();

    assert!(matches!(error, WriteError::Overflow { limit_bytes: 3000, .. }), "{error}");
    let accepted = bench.writer.recorded(0);
    assert!(accepted > 100 && accepted == bench.next, "{accepted}");
    bench.leave = None;
    bench.writer.commit().expect("open");
    wait_until("the disk goes on", || status.pending_bytes() == 0);
    let gap = Gap { first_index: bench.next, n: 77, reason: GapReason::Overrun };
    bench.next += 77;
    bench.writer.gap(0, &gap, 0).expect("noted");
    bench.try_feed().expect("taken again");
    let finished = bench.writer.finish().expect("closed");
    let ledger = &finished.ledger.streams[0];
    assert_eq!((ledger.recorded, ledger.lost(), ledger.is_balanced()), (accepted + 9, 77, true));
    assert_eq!(check_frames(&finished.path), ledger.recorded);
    assert_eq!((status.pending_bytes(), status.saved_samples(0)), (0, ledger.recorded));
}

#[test]
fn saved_follows_written_when_the_disk_confirms() {
    let mut bench = Bench::standing_still(|options| options.sync_interval = Duration::ZERO);
    let status = bench.writer.status();
    for _ in 0..10 {
        bench.try_feed().expect("taken");
    }
    bench.writer.commit().expect("open");
    assert_eq!((status.saved_samples(0), status.saved_until_ns()), (0, 0));

    bench.leave = None;
    wait_until("all is saved", || status.saved_samples(0) == 1000);

    wait_until("the time follows", || status.saved_until_ns() == 1_000_000_000);
    wait_until("bytes agree", || status.saved_bytes() == status.accepted_bytes());
    assert_eq!(status.pending_bytes(), 0);
    drop(bench.writer);
}

#[test]
fn a_mark_is_saved_without_waiting_for_the_interval() {
    let mut bench = Bench::new(|options| options.sync_interval = Duration::from_secs(3600));
    let status = bench.writer.status();
    let before = status.syncs();
    bench.writer.event(&Event { label: "now".into(), ..Event::default() }, 1).expect("noted");

    bench.writer.tick(100_000_000).expect("open");

    wait_until("the mark is saved", || status.syncs() > before && status.saved_bytes() == status.accepted_bytes());
}

#[test]
fn a_storm_of_gaps_makes_no_more_than_ten_chunks_a_second() {
    let mut bench = Bench::new(|_| {});
    for n in 0..1000u64 {
        let gap = Gap { first_index: n * 2, n: 1, reason: GapReason::Device };
        bench.writer.gap(0, &gap, n * 1_000_000).expect("noted");
        bench.writer.tick(n * 1_000_000).expect("open");
    }

    let finished = bench.writer.finish().expect("closed");

    let recording = Recording::open(&finished.path).expect("a recording");
    assert!(recording.chunks().len() <= 12, "{} chunks", recording.chunks().len());
    assert_eq!(recording.gaps().expect("readable").len(), 1000);
    drop(bench.dir);
}
