//! One client on a WebSocket: its name, what it has subscribed to, what waits for it.
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{options::Limits, outbox::Outbox};

/// Longest name in characters.
pub(super) const LONGEST_NAME: usize = 40;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    /// Number of the client, from 1 on.
    pub(super) number: u64,
    /// Where it comes from.
    pub(super) address: String,
    pub(super) outbox: Outbox,
    wishes: Mutex<Wishes>,
    has_left: AtomicBool,
}

/// What a client wants to be told.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) name: String,
    pub(super) telemetry: Option<Rhythm>,
    /// Number of the next line of the log to be told.
    pub(super) next_event: Option<u64>,
    last_subscription: u16,
}

/// Something that is due again and again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    every: Duration,
    next: Instant,
}

impl Rhythm {
    /// Due at once, and then so many times a second.
    pub(super) fn of_hz(hz: f64) -> Self {
        Self { every: Duration::from_secs_f64(1.0 / hz), next: Instant::now() }
    }

    /// True if it is due; it is then due again later.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = (self.next + self.every).max(now);
        true
    }
}

impl Client {
    pub(super) fn new(number: u64, address: String, name: String, limits: &Limits) -> Self {
        let wishes = Wishes { name, telemetry: None, next_event: None, last_subscription: 0 };
        Self {
            number,
            address,
            outbox: Outbox::new(limits),
            wishes: Mutex::new(wishes),
            has_left: AtomicBool::new(false),
        }
    }

    /// Says that it has gone; a request of it may still be under way.
    pub(super) fn leave(&self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// True once it has gone.
    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// The name in logs and edit journals.
    pub(super) fn name(&self) -> String {
        self.wishes().name.clone()
    }

    pub(super) fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wishes {
    /// A number that none of `taken` has.
    pub(super) fn next_subscription(&mut self, taken: &[u16]) -> u16 {
        loop {
            self.last_subscription = self.last_subscription.checked_add(1).unwrap_or(1);
            if !taken.contains(&self.last_subscription) {
                return self.last_subscription;
            }
        }
    }
}

/// A name that can stand in a log: printable, trimmed, and not too long. `None` if nothing is left.
pub(super) fn printable_name(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_short() {
        assert_eq!(printable_name("  lab\u{1b}[2J\n "), Some("lab[2J".into()));
        assert_eq!(printable_name("\u{7}\n"), None);
        assert_eq!(printable_name(&"ä".repeat(100)).map(|name| name.chars().count()), Some(LONGEST_NAME));
    }

    #[test]
    fn numbers_of_subscriptions_are_not_used_twice_at_a_time() {
        let client = Client::new(1, String::new(), String::new(), &Limits::default());
        let mut wishes = client.wishes();
        assert_eq!((wishes.next_subscription(&[]), wishes.next_subscription(&[2, 3])), (1, 4));
        wishes.last_subscription = u16::MAX;
        assert_eq!(wishes.next_subscription(&[1]), 2);
    }
}
