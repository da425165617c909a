//! One edge of the graph: a bounded queue between two stages with a policy and counters.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crossbeam::queue::ArrayQueue;
use serde::{Deserialize, Serialize};

use crate::{bell::Bell, pool::Shared, signal::Signal};

/// What happens to a packet for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// The producer waits: nothing is lost here, data piles up before it. A realtime source cannot wait; what it
    /// could not hand on is counted as dropped.
    #[default]
    Block,
    /// The oldest packet makes room: for views, which want what is new.
    DropOldest,
    /// The new packet is dropped: what is queued stays whole.
    DropNewest,
}

/// Counters of one link. The producer writes `offered` and `dropped`, the consumer `consumed`; all only rise.
#[derive(Debug)]
pub struct LinkStats {
    /// `board.out -> volts.in`.
    pub id: Arc<str>,
    /// Packets that fit.
    pub capacity: u32,
    /// What happens when they do not.
    pub policy: Overflow,
    offered_packets: AtomicU64,
    offered_samples: AtomicU64,
    consumed_packets: AtomicU64,
    consumed_samples: AtomicU64,
    dropped_packets: AtomicU64,
    dropped_samples: AtomicU64,
    high_water: AtomicU32,
    /// The producer is gone: what is queued is all there will be.
    closed: AtomicBool,
    /// The consumer is gone: nothing will be taken any more.
    abandoned: AtomicBool,
}

/// What a link's counters read at one moment; `offered = consumed + dropped + in_flight` in packets and in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounts {
    /// Handed to the link.
    pub offered_packets: u64,
    /// Handed to the link.
    pub offered_samples: u64,
    /// Taken by the consumer.
    pub consumed_packets: u64,
    /// Taken by the consumer.
    pub consumed_samples: u64,
    /// Lost at this link.
    pub dropped_packets: u64,
    /// Lost at this link.
    pub dropped_samples: u64,
    /// Still queued.
    pub in_flight_packets: u64,
    /// Still queued.
    pub in_flight_samples: u64,
    /// Most packets that were ever queued.
    pub high_water: u32,
}

impl LinkStats {
    /// Counters at zero.
    pub fn new(id: Arc<str>, capacity: u32, policy: Overflow) -> Self {
        Self {
            id,
            capacity: capacity.max(1),
            policy,
            offered_packets: AtomicU64::new(0),
            offered_samples: AtomicU64::new(0),
            consumed_packets: AtomicU64::new(0),
            consumed_samples: AtomicU64::new(0),
            dropped_packets: AtomicU64::new(0),
            dropped_samples: AtomicU64::new(0),
            high_water: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Reads the counters. While packets move the parts may be a packet apart; at rest they agree exactly.
    pub fn counts(&self) -> LinkCounts {
        // Downstream first: what is read as consumed or dropped has been offered by the time that is read.
        let consumed = (self.consumed_packets.load(Ordering::Acquire), self.consumed_samples.load(Ordering::Acquire));
        let dropped = (self.dropped_packets.load(Ordering::Acquire), self.dropped_samples.load(Ordering::Acquire));
        let offered = (self.offered_packets.load(Ordering::Acquire), self.offered_samples.load(Ordering::Acquire));
        LinkCounts {
            offered_packets: offered.0,
            offered_samples: offered.1,
            consumed_packets: consumed.0,
            consumed_samples: consumed.1,
            dropped_packets: dropped.0,
            dropped_samples: dropped.1,
            in_flight_packets: offered.0.saturating_sub(consumed.0 + dropped.0),
            in_flight_samples: offered.1.saturating_sub(consumed.1 + dropped.1),
            high_water: self.high_water.load(Ordering::Relaxed),
        }
    }

    /// Packets queued now.
    pub fn depth(&self) -> u32 {
        // Acquire, pairs with the consumer's Release after its pop: a slot counted as free is free in the ring too.
        let consumed = self.consumed_packets.load(Ordering::Acquire);
        let dropped = self.dropped_packets.load(Ordering::Acquire);
        let offered = self.offered_packets.load(Ordering::Relaxed);
        u32::try_from(offered.saturating_sub(consumed + dropped)).unwrap_or(u32::MAX)
    }

    /// True if the next packet will not be refused. For the producer this stays true until it sends.
    pub fn has_room(&self) -> bool {
        self.policy != Overflow::Block || self.depth() < self.capacity || self.abandoned.load(Ordering::Relaxed)
    }

    fn offer(&self, samples: u64) {
        self.offered_samples.fetch_add(samples, Ordering::Relaxed);
        self.offered_packets.fetch_add(1, Ordering::Release);
    }

    fn consume(&self, samples: u64) {
        self.consumed_samples.fetch_add(samples, Ordering::Relaxed);
        // Release, pairs with `depth`.
        self.consumed_packets.fetch_add(1, Ordering::Release);
    }

    fn lose(&self, samples: u64) {
        self.dropped_samples.fetch_add(samples, Ordering::Relaxed);
        self.dropped_packets.fetch_add(1, Ordering::Release);
    }
}

enum SendQueue<S: Signal> {
    Ring(rtrb::Producer<Shared<S>>),
    Evicting(Arc<ArrayQueue<Shared<S>>>),
}

enum ReceiveQueue<S: Signal> {
    Ring(rtrb::Consumer<Shared<S>>),
    Evicting(Arc<ArrayQueue<Shared<S>>>),
}

/// The producer's end of a link. Dropping it closes the link: the consumer gets what is queued, then *closed*.
pub struct LinkSender<S: Signal> {
    queue: SendQueue<S>,
    stats: Arc<LinkStats>,
    consumer: Bell,
}

/// The consumer's end of a link. Dropping it counts what is queued as dropped.
pub struct LinkReceiver<S: Signal> {
    queue: ReceiveQueue<S>,
    stats: Arc<LinkStats>,
    /// Rung after a pop when the producer waits for room.
    producer: Option<Bell>,
}

/// Makes a link. `consumer` is rung after every packet; `producer` after every pop, for producers that wait.
pub fn link<S: Signal>(
    stats: Arc<LinkStats>,
    consumer: Bell,
    producer: Option<Bell>,
) -> (LinkSender<S>, LinkReceiver<S>) {
    let capacity = stats.capacity as usize;
    let (send, receive) = match stats.policy {
        Overflow::Block | Overflow::DropNewest => {
            let (sender, receiver) = rtrb::RingBuffer::new(capacity);
            (SendQueue::Ring(sender), ReceiveQueue::Ring(receiver))
        }
        // A ring's producer cannot pop, so evicting needs a queue that both ends may pop.
        Overflow::DropOldest => {
            let queue = Arc::new(ArrayQueue::new(capacity));
            (SendQueue::Evicting(queue.clone()), ReceiveQueue::Evicting(queue))
        }
    };
    let receiver = LinkReceiver { queue: receive, stats: stats.clone(), producer };
    (LinkSender { queue: send, stats, consumer }, receiver)
}

impl<S: Signal> LinkSender<S> {
    /// Passes a packet on. Never waits: what finds no room is dropped under the link's policy and counted.
    pub fn send(&mut self, packet: Shared<S>) {
        let stats = &*self.stats;
        let samples = u64::from(packet.header().batch_size);
        stats.offer(samples);
        if stats.abandoned.load(Ordering::Acquire) {
            stats.lose(samples);
            return;
        }
        match &mut self.queue {
            SendQueue::Ring(ring) => {
                if ring.push(packet).is_err() {
                    stats.lose(samples);
                    return;
                }
            }
            SendQueue::Evicting(queue) => {
                if let Some(oldest) = queue.force_push(packet) {
                    stats.lose(u64::from(oldest.header().batch_size));
                }
            }
        }
        stats.high_water.fetch_max(stats.depth().min(stats.capacity), Ordering::Relaxed);
        self.consumer.ring();
    }

    /// The link's counters.
    pub fn stats(&self) -> &Arc<LinkStats> {
        &self.stats
    }
}

impl<S: Signal> Drop for LinkSender<S> {
    fn drop(&mut self) {
        // Release, pairs with `receive`: every push comes before the close.
        self.stats.closed.store(true, Ordering::Release);
        self.consumer.ring();
    }
}

/// Outcome of a receive that does not wait.
pub enum Recv<T> {
    /// The next packet.
    Packet(T),
    /// Nothing now; a bell will ring.
    Empty,
    /// Nothing, and nothing will come.
    Closed,
}

impl<S: Signal> LinkReceiver<S> {
    /// Takes the next packet. Never waits.
    pub fn receive(&mut self) -> Recv<Shared<S>> {
        // *Closed* is read before the pop: a close seen here means that every push is visible to the pop.
        let closed = self.stats.closed.load(Ordering::Acquire);
        match self.pop() {
            Some(packet) => {
                self.stats.consume(u64::from(packet.header().batch_size));
                if let Some(producer) = &self.producer {
                    producer.ring();
                }
                Recv::Packet(packet)
            }
            None if closed => Recv::Closed,
            None => Recv::Empty,
        }
    }

    /// The link's counters.
    pub fn stats(&self) -> &Arc<LinkStats> {
        &self.stats
    }

    fn pop(&mut self) -> Option<Shared<S>> {
        match &mut self.queue {
            ReceiveQueue::Ring(ring) => ring.pop().ok(),
            ReceiveQueue::Evicting(queue) => queue.pop(),
        }
    }
}

impl<S: Signal> Drop for LinkReceiver<S> {
    fn drop(&mut self) {
        // A packet pushed between this store and the drain's end stays in the ring, in flight, until the producer
        // ends too; the producer counts every later one as dropped.
        self.stats.abandoned.store(true, Ordering::Release);
        while let Some(packet) = self.pop() {
            self.stats.lose(u64::from(packet.header().batch_size));
        }
        if let Some(producer) = &self.producer {
            producer.ring();
        }
    }
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests {
    use super::*;
    use crate::{
        pool::{MemoryPool, PoolView},
        signal::{ChannelSpec, Counts, Rate, SignalKind, StreamSpec},
    };

    fn pool(packets: u32) -> MemoryPool<Counts> {
        let spec = StreamSpec {
            kind: SignalKind::Counts,
            channels: [ChannelSpec::counts("a", "uV", 1.0)].into(),
            rate: Rate::new(1, 1).expect("positive"),
            max_batch: 1,
            spectrum: None,
        };
        MemoryPool::new(&spec, packets)
    }

    fn filled(pool: &MemoryPool<Counts>, value: i32) -> Shared<Counts> {
        let mut packet = pool.try_acquire().expect("free");
        packet.frames_mut(1)[0] = value;
        packet.share()
    }

    fn make(capacity: u32, policy: Overflow) -> (LinkSender<Counts>, LinkReceiver<Counts>, Arc<LinkStats>) {
        let stats = Arc::new(LinkStats::new("a.out -> b.in".into(), capacity, policy));
        let (sender, receiver) = link(stats.clone(), Bell::new(), None);
        (sender, receiver, stats)
    }

    fn drain(receiver: &mut LinkReceiver<Counts>) -> Vec<i32> {
        let mut values = Vec::new();
        while let Recv::Packet(packet) = receiver.receive() {
            values.push(packet.samples()[0]);
        }
        values
    }

    #[test]
    fn a_full_link_drops_the_newest_and_counts_it() {
        let pool = pool(8);
        let (mut sender, mut receiver, stats) = make(2, Overflow::DropNewest);
        (1..=4).for_each(|v| sender.send(filled(&pool, v)));
        assert_eq!(drain(&mut receiver), [1, 2]);
        let counts = stats.counts();
        assert_eq!((counts.offered_packets, counts.consumed_packets, counts.dropped_packets), (4, 2, 2));
        assert_eq!(counts.high_water, 2);
    }

    #[test]
    fn a_full_link_drops_the_oldest_and_counts_it() {
        let pool = pool(8);
        let (mut sender, mut receiver, stats) = make(2, Overflow::DropOldest);
        (1..=4).for_each(|v| sender.send(filled(&pool, v)));
        assert_eq!(drain(&mut receiver), [3, 4]);
        assert_eq!(stats.counts().dropped_samples, 2);
    }

    #[test]
    fn a_closed_link_hands_out_what_is_queued_first() {
        let pool = pool(8);
        let (mut sender, mut receiver, _stats) = make(4, Overflow::Block);
        sender.send(filled(&pool, 7));
        drop(sender);
        assert_eq!(drain(&mut receiver), [7]);
        assert!(matches!(receiver.receive(), Recv::Closed));
    }

    #[test]
    fn a_consumer_that_leaves_gives_every_buffer_back() {
        let pool = pool(4);
        let (mut sender, receiver, stats) = make(4, Overflow::Block);
        (1..=3).for_each(|v| sender.send(filled(&pool, v)));
        drop(receiver);
        assert!(stats.has_room());
        sender.send(filled(&pool, 4));
        assert_eq!(pool.free(), 4);
        let counts = stats.counts();
        assert_eq!((counts.dropped_packets, counts.in_flight_packets), (4, 0));
    }

    #[test]
    fn room_seen_by_the_producer_is_room_in_the_ring() {
        const PACKETS: i32 = if cfg!(miri) { 100 } else { 50_000 };
        let pool = pool(8);
        let (mut sender, mut receiver, stats) = make(3, Overflow::Block);
        let consumer = std::thread::spawn(move || {
            let mut next = 0;
            loop {
                match receiver.receive() {
                    Recv::Packet(packet) => {
                        assert_eq!(packet.samples()[0], next);
                        next += 1;
                    }
                    Recv::Empty => std::thread::yield_now(),
                    Recv::Closed => return next,
                }
            }
        });
        let mut sent = 0;
        while sent < PACKETS {
            if stats.has_room() {
                sender.send(filled(&pool, sent));
                sent += 1;
            } else {
                std::thread::yield_now();
            }
        }
        drop(sender);
        assert_eq!(consumer.join().expect("no panic"), PACKETS);
        assert_eq!(stats.counts().dropped_packets, 0);
        assert_eq!(pool.free(), 8);
    }
}
