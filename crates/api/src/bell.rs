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
    fn bind(&self) {
        let _ = self.inner.sleeper.set(thread::current());
    }

    /// Wakes the sleeper if it is about to sleep or asleep. Work made visible before the call is seen by it.
    #[inline]
    pub fn ring(&self) {
        // AcqRel, pairs with `arm`: the two swaps are ordered. Either ours comes first, then the sleeper's last
        // look sees our work; or its comes first, then we read true and unpark it.
        if self.inner.armed.swap(false, Ordering::AcqRel)
            && let Some(sleeper) = self.inner.sleeper.get()
        {
            sleeper.unpark();
        }
    }

    /// Announces sleep. The caller must look for work once more after this and before it sleeps.
    fn arm(&self) {
        self.inner.armed.swap(true, Ordering::AcqRel);
    }

    /// Takes the announcement back: work was found.
    fn disarm(&self) {
        // A swap, not a store: it keeps the next `arm` ordered after a ring that came in between and read false.
        self.inner.armed.swap(false, Ordering::Relaxed);
    }
}

/// The one worker that a bell wakes, while it looks for work.
pub struct Sleeper {
    bell: Bell,
    is_armed: bool,
}

impl Sleeper {
    /// Makes the calling thread the one that `bell` wakes. The first call for a bell counts.
    pub fn new(bell: Bell) -> Self {
        bell.bind();
        Self { bell, is_armed: false }
    }

    /// To be called after every look at all places where work can be. After a look that found none it announces sleep,
    /// after a second one it sleeps until the bell is rung, or until `deadline`: what came in between was found by the
    /// second look, and what comes later rings.
    #[inline]
    pub fn after_look(&mut self, has_worked: bool, deadline: Option<Instant>) {
        match (has_worked, self.is_armed) {
            (true, true) => self.bell.disarm(),
            (true, false) => {}
            (false, false) => self.bell.arm(),
            (false, true) => {
                // Relaxed: a stale true only costs one park that the pending unpark ends at once.
                if self.bell.inner.armed.load(Ordering::Relaxed) {
                    park(deadline);
                }
                self.bell.disarm();
            }
        }
        self.is_armed = !has_worked && !self.is_armed;
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

    /// Looks for `pieces` of work as a worker does.
    fn work(sleeper: &mut Sleeper, work: &AtomicU32, pieces: u32) {
        let mut done = 0;
        while done < pieces {
            let found = work.load(Ordering::Relaxed);
            sleeper.after_look(found > done, None);
            done = found;
        }
    }

    /// Fails (deadlock) when `arm` stores with Relaxed instead of swapping: the last look then may miss the work
    /// while the ringer still reads false.
    #[test]
    fn a_sleeper_never_misses_work() {
        loom::model(|| {
            let bell = Bell::new();
            let work_left = Arc::new(AtomicU32::new(0));
            let mut sleeper = Sleeper::new(bell.clone());
            let ringer = {
                let work_left = work_left.clone();
                thread::spawn(move || {
                    work_left.store(1, Ordering::Relaxed);
                    bell.ring();
                })
            };
            work(&mut sleeper, &work_left, 1);
            ringer.join().expect("the ringer does not panic");
        });
    }

    /// Fails (deadlock) when `disarm` is a plain store: it hides a ring that came before it from the `arm` after it.
    #[test]
    fn a_sleeper_that_wakes_does_not_miss_what_is_rung_meanwhile() {
        loom::model(|| {
            let bell = Bell::new();
            let work_left = Arc::new(AtomicU32::new(0));
            let mut sleeper = Sleeper::new(bell.clone());
            let ringer = {
                let work_left = work_left.clone();
                thread::spawn(move || {
                    for piece in 1..=2 {
                        work_left.store(piece, Ordering::Relaxed);
                        bell.ring();
                    }
                })
            };
            work(&mut sleeper, &work_left, 2);
            ringer.join().expect("the ringer does not panic");
        });
    }

    /// Fails (deadlock) when `ring` is a load that swaps only when it reads true: of two ringers each may read false.
    #[test]
    fn two_ringers_wake_a_sleeper_for_the_work_of_both() {
        loom::model(|| {
            let bell = Bell::new();
            let work_left = Arc::new(AtomicU32::new(0));
            let mut sleeper = Sleeper::new(bell.clone());
            let ringers = [0, 1].map(|_| {
                let (bell, work_left) = (bell.clone(), work_left.clone());
                thread::spawn(move || {
                    work_left.fetch_add(1, Ordering::Relaxed);
                    bell.ring();
                })
            });
            work(&mut sleeper, &work_left, 2);
            for ringer in ringers {
                ringer.join().expect("the ringer does not panic");
            }
        });
    }
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicU32;

    #[test]
    fn a_sleeper_is_woken_for_every_piece_of_work() {
        const PIECES: u32 = if cfg!(miri) { 50 } else { 20_000 };
        let bell = Bell::new();
        let work_left = Arc::new(AtomicU32::new(0));
        let mut sleeper = Sleeper::new(bell.clone());
        let ringer = {
            let work_left = work_left.clone();
            thread::spawn(move || {
                for piece in 1..=PIECES {
                    work_left.store(piece, Ordering::Relaxed);
                    bell.ring();
                }
            })
        };
        let mut done = 0;
        while done < PIECES {
            let found = work_left.load(Ordering::Relaxed);
            sleeper.after_look(found > done, None);
            done = found;
        }
        ringer.join().expect("the ringer does not panic");
    }

    #[test]
    fn a_sleeper_that_nobody_wakes_comes_back_at_its_deadline() {
        let mut sleeper = Sleeper::new(Bell::new());
        let deadline = Instant::now() + std::time::Duration::from_millis(5);
        while Instant::now() < deadline {
            sleeper.after_look(false, Some(deadline));
        }
    }
}
