//! One monotonic clock for the whole process, and where it stands against wall time.
use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the first use of this clock in the process; never steps back.
pub fn now_ns() -> u64 {
    nanoseconds(ORIGIN.get_or_init(Instant::now).elapsed())
}

/// The instant at which [`now_ns`] reads `timestamp_ns`.
pub fn instant_at(timestamp_ns: u64) -> Instant {
    *ORIGIN.get_or_init(Instant::now) + Duration::from_nanos(timestamp_ns)
}

/// A duration as whole nanoseconds; saturates after 584 years.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The same moment on both clocks. Times are placed by monotonic distance from an anchor, so they never
/// step when the wall clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Reading of [`now_ns`].
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
}

impl Anchor {
    /// Reads both clocks.
    pub fn now() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { monotonic_ns: now_ns(), unix_ns: nanoseconds(unix) }
    }

    /// Wall time of a monotonic time, by this anchor.
    pub fn unix_ns_at(&self, timestamp_ns: u64) -> u64 {
        if timestamp_ns >= self.monotonic_ns {
            self.unix_ns.saturating_add(timestamp_ns - self.monotonic_ns)
        } else {
            self.unix_ns.saturating_sub(self.monotonic_ns - timestamp_ns)
        }
    }
}
