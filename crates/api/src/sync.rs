//! std or loom, chosen in one place.
#[cfg(wavedeck_loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering, fence},
    },
    thread,
};
#[cfg(not(wavedeck_loom))]
pub(crate) use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering, fence},
    },
    thread,
};

/// std's cell with loom's interface.
#[cfg(not(wavedeck_loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(wavedeck_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// Indices of free slots. A pop that returns `i` happens after the push of `i`; nothing else is promised.
#[cfg(not(wavedeck_loom))]
pub(crate) struct FreeList(crossbeam::queue::ArrayQueue<u32>);

#[cfg(not(wavedeck_loom))]
impl FreeList {
    pub(crate) fn full(count: u32) -> Self {
        let queue = crossbeam::queue::ArrayQueue::new(count as usize);
        for index in 0..count {
            let _ = queue.push(index);
        }
        Self(queue)
    }

    pub(crate) fn pop(&self) -> Option<u32> {
        self.0.pop()
    }

    pub(crate) fn push(&self, index: u32) {
        let pushed = self.0.push(index);
        debug_assert!(pushed.is_ok(), "more free slots than slots");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Loom stand-in that promises exactly the per-slot release/acquire edge and no more.
#[cfg(wavedeck_loom)]
pub(crate) struct FreeList(Vec<AtomicBool>);

#[cfg(wavedeck_loom)]
impl FreeList {
    pub(crate) fn full(count: u32) -> Self {
        Self((0..count).map(|_| AtomicBool::new(true)).collect())
    }

    pub(crate) fn pop(&self) -> Option<u32> {
        let taken = self
            .0
            .iter()
            .position(|free| free.compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed).is_ok())?;
        Some(taken as u32)
    }

    pub(crate) fn push(&self, index: u32) {
        assert!(!self.0[index as usize].swap(true, Ordering::Release), "slot freed twice");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().filter(|free| free.load(Ordering::Relaxed)).count()
    }
}
