//! How the program ends: four codes, and errors that carry theirs.
use std::{fmt, process::ExitCode};

use wavedeck_plane::Problems;

use crate::session::SessionError;

/// Exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all went well.
    Ok,
    /// 1: the job failed.
    Failed,
    /// 2: bad usage or config.
    Usage,
    /// 3: finished, but samples were lost or a stage was disabled.
    Degraded,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the program ends early.
#[derive(Debug)]
pub struct Failure {
    /// Its exit code.
    pub exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// Bad usage or config.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{:#}", self.error).trim_end())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failed, error }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::usage(problems)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let exit = if matches!(error, SessionError::Config(_)) { Exit::Usage } else { Exit::Failed };
        Self { exit, error: error.into() }
    }
}
