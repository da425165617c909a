//! What all readers give: the findings of the opening, and the samples behind them.
use std::{fs::File, os::unix::fs::FileExt, path::Path, sync::Arc};

use wavedeck_api::build::MAX_CHANNELS;

use crate::{
    error::SourceError,
    source::{About, Annotation, Blocks, MissingRun, Source, SourceStream},
};

/// Values of one block: a quarter of a megabyte.
pub(super) const BLOCK_VALUES: u64 = 1 << 16;

/// Most annotations that are kept of a file, and most bytes of their texts.
pub(super) const MOST_ANNOTATIONS: usize = 1_000_000;
pub(super) const MOST_TEXT: usize = 64 << 20;

/// What a file was found to hold when it was opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) about: About,
    pub(super) streams: Vec<SourceStream>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) missing: Vec<MissingRun>,
}

/// The samples of a file.
pub(super) trait Reader: Send + Sync {
    /// The samples of a stream that exists, as [`Source::blocks`].
    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError>;
}

/// A file of another program.
pub(super) struct Foreign {
    contents: Contents,
    reader: Box<dyn Reader>,
}

impl Foreign {
    pub(super) fn new(mut contents: Contents, reader: impl Reader + 'static) -> Self {
        contents.annotations.sort_by_key(|annotation| annotation.time_ns);
        contents.missing.sort_by_key(|run| {
            let rate = contents.streams.get(run.stream).map(|stream| stream.spec.rate);
            rate.map_or(0, |rate| rate.nanoseconds_at(run.first_index))
        });
        Self { contents, reader: Box::new(reader) }
    }
}

impl Source for Foreign {
    fn about(&self) -> &About {
        &self.contents.about
    }

    fn streams(&self) -> &[SourceStream] {
        &self.contents.streams
    }

    fn annotations(&self) -> &[Annotation] {
        &self.contents.annotations
    }

    fn missing(&self) -> &[MissingRun] {
        &self.contents.missing
    }

    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError> {
        if stream >= self.contents.streams.len() {
            return Err(SourceError::NoSuchStream { asked: stream, count: self.contents.streams.len() });
        }
        self.reader.blocks(stream, from_index)
    }
}

/// A file that several iterators read at once.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) file: Arc<File>,
    pub(super) path: Arc<Path>,
}

impl Shared {
    /// The file and its length in bytes.
    pub(super) fn open(path: &Path) -> Result<(Self, u64), SourceError> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (length, file) = opened.map_err(|source| SourceError::io("open", path, source))?;
        Ok((Self { file: Arc::new(file), path: path.into() }, length))
    }

    /// Fills `bytes` from the place `at`.
    pub(super) fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), SourceError> {
        self.file.read_exact_at(bytes, at).map_err(|source| SourceError::io("read", &self.path, source))
    }

    /// That something in the file is not as it must be.
    pub(super) fn bad(&self, place: impl Into<String>, expected: impl Into<String>, found: &str) -> SourceError {
        SourceError::bad(&self.path, place, expected, found)
    }
}

/// The numbers of channels, cut into as many as a stream can hold.
pub(super) fn stream_parts(channels: &[usize]) -> impl Iterator<Item = &[usize]> {
    channels.chunks(MAX_CHANNELS)
}

/// The name, with a number behind it if it is taken.
pub(super) fn free_name(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2u64..).map(|n| format!("{name}_{n}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}
