//! Which buffers of a pool nobody holds: one owner takes indices, any thread gives them back.
//!
//! What comes back forms a stack in `next`, its top and length in one word, so that giving back is one exchange. The
//! owner takes the whole stack at once and uses it up by itself, so that both sides meet in that word only now and
//! then. A buffer that was never used is touched only when no other is free: the buffers that go round are few and
//! stay in the cache.
use std::sync::atomic::AtomicU32 as Gauge;

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Most buffers of a pool; above it the count would run into the mark of a closed list.
const MAX_BUFFERS: u32 = i32::MAX as u32;
/// Set in the word once the owner is gone.
const CLOSED: u64 = 1 << 63;
/// One buffer more in the word's count.
const ONE: u64 = 1 << 32;

/// What all holders of a pool's buffers share.
pub(crate) struct FreeList {
    /// Bits 0..32: one above the index last given back, 0 for none. Bits 32..63: length of the stack. Bit 63: closed.
    stack: CachePadded<AtomicU64>,
    /// Below each index of a stack: one above the next index, 0 for none.
    next: Box<[AtomicU32]>,
    gauges: CachePadded<Gauges>,
}

/// What the owner shows of its part; only the owner writes.
struct Gauges {
    /// Free buffers in the owner's hands.
    held: Gauge,
    /// Buffers that were ever used.
    used: Gauge,
}

/// The owner's part.
pub(crate) struct Taker {
    /// One above the top of the stack that was taken, 0 for none.
    top: u32,
    /// Its length.
    len: u32,
    /// Buffers from here on were never used.
    fresh: u32,
}

fn count(word: u64) -> u32 {
    ((word & !CLOSED) >> 32) as u32
}

impl FreeList {
    /// All of `buffers` free.
    pub(crate) fn full(buffers: u32) -> (Self, Taker) {
        assert!(buffers <= MAX_BUFFERS, "{buffers} buffers are beyond counting");
        let gauges = Gauges { held: Gauge::new(buffers), used: Gauge::new(0) };
        let list = Self {
            stack: CachePadded::new(AtomicU64::new(0)),
            next: (0..buffers).map(|_| AtomicU32::new(0)).collect(),
            gauges: CachePadded::new(gauges),
        };
        (list, Taker { top: 0, len: 0, fresh: 0 })
    }

    #[inline]
    fn buffers(&self) -> u32 {
        self.next.len() as u32
    }

    /// Takes a free buffer for the owner, who then sees all that its last holders did.
    #[inline]
    pub(crate) fn take(&self, taker: &mut Taker) -> Option<u32> {
        // Relaxed: a stack that is not seen yet is found at the next call.
        if taker.top == 0 && self.stack.load(Ordering::Relaxed) as u32 != 0 {
            // Acquire, pairs with the Release of every `give` in this stack: an exchange continues the release
            // sequence of the one before it.
            let word = self.stack.swap(0, Ordering::Acquire);
            (taker.top, taker.len) = (word as u32, count(word));
        }
        let index = if let Some(index) = taker.top.checked_sub(1) {
            // Relaxed: the swap ordered us after the one who wrote it.
            taker.top = self.next[index as usize].load(Ordering::Relaxed);
            taker.len -= 1;
            index
        } else if taker.fresh < self.buffers() {
            taker.fresh += 1;
            self.gauges.used.store(taker.fresh, Ordering::Relaxed);
            taker.fresh - 1
        } else {
            return None;
        };
        self.gauges.held.store(self.held(taker), Ordering::Relaxed);
        Some(index)
    }

    #[inline]
    fn held(&self, taker: &Taker) -> u32 {
        taker.len + self.buffers() - taker.fresh
    }

    /// What is needed to give a buffer back.
    #[inline]
    pub(crate) fn door(&self) -> Door<'_> {
        Door { stack: &self.stack, next: &self.next }
    }

    /// The owner leaves. True if every buffer is back already: nobody else comes here any more.
    #[must_use = "the last one has to clean up"]
    pub(crate) fn close(&self, taker: &Taker) -> bool {
        let held = self.held(taker);
        // Acquire and Release as in `give`.
        let before = self.stack.fetch_add(CLOSED + u64::from(held) * ONE, Ordering::AcqRel);
        self.gauges.held.store(0, Ordering::Relaxed);
        count(before) + held == self.buffers()
    }

    /// Free buffers. Exact for the owner, but for what others give back meanwhile; for everybody once the list is at
    /// rest.
    #[inline]
    pub(crate) fn free(&self) -> u32 {
        let held = self.gauges.held.load(Ordering::Relaxed);
        // Acquire: who sees a buffer as free sees it let go.
        (held + count(self.stack.load(Ordering::Acquire))).min(self.buffers())
    }

    /// Most buffers that were ever out at the same time.
    pub(crate) fn high_water(&self) -> u32 {
        self.gauges.used.load(Ordering::Relaxed)
    }
}

/// The way back into a list. It refers to nothing but atomics: while one thread is still leaving through it, another
/// may be the last and free them all.
pub(crate) struct Door<'a> {
    stack: &'a AtomicU64,
    next: &'a [AtomicU32],
}

impl Door<'_> {
    /// Gives a buffer back. True for the last one of a list whose owner is gone: nobody else comes here any more.
    #[must_use = "the last one has to clean up"]
    #[inline]
    pub(crate) fn give(self, index: u32) -> bool {
        let buffers = self.next.len() as u32;
        // Relaxed: only its value counts; the exchange below orders.
        let mut word = self.stack.load(Ordering::Relaxed);
        loop {
            self.next[index as usize].store(word as u32, Ordering::Relaxed);
            let more = ((word + ONE) & !u64::from(u32::MAX)) | u64::from(index + 1);
            // Release, pairs with `take`: what we read and wrote in the buffer comes before the owner's writes.
            // Acquire, pairs with every other `give` and with `close`: the last one comes after all of them.
            match self.stack.compare_exchange_weak(word, more, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return more & CLOSED != 0 && count(more) == buffers,
                Err(other) => word = other,
            }
        }
    }
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_handed_out_before_what_was_never_used() {
        let (list, mut taker) = FreeList::full(4);
        assert_eq!((list.take(&mut taker), list.take(&mut taker)), (Some(0), Some(1)));
        assert!(!list.door().give(1) && !list.door().give(0));
        assert_eq!((list.take(&mut taker), list.take(&mut taker)), (Some(0), Some(1)));
        assert_eq!((list.high_water(), list.free()), (2, 2));
    }

    #[test]
    fn an_empty_list_says_none_until_something_comes_back() {
        let (list, mut taker) = FreeList::full(1);
        assert_eq!((list.take(&mut taker), list.take(&mut taker)), (Some(0), None));
        assert!(!list.door().give(0));
        assert_eq!((list.free(), list.take(&mut taker)), (1, Some(0)));
    }

    #[test]
    fn exactly_one_is_told_to_clean_up() {
        let (list, mut taker) = FreeList::full(3);
        let out = [list.take(&mut taker), list.take(&mut taker)].map(|index| index.expect("free"));
        assert!(!list.door().give(out[1]));
        assert!(!list.close(&taker), "one is out");
        assert_eq!(list.free(), 2);
        assert!(list.door().give(out[0]), "the last");

        let (list, taker) = FreeList::full(3);
        assert!(list.close(&taker), "none was out");
    }
}

#[cfg(all(test, wavedeck_loom))]
mod models {
    use super::*;
    use crate::sync::{Arc, thread};

    /// Fails (nobody or two clean up) when `give` or `close` reads the count apart from its exchange.
    #[test]
    fn of_two_holders_and_an_owner_who_all_leave_one_cleans_up() {
        loom::model(|| {
            let (list, mut taker) = FreeList::full(2);
            let list = Arc::new(list);
            let out = [list.take(&mut taker), list.take(&mut taker)].map(|index| index.expect("free"));
            let holders = out.map(|index| {
                let list = list.clone();
                thread::spawn(move || list.door().give(index))
            });
            let mut last = u32::from(list.close(&taker));
            for holder in holders {
                last += u32::from(holder.join().expect("no panic"));
            }
            assert_eq!((last, list.free()), (1, 2));
        });
    }

    /// Fails (an index is lost or found twice) when `give` writes `next` once, before its loop.
    #[test]
    fn what_two_threads_give_back_is_found_once_each() {
        loom::model(|| {
            let (list, mut taker) = FreeList::full(2);
            let list = Arc::new(list);
            let out = [list.take(&mut taker), list.take(&mut taker)].map(|index| index.expect("free"));
            let holders = out.map(|index| {
                let list = list.clone();
                thread::spawn(move || assert!(!list.door().give(index)))
            });
            let early = list.take(&mut taker);
            for holder in holders {
                holder.join().expect("no panic");
            }
            let mut found: Vec<u32> = early.into_iter().chain(std::iter::from_fn(|| list.take(&mut taker))).collect();
            found.sort_unstable();
            assert_eq!(found, [0, 1]);
        });
    }
}
