//! Recording at a board's pace and as fast as possible, against a plain file of the same samples.
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    measure::{Options, pair},
    proc,
    report::{Report, Row, Target, Unit},
    setup::{self, EEG, Signal, Tape, WIDE},
};

const BOARDS: [setup::Board; 2] = [WIDE, EEG];
/// How often a plain file is forced to the disk, as recordings are.
const SYNC: Duration = Duration::from_secs(1);

/// Percent of a core while a board is recorded, and how small the file gets.
pub(crate) fn at_pace(options: &Options, report: &mut Report) {
    let packets = Signal::packets_in(options.length(Duration::from_secs(6)));
    for board in BOARDS {
        let signal = Signal::of(board);
        let dir = tempfile::tempdir().expect("a folder");
        let mut ratios = Vec::new();
        let (ours, plain) = pair(
            options.rounds().min(3),
            || {
                let mut tape = Tape::begin(dir.path(), "paced", &signal);
                let used = percent_of_core(packets, |_| tape.feed());
                let finished = tape.finish();
                ratios.push((packets * signal.packet_bytes()) as f64 / finished.bytes as f64);
                std::fs::remove_file(&finished.path).expect("there");
                used
            },
            || {
                let mut file = PlainFile::create(&dir.path().join("plain"), &signal);
                percent_of_core(packets, |number| file.feed(number))
            },
        );
        let target = (board.rate_hz == WIDE.rate_hz).then_some(Target::AtMost(3.0));
        let name = format!("{}: recording, of a core", board.name);
        report.compare(name, Unit::PercentOfCore, ours, ("write and fdatasync", plain), target);
        report.row(Row {
            name: format!("{}: samples of 32 bits over file", board.name),
            unit: Unit::Times,
            ours: ratios,
            baseline: None,
            target: Some(Target::AtLeast(4.0)),
        });
    }
}

/// Part of a core that all threads use while packets come at their pace.
fn percent_of_core(packets: u64, mut feed: impl FnMut(u64)) -> f64 {
    let (began, cpu) = (Instant::now(), proc::cpu_time());
    for number in 0..packets {
        setup::wait_for_packet(began, number);
        feed(number);
    }
    (proc::cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0
}

/// Megabytes of samples per second when nobody keeps a pace.
pub(crate) fn as_fast_as_possible(options: &Options, report: &mut Report) {
    for board in BOARDS {
        let signal = Signal::of(board);
        // Of the board's time; it passes some ten to fifty times as fast.
        let seconds = if board.rate_hz == WIDE.rate_hz { 90 } else { 300 };
        let packets = Signal::packets_in(options.length(Duration::from_secs(seconds)));
        let dir = tempfile::tempdir().expect("a folder");
        let speed = |took: Duration| (packets * signal.packet_bytes()) as f64 / took.as_secs_f64() / 1e6;
        let (ours, plain) = pair(
            options.rounds().min(3),
            || {
                let begin = Instant::now();
                let finished = setup::recording(dir.path(), "fast", &signal, packets);
                let took = begin.elapsed();
                std::fs::remove_file(&finished.path).expect("there");
                speed(took)
            },
            || {
                let path = dir.path().join("plain");
                let begin = Instant::now();
                let mut file = PlainFile::create(&path, &signal);
                (0..packets).for_each(|number| file.feed(number));
                file.file.sync_data().expect("a disk that works");
                let took = begin.elapsed();
                std::fs::remove_file(&path).expect("there");
                speed(took)
            },
        );
        let name = format!("{}: samples recorded, nobody waits", board.name);
        report.compare(name, Unit::MegabytesPerSecond, ours, ("write and fdatasync", plain), None);
    }
}

/// The samples as they are, one after the other.
struct PlainFile<'a> {
    file: File,
    signal: &'a Signal,
    bytes: Vec<u8>,
    synced: Instant,
}

impl<'a> PlainFile<'a> {
    fn create(path: &Path, signal: &'a Signal) -> Self {
        let file = File::create(path).expect("a folder of ours");
        Self { file, signal, bytes: Vec::new(), synced: Instant::now() }
    }

    fn feed(&mut self, number: u64) {
        self.signal.raw_bytes(number, &mut self.bytes);
        self.file.write_all(&self.bytes).expect("room");
        if self.synced.elapsed() >= SYNC {
            self.file.sync_data().expect("a disk that works");
            self.synced = Instant::now();
        }
    }
}
