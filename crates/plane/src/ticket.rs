//! The answer to a change that was posted: what the stage made of it, or that it has ended or is held up.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::{gate::GateError, telemetry::StageStats};

/// How often a wait looks whether the stage is still there.
const LOOK: Duration = Duration::from_millis(10);

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force.
    Applied {
        /// First sample it applies to, in the stream that the stage reads (or sends, for a source).
        at_sample: u64,
        /// Number of changes this stage has seen.
        epoch: u32,
    },
    /// The stage refused a value that its table allows.
    Refused {
        /// Why.
        why: Arc<str>,
    },
}

/// Says what became of a change, once. Whoever does not care drops it.
#[derive(Debug)]
pub struct Ticket {
    stage: Arc<str>,
    outcome: Receiver<Outcome>,
    stats: Arc<StageStats>,
}

impl Ticket {
    /// Makes a ticket and the end on which the stage answers.
    pub(crate) fn new(stage: Arc<str>, stats: Arc<StageStats>) -> (Sender<Outcome>, Self) {
        let (answer, outcome) = bounded(1);
        (answer, Self { stage, outcome, stats })
    }

    /// Waits for the answer. Another thread applies the change meanwhile, at its next packet at the latest.
    ///
    /// # Errors
    /// [`GateError::HeldUp`] if there is none within `patience`, in which case the change still waits for the stage;
    /// [`GateError::Ended`] if there will never be one.
    pub fn wait(&self, patience: Duration) -> Result<Outcome, GateError> {
        let began = Instant::now();
        loop {
            let left = patience.saturating_sub(began.elapsed());
            // Before the look at the answer: what a stage has to say, it says before it ends.
            let has_ended = self.stats.state().is_over();
            match self.outcome.recv_timeout(if has_ended { Duration::ZERO } else { left.min(LOOK) }) {
                Ok(outcome) => return Ok(outcome),
                // A change that came in while the stage ended lies where nobody will find it.
                Err(RecvTimeoutError::Timeout) if has_ended => {}
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(GateError::HeldUp { stage: self.stage.clone(), patience });
                }
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {}
            }
            return Err(GateError::Ended { stage: self.stage.clone() });
        }
    }
}
