//! The account a recording keeps of itself: what came in, what is stored, what went missing and why.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gap::GapReason;

/// Account of one stream, in frames.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamLedger {
    /// Name of the stream.
    pub stream: String,
    /// Index of the first frame accounted for; `None` before any came.
    pub first_index: Option<u64>,
    /// Index after the last frame accounted for.
    pub next_index: u64,
    /// Frames stored.
    pub recorded: u64,
    /// Frames missing, by reason.
    pub missing: BTreeMap<GapReason, u64>,
}

impl StreamLedger {
    /// An account with nothing in it.
    pub fn new(stream: impl Into<String>) -> Self {
        Self { stream: stream.into(), ..Self::default() }
    }

    /// Frames that went missing against everybody's will.
    pub fn lost(&self) -> u64 {
        self.sum(GapReason::is_loss)
    }

    /// Frames left out because a person asked for it.
    pub fn paused(&self) -> u64 {
        self.sum(|reason| !reason.is_loss())
    }

    /// True if every index between first and last is either stored or accounted for as missing.
    pub fn is_balanced(&self) -> bool {
        let Some(first_index) = self.first_index else {
            return self.recorded == 0;
        };
        let accounted = self.missing.values().fold(self.recorded, |sum, n| sum.saturating_add(*n));
        self.next_index.checked_sub(first_index) == Some(accounted)
    }

    pub(crate) fn record(&mut self, first_index: u64, n: u64) {
        self.first_index.get_or_insert(first_index);
        self.recorded = self.recorded.saturating_add(n);
        self.next_index = self.next_index.max(first_index.saturating_add(n));
    }

    pub(crate) fn miss(&mut self, first_index: u64, n: u64, reason: GapReason) {
        let first = self.first_index.get_or_insert(first_index);
        *first = (*first).min(first_index);
        let sum = self.missing.entry(reason).or_default();
        *sum = sum.saturating_add(n);
        self.next_index = self.next_index.max(first_index.saturating_add(n));
    }

    fn sum(&self, wanted: impl Fn(GapReason) -> bool) -> u64 {
        self.missing.iter().filter(|(reason, _)| wanted(**reason)).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

/// Account of a whole recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// One account per stream, in the order of the streams.
    pub streams: Vec<StreamLedger>,
    /// Why the recording stopped before its user asked; `None` if it did not.
    pub failed: Option<String>,
}

impl Ledger {
    /// True if samples went missing against everybody's will, or the disk failed.
    pub fn is_degraded(&self) -> bool {
        self.failed.is_some() || self.streams.iter().any(|stream| stream.lost() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_and_missing_balance_against_the_index() {
        let mut ledger = StreamLedger::new("eeg");
        ledger.record(100, 50);
        ledger.miss(150, 10, GapReason::Device);
        ledger.miss(160, 40, GapReason::Paused);
        ledger.record(200, 50);

        assert!(ledger.is_balanced());
        assert_eq!((ledger.recorded, ledger.lost(), ledger.paused()), (100, 10, 40));
    }

    #[test]
    fn an_unexplained_jump_does_not_balance() {
        let mut ledger = StreamLedger::new("eeg");
        ledger.record(0, 50);
        ledger.record(60, 50);

        assert!(!ledger.is_balanced());
    }

    #[test]
    fn a_pause_does_not_degrade_a_recording_but_a_loss_does() {
        let mut stream = StreamLedger::new("eeg");
        stream.miss(0, 5, GapReason::PipelinePaused);
        let mut ledger = Ledger { streams: vec![stream], failed: None };
        assert!(!ledger.is_degraded());

        ledger.streams[0].miss(5, 1, GapReason::Overrun);
        assert!(ledger.is_degraded());
    }
}
