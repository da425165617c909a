//! The rate of a table, by its times and its indices.
use wavedeck_api::signal::Rate;

use super::super::number::Decimal;

/// True if the first values of an index mostly go up by one; `None` if they are not whole.
pub(super) fn counts_by_one(numbers: &[Decimal]) -> Option<bool> {
    let is_whole = |number: &Decimal, n: i64| n >= 0 && number.scaled(3) == n.checked_mul(1000);
    let whole: Option<Vec<i64>> =
        numbers.iter().map(|number| number.scaled(0).filter(|n| is_whole(number, *n))).collect();
    let whole = whole?;
    let by_one = whole.windows(2).filter(|pair| pair[1].checked_sub(pair[0]) == Some(1)).count();
    Some(whole.len() < 2 || 10 * by_one >= 8 * (whole.len() - 1))
}

/// Frames missing between two indices, of which the largest so far was `largest`; `None` if that cannot be said.
pub(super) fn missing_between(last: u64, next: u64, largest: u64) -> Option<u64> {
    if next > last {
        return Some(next - last - 1);
    }
    // A counter begins anew at a power of two; one that stops well below it is no counter of that kind.
    let modulus = largest.checked_add(1)?.checked_next_power_of_two()?;
    if (largest + 1) < modulus / 10 * 9 {
        return None;
    }
    let step = (next + modulus).checked_sub(last)?;
    (1..=modulus / 2).contains(&step).then_some(step.wrapping_sub(1))
}

/// What the first times of a table show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// A cell is seconds times this power of ten.
    pub(super) power: i32,
    /// Time from row to row.
    pub(super) period_ns: i64,
    /// The last digit written, or how much times wander about an even pace.
    pub(super) error_ns: i64,
    /// True if most rows are one period apart.
    pub(super) is_even: bool,
    /// Unix time of the first row, if it can be one.
    pub(super) unix_ns: Option<u64>,
}

impl Pace {
    /// Of the first times; `steps` are the indices between them, 1 where there are none.
    pub(super) fn of(numbers: &[Decimal], power: Option<i32>, steps: &[i64]) -> Option<Self> {
        let first = numbers.first()?;
        let power = match (power, first.scaled(0)?.unsigned_abs()) {
            (Some(power), _) => power,
            // Today is 1.8e9 seconds after 1970.
            (None, 0..100_000_000_000) => 0,
            (None, 100_000_000_000..100_000_000_000_000) => -3,
            (None, 100_000_000_000_000..100_000_000_000_000_000) => -6,
            (None, _) => -9,
        };
        let times: Option<Vec<i64>> = numbers.iter().map(|number| number.scaled(9 + power)).collect();
        let times = times?;
        let step = |place: usize| steps.get(place).copied().filter(|step| *step > 0).unwrap_or(1);
        let spans = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        let mut periods: Vec<i64> = spans.enumerate().map(|(place, span)| span / step(place)).collect();
        let last_digit = numbers.iter().map(|number| number.exponent + power + 9).min().unwrap_or(0).clamp(0, 9);
        let digit_ns = 10i64.pow(last_digit.unsigned_abs());
        let mut sorted = periods.clone();
        sorted.sort_unstable();
        let period_ns = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let tolerance = (period_ns / 10).max(digit_ns);
        periods.retain(|period| period.abs_diff(period_ns) <= tolerance.unsigned_abs());
        let is_even = period_ns > 0 && 4 * periods.len() >= 3 * sorted.len();
        let unix_ns = u64::try_from(times[0]).ok();
        // From 1990 on; what counts from the start of something else is smaller.
        let unix_ns = unix_ns.filter(|ns| (631_152_000..4_102_444_800).contains(&(ns / 1_000_000_000)));
        let error_ns = wander(&times, period_ns, tolerance).max(digit_ns);
        Some(Self { power, period_ns, error_ns, is_even, unix_ns })
    }

    /// A cell in nanoseconds.
    pub(super) fn time_ns(&self, text: &str) -> Option<i64> {
        Decimal::parse(text)?.scaled(9 + self.power)
    }
}

/// How far times are from even ones, from the first to where they first jump.
fn wander(times: &[i64], period_ns: i64, tolerance: i64) -> i64 {
    let regular = |pair: &[i64]| pair[1].saturating_sub(pair[0]).abs_diff(period_ns) <= tolerance.unsigned_abs();
    let n = times.windows(2).take_while(|pair| regular(pair)).count();
    let span = times[n].saturating_sub(times[0]) as f64;
    let even = |place: usize| span * place as f64 / n.max(1) as f64;
    let off =
        times[..=n].iter().enumerate().map(|(place, time)| (time.saturating_sub(times[0]) as f64 - even(place)).abs());
    off.fold(0.0, f64::max) as i64
}

/// The rate of `n` periods in `span_ns`, each end of which is off by `error_ns` at most: a whole one if there is one,
/// else the fraction with the smallest numbers.
pub(super) fn rate(n: u64, span_ns: i64, error_ns: i64) -> Option<Rate> {
    let span = u128::try_from(span_ns).ok().filter(|span| *span > 0 && n > 0)?;
    let error = u128::try_from(error_ns).ok()?.min(span / 2);
    let ticks = u128::from(n) * 1_000_000_000;
    let (low, high) = ((ticks, span + error), (ticks, span - error));
    let nearest = (ticks + span / 2) / span;
    let is_within = nearest > 0 && nearest * low.1 >= low.0 && nearest * high.1 <= high.0;
    let (numerator, denominator) = if is_within { (nearest, 1) } else { simplest(low, high) };
    Rate::new(u64::try_from(numerator).ok()?, u64::try_from(denominator).ok()?)
}

/// The fraction with the smallest numbers between two others, the ends included.
fn simplest(low: (u128, u128), high: (u128, u128)) -> (u128, u128) {
    let whole = low.0 / low.1;
    if whole * low.1 == low.0 {
        return (whole, 1);
    }
    if (whole + 1) * high.1 <= high.0 {
        return (whole + 1, 1);
    }
    let (denominator, numerator) = simplest((high.1, high.0 - whole * high.1), (low.1, low.0 - whole * low.1));
    (whole * denominator + numerator, denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(times: &[&str], power: Option<i32>) -> Pace {
        let numbers: Vec<_> = times.iter().map(|text| Decimal::parse(text).expect("a number")).collect();
        Pace::of(&numbers, power, &[]).expect("times")
    }

    #[test]
    fn the_rate_is_the_simplest_that_all_digits_allow() {
        for (n, span_ns, error_ns, expected) in [
            (999, 3_996_000_000, 1, "250/1"),
            (999, 5_994_000_000, 1_000_000, "500/3"),
            (1000, 3_906_000_000, 1_000_000, "256/1"),
            (433, 1_299_000_000, 1, "1000/3"),
            (2999, 100_066_633_333, 1, "30000/1001"),
            (10, 600_000_000_000, 1, "1/60"),
            (1, 4_000_000, 1, "250/1"),
        ] {
            assert_eq!(rate(n, span_ns, error_ns).map(|rate| rate.to_string()).as_deref(), Some(expected));
        }
        assert_eq!((rate(0, 1, 1), rate(1, 0, 1), rate(1, -1, 1)), (None, None, None));
    }

    #[test]
    fn times_are_even_but_for_jumps_and_bursts_are_not() {
        let even = pace(
            &["1.000", "1.004", "1.008", "1.012", "1.016", "1.020", "1.024", "1.028", "1.032", "1.036", "2.036"],
            None,
        );
        assert_eq!((even.period_ns, even.error_ns, even.is_even, even.unix_ns), (4_000_000, 1_000_000, true, None));
        let bursts = pace(&["1.0", "1.0", "1.0", "1.4", "1.4", "1.4", "1.8"], None);
        assert!(!bursts.is_even);
    }

    #[test]
    fn times_at_both_ends_of_what_can_be_said_are_no_pace() {
        let wide = pace(&["0", "-9223372036", "9223372036", "-9223372036", "0"], Some(0));
        assert!(!wide.is_even, "{wide:?}");
    }

    #[test]
    fn large_times_are_fractions_of_seconds_since_1970() {
        for (text, power) in
            [("1700000000.5", 0), ("1700000000500", -3), ("1700000000500000", -6), ("1700000000500000000", -9)]
        {
            let pace = pace(&[text], None);
            assert_eq!((pace.power, pace.unix_ns), (power, Some(1_700_000_000_500_000_000)), "{text}");
        }
    }

    #[test]
    fn a_counter_begins_anew_at_a_power_of_two() {
        assert_eq!(missing_between(7, 8, 8), Some(0));
        assert_eq!(missing_between(255, 0, 255), Some(0));
        assert_eq!(missing_between(254, 2, 255), Some(3));
        assert_eq!(missing_between(15, 1, 15), Some(1));
        assert_eq!((missing_between(200, 1, 200), missing_between(9, 9, 15)), (None, None));
        assert_eq!(missing_between(u64::MAX, 0, u64::MAX), None);
    }
}
