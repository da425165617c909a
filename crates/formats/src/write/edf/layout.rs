//! How samples are cut into records, and the time of each.
use wavedeck_api::signal::Rate;

/// Largest record that the standard recommends.
const RECORD_BYTES: u64 = 61_440;
/// Largest record that readers take without complaint.
const MOST_RECORD_BYTES: u64 = 1 << 20;
/// Units of time in a second; readers count in these.
pub(super) const TICKS: u64 = 10_000_000;

/// Records of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Samples of each channel in a record.
    pub(super) samples: u64,
    /// Length of a record in ticks.
    pub(super) ticks: u64,
    /// Relative error of the rate that follows from both.
    pub(super) error: f64,
}

impl Layout {
    /// Records of about a second for frames of so many bytes, with `extra` bytes beside the samples.
    pub(super) fn new(rate: Rate, frame_bytes: u64, extra: u64) -> Self {
        let fitting = |bytes: u64| (bytes.saturating_sub(extra) / frame_bytes).max(1);
        let (small, large) = (fitting(RECORD_BYTES), fitting(MOST_RECORD_BYTES));
        let a_second = (rate.hz().round() as u64).max(1);
        let exact = |samples: &u64| exact_ticks(*samples, rate);
        let distance = |samples: &u64| {
            let ratio = *samples as f64 / a_second.min(small) as f64;
            if ratio < 1.0 { 1.0 / ratio } else { ratio }
        };
        let nearest = |most: u64| {
            let candidates = (1..=most.min(4 * a_second)).filter(|samples| exact(samples).is_some());
            // Among those that are near enough the one with the shortest number.
            candidates.min_by_key(|samples| {
                let distance = distance(samples);
                let digits =
                    if distance < 1.5 { exact(samples).map_or(8, |ticks| seconds_text(ticks).len()) } else { 9 };
                (digits, (distance * 1e6) as u64)
            })
        };
        if let Some(samples) = nearest(small).or_else(|| nearest(large))
            && let Some(ticks) = exact(&samples)
        {
            return Self { samples, ticks, error: 0.0 };
        }
        // A duration that no eight characters hold: the longer the record, the less is lost.
        let inexact = |samples: u64| {
            let seconds = samples as f64 / rate.hz();
            let ticks = rounded_ticks(seconds);
            Self { samples, ticks, error: (ticks as f64 / TICKS as f64 / seconds - 1.0).abs() }
        };
        let best = |most: u64| {
            let candidates = (most.div_ceil(2)..=most).map(inexact);
            candidates.min_by(|a, b| a.error.total_cmp(&b.error)).unwrap_or_else(|| inexact(1))
        };
        let recommended = best(small.min(2 * a_second));
        if recommended.error < 1e-7 { recommended } else { best(large.min(2 * a_second)) }
    }

    /// Records that hold so many frames.
    pub(super) fn records(&self, frames: u64) -> u64 {
        frames.div_ceil(self.samples)
    }

    /// Ticks from the first frame to another, rounded to the nearest.
    pub(super) fn ticks_at(&self, frame: u64) -> u64 {
        let ticks = u128::from(frame) * u128::from(self.ticks) + u128::from(self.samples) / 2;
        u64::try_from(ticks / u128::from(self.samples)).unwrap_or(u64::MAX)
    }

    /// Length of a record as the header says it.
    pub(super) fn duration_text(&self) -> String {
        seconds_text(self.ticks)
    }
}

/// Seconds, with as many digits as it takes.
pub(super) fn seconds_text(ticks: u64) -> String {
    let text = format!("{}.{:07}", ticks / TICKS, ticks % TICKS);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Length of so many samples, if eight characters hold it without rest.
fn exact_ticks(samples: u64, rate: Rate) -> Option<u64> {
    let ticks = u128::from(samples) * u128::from(rate.denominator()) * u128::from(TICKS);
    let numerator = u128::from(rate.numerator());
    if ticks % numerator != 0 {
        return None;
    }
    let ticks = u64::try_from(ticks / numerator).ok()?;
    (seconds_text(ticks).len() <= 8).then_some(ticks)
}

/// The nearest length that eight characters hold.
fn rounded_ticks(seconds: f64) -> u64 {
    let text = super::text::decimal(seconds).unwrap_or_else(|| "99999999".into());
    let ticks = text.parse::<f64>().unwrap_or(1.0) * TICKS as f64;
    (ticks.round() as u64).max(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(rate: (u64, u64), frame_bytes: u64) -> Layout {
        Layout::new(Rate::new(rate.0, rate.1).expect("positive"), frame_bytes, 64)
    }

    #[test]
    fn a_record_is_a_second_where_it_can_be() {
        for rate in [1, 125, 250, 512, 1000, 2048] {
            let layout = layout((rate, 1), 24);
            assert_eq!((layout.samples, layout.duration_text().as_str(), layout.error), (rate, "1", 0.0));
        }
    }

    #[test]
    fn a_record_of_many_channels_is_shorter_and_still_exact() {
        let layout = layout((30_000, 1), 64 * 3);
        assert_eq!((layout.samples, layout.duration_text().as_str()), (300, "0.01"));
    }

    #[test]
    fn a_fractional_rate_gives_whole_samples_and_an_exact_duration() {
        let ntsc = layout((30_000, 1001), 3);
        assert_eq!((ntsc.samples, ntsc.duration_text().as_str(), ntsc.error), (30, "1.001", 0.0));
        let slow = layout((1, 60), 3);
        assert_eq!((slow.samples, slow.duration_text().as_str()), (1, "60"));
        let third = layout((1000, 3), 3);
        assert_eq!((third.samples, third.duration_text().as_str(), third.error), (300, "0.9", 0.0));
    }

    #[test]
    fn a_rate_with_no_such_duration_is_as_near_as_can_be() {
        let odd = layout((44_101, 1), 256 * 3);
        assert!(odd.error < 1e-7 && odd.samples <= 1365, "{odd:?}");
        let wide = layout((44_101, 1), 3);
        assert_eq!((wide.samples, wide.duration_text().as_str()), (44_101, "1"));
    }
}
