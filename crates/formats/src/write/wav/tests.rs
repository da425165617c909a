use std::io::Cursor;

use wavedeck_api::signal::{SignalKind, StreamSpec};

use super::*;
use crate::{About, Extent, SourceStream};

/// Two channels of the counts given, with a gap of one frame after the first, and a mark.
fn written(counts: &[i32], largest: u64) -> Vec<u8> {
    let channels = [ChannelSpec::counts("a", "uV", 0.5), ChannelSpec::counts("b", "uV", 0.5)];
    let rate = Rate::new(100, 1).expect("positive");
    let (about, name) = (About::default(), String::from("eeg"));
    let kind = SignalKind::Counts;
    let spec = StreamSpec { kind, channels: channels.clone().into(), rate, max_batch: 10, spectrum: None };
    let stream = SourceStream { name, spec, device: String::new(), first_index: 5, end_index: 9 };
    let header = Header {
        about: &about,
        stream: &stream,
        channels: &channels,
        rate,
        counts: true,
        origin: 5,
        first_index: 5,
        start_ns: 0,
    };
    let ends = counts.iter().map(|count| f64::from(*count));
    let extent = Extent { min: ends.clone().fold(0.0, f64::min), max: ends.fold(0.0, f64::max) };
    let survey = Survey { extents: vec![extent; 2], ..Survey::default() };
    let mut out = Cursor::new(Vec::new());
    let mut sink = Wav { largest, ..Wav::new(&mut out, true) };
    let (first, rest) = counts.split_at(2);
    let frames = |first_index, counts| Frames { first_index, t0_ns: 0, values: Values::Counts(counts) };
    sink.begin(&header, Some(&survey)).expect("begun");
    sink.frames(&frames(5, first)).expect("taken");
    sink.gap(&Gap { first_index: 6, n: 1, reason: String::new() }).expect("noted");
    let label = "Größe".to_owned();
    sink.mark(&Mark { index: 7, row: 7, time_ns: 0, label, source: String::new(), duration_s: None }).expect("noted");
    sink.frames(&frames(7, rest)).expect("taken");
    sink.finish().expect("closed");
    out.into_inner()
}

/// The chunks of a file by name.
fn chunks(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = &file[12..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let name = String::from_utf8(rest[..4].to_vec()).expect("ASCII");
        let mut length = u32::from_le_bytes(rest[4..8].try_into().expect("four")) as usize;
        if length == u32::MAX as usize {
            let large: &(String, Vec<u8>) = &chunks[0];
            length = u64::from_le_bytes(large.1[8..16].try_into().expect("eight")) as usize;
        }
        chunks.push((name, rest[8..8 + length].to_vec()));
        rest = &rest[8 + length + length % 2..];
    }
    chunks
}

#[test]
fn small_counts_take_three_bytes_and_a_gap_is_zeros() {
    let file = written(&[1, -2, 3, -8_388_608], LARGEST);

    let chunks = chunks(&file);
    let names: Vec<&str> = chunks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["JUNK", "fmt ", "fact", "data", "cue ", "LIST"]);
    assert_eq!(u32::from_le_bytes(file[4..8].try_into().expect("four")) as usize, file.len() - 8);
    assert_eq!(chunks[3].1, [1, 0, 0, 0xfe, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0x80]);
    assert_eq!(chunks[4].1[8..12], 2u32.to_le_bytes());
    assert!(chunks[5].1.windows(8).any(|part| part == "Größe\0".as_bytes()), "{:?}", chunks[5].1);
}

#[test]
fn large_counts_take_four_bytes() {
    let file = written(&[1, -2, 3, 8_388_608], LARGEST);

    let data = &chunks(&file)[3].1;
    assert_eq!((data.len(), &data[20..]), (24, &8_388_608i32.to_le_bytes()[..]));
}

#[test]
fn a_file_too_large_for_wav_is_rf64() {
    let file = written(&[1, -2, 3, -4], 100);

    assert_eq!((&file[..4], &file[4..8], &file[12..16]), (&b"RF64"[..], &[0xff; 4][..], &b"ds64"[..]));
    let chunks = chunks(&file);
    let number = |at: usize| u64::from_le_bytes(chunks[0].1[at..at + 8].try_into().expect("eight"));
    assert_eq!((number(0), number(8), number(16)), (file.len() as u64 - 8, 18, 3));
    assert_eq!(chunks[3].1.len(), 18);
}
