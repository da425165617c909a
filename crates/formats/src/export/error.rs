//! Why an export did not happen, each with a cure.
use std::{io, path::PathBuf};

use crate::error::SourceError;

/// Why an export did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// The output exists already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The file has several streams and none was named.
    #[error("recording has several streams, name one of {available}")]
    WhichStream {
        /// The names there are.
        available: String,
    },
    /// No stream of that name.
    #[error("stream `{asked}` is not in this recording, which has {available}")]
    NoSuchStream {
        /// The name asked for.
        asked: String,
        /// The names there are.
        available: String,
    },
    /// A channel beyond those of the stream.
    #[error("channel number must be below {count}, got {channel}")]
    NoSuchChannel {
        /// The index asked for.
        channel: usize,
        /// Channels of the stream.
        count: usize,
    },
    /// A range that holds nothing.
    #[error("range must end after it begins, got {from_s} s to {to_s} s")]
    Range {
        /// Begin in seconds.
        from_s: f64,
        /// End in seconds.
        to_s: f64,
    },
    /// Counts were asked of a stream that has none.
    #[error("stream `{stream}` holds physical values, it has no counts")]
    NoCounts {
        /// Name of the stream.
        stream: String,
    },
    /// The format has no way to say it.
    #[error("{format} cannot hold this stream: {what}")]
    Unfit {
        /// The format.
        format: &'static str,
        /// What it cannot hold, and what would do.
        what: String,
    },
    /// The progress callback stopped it.
    #[error("export was stopped before its end")]
    Stopped,
    /// The output could not be written.
    #[error("cannot write {output}")]
    Io {
        /// Name of the output.
        output: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Samples could not be written.
    #[error("cannot write the samples")]
    Write(#[from] io::Error),
    /// A message could not be written.
    #[error("cannot write a message")]
    Mcap(#[from] mcap::McapError),
    /// A group of rows could not be written.
    #[cfg(feature = "parquet")]
    #[error("cannot write a group of rows")]
    Parquet(#[from] parquet::errors::ParquetError),
}

impl ExportError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Exists { .. } => Some("give another name, or --overwrite"),
            _ => None,
        }
    }
}
