//! How long a worker without work goes on looking before it sleeps: not at all, but in the middle of a stream so fast
//! that waking up would cost more than the packets that come meanwhile.

/// Looks in vain before it sleeps, some 20 us.
const LOOKS: u32 = 100;
/// Pauses of the processor between two looks, so that they do not keep the counters of the other end from its cache.
const PAUSES: u32 = 4;
/// Looks that found work since the last sleep, from which on the stream is fast: a slow one is read up at each waking in
/// one or two.
const LIVELY: u32 = 8;

/// Kept by one worker.
pub(crate) struct Patience {
    /// There is a processor for every worker. Where there is not, looking would keep another from its work.
    may_look: bool,
    /// Looks that found work since the last sleep.
    lively: u32,
    /// Looks in vain since then.
    vain: u32,
}

impl Patience {
    /// For one of so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { may_look: workers > 1 && workers <= processors, lively: 0, vain: 0 }
    }

    /// To be called after each look; true if another one should follow at once instead of sleep.
    pub(crate) fn is_worth_a_look(&mut self, has_worked: bool) -> bool {
        if has_worked {
            self.lively = self.lively.saturating_add(1);
            self.vain = 0;
            return false;
        }
        self.vain += 1;
        if !self.may_look || self.lively < LIVELY || self.vain > LOOKS {
            // A sleep follows, after the one look more that every sleep is preceded by.
            (self.lively, self.vain) = (0, 0);
            return false;
        }
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patient() -> Patience {
        Patience { may_look: true, lively: 0, vain: 0 }
    }

    #[test]
    fn a_slow_stream_is_not_waited_for() {
        let mut patience = patient();
        for _ in 0..10 * LIVELY {
            assert!(!patience.is_worth_a_look(true));
            assert!(!patience.is_worth_a_look(false), "it sleeps after each packet");
        }
    }

    #[test]
    fn a_fast_stream_is_waited_for_a_while_and_then_not_again_until_it_is_fast_again() {
        let mut patience = patient();
        (0..LIVELY).for_each(|_| assert!(!patience.is_worth_a_look(true)));
        (0..LOOKS).for_each(|_| assert!(patience.is_worth_a_look(false)));
        assert!(!patience.is_worth_a_look(false) && !patience.is_worth_a_look(false));
    }

    #[test]
    fn nothing_is_waited_for_where_workers_share_processors() {
        let mut patience = Patience::new(usize::MAX);
        (0..LIVELY).for_each(|_| assert!(!patience.is_worth_a_look(true)));
        assert!(!patience.is_worth_a_look(false));
    }
}
