//! When a sample is due.
use std::time::{Duration, Instant};

use wavedeck_api::prelude::*;

/// Lateness after which the clock is set anew: the pipeline was paused or the machine was asleep.
const LATE: Duration = Duration::from_millis(500);

/// The pace of a replay.
#[derive(Default)]
pub(super) struct Pace {
    /// The same moment by the host's clock and in samples.
    anchor: Option<(Instant, u64)>,
}

impl Pace {
    /// Begins anew with the next sample.
    pub(super) fn restart(&mut self) {
        self.anchor = None;
    }

    /// How long it is until sample `index` is due at a speed, when the next one is `position`; none if it is due, or
    /// the speed is 0.
    pub(super) fn wait(&mut self, index: u64, position: u64, rate: Rate, speed: f64) -> Duration {
        if speed <= 0.0 {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let (moment, from) = *self.anchor.get_or_insert((now, index.min(position)));
        let ahead = rate.nanoseconds_at(index.saturating_sub(from)) as f64 / speed;
        let due = moment + Duration::from_nanos(ahead as u64);
        if now.saturating_duration_since(due) > LATE {
            self.anchor = Some((now, index));
            return Duration::ZERO;
        }
        due.saturating_duration_since(now)
    }
}
