//! Recordings that were not closed: what is whole is kept and closed, what is not is told.
mod common;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use common::{BATCH, Dice, Feeder, all, assert_as_fed, assert_whole, frames, open, options, recorded, records};
use proptest::{prelude::*, test_runner::Config};
use tempfile::tempdir;
use wavedeck_recording::{
    DecodedBatch, Outcome, ReadError, Recording, RecordingInfo, RepairError, RepairOptions, Repaired, repair, verify,
};

const BATCHES: u32 = 300;
const CHUNK: u8 = 6;
const MESSAGE_INDEX: u8 = 7;
const DATA_END: u8 = 15;

fn mend(path: &Path) -> Repaired {
    repair(path, &RepairOptions::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn batches_of(path: &Path) -> Vec<DecodedBatch> {
    let batches = all(open(path).batches(0, 0).expect("the stream"));
    batches.iter().for_each(|batch| assert_as_fed(batch, 4));
    batches
}

/// Ends of the chunk records.
fn chunk_ends(bytes: &[u8]) -> Vec<usize> {
    records(bytes).into_iter().filter(|(opcode, ..)| *opcode == CHUNK).map(|(.., end)| end).collect()
}

/// Where the account begins that closes the file.
fn closing_start(bytes: &[u8]) -> usize {
    let records = records(bytes);
    records.iter().rfind(|(opcode, ..)| *opcode == MESSAGE_INDEX).expect("an index").2
}

fn part(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join("cut.mcap.part");
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn five_hundred_cuts_at_random_places_lose_no_whole_chunk() {
    let dir = tempdir().expect("a directory");
    let (whole, bytes) = recorded(dir.path(), BATCHES);
    let (ends, every) = (chunk_ends(&bytes), batches_of(&whole));
    let samples_up_to: Vec<usize> = ends
        .iter()
        .map(|end| {
            let path = part(dir.path(), &bytes[..*end]);
            Recording::open(&path).map_or(0, |cut| all(cut.batches(0, 0).expect("the stream")).len())
        })
        .collect();
    let mut dice = Dice(20_261_125);
    let mut repaired = 0;

    for _ in 0..500 {
        let cut = 8 + dice.below(bytes.len() - 8);
        let complete = ends.iter().filter(|end| **end <= cut).count();
        let path = part(dir.path(), &bytes[..cut]);

        if complete == 0 {
            assert!(Recording::open(&path).is_err());
            let error = repair(&path, &RepairOptions::default()).expect_err("nothing is whole");
            assert!(matches!(error, RepairError::Read(ReadError::NothingWhole { .. })), "{error}");
            assert_eq!(fs::metadata(&path).expect("left alone").len(), cut as u64);
            continue;
        }
        let wanted = &every[..samples_up_to[complete - 1]];
        assert_eq!(batches_of(&path), wanted, "open without repair, cut at {cut}");
        let done = mend(&path);

        assert_eq!((done.outcome, done.chunks as usize), (Outcome::Repaired, complete), "cut at {cut}");
        assert!(done.kept_bytes as usize <= cut && done.kept_bytes as usize >= ends[complete - 1]);
        assert_eq!(fs::read(&done.path).expect("there")[..ends[complete - 1]], bytes[..ends[complete - 1]]);
        assert_whole(&done.path);
        assert_eq!(batches_of(&done.path), wanted, "after repair, cut at {cut}");
        assert!(open(&done.path).is_closed() && !path.exists());
        fs::remove_file(&done.path).expect("removed");
        repaired += 1;
    }
    assert!(repaired > 400, "{repaired} repaired");
}

#[test]
fn a_repaired_file_tells_of_itself_and_what_was_cut() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let ends = chunk_ends(&bytes);
    let path = part(dir.path(), &bytes[..ends[20] - 100]);

    let done = mend(&path);

    assert_eq!(done.path, dir.path().join("cut.mcap"));
    let note = done.note.expect("a note");
    assert_eq!(note.cut_bytes + done.kept_bytes, (ends[20] - 100) as u64);
    let recording = open(&done.path);
    assert_eq!(recording.repair_note(), Some(note));
    assert_eq!(recording.pipeline_json().expect("the attachment"), r#"{"stages":[]}"#);
    assert_eq!(recording.about("operator"), Some("an operator"));
    assert!(recording.ledger().streams[0].is_balanced());
    assert_eq!(recording.ledger(), &recording.recount().expect("whole"));
    let info = RecordingInfo::of(&recording).expect("readable");
    assert!(info.to_string().contains("state      closed, repaired 20"), "{info}");
    assert!(info.to_string().contains(" bytes cut"), "{info}");
}

#[test]
fn a_second_repair_finds_nothing_to_do() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let done = mend(&part(dir.path(), &bytes[..bytes.len() / 2]));
    let before = fs::read(&done.path).expect("there");

    let again = mend(&done.path);

    assert_eq!((again.outcome, again.ledger), (Outcome::Closed, done.ledger));
    assert_eq!(fs::read(&done.path).expect("there"), before);
}

#[test]
fn a_closed_file_that_kept_its_part_name_is_only_renamed() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &bytes);
    fs::write(dir.path().join("cut.mcap"), "taken").expect("written");

    let done = mend(&path);

    assert_eq!((done.outcome, done.path), (Outcome::Renamed, dir.path().join("cut-2.mcap")));
    assert_eq!(fs::read(dir.path().join("cut-2.mcap")).expect("there"), bytes);
    assert_eq!(fs::read(dir.path().join("cut.mcap")).expect("there"), b"taken");
}

#[test]
fn a_file_under_both_names_loses_the_one_with_part() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &bytes);
    fs::hard_link(&path, dir.path().join("cut.mcap")).expect("linked");

    let done = mend(&path);

    assert_eq!(done.path, dir.path().join("cut.mcap"));
    assert!(!path.exists() && done.path.exists());
}

#[test]
fn a_recording_without_its_end_is_repaired_under_its_own_name() {
    let dir = tempdir().expect("a directory");
    let (path, bytes) = recorded(dir.path(), BATCHES);
    let inode = fs::metadata(&path).expect("there").ino();
    fs::OpenOptions::new().write(true).open(&path).expect("there").set_len(bytes.len() as u64 - 3).expect("cut");

    let done = mend(&path);

    assert_eq!((done.outcome, &done.path), (Outcome::Repaired, &path));
    assert_eq!(done.note.expect("a note").cut_bytes, 0, "the end that a writer made is no loss");
    assert_eq!(fs::metadata(&path).expect("there").ino(), inode, "never copied");
    assert_eq!(frames(&batches_of(&path)), u64::from(BATCHES * BATCH));
    assert_whole(&path);
}

#[test]
fn a_repair_that_was_killed_anywhere_in_its_end_is_finished_by_the_next() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let ends = chunk_ends(&bytes);
    // Behind the chunk and within its index, which the repair has to make anew.
    let done = mend(&part(dir.path(), &bytes[..ends[30] + 11]));
    let (kept, wanted) = (done.kept_bytes as usize, batches_of(&done.path));
    let first_note = done.note.expect("a note");
    let once = fs::read(&done.path).expect("there");
    fs::remove_file(&done.path).expect("removed");
    let closing = closing_start(&once);
    let mut dice = Dice(4);
    let cuts: Vec<usize> = (0..100).map(|_| kept + dice.below(once.len() - kept)).chain([kept, closing]).collect();

    for cut in cuts {
        let done = mend(&part(dir.path(), &once[..cut]));

        assert!((kept..=closing).contains(&(done.kept_bytes as usize)), "cut at {cut}");
        assert_eq!(batches_of(&done.path), wanted);
        assert_whole(&done.path);
        let note = done.note.expect("a note");
        // Once the first note is whole, what it says is kept.
        let noted_end = records(&once).iter().find(|(_, begin, _)| *begin == closing).expect("the note").2;
        if cut >= noted_end {
            assert_eq!(note.cut_bytes, first_note.cut_bytes, "cut at {cut}");
        }
        fs::remove_file(&done.path).expect("removed");
    }
}

#[test]
fn what_lies_behind_a_complete_end_is_cut() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &[&bytes[..], &[0; 5000]].concat());

    let done = mend(&path);

    assert_eq!(done.outcome, Outcome::Repaired);
    assert_whole(&done.path);
}

#[test]
fn zeros_behind_the_last_chunk_are_cut_as_after_a_power_loss() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let ends = chunk_ends(&bytes);
    for zeros in [1, 8, 9, 40, 4096, 3 << 20] {
        let done = mend(&part(dir.path(), &[&bytes[..ends[12]], &vec![0; zeros]].concat()));

        assert_eq!(done.chunks, 13, "{zeros} zeros");
        assert_eq!(done.note.expect("a note").cut_bytes, zeros as u64);
        assert_whole(&done.path);
        fs::remove_file(&done.path).expect("removed");
    }
}

#[test]
fn a_damaged_chunk_in_the_middle_is_passed_over_and_what_is_behind_it_is_kept() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let chunks: Vec<_> = records(&bytes).into_iter().filter(|(opcode, ..)| *opcode == CHUNK).collect();
    let (_, begin, end) = chunks[10];
    // In the samples, in the length (small, large, beyond the file) and in the type.
    for (at, bit) in [(end - 20, 4), (begin + 1, 0), (begin + 2, 3), (begin + 7, 7), (begin, 0), (begin, 7)] {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        let path = part(dir.path(), &changed[..chunks[20].2]);

        let done = mend(&path);

        let note = done.note.as_ref().expect("a note");
        assert_eq!((done.chunks, note.damaged_parts, note.cut_bytes), (20, 1, 0), "byte {at} bit {bit}: {note:?}");
        assert_eq!(note.damaged[0].offset, begin as u64);
        let batches = batches_of(&done.path);
        assert!(batches.windows(2).all(|pair| pair[0].end_index() <= pair[1].first_index));
        // Lost samples are told; the account adds up.
        let stored: u64 = frames(&batches);
        let ledger = &done.ledger.streams[0];
        assert!(ledger.is_balanced() && ledger.recorded == stored && ledger.lost() > 0, "{ledger:?}");
        let report = verify(&done.path).expect("readable");
        assert_eq!(report.streams, done.ledger.streams);
        assert!(!report.whole && report.faults.listed[0].offset == begin as u64, "{report}");
        let info = RecordingInfo::of(&open(&done.path)).expect("readable");
        assert!(info.degraded && info.to_string().contains("damaged parts left out: 1"), "{info}");
        assert_eq!(fs::read(&done.path).expect("there")[..chunks[20].2], changed[..chunks[20].2]);
        fs::remove_file(&done.path).expect("removed");
    }
}

#[test]
fn a_file_whose_streams_are_not_described_is_left_alone() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    let ends = chunk_ends(&bytes);
    let mut changed = bytes[..ends[20]].to_vec();
    changed[ends[0] - 20] ^= 1;
    let path = part(dir.path(), &changed);

    let error = repair(&path, &RepairOptions::default()).expect_err("not understood");

    assert!(matches!(error, RepairError::Undescribed { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("there"), changed);
}

#[test]
fn a_file_that_is_being_written_is_not_touched() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 4);
    feeder.feed(100);
    let path = feeder.writer.path().to_owned();

    let error = repair(&path, &RepairOptions::default()).expect_err("held");

    assert!(matches!(error, RepairError::Locked { .. }), "{error}");
    feeder.feed(100);
    let finished = feeder.finish();
    assert_eq!(assert_whole(&finished.path).streams[0].recorded, 2000);
}

#[test]
fn an_empty_file_is_not_even_locked() {
    let dir = tempdir().expect("a directory");
    let path = part(dir.path(), b"");

    let error = repair(&path, &RepairOptions::default()).expect_err("empty");

    assert!(matches!(error, RepairError::Read(ReadError::Empty { .. })), "{error}");
    assert_eq!(fs::metadata(&path).expect("left alone").len(), 0);
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = tempdir().expect("a directory");
    let mut foreign = b"\x89MCAP0\r\n".to_vec();
    foreign.extend([1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    foreign.extend([15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for bytes in [&foreign[..], b"RIFF", &[0; 100]] {
        let path = part(dir.path(), bytes);

        assert!(repair(&path, &RepairOptions::default()).is_err());

        assert_eq!(fs::read(&path).expect("there"), bytes);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &bytes[..bytes.len() / 2]);
    let spare = dir.path().join("cut.mcap.spare");
    fs::write(&spare, "room").expect("written");

    let done = repair(&path, &RepairOptions { dry_run: true }).expect("repairable");

    assert_eq!((done.outcome, &done.path), (Outcome::Repaired, &path));
    assert_eq!(fs::read(&path).expect("there"), bytes[..bytes.len() / 2]);
    assert!(spare.exists());
}

#[test]
fn the_spare_room_beside_a_recording_is_given_up() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &bytes[..bytes.len() / 2]);
    let spare = dir.path().join("cut.mcap.spare");
    fs::write(&spare, "room").expect("written");

    mend(&path);

    assert!(!spare.exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_nothing_changes() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let path = part(dir.path(), &bytes[..bytes.len() / 2]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("set");
    // Nothing is forbidden to the superuser.
    let is_forbidden = File::create(dir.path().join("new")).is_err();

    let result = repair(&path, &RepairOptions::default());

    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("set");
    if is_forbidden {
        let error = result.expect_err("forbidden");
        assert!(matches!(error, RepairError::Folder { .. }), "{error}");
        assert_eq!(fs::read(&path).expect("there"), bytes[..bytes.len() / 2]);
    } else {
        assert_whole(&result.expect("repaired").path);
    }
}

#[test]
fn of_two_repairs_at_once_one_does_it_and_the_other_says_so() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), BATCHES);
    for _ in 0..20 {
        let path = part(dir.path(), &bytes[..bytes.len() / 2]);

        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| repair(&path, &RepairOptions::default()))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });

        let did =
            |result: &&Result<Repaired, RepairError>| matches!(result, Ok(done) if done.outcome == Outcome::Repaired);
        assert_eq!(results.iter().filter(did).count(), 1, "{results:?}");
        for result in results.iter().filter(|result| !did(result)) {
            let is_told = match result {
                Ok(done) => done.outcome == Outcome::Gone,
                Err(error) => {
                    matches!(error, RepairError::Locked { .. } | RepairError::Read(ReadError::Missing { .. }))
                }
            };
            assert!(is_told, "{result:?}");
        }
        assert_whole(&dir.path().join("cut.mcap"));
        fs::remove_file(dir.path().join("cut.mcap")).expect("removed");
    }
}

#[test]
fn changed_and_random_bytes_never_make_a_repair_or_a_check_panic() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 60);
    let data_end = records(&bytes).into_iter().find(|(opcode, ..)| *opcode == DATA_END).expect("an end").1;
    let path = dir.path().join("changed.mcap.part");

    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20);
    proptest!(Config::with_cases(150), |(changes in changes, cut in any::<prop::sample::Index>(), is_cut in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>())| {
        let mut changed = bytes.clone();
        for (at, value) in changes {
            let at = at.index(changed.len());
            changed[at] = value;
        }
        let at = at.index(changed.len() - noise.len());
        changed[at..at + noise.len()].copy_from_slice(&noise);
        if is_cut {
            changed.truncate(cut.index(data_end).max(1));
        }
        fs::write(&path, &changed).expect("written");
        drop(verify(&path));
        drop(Recording::open(&path));
        if let Ok(done) = repair(&path, &RepairOptions::default()) {
            if let Ok(recording) = Recording::open(&done.path) {
                for batch in recording.batches(0, 0).into_iter().flatten().flatten() {
                    assert_as_fed(&batch, 4);
                }
            }
            drop(verify(&done.path));
            fs::remove_file(&done.path).expect("removed");
        }
    });
}

#[test]
fn records_that_claim_any_length_take_no_memory_and_no_time() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("noise.mcap.part");
    proptest!(Config::with_cases(200), |(opcode in 0..20u8, length in any::<u64>(), shift in 0..64u32,
        noise in prop::collection::vec(any::<u8>(), 0..2000))| {
        let mut bytes = b"\x89MCAP0\r\n".to_vec();
        bytes.push(opcode);
        bytes.extend((length >> shift).to_le_bytes());
        bytes.extend(&noise);
        fs::write(&path, &bytes).expect("written");

        prop_assert!(repair(&path, &RepairOptions::default()).is_err());
        prop_assert!(verify(&path).is_ok_and(|report| !report.whole));
        prop_assert_eq!(fs::read(&path).expect("left alone"), bytes);
    });
}

#[test]
fn pages_lost_in_a_power_cut_take_only_the_chunks_they_hold() {
    const PAGE: usize = 512;
    let dir = tempdir().expect("a directory");
    let (whole, bytes) = recorded(dir.path(), BATCHES);
    let every = batches_of(&whole);
    let chunks: Vec<(usize, usize)> = records(&bytes)
        .into_iter()
        .filter(|(opcode, ..)| *opcode == CHUNK)
        .map(|(_, begin, end)| (begin, end))
        .collect();
    let (pages, first) = (bytes.len() / PAGE, chunks[2].1 / PAGE + 1);
    let mut dice = Dice(77);

    for round in 0..200 {
        let mut changed = bytes[..bytes.len() - dice.below(bytes.len() / 3)].to_vec();
        for _ in 0..1 + dice.below(5) {
            let page = (first + dice.below(pages - first)) * PAGE;
            let end = (page + PAGE).min(changed.len());
            changed[page.min(end)..end].fill(0);
        }
        let is_kept = |(begin, end): &&(usize, usize)| changed.get(*begin..*end) == bytes.get(*begin..*end);
        let path = part(dir.path(), &changed);

        let done = mend(&path);

        assert_eq!(done.chunks as usize, chunks.iter().filter(is_kept).count(), "round {round}");
        assert!(done.ledger.streams[0].is_balanced(), "round {round}: {:?}", done.ledger);
        let kept = batches_of(&done.path);
        assert!(kept.iter().all(|batch| every.contains(batch)), "round {round}");
        assert!(kept.is_sorted_by_key(|batch| batch.first_index), "round {round}");
        assert_eq!(frames(&kept), done.ledger.streams[0].recorded);
        fs::remove_file(&done.path).expect("removed");
    }
}

#[test]
fn a_file_full_of_false_chunks_is_done_with_in_no_time() {
    let dir = tempdir().expect("a directory");
    let (_, bytes) = recorded(dir.path(), 50);
    let mut changed = bytes[..chunk_ends(&bytes)[2]].to_vec();
    let end = 2 << 20;
    while changed.len() < end {
        let length = (end - changed.len()) as u64;
        changed.push(CHUNK);
        changed.extend((length + 44).to_le_bytes());
        changed.extend([0; 16]);
        changed.extend(1000u64.to_le_bytes());
        changed.extend([1, 2, 3, 4, 4, 0, 0, 0]);
        changed.extend(b"zstd");
        changed.extend(length.to_le_bytes());
    }
    changed.extend([0; 64]);

    let done = mend(&part(dir.path(), &changed));

    assert_eq!(done.chunks, 3);
    assert_whole(&done.path);
}
