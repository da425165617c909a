//! Files that are no recordings, and recordings that cannot begin, are refused with a reason and a cure.
mod common;

use std::fs;

use common::{ANCHOR, counts_stream, options};
use tempfile::tempdir;
use wavedeck_api::signal::{SignalKind, SpectrumSpec};
use wavedeck_recording::{ReadError, Recording, RecordingOptions, RecordingWriter, WriteError};

#[test]
fn each_file_that_is_no_recording_is_told_from_the_others() {
    let dir = tempdir().expect("a directory");
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        path
    };
    let mut foreign = mcap::Writer::new(std::io::Cursor::new(Vec::new())).expect("in memory");
    foreign.finish().expect("in memory");
    let foreign = foreign.into_inner().into_inner();

    let errors = [
        dir.path().join("missing.mcap"),
        dir.path().to_owned(),
        write("empty.mcap", b""),
        write("text.mcap", b"sample,time_s\n0,0\n"),
        write("foreign.mcap", &foreign),
        write("begun.mcap.part", b"\x89MCA"),
        write("magic.mcap.part", b"\x89MCAP0\r\n"),
    ]
    .map(|path| Recording::open(path).expect_err("no recording"));

    assert!(matches!(errors[0], ReadError::Missing { .. }));
    assert!(matches!(errors[1], ReadError::Directory { .. }));
    assert!(matches!(errors[2], ReadError::Empty { .. }));
    assert!(matches!(errors[3], ReadError::NotMcap { .. }));
    assert!(matches!(errors[4], ReadError::Foreign { .. }));
    assert!(matches!(errors[5], ReadError::NothingWhole { .. }));
    assert!(matches!(errors[6], ReadError::NothingWhole { .. }));
    for error in &errors {
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_recording_of_a_newer_format_is_refused() {
    let dir = tempdir().expect("a directory");
    let mut file = mcap::Writer::new(std::io::Cursor::new(Vec::new())).expect("in memory");
    let metadata = [("start_unix_ns", "1"), ("format_version", "99")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    file.write_metadata(&mcap::records::Metadata { name: "recording".into(), metadata }).expect("in memory");
    file.finish().expect("in memory");
    let path = dir.path().join("newer.mcap");
    fs::write(&path, file.into_inner().into_inner()).expect("written");

    assert!(matches!(Recording::open(&path), Err(ReadError::Newer { version: 99, .. })));
}

#[test]
fn a_stream_that_cannot_be_stored_leaves_no_file() {
    let dir = tempdir().expect("a directory");
    let mut spectrum = counts_stream("psd", 1);
    spectrum.spec.kind = SignalKind::Spectrum;
    spectrum.spec.spectrum = Some(SpectrumSpec { bins: 5, bin_hz: 1.0, window: "hann" });

    for streams in [vec![spectrum], vec![counts_stream("a", 1), counts_stream("a", 2)], vec![counts_stream("", 1)]] {
        let refused = RecordingWriter::create(options(dir.path()), streams, ANCHOR);
        assert!(matches!(refused, Err(WriteError::Unsupported { .. })));
    }
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let dir = tempdir().expect("a directory");
    let options = RecordingOptions { name: Some("../other".into()), ..options(dir.path()) };

    let refused = RecordingWriter::create(options, vec![counts_stream("eeg", 1)], ANCHOR);

    assert!(matches!(refused, Err(WriteError::Name { .. })));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempdir().expect("a directory");
    fs::write(dir.path().join("file"), "").expect("written");
    let options = options(&dir.path().join("file"));

    let Err(error) = RecordingWriter::create(options, vec![counts_stream("eeg", 1)], ANCHOR) else {
        panic!("a file is no directory");
    };

    assert!(error.to_string().starts_with("cannot create directory"), "{error}");
}
