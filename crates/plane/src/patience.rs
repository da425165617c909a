//! How long a worker without work goes on looking before it sleeps: not at all, but in the middle of a stream so fast
//! that waking up would cost more than the packets that come meanwhile.
use std::time::{Duration, Instant};

/// Longest time of looking for work in vain.
const LONGEST: Duration = Duration::from_micros(15);
/// Looks that found work since the last sleep, from which on the stream is fast: a slow one is read up at each waking in
/// one or two.
const LIVELY: u32 = 8;

/// Kept by one worker.
pub(crate) struct Patience {
    /// There is a processor for every worker. Where there is not, looking would keep another from its work.
    may_spin: bool,
    /// Looks that found work since the last sleep.
    lively: u32,
    /// When looking in vain began.
    since: Option<Instant>,
}

impl Patience {
    /// For one of so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { may_spin: workers > 1 && workers <= processors, lively: 0, since: None }
    }

    /// To be called after each look; true if another one should follow at once instead of sleep.
    pub(crate) fn is_worth_a_look(&mut self, has_worked: bool) -> bool {
        if has_worked {
            self.lively = self.lively.saturating_add(1);
            self.since = None;
            return false;
        }
        if !self.may_spin || self.lively < LIVELY {
            return false;
        }
        let is_early = self.since.get_or_insert_with(Instant::now).elapsed() < LONGEST;
        if is_early {
            std::hint::spin_loop();
        } else {
            // A sleep follows, after the one look more that every sleep is preceded by.
            (self.lively, self.since) = (0, None);
        }
        is_early
    }
}
