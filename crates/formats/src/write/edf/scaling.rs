//! How values become integers, and the header fields from which a reader gets them back.
use wavedeck_api::signal::ChannelSpec;

use super::text;
use crate::export::{Extent, in_unit};

/// A relative error that a header may leave in the values unmentioned.
pub(super) const LIMIT: f64 = 1e-6;
/// Ends of the digital range tried for one that eight characters hold well.
const TRIES: i64 = 4096;
/// Good enough to stop trying.
const GOOD: f64 = 1e-10;

/// Units with a prefix, and what their prefixes are worth.
const PREFIXES: [(&str, i32); 8] = [("p", -12), ("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9)];
const BASES: [&str; 12] = ["V", "A", "T", "Hz", "Pa", "W", "S", "Ohm", "g", "s", "N", "J"];

/// One channel.
#[derive(Clone, Debug)]
pub(super) struct Scaling {
    pub(super) unit: String,
    /// Text of the physical minimum and maximum.
    pub(super) physical: (String, String),
    pub(super) digital: (i32, i32),
    pub(super) mapping: Mapping,
    /// Largest error that the header leaves, relative to the range.
    pub(super) error: f64,
}

/// From a value to its integer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mapping {
    /// Counts less a constant.
    Exact {
        /// The constant.
        shift: i64,
    },
    /// The nearest of equal steps.
    Rounded {
        /// Value of digital 0 in the unit of the channel.
        zero: f64,
        /// Length of a step in the unit of the channel.
        step: f64,
    },
}

impl Scaling {
    /// The integer of a count and true if it had to be clamped.
    pub(super) fn of_count(&self, count: i32, channel: &ChannelSpec) -> (i32, bool) {
        match self.mapping {
            Mapping::Exact { shift } => self.clamped(i64::from(count) - shift),
            Mapping::Rounded { .. } => self.of_value(in_unit(count, channel)),
        }
    }

    /// The integer of a value and true if it had to be clamped.
    pub(super) fn of_value(&self, value: f64) -> (i32, bool) {
        match self.mapping {
            Mapping::Exact { shift } => self.clamped(value as i64 - shift),
            Mapping::Rounded { zero, step } => self.clamped(((value - zero) / step).round() as i64),
        }
    }

    /// True if this scaling of the counts of a channel is right for those of another too.
    pub(super) fn suits(&self, channel: &ChannelSpec, of: &ChannelSpec, extent: &Extent) -> bool {
        let is_like = channel.unit == of.unit && channel.scale == of.scale && channel.offset == of.offset;
        let (low, high) = (f64::from(self.digital.0), f64::from(self.digital.1));
        is_like && self.mapping == (Mapping::Exact { shift: 0 }) && extent.min >= low && extent.max <= high
    }

    fn clamped(&self, digital: i64) -> (i32, bool) {
        let (low, high) = (i64::from(self.digital.0), i64::from(self.digital.1));
        let clamped = digital.clamp(low, high);
        (clamped as i32, clamped != digital)
    }

    /// True if the integers are counts less a constant.
    pub(super) fn is_shifted(&self) -> bool {
        matches!(self.mapping, Mapping::Exact { shift } if shift != 0)
    }

    /// Length of a step in the unit of the channel, if values are rounded.
    pub(super) fn step(&self) -> Option<f64> {
        match self.mapping {
            Mapping::Exact { .. } => None,
            Mapping::Rounded { step, .. } => Some(step),
        }
    }
}

/// The scaling of a channel of counts that lie in `extent`, for integers of `bits` bits.
pub(super) fn of_counts(channel: &ChannelSpec, extent: Extent, bits: u32) -> Scaling {
    let full = full_range(bits);
    let (min, max) = if extent.min <= extent.max { (extent.min as i64, extent.max as i64) } else { (0, 0) };
    let has_scale = channel.scale.is_normal() && channel.offset.is_finite();
    let shift = if min >= full.0 && max <= full.1 { 0 } else { min + (max - min + 1) / 2 };
    if has_scale && max - min <= full.1 - full.0 {
        let true_value = |digital: i64| (digital + shift) as f64 * channel.scale + channel.offset;
        if let Some(scaling) = exact(&channel.unit, &true_value, (min - shift, max - shift), full, shift) {
            return scaling;
        }
    }
    let ends = [in_unit(min as i32, channel), in_unit(max as i32, channel)];
    of_values(channel, Extent { min: ends[0].min(ends[1]), max: ends[0].max(ends[1]) }, bits)
}

/// The scaling of a channel of values that lie in `extent`, for integers of `bits` bits.
pub(super) fn of_values(channel: &ChannelSpec, extent: Extent, bits: u32) -> Scaling {
    let full = full_range(bits);
    let finite = extent.min <= extent.max && extent.min.is_finite() && extent.max.is_finite();
    let (min, max) = if finite { (extent.min, extent.max) } else { (0.0, 0.0) };
    let (unit, factor) = units(&channel.unit)
        .into_iter()
        .find(|(_, factor)| is_fine(min * factor, max * factor))
        .unwrap_or_else(|| power_of_ten(&channel.unit, min, max));
    let (low, high) = around(min * factor, max * factor);
    let number = |text: &str| text.parse::<f64>().unwrap_or(0.0);
    let step = (number(&high) - number(&low)) / (full.1 - full.0) as f64;
    let zero = number(&low) - full.0 as f64 * step;
    Scaling {
        unit,
        physical: (low, high),
        digital: (full.0 as i32, full.1 as i32),
        mapping: Mapping::Rounded { zero: zero / factor, step: step / factor },
        error: 0.0,
    }
}

fn full_range(bits: u32) -> (i64, i64) {
    (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

/// The digital range, at least `data` and at most `full`, and the unit whose ends eight characters hold best.
fn exact(
    unit: &str,
    true_value: &dyn Fn(i64) -> f64,
    data: (i64, i64),
    full: (i64, i64),
    shift: i64,
) -> Option<Scaling> {
    let span = (true_value(full.1) - true_value(full.0)).abs();
    let mut best: Option<Scaling> = None;
    for (unit, factor) in units(unit) {
        let end = |candidates: &mut dyn Iterator<Item = i64>, most: usize| {
            let mut best: Option<(f64, i64, String)> = None;
            for digital in candidates {
                let value = true_value(digital) * factor;
                let Some(text) = text::decimal(value).filter(|text| text.len() <= most) else {
                    continue;
                };
                let error = (text.parse::<f64>().unwrap_or(f64::INFINITY) - value).abs() / (span * factor);
                if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                    best = Some((error, digital, text));
                }
                if error < GOOD {
                    break;
                }
            }
            best
        };
        // With equal ends zero is zero, and all there can be is an error of the gain.
        let most = data.0.abs().max(data.1.abs()).max(1);
        if true_value(0) == 0.0
            && most <= full.1
            && let Some((error, digital, text)) = end(&mut (most.max(full.1 - TRIES)..=full.1).rev(), 7)
            && let Some(opposite) = opposite(&text)
            && error < 1e-9
        {
            let physical = (opposite, text);
            let digital = (-digital as i32, digital as i32);
            return Some(Scaling { unit, physical, digital, mapping: Mapping::Exact { shift }, error });
        }
        let low = end(&mut (full.0..=data.0.min(full.0 + TRIES).min(full.1 - 1)), 8);
        let high = end(&mut (data.1.max(full.1 - TRIES).max(full.0 + 1)..=full.1).rev(), 8);
        let (Some((low_error, low, low_text)), Some((high_error, high, high_text))) = (low, high) else {
            continue;
        };
        if low >= high || low_text == high_text {
            continue;
        }
        // A range of less than the full one makes the same error larger.
        let error = low_error.max(high_error) * span / (true_value(high) - true_value(low)).abs();
        let scaling = Scaling {
            unit,
            physical: (low_text, high_text),
            digital: (low as i32, high as i32),
            mapping: Mapping::Exact { shift },
            error,
        };
        // The channel's own unit is the first, and stays if it will do.
        if error <= LIMIT / 10.0 {
            return Some(scaling);
        }
        if best.as_ref().is_none_or(|best| error < best.error) {
            best = Some(scaling);
        }
    }
    // With less than three digits it is no scale any more.
    best.filter(|best| best.error < 1e-3)
}

/// The number with the other sign, if that fits.
fn opposite(text: &str) -> Option<String> {
    match text.strip_prefix('-') {
        Some(rest) => Some(rest.to_owned()),
        None => (text.len() < 8).then(|| format!("-{text}")),
    }
}

/// The unit in ASCII and others of the same kind, each with what a value is multiplied by; its own first.
fn units(unit: &str) -> Vec<(String, f64)> {
    let own = text::ascii(unit.trim());
    let parts = PREFIXES.iter().find_map(|(prefix, power)| {
        let base = own.strip_prefix(prefix)?;
        BASES.contains(&base).then(|| (base.to_owned(), *power))
    });
    let fits: String = own.chars().take(8).collect();
    let mut units = vec![(fits, 1.0)];
    if let Some((base, own_power)) = parts {
        let mut others: Vec<&(&str, i32)> = PREFIXES.iter().filter(|(_, power)| *power != own_power).collect();
        others.sort_by_key(|(_, power)| (power - own_power).abs());
        units.extend(others.iter().map(|(prefix, power)| (format!("{prefix}{base}"), 10f64.powi(own_power - power))));
    }
    units
}

/// True if eight characters hold both ends, and what lies between them with two digits or more.
fn is_fine(min: f64, max: f64) -> bool {
    let large = min.abs().max(max.abs());
    let places = 5 - large.max(1.0).log10().floor() as i32;
    let last_digit = 10f64.powi(-places.max(0));
    let looked_at = (max - min).max(large * 1e-3);
    large < 9_999_999.0 && (large == 0.0 || looked_at >= 100.0 * last_digit)
}

/// A power of ten as a part of the unit, for values that are too large or too small for all others.
fn power_of_ten(unit: &str, min: f64, max: f64) -> (String, f64) {
    let large = min.abs().max(max.abs());
    // Four digits before the point.
    let power = if large > 0.0 { large.log10().floor() as i32 - 3 } else { 0 };
    let unit: String = format!("1e{power}{}", text::ascii(unit.trim())).chars().take(8).collect();
    (unit, 10f64.powi(-power))
}

/// The numbers of eight characters next to a range, which it lies within.
fn around(min: f64, max: f64) -> (String, String) {
    let texts = |min: f64, max: f64| {
        let low = text::decimal(min).unwrap_or_else(|| "-9999999".into());
        (low, text::decimal(max).unwrap_or_else(|| "99999999".into()))
    };
    let (mut low, mut high) = (min, max);
    let mut margin = (max - min).max(min.abs().max(max.abs()) * 1e-7).max(1e-6) * 1e-7;
    loop {
        let found = texts(low, high);
        let holds = |text: &str, is_right: &dyn Fn(f64) -> bool| text.parse::<f64>().is_ok_and(is_right);
        let is_low = holds(&found.0, &|value| value <= min);
        let is_high = holds(&found.1, &|value| value >= max);
        let is_done = is_low && is_high && found.0 != found.1;
        if is_done || margin > 1e12 {
            return found;
        }
        if !is_low || found.0 == found.1 {
            low -= margin;
        }
        if !is_high || found.0 == found.1 {
            high += margin;
        }
        margin *= 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(channel: &ChannelSpec, count: i32, scaling: &Scaling, unit_factor: f64) -> f64 {
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let (low, high) = (number(&scaling.physical.0), number(&scaling.physical.1));
        let (first, last) = (f64::from(scaling.digital.0), f64::from(scaling.digital.1));
        let (digital, clamped) = scaling.of_count(count, channel);
        assert!(!clamped, "{count} in {scaling:?}");
        let value = (f64::from(digital) - first) / (last - first) * (high - low) + low;
        (value / unit_factor - in_unit(count, channel)).abs()
    }

    #[test]
    fn counts_of_24_bits_keep_their_value_to_a_ten_thousandth_of_a_step() {
        let channel = ChannelSpec::counts("CH1", "uV", 4.5 / 24.0 / 8_388_607.0 * 1e6);

        let scaling = of_counts(&channel, Extent { min: -8_300_000.0, max: 8_380_000.0 }, 24);

        assert_eq!((scaling.unit.as_str(), scaling.mapping), ("uV", Mapping::Exact { shift: 0 }));
        for count in [-8_300_000, -1, 0, 1, 8_380_000] {
            let error = error_of(&channel, count, &scaling, 1.0);
            assert!(error < 1e-2 * channel.scale, "{count}: {error} of {}, {scaling:?}", channel.scale);
        }
    }

    #[test]
    fn a_unit_whose_numbers_have_too_few_digits_is_changed() {
        let channel = ChannelSpec::counts("CH1", "V", 0.187_123_456 / 8_388_607.0);

        let scaling = of_counts(&channel, Extent { min: -8_388_608.0, max: 8_388_607.0 }, 24);

        assert_ne!(scaling.unit, "V");
        assert!(scaling.error < 3e-6, "{scaling:?}");
    }

    #[test]
    fn a_narrow_span_far_from_zero_is_shifted_and_stays_exact() {
        let channel = ChannelSpec::counts("CH1", "uV", 0.1);

        let scaling = of_counts(&channel, Extent { min: 1_000_000.0, max: 1_050_000.0 }, 16);

        assert!(matches!(scaling.mapping, Mapping::Exact { .. }), "{scaling:?}");
        for count in [1_000_000, 1_023_456, 1_050_000] {
            assert!(error_of(&channel, count, &scaling, 1.0) < 1e-2, "{scaling:?}");
        }
    }

    #[test]
    fn every_range_of_values_lies_within_the_one_said() {
        for (min, max) in [(0.0, 0.0), (5.0, 5.0), (-1e-9, 2e-9), (1e11, 2e11), (-3.4e38, 3.4e38), (-0.5, 1234.5)] {
            let scaling = of_values(&ChannelSpec::physical("x", "uV"), Extent { min, max }, 16);

            let (low, high) = (scaling.of_value(min), scaling.of_value(max));
            assert!(!low.1 && !high.1, "{min}..{max}: {scaling:?}");
            let text = [&scaling.physical.0, &scaling.physical.1];
            assert!(text.iter().all(|text| text.len() <= 8) && text[0] != text[1], "{scaling:?}");
            assert!(min == max || high.0 - low.0 > 1000, "{min}..{max}: {scaling:?}");
        }
    }
}
