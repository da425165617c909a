//! Space on the disk of the recordings, and files read with a limit.
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Instant,
};

use wavedeck_api::handle::RecordingState;
use wavedeck_plane::Runtime;
pub use wavedeck_recording::free_bytes;

use crate::snapshot::DiskSpace;

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// What the system says, or that the file is larger.
pub fn read_capped(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Measures how fast a recording grows.
pub(crate) struct Meter {
    /// Bytes per second without compression, for when nothing is recorded yet.
    estimate: f64,
    last: Option<(Instant, u64)>,
    measured: Option<f64>,
}

impl Meter {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        let plan = runtime.plan();
        let recorded =
            plan.edges.iter().filter(|edge| plan.stages[edge.to.0].descriptor.id == wavedeck_plane::RECORDER);
        let rate = |edge: &wavedeck_plane::PlannedEdge| {
            let sender = &plan.stages[edge.from.0].id;
            let spec = runtime.outputs().find(|(stage, port, _)| *stage == sender && *port == edge.from.1);
            spec.map_or(0.0, |(_, _, spec)| spec.rate.hz() * spec.frame_len() as f64 * 4.0)
        };
        Self { estimate: recorded.map(rate).sum(), last: None, measured: None }
    }

    pub(crate) fn measure(&mut self, dir: &Path, runtime: &Runtime) -> Option<DiskSpace> {
        let free_bytes = free_bytes(dir)?;
        if runtime.recording_state() == RecordingState::Recording {
            let written = runtime.recorder_statuses().iter().map(|status| status.written_bytes).sum::<u64>();
            let now = Instant::now();
            if let Some((then, before)) = self.last {
                let seconds = now.duration_since(then).as_secs_f64();
                let rate = written.saturating_sub(before) as f64 / seconds.max(0.1);
                // Smoothed over some ten seconds: chunks arrive in steps.
                self.measured = Some(self.measured.map_or(rate, |old| old * 0.9 + rate * 0.1));
            }
            self.last = Some((now, written));
        } else {
            (self.last, self.measured) = (None, None);
        }
        let rate = self.measured.filter(|rate| *rate > 0.0).unwrap_or(self.estimate);
        Some(DiskSpace { free_bytes, seconds_left: (rate > 0.0).then(|| free_bytes as f64 / rate) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_refused_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("big");
        std::fs::write(&path, [0; 101]).expect("written");
        assert_eq!(read_capped(&path, 100).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_capped(&path, 101).expect("fits").len(), 101);
        assert!(read_capped(dir.path(), 100).is_err());
    }

    #[test]
    fn space_is_found_for_a_folder_that_is_not_there_yet() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(free_bytes(&dir.path().join("not/yet")).is_some_and(|bytes| bytes > 0));
    }
}
