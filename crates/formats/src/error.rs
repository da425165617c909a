//! What can go wrong with a file, each with a cure.
use wavedeck_recording::ReadError;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is a recording of this program, with something wrong.
    #[error(transparent)]
    Recording(#[from] ReadError),
}

impl SourceError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Recording(error) => error.hint(),
        }
    }

    /// True if only a part of the file is lost and reading can go on behind it.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Recording(ReadError::Damaged { .. }))
    }
}
