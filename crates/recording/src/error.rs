//! What can go wrong with a recording, each with a cure.
use std::{error::Error, io, path::PathBuf};

/// The error and its causes, in one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The error, its causes and what a person can do about it, in one line.
pub fn with_hint(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = with_causes(error);
    if let Some(hint) = hint {
        text.push_str("; ");
        text.push_str(hint);
    }
    text
}

/// Why a recording could not take what it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream cannot be stored.
    #[error("stream `{stream}` cannot be recorded: {why}")]
    Unsupported {
        /// Name of the stream.
        stream: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name is not usable as a file name.
    #[error("recording name `{name}` must be a plain file name without `/`, got {why}")]
    Name {
        /// The name asked for.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An index beyond the streams of this recording.
    #[error("stream number must be below {count}, got {stream}")]
    NoSuchStream {
        /// The index asked for.
        stream: usize,
        /// Number of streams.
        count: usize,
    },
    /// The packet does not have the form its stream was declared with.
    #[error("packet of stream `{stream}` must hold {expected}, got {got}")]
    Shape {
        /// Name of the stream.
        stream: String,
        /// What was declared.
        expected: String,
        /// What came.
        got: String,
    },
    /// The packet lies before the end of the last one; indices only rise within a recording.
    #[error("packet of stream `{stream}` must start at sample {expected} or later, got {got}")]
    OutOfOrder {
        /// Name of the stream.
        stream: String,
        /// Lowest index that can follow.
        expected: u64,
        /// Index of the packet.
        got: u64,
    },
    /// The disk is too slow; this packet was not taken and its samples must be noted as a gap.
    #[error("disk is behind: {pending_bytes} bytes wait to be written, the limit is {limit_bytes}")]
    Overflow {
        /// Bytes that wait now.
        pending_bytes: u64,
        /// Most bytes that may wait.
        limit_bytes: u64,
    },
    /// The disk failed earlier; all that was committed before is kept.
    #[error("recording stopped: {reason}")]
    Failed {
        /// The first error of the disk.
        reason: String,
    },
    /// The file could not be closed; it keeps its `.part` name and can be repaired.
    #[error("{} could not be closed, its first {kept_bytes} bytes are whole: {reason}", path.display())]
    NotClosed {
        /// The file as it is now.
        path: PathBuf,
        /// Length of the part that is good.
        kept_bytes: u64,
        /// What prevented it.
        reason: String,
    },
    /// Another process writes this file.
    #[error("{} is being written by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
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
    /// The container refused a record.
    #[error("cannot encode a record")]
    Encode(#[source] mcap::McapError),
    /// A value that JSON cannot hold.
    #[error("cannot encode a message")]
    Json(#[from] serde_json::Error),
}

impl WriteError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported { .. } => Some("record the stream before this stage instead"),
            Self::Name { .. } => Some("use letters, digits, `-`, `_` and `.`"),
            Self::Overflow { .. } => Some("record to a faster disk, or fewer channels"),
            Self::Failed { .. } => Some("free space or use another disk, then start a new recording"),
            Self::NotClosed { .. } => Some("free space, then run `wavedeck repair` on it"),
            _ => None,
        }
    }
}

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No such file.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("{} is a directory, not a recording", path.display())]
    Directory {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is empty", path.display())]
    Empty {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file does not begin as an MCAP file does.
    #[error("{} is not an MCAP file", path.display())]
    NotMcap {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file ends before its first complete chunk.
    #[error("{} was cut before its first samples", path.display())]
    NothingWhole {
        /// The path asked for.
        path: PathBuf,
    },
    /// An MCAP file of another program.
    #[error("{} is an MCAP file, but not a Wavedeck recording", path.display())]
    Foreign {
        /// The path asked for.
        path: PathBuf,
    },
    /// Written by a newer version of this program.
    #[error("{} has format version {version}, this program reads up to {}", path.display(), crate::FORMAT_VERSION)]
    Newer {
        /// The path asked for.
        path: PathBuf,
        /// Version of the file.
        version: u32,
    },
    /// A part of the file is not what was written.
    #[error("recording is damaged at byte {offset}: {what}")]
    Damaged {
        /// Position in the file.
        offset: u64,
        /// What does not fit.
        what: String,
    },
    /// The description of a stream makes no sense.
    #[error("stream `{stream}` has a bad description: {what}")]
    BadStream {
        /// Name of the stream.
        stream: String,
        /// What does not fit.
        what: String,
    },
    /// No stream of that name or number.
    #[error("stream `{asked}` is not in this recording, which has {available}")]
    NoSuchStream {
        /// What was asked for.
        asked: String,
        /// The names there are.
        available: String,
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

impl ReadError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing { .. } => Some("check the path; recordings end in .mcap, unclosed ones in .mcap.part"),
            Self::Directory { .. } => Some("name one of the .mcap files in it"),
            Self::Empty { .. } | Self::NothingWhole { .. } => Some("nothing was recorded; the file can be deleted"),
            Self::NotMcap { .. } => Some("give a file that ends in .mcap or .mcap.part"),
            Self::Foreign { .. } => Some("open it with the program that wrote it, or with Foxglove or PlotJuggler"),
            Self::Newer { .. } => Some("install the current version of Wavedeck"),
            Self::Damaged { .. } => Some("all other chunks are still readable; copy the file from its backup"),
            Self::BadStream { .. } => Some("copy the file from its backup"),
            Self::NoSuchStream { .. } => Some("name one of the streams listed"),
            Self::Io { .. } => None,
        }
    }
}
