//! Why a recording could not be repaired.
use std::{io, path::PathBuf};

use crate::error::{ReadError, WriteError};

/// Why a recording could not be repaired. What is whole of it stays readable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// It is no recording, or nothing of it is whole.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another process writes or repairs it.
    #[error("{} is being written by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// Nobody can know whether it is being written.
    #[error("{} is on a file system without locks, so it may be in use", path.display())]
    NoLocks {
        /// The file.
        path: PathBuf,
    },
    /// The chunk that describes the streams is damaged.
    #[error("{} cannot be understood: the chunk at byte {offset}, which describes its streams, is damaged", path.display())]
    Undescribed {
        /// The file.
        path: PathBuf,
        /// Where the damage is.
        offset: u64,
    },
    /// The folder does not let the file be renamed.
    #[error("folder {} must be writable for a repair", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// No room for the end of the file.
    #[error("{} needs {bytes} more bytes on its disk", path.display())]
    NoRoom {
        /// The file, unchanged.
        path: PathBuf,
        /// What its end takes.
        bytes: u64,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is closed but keeps its name.
    #[error("{} is whole now, but cannot get its final name", path.display())]
    Publish {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: WriteError,
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
    /// A value that JSON cannot hold.
    #[error("cannot encode the account")]
    Encode {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl RepairError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Locked { .. } => Some("wait for it, or end the program that holds it"),
            Self::NoLocks { .. } => Some("copy it to a local disk and repair the copy"),
            Self::Undescribed { .. } => Some("copy the file from its backup"),
            Self::Folder { .. } => Some("allow it, or copy the file elsewhere and repair the copy"),
            Self::NoRoom { .. } => Some("free space and repair again"),
            Self::Publish { .. } => Some("it can be read as it is; repair again to rename it"),
            Self::Io { .. } | Self::Encode { .. } => None,
        }
    }
}
