//! The two bounded queues of a link: rtrb's ring, and one from which the producer may take the oldest element too.
#[cfg(not(wavedeck_loom))]
mod real {
    pub(crate) use crossbeam::queue::ArrayQueue;
    pub(crate) use rtrb::{Consumer, Producer, PushError};

    /// A ring for one producer and one consumer.
    pub(crate) fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
        rtrb::RingBuffer::new(capacity)
    }
}
#[cfg(not(wavedeck_loom))]
pub(crate) use real::{ArrayQueue, Consumer, Producer, PushError, ring};

/// Stand-ins that promise what the real ones document and no more: a pop that gives an element happens after its push,
/// a push that finds room happens after the pop that made it, and a pop that gives nothing may have missed a push.
#[cfg(wavedeck_loom)]
mod stand_in {
    use crate::sync::{Arc, AtomicU32, Mutex, Ordering};

    /// The value comes back.
    pub(crate) enum PushError<T> {
        /// There is no room.
        Full(T),
    }

    /// The producer's end of a ring.
    pub(crate) struct Producer<T>(Arc<Ring<T>>);
    /// The consumer's end of a ring.
    pub(crate) struct Consumer<T>(Arc<Ring<T>>);

    struct Ring<T> {
        slots: Vec<Mutex<Option<T>>>,
        popped: AtomicU32,
        pushed: AtomicU32,
    }

    pub(crate) fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
        let slots = (0..capacity).map(|_| Mutex::new(None)).collect();
        let ring = Arc::new(Ring { slots, popped: AtomicU32::new(0), pushed: AtomicU32::new(0) });
        (Producer(ring.clone()), Consumer(ring))
    }

    impl<T> Ring<T> {
        fn slot(&self, number: u32) -> &Mutex<Option<T>> {
            &self.slots[number as usize % self.slots.len()]
        }
    }

    impl<T> Producer<T> {
        pub(crate) fn push(&mut self, value: T) -> Result<(), PushError<T>> {
            let ring = &*self.0;
            let pushed = ring.pushed.load(Ordering::Relaxed);
            if (pushed - ring.popped.load(Ordering::Acquire)) as usize == ring.slots.len() {
                return Err(PushError::Full(value));
            }
            *ring.slot(pushed).lock().expect("no panic") = Some(value);
            ring.pushed.store(pushed + 1, Ordering::Release);
            Ok(())
        }
    }

    impl<T> Consumer<T> {
        pub(crate) fn pop(&mut self) -> Result<T, ()> {
            let ring = &*self.0;
            let popped = ring.popped.load(Ordering::Relaxed);
            if ring.pushed.load(Ordering::Acquire) == popped {
                return Err(());
            }
            let value = ring.slot(popped).lock().expect("no panic").take();
            ring.popped.store(popped + 1, Ordering::Release);
            value.ok_or(())
        }
    }

    /// Holds one element, and takes at most `PUSHES` of them in its life.
    pub(crate) struct ArrayQueue<T> {
        /// Number of the element in the queue, 0 for none.
        current: AtomicU32,
        pushes: AtomicU32,
        elements: Vec<Mutex<Option<T>>>,
    }

    const PUSHES: u32 = 4;

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            assert_eq!(capacity, 1, "the stand-in holds one element");
            let elements = (0..=PUSHES).map(|_| Mutex::new(None)).collect();
            Self { current: AtomicU32::new(0), pushes: AtomicU32::new(0), elements }
        }

        fn take(&self, number: u32) -> Option<T> {
            self.elements[number as usize].lock().expect("no panic").take()
        }

        pub(crate) fn force_push(&self, value: T) -> Option<T> {
            let number = self.pushes.load(Ordering::Relaxed) + 1;
            self.pushes.store(number, Ordering::Relaxed);
            *self.elements[number as usize].lock().expect("no panic") = Some(value);
            let evicted = self.current.swap(number, Ordering::AcqRel);
            self.take(evicted)
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let mut number = self.current.load(Ordering::Acquire);
            while number != 0 {
                match self.current.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return self.take(number),
                    Err(other) => number = other,
                }
            }
            None
        }
    }
}
#[cfg(wavedeck_loom)]
pub(crate) use stand_in::{ArrayQueue, Consumer, Producer, PushError, ring};
