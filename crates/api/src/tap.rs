//! A lossy look at an output for displays: copies into its own small pool, off until someone looks.
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crate::{
    packet::PacketHeader,
    pool::{MemoryPool, Packet},
    signal::{Signal, StreamSpec, Values},
};

/// How many may look at once: a screen, and the port that remote clients share.
const SEATS: usize = 2;

/// The stage's end.
pub(crate) struct TapSender<S: Signal> {
    /// Bits of the seats where someone looks.
    taken: Arc<AtomicU8>,
    seats: [SeatSender<S>; SEATS],
}

struct SeatSender<S: Signal> {
    missed: Arc<AtomicU64>,
    pool: MemoryPool<S>,
    ring: rtrb::Producer<Packet<S>>,
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
    ring: Mutex<Option<Box<dyn Ring>>>,
}

/// Copies of packets of one kind.
trait Ring: Send {
    /// Hands over the next one. False if there is none.
    fn next(&mut self, take: &mut dyn FnMut(&PacketHeader, Values<'_>)) -> bool;
}

impl<S: Signal> Ring for rtrb::Consumer<Packet<S>> {
    fn next(&mut self, take: &mut dyn FnMut(&PacketHeader, Values<'_>)) -> bool {
        let Ok(packet) = self.pop() else { return false };
        take(packet.header(), S::values(packet.samples()));
        true
    }
}

/// Someone looking at an output. Dropping it turns the copying off.
pub struct Tap {
    socket: TapSocket,
    seat: usize,
    ring: Option<Box<dyn Ring>>,
    /// For counts that are wanted as floats.
    room: Vec<f32>,
}

/// Packets a tap holds: 16 s, since a replay may send that in passing, at least 8, at most 1024, and at most 8 MiB but
/// for the least. What is never needed is never touched.
fn tap_packets(spec: &StreamSpec) -> u32 {
    let wanted = (16.0 / spec.batch_period_s()).ceil().clamp(8.0, 1024.0) as u32;
    let affordable = (8 << 20) / spec.packet_bytes().max(1);
    wanted.min(u32::try_from(affordable).unwrap_or(u32::MAX)).max(4)
}

pub(crate) fn tap<S: Signal>(spec: &StreamSpec) -> (TapSender<S>, TapSocket) {
    let packets = tap_packets(spec);
    let taken = Arc::new(AtomicU8::new(0));
    let ends: [(SeatSender<S>, Seat); SEATS] = std::array::from_fn(|_| {
        let missed = Arc::new(AtomicU64::new(0));
        let (producer, consumer) = rtrb::RingBuffer::new(packets as usize);
        let sender = SeatSender { missed: missed.clone(), pool: MemoryPool::new(spec, packets), ring: producer };
        (sender, Seat { missed, ring: Mutex::new(Some(Box::new(consumer))) })
    });
    let [(a, first), (b, second)] = ends;
    let sender = TapSender { taken: taken.clone(), seats: [a, b] };
    (sender, TapSocket { taken, spec: spec.clone(), seats: Arc::new([first, second]) })
}

impl<S: Signal> TapSender<S> {
    /// Copies a packet for whoever looks; one relaxed load when nobody does.
    #[inline]
    pub(crate) fn offer(&mut self, packet: &Packet<S>) {
        let taken = self.taken.load(Ordering::Relaxed);
        if taken != 0 {
            self.copy(packet, taken);
        }
    }

    #[cold]
    fn copy(&mut self, packet: &Packet<S>, taken: u8) {
        for (index, seat) in self.seats.iter_mut().enumerate() {
            if taken & (1 << index) != 0 {
                seat.copy(packet);
            }
        }
    }
}

impl<S: Signal> SeatSender<S> {
    fn copy(&mut self, packet: &Packet<S>) {
        let header = *packet.header();
        let Some(mut copy) = self.pool.try_acquire() else {
            self.missed.fetch_add(u64::from(header.batch_size), Ordering::Relaxed);
            return;
        };
        copy.frames_mut(header.batch_size).copy_from_slice(packet.samples());
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
        Some(Tap { socket: self.clone(), seat, ring: Some(ring), room: Vec::new() })
    }
}

impl Tap {
    /// Shape of what is seen.
    pub fn spec(&self) -> &StreamSpec {
        &self.socket.spec
    }

    /// Hands over the next packet that was copied, exact. False if there is none.
    pub fn next(&mut self, mut take: impl FnMut(&PacketHeader, Values<'_>)) -> bool {
        self.ring.as_mut().is_some_and(|ring| ring.next(&mut take))
    }

    /// The same with all values as floats, which hold counts of 24 bits.
    pub fn next_floats(&mut self, mut take: impl FnMut(&PacketHeader, &[f32])) -> bool {
        let Self { ring, room, .. } = self;
        let mut take = |header: &PacketHeader, values: Values<'_>| take(header, values.floats(room));
        ring.as_mut().is_some_and(|ring| ring.next(&mut take))
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
            while ring.next(&mut |_, _| {}) {}
            *self.seat().ring.lock().unwrap_or_else(PoisonError::into_inner) = Some(ring);
        }
    }
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests {
    use super::*;
    use crate::signal::{ChannelSpec, Counts, Rate, SignalKind};

    #[test]
    fn counts_of_32_bits_are_seen_as_they_are_and_rounded_only_as_floats() {
        let spec = StreamSpec {
            kind: SignalKind::Counts,
            channels: [ChannelSpec::counts("a", "uV", 1.0)].into(),
            rate: Rate::new(250, 1).expect("positive"),
            max_batch: 4,
            spectrum: None,
        };
        let (mut sender, socket) = tap::<Counts>(&spec);
        let mut tap = socket.open().expect("a seat");
        let counts = [i32::MAX, i32::MIN, 16_777_217, -3];
        let mut pool = MemoryPool::<Counts>::new(&spec, 1);
        let mut packet = pool.try_acquire().expect("a buffer");
        packet.frames_mut(4).copy_from_slice(&counts);
        sender.offer(&packet);
        sender.offer(&packet);

        assert!(tap.next(|_, values| assert_eq!(values, Values::Counts(&counts))));
        assert!(tap.next_floats(|_, values| assert_eq!(values, counts.map(|count| count as f32))));
        assert!(!tap.next(|_, _| {}));
    }
}
