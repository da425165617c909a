//! A lossy look at an output for displays: copies into its own small pool, off until someone looks.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    pool::{MemoryPool, Packet},
    signal::{Physical, Signal, StreamSpec},
};

/// The stage's end.
pub(crate) struct TapSender {
    shared: Arc<TapShared>,
    pool: MemoryPool<Physical>,
    ring: rtrb::Producer<Packet<Physical>>,
}

struct TapShared {
    on: AtomicBool,
    missed: AtomicU64,
}

/// The runtime's end: hands out one [`Tap`] at a time.
#[derive(Clone)]
pub struct TapSocket {
    shared: Arc<TapShared>,
    spec: StreamSpec,
    ring: Arc<Mutex<Option<rtrb::Consumer<Packet<Physical>>>>>,
}

/// Someone looking at an output. Dropping it turns the copying off.
pub struct Tap {
    socket: TapSocket,
    ring: Option<rtrb::Consumer<Packet<Physical>>>,
}

/// Packets a tap holds: 16 s, since a replay may send that in passing, at least 8, at most 1024, and at most 8 MiB but
/// for the least. What is never needed is never touched.
fn tap_packets(spec: &StreamSpec) -> u32 {
    let wanted = (16.0 / spec.batch_period_s()).ceil().clamp(8.0, 1024.0) as u32;
    let affordable = (8 << 20) / spec.packet_bytes().max(1);
    wanted.min(u32::try_from(affordable).unwrap_or(u32::MAX)).max(4)
}

pub(crate) fn tap(spec: &StreamSpec) -> (TapSender, TapSocket) {
    let packets = tap_packets(spec);
    let shared = Arc::new(TapShared { on: AtomicBool::new(false), missed: AtomicU64::new(0) });
    let (producer, consumer) = rtrb::RingBuffer::new(packets as usize);
    let sender = TapSender { shared: shared.clone(), pool: MemoryPool::new(spec, packets), ring: producer };
    (sender, TapSocket { shared, spec: spec.clone(), ring: Arc::new(Mutex::new(Some(consumer))) })
}

impl TapSender {
    /// Copies a packet for whoever looks; one relaxed load when nobody does.
    #[inline]
    pub(crate) fn offer<S: Signal>(&mut self, packet: &Packet<S>) {
        if self.shared.on.load(Ordering::Relaxed) {
            self.copy(packet);
        }
    }

    #[cold]
    fn copy<S: Signal>(&mut self, packet: &Packet<S>) {
        let header = *packet.header();
        let Some(mut copy) = self.pool.try_acquire() else {
            self.shared.missed.fetch_add(u64::from(header.batch_size), Ordering::Relaxed);
            return;
        };
        for (to, from) in copy.frames_mut(header.batch_size).iter_mut().zip(packet.samples()) {
            *to = S::view(*from);
        }
        *copy.header_mut() = header;
        // The ring holds every buffer of the pool, so a buffer in hand has room.
        let _ = self.ring.push(copy);
    }
}

impl TapSocket {
    /// Starts looking, or `None` while someone else does.
    pub fn open(&self) -> Option<Tap> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.shared.on.store(true, Ordering::Relaxed);
        Some(Tap { socket: self.clone(), ring: Some(ring) })
    }
}

impl Tap {
    /// Shape of what is seen; values are counts where the output's kind is counts.
    pub fn spec(&self) -> &StreamSpec {
        &self.socket.spec
    }

    /// The next packet that was copied.
    pub fn next_packet(&mut self) -> Option<Packet<Physical>> {
        self.ring.as_mut()?.pop().ok()
    }

    /// Samples that were not copied because nobody came to look in time. Display only: nothing else lost them.
    pub fn missed(&self) -> u64 {
        self.socket.shared.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.socket.shared.on.store(false, Ordering::Relaxed);
        if let Some(mut ring) = self.ring.take() {
            while ring.pop().is_ok() {}
            *self.socket.ring.lock().unwrap_or_else(PoisonError::into_inner) = Some(ring);
        }
    }
}
