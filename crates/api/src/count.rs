//! Counters with one writer: a load and a store instead of a locked addition.
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread raises and any thread reads.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Raises the number. Only ever called by one thread at a time; who takes over from another is ordered after it.
    #[inline]
    pub fn add(&self, by: u64) {
        // Release, pairs with `get`: who reads the new number sees what it counts.
        self.0.store(self.0.load(Ordering::Relaxed) + by, Ordering::Release);
    }

    /// Sets the number, under the same rule.
    #[inline]
    pub fn set(&self, to: u64) {
        self.0.store(to, Ordering::Release);
    }

    /// The number now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
