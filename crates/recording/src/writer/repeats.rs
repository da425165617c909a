//! What a recording says again and again: the pipeline, both clocks, the running account.
use serde_json::json;
use wavedeck_api::clock::Anchor;

use super::RecordingWriter;
use crate::error::WriteError;

const STATS_NS: u64 = 1_000_000_000;
const CLOCK_NS: u64 = 10_000_000_000;
const SESSION_NS: u64 = 60_000_000_000;

/// Monotonic times at which it is due.
#[derive(Clone, Copy)]
pub(super) struct Repeats {
    stats_ns: u64,
    clock_ns: u64,
    session_ns: u64,
}

impl Repeats {
    /// Counts from `now_ns`.
    pub(super) fn from(now_ns: u64) -> Self {
        Self {
            stats_ns: now_ns.saturating_add(STATS_NS),
            clock_ns: now_ns.saturating_add(CLOCK_NS),
            session_ns: now_ns.saturating_add(SESSION_NS),
        }
    }
}

impl RecordingWriter {
    pub(super) fn write_what_repeats(&mut self, now_ns: u64) -> Result<(), WriteError> {
        if now_ns >= self.repeats.stats_ns {
            self.repeats.stats_ns = now_ns.saturating_add(STATS_NS);
            self.write_stats(now_ns)?;
        }
        if now_ns >= self.repeats.clock_ns {
            self.repeats.clock_ns = now_ns.saturating_add(CLOCK_NS);
            self.write_clock(now_ns, Anchor::now())?;
        }
        if now_ns >= self.repeats.session_ns {
            self.write_session(now_ns)?;
        }
        Ok(())
    }

    pub(super) fn write_session(&mut self, now_ns: u64) -> Result<(), WriteError> {
        self.repeats.session_ns = now_ns.saturating_add(SESSION_NS);
        let session = json!({
            "session": self.options.session_name,
            "app_version": self.options.app_version,
            "pipeline": self.pipeline,
        });
        self.write_json(self.topics.session, &session, now_ns)
    }

    pub(super) fn write_clock(&mut self, now_ns: u64, both: Anchor) -> Result<(), WriteError> {
        let clock = json!({ "host_mono_ns": both.monotonic_ns, "host_unix_ns": both.unix_ns });
        self.write_json(self.topics.clock, &clock, now_ns)
    }

    pub(super) fn write_stats(&mut self, now_ns: u64) -> Result<(), WriteError> {
        let stats = json!({
            "ledger": self.ledger(),
            "file": {
                "accepted_bytes": self.status.accepted_bytes(),
                "written_bytes": self.status.written_bytes(),
                "saved_bytes": self.status.saved_bytes(),
                "pending_bytes": self.status.pending_bytes(),
                "last_sync_ns": self.status.last_sync_ns(),
                "worst_sync_ns": self.status.worst_sync_ns(),
            },
            "caller": self.caller_stats,
        });
        self.write_json(self.topics.stats, &stats, now_ns)
    }
}
