//! What can go wrong with a file, each with a cure.
use std::{
    io,
    path::{Path, PathBuf},
};

use wavedeck_recording::ReadError;

/// Characters of a value that an error shows.
const SHOWN: usize = 60;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is a recording of this program, with something wrong.
    #[error(transparent)]
    Recording(#[from] ReadError),
    /// A file of no kind that can be opened.
    #[error("{} looks like {looks_like}; what can be opened is {}", path.display(), crate::source::READABLE)]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What its first bytes say it is.
        looks_like: &'static str,
    },
    /// Something in the file is not as its format wants it.
    #[error("{}: {place} must be {expected}, got `{found}`", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Field, line and column, or byte.
        place: String,
        /// What would be right.
        expected: String,
        /// What is there, shortened.
        found: String,
    },
    /// The file ends too early to hold anything.
    #[error("{} ends at byte {length} within {within}, which takes {needed} bytes", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// The part that is not whole.
        within: &'static str,
        /// Bytes of the file.
        length: u64,
        /// Bytes it must have at least.
        needed: u64,
    },
    /// A stream beyond those of the file.
    #[error("stream number must be below {count}, got {asked}")]
    NoSuchStream {
        /// The number asked for.
        asked: usize,
        /// Streams of the file.
        count: usize,
    },
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl SourceError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn bad(path: &Path, place: impl Into<String>, expected: impl Into<String>, found: &str) -> Self {
        let mut shown: String = found.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if shown.len() < found.len() && found.chars().nth(SHOWN).is_some() {
            shown.push_str("...");
        }
        Self::Bad { path: path.to_owned(), place: place.into(), expected: expected.into(), found: shown }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Recording(error) => error.hint(),
            Self::Unknown { .. } => Some("export it to one of these with the program that wrote it"),
            Self::Bad { .. } => Some("correct it there, or write the file anew with the program it is from"),
            Self::Cut { .. } => Some("copy the file again from where it was recorded"),
            Self::NoSuchStream { .. } | Self::Io { .. } => None,
        }
    }

    /// True if only a part of the file is lost and reading can go on behind it.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Recording(ReadError::Damaged { .. }))
    }
}
