//! Files of other programs, and our own exports, read back.
mod csv;
mod edf;
mod garbage;
mod hand;
#[path = "../made/mod.rs"]
mod made;
mod wav;

use std::path::{Path, PathBuf};

use tempfile::{TempDir, tempdir};
use wavedeck_formats::{Source, SourceError, open};
use wavedeck_recording::Samples;

/// A file in a directory of its own.
pub(crate) struct Kept {
    dir: TempDir,
    name: String,
}

impl Kept {
    pub(crate) fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let dir = tempdir().expect("a directory");
        std::fs::write(dir.path().join(name), bytes).expect("written");
        Self { dir, name: name.into() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    pub(crate) fn open(&self) -> Box<dyn Source> {
        open(&self.path()).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn refused(&self) -> String {
        let Err(error) = open(&self.path()) else { panic!("it opens") };
        without_dir(&error, self.dir.path())
    }
}

pub(crate) fn without_dir(error: &SourceError, dir: &Path) -> String {
    error.to_string().replace(&format!("{}/", dir.display()), "")
}

/// Index and values of each frame, read from `from_index` on.
pub(crate) fn frames_from(source: &dyn Source, stream: usize, from_index: u64) -> Vec<(u64, Vec<f64>)> {
    let spec = &source.streams()[stream].spec;
    let width = spec.channels.len();
    let mut frames = Vec::new();
    for block in source.blocks(stream, from_index).expect("a stream") {
        let block = block.unwrap_or_else(|error| panic!("{error}"));
        let values: Vec<f64> = match &block.samples {
            Samples::Counts(counts) => counts.iter().map(|count| f64::from(*count)).collect(),
            Samples::Values(values) => values.iter().map(|value| f64::from(*value)).collect(),
        };
        assert!(block.n_frames > 0 && block.n_frames <= spec.max_batch);
        assert_eq!(values.len(), block.n_frames as usize * width);
        let start_ns = source.about().start_unix_ns.unwrap_or(0);
        let first = source.streams()[stream].first_index;
        let origin = start_ns.saturating_sub(spec.rate.nanoseconds_at(if start_ns == 0 { 0 } else { first }));
        let t0_ns = origin + spec.rate.nanoseconds_at(block.first_index);
        assert!(block.t0_ns.abs_diff(t0_ns) <= 1, "{} {t0_ns}", block.t0_ns);
        frames.extend((block.first_index..).zip(values.chunks(width).map(<[f64]>::to_vec)));
    }
    frames
}

/// All frames; checks that reading from any of some places gives the same.
pub(crate) fn frames(source: &dyn Source, stream: usize) -> Vec<(u64, Vec<f64>)> {
    let all = frames_from(source, stream, 0);
    let SourceRange { first, end } = range(source, stream);
    assert_eq!((all.first().map(|frame| frame.0), all.last().map(|frame| frame.0 + 1)), (first, end));
    for step in 0..=7 {
        let Some(at) = all.get(all.len() * step / 7) else { continue };
        for from in [at.0, at.0 + 1, at.0.saturating_sub(1)] {
            let begin = all.partition_point(|(index, _)| *index < from);
            let found = frames_from(source, stream, from);
            let skip = found.partition_point(|(index, _)| *index < from);
            assert!(same(&found[skip..], &all[begin..]), "from {from}");
        }
    }
    all
}

fn same(one: &[(u64, Vec<f64>)], other: &[(u64, Vec<f64>)]) -> bool {
    let bits = |frame: &(u64, Vec<f64>)| (frame.0, frame.1.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    one.iter().map(bits).eq(other.iter().map(bits))
}

struct SourceRange {
    first: Option<u64>,
    end: Option<u64>,
}

fn range(source: &dyn Source, stream: usize) -> SourceRange {
    let stream = &source.streams()[stream];
    let some = |index| (stream.end_index > stream.first_index).then_some(index);
    SourceRange { first: some(stream.first_index), end: some(stream.end_index) }
}

/// First index and number of each missing run of a stream.
pub(crate) fn missing(source: &dyn Source, stream: usize) -> Vec<(u64, u64)> {
    let of_stream = source.missing().iter().filter(|run| run.stream == stream);
    of_stream.map(|run| (run.first_index, run.n)).collect()
}

/// Nanoseconds after the first sample, duration and text of each annotation.
pub(crate) fn marks(source: &dyn Source) -> Vec<(u64, Option<f64>, &str)> {
    let start_ns = source.about().start_unix_ns.unwrap_or(0);
    source
        .annotations()
        .iter()
        .map(|mark| (mark.time_ns.saturating_sub(start_ns), mark.duration_s, &*mark.label))
        .collect()
}

#[test]
fn a_file_of_no_known_kind_is_refused_by_what_it_looks_like() {
    let cases: [(&str, &[u8], &str); 5] = [
        ("a.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ("a.xdf", b"XDF:\x04\x0b", "an XDF file"),
        ("a.edf", b"1       ", "neither EDF nor BDF, whose first eight bytes say so"),
        ("a.md", b"# heading\n", "text of an unknown kind"),
        ("a", b"\0\x01\x02", "data of an unknown kind"),
    ];
    for (name, bytes, looks_like) in cases {
        let error = Kept::new(name, bytes).refused();
        assert!(error.starts_with(&format!("{name} looks like {looks_like}; what can be opened is ")), "{error}");
    }
}

#[test]
fn what_is_no_file_with_content_is_refused_as_ever() {
    let empty = Kept::new("a.edf", b"");
    assert_eq!(empty.refused(), "a.edf is empty");
    assert!(
        open(&empty.path().with_extension("bdf")).is_err_and(|error| error.to_string().ends_with("does not exist"))
    );
    assert!(open(empty.dir.path()).is_err_and(|error| error.to_string().contains("is a directory")));
    assert_eq!(Kept::new("a.mcap", b"x").refused(), "a.mcap is not an MCAP file");
}

#[test]
fn a_stream_that_is_not_there_is_refused() {
    let file = Kept::new("a.edf", hand::Edf::new("EDF+C").signal("x", 4).bytes());
    let source = file.open();
    let refused = source.blocks(1, 0).err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("stream number must be below 1, got 1"));
}
