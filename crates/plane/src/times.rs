//! How long the calls of a stage took: counts on a logarithmic scale, with one writer and any readers.
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wavedeck_api::clock::nanoseconds;

/// What takes less than 2^6 = 64 ns is not told apart.
const FIRST_OCTAVE: u32 = 6;
/// Nor is what takes 2^36 ns = 69 s and more.
const LAST_OCTAVE: u32 = 36;
/// Buckets within an octave: none is wider than a quarter of where it begins.
const PER_OCTAVE: u32 = 4;
/// All between, one for what is below and one for what is above.
const BUCKETS: usize = (PER_OCTAVE * (LAST_OCTAVE - FIRST_OCTAVE)) as usize + 2;

/// Counts that a worker writes for one of its stages.
#[derive(Debug)]
pub(crate) struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    /// Counts calls that took so long each. Only the stage's own worker calls this.
    pub(crate) fn add(&self, calls: u32, each: Duration) {
        let bucket = &self.0[bucket_of(nanoseconds(each))];
        // Relaxed: one writer, and a count stands for nothing but itself.
        bucket.store(bucket.load(Ordering::Relaxed) + u64::from(calls), Ordering::Relaxed);
    }

    /// A copy. Calls that end meanwhile may be in it or not.
    pub(crate) fn counts(&self) -> CallTimes {
        let mut counts: Vec<u64> = self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        counts.truncate(used);
        CallTimes(counts)
    }
}

/// How many calls took how long, from the shortest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTimes(Vec<u64>);

impl CallTimes {
    /// Calls that were counted.
    pub fn calls(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Time that this share of the calls took at most, rounded up to the end of its bucket: at most a quarter more than
    /// it was, and never less than 64 ns. `None` without calls. Calls in a burst count with their mean.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let calls = self.calls();
        let rank = ((share * calls as f64).ceil() as u64).clamp(1, calls.max(1));
        let mut seen = 0;
        let bucket = self.0.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(end_of(bucket)))
    }

    /// As [`percentile`](Self::percentile), but where the longest call is known exactly, never more than that.
    pub fn percentile_within(&self, share: f64, longest: Duration) -> Option<Duration> {
        self.percentile(share).map(|time| time.min(longest))
    }

    /// The calls since an earlier copy of the same counts.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.0.iter().chain(std::iter::repeat(&0));
        Self(self.0.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect())
    }
}

impl FromIterator<(u32, Duration)> for CallTimes {
    /// Calls and the time that each of them took.
    fn from_iter<I: IntoIterator<Item = (u32, Duration)>>(calls: I) -> Self {
        let histogram = Histogram::default();
        calls.into_iter().for_each(|(calls, each)| histogram.add(calls, each));
        histogram.counts()
    }
}

/// The octave, and within it the next two bits.
fn bucket_of(ns: u64) -> usize {
    if ns < 1 << FIRST_OCTAVE {
        return 0;
    }
    let octave = ns.ilog2();
    let quarter = (ns >> (octave - 2)) & 3;
    let bucket = ((octave - FIRST_OCTAVE) * PER_OCTAVE) as usize + quarter as usize + 1;
    bucket.min(BUCKETS - 1)
}

/// Where a bucket ends; the last one has no end, so it gives where it begins.
fn end_of(bucket: usize) -> u64 {
    let bucket = (bucket as u32).min(BUCKETS as u32 - 2);
    let (octave, quarter) = (FIRST_OCTAVE + bucket / PER_OCTAVE, bucket % PER_OCTAVE);
    u64::from(PER_OCTAVE + quarter) << (octave - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(ns: u64) -> Duration {
        Duration::from_nanos(ns)
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS - 1 {
            let end = end_of(bucket);
            assert_eq!(bucket_of(end - 1), bucket, "before {end}");
            assert_eq!(bucket_of(end), bucket + 1, "at {end}");
        }
        assert_eq!((end_of(0), end_of(BUCKETS - 2)), (64, 1 << 36));
    }

    #[test]
    fn no_time_is_too_short_or_too_long_to_count() {
        assert_eq!((bucket_of(0), bucket_of(1), bucket_of(63)), (0, 0, 0));
        assert_eq!((bucket_of(u64::MAX), bucket_of(1 << 36)), (BUCKETS - 1, BUCKETS - 1));
        let times: CallTimes = [(1, Duration::ZERO), (1, Duration::MAX)].into_iter().collect();
        assert_eq!(times.calls(), 2);
        assert_eq!((times.percentile(0.5), times.percentile(1.0)), (Some(ns(64)), Some(ns(1 << 36))));
    }

    #[test]
    fn a_percentile_is_within_a_bucket_of_the_true_one() {
        // Times over nine decades, none of them round.
        let mut times: Vec<u64> = (0..2000).map(|n| (70.0 * 1.01_f64.powi(n)) as u64 % 60_000_000_000 + 64).collect();
        let counted: CallTimes = times.iter().map(|t| (1, ns(*t))).collect();
        times.sort_unstable();
        for share in [0.001, 0.25, 0.5, 0.9, 0.99, 1.0] {
            let truth = times[((share * times.len() as f64).ceil() as usize).max(1) - 1];
            let found = counted.percentile(share).map_or(0, nanoseconds);
            assert!(found > truth && found <= truth + truth / 4 + 1, "{share}: {found} for {truth}");
        }
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        assert_eq!(CallTimes::default().percentile(0.5), None);
        let times: CallTimes = [(3, ns(1000))].into_iter().collect();
        assert_eq!(times.since(&times).percentile(0.99), None);
    }

    #[test]
    fn the_difference_of_two_copies_is_what_came_between() {
        let histogram = Histogram::default();
        histogram.add(1000, ns(100));
        let before = histogram.counts();
        histogram.add(10, ns(5000));
        histogram.add(7, ns(100));
        let between = histogram.counts().since(&before);
        assert_eq!(between.calls(), 17);
        assert_eq!(between.percentile(0.4), Some(ns(112)));
        assert_eq!(between.percentile(0.5), Some(ns(5120)));
        assert_eq!(histogram.counts().percentile(0.5), Some(ns(112)));
    }

    #[test]
    fn a_burst_counts_every_call_of_it() {
        let times: CallTimes = [(32, ns(200)), (1, ns(20_000))].into_iter().collect();
        assert_eq!(times.calls(), 33);
        assert_eq!(times.percentile(0.96), Some(ns(224)));
        assert_eq!(times.percentile(0.99), Some(ns(20_480)));
    }
}
