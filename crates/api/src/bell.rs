//! Wakes a worker that sleeps: one atomic swap when nobody does.
use std::{sync::OnceLock, time::Instant};

use crate::sync::{Arc, AtomicBool, Ordering, thread};

/// Rung after a push, a pop or a returned buffer; the one worker it belongs to sleeps on it.
#[derive(Clone)]
pub struct Bell {
    inner: Arc<Inner>,
}

struct Inner {
    /// Set by the sleeper before its last look for work, cleared by whoever rings.
    armed: AtomicBool,
    sleeper: OnceLock<thread::Thread>,
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

impl Bell {
    /// A bell nobody sleeps on yet.
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { armed: AtomicBool::new(false), sleeper: OnceLock::new() }) }
    }

    /// Makes the calling thread the one that is woken. The first call counts.
    pub fn bind(&self) {
        let _ = self.inner.sleeper.set(thread::current());
    }

    /// Wakes the sleeper if it is about to sleep or asleep. Work made visible before the call is seen by it.
    pub fn ring(&self) {
        // AcqRel, pairs with `arm`: the two swaps are ordered. Either ours comes first, then the sleeper's last
        // look sees our work; or its comes first, then we read true and unpark it.
        if self.inner.armed.swap(false, Ordering::AcqRel)
            && let Some(sleeper) = self.inner.sleeper.get()
        {
            sleeper.unpark();
        }
    }

    /// Announces sleep. The caller must look for work once more after this and before [`sleep`](Self::sleep).
    pub fn arm(&self) {
        self.inner.armed.swap(true, Ordering::AcqRel);
    }

    /// Takes the announcement back: work was found.
    pub fn disarm(&self) {
        // A swap, not a store: it keeps the next `arm` ordered after a ring that came in between and read false.
        self.inner.armed.swap(false, Ordering::Relaxed);
    }

    /// Sleeps until rung, or until `deadline`. May also return early for no reason.
    pub fn sleep(&self, deadline: Option<Instant>) {
        // Relaxed: a stale true only costs one park that the pending unpark ends at once.
        if self.inner.armed.load(Ordering::Relaxed) {
            park(deadline);
        }
        self.disarm();
    }
}

#[cfg(not(wavedeck_loom))]
fn park(deadline: Option<Instant>) {
    match deadline {
        None => thread::park(),
        Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
    }
}

#[cfg(wavedeck_loom)]
fn park(_deadline: Option<Instant>) {
    thread::park();
}

#[cfg(all(test, wavedeck_loom))]
mod models {
    use super::*;
    use crate::sync::AtomicU32;

    /// Fails (deadlock) when `arm` stores with Relaxed instead of swapping: the last look then may miss the work
    /// while the ringer still reads false.
    #[test]
    fn a_sleeper_never_misses_work() {
        loom::model(|| {
            let bell = Bell::new();
            let work = Arc::new(AtomicU32::new(0));
            bell.bind();
            let ringer = {
                let (bell, work) = (bell.clone(), work.clone());
                thread::spawn(move || {
                    work.store(1, Ordering::Relaxed);
                    bell.ring();
                })
            };
            while work.load(Ordering::Relaxed) == 0 {
                bell.arm();
                if work.load(Ordering::Relaxed) == 1 {
                    bell.disarm();
                    break;
                }
                bell.sleep(None);
            }
            ringer.join().expect("the ringer does not panic");
        });
    }

    /// Fails (deadlock) when `disarm` is a plain store: it hides a ring that came before it from the `arm` after it.
    #[test]
    fn a_sleeper_that_wakes_does_not_miss_what_is_rung_meanwhile() {
        loom::model(|| {
            let bell = Bell::new();
            let work = Arc::new(AtomicU32::new(0));
            bell.bind();
            let ringer = {
                let (bell, work) = (bell.clone(), work.clone());
                thread::spawn(move || {
                    for piece in 1..=2 {
                        work.store(piece, Ordering::Relaxed);
                        bell.ring();
                    }
                })
            };
            while work.load(Ordering::Relaxed) < 2 {
                bell.arm();
                if work.load(Ordering::Relaxed) == 2 {
                    bell.disarm();
                    break;
                }
                bell.sleep(None);
            }
            ringer.join().expect("the ringer does not panic");
        });
    }
}
