//! A pool by itself and between threads.
use super::*;
use crate::signal::Physical;

#[test]
fn an_exhausted_pool_says_none_counts_it_and_recovers() {
    let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 2);
    let first = pool.try_acquire().expect("free");
    let second = pool.try_acquire().expect("free");
    assert!(pool.try_acquire().is_none());
    let view = pool.view();
    assert_eq!((view.misses(), view.high_water()), (1, 2));

    let shared = first.share();
    let clone = shared.clone();
    drop(shared);
    assert_eq!(pool.free(), 0);
    assert!(clone.try_unique().is_ok());
    drop(second);
    assert_eq!(pool.free(), 2);
}

#[test]
fn a_shared_packet_is_not_writable_until_it_is_alone() {
    let mut pool = MemoryPool::<Physical>::new(&spec_of(4), 1);
    let mut packet = pool.try_acquire().expect("free");
    packet.frames_mut(3).copy_from_slice(&[1.0, 2.0, 3.0]);
    let shared = packet.share();
    let clone = shared.clone();
    let Err(shared) = shared.try_unique() else { panic!("two readers") };
    assert_eq!(clone.samples(), [1.0, 2.0, 3.0]);
    drop(clone);
    assert_eq!(shared.try_unique().ok().map(|p| p.header().batch_size), Some(3));
}

#[test]
fn buffers_cross_threads_and_all_come_back() {
    const PACKETS: u32 = if cfg!(miri) { 50 } else { 20_000 };
    let mut pool = MemoryPool::<Physical>::new(&spec_of(2), 3);
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Shared<Physical>>(2);
    let reader = std::thread::spawn(move || {
        for (expected, packet) in (0u32..).zip(receiver) {
            assert_eq!(packet.samples(), [expected as f32, expected as f32]);
        }
    });
    let mut sent = 0;
    while sent < PACKETS {
        let Some(mut packet) = pool.try_acquire() else {
            std::thread::yield_now();
            continue;
        };
        packet.frames_mut(2).fill(sent as f32);
        let shared = packet.share();
        let kept = shared.clone();
        sender.send(shared).expect("the reader lives");
        drop(kept);
        sent += 1;
    }
    drop(sender);
    reader.join().expect("the reader does not panic");
    assert_eq!(pool.free(), 3);
}

#[test]
fn buffers_outlive_their_pool_and_are_freed_with_the_last_packet() {
    let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 3);
    let left = Arc::downgrade(&pool.inner);
    let mut packet = pool.try_acquire().expect("free");
    packet.frames_mut(1)[0] = 5.0;
    let (shared, other) = (packet.share(), pool.try_acquire().expect("free"));
    let reader = {
        let shared = shared.clone();
        std::thread::spawn(move || assert_eq!(shared.samples(), [5.0]))
    };
    drop(pool);
    drop(other);
    reader.join().expect("the reader does not panic");
    assert_eq!(shared.samples(), [5.0]);
    assert!(left.upgrade().is_some());
    drop(shared);
    assert!(left.upgrade().is_none());
}

#[test]
fn a_pool_at_rest_is_freed_at_once_but_for_those_who_look() {
    let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 3);
    let left = Arc::downgrade(&pool.inner);
    let view = pool.view();
    drop(pool.try_acquire());
    drop(pool);
    assert_eq!((view.free(), view.capacity(), view.high_water()), (3, 3, 1));
    drop(view);
    assert!(left.upgrade().is_none());
}

#[test]
#[should_panic(expected = "5 frames do not fit into a packet of 4")]
fn more_frames_than_fit_are_refused() {
    let mut pool = MemoryPool::<Physical>::new(&spec_of(4), 1);
    pool.try_acquire().expect("free").frames_mut(5);
}
