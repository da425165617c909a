//! What the screen costs: frames and bytes per second, and how long the way to the terminal takes.
use std::time::{Duration, Instant};

/// Time that is counted over.
const SPAN: Duration = Duration::from_secs(1);

/// What the screen cost in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Frames that changed something.
    pub frames_per_s: f64,
    /// Bytes written to the terminal.
    pub bytes_per_s: f64,
    /// To the terminal and back, where it answers.
    pub round_trip: Option<Duration>,
}

impl Cost {
    /// True if a person would call it another: the figures are on the screen and must not be what is worth showing.
    fn differs(&self, other: &Self) -> bool {
        let apart = |a: f64, b: f64, least: f64| (a - b).abs() > least + 0.1 * a.min(b);
        let milliseconds = |cost: &Self| cost.round_trip.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        self.round_trip.is_some() != other.round_trip.is_some()
            || apart(self.frames_per_s, other.frames_per_s, 1.0)
            || apart(self.bytes_per_s, other.bytes_per_s, 100.0)
            || apart(milliseconds(self), milliseconds(other), 3.0)
    }
}

/// Counts what is written.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    frames: u32,
    bytes: usize,
    told: Cost,
}

impl Meter {
    /// Begins to count.
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, frames: 0, bytes: 0, told: Cost::default() }
    }

    /// Takes note of what was written for a frame.
    pub(super) fn drew(&mut self, bytes: usize) {
        self.frames += u32::from(bytes > 0);
        self.bytes += bytes;
    }

    /// Ends a second, if one has passed.
    pub(super) fn pass_time(&mut self, now: Instant, round_trip: Option<Duration>) {
        let passed = now.saturating_duration_since(self.since);
        if passed < SPAN {
            return;
        }
        let per_s = |count: f64| count / passed.as_secs_f64();
        let cost =
            Cost { frames_per_s: per_s(f64::from(self.frames)), bytes_per_s: per_s(self.bytes as f64), round_trip };
        if cost.differs(&self.told) {
            self.told = cost;
        }
        (self.since, self.frames, self.bytes) = (now, 0, 0);
    }

    /// What to show.
    pub(super) fn told(&self) -> Cost {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_told_when_it_has_passed() {
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        (0..30).for_each(|_| meter.drew(140));
        meter.drew(0);
        meter.pass_time(begin + SPAN / 2, None);
        assert_eq!(meter.told(), Cost::default());

        meter.pass_time(begin + SPAN, Some(Duration::from_millis(38)));

        let round_trip = Some(Duration::from_millis(38));
        assert_eq!(meter.told(), Cost { frames_per_s: 30.0, bytes_per_s: 4200.0, round_trip });
    }

    #[test]
    fn figures_that_hardly_change_stand_still() {
        let begin = Instant::now();
        let mut meter = Meter::new(begin);
        for (second, bytes) in [(1, 4200), (2, 4400), (3, 4000), (4, 5200)] {
            meter.drew(bytes);
            meter.pass_time(begin + SPAN * second, None);
            let told = if second < 4 { 4200.0 } else { 5200.0 };
            assert_eq!(meter.told().bytes_per_s, told);
        }
    }
}
