//! The emulated board as a host sees it: opened by its link with the serial port crate, read by our decoder.
use std::{
    io::{ErrorKind, Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serialport::SerialPort;
use wavedeck::emulate::{self, EmulateOptions, EmulateReport, Gap};
use wavedeck_stages::cyton::frame::{Arrival, Decoder, Layout, Row};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

struct Emulator {
    folder: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<EmulateReport>>,
}

impl Emulator {
    /// Runs an emulator in a folder of its own; `change` sets what differs from the defaults.
    fn run(change: impl FnOnce(&mut EmulateOptions)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = EmulateOptions::new(folder.path().join("cyton"));
        options.truth = Some(folder.path().join("truth.csv"));
        change(&mut options);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = std::thread::spawn(move || emulate::run(&options, &seen));
        Self { folder, stop, thread }
    }

    /// Opens the link, resets the board and returns its banner.
    fn open(&self) -> (Box<dyn SerialPort>, String) {
        let link = self.folder.path().join("cyton");
        wait_until(|| link.exists());
        let path = link.to_str().expect("a plain path");
        let port = serialport::new(path, 115_200).timeout(Duration::from_millis(50)).open();
        let mut port = port.expect("the link opens");
        port.write_all(b"v").expect("the board takes commands");
        let mut banner = String::new();
        wait_until(|| {
            let mut buffer = [0; 256];
            let count = port.read(&mut buffer).unwrap_or(0);
            banner.push_str(std::str::from_utf8(&buffer[..count]).expect("a plain banner"));
            banner.ends_with("$$$")
        });
        (port, banner)
    }

    fn end(self) -> (EmulateReport, tempfile::TempDir) {
        let report = self.thread.join().expect("no panic").expect("it runs");
        assert!(!self.folder.path().join("cyton").exists(), "the link is removed at the end");
        (report, self.folder)
    }
}

fn wait_until(mut is_reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_reached() {
        assert!(began.elapsed() < PATIENCE, "waited in vain");
        std::thread::yield_now();
    }
}

/// Every row until the device goes away, and the rows lost in between.
fn read_to_end(port: &mut dyn SerialPort, layout: Layout) -> (Vec<Row>, u64) {
    let began = Instant::now();
    let now_ns = || u64::try_from(began.elapsed().as_nanos()).expect("not for centuries");
    let mut decoder = Decoder::new(layout);
    let (mut rows, mut buffer, mut empty_ns) = (Vec::new(), [0; 4096], 0);
    loop {
        match port.read(&mut buffer) {
            Ok(count) => {
                let read_ns = now_ns();
                assert_eq!(decoder.push(&buffer[..count], Arrival { empty_ns, read_ns }), count);
                rows.extend(std::iter::from_fn(|| decoder.next_row()));
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(_) => break,
        }
        empty_ns = now_ns();
    }
    assert_eq!(decoder.discarded_bytes(), 0, "only whole frames are sent");
    (rows, decoder.lost_rows())
}

/// Index, counter and counts of every row of a truth file.
fn truth(folder: &Path) -> Vec<(u64, u8, Vec<i32>)> {
    let mut reader = csv::Reader::from_path(folder.join("truth.csv")).expect("a truth file");
    reader.deserialize().map(|row| row.expect("a row of numbers")).collect()
}

fn assert_same(rows: &[Row], layout: Layout, truth: &[(u64, u8, Vec<i32>)]) {
    assert_eq!(rows.len(), truth.len());
    for (row, (sample, _, counts)) in rows.iter().zip(truth) {
        assert_eq!(row.index, *sample);
        assert_eq!(&row.counts[..layout.channels()], &counts[..], "sample {sample}");
    }
}

#[test]
fn a_host_sees_exactly_what_the_truth_file_tells() {
    let emulator = Emulator::run(|options| {
        options.seconds = Some(4.0);
        options.gaps = vec![Gap { at: 100, frames: 7 }, Gap { at: 400, frames: 300 }, Gap { at: 800, frames: 1 }];
    });
    let (mut port, banner) = emulator.open();
    assert!(banner.starts_with("OpenBCI V3 8-16 channel\n"), "{banner}");
    port.write_all(b"b").expect("the board takes commands");

    let (rows, lost) = read_to_end(&mut *port, Layout::Cyton);

    let (report, folder) = emulator.end();
    assert_eq!((report.made, report.lost_in_gaps, report.streams), (1000, 308, 1));
    assert_eq!((report.sent, report.dropped, lost), (692, 0, 308));
    let truth = truth(folder.path());
    assert_same(&rows, Layout::Cyton, &truth);
    assert!(truth.iter().all(|(sample, counter, _)| *counter == *sample as u8));
    assert_eq!(rows.iter().filter(|row| row.aux.acceleration().is_some()).count(), 68);
}

#[test]
fn a_daisy_is_seen_in_pairs() {
    let emulator = Emulator::run(|options| {
        options.daisy = true;
        options.seconds = Some(2.0);
        options.gaps = vec![Gap { at: 101, frames: 1 }, Gap { at: 202, frames: 4 }];
    });
    let (mut port, banner) = emulator.open();
    assert!(banner.contains("On Daisy"), "{banner}");
    port.write_all(b"b").expect("the board takes commands");

    let (rows, lost) = read_to_end(&mut *port, Layout::Daisy);

    let (report, folder) = emulator.end();
    assert_eq!((report.made, report.sent), (500, 495));
    // 250 pairs, the first of them invalid, three of them broken by gaps.
    assert_eq!((rows.len(), lost), (246, 3));
    assert_same(&rows, Layout::Daisy, &truth(folder.path()));
}

#[test]
fn frames_that_the_host_does_not_read_are_dropped_whole_and_counted() {
    // Twenty times as fast, so that the terminal is full soon.
    let emulator = Emulator::run(|options| (options.rate_factor, options.seconds) = (20.0, Some(20.0)));
    let (mut port, _) = emulator.open();
    port.write_all(b"b").expect("the board takes commands");

    let (report, folder) = emulator.end();

    assert_eq!(report.made, 5000);
    assert!(report.dropped > 1000, "{report}");
    // One may have been cut off by the end.
    assert!(report.made - report.sent - report.dropped <= 1, "{report}");
    assert_eq!(truth(folder.path()).len() as u64, report.sent);
}

#[test]
fn a_stop_ends_the_emulator_while_it_streams() {
    let emulator = Emulator::run(|_| {});
    let (mut port, _) = emulator.open();
    port.write_all(b"b").expect("the board takes commands");
    let mut byte = [0];
    wait_until(|| port.read(&mut byte).is_ok());

    emulator.stop.store(true, Ordering::Relaxed);

    let (report, folder) = emulator.end();
    assert!(report.sent > 0);
    assert_eq!(truth(folder.path()).len() as u64, report.sent);
}

#[test]
fn a_second_stream_begins_at_zero_again() {
    let emulator = Emulator::run(|_| {});
    let (mut port, _) = emulator.open();
    for stream in 1..=2 {
        port.write_all(b"b").expect("the board takes commands");
        wait_until(|| truth(emulator.folder.path()).iter().filter(|row| row.0 == 5).count() == stream);
        port.write_all(b"s").expect("the board takes commands");
    }
    emulator.stop.store(true, Ordering::Relaxed);
    let (report, folder) = emulator.end();
    assert_eq!(report.streams, 2);
    assert_eq!(truth(folder.path()).iter().filter(|row| row.0 == 0).count(), 2);
}
