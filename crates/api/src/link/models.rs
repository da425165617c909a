//! Every interleaving at the ends of a link, with the bells that its workers ring. Each model is shown to fail when its
//! ordering is weakened; the mutation is named at the model.
use super::*;
use crate::{
    bell::{Bell, Sleeper},
    pool::MemoryPool,
    signal::Physical,
    sync::{AtomicBool, thread},
};

const POLICIES: [Overflow; 3] = [Overflow::Block, Overflow::DropNewest, Overflow::DropOldest];

struct Ends {
    pool: MemoryPool<Physical>,
    sender: LinkSender<Physical>,
    receiver: LinkReceiver<Physical>,
    stats: Arc<LinkStats>,
}

fn ends(capacity: u32, policy: Overflow) -> Ends {
    let stats = Arc::new(LinkStats::new("a.out -> b.in".into(), capacity, policy));
    let (sender, receiver) = link(stats.clone());
    Ends { pool: MemoryPool::new(&crate::pool::spec_of(1), 3), sender, receiver, stats }
}

fn numbered(pool: &mut MemoryPool<Physical>, number: u64) -> Shared<Physical> {
    let mut packet = pool.try_acquire().expect("there are enough for the model");
    packet.frames_mut(1)[0] = number as f32;
    packet.header_mut().seq = number;
    packet.share()
}

/// Receives as a worker does until the link is closed; rings `producer` after each packet.
fn receive_all(mut receiver: LinkReceiver<Physical>, bell: Bell, producer: &Bell) -> Vec<u64> {
    let (mut sleeper, mut seen) = (Sleeper::new(bell), Vec::new());
    loop {
        match receiver.receive() {
            Recv::Packet(packet) => {
                assert_eq!(packet.samples()[0], packet.header().seq as f32);
                seen.push(packet.header().seq);
                drop(packet);
                producer.ring();
                sleeper.after_look(true, None);
            }
            Recv::Empty => sleeper.after_look(false, None),
            Recv::Closed => return seen,
        }
    }
}

/// Fails (the packet is missed) when the store of `closed` is Relaxed, or when `receive` reads it after the pop.
#[test]
fn the_last_packet_is_found_before_the_close_under_every_policy() {
    for policy in POLICIES {
        loom::model(move || {
            let Ends { mut pool, mut sender, receiver, stats } = ends(1, policy);
            let (consumer, nobody) = (Bell::new(), Bell::new());
            let reader = {
                let consumer = consumer.clone();
                thread::spawn(move || receive_all(receiver, consumer, &nobody))
            };
            sender.send(numbered(&mut pool, 1));
            consumer.ring();
            drop(sender);
            consumer.ring();
            assert_eq!(reader.join().expect("no panic"), [1]);
            let counts = stats.counts();
            assert_eq!((counts.consumed_packets, counts.dropped_packets, pool.free()), (1, 0, 3));
        });
    }
}

/// Fails (packets in flight for ever, or counted twice) when the swaps of `one_left` are Relaxed, and when either end
/// leaves out its part of the account.
#[test]
fn a_consumer_that_leaves_early_leaves_no_packet_uncounted_under_any_policy() {
    for policy in POLICIES {
        loom::model(move || {
            let Ends { mut pool, mut sender, mut receiver, stats } = ends(1, policy);
            let reader = thread::spawn(move || {
                let taken = matches!(receiver.receive(), Recv::Packet(_));
                drop(receiver);
                u64::from(taken)
            });
            sender.send(numbered(&mut pool, 1));
            sender.send(numbered(&mut pool, 2));
            drop(sender);
            let taken = reader.join().expect("no panic");
            let counts = stats.counts();
            assert_eq!((counts.offered_packets, counts.consumed_packets), (2, taken));
            assert_eq!((counts.dropped_packets, counts.in_flight_packets), (2 - taken, 0));
            assert_eq!((counts.dropped_samples, counts.in_flight_samples, pool.free()), (2 - taken, 0, 3));
        });
    }
}

/// Fails (a packet is dropped) when the store of `consumed_packets` or the load in `taken` is Relaxed: the producer then
/// sees room that the ring does not have yet. Fails (deadlock) when the consumer does not ring.
#[test]
fn a_producer_that_waits_for_room_is_woken_and_loses_nothing() {
    loom::model(|| {
        let Ends { mut pool, mut sender, receiver, stats } = ends(1, Overflow::Block);
        let (consumer, producer) = (Bell::new(), Bell::new());
        let mut sleeper = Sleeper::new(producer.clone());
        let reader = {
            let consumer = consumer.clone();
            thread::spawn(move || receive_all(receiver, consumer, &producer))
        };
        let mut sent = 0;
        while sent < 2 {
            let has_room = stats.room() > 0;
            if has_room {
                sent += 1;
                sender.send(numbered(&mut pool, sent));
                consumer.ring();
            }
            sleeper.after_look(has_room, None);
        }
        drop(sender);
        consumer.ring();
        assert_eq!(reader.join().expect("no panic"), [1, 2]);
        assert_eq!((stats.counts().dropped_packets, pool.free()), (0, 3));
    });
}

/// Fails (deadlock) when the bell is not rung after the consumer has left, or rung before.
#[test]
fn a_producer_that_waits_for_room_goes_on_when_the_consumer_leaves() {
    loom::model(|| {
        let Ends { mut pool, mut sender, receiver, stats } = ends(1, Overflow::Block);
        let bell = Bell::new();
        let producer = {
            let (bell, stats) = (bell.clone(), stats.clone());
            thread::spawn(move || {
                let mut sleeper = Sleeper::new(bell);
                for number in 1..=2 {
                    while stats.room() == 0 {
                        sleeper.after_look(false, None);
                    }
                    sender.send(numbered(&mut pool, number));
                }
                drop(sender);
                pool
            })
        };
        drop(receiver);
        bell.ring();
        let pool = producer.join().expect("no panic");
        let counts = stats.counts();
        assert_eq!((counts.dropped_packets, counts.in_flight_packets, pool.free()), (2, 0, 3));
    });
}

/// Fails (deadlock) when the flag is set after the ring.
#[test]
fn a_producer_that_waits_for_room_sees_a_stop() {
    loom::model(|| {
        let Ends { mut pool, mut sender, receiver, stats } = ends(1, Overflow::Block);
        let (bell, stop) = (Bell::new(), crate::sync::Arc::new(AtomicBool::new(false)));
        let producer = {
            let (bell, stop, stats) = (bell.clone(), stop.clone(), stats.clone());
            thread::spawn(move || {
                let mut sleeper = Sleeper::new(bell);
                sender.send(numbered(&mut pool, 1));
                while !stop.load(Ordering::Acquire) {
                    assert_eq!(stats.room(), 0);
                    sleeper.after_look(false, None);
                }
                drop(sender);
                pool
            })
        };
        stop.store(true, Ordering::Release);
        bell.ring();
        let pool = producer.join().expect("no panic");
        drop(receiver);
        assert_eq!((stats.counts().in_flight_packets, pool.free()), (0, 3));
    });
}

/// Fails (a packet in flight for ever) when the end that leaves last leaves out what is still queued.
#[test]
fn a_link_that_is_closed_and_abandoned_from_outside_leaves_no_packet_uncounted() {
    loom::model(|| {
        let Ends { mut pool, mut sender, mut receiver, stats } = ends(1, Overflow::Block);
        let given_up = stats.clone();
        let producer = thread::spawn(move || {
            sender.send(numbered(&mut pool, 1));
            sender.send(numbered(&mut pool, 2));
            pool
        });
        given_up.close();
        given_up.abandon();
        while let Recv::Packet(_) = receiver.receive() {}
        drop(receiver);
        let pool = producer.join().expect("no panic");
        let counts = stats.counts();
        assert_eq!(counts.consumed_packets + counts.dropped_packets, 2);
        assert_eq!((counts.in_flight_packets, pool.free()), (0, 3));
    });
}
