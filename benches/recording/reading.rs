//! Opening a large recording and jumping about in it.
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use wavedeck_recording::Recording;

use crate::{
    measure::{Options, pair, percentiles},
    report::{Report, Row, Unit},
    setup::{Signal, Tape, WIDE},
};

/// Bytes of a chunk of the file, about; what a plain read at a random place reads.
const PIECE: usize = 256 << 10;

/// The time to open a recording of 2 GB (200 MB when it must be quick), and to read the batch of a random sample.
pub(crate) fn open_and_seek(options: &Options, report: &mut Report) {
    let length = match (options.is_measuring(), options.rounds()) {
        (false, _) => 4_000_000,
        (true, rounds) if rounds < 5 => 200_000_000,
        _ => 2_000_000_000,
    };
    let signal = Signal::of(WIDE);
    let dir = tempfile::tempdir().expect("a folder");
    let mut tape = Tape::begin(dir.path(), "large", &signal);
    let part = dir.path().join("large.mcap.part");
    while fs::metadata(&part).expect("there").len() < length {
        (0..100).for_each(|_| tape.feed());
    }
    let finished = tape.finish();
    let frames = finished.ledger.streams[0].recorded;

    let looks = if options.is_measuring() { 200 } else { 3 };
    let mut dice = Dice(1);
    let size = format!("{:.1} GB", finished.bytes as f64 / 1e9);
    let opens: Vec<Vec<u64>> = (0..options.rounds())
        .map(|_| {
            (0..looks / 4 + 1).map(|_| timed(|| drop(Recording::open(&finished.path).expect("a recording")))).collect()
        })
        .collect();
    let recording = Recording::open(&finished.path).expect("a recording");
    let file = File::open(&finished.path).expect("there");
    let mut places = Dice(2);
    let (seeks, reads) = pair(
        options.rounds(),
        || -> Vec<u64> {
            let seek = |index| {
                let mut batches = recording.batches(0, index).expect("the stream");
                let batch = batches.next().expect("a batch").expect("whole");
                assert!((batch.first_index..batch.end_index()).contains(&index));
            };
            (0..looks).map(|_| dice.below(frames)).map(|index| timed(|| seek(index))).collect()
        },
        || -> Vec<u64> {
            let mut bytes = vec![0; PIECE];
            let room = finished.bytes - PIECE as u64;
            let mut read = |at| file.read_exact_at(&mut bytes, at).expect("readable");
            (0..looks).map(|_| places.below(room)).map(|at| timed(|| read(at))).collect()
        },
    );
    for (part, name) in [(0.5, "p50"), (0.99, "p99")] {
        report.row(Row {
            name: format!("{size}: open, {name}"),
            unit: Unit::Nanoseconds,
            ours: percentiles(&opens, part),
            baseline: None,
            target: None,
        });
        let (seeks, reads) = (percentiles(&seeks, part), percentiles(&reads, part));
        let name = format!("{size}: batch of a random sample, {name}");
        report.compare(name, Unit::Nanoseconds, seeks, ("read of 256 KB", reads), None);
    }
}

fn timed(run: impl FnOnce()) -> u64 {
    let begin = Instant::now();
    run();
    u64::try_from(begin.elapsed().max(Duration::from_nanos(1)).as_nanos()).unwrap_or(u64::MAX)
}

/// Random numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % limit
    }
}
