//! What the runtime and its workers share: flags for stop, pause and go, and the way events take.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crossbeam::channel::Sender;
use wavedeck_api::bell::Bell;

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
    /// Of every worker.
    bells: Vec<Bell>,
}

impl Control {
    pub(crate) fn new(events: Sender<Event>, bells: Vec<Bell>) -> Self {
        Self {
            stopping: Arc::new(AtomicBool::new(false)),
            paused: AtomicBool::new(false),
            go: AtomicBool::new(false),
            faults: AtomicU32::new(0),
            failed: AtomicBool::new(false),
            events,
            lost_events: AtomicU64::new(0),
            bells,
        }
    }

    /// Passes an event on; never waits.
    pub(crate) fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            self.lost_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Passes a note on while at most half the room is taken: what stages say must not take the place of what was done.
    pub(crate) fn tell_note(&self, note: Event) {
        if self.events.capacity().is_some_and(|room| self.events.len() >= room / 2) {
            self.lost_events.fetch_add(1, Ordering::Relaxed);
        } else {
            self.tell(note);
        }
    }

    pub(crate) fn ring_all(&self) {
        for bell in &self.bells {
            bell.ring();
        }
    }

    /// True if so many events wait that a flood of further ones could be lost.
    pub(crate) fn has_many_events(&self) -> bool {
        self.events.capacity().is_some_and(|most| self.events.len() > most / 2)
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

    /// Counts a stage that was disabled. If the pipeline stops because of it, the sources end at once, whoever looks.
    pub(crate) fn count_fault(&self, stops: bool) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        if stops {
            self.failed.store(true, Ordering::Release);
            self.stop();
            self.ring_all();
        }
    }

    pub(crate) fn faults(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;
    use wavedeck_api::stage::{Level, Note};

    use super::*;

    #[test]
    fn notes_leave_half_the_room_to_what_was_done() {
        let (sender, events) = bounded(8);
        let control = Control::new(sender, Vec::new());
        let note = || Event::Note { stage: "a".into(), note: Note { level: Level::Info, text: "!".into() } };
        (0..10).for_each(|_| control.tell_note(note()));
        assert_eq!((events.len(), control.lost_events()), (4, 6));
        (0..4).for_each(|_| control.tell(Event::StageDone { stage: "a".into() }));
        assert_eq!((events.len(), control.lost_events()), (8, 6));
    }
}
