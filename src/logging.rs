//! The log file: a rolling file that no screen shares.
use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

/// Variable that sets what is logged, such as `debug` or `wavedeck_plane=trace`.
const FILTER: &str = "WAVEDECK_LOG";
/// Daily files that are kept.
const KEPT: usize = 14;

/// Begins to log to `file`, or to a daily file in the user's state folder. The guard flushes when it is dropped.
///
/// # Errors
/// When the file or its folder cannot be made.
pub fn start(file: Option<&Path>) -> anyhow::Result<WorkerGuard> {
    let appender = match file {
        Some(file) => {
            let name = file.file_name().with_context(|| format!("--log {} is not a file name", file.display()))?;
            let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::create_dir_all(dir).with_context(|| format!("folder {} cannot be made", dir.display()))?;
            tracing_appender::rolling::never(dir, name)
        }
        None => {
            let dir = default_dir();
            std::fs::create_dir_all(&dir).with_context(|| format!("folder {} cannot be made", dir.display()))?;
            tracing_appender::rolling::Builder::new()
                .rotation(tracing_appender::rolling::Rotation::DAILY)
                .filename_prefix("wavedeck")
                .filename_suffix("log")
                .max_log_files(KEPT)
                .build(&dir)
                .with_context(|| format!("no log file can be made in {}", dir.display()))?
        }
    };
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).finish();
    // A second start in one process keeps the first log.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(guard)
}

/// `$XDG_STATE_HOME/wavedeck`, else `~/.local/state/wavedeck`, else `logs`.
fn default_dir() -> PathBuf {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state.or_else(home).map_or_else(|| PathBuf::from("logs"), |dir| dir.join("wavedeck"))
}
