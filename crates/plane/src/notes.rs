//! Keeps a stage that talks without end from drowning what others say: a burst, then a few notes a second, the rest
//! counted and told in one note.
use std::time::{Duration, Instant};

use wavedeck_api::stage::{Note, StageContext, Unsaid};

/// Notes that a stage may send at once.
const BURST: u32 = 32;
/// Time after which one more may follow.
const REFILL: Duration = Duration::from_millis(100);
/// How often it is told how many were let go.
const SUMMARY: Duration = Duration::from_secs(1);

/// What one stage may still say.
pub(crate) struct NoteLimit {
    left: u32,
    refilled: Option<Instant>,
    unsaid: Unsaid,
    /// When the first of the unsaid notes was let go.
    unsaid_since: Option<Instant>,
}

impl NoteLimit {
    pub(crate) fn new() -> Self {
        Self { left: BURST, refilled: None, unsaid: Unsaid::NONE, unsaid_since: None }
    }

    /// Passes on what a stage said. Reads the clock only when there is something to pass on.
    pub(crate) fn pass(&mut self, ctx: &mut StageContext, say: impl FnMut(Note)) {
        if ctx.has_notes() || self.unsaid.count > 0 {
            self.pass_at(Instant::now(), ctx, say);
        }
    }

    /// Tells what is left to tell of a stage that will not be called again.
    pub(crate) fn end(&mut self, say: impl FnMut(Note)) {
        self.tell_unsaid(say);
    }

    fn pass_at(&mut self, now: Instant, ctx: &mut StageContext, mut say: impl FnMut(Note)) {
        self.refill(now);
        for note in ctx.take_notes() {
            if self.left > 0 {
                self.left -= 1;
                say(note);
            } else {
                self.unsaid.add(note.level);
            }
        }
        self.unsaid.take_over(ctx.unsaid());
        if self.unsaid.count > 0 && now.duration_since(*self.unsaid_since.get_or_insert(now)) >= SUMMARY {
            self.tell_unsaid(say);
        }
    }

    fn refill(&mut self, now: Instant) {
        let refilled = self.refilled.get_or_insert(now);
        let periods = now.duration_since(*refilled).as_millis() / REFILL.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(periods).min(BURST);
        *refilled = if self.left == BURST { now } else { *refilled + REFILL * periods };
    }

    fn tell_unsaid(&mut self, mut say: impl FnMut(Note)) {
        let Unsaid { count, level } = std::mem::replace(&mut self.unsaid, Unsaid::NONE);
        self.unsaid_since = None;
        if count > 0 {
            say(Note { level, text: format!("… and {count} more").into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicBool};

    use wavedeck_api::stage::Level;

    use super::*;

    struct Talker {
        ctx: StageContext,
        limit: NoteLimit,
        began: Instant,
        said: Vec<Note>,
    }

    impl Talker {
        fn new() -> Self {
            let ctx = StageContext::new(Duration::from_millis(20), Arc::new(AtomicBool::new(false)));
            Self { ctx, limit: NoteLimit::new(), began: Instant::now(), said: Vec::new() }
        }

        /// One call in which the stage notes `count` times; returns how many came through.
        fn call(&mut self, at_ms: u64, count: u64, level: Level) -> usize {
            (0..count).for_each(|n| self.ctx.note(level, format!("note {n}")));
            let before = self.said.len();
            let now = self.began + Duration::from_millis(at_ms);
            self.limit.pass_at(now, &mut self.ctx, |note| self.said.push(note));
            self.said.len() - before
        }

        fn last(&self) -> (&str, Level) {
            self.said.last().map(|note| (&*note.text, note.level)).expect("a note")
        }
    }

    #[test]
    fn a_few_notes_pass_as_they_are() {
        let mut talker = Talker::new();
        assert_eq!(talker.call(0, 32, Level::Info), 32);
        assert_eq!(talker.call(3200, 32, Level::Info), 32, "after a while there is room for a burst again");
        talker.limit.end(|note| panic!("nothing was let go: {}", note.text));
    }

    #[test]
    fn of_a_flood_a_burst_passes_then_ten_a_second_and_the_rest_is_counted() {
        let mut talker = Talker::new();
        assert_eq!(talker.call(0, 100_000, Level::Info), 32);
        let passed: usize = (1..=99).map(|n| talker.call(n * 10, 5, Level::Info)).sum();
        assert_eq!(passed, 9);
        assert_eq!(talker.call(1000, 0, Level::Info), 1);
        assert_eq!(talker.last().0, format!("… and {} more", 100_000 - 32 + 99 * 5 - 9));
    }

    #[test]
    fn what_was_let_go_is_told_at_the_end_with_the_highest_level_among_it() {
        let mut talker = Talker::new();
        talker.call(0, 40, Level::Info);
        talker.call(1, 1, Level::Error);
        talker.call(2, 1, Level::Info);
        let Talker { limit, said, .. } = &mut talker;
        limit.end(|note| said.push(note));
        assert_eq!(talker.last(), ("… and 10 more", Level::Error));
    }
}
