//! A fixed set of buffers handed out as [`Packet`] (sole owner, writable) or [`Shared`] (counted, read-only).
//!
//! The only `unsafe` in the crate. One protocol: a slot is *free* (index in the free list), *owned* (one `Packet`,
//! refs = 1) or *shared* (n `Shared`, refs = n). `&mut` to a body exists in *owned* only. The buffers outlive the pool
//! for as long as one is out: whoever gives back the last one frees them all.
#![expect(unsafe_code, reason = "buffers move between threads without a lock; see the protocol above")]

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicPtr, Ordering::Relaxed},
};

use crate::{
    count::Count,
    free_list::{FreeList, Taker},
    packet::PacketHeader,
    signal::{Signal, StreamSpec},
    sync::{Arc, AtomicU32, Ordering, UnsafeCell},
};

/// Buffers of one shape, allocated once. Only its holder takes buffers; they come back from any thread.
pub struct MemoryPool<S: Signal> {
    inner: Arc<Inner<S>>,
    taker: Taker,
}

struct Inner<S: Signal> {
    slots: Box<[Slot<S>]>,
    /// The buffers of all slots, one after the other; a `Box` in all but name, since slots write into it.
    data: NonNull<[Line<S::Elem>]>,
    free: FreeList,
    /// Frames per buffer.
    max_batch: u32,
    /// Values per frame.
    frame_len: usize,
    channels: u16,
    /// Only the pool's holder writes it.
    misses: Count,
}

/// One cache line: handing a packet to another processor moves this and the samples that are looked at.
#[repr(align(64))]
struct Slot<S: Signal> {
    refs: AtomicU32,
    /// Its place in `Inner::slots`.
    index: u32,
    /// The count of the pool that all handles share, as it was taken from the `Arc`.
    inner: AtomicPtr<Inner<S>>,
    body: UnsafeCell<Body<S>>,
}

struct Body<S: Signal> {
    header: PacketHeader,
    /// The first of this slot's `max_batch * frame_len` values in `Inner::data`.
    data: NonNull<S::Elem>,
}

#[cfg(not(wavedeck_loom))]
const _: () = assert!(size_of::<Slot<crate::signal::Physical>>() == 64, "a slot is one cache line");

/// Values per cache line.
const LINE: usize = 16;

/// Buffers begin at cache lines. No two share one; and on some processors copying with `rep movsb`, which `memcpy` does
/// above some 2 KB, takes thirty times as long when source and destination are a few bytes apart within their pages.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line<T>([T; LINE]);

impl<S: Signal> Drop for Inner<S> {
    fn drop(&mut self) {
        // SAFETY: it was a `Box`, and with us goes the last who could reach it.
        drop(unsafe { Box::from_raw(self.data.as_ptr()) });
    }
}

// SAFETY: a body is reached through `Packet` (exclusive) or `Shared` (read-only); `Slot::refs` and the free list
// order every hand-over, so no two threads race on a body. `S::Elem` is `Send + Sync`.
unsafe impl<S: Signal> Sync for Inner<S> {}
// SAFETY: as above; bodies and data are plain numbers with no tie to a thread.
unsafe impl<S: Signal> Send for Inner<S> {}

impl<S: Signal> MemoryPool<S> {
    /// Allocates `packets` buffers shaped for `spec`. The only allocation a pool ever makes.
    ///
    /// # Panics
    /// If `packets` is above 2 147 483 647.
    pub fn new(spec: &StreamSpec, packets: u32) -> Self {
        let frame_len = spec.frame_len();
        let stride = (frame_len * spec.max_batch as usize).div_ceil(LINE);
        let data = vec![Line::<S::Elem>::default(); stride * packets as usize].into_boxed_slice();
        let data = NonNull::new(Box::into_raw(data)).expect("a `Box` is not null");
        let slot = |index: u32| Slot {
            refs: AtomicU32::new(0),
            index,
            inner: AtomicPtr::new(std::ptr::null_mut()),
            body: UnsafeCell::new(Body {
                header: PacketHeader::default(),
                // SAFETY: `data` has `stride` lines for each index below `packets`.
                data: unsafe { data.cast::<Line<S::Elem>>().add(index as usize * stride) }.cast(),
            }),
        };
        let (free, taker) = FreeList::full(packets);
        let inner = Arc::new(Inner {
            slots: (0..packets).map(slot).collect(),
            data,
            free,
            max_batch: spec.max_batch,
            frame_len,
            channels: u16::try_from(spec.channels.len()).unwrap_or(u16::MAX),
            misses: Count::default(),
        });
        let outside = Arc::into_raw(inner.clone()).cast_mut();
        for slot in &inner.slots {
            slot.inner.store(outside, Relaxed);
        }
        if packets == 0 {
            // SAFETY: the count was taken out above, and there are no handles to share it.
            drop(unsafe { Arc::from_raw(outside) });
        }
        Self { inner, taker }
    }

    /// Takes a free buffer, or `None` at once when all are in flight. Never allocates, never waits.
    pub fn try_acquire(&mut self) -> Option<Packet<S>> {
        let inner = &*self.inner;
        let Some(index) = inner.free.take(&mut self.taker) else {
            inner.misses.add(1);
            return None;
        };
        let slot = &inner.slots[index as usize];
        // Relaxed: taking ordered us after the last owner, and nobody else holds this index.
        slot.refs.store(1, Ordering::Relaxed);
        let mut packet = Packet { handle: Handle { slot: NonNull::from(slot) } };
        *packet.header_mut() = PacketHeader { channels: inner.channels, ..PacketHeader::default() };
        Some(packet)
    }

    /// Frames that fit into one buffer.
    pub fn max_batch(&self) -> u32 {
        self.inner.max_batch
    }

    /// Free buffers; for the holder of the pool there are at least as many until it takes one.
    pub fn free(&self) -> u32 {
        self.inner.free.free()
    }

    /// A look at the pool for other threads.
    pub fn view(&self) -> Box<dyn PoolView> {
        Box::new(View { inner: self.inner.clone() })
    }
}

impl<S: Signal> Drop for MemoryPool<S> {
    fn drop(&mut self) {
        if self.inner.free.close(&self.taker)
            && let Some(slot) = self.inner.slots.first()
        {
            // SAFETY: the count was taken out in `new`, and `close` says once that no handle is left to use it.
            drop(unsafe { Arc::from_raw(slot.inner.load(Relaxed)) });
        }
    }
}

/// What can be seen of a pool without knowing what it holds.
pub trait PoolView: Send + Sync {
    /// Buffers nobody holds; other threads may change it at once.
    fn free(&self) -> u32;
    /// Buffers in all.
    fn capacity(&self) -> u32;
    /// Most buffers that were ever in flight at the same time.
    fn high_water(&self) -> u32;
    /// Times a buffer was wanted and none was free.
    fn misses(&self) -> u64;
    /// Bytes of all buffers together.
    fn bytes(&self) -> u64;
}

struct View<S: Signal> {
    inner: Arc<Inner<S>>,
}

impl<S: Signal> PoolView for View<S> {
    fn free(&self) -> u32 {
        self.inner.free.free()
    }

    fn capacity(&self) -> u32 {
        self.inner.slots.len() as u32
    }

    fn high_water(&self) -> u32 {
        self.inner.free.high_water()
    }

    fn misses(&self) -> u64 {
        self.inner.misses.get()
    }

    fn bytes(&self) -> u64 {
        self.inner.data.len() as u64 * size_of::<Line<S::Elem>>() as u64
    }
}

/// One count in `Slot::refs`; returns the slot to its pool when it is the last.
struct Handle<S: Signal> {
    slot: NonNull<Slot<S>>,
}

// SAFETY: a handle gives `&Slot` as `Inner`, which is `Sync`, does, and keeps it alive as its protocol says.
unsafe impl<S: Signal> Send for Handle<S> {}
// SAFETY: as above.
unsafe impl<S: Signal> Sync for Handle<S> {}

impl<S: Signal> Handle<S> {
    fn slot(&self) -> &Slot<S> {
        // SAFETY: the shared count is given up when every slot is in the free list; ours is not while we are here.
        unsafe { self.slot.as_ref() }
    }

    fn body(&self) -> &Body<S> {
        // SAFETY: we hold a count, so the slot is not free; `&mut` would need the sole `Packet`, which we either are
        // (borrowed here as `&self`) or which cannot exist while a `Shared` does.
        self.slot().body.with(|body| unsafe { &*body })
    }

    fn inner(&self) -> &Inner<S> {
        // SAFETY: as in `slot`.
        unsafe { &*self.slot().inner.load(Relaxed) }
    }

    fn filled(&self) -> &[S::Elem] {
        let (body, inner) = (self.body(), self.inner());
        // A header can be written with any size.
        let frames = body.header.batch_size.min(inner.max_batch) as usize;
        // SAFETY: the slot has `max_batch * frame_len` values, which nobody writes while we hold a count, as for `body`.
        unsafe { std::slice::from_raw_parts(body.data.as_ptr(), frames * inner.frame_len) }
    }

    fn channel(&self, channel: usize) -> impl Iterator<Item = S::Elem> + '_ {
        let channels = usize::from(self.inner().channels);
        debug_assert!(self.inner().frame_len == channels, "a spectrum has no channel of samples");
        self.filled().iter().skip(channel).step_by(channels.max(1)).copied()
    }

    fn clone_count(&self) -> Self {
        // Relaxed: a new count is only ever made from a live one, which already orders us after the writer.
        self.slot().refs.fetch_add(1, Ordering::Relaxed);
        Self { slot: self.slot }
    }
}

impl<S: Signal> Drop for Handle<S> {
    fn drop(&mut self) {
        let refs = &self.slot().refs;
        // Acquire: who reads 1 is the only holder left, after the Release of all others, and only a holder could
        // raise it; the exchange is then saved. Release of the `fetch_sub`: our reads of the body come before the
        // count goes down; Acquire: the last one comes after all others.
        let is_last = refs.load(Ordering::Acquire) == 1 || refs.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last {
            let (index, outside) = (self.slot().index, self.slot().inner.load(Relaxed));
            if self.inner().free.door().give(index) {
                // SAFETY: the count was taken out in `MemoryPool::new`; the pool is gone and every slot is free, which
                // `give` says once, so that no handle is left to use it.
                drop(unsafe { Arc::from_raw(outside) });
            }
        }
    }
}

/// Sole owner of a pool buffer. Dropping it gives the buffer back.
pub struct Packet<S: Signal> {
    handle: Handle<S>,
}

/// One of several read-only owners of a pool buffer. Cloning copies a count, not samples.
pub struct Shared<S: Signal> {
    handle: Handle<S>,
}

impl<S: Signal> Packet<S> {
    /// What travels with the samples.
    pub fn header(&self) -> &PacketHeader {
        &self.handle.body().header
    }

    /// What travels with the samples, to be filled in.
    pub fn header_mut(&mut self) -> &mut PacketHeader {
        &mut self.body_mut().header
    }

    /// Frames that fit.
    pub fn max_batch(&self) -> u32 {
        self.handle.inner().max_batch
    }

    /// Sets the number of valid frames and gives room for them, to be overwritten.
    ///
    /// # Panics
    /// If `frames` is above [`max_batch`](Self::max_batch).
    pub fn frames_mut(&mut self, frames: u32) -> &mut [S::Elem] {
        let values = frames as usize * self.handle.inner().frame_len;
        assert!(frames <= self.max_batch(), "{frames} frames do not fit into a packet of {}", self.max_batch());
        let body = self.body_mut();
        body.header.batch_size = frames;
        // SAFETY: the slot has `max_batch * frame_len` values, which are ours alone as the body is.
        unsafe { std::slice::from_raw_parts_mut(body.data.as_ptr(), values) }
    }

    /// All valid values, frame by frame.
    pub fn samples(&self) -> &[S::Elem] {
        self.handle.filled()
    }

    /// All valid values, frame by frame.
    pub fn samples_mut(&mut self) -> &mut [S::Elem] {
        let frames = self.header().batch_size.min(self.max_batch());
        self.frames_mut(frames)
    }

    /// Samples of one channel in time order. Not for spectra.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = S::Elem> + '_ {
        self.handle.channel(channel)
    }

    /// Gives up write access so that several readers can hold the buffer.
    pub fn share(self) -> Shared<S> {
        Shared { handle: self.handle }
    }

    fn body_mut(&mut self) -> &mut Body<S> {
        // SAFETY: a `Packet` is the only handle to its slot and we borrow it mutably.
        self.handle.slot().body.with_mut(|body| unsafe { &mut *body })
    }
}

impl<S: Signal> Shared<S> {
    /// What travels with the samples.
    pub fn header(&self) -> &PacketHeader {
        &self.handle.body().header
    }

    /// All valid values, frame by frame.
    pub fn samples(&self) -> &[S::Elem] {
        self.handle.filled()
    }

    /// Samples of one channel in time order. Not for spectra.
    pub fn channel(&self, channel: usize) -> impl Iterator<Item = S::Elem> + '_ {
        self.handle.channel(channel)
    }

    /// The buffer back for writing in place.
    ///
    /// # Errors
    /// Gives the packet back while another reader holds it.
    pub fn try_unique(self) -> Result<Packet<S>, Self> {
        // Acquire, pairs with the Release in `Drop`: every past reader is done. A count of 1 is ours, and only a
        // holder can raise it, so it stays 1.
        if self.handle.slot().refs.load(Ordering::Acquire) == 1 {
            Ok(Packet { handle: self.handle })
        } else {
            Err(self)
        }
    }
}

impl<S: Signal> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone_count() }
    }
}

#[cfg(test)]
pub(crate) fn spec_of(max_batch: u32) -> StreamSpec {
    use crate::signal::{ChannelSpec, Rate, SignalKind};
    StreamSpec {
        kind: SignalKind::Physical,
        channels: [ChannelSpec::physical("c", "V")].into(),
        rate: Rate::new(1, 1).expect("positive"),
        max_batch,
        spectrum: None,
    }
}

#[cfg(all(test, wavedeck_loom))]
mod models;
#[cfg(all(test, not(wavedeck_loom)))]
mod tests;
