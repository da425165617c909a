//! Files that were cut or changed: what is whole is read, what is not is noticed.
mod common;

use std::fs;

use common::{BATCH, Feeder, all, assert_as_fed, frames, open, options, unbroken};
use proptest::{prelude::*, test_runner::Config};
use tempfile::{TempDir, tempdir};
use wavedeck_recording::{ReadError, Recording};

const BATCHES: u32 = 300;

/// The bytes of a closed recording of many chunks.
fn recorded() -> (TempDir, Vec<u8>) {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 4);
    feeder.feed(BATCHES / 2);
    feeder.lose(20);
    feeder.feed(BATCHES / 2);
    let bytes = fs::read(feeder.finish().path).expect("readable");
    (dir, bytes)
}

/// Ends of all complete chunk records.
fn chunk_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 9) {
        let length = u64::from_le_bytes(head[1..].try_into().expect("eight bytes")) as usize;
        at += 9 + length;
        if head[0] == 6 {
            ends.push(at);
        }
        if head[0] == 15 {
            break;
        }
    }
    ends
}

#[test]
fn a_dropped_recording_is_whole_but_not_closed() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 4);
    feeder.feed(77);
    let part = feeder.writer.path().to_owned();

    drop(feeder);

    let recording = open(&part);
    assert!(!recording.is_closed());
    assert_eq!(recording.good_bytes(), recording.bytes());
    assert_eq!(unbroken(&all(recording.batches(0, 0).expect("the stream"))), 770);
    assert_eq!(recording.ledger().streams[0].recorded, 770);
}

#[test]
fn a_recording_can_be_read_while_it_is_written() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 4);
    feeder.feed(100);

    let recording = open(feeder.writer.path());

    all(recording.batches(0, 0).expect("the stream")).iter().for_each(|batch| assert_as_fed(batch, 4));
}

#[test]
fn a_cut_anywhere_keeps_every_complete_chunk() {
    let (dir, bytes) = recorded();
    let ends = chunk_ends(&bytes);
    assert!(ends.len() > 20, "{} chunks", ends.len());
    let path = dir.path().join("cut.mcap.part");
    let whole = open(&dir.path().join("run.mcap"));
    let batches_of = |recording: &Recording| all(recording.batches(0, 0).expect("the stream"));
    let all_batches = batches_of(&whole);

    proptest!(Config::with_cases(150), |(cut in 8..bytes.len())| {
        fs::write(&path, &bytes[..cut]).expect("written");
        let complete = ends.iter().filter(|end| **end <= cut).count();

        match Recording::open(&path) {
            Ok(recording) => {
                prop_assert!(!recording.is_closed());
                let batches = batches_of(&recording);
                prop_assert_eq!(&batches[..], &all_batches[..batches.len()]);
                let of_chunks = all_batches.len() * complete / ends.len();
                // Chunks hold about as many batches each; the first holds none.
                prop_assert!(batches.len() + 40 >= of_chunks, "{} of {}", batches.len(), of_chunks);
            }
            Err(error) => prop_assert!(complete == 0, "{error} with {complete} chunks"),
        }
    });
}

#[test]
fn a_cut_after_each_chunk_gives_exactly_the_samples_up_to_there() {
    let (dir, bytes) = recorded();
    let path = dir.path().join("cut.mcap.part");
    let mut before = 0;
    for end in chunk_ends(&bytes) {
        fs::write(&path, &bytes[..end]).expect("written");
        let at_end = frames(&all(open(&path).batches(0, 0).expect("the stream")));
        fs::write(&path, &bytes[..end - 1]).expect("written");

        let one_byte_less = Recording::open(&path).map(|cut| frames(&all(cut.batches(0, 0).expect("the stream"))));

        assert_eq!(one_byte_less.unwrap_or(0), before, "at {end}");
        before = at_end;
    }
    assert_eq!(before, u64::from(BATCHES * BATCH));
}

#[test]
fn a_changed_bit_is_never_read_as_a_sample() {
    let (dir, bytes) = recorded();
    let path = dir.path().join("changed.mcap");
    let ends = chunk_ends(&bytes);
    let (first, last) = (ends[0], ends[ends.len() - 1]);

    proptest!(Config::with_cases(150), |(at in first..last, bit in 0..8u8)| {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        fs::write(&path, &changed).expect("written");

        if let Ok(recording) = Recording::open(&path) {
            for batch in recording.batches(0, 0).expect("the stream").flatten() {
                assert_as_fed(&batch, 4);
            }
        }
    });
}

#[test]
fn a_damaged_chunk_is_an_error_and_those_behind_it_are_read() {
    let (dir, mut bytes) = recorded();
    let ends = chunk_ends(&bytes);
    bytes[ends[9] - 20] ^= 0x10;
    let path = dir.path().join("changed.mcap");
    fs::write(&path, &bytes).expect("written");
    let recording = open(&path);

    let results: Vec<_> = recording.batches(0, 0).expect("the stream").collect();

    let bad: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(matches!(bad[..], [ReadError::Damaged { .. }]), "{bad:?}");
    let last = results.last().expect("batches").as_ref().expect("whole");
    assert_eq!(last.end_index(), u64::from(BATCHES * BATCH) + 20);
    assert!(recording.recount().is_err());
}

#[test]
fn a_damaged_chunk_of_an_unclosed_file_is_counted() {
    let (dir, mut bytes) = recorded();
    let ends = chunk_ends(&bytes);
    bytes[ends[9] - 20] ^= 0x10;
    let path = dir.path().join("changed.mcap.part");
    fs::write(&path, &bytes[..ends[20]]).expect("written");

    let recording = open(&path);

    assert_eq!(recording.damaged().len(), 1);
    assert!(recording.batches(0, 0).expect("the stream").all(|batch| batch.is_ok()));
}

#[test]
fn a_file_with_a_changed_summary_is_read_in_full() {
    let (dir, mut bytes) = recorded();
    let summary = chunk_ends(&bytes).last().copied().expect("chunks") + 2500;
    bytes[summary] ^= 1;
    let path = dir.path().join("changed.mcap");
    fs::write(&path, &bytes).expect("written");

    let recording = open(&path);

    assert!(!recording.is_closed());
    assert_eq!(frames(&all(recording.batches(0, 0).expect("the stream"))), u64::from(BATCHES * BATCH));
    assert_eq!(recording.ledger().streams[0].lost(), 20);
}

#[test]
fn random_bytes_behind_the_magic_do_no_harm() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("noise.mcap");

    proptest!(Config::with_cases(200), |(noise in prop::collection::vec(any::<u8>(), 0..400), opcode in 0..20u8)| {
        let mut bytes = b"\x89MCAP0\r\n".to_vec();
        bytes.push(opcode);
        bytes.extend((noise.len() as u64 / 2).to_le_bytes());
        bytes.extend(&noise);
        fs::write(&path, &bytes).expect("written");

        prop_assert!(Recording::open(&path).is_err());
    });
}
