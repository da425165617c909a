//! Runs a session without a screen: one status line per second until it ends.
use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use wavedeck_api::{handle::RecordingState, stage::Level};
use wavedeck_plane::PipelineState;

use crate::{
    service::Service,
    session::Session,
    signals::Signals,
    snapshot::{LogEntry, Snapshot},
    summary::EndedBy,
};

/// How often signals and states are looked at: at first often, so that a short job ends when it is done, and later
/// seldom, so that a long one rests.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a status line is printed unless somebody says otherwise.
pub const EVERY: Duration = Duration::from_secs(1);
/// Set where standard output is a journal: lines then begin with how much they matter, see `sd-daemon(3)`.
const JOURNAL: &str = "JOURNAL_STREAM";

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

/// How to run without a screen.
#[derive(Clone, Copy)]
pub struct HeadlessOptions<'a> {
    /// When to end by itself.
    pub deadline: Option<Instant>,
    /// What is printed.
    pub status: Status,
    /// Time between two status lines.
    pub every: Duration,
    /// True while someone is connected from elsewhere.
    pub is_attached: &'a dyn Fn() -> bool,
}

/// Waits for the end: by signal, by time, by its sources, by a fault. After a hang-up it goes on while it records or while
/// someone is connected.
pub fn wait(session: &Session, options: HeadlessOptions<'_>, signals: &Signals, service: &mut Service) -> EndedBy {
    let HeadlessOptions { deadline, status, every, is_attached } = options;
    let mut printer = Printer { status, next_log: 0, has_journal: std::env::var_os(JOURNAL).is_some() };
    let began = Instant::now();
    let mut next_line = began + every;
    loop {
        service.beat(Instant::now());
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
            if !is_recording && !is_attached() {
                return EndedBy::HangUp;
            }
        }
        if session.has_ended() {
            let is_failed = session.snapshot().pipeline == PipelineState::Failed;
            return if is_failed { EndedBy::Fault } else { EndedBy::Sources };
        }
        if Instant::now() >= next_line {
            next_line += every;
            let snapshot = session.snapshot();
            service.status(status_text(&snapshot).trim_start());
            printer.print(&snapshot.log, Some(&snapshot));
        } else if began.elapsed() > EVERY {
            printer.print(&session.log(), None);
        }
        let look = (began.elapsed() / 10).clamp(LOOKS.0, LOOKS.1);
        let rest = deadline.map_or(look, |deadline| deadline.saturating_duration_since(Instant::now()));
        thread::sleep(rest.min(look));
    }
}

struct Printer {
    status: Status,
    next_log: u64,
    has_journal: bool,
}

impl Printer {
    /// Prints what was logged since the last time, and a status line; goes silent when nobody can read it.
    fn print(&mut self, log: &[LogEntry], status: Option<&Snapshot>) {
        if self.status == Status::Silent {
            return;
        }
        let mut lines = String::new();
        let first = self.next_log;
        for entry in log.iter().filter(|entry| entry.number >= first) {
            self.next_log = entry.number + 1;
            if self.status == Status::Json {
                lines.push_str(&format!("{}\n", json!({ "type": "log", "entry": entry })));
            } else if self.has_journal {
                lines.push_str(&format!("<{}>{}: {}\n", priority(entry.level), entry.from, entry.text));
            } else {
                lines.push_str(&format!("  {:?} {}: {}\n", entry.level, entry.from, entry.text));
            }
        }
        match (self.status, status) {
            (Status::Json, Some(snapshot)) => lines.push_str(&format!("{}\n", status_json(snapshot))),
            (_, Some(snapshot)) => lines.push_str(&format!("{}\n", status_text(snapshot))),
            (_, None) => {}
        }
        if lines.is_empty() {
            return;
        }
        if std::io::stdout().write_all(lines.as_bytes()).and_then(|()| std::io::stdout().flush()).is_err() {
            self.status = Status::Silent;
        }
    }
}

/// As `syslog(3)` counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
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
