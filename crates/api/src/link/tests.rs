//! A link by itself and between threads.
use super::*;
use crate::{
    pool::MemoryPool,
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

fn filled(pool: &mut MemoryPool<Counts>, value: i32) -> Shared<Counts> {
    let mut packet = pool.try_acquire().expect("free");
    packet.frames_mut(1)[0] = value;
    packet.share()
}

fn make(capacity: u32, policy: Overflow) -> (LinkSender<Counts>, LinkReceiver<Counts>, Arc<LinkStats>) {
    let stats = Arc::new(LinkStats::new("a.out -> b.in".into(), capacity, policy));
    let (sender, receiver) = link(stats.clone());
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
    let mut pool = pool(8);
    let (mut sender, mut receiver, stats) = make(2, Overflow::DropNewest);
    (1..=4).for_each(|v| sender.send(filled(&mut pool, v)));
    assert_eq!(drain(&mut receiver), [1, 2]);
    let counts = stats.counts();
    assert_eq!((counts.offered_packets, counts.consumed_packets, counts.dropped_packets), (4, 2, 2));
    assert_eq!(counts.high_water, 2);
}

#[test]
fn a_full_link_drops_the_oldest_and_counts_it() {
    let mut pool = pool(8);
    let (mut sender, mut receiver, stats) = make(2, Overflow::DropOldest);
    (1..=4).for_each(|v| sender.send(filled(&mut pool, v)));
    assert_eq!(drain(&mut receiver), [3, 4]);
    assert_eq!(stats.counts().dropped_samples, 2);
}

#[test]
fn a_closed_link_hands_out_what_is_queued_first() {
    let mut pool = pool(8);
    let (mut sender, mut receiver, _stats) = make(4, Overflow::Block);
    sender.send(filled(&mut pool, 7));
    drop(sender);
    assert_eq!(drain(&mut receiver), [7]);
    assert!(matches!(receiver.receive(), Recv::Closed));
}

#[test]
fn a_consumer_that_leaves_gives_every_buffer_back() {
    let mut pool = pool(4);
    let (mut sender, receiver, stats) = make(4, Overflow::Block);
    (1..=3).for_each(|v| sender.send(filled(&mut pool, v)));
    drop(receiver);
    assert!(stats.room() > 0);
    sender.send(filled(&mut pool, 4));
    assert_eq!(pool.free(), 4);
    let counts = stats.counts();
    assert_eq!((counts.dropped_packets, counts.in_flight_packets), (4, 0));
}

#[test]
fn room_seen_by_the_producer_is_room_in_the_ring() {
    const PACKETS: i32 = if cfg!(miri) { 100 } else { 50_000 };
    let mut pool = pool(8);
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
        if stats.room() > 0 {
            sender.send(filled(&mut pool, sent));
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

#[test]
fn a_producer_that_was_given_up_ends_the_stream_and_loses_what_it_sends_later() {
    let mut pool = pool(8);
    let (mut sender, mut receiver, stats) = make(4, Overflow::Block);
    sender.send(filled(&mut pool, 7));
    stats.close();
    sender.send(filled(&mut pool, 8));

    assert_eq!(drain(&mut receiver), [7]);
    assert!(matches!(receiver.receive(), Recv::Closed));
    let counts = stats.counts();
    assert_eq!((counts.offered_packets, counts.dropped_packets, counts.in_flight_packets), (2, 1, 0));
    assert_eq!(pool.free(), 8);
}

#[test]
fn a_consumer_that_was_given_up_holds_nobody_up() {
    let mut pool = pool(8);
    let (mut sender, mut receiver, stats) = make(1, Overflow::Block);
    sender.send(filled(&mut pool, 7));
    assert_eq!(stats.room(), 0);
    stats.abandon();
    assert!(stats.room() > 0);
    sender.send(filled(&mut pool, 8));

    assert_eq!(drain(&mut receiver), [7], "it comes back for what was queued");
    let counts = stats.counts();
    assert_eq!((counts.offered_packets, counts.dropped_packets, counts.in_flight_packets), (2, 1, 0));
}
