//! What can go wrong with a file, each with a cure.
use std::{io, path::PathBuf};

use wavedeck_recording::ReadError;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is a recording of this program, with something wrong.
    #[error(transparent)]
    Recording(#[from] ReadError),
    /// The system refused.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The content is not what the format says.
    #[error("{} {place}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it: `line 12, column 3`, `header byte 236`, `record 4`.
        place: String,
        /// What stands there and what would be right.
        what: String,
    },
    /// Nothing tells what the file is.
    #[error("{} is of no known format", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// No stream of that number.
    #[error("stream number must be below {count}, got {stream}")]
    NoSuchStream {
        /// The number asked for.
        stream: usize,
        /// Number of streams.
        count: usize,
    },
}

impl SourceError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Recording(error) => error.hint(),
            Self::Unknown { .. } => {
                Some("known are recordings (.mcap), tables (.csv, .tsv, .txt), EDF, EDF+, BDF, BDF+ and WAV")
            }
            _ => None,
        }
    }

    /// True if only a part of the file is lost and reading can go on behind it.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Recording(ReadError::Damaged { .. }))
    }
}
