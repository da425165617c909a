//! Checking a recording finds every change and no fault where there is none.
mod common;

use std::fs;

use common::{
    ANCHOR, BATCH, Dice, Feeder, assert_as_fed, assert_whole, counts, counts_stream, gap, header, options,
    physical_stream, recorded, records,
};
use tempfile::tempdir;
use wavedeck_api::packet::PacketHeader;
use wavedeck_recording::{
    Event, GapReason, Recording, RecordingOptions, RecordingWriter, VerifyReport, verify, verify_with,
};

const CHUNK: u8 = 6;
const DATA_END: u8 = 15;

#[test]
fn a_recording_with_everything_in_it_is_whole() {
    let dir = tempdir().expect("a directory");
    for plain in [false, true] {
        let options = RecordingOptions { plain, ..options(dir.path()) };
        let streams = vec![counts_stream("eeg", 3), physical_stream("filtered", 2)];
        let mut writer = RecordingWriter::create(options, streams, ANCHOR).expect("created");
        let mut next = 500;
        for n in 0..200 {
            if n % 50 == 20 {
                let reason = if n == 20 { GapReason::Device } else { GapReason::Paused };
                for stream in 0..2 {
                    writer.gap(stream, &gap(next, 7, reason), header(n, next, 3).timestamp_ns).expect("noted");
                }
                next += 7;
            }
            let counted = header(n, next, 3);
            let samples = counts(next, BATCH, 3);
            writer.batch_counts(0, &counted, &samples, counted.timestamp_ns).expect("taken");
            let values: Vec<f32> = (0..BATCH * 2).map(|n| n as f32).collect();
            let physical = PacketHeader { channels: 2, ..counted };
            writer.batch_values(1, &physical, &values, counted.timestamp_ns).expect("taken");
            if n % 40 == 0 {
                let event = Event { label: "here".into(), stream: Some(0), index: Some(next), ..Event::default() };
                writer.event(&event, counted.timestamp_ns).expect("noted");
            }
            writer.tick(counted.timestamp_ns).expect("open");
            next += u64::from(BATCH);
        }
        let finished = writer.finish().expect("closed");

        let report = assert_whole(&finished.path);

        assert_eq!(report.streams, finished.ledger.streams);
        assert_eq!((report.lost, report.degraded), (14, true));
        assert!(report.to_string().contains("whole, degraded: 14 samples lost"), "{report}");
    }
}

#[test]
fn a_recording_of_nothing_is_whole() {
    let dir = tempdir().expect("a directory");

    let report = assert_whole(&Feeder::new(options(dir.path()), 2).finish().path);

    assert_eq!((report.streams[0].recorded, report.degraded), (0, false));
}

#[test]
fn an_unclosed_recording_is_a_fault_with_its_place() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(50);
    let path = feeder.writer.path().to_owned();
    drop(feeder);
    let bytes = fs::metadata(&path).expect("there").len();

    let report = verify(&path).expect("readable");

    assert_eq!((report.whole, report.closed, report.faults.count()), (false, false, 1), "{report}");
    assert_eq!(report.faults.listed[0].offset, bytes);
    assert!(report.to_string().contains("was not closed"), "{report}");
}

#[test]
fn three_hundred_changed_bits_are_all_noticed() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 300);

    let unseen = flip(&bytes, 300, 1);

    assert_eq!(unseen, Vec::<usize>::new(), "every byte of a closed file is under a checksum");
}

/// A file whose data have no checksum as a whole, as the writer closes it after a failure of the disk.
#[test]
fn without_the_checksum_of_all_data_only_what_describes_goes_unseen() {
    let dir = tempdir().expect("a directory");
    let (_, mut bytes) = recorded(dir.path(), 300);
    let records = records(&bytes);
    let (_, _, end) = records.iter().find(|(opcode, ..)| *opcode == DATA_END).expect("an end");
    bytes[end - 4..*end].fill(0);

    let unseen = flip(&bytes, 1000, 2);

    // Header and metadata records hold names and notes, no sample and no place. Of a zstd frame, the sizes in the first
    // bytes and the bits that fill up a block may change without changing what is unpacked.
    let kind = |at: usize| {
        let (opcode, begin, _) = records.iter().find(|(_, begin, end)| (*begin..*end).contains(&at)).expect("a record");
        (*opcode, at - begin)
    };
    let (in_chunks, described): (Vec<_>, Vec<_>) =
        unseen.iter().map(|at| kind(*at)).partition(|(opcode, _)| *opcode == CHUNK);
    println!("{} of 1000 changed bits went unseen in header and metadata records", described.len());
    println!(
        "{} of 1000 changed bits went unseen in zstd frames that unpack to the same: {in_chunks:?}",
        in_chunks.len()
    );
    assert!(described.iter().all(|(opcode, _)| matches!(opcode, 1 | 0x0c)), "{unseen:?}");
    assert!(in_chunks.iter().all(|(_, at)| *at >= 53), "{unseen:?}");
    assert!(unseen.len() < 20, "{unseen:?}");
}

/// Flips bits one at a time and gives the places where that went unseen; what is read is always right.
fn flip(bytes: &[u8], times: usize, seed: u64) -> Vec<usize> {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("changed.mcap");
    let mut dice = Dice(seed);
    let mut unseen = Vec::new();
    for _ in 0..times {
        let (at, bit) = (dice.below(bytes.len()), dice.below(8));
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << bit;
        fs::write(&path, &changed).expect("written");

        if let Ok(report) = verify(&path)
            && report.whole
        {
            unseen.push(at);
        }
        if let Ok(recording) = Recording::open(&path) {
            for batch in recording.batches(0, 0).into_iter().flatten().flatten() {
                assert_as_fed(&batch, 4);
            }
        }
    }
    unseen
}

#[test]
fn a_fault_in_a_chunk_names_its_place() {
    let dir = tempdir().expect("a directory");
    let (_, mut bytes) = recorded(dir.path(), 300);
    let chunks: Vec<_> = records(&bytes).into_iter().filter(|(opcode, ..)| *opcode == CHUNK).collect();
    bytes[chunks[9].2 - 30] ^= 4;
    let path = dir.path().join("changed.mcap");
    fs::write(&path, &bytes).expect("written");

    let report = verify(&path).expect("readable");

    let is_named = report.faults.listed.iter().any(|fault| fault.offset == chunks[9].1 as u64);
    assert!(is_named, "{report}");
    assert!(report.to_string().contains("in the damaged part"), "{report}");
    assert!(report.to_string().contains("the ledger says of stream `eeg`"), "{report}");
}

#[test]
fn samples_that_are_neither_stored_nor_missed_are_a_fault() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 2)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    for (n, first) in [0, 10, 25, 35].into_iter().enumerate() {
        let header = header(n as u64, first, 2);
        writer.batch_counts(0, &header, &counts(first, BATCH, 2), header.timestamp_ns).expect("taken");
    }
    let path = writer.finish().expect("closed").path;

    let report = verify(&path).expect("readable");

    let said = report.to_string();
    assert!(said.contains("samples 20 to 24 are neither stored nor noted as missing"), "{said}");
    assert!(said.contains("expected a batch or a gap at 20"), "{said}");
    assert!(said.contains("does not add up"), "{said}");
}

#[test]
fn a_mark_far_outside_its_stream_is_a_fault() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(10);
    let event = Event { label: "late".into(), stream: Some(0), index: Some(5000), ..Event::default() };
    feeder.writer.event(&event, ANCHOR.monotonic_ns).expect("noted");

    let report: VerifyReport = verify(feeder.finish().path).expect("readable");

    assert!(report.to_string().contains("mark `late` is at sample 5000"), "{report}");
}

#[test]
fn many_faults_are_counted() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 1)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    for n in 0..300 {
        let header = header(n, n * 15, 1);
        writer.batch_counts(0, &header, &counts(n * 15, BATCH, 1), header.timestamp_ns).expect("taken");
    }
    let path = writer.finish().expect("closed").path;

    let report = verify(&path).expect("readable");

    assert_eq!((report.faults.listed.len(), report.faults.count()), (100, 300));
    assert!(report.to_string().contains("and 200 more"));
}

#[test]
fn progress_goes_up_to_the_end() {
    let dir = tempdir().expect("a directory");
    let (path, bytes) = recorded(dir.path(), 100);
    let mut told = Vec::new();

    verify_with(&path, &mut |done, total| told.push((done, total))).expect("readable");

    assert!(told.is_sorted() && told.len() > 5);
    assert!(told.iter().all(|(done, total)| done <= total && *total == bytes.len() as u64));
}
