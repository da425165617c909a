//! A stream that a stage publishes: its newest packets, exact, in a queue of their own, for one reader outside the plane.
//!
//! Nothing is copied while nobody reads. A reader that is too slow misses the oldest packets, counted; it can never
//! hold up the stage.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crossbeam::queue::ArrayQueue;

use crate::{
    packet::PacketHeader,
    pool::{MemoryPool, Packet, Shared},
    port::AnyPacket,
    signal::{Counts, Physical, Signal, SignalKind, Spectrum, StreamSpec, Values},
};

/// Most packets that a publication may hold.
pub const MOST_PACKETS: u32 = 10_000;

/// The outside's end: hands out one [`PublicationReader`] at a time.
#[derive(Clone)]
pub struct Publication {
    shared: Arc<Queued>,
}

struct Queued {
    name: Arc<str>,
    spec: StreamSpec,
    is_read: AtomicBool,
    dropped: AtomicU64,
    queue: Queue,
}

enum Queue {
    Counts(ArrayQueue<Packet<Counts>>),
    Physical(ArrayQueue<Packet<Physical>>),
    Spectrum(ArrayQueue<Packet<Spectrum>>),
}

enum Pool {
    Counts(MemoryPool<Counts>),
    Physical(MemoryPool<Physical>),
    Spectrum(MemoryPool<Spectrum>),
}

/// The stage's end.
pub struct Publisher {
    shared: Arc<Queued>,
    pool: Pool,
}

/// Someone reading a publication. Dropping it turns the copying off.
pub struct PublicationReader {
    shared: Arc<Queued>,
}

pub(crate) fn publication(name: &str, spec: &StreamSpec, packets: u32) -> (Publisher, Publication) {
    let packets = packets.clamp(1, MOST_PACKETS);
    // One is being read, one being written.
    let buffers = packets + 2;
    let room = packets as usize;
    let (pool, queue) = match spec.kind {
        SignalKind::Counts => (Pool::Counts(MemoryPool::new(spec, buffers)), Queue::Counts(ArrayQueue::new(room))),
        SignalKind::Physical => {
            (Pool::Physical(MemoryPool::new(spec, buffers)), Queue::Physical(ArrayQueue::new(room)))
        }
        SignalKind::Spectrum => {
            (Pool::Spectrum(MemoryPool::new(spec, buffers)), Queue::Spectrum(ArrayQueue::new(room)))
        }
    };
    let (is_read, dropped) = (AtomicBool::new(false), AtomicU64::new(0));
    let shared = Arc::new(Queued { name: name.into(), spec: spec.clone(), is_read, dropped, queue });
    (Publisher { shared: Arc::clone(&shared), pool }, Publication { shared })
}

impl Publisher {
    /// Copies a packet for whoever reads; the oldest goes where there is no room. One relaxed load when nobody reads.
    pub fn send(&mut self, packet: &AnyPacket) {
        if !self.shared.is_read.load(Ordering::Relaxed) {
            return;
        }
        let dropped = match (&mut self.pool, &self.shared.queue, packet) {
            (Pool::Counts(pool), Queue::Counts(queue), AnyPacket::Counts(packet)) => copy(pool, queue, packet),
            (Pool::Physical(pool), Queue::Physical(queue), AnyPacket::Physical(packet)) => copy(pool, queue, packet),
            (Pool::Spectrum(pool), Queue::Spectrum(queue), AnyPacket::Spectrum(packet)) => copy(pool, queue, packet),
            // A link carries one kind, that of the spec.
            _ => 0,
        };
        if dropped > 0 {
            self.shared.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

/// Copies a packet into the queue; samples that had to go for it.
fn copy<S: Signal>(pool: &mut MemoryPool<S>, queue: &ArrayQueue<Packet<S>>, packet: &Shared<S>) -> u64 {
    let header = *packet.header();
    let Some(mut copy) = pool.try_acquire() else { return u64::from(header.batch_size) };
    copy.frames_mut(header.batch_size).copy_from_slice(packet.samples());
    *copy.header_mut() = header;
    queue.force_push(copy).map_or(0, |oldest| u64::from(oldest.header().batch_size))
}

impl Publication {
    /// What it is called.
    pub fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// Shape of the stream.
    pub fn spec(&self) -> &StreamSpec {
        &self.shared.spec
    }

    /// Packets that wait, and that fit.
    pub fn fill(&self) -> (usize, usize) {
        match &self.shared.queue {
            Queue::Counts(queue) => (queue.len(), queue.capacity()),
            Queue::Physical(queue) => (queue.len(), queue.capacity()),
            Queue::Spectrum(queue) => (queue.len(), queue.capacity()),
        }
    }

    /// Samples that went because the reader was too slow.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Starts reading, or `None` while someone else does.
    pub fn open(&self) -> Option<PublicationReader> {
        let was_read = self.shared.is_read.swap(true, Ordering::Relaxed);
        (!was_read).then(|| PublicationReader { shared: Arc::clone(&self.shared) })
    }
}

impl PublicationReader {
    /// Hands over the next packet. False if there is none.
    pub fn next(&mut self, take: impl FnOnce(&PacketHeader, Values<'_>)) -> bool {
        match &self.shared.queue {
            Queue::Counts(queue) => {
                queue.pop().map(|packet| take(packet.header(), Values::Counts(packet.samples()))).is_some()
            }
            Queue::Physical(queue) => {
                queue.pop().map(|packet| take(packet.header(), Values::Floats(packet.samples()))).is_some()
            }
            Queue::Spectrum(queue) => {
                queue.pop().map(|packet| take(packet.header(), Values::Floats(packet.samples()))).is_some()
            }
        }
    }

    /// Samples that went because nobody read them in time.
    pub fn missed(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for PublicationReader {
    fn drop(&mut self) {
        self.shared.is_read.store(false, Ordering::Relaxed);
        while self.next(|_, _| {}) {}
    }
}
