//! What a session shows of itself: plain data, copied once per frame or once per second, for every front end.
use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use wavedeck_api::{
    handle::{RecorderStatus, RecordingState, TransportStatus},
    param::{Mutability, ParamSpec, ParamValue},
    signal::StreamSpec,
    stage::Level,
};
use wavedeck_plane::{PipelineState, StageState, Telemetry};

use crate::station::Link;

/// Everything but waveforms.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// Rises when another pipeline was opened: taps must be taken anew and parameter tables read again.
    pub generation: u64,
    /// Name of the pipeline.
    pub name: Arc<str>,
    /// State of the pipeline.
    pub pipeline: PipelineState,
    /// Seconds since the pipeline was started.
    pub uptime_s: f64,
    /// State of the recording.
    pub recording: RecordingState,
    /// The recorder, if the pipeline has one; with several, their sum.
    pub recorder: Option<RecorderStatus>,
    /// The replay, if this is one.
    pub transport: Option<TransportStatus>,
    /// Counters of the engine room.
    pub telemetry: Telemetry,
    /// Samples lost so far for whatever reason, but for those that a drop policy let go.
    pub lost_samples: u64,
    /// Samples let go by links with a drop policy: views that did not keep up, by the config's own choice.
    pub shed_samples: u64,
    /// Space on the disk of the recordings.
    pub disk: Option<DiskSpace>,
    /// The newest events, oldest first.
    pub log: Arc<[LogEntry]>,
    /// True while parameters that are not cosmetic are refused.
    #[serde(skip)]
    pub locked: Option<&'static str>,
    /// Stages with their parameters, in the order of the config.
    #[serde(skip)]
    pub stages: Arc<[StageParams]>,
    /// Every output that can be looked at, in the order of the pipeline.
    #[serde(skip)]
    pub outputs: Arc<[OutputInfo]>,
    /// How the session is reached, if it is not in this program.
    #[serde(skip)]
    pub link: Option<Link>,
}

/// Space on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Seconds until it is full: at the measured rate while recording, else at the estimated rate. `None` if unknown.
    pub seconds_left: Option<f64>,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Number of the entry; rises by one.
    pub number: u64,
    /// Wall time in nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
    /// How much it matters.
    pub level: Level,
    /// Stage or part of the program that it is about.
    pub from: Arc<str>,
    /// One sentence.
    pub text: Arc<str>,
}

/// A stage and its parameters.
#[derive(Clone, Debug)]
pub struct StageParams {
    /// Id in the config.
    pub id: Arc<str>,
    /// Stage type.
    pub kind: &'static str,
    /// Summary of the stage type.
    pub summary: &'static str,
    /// Table rows with the value in force.
    pub params: Vec<(&'static ParamSpec, ParamValue)>,
}

impl Snapshot {
    /// The first stage that was disabled after a fault.
    pub fn failed_stage(&self) -> Option<&str> {
        let failed = self.telemetry.stages.iter().find(|stage| stage.state == StageState::Failed);
        failed.map(|stage| &*stage.id)
    }

    /// Time since the far end of a connection said something, once that is more than a moment.
    pub fn lost_link(&self) -> Option<Duration> {
        self.link.as_ref()?.lost
    }

    /// Why a parameter cannot change now, or `None` if it can. A fixed one changes by a restart of the pipeline, which
    /// an open recording forbids.
    pub fn why_locked(&self, spec: &ParamSpec) -> Option<&'static str> {
        let is_open = !matches!(self.recording, RecordingState::Idle | RecordingState::Failed);
        match spec.mutability {
            Mutability::Cosmetic => None,
            Mutability::Live => self.locked,
            Mutability::Fixed if is_open => Some("needs a restart, and a recording is open: finish it with S to edit"),
            Mutability::Fixed => None,
        }
    }
}

/// An output that can be looked at.
#[derive(Clone, Debug)]
pub struct OutputInfo {
    /// Id of the stage.
    pub stage: Arc<str>,
    /// Its port.
    pub port: &'static str,
    /// Shape of the stream.
    pub spec: StreamSpec,
}

/// A recording in the recordings folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingEntry {
    /// The file.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
    /// Seconds from the first to the last sample; `None` if the file could not be read.
    pub duration_s: Option<f64>,
    /// Channels over all streams.
    pub channels: usize,
    /// `closed`, `not closed`, `degraded`; for a file of another program its format; or why it could not be read.
    pub remark: String,
    /// Nothing is odd about it.
    pub is_fine: bool,
    /// Wall time of the start in nanoseconds since 1970-01-01 UTC.
    pub start_unix_ns: u64,
}
