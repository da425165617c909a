//! What the runtime and its workers share: flags for stop, pause and go, and the way events take.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crossbeam::channel::Sender;

use crate::event::Event;

pub(crate) struct Control {
    /// Also handed to stages through their context.
    pub(crate) stopping: Arc<AtomicBool>,
    paused: AtomicBool,
    go: AtomicBool,
    faults: AtomicU32,
    /// A stage with `on_fault: stop` has failed.
    failed: AtomicBool,
    events: Sender<Event>,
    lost_events: AtomicU64,
}

impl Control {
    pub(crate) fn new(events: Sender<Event>) -> Self {
        Self {
            stopping: Arc::new(AtomicBool::new(false)),
            paused: AtomicBool::new(false),
            go: AtomicBool::new(false),
            faults: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            events,
            lost_events: AtomicU64::new(0),
        }
    }

    /// Passes an event on; never waits.
    pub(crate) fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.lost_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn lost_events(&self) -> u64 {
        self.lost_events.load(Ordering::Relaxed)
    }

    // Release in the setters pairs with Acquire in the getters: a worker that sees a flag sees what led to it.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(crate) fn let_go(&self) {
        self.go.store(true, Ordering::Release);
    }

    pub(crate) fn may_go(&self) -> bool {
        self.go.load(Ordering::Acquire)
    }

    pub(crate) fn count_fault(&self, stops: bool) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        if stops {
            self.failed.store(true, Ordering::Release);
        }
    }

    pub(crate) fn faults(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}
