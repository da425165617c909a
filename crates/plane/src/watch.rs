//! What a worker is in at the moment, so that a call that does not return can be named from outside its thread.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use wavedeck_api::clock;

/// A call that lasts longer is told: many times what a slow disk or a device that is being opened takes.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(5);

/// What of a stage is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Start,
    Process,
    SetParam,
    Finish,
    Drop,
}

const CALLS: [Call; 5] = [Call::Start, Call::Process, Call::SetParam, Call::Finish, Call::Drop];

impl Call {
    /// Its name in the trait `Stage`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Process => "process",
            Self::SetParam => "set_param",
            Self::Finish => "finish",
            Self::Drop => "drop",
        }
    }
}

/// A call that has not returned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ongoing {
    /// Position among the stages of the worker.
    pub(crate) seat: usize,
    pub(crate) call: Call,
    began_ms: u64,
}

impl Ongoing {
    pub(crate) fn lasted(&self, now: Instant) -> Duration {
        Duration::from_millis(clock_ms(now).saturating_sub(self.began_ms))
    }
}

/// Written by a worker, read by whoever looks after it. One word, so that a look sees one call and never parts of two:
/// the call in the lowest 8 bits (0 is none), its seat in the next 16, and when it began, in ms, in the others.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    word: AtomicU64,
}

impl Watch {
    /// Relaxed, as in `leave` and `ongoing`: nothing else is read by way of it.
    pub(crate) fn enter(&self, seat: usize, call: Call, at: Instant) {
        let seat = u64::from(u16::try_from(seat).unwrap_or(u16::MAX));
        self.word.store(clock_ms(at) << 24 | seat << 8 | (call as u64 + 1), Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.word.store(0, Ordering::Relaxed);
    }

    pub(crate) fn ongoing(&self) -> Option<Ongoing> {
        let word = self.word.load(Ordering::Relaxed);
        let call = (word & 0xff).checked_sub(1)?;
        let call = CALLS.get(usize::try_from(call).ok()?)?;
        Some(Ongoing { seat: usize::from((word >> 8) as u16), call: *call, began_ms: word >> 24 })
    }
}

/// A stage's place in its worker's watch.
pub(crate) struct Post {
    pub(crate) watch: Arc<Watch>,
    pub(crate) seat: usize,
}

impl Post {
    pub(crate) fn enter(&self, call: Call, at: Instant) {
        self.watch.enter(self.seat, call, at);
    }
}

/// What was told of a worker's calls, so that it is told once.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    told: Option<Ongoing>,
}

/// News of a worker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// The call that was told as stuck has returned.
    pub(crate) back: Option<Ongoing>,
    /// This one is stuck, and was not told before.
    pub(crate) stuck: Option<Ongoing>,
}

impl Lookout {
    pub(crate) fn look(&mut self, seen: Option<Ongoing>, now: Instant) -> News {
        let back = self.told.take_if(|told| Some(*told) != seen);
        let stuck = seen.filter(|seen| self.told.is_none() && seen.lasted(now) > STUCK_AFTER);
        self.told = self.told.or(stuck);
        News { back, stuck }
    }
}

fn clock_ms(at: Instant) -> u64 {
    let since = at.saturating_duration_since(clock::instant_at(0));
    since.as_secs() * 1000 + u64::from(since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_the_call_its_seat_and_how_long_it_has_lasted() {
        let (watch, began) = (Watch::default(), Instant::now());
        assert_eq!(watch.ongoing(), None);
        for (seat, call) in CALLS.into_iter().enumerate() {
            watch.enter(seat * 200, call, began);
            let seen = watch.ongoing().expect("a call");
            assert_eq!((seen.seat, seen.call), (seat * 200, call));
            assert_eq!(seen.lasted(began + Duration::from_secs(7)), Duration::from_secs(7));
        }
        watch.leave();
        assert_eq!(watch.ongoing(), None);
    }

    #[test]
    fn a_call_that_lasts_is_told_once_and_once_more_when_it_returns() {
        let (watch, began, mut lookout) = (Watch::default(), Instant::now(), Lookout::default());
        let nothing = News { back: None, stuck: None };
        watch.enter(1, Call::Process, began);
        let call = watch.ongoing();
        assert_eq!(lookout.look(call, began + STUCK_AFTER), nothing);
        let later = began + STUCK_AFTER + Duration::from_millis(1);
        assert_eq!(lookout.look(call, later), News { back: None, stuck: call });
        assert_eq!(lookout.look(call, later + STUCK_AFTER), nothing);

        watch.enter(1, Call::Process, later + STUCK_AFTER);
        assert_eq!(lookout.look(watch.ongoing(), later + STUCK_AFTER), News { back: call, stuck: None });
        assert_eq!(lookout.look(None, later + STUCK_AFTER), nothing);
    }
}
