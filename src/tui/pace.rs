//! How fast frames may follow each other: a link that does not keep up gets fewer of them, not later ones.
//!
//! Whatever a slow link has not carried yet lies in buffers that nobody sees, so the terminal itself is asked where it
//! is: its answer confirms all that was sent before. Too much without an answer, and nothing is drawn until one comes.
use std::time::{Duration, Instant};

/// Asks where the cursor is, in the second line: there no answer looks like F3 with a modifier.
pub(super) const REQUEST: &[u8] = b"\x1b[2H\x1b[6n";

/// Bytes without an answer beyond which nothing is drawn.
const CREDIT: u64 = 8 << 10;
/// The same on a slow link: a whole screen takes long enough by itself, without what lies before it.
const SLOW_CREDIT: u64 = CREDIT / 4;
/// Bytes after which the terminal is asked: early enough that a fast link never waits.
const ASK_AFTER: u64 = CREDIT / 2;
/// Time after which it is asked even for less.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Time that a terminal has for its first answer. One that gives none never will, and is not asked again.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// Time after which an answer is given up that used to come: it may be lost for good.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that an answer which is on its way is waited for at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Round trips below this are no reason to draw less.
const QUICK: Duration = Duration::from_millis(100);
/// Round trips above this may be a reason to draw next to nothing.
const STUCK: Duration = Duration::from_secs(1);
/// Steps from every frame to next to none.
const SLOWEST: u8 = 3;

/// Whether the terminal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Untried,
    Come,
    Never,
}

/// When to draw, and when to ask.
#[derive(Debug)]
pub(super) struct Pace {
    fastest: Duration,
    answers: Answers,
    /// Bytes sent so far, and how many of them are confirmed.
    sent: u64,
    confirmed: u64,
    /// When the terminal was asked and what had been sent by then, until it answers.
    asked: Option<(Instant, u64)>,
    next_ask: Option<Instant>,
    /// An answer was given up: the next one may be that one.
    is_doubtful: bool,
    round_trip: Option<RoundTrip>,
    step: u8,
}

/// From the request to the answer.
#[derive(Clone, Copy, Debug)]
struct RoundTrip {
    smooth: Duration,
    least: Duration,
}

impl Pace {
    /// Begins with a frame every `fastest`.
    pub(super) fn new(fastest: Duration) -> Self {
        Self {
            fastest,
            answers: Answers::Untried,
            sent: 0,
            confirmed: 0,
            asked: None,
            next_ask: None,
            is_doubtful: false,
            round_trip: None,
            step: 0,
        }
    }

    /// Time between two frames.
    pub(super) fn frame_time(&self) -> Duration {
        let half = self.fastest * 2;
        match self.step {
            0 => self.fastest,
            1 => half,
            2 => half.max(Duration::from_millis(100)),
            _ => half.max(Duration::from_millis(500)),
        }
    }

    /// True if the link gets fewer frames than it could.
    pub(super) fn is_slow(&self) -> bool {
        self.step > 0
    }

    /// When the frame after the one that was due and is drawn now is due: frames that a key asked for do not put off
    /// those that are to come.
    pub(super) fn after(&self, due: Instant, now: Instant) -> Instant {
        (due + self.frame_time()).clamp(now, now + self.frame_time())
    }

    /// True if the link is not known to be behind.
    pub(super) fn may_draw(&self) -> bool {
        self.answers == Answers::Never || self.asked.is_none() || self.sent - self.confirmed <= self.credit()
    }

    fn credit(&self) -> u64 {
        if self.is_slow() { SLOW_CREDIT } else { CREDIT }
    }

    /// Takes note of a frame. True if the terminal is to be asked after it.
    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) -> bool {
        self.sent += bytes as u64;
        if self.answers == Answers::Never || self.asked.is_some() {
            return false;
        }
        let is_time = self.next_ask.is_none_or(|next| next <= now);
        if !is_time && self.sent - self.confirmed < ASK_AFTER.min(self.credit() / 2) {
            return false;
        }
        self.asked = Some((now, self.sent));
        self.next_ask = Some(now + ASK_EVERY);
        true
    }

    /// The terminal answered.
    pub(super) fn answered(&mut self, now: Instant) {
        let Some((asked, sent)) = self.asked.take() else { return };
        self.confirmed = sent;
        self.answers = Answers::Come;
        if !std::mem::take(&mut self.is_doubtful) {
            self.measure(now.saturating_duration_since(asked));
        }
    }

    /// Gives up an answer that does not come.
    pub(super) fn pass_time(&mut self, now: Instant) {
        let Some((asked, _)) = self.asked else { return };
        let waited = now.saturating_duration_since(asked);
        match self.answers {
            // Should it come after all, it counts.
            Answers::Untried if waited >= FIRST_PATIENCE => self.answers = Answers::Never,
            Answers::Come if waited >= PATIENCE => {
                self.begin_anew();
                self.step = SLOWEST;
            }
            _ => {}
        }
    }

    /// The terminal was someone else's meanwhile: what was sent before does not matter any more.
    pub(super) fn begin_anew(&mut self) {
        self.is_doubtful |= self.asked.take().is_some();
        self.confirmed = self.sent;
    }

    /// Time that an answer is still worth waiting for before the terminal is given back: a shell would take it for typed.
    /// `None` if none is to come.
    pub(super) fn patience_at_end(&self) -> Option<Duration> {
        self.asked?;
        match self.answers {
            Answers::Untried => Some(QUICK),
            Answers::Come => Some(LAST_PATIENCE),
            Answers::Never => None,
        }
    }

    /// Time from a request to its answer, if there was one.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|times| times.smooth)
    }

    fn measure(&mut self, took: Duration) {
        let times = self.round_trip.get_or_insert(RoundTrip { smooth: took, least: took });
        // Better news is believed sooner.
        times.smooth = if took < times.smooth { (times.smooth + took) / 2 } else { (times.smooth * 3 + took) / 4 };
        // The least is forgotten little by little: the way to the terminal may have become another.
        times.least = took.min(times.least + times.least / 64);
        let RoundTrip { smooth, least } = *times;
        self.step = match () {
            () if smooth > least * 8 && smooth > STUCK => SLOWEST,
            () if smooth > least * 2 && smooth > QUICK => (self.step + 1).min(SLOWEST - 1),
            () if smooth * 2 <= least * 3 || smooth <= QUICK => self.step.saturating_sub(1),
            () => self.step,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    /// A link on which nothing happens by itself.
    struct Stand {
        pace: Pace,
        now: Instant,
    }

    impl Stand {
        fn new() -> Self {
            Self { pace: Pace::new(FRAME), now: Instant::now() }
        }

        fn pass(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
            self.pace.pass_time(self.now);
        }

        fn write(&mut self, bytes: usize) -> bool {
            self.pace.wrote(bytes, self.now)
        }

        fn answer(&mut self) {
            self.pace.answered(self.now);
        }

        /// Asks after a frame and gets the answer so much later.
        fn round_trip(&mut self, milliseconds: u64) {
            assert!(self.write(ASK_AFTER as usize));
            self.pass(milliseconds);
            self.answer();
        }
    }

    #[test]
    fn the_terminal_is_asked_after_so_many_bytes_or_so_much_time() {
        let mut stand = Stand::new();
        assert!(stand.write(100), "the first time at once");
        assert!(!stand.write(100_000), "one request at a time");
        stand.answer();
        assert!(stand.write(1), "much was sent after the request");
        stand.answer();
        assert!(!stand.write(ASK_AFTER as usize - 1) && stand.write(1));
        stand.answer();
        stand.pass(1000);
        assert!(stand.write(1));
    }

    #[test]
    fn nothing_is_drawn_beyond_the_credit_until_the_answer_comes() {
        let mut stand = Stand::new();
        stand.write(100);
        assert!(stand.pace.may_draw());
        stand.write(CREDIT as usize);
        assert!(!stand.pace.may_draw());
        stand.answer();
        assert!(stand.pace.may_draw(), "what follows the request is not too much by itself");
    }

    #[test]
    fn a_slow_link_has_less_credit() {
        let mut stand = Stand::new();
        stand.round_trip(80);
        for _ in 0..5 {
            stand.round_trip(400);
        }
        assert!(stand.pace.is_slow());
        assert!(stand.write(SLOW_CREDIT as usize / 2) && stand.pace.may_draw());
        stand.write(SLOW_CREDIT as usize / 2 + 1);
        assert!(!stand.pace.may_draw());
    }

    #[test]
    fn a_terminal_that_never_answers_is_drawn_to_all_the_same() {
        let mut stand = Stand::new();
        stand.write(20_000);
        stand.pass(1999);
        assert!(!stand.pace.may_draw());
        stand.pass(1);
        assert!(stand.pace.may_draw());
        assert!(!stand.write(20_000) && stand.pace.may_draw(), "it is not asked again");
        assert_eq!((stand.pace.round_trip(), stand.pace.frame_time()), (None, FRAME));
    }

    #[test]
    fn a_first_answer_that_comes_late_counts() {
        let mut stand = Stand::new();
        stand.write(20_000);
        stand.pass(3000);
        stand.answer();
        assert_eq!(stand.pace.round_trip(), Some(Duration::from_secs(3)));
        assert!(stand.write(20_000));
    }

    #[test]
    fn an_answer_that_is_lost_does_not_stop_the_screen_for_good() {
        let mut stand = Stand::new();
        stand.round_trip(40);
        stand.write(20_000);
        stand.pass(9999);
        assert!(!stand.pace.may_draw());
        stand.pass(1);
        assert!(stand.pace.may_draw());
        assert_eq!(stand.pace.frame_time(), Duration::from_millis(500));
        assert!(stand.write(10));
        stand.answer();
        assert_eq!(stand.pace.round_trip(), Some(Duration::from_millis(40)), "whose answer it is cannot be known");
    }

    #[test]
    fn at_the_end_an_answer_is_waited_for_that_is_likely_to_come() {
        let mut stand = Stand::new();
        assert_eq!(stand.pace.patience_at_end(), None);
        stand.round_trip(80);
        assert_eq!(stand.pace.patience_at_end(), None);
        stand.write(ASK_AFTER as usize);
        assert_eq!(stand.pace.patience_at_end(), Some(LAST_PATIENCE));

        let mut mute = Stand::new();
        mute.write(1);
        mute.pass(3000);
        assert_eq!(mute.pace.patience_at_end(), None);
    }

    #[test]
    fn an_answer_to_nothing_is_nothing() {
        let mut stand = Stand::new();
        stand.answer();
        assert_eq!(stand.pace.round_trip(), None);
        assert!(stand.write(1));
    }

    #[test]
    fn longer_round_trips_halve_the_rate_down_to_a_floor_and_shorter_ones_bring_it_back() {
        let mut stand = Stand::new();
        for _ in 0..5 {
            stand.round_trip(80);
        }
        assert_eq!(stand.pace.frame_time(), FRAME);
        let mut seen = vec![FRAME];
        for _ in 0..20 {
            stand.round_trip(400);
            seen.push(stand.pace.frame_time());
        }
        seen.dedup();
        assert_eq!(seen, [FRAME, FRAME * 2, Duration::from_millis(100)]);
        for _ in 0..10 {
            stand.round_trip(80);
        }
        assert_eq!(stand.pace.frame_time(), FRAME);
    }

    #[test]
    fn a_link_that_all_but_stands_gets_two_frames_a_second() {
        let mut stand = Stand::new();
        stand.round_trip(80);
        for _ in 0..5 {
            stand.round_trip(3000);
        }
        assert_eq!(stand.pace.frame_time(), Duration::from_millis(500));
    }

    #[test]
    fn frames_keep_their_rate_whatever_comes_between() {
        let Stand { pace, now } = Stand::new();
        assert_eq!(pace.after(now - FRAME / 4, now), now + FRAME * 3 / 4, "a little late: the rate is kept");
        assert_eq!(pace.after(now - FRAME * 9, now), now, "far too late: nothing is made up for");
        assert_eq!(pace.after(now + FRAME / 2, now), now + FRAME, "a key was pressed before it was due");
    }

    #[test]
    fn short_round_trips_never_matter() {
        let mut stand = Stand::new();
        stand.round_trip(1);
        for _ in 0..20 {
            stand.round_trip(90);
        }
        assert_eq!(stand.pace.frame_time(), FRAME);
    }

    #[test]
    fn a_way_that_has_become_longer_is_the_usual_one_after_a_while() {
        let mut stand = Stand::new();
        stand.round_trip(80);
        for _ in 0..200 {
            stand.round_trip(200);
        }
        assert_eq!(stand.pace.frame_time(), FRAME);
    }
}
