//! The one door: whatever holds streams of samples.
use std::path::{Path, PathBuf};

use wavedeck_api::signal::StreamSpec;
use wavedeck_recording::{DecodedBatch, Recording};

use crate::{error::SourceError, native::Native, read};

/// What [`open`] takes, for people.
pub(crate) const READABLE: &str = "a Wavedeck recording (.mcap), EDF, BDF, WAV, or a table in .csv, .tsv or .txt";

/// A file that holds streams of samples.
///
/// Indices count through missing samples, as in a recording: the place of a sample in time follows from its index and
/// the rate of its stream alone.
pub trait Source: Send + Sync {
    /// What the file says of itself.
    fn about(&self) -> &About;

    /// The streams; channels of one rate are one stream.
    fn streams(&self) -> &[SourceStream];

    /// Marks and annotations, in the order of time.
    fn annotations(&self) -> &[Annotation];

    /// Runs of samples that are missing, in the order of time.
    fn missing(&self) -> &[MissingRun];

    /// The samples of a stream in order, from the block that holds sample `from_index` or, if that is missing, the
    /// next. Each block holds frames without a gap between them; memory stays bounded whatever the length of the file.
    ///
    /// # Errors
    /// If the stream does not exist or cannot be read. An iterator that yields an error for which
    /// [`SourceError::can_go_on`] holds goes on behind the damage; after any other it ends.
    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError>;
}

/// The samples of a stream, block by block; owns what it needs.
pub type Blocks = Box<dyn Iterator<Item = Result<DecodedBatch, SourceError>> + Send>;

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The file.
    pub path: PathBuf,
    /// Name of the format, such as `EDF+C`.
    pub format: String,
    /// Unix time of the start; `None` if the file does not say.
    pub start_unix_ns: Option<u64>,
    /// Who or what was recorded.
    pub subject: String,
    /// Who recorded.
    pub operator: String,
    /// The session, or what else the format calls the recording.
    pub session: String,
    /// Anything else worth keeping.
    pub notes: String,
    /// The pipeline it was made with, if the file holds one.
    pub pipeline_json: Option<String>,
    /// What could not be kept or had to be guessed, for people; one sentence each.
    pub warnings: Vec<String>,
}

/// A stream of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceStream {
    /// Name, unique within the file.
    pub name: String,
    /// Kind (counts or physical values), channels and rate.
    pub spec: StreamSpec,
    /// What the samples came from.
    pub device: String,
    /// Index of the first sample.
    pub first_index: u64,
    /// Index after the last sample.
    pub end_index: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// What happened.
    pub label: String,
    /// Who or what said so; empty if the file does not say.
    pub source: String,
    /// When, on the clock of [`DecodedBatch::t0_ns`].
    pub time_ns: u64,
    /// The stream and the sample, if the file says so itself.
    pub sample: Option<(usize, u64)>,
    /// How long it lasted; `None` for a moment.
    pub duration_s: Option<f64>,
}

/// A run of samples that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRun {
    /// The stream.
    pub stream: usize,
    /// Index of the first missing sample.
    pub first_index: u64,
    /// Number of missing samples.
    pub n: u64,
    /// Why, in a word.
    pub reason: String,
}

/// Opens a file, which may be a recording of this program, EDF or BDF (with or without +), WAV or RF64, or a table as text:
/// CSV, TSV, what OpenBCI or OpenSignals write. What it is its content tells; for tables, which have no mark, the name.
///
/// # Errors
/// If there is no such file, it is of no kind known, or something in it is not as its kind wants it.
pub fn open(path: &Path) -> Result<Box<dyn Source>, SourceError> {
    match read::Kind::of(path)? {
        Some(kind) => read::open(path, kind),
        None => Ok(Box::new(Native::new(Recording::open(path)?)?)),
    }
}
