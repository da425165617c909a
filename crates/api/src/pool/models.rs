//! Every interleaving of a pool's hand-overs. Each model is shown to fail when its ordering is weakened; the mutation is
//! named at the model.
use super::*;
use crate::{signal::Physical, sync::AtomicBool, sync::thread};

fn one_packet(pool: &mut MemoryPool<Physical>, value: f32) -> Packet<Physical> {
    let mut packet = pool.try_acquire().expect("the pool is fresh");
    packet.frames_mut(1)[0] = value;
    packet
}

/// Runs `reader` beside the rest of a model, and makes loom try the rest before and after its end: of a load and an
/// exchange in a row, as in the drop of a handle, loom takes only the first for a point where threads can change.
struct Beside {
    reader: thread::JoinHandle<()>,
    has_ended: Arc<AtomicBool>,
}

impl Beside {
    fn new(reader: impl FnOnce() + 'static) -> Self {
        let has_ended = Arc::new(AtomicBool::new(false));
        let end = has_ended.clone();
        let reader = thread::spawn(move || {
            reader();
            // Relaxed: it must not order what the model is about.
            end.store(true, Ordering::Relaxed);
        });
        Self { reader, has_ended }
    }

    fn before_or_after(&self) {
        self.has_ended.load(Ordering::Relaxed);
    }

    fn join(self) {
        self.reader.join().expect("the reader does not panic");
    }
}

/// Fails (data race) when the load in `Drop` is Relaxed, or the `fetch_sub` is.
#[test]
fn the_last_of_two_readers_returns_the_buffer_once() {
    loom::model(|| {
        let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 1);
        let ours = one_packet(&mut pool, 1.0).share();
        let theirs = ours.clone();
        let reader = Beside::new(move || assert_eq!(theirs.samples()[0], 1.0));
        assert_eq!(ours.samples()[0], 1.0);
        reader.before_or_after();
        drop(ours);
        // Race the refill against the other reader.
        if let Some(mut refilled) = pool.try_acquire() {
            refilled.frames_mut(1)[0] = 2.0;
        }
        reader.join();
        assert_eq!(pool.free(), 1);
    });
}

/// Fails (data race) when the load in `try_unique` is Relaxed.
#[test]
fn a_buffer_written_in_place_was_let_go_by_every_reader() {
    loom::model(|| {
        let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 1);
        let ours = one_packet(&mut pool, 1.0).share();
        let theirs = ours.clone();
        let reader = Beside::new(move || assert_eq!(theirs.samples()[0], 1.0));
        reader.before_or_after();
        if let Ok(mut sole) = ours.try_unique() {
            sole.samples_mut()[0] = 3.0;
        }
        reader.join();
        assert_eq!(pool.free(), 1);
    });
}

/// Fails (data race) when the exchange in `Door::give` is Relaxed, or the swap in `FreeList::take` is.
#[test]
fn a_buffer_that_came_back_is_written_after_its_last_reader() {
    loom::model(|| {
        let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 1);
        let packet = one_packet(&mut pool, 1.0);
        let reader = Beside::new(move || assert_eq!(packet.samples()[0], 1.0));
        reader.before_or_after();
        if let Some(mut refilled) = pool.try_acquire() {
            refilled.frames_mut(1)[0] = 2.0;
        }
        reader.join();
        assert_eq!(pool.free(), 1);
    });
}

/// Fails (a leak, or freed twice) when `give` or `close` leaves the count of the other out of its own.
#[test]
fn the_last_of_two_holders_and_the_pool_itself_frees_the_buffers() {
    for pool_goes_first in [true, false] {
        loom::model(move || {
            let mut pool = MemoryPool::<Physical>::new(&spec_of(1), 2);
            let (ours, theirs) = (one_packet(&mut pool, 1.0), one_packet(&mut pool, 2.0));
            let reader = Beside::new(move || assert_eq!(theirs.samples()[0], 2.0));
            let mut pool = Some(pool).filter(|_| !pool_goes_first);
            reader.before_or_after();
            assert_eq!(ours.samples()[0], 1.0);
            drop(ours);
            drop(pool.take());
            // Loom reports buffers that nobody freed as a leak.
            reader.join();
        });
    }
}
