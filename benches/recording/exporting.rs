//! Exports by the program itself, against a copy of the recording.
use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    measure::{Options, Way, in_turns},
    report::{Report, Row, Unit},
    setup::{self, EEG, Signal, WIDE},
};

/// Megabytes of samples per second, and how many times a board's pace that is.
pub(crate) fn to_files(options: &Options, report: &mut Report) {
    for (board, seconds) in [(WIDE, 12), (EEG, 45)] {
        let signal = Signal::of(board);
        let length = options.length(Duration::from_secs(seconds));
        let packets = Signal::packets_in(length);
        let length = Signal::due_after(packets - 1);
        let dir = tempfile::tempdir().expect("a folder");
        let recording = setup::recording(dir.path(), "exported", &signal, packets);
        let bytes = (packets * signal.packet_bytes()) as f64;
        let formats = ["csv", "bdf", "edf"];
        let mut ways: Vec<Way<'_, f64>> = Vec::new();
        for format in formats {
            let (from, to) = (recording.path.clone(), dir.path().join(format));
            ways.push(Box::new(move || export(&from, format, &to)));
        }
        ways.push(Box::new(|| copy(&recording.path, &dir.path().join("copy"))));
        let mut readings = in_turns(options.rounds().min(3), ways);
        let copies = readings.pop().expect("the last way");
        let speed = |seconds: &[f64]| seconds.iter().map(|seconds| bytes / seconds / 1e6).collect::<Vec<_>>();
        for (format, took) in formats.into_iter().zip(readings) {
            let name = format!("{}: export to {format}", board.name);
            let baseline = ("copy of the recording", speed(&copies));
            report.compare(&*name, Unit::MegabytesPerSecond, speed(&took), baseline, None);
            report.row(Row {
                name: format!("{name}, times real time"),
                unit: Unit::Times,
                ours: took.iter().map(|seconds| length.as_secs_f64() / seconds).collect(),
                baseline: None,
                target: None,
            });
        }
    }
}

/// Seconds that an export takes, from the start of the program to its end.
fn export(recording: &Path, format: &str, to: &Path) -> f64 {
    let begin = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavedeck"));
    command.arg("export").arg(recording).args(["--to", format, "--overwrite", "-o"]).arg(to);
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let took = begin.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(to).expect("written");
    took
}

/// Seconds that a copy takes until the disk has it, as an export does.
fn copy(from: &Path, to: &Path) -> f64 {
    let begin = Instant::now();
    let (mut from, mut copy) = (File::open(from).expect("there"), File::create(to).expect("a folder of ours"));
    // Through memory: some file systems only note that two files are alike.
    let mut bytes = vec![0; 1 << 20];
    loop {
        let count = io::Read::read(&mut from, &mut bytes).expect("readable");
        if count == 0 {
            break;
        }
        io::Write::write_all(&mut copy, &bytes[..count]).expect("room");
    }
    copy.sync_data().expect("a disk that works");
    begin.elapsed().as_secs_f64()
}
