//! Whether data flows, and why not.
use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use crate::{session::Session, snapshot::Snapshot};

/// Time without a sample after which data does not flow.
const SILENCE: Duration = Duration::from_secs(5);

/// When samples last came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    generation: u64,
    produced: u64,
    since: Instant,
}

impl Flow {
    pub(super) fn new(session: &Session) -> Self {
        Self { generation: session.generation(), produced: 0, since: Instant::now() }
    }

    /// Looks at the counters.
    pub(super) fn look(&mut self, session: &Session, now: Instant) {
        let seen = (session.generation(), session.telemetry().produced_samples());
        if seen != (self.generation, self.produced) {
            (self.generation, self.produced) = seen;
            self.since = now;
        }
    }

    /// Time since the counters last rose.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// Whether data flows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It does, or a person has it paused; in one word.
    Well(&'static str),
    /// It does not, and why.
    Ill(String),
}

impl Health {
    /// What a snapshot tells of it.
    pub(super) fn of(snapshot: &Snapshot, silence: Duration) -> Self {
        let recorder_error = snapshot.recorder.as_ref().and_then(|recorder| recorder.error.as_deref());
        if snapshot.pipeline == PipelineState::Failed {
            return Self::Ill(match snapshot.failed_stage() {
                Some(stage) => format!("the pipeline has failed: stage `{stage}`"),
                None => "the pipeline has failed".into(),
            });
        }
        if let Some(stage) = snapshot.failed_stage() {
            return Self::Ill(format!("stage `{stage}` has failed and is disabled"));
        }
        if snapshot.recording == RecordingState::Failed || recorder_error.is_some() {
            return Self::Ill(format!("the recording has failed: {}", recorder_error.unwrap_or("no reason given")));
        }
        let is_still = snapshot.transport.as_ref().is_some_and(|transport| !transport.playing);
        match snapshot.pipeline {
            PipelineState::Paused => Self::Well("paused"),
            PipelineState::Stopped | PipelineState::Draining => Self::Ill("every source has ended".into()),
            _ if is_still => Self::Well("paused"),
            _ if silence > SILENCE => Self::Ill(format!("no samples for {} s", silence.as_secs())),
            _ => Self::Well("running"),
        }
    }

    /// As the answer of `/healthz`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Well(state) => json!({ "ok": true, "state": state }),
            Self::Ill(why) => json!({ "ok": false, "error": { "code": "Unhealthy", "message": why } }),
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well(state) => f.write_str(state),
            Self::Ill(why) => f.write_str(why),
        }
    }
}
