//! One edge of the graph: a bounded queue between two stages with a policy and counters.
use std::sync::Arc;

use crossbeam::utils::CachePadded;
use serde::{Deserialize, Serialize};

use crate::{
    count::Count,
    pool::Shared,
    queue::{ArrayQueue, Consumer, Producer, PushError, ring},
    signal::Signal,
    sync::{AtomicBool, AtomicU64, Ordering},
};

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

/// Counters of one link. Each end writes its own; all only rise.
#[derive(Debug)]
pub struct LinkStats {
    /// `board.out -> volts.in`.
    pub id: Arc<str>,
    /// Packets that fit.
    pub capacity: u32,
    /// What happens when they do not.
    pub policy: Overflow,
    producer: CachePadded<ProducerSide>,
    consumer: CachePadded<ConsumerSide>,
    ends: CachePadded<Ends>,
}

/// Written by the producer.
#[derive(Debug, Default)]
struct ProducerSide {
    offered: Tally,
    dropped: Tally,
    high_water: Count,
}

/// Written by the consumer.
#[derive(Debug)]
struct ConsumerSide {
    consumed_samples: Count,
    /// Packets taken; also tells the producer of room.
    consumed_packets: AtomicU64,
    /// Queued when the consumer left.
    left: Tally,
}

/// Read for every packet and written once: apart from the counters, which change the cache line they are in.
#[derive(Debug)]
struct Ends {
    /// What is queued is all there will be: the producer is gone or was given up.
    closed: AtomicBool,
    /// The consumer is gone or was given up: nothing that comes now will be taken.
    abandoned: AtomicBool,
    /// One of the ends is gone; the other accounts for what is still queued when it goes.
    one_left: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    packets: Count,
    samples: Count,
}

impl Tally {
    #[inline]
    fn add(&self, packets: u64, samples: u64) {
        // Samples first: who sees the packet sees its samples counted.
        self.samples.add(samples);
        self.packets.add(packets);
    }
}

/// What a link's counters read at one moment; `offered = consumed + dropped + in_flight` in packets and in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
        let consumer = ConsumerSide {
            consumed_samples: Count::default(),
            consumed_packets: AtomicU64::new(0),
            left: Tally::default(),
        };
        let ends = Ends {
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            one_left: AtomicBool::new(false),
        };
        Self {
            id,
            capacity: capacity.max(1),
            policy,
            producer: CachePadded::new(ProducerSide::default()),
            consumer: CachePadded::new(consumer),
            ends: CachePadded::new(ends),
        }
    }

    /// Reads the counters. While packets move the parts may be a packet apart; at rest they agree exactly.
    pub fn counts(&self) -> LinkCounts {
        let (producer, consumer) = (&*self.producer, &*self.consumer);
        // Downstream first: what is read as consumed or dropped has been offered by the time that is read. Acquire,
        // pairs with the Release in `receive`.
        let consumed = (consumer.consumed_packets.load(Ordering::Acquire), consumer.consumed_samples.get());
        let left = (consumer.left.packets.get(), consumer.left.samples.get());
        let dropped = (producer.dropped.packets.get() + left.0, producer.dropped.samples.get() + left.1);
        let offered = (producer.offered.packets.get(), producer.offered.samples.get());
        LinkCounts {
            offered_packets: offered.0,
            offered_samples: offered.1,
            consumed_packets: consumed.0,
            consumed_samples: consumed.1,
            dropped_packets: dropped.0,
            dropped_samples: dropped.1,
            in_flight_packets: offered.0.saturating_sub(consumed.0 + dropped.0),
            in_flight_samples: offered.1.saturating_sub(consumed.1 + dropped.1),
            high_water: u32::try_from(producer.high_water.get()).unwrap_or(u32::MAX),
        }
    }

    /// Packets the consumer has taken, in this way or that.
    #[inline]
    fn taken(&self) -> u64 {
        // Acquire, pairs with the Release in `receive` after its pop: a slot counted as free is free in the ring too.
        self.consumer.consumed_packets.load(Ordering::Acquire) + self.consumer.left.packets.get()
    }

    /// Packets that will not be refused. For the producer there is at least as much room until it sends.
    #[inline]
    pub fn room(&self) -> u32 {
        if self.policy != Overflow::Block || self.ends.abandoned.load(Ordering::Relaxed) {
            return u32::MAX;
        }
        self.capacity.saturating_sub(self.depth())
    }

    /// True if the producer will send nothing more.
    pub fn is_closed(&self) -> bool {
        // Acquire, as in `receive`.
        self.ends.closed.load(Ordering::Acquire)
    }

    /// Gives up a producer that does not come back: the consumer takes what is queued, then sees the end. Whatever
    /// the producer sends later is counted as dropped. Wakes nobody.
    pub fn close(&self) {
        // Release, pairs with `receive`.
        self.ends.closed.store(true, Ordering::Release);
    }

    /// Gives up a consumer that does not come back: the producer finds room and goes on, and whatever it sends is
    /// counted as dropped. What is queued already stays in flight until the consumer leaves. Wakes nobody.
    pub fn abandon(&self) {
        // Relaxed: what slips in before it is seen is accounted for by the end that leaves last.
        self.ends.abandoned.store(true, Ordering::Relaxed);
    }

    /// Packets queued now; for the producer there are at most as many until it sends.
    pub fn depth(&self) -> u32 {
        // Downstream first: what was taken has been offered by the time that is read.
        let taken = self.taken() + self.producer.dropped.packets.get();
        u32::try_from(self.producer.offered.packets.get().saturating_sub(taken)).unwrap_or(u32::MAX)
    }
}

enum SendQueue<S: Signal> {
    Ring(Producer<Shared<S>>),
    Evicting(Arc<ArrayQueue<Shared<S>>>),
}

enum ReceiveQueue<S: Signal> {
    Ring(Consumer<Shared<S>>),
    Evicting(Arc<ArrayQueue<Shared<S>>>),
}

/// The producer's end of a link. Dropping it closes the link: the consumer gets what is queued, then *closed*.
pub struct LinkSender<S: Signal> {
    queue: SendQueue<S>,
    stats: Arc<LinkStats>,
    /// Packets that went into the queue and were not dropped from it since.
    queued: u64,
    /// `queued` at which the queue may be fuller than it ever was: with `high_water` packets that the consumer had not
    /// taken when we last looked. Its counter is in the cache of another processor.
    look_at: u64,
    high_water: u32,
}

/// The consumer's end of a link. Dropping it counts what is queued as dropped.
pub struct LinkReceiver<S: Signal> {
    queue: ReceiveQueue<S>,
    stats: Arc<LinkStats>,
}

/// Makes a link. Nobody is woken by it: the workers at its ends ring each other's bells.
pub fn link<S: Signal>(stats: Arc<LinkStats>) -> (LinkSender<S>, LinkReceiver<S>) {
    let capacity = stats.capacity as usize;
    let (send, receive) = match stats.policy {
        Overflow::Block | Overflow::DropNewest => {
            let (sender, receiver) = ring(capacity);
            (SendQueue::Ring(sender), ReceiveQueue::Ring(receiver))
        }
        // A ring's producer cannot pop, so evicting needs a queue that both ends may pop.
        Overflow::DropOldest => {
            let queue = Arc::new(ArrayQueue::new(capacity));
            (SendQueue::Evicting(queue.clone()), ReceiveQueue::Evicting(queue))
        }
    };
    let receiver = LinkReceiver { queue: receive, stats: stats.clone() };
    (LinkSender { queue: send, stats, queued: 0, look_at: 0, high_water: 0 }, receiver)
}

impl<S: Signal> LinkSender<S> {
    /// Passes a packet on. Never waits: what finds no room is dropped under the link's policy and counted.
    #[inline]
    pub fn send(&mut self, packet: Shared<S>) {
        let samples = u64::from(packet.header().batch_size);
        self.stats.producer.offered.add(1, samples);
        // Relaxed: what slips in before it is seen is accounted for by the end that leaves last.
        let ends = &*self.stats.ends;
        if ends.abandoned.load(Ordering::Relaxed) || ends.closed.load(Ordering::Relaxed) {
            return self.refuse(packet);
        }
        match &mut self.queue {
            SendQueue::Ring(ring) => {
                if let Err(PushError::Full(packet)) = ring.push(packet) {
                    return self.refuse(packet);
                }
                self.queued += 1;
            }
            SendQueue::Evicting(_) => self.push_evicting(packet),
        }
        if self.queued > self.look_at {
            self.note_depth();
        }
    }

    // Out of line, so that the way of nearly every packet stays short.
    #[cold]
    fn refuse(&mut self, packet: Shared<S>) {
        self.stats.producer.dropped.add(1, u64::from(packet.header().batch_size));
    }

    #[inline(never)]
    fn push_evicting(&mut self, packet: Shared<S>) {
        let SendQueue::Evicting(queue) = &mut self.queue else { return };
        match queue.force_push(packet) {
            Some(oldest) => self.refuse(oldest),
            None => self.queued += 1,
        }
    }

    /// Keeps the high-water mark.
    #[cold]
    fn note_depth(&mut self) {
        let stats = &*self.stats;
        let taken = stats.taken();
        let depth = self.queued.saturating_sub(taken).min(u64::from(stats.capacity)) as u32;
        if depth > self.high_water {
            self.high_water = depth;
            stats.producer.high_water.set(u64::from(depth));
        }
        self.look_at = taken + u64::from(self.high_water);
    }

    /// The link's counters.
    pub fn stats(&self) -> &Arc<LinkStats> {
        &self.stats
    }
}

impl<S: Signal> Drop for LinkSender<S> {
    fn drop(&mut self) {
        let stats = &*self.stats;
        // Release, pairs with `receive`: every push comes before the close.
        stats.ends.closed.store(true, Ordering::Release);
        // Both: of two ends that leave at once the second sees all that the first did.
        if stats.ends.one_left.swap(true, Ordering::AcqRel) {
            // What was pushed while the consumer left is in the ring, and nobody will take it.
            let rest = stats.counts();
            stats.producer.dropped.add(rest.in_flight_packets, rest.in_flight_samples);
        }
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
    #[inline]
    pub fn receive(&mut self) -> Recv<Shared<S>> {
        // *Closed* is read before the pop. Acquire, pairs with the Release of the close: a close seen here means that
        // every push is visible to the pop.
        let closed = self.stats.ends.closed.load(Ordering::Acquire);
        match self.pop() {
            Some(packet) => {
                let consumer = &*self.stats.consumer;
                consumer.consumed_samples.add(u64::from(packet.header().batch_size));
                let packets = consumer.consumed_packets.load(Ordering::Relaxed) + 1;
                // Release, pairs with `taken` and `counts`.
                consumer.consumed_packets.store(packets, Ordering::Release);
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

    #[inline]
    fn pop(&mut self) -> Option<Shared<S>> {
        match &mut self.queue {
            ReceiveQueue::Ring(ring) => ring.pop().ok(),
            ReceiveQueue::Evicting(queue) => Self::pop_evicting(queue),
        }
    }

    #[inline(never)]
    fn pop_evicting(queue: &ArrayQueue<Shared<S>>) -> Option<Shared<S>> {
        queue.pop()
    }

    fn let_go(&mut self) {
        while let Some(packet) = self.pop() {
            self.stats.consumer.left.add(1, u64::from(packet.header().batch_size));
        }
    }
}

impl<S: Signal> Drop for LinkReceiver<S> {
    fn drop(&mut self) {
        // Relaxed: a hint that saves the producer pushes; `one_left` is what counts.
        self.stats.ends.abandoned.store(true, Ordering::Relaxed);
        self.let_go();
        // Both: of two ends that leave at once the second sees all that the first did.
        if self.stats.ends.one_left.swap(true, Ordering::AcqRel) {
            self.let_go();
        }
    }
}

#[cfg(all(test, wavedeck_loom))]
mod models;
#[cfg(all(test, not(wavedeck_loom)))]
mod tests;
