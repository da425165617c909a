//! Runs a session without a screen: one status line per second until it ends.
use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use crate::{session::Session, signals::Signals, snapshot::Snapshot, summary::EndedBy};

/// How often signals and states are looked at: at first often, so that a short job ends when it is done, and later
/// seldom, so that a long one rests.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a status line is printed.
const LINE: Duration = Duration::from_secs(1);

/// What is printed while the session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing: there is no terminal any more.
    Silent,
    /// A line per second.
    Text,
    /// A JSON object per second, and one for each line of the log.
    Json,
}

/// Waits for the end: by signal, by time, by its sources, by a fault. After a hang-up a recording goes on until then.
pub fn wait(session: &Session, deadline: Option<Instant>, status: Status, signals: &Signals) -> EndedBy {
    let mut printer = Printer { status, next_log: 0 };
    let began = Instant::now();
    let mut next_line = began + LINE;
    loop {
        if signals.wants_stop() {
            return EndedBy::Request;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let is_failing = session.snapshot().pipeline == PipelineState::Failed;
            return if is_failing { EndedBy::Fault } else { EndedBy::Duration };
        }
        let is_recording = matches!(session.recording_state(), RecordingState::Recording | RecordingState::Paused);
        if signals.has_hung_up() {
            printer.status = Status::Silent;
            if !is_recording {
                return EndedBy::HangUp;
            }
        }
        if session.has_ended() {
            let is_failed = session.snapshot().pipeline == PipelineState::Failed;
            return if is_failed { EndedBy::Fault } else { EndedBy::Sources };
        }
        if printer.status != Status::Silent && Instant::now() >= next_line {
            next_line += LINE;
            printer.print(&session.snapshot());
        }
        let look = (began.elapsed() / 10).clamp(LOOKS.0, LOOKS.1);
        let rest = deadline.map_or(look, |deadline| deadline.saturating_duration_since(Instant::now()));
        thread::sleep(rest.min(look));
    }
}

struct Printer {
    status: Status,
    next_log: u64,
}

impl Printer {
    /// Prints a status line and what was logged since the last one; goes silent when nobody can read it.
    fn print(&mut self, snapshot: &Snapshot) {
        let mut lines = String::new();
        let first = self.next_log;
        for entry in snapshot.log.iter().filter(|entry| entry.number >= first) {
            self.next_log = entry.number + 1;
            if self.status == Status::Json {
                lines.push_str(&format!("{}\n", json!({ "type": "log", "entry": entry })));
            } else {
                lines.push_str(&format!("  {:?} {}: {}\n", entry.level, entry.from, entry.text));
            }
        }
        lines.push_str(&match self.status {
            Status::Json => format!("{}\n", status_json(snapshot)),
            _ => format!("{}\n", status_text(snapshot)),
        });
        if std::io::stdout().write_all(lines.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
            self.status = Status::Silent;
        }
    }
}

fn status_json(snapshot: &Snapshot) -> serde_json::Value {
    json!({
        "type": "status",
        "uptime_s": snapshot.uptime_s,
        "pipeline": snapshot.pipeline,
        "recording": snapshot.recording,
        "produced": snapshot.telemetry.produced_samples(),
        "recorded": snapshot.recorder.as_ref().map_or(0, |recorder| recorder.recorded_samples),
        "saved_bytes": snapshot.recorder.as_ref().map_or(0, |recorder| recorder.saved_bytes),
        "dropped": snapshot.lost_samples,
        "shed": snapshot.shed_samples,
        "worst_queue": snapshot.telemetry.worst_queue().map(|(fill, edge)| json!({ "edge": edge.id, "fill": fill })),
        "worst_pool": snapshot.telemetry.worst_pool().map(|(fill, pool)| json!({ "pool": pool.name, "fill": fill })),
        "disk": snapshot.disk,
        "advice": snapshot.telemetry.advice,
    })
}

fn status_text(snapshot: &Snapshot) -> String {
    let recorder = snapshot.recorder.clone().unwrap_or_default();
    let recording = match snapshot.recording {
        RecordingState::Recording => {
            format!("REC {:.1} s, {} kB saved", recorder.recorded_s, recorder.saved_bytes / 1000)
        }
        state => format!("{state:?}").to_lowercase(),
    };
    let queue = snapshot.telemetry.worst_queue().map_or(0.0, |(fill, _)| fill * 100.0);
    let pool = snapshot.telemetry.worst_pool().map_or(0.0, |(fill, _)| fill * 100.0);
    format!(
        "{:>7.1} s  {:?}  {} samples  {recording}  drop {}  queue {queue:.0}%  pool {pool:.0}%",
        snapshot.uptime_s,
        snapshot.pipeline,
        snapshot.telemetry.produced_samples(),
        snapshot.lost_samples,
    )
}
