//! The table of a recording.
#[path = "../../recording/tests/common/mod.rs"]
mod common;

use std::{fs, ops::ControlFlow, path::Path};

use common::{ANCHOR, Feeder, count, counts_stream, header, options, physical_stream};
use tempfile::tempdir;
use wavedeck_api::packet::PacketHeader;
use wavedeck_formats::{ExportError, ExportOptions, ExportSummary, Format, Source, export_csv, export_file, open};
use wavedeck_recording::{Event, RecordingWriter};

fn recording_at(path: &Path) -> Box<dyn Source> {
    open(path).expect("a recording")
}

fn export_csv_file(
    source: &dyn Source,
    options: &ExportOptions,
    path: &Path,
    overwrite: bool,
) -> Result<ExportSummary, ExportError> {
    export_file(source, Format::Csv, options, path, overwrite, &mut |_| ControlFlow::Continue(()))
}

fn mark(writer: &mut RecordingWriter, label: &str, index: Option<u64>, at_ns: u64) {
    let stream = index.map(|_| 0);
    let event = Event { label: label.into(), stream, index, ..Event::default() };
    writer.event(&event, ANCHOR.monotonic_ns + at_ns).expect("noted");
}

/// Samples 100 to 199 and 230 to 279, two channels.
fn recorded(dir: &Path) -> Box<dyn Source> {
    let mut feeder = Feeder::new(options(dir), 2);
    feeder.next = 100;
    feeder.feed(10);
    mark(&mut feeder.writer, "start", Some(100), 0);
    mark(&mut feeder.writer, "a, \"b\"", Some(150), 0);
    mark(&mut feeder.writer, "twice", Some(150), 0);
    mark(&mut feeder.writer, "in the gap", Some(210), 0);
    // Sample 240 was taken at 960 ms.
    mark(&mut feeder.writer, "by time", None, 960_000_000);
    mark(&mut feeder.writer, "late", Some(9999), 0);
    feeder.lose(30);
    feeder.feed(5);
    recording_at(&feeder.finish().path)
}

fn table(recording: &dyn Source, options: &ExportOptions) -> (Vec<csv::StringRecord>, ExportSummary) {
    let mut out = Vec::new();
    let summary = export_csv(recording, options, &mut out, &mut |_| ControlFlow::Continue(())).expect("exported");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
    (reader.records().map(|row| row.expect("a row")).collect(), summary)
}

#[test]
fn a_row_is_a_sample_and_a_gap_is_a_jump() {
    let dir = tempdir().expect("a directory");

    let (rows, summary) = table(&*recorded(dir.path()), &ExportOptions::default());

    assert_eq!(rows[0], ["sample", "time_s", "CH1 [uV]", "CH2 [uV]", "marker"][..]);
    let samples: Vec<u64> = rows[1..].iter().map(|row| row[0].parse().expect("an index")).collect();
    assert_eq!(samples, (100..200).chain(230..280).collect::<Vec<_>>());
    for (row, index) in rows[1..].iter().zip(samples) {
        assert_eq!(row[1], format!("{}.{:03}000000", (index - 100) / 250, (index - 100) % 250 * 4));
        let value: f64 = row[2].parse().expect("a number");
        assert_eq!(value, f64::from(count(index, 0)) * 0.5);
        assert_eq!(row[3].parse::<f64>().expect("a number"), f64::from(count(index, 1)));
    }
    assert_eq!(summary, ExportSummary { rows: 150, gaps: 1, missing: 30, markers: 6, ..ExportSummary::default() });
}

#[test]
fn marks_stand_on_their_sample_or_the_next_one_there_is() {
    let dir = tempdir().expect("a directory");

    let (rows, _) = table(&*recorded(dir.path()), &ExportOptions::default());

    let marked: Vec<(&str, &str)> =
        rows[1..].iter().filter(|row| !row[4].is_empty()).map(|row| (&row[0], &row[4])).collect();
    let expected =
        [("100", "start"), ("150", "a, \"b\";twice"), ("230", "in the gap"), ("240", "by time"), ("279", "late")];
    assert_eq!(marked, expected);
}

#[test]
fn counts_are_whole_numbers_of_the_channels_wanted() {
    let dir = tempdir().expect("a directory");
    let options = ExportOptions { counts: true, channels: Some(vec![1]), ..ExportOptions::default() };

    let (rows, _) = table(&*recorded(dir.path()), &options);

    assert_eq!(rows[0], ["sample", "time_s", "CH2 [counts]", "marker"][..]);
    for row in &rows[1..] {
        let index = row[0].parse().expect("an index");
        assert_eq!(row[2], count(index, 1).to_string());
    }
}

#[test]
fn a_range_counts_from_the_first_sample_and_leaves_out_other_marks() {
    let dir = tempdir().expect("a directory");
    let options = ExportOptions { from_s: Some(0.2), to_s: Some(0.56), ..ExportOptions::default() };

    let (rows, summary) = table(&*recorded(dir.path()), &options);

    let samples: Vec<u64> = rows[1..].iter().map(|row| row[0].parse().expect("an index")).collect();
    assert_eq!(samples, (150..200).chain(230..240).collect::<Vec<_>>());
    assert_eq!(&rows[1][1], "0.200000000");
    let labels: Vec<_> = rows[1..].iter().map(|row| &row[4]).filter(|label| !label.is_empty()).collect();
    assert_eq!(labels, ["a, \"b\";twice", "in the gap"]);
    assert_eq!((summary.rows, summary.markers), (60, 3));
}

#[test]
fn physical_values_are_printed_as_short_as_they_read_back() {
    let dir = tempdir().expect("a directory");
    let values = [0.1f32, -2.0, 1e-7, f32::MAX, f32::NAN, f32::NEG_INFINITY, 16_777_216.0];
    let streams = vec![physical_stream("ecg", 1)];
    let mut writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    let header = PacketHeader { batch_size: 7, ..header(0, 0, 1) };
    writer.batch_values(0, &header, &values, 0).expect("taken");
    let recording = recording_at(&writer.finish().expect("closed").path);

    let (rows, _) = table(&*recording, &ExportOptions::default());

    let texts: Vec<_> = rows[1..].iter().map(|row| row[2].to_owned()).collect();
    assert_eq!(texts, ["0.1", "-2", "1e-7", "3.4028235e38", "NaN", "-inf", "16777216"]);
    let counts = ExportOptions { counts: true, ..ExportOptions::default() };
    let refused = export_csv(&*recording, &counts, &mut Vec::new(), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(ExportError::NoCounts { .. })));
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let dir = tempdir().expect("a directory");
    let streams = vec![counts_stream("eeg", 1), counts_stream("aux", 1)];
    let writer = RecordingWriter::create(options(dir.path()), streams, ANCHOR).expect("created");
    let recording = recording_at(&writer.finish().expect("closed").path);
    let refuse = |options: ExportOptions| {
        export_csv(&*recording, &options, &mut Vec::new(), &mut |_| ControlFlow::Continue(())).expect_err("refused")
    };

    let which = refuse(ExportOptions::default());
    let other = refuse(ExportOptions { stream: Some("x".into()), ..ExportOptions::default() });
    let eeg = ExportOptions { stream: Some("eeg".into()), ..ExportOptions::default() };
    let channel = refuse(ExportOptions { channels: Some(vec![3]), ..eeg.clone() });
    let ranges = [(2.0, 1.0), (1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::NAN)]
        .map(|(from_s, to_s)| refuse(ExportOptions { from_s: Some(from_s), to_s: Some(to_s), ..eeg.clone() }));

    assert_eq!(which.to_string(), "recording has several streams, name one of eeg, aux");
    assert!(other.to_string().contains("which has eeg, aux"), "{other}");
    assert_eq!(channel.to_string(), "channel number must be below 1, got 3");
    assert!(ranges.iter().all(|error| matches!(error, ExportError::Range { .. })), "{ranges:?}");
}

#[test]
fn a_file_appears_whole_and_replaces_nothing_unasked() {
    let dir = tempdir().expect("a directory");
    let recording = recorded(dir.path());
    let path = dir.path().join("table.csv");
    let options = ExportOptions::default();

    export_csv_file(&*recording, &options, &path, false).expect("exported");
    let first = fs::read(&path).expect("there");
    let again = export_csv_file(&*recording, &options, &path, false);
    fs::write(&path, "old").expect("written");
    export_csv_file(&*recording, &options, &path, true).expect("replaced");

    assert!(matches!(again, Err(ExportError::Exists { .. })));
    assert_eq!(fs::read(&path).expect("there"), first);
}

#[test]
fn a_failed_export_leaves_nothing_behind() {
    let dir = tempdir().expect("a directory");
    let recording = recorded(dir.path());
    let before = fs::read_dir(dir.path()).expect("readable").count();
    let options = ExportOptions { channels: Some(vec![9]), ..ExportOptions::default() };

    export_csv_file(&*recording, &options, &dir.path().join("table.csv"), false).expect_err("refused");

    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), before);
}

#[test]
fn an_export_that_is_stopped_leaves_nothing_behind() {
    let dir = tempdir().expect("a directory");
    let recording = recorded(dir.path());
    let before = fs::read_dir(dir.path()).expect("readable").count();
    for format in Format::ALL {
        let (path, options) = (dir.path().join("out"), ExportOptions::default());
        let mut told = Vec::new();
        let stopped = export_file(&*recording, *format, &options, &path, false, &mut |progress| {
            told.push(progress.done);
            if told.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });

        assert!(matches!(stopped, Err(ExportError::Stopped)), "{format:?}");
        assert!(told.len() == 3 && told.is_sorted() && told[0] > 0, "{format:?}: {told:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), before, "{format:?}");
    }
}

#[test]
fn damaged_parts_are_left_out_and_counted() {
    let dir = tempdir().expect("a directory");
    let mut feeder = Feeder::new(options(dir.path()), 2);
    feeder.feed(300);
    let path = feeder.finish().path;
    let mut bytes = fs::read(&path).expect("readable");
    // Chunks are zstd frames.
    let chunks = bytes.windows(4).enumerate().filter(|(_, four)| *four == b"\x28\xb5\x2f\xfd");
    let chunks: Vec<usize> = chunks.map(|(at, _)| at).collect();
    let middle = chunks[chunks.len() / 2] + 30;
    bytes[middle..middle + 8].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    let recording = recording_at(&path);

    for format in Format::ALL {
        let (out, go_on) = (dir.path().join("out"), &mut |_| ControlFlow::Continue(()));
        let summary =
            export_file(&*recording, *format, &ExportOptions::default(), &out, true, go_on).expect("exported");

        assert_eq!((summary.damaged_parts, summary.gaps), (1, 1), "{format:?}");
        assert!(summary.missing > 0 && summary.rows + summary.missing == 3000, "{format:?}: {summary:?}");
    }
}
