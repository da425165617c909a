//! Unwraps the frames' 8-bit counter into a sample index, with host time where the counter is ambiguous.
use super::{Arrival, FRAMES_PER_SECOND};

/// Time from frame to frame.
const PERIOD_NS: i64 = 1_000_000_000 / FRAMES_PER_SECOND as i64;
/// Frames after which the counter repeats.
const WRAP: u64 = 256;
const WRAP_NS: i64 = WRAP as i64 * PERIOD_NS;
/// Frames over which the shortest way of a frame to the host is remembered; the board's clock drifts little in it.
const WINDOW_FRAMES: u32 = 2048;
/// How exactly a silence must be a whole number of counter wraps to be read as a loss the counter does not show.
const WRAP_TOLERANCE_NS: i64 = 32 * PERIOD_NS;

/// Where the counter stands.
#[derive(Debug, Default)]
pub(super) struct SampleCount {
    last: Option<(u8, u64)>,
    origin: Origin,
}

impl SampleCount {
    /// Sample index of the frame that carries `counter`. The first has its counter's parity: 0 or 1.
    pub(super) fn advance(&mut self, counter: u8, arrival: Arrival) -> u64 {
        let sample = match self.last {
            None => u64::from(counter & 1),
            Some((last_counter, last_sample)) => {
                let step = match counter.wrapping_sub(last_counter) {
                    0 => WRAP,
                    step => u64::from(step),
                };
                last_sample + step + WRAP * self.hidden_wraps(last_sample + step, step, arrival)
            }
        };
        self.last = Some((counter, sample));
        self.origin.observe(nanoseconds(arrival.read_ns) - due_ns(sample));
        sample
    }

    /// Times the counter went round unseen before `candidate`, which it shows to be `step` frames after the last.
    fn hidden_wraps(&self, candidate: u64, step: u64, arrival: Arrival) -> u64 {
        let Some(origin_ns) = self.origin.earliest_ns() else {
            return 0;
        };
        let expected_ns = origin_ns + due_ns(candidate);
        let late_ns = nanoseconds(arrival.read_ns) - expected_ns;
        let wraps = nearest_wraps(late_ns);
        if step != 1 {
            return wraps;
        }
        // No loss to be seen: a host that was held up looks the same as a loss of exactly 256 frames,
        // unless the port was watched and the time fits.
        let was_watched = nearest_wraps(nanoseconds(arrival.empty_ns) - expected_ns) == wraps;
        let fits = (late_ns + WRAP_TOLERANCE_NS).rem_euclid(WRAP_NS) <= 2 * WRAP_TOLERANCE_NS;
        if was_watched && fits { wraps } else { 0 }
    }
}

/// Host time at which sample 0 would have come by the shortest way seen of late: a minimum over two windows.
#[derive(Debug, Default)]
struct Origin {
    current_ns: Option<i64>,
    previous_ns: Option<i64>,
    frames: u32,
}

impl Origin {
    fn observe(&mut self, origin_ns: i64) {
        if self.frames == WINDOW_FRAMES {
            self.previous_ns = self.current_ns.take();
            self.frames = 0;
        }
        self.frames += 1;
        self.current_ns = Some(self.current_ns.map_or(origin_ns, |ns| ns.min(origin_ns)));
    }

    fn earliest_ns(&self) -> Option<i64> {
        self.current_ns.into_iter().chain(self.previous_ns).min()
    }
}

fn nearest_wraps(late_ns: i64) -> u64 {
    u64::try_from((late_ns + WRAP_NS / 2).div_euclid(WRAP_NS)).unwrap_or(0)
}

fn due_ns(sample: u64) -> i64 {
    nanoseconds(sample).saturating_mul(PERIOD_NS)
}

/// As signed; clocks that count from the start of the process stay far below the limit, others saturate.
fn nanoseconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A count that has seen frames 0 to 99 on time, the last at 396 ms.
    fn after_a_hundred() -> SampleCount {
        let mut count = SampleCount::default();
        for sample in 0..100u8 {
            count.advance(sample, watched(u64::from(sample) * 4));
        }
        count
    }

    fn watched(ms: u64) -> Arrival {
        Arrival { empty_ns: ms.saturating_sub(5) * MS, read_ns: ms * MS }
    }

    #[test]
    fn every_loss_up_to_many_wraps_is_counted_with_the_host_s_time() {
        for lost in (1..2000).chain([65_536, 250 * 3600]) {
            let sample = 100 + lost;
            let found = after_a_hundred().advance(sample as u8, watched(sample * 4 + 3));
            assert_eq!(found, sample, "lost {lost}");
        }
    }

    #[test]
    fn a_loss_shorter_than_the_counter_needs_no_time() {
        for lost in 1..=255u64 {
            let sample = 100 + lost;
            assert_eq!(after_a_hundred().advance(sample as u8, Arrival::default()), sample, "lost {lost}");
        }
    }

    #[test]
    fn a_host_that_was_held_up_invents_no_loss() {
        for held_up_ms in [500, 900, 1024, 1100, 5000] {
            let arrival = Arrival { empty_ns: 398 * MS, read_ns: (400 + held_up_ms) * MS };
            assert_eq!(after_a_hundred().advance(100, arrival), 100, "held up for {held_up_ms} ms");
        }
    }

    #[test]
    fn a_link_that_was_held_up_invents_no_loss() {
        assert_eq!(after_a_hundred().advance(100, watched(400 + 700)), 100);
    }

    #[test]
    fn a_loss_after_a_hold_up_is_counted_from_the_whole_time() {
        let mut count = after_a_hundred();
        let held_up = Arrival { empty_ns: 398 * MS, read_ns: 2800 * MS };
        for sample in 100..224u64 {
            assert_eq!(count.advance(sample as u8, held_up), sample, "what the system had kept");
        }
        // 2.4 s is 600 frames; the system kept 124 of them.
        assert_eq!(count.advance(700u64 as u8, held_up), 700);
    }

    #[test]
    fn a_clock_half_a_percent_off_is_followed() {
        let mut count = SampleCount::default();
        for sample in 0..200_000u64 {
            assert_eq!(count.advance(sample as u8, watched(sample * 4020 / 1000)), sample);
        }
        let sample = 200_000 + 300;
        assert_eq!(count.advance(sample as u8, watched(sample * 4020 / 1000)), sample);
    }
}
