//! A lossy look at an output for displays: copies into its own small pool, off until someone looks.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crate::{
    pool::{MemoryPool, Packet},
    signal::{Physical, Signal, StreamSpec},
};

/// How many may look at once: a screen, and the port that remote clients share.
const SEATS: usize = 2;

/// The stage's end.
pub(crate) struct TapSender {
    /// Bits of the seats where someone looks.
    taken: Arc<AtomicU8>,
    seats: [SeatSender; SEATS],
}

struct SeatSender {
    missed: Arc<AtomicU64>,
    pool: MemoryPool<Physical>,
    ring: rtrb::Producer<Packet<Physical>>,
}

/// The runtime's end: hands out a [`Tap`] for each seat.
#[derive(Clone)]
pub struct TapSocket {
    taken: Arc<AtomicU8>,
    spec: StreamSpec,
    seats: Arc<[Seat; SEATS]>,
}

struct Seat {
    missed: Arc<AtomicU64>,
    /// While nobody looks.
    ring: Mutex<Option<rtrb::Consumer<Packet<Physical>>>>,
}

/// Someone looking at an output. Dropping it turns the copying off.
pub struct Tap {
    socket: TapSocket,
    seat: usize,
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
    let taken = Arc::new(AtomicU8::new(0));
    let ends: [(SeatSender, Seat); SEATS] = std::array::from_fn(|_| {
        let missed = Arc::new(AtomicU64::new(0));
        let (producer, consumer) = rtrb::RingBuffer::new(packets as usize);
        let sender = SeatSender { missed: missed.clone(), pool: MemoryPool::new(spec, packets), ring: producer };
        (sender, Seat { missed, ring: Mutex::new(Some(consumer)) })
    });
    let [(a, first), (b, second)] = ends;
    let sender = TapSender { taken: taken.clone(), seats: [a, b] };
    (sender, TapSocket { taken, spec: spec.clone(), seats: Arc::new([first, second]) })
}

impl TapSender {
    /// Copies a packet for whoever looks; one relaxed load when nobody does.
    #[inline]
    pub(crate) fn offer<S: Signal>(&mut self, packet: &Packet<S>) {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken != 0 {
            self.copy(packet, taken);
        }
    }

    #[cold]
    fn copy<S: Signal>(&mut self, packet: &Packet<S>, taken: u8) {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            if taken & (1 << index) != 0 {
                seat.copy(packet);
            }
        }
    }
}

impl SeatSender {
    fn copy<S: Signal>(&mut self, packet: &Packet<S>) {
        let header = *packet.header();
        let Some(mut copy) = self.pool.try_acquire() else {
            self.missed.fetch_add(u64::from(header.batch_size), Ordering::Relaxed);
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
    /// Starts looking, or `None` while as many others do as can.
    pub fn open(&self) -> Option<Tap> {
        let free = |(seat, of): (usize, &Seat)| {
            let ring = of.ring.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some((seat, ring))
        };
        let (seat, ring) = self.seats.iter().enumerate().find_map(free)?;
        self.taken.fetch_or(1 << seat, Ordering::Relaxed);
        Some(Tap { socket: self.clone(), seat, ring: Some(ring) })
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
        self.seat().missed.load(Ordering::Relaxed)
    }

    fn seat(&self) -> &Seat {
        &self.socket.seats[self.seat]
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.socket.taken.fetch_and(!(1 << self.seat), Ordering::Relaxed);
        if let Some(mut ring) = self.ring.take() {
            while ring.pop().is_ok() {}
            *self.seat().ring.lock().unwrap_or_else(PoisonError::into_inner) = Some(ring);
        }
    }
}
