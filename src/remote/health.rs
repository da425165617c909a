//! Whether data flows, and why not.
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use crate::snapshot::Snapshot;

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
    /// Samples are expected from now on.
    pub(super) fn begin(now: Instant) -> Self {
        Self { generation: 0, produced: 0, since: now }
    }

    /// Looks at the counters. While none are expected, the silence does not grow.
    pub(super) fn look(&mut self, snapshot: &Snapshot, now: Instant) {
        let seen = (snapshot.generation, snapshot.telemetry.produced_samples());
        if seen != (self.generation, self.produced) || is_still(snapshot) {
            (self.generation, self.produced) = seen;
            self.since = now;
        }
    }

    /// Time since the counters last rose.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// True while a person has it paused.
fn is_still(snapshot: &Snapshot) -> bool {
    let is_still = snapshot.transport.as_ref().is_some_and(|transport| !transport.playing);
    snapshot.pipeline == PipelineState::Paused || snapshot.pipeline == PipelineState::Running && is_still
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
        match snapshot.pipeline {
            _ if is_still(snapshot) => Self::Well("paused"),
            PipelineState::Stopped | PipelineState::Draining => Self::Ill("every source has ended".into()),
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

#[cfg(test)]
mod tests {
    use wavedeck_plane::PipelineConfig;

    use super::*;
    use crate::session::{FromStart, Request, Session};

    fn session(board: Value) -> Session {
        let config = json!({ "version": 1, "name": "bench",
            "stages": [ { "id": "board", "type": "synthetic", "params": board }, { "id": "end", "type": "null" } ],
            "connections": [ { "from": "board", "to": "end" } ] });
        let config = PipelineConfig::from_value(&config).expect("no mistake of form");
        Session::open(config, crate::registry().expect("distinct names"), FromStart::Nothing).expect("it starts")
    }

    #[test]
    fn silence_is_ill_but_a_pause_is_not() {
        let session = session(json!({ "channels": 1 }));
        let of = |silence| Health::of(&session.snapshot(), Duration::from_secs(silence));
        assert_eq!((of(5), of(6)), (Health::Well("running"), Health::Ill("no samples for 6 s".into())));
        session.request(Request::Pause, "test").expect("it runs");
        assert_eq!(of(6), Health::Well("paused"));
        session.close(Duration::from_secs(60));
        assert_eq!(of(0), Health::Ill("every source has ended".into()));
    }

    #[test]
    fn silence_is_counted_from_the_last_sample_or_the_end_of_a_pause() {
        let session = session(json!({ "channels": 1, "samples": 10, "pace": "max" }));
        let begun = Instant::now();
        while !session.has_ended() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::yield_now();
        }
        let mut snapshot = session.snapshot();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut flow = Flow::begin(begun);
        flow.look(&snapshot, at(2));
        flow.look(&snapshot, at(7));
        assert_eq!(flow.silence(at(8)), Duration::from_secs(6));
        snapshot.pipeline = PipelineState::Paused;
        flow.look(&snapshot, at(9));
        snapshot.pipeline = PipelineState::Running;
        flow.look(&snapshot, at(10));
        assert_eq!(flow.silence(at(11)), Duration::from_secs(2));
        snapshot.generation += 1;
        flow.look(&snapshot, at(12));
        assert_eq!(flow.silence(at(12)), Duration::ZERO);
    }
}
