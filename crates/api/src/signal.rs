//! What a stream carries: known at compile time inside a stage, at build time in the graph.
use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Runtime tag of a [`Signal`]; a link joins ports of the same kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// `i32` ADC counts.
    Counts,
    /// `f32` in the unit of its channel.
    Physical,
    /// `f32` power spectral density; one frame is one spectrum per channel.
    Spectrum,
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counts => "counts",
            Self::Physical => "physical",
            Self::Spectrum => "spectrum",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A closed family of payloads: the marker fixes both element type and meaning.
pub trait Signal: sealed::Sealed + Send + Sync + Sized + 'static {
    /// Type of one value.
    type Elem: Copy + Default + Send + Sync + fmt::Debug + PartialEq + 'static;
    /// Tag of this signal.
    const KIND: SignalKind;
    /// Values of this kind among those of any.
    fn values(values: &[Self::Elem]) -> Values<'_>;
}

/// The values of a packet of any kind, frame by frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// ADC counts.
    Counts(&'a [i32]),
    /// Physical values, or spectra.
    Floats(&'a [f32]),
}

impl<'a> Values<'a> {
    /// All as floats, which hold counts of 24 bits; `room` is used where they are none.
    pub fn floats(self, room: &'a mut Vec<f32>) -> &'a [f32] {
        match self {
            Self::Floats(values) => values,
            Self::Counts(counts) => {
                room.clear();
                room.extend(counts.iter().map(|count| *count as f32));
                room
            }
        }
    }
}

macro_rules! signal {
    ($(#[$doc:meta])* $name:ident, $elem:ty, $values:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Signal for $name {
            type Elem = $elem;
            const KIND: SignalKind = SignalKind::$name;
            fn values(values: &[$elem]) -> Values<'_> {
                Values::$values(values)
            }
        }
    };
}
signal!(
    /// Raw ADC counts, `i32`.
    Counts, i32, Counts);
signal!(
    /// Values in the unit of their channel, `f32`.
    Physical, f32, Floats);
signal!(
    /// Power spectral density in unit²/Hz, `f32`.
    Spectrum, f32, Floats);

/// Frames per second as an exact fraction in lowest terms, so that long recordings do not drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    numerator: u64,
    denominator: u64,
}

impl Rate {
    /// `numerator / denominator` frames per second, or `None` if either is zero.
    pub const fn new(numerator: u64, denominator: u64) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator, denominator);
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The nearest fraction in millihertz, or `None` unless `hz` is finite and at least 0.001.
    pub fn from_hz(hz: f64) -> Option<Self> {
        let millihertz = (hz * 1000.0).round();
        if !millihertz.is_finite() || !(1.0..=9e15).contains(&millihertz) {
            return None;
        }
        Self::new(millihertz as u64, 1000)
    }

    /// Frames per second.
    pub fn hz(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Upper part of the fraction.
    pub const fn numerator(self) -> u64 {
        self.numerator
    }

    /// Lower part of the fraction.
    pub const fn denominator(self) -> u64 {
        self.denominator
    }

    /// This rate divided by `factor` (1 or more), exactly.
    pub fn divided_by(self, factor: u32) -> Option<Self> {
        Self::new(self.numerator, self.denominator.checked_mul(u64::from(factor))?)
    }

    /// Time from sample 0 to sample `index` in nanoseconds, rounded down, without drift.
    pub fn nanoseconds_at(self, index: u64) -> u64 {
        let (ticks, numerator) = (u128::from(index) * u128::from(self.denominator), u128::from(self.numerator));
        // In two parts: a rate out of a file may be so odd that the product would not fit.
        let (seconds, rest) = (ticks / numerator, ticks % numerator);
        let ns = seconds.saturating_mul(1_000_000_000).saturating_add(rest * 1_000_000_000 / numerator);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// Number of whole sample periods in `nanoseconds`.
    pub fn samples_in(self, nanoseconds: u64) -> u64 {
        let n = u128::from(nanoseconds) * u128::from(self.numerator) / (u128::from(self.denominator) * 1_000_000_000);
        u64::try_from(n).unwrap_or(u64::MAX)
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl fmt::Display for Rate {
    /// The exact fraction, as recordings store it: `250/1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl std::str::FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        let wrong = || RateError(text.chars().take(40).collect());
        let (n, d) = text.split_once('/').unwrap_or((text, "1"));
        let parse = |s: &str| s.trim().parse::<u64>().map_err(|_| wrong());
        Self::new(parse(n)?, parse(d)?).ok_or_else(wrong)
    }
}

/// A text that is not a rate.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("a rate is a fraction of positive whole numbers such as 250/1, got `{0}`")]
pub struct RateError(String);

/// Shape of a stream, fixed when the graph is built; never travels with a packet.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSpec {
    /// What the values are.
    pub kind: SignalKind,
    /// One entry per channel, in the order of the values of a frame. 1 to 256 of them.
    pub channels: Arc<[ChannelSpec]>,
    /// Frames (samples per channel, or spectra) per second.
    pub rate: Rate,
    /// Most frames one packet of this stream can hold.
    pub max_batch: u32,
    /// Bins and window of a [`SignalKind::Spectrum`] stream.
    pub spectrum: Option<SpectrumSpec>,
}

impl StreamSpec {
    /// Values in one frame: one per channel, or one spectrum per channel.
    pub fn frame_len(&self) -> usize {
        self.channels.len() * self.spectrum.map_or(1, |s| s.bins as usize)
    }

    /// Time that one full packet covers, in seconds.
    pub fn batch_period_s(&self) -> f64 {
        f64::from(self.max_batch) / self.rate.hz()
    }

    /// Bytes of one packet's buffer.
    pub fn packet_bytes(&self) -> usize {
        self.frame_len() * self.max_batch as usize * 4
    }
}

/// How a spectrum was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectrumSpec {
    /// Values per channel: from 0 Hz to half the rate of the analysed signal.
    pub bins: u32,
    /// Distance of two bins in Hz.
    pub bin_hz: f64,
    /// Name of the window function.
    pub window: &'static str,
}

/// One channel of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelSpec {
    /// Name as shown and exported, such as `CH1`.
    pub name: String,
    /// Unit of `count * scale + offset`, such as `uV`.
    pub unit: String,
    /// Unit per count; 1 for physical streams.
    pub scale: f64,
    /// Value of count 0 in `unit`.
    pub offset: f64,
    /// Smallest and largest value the device can deliver, in `unit`; `None` if not known.
    pub range: Option<(f64, f64)>,
}

impl ChannelSpec {
    /// A channel whose values are already in `unit`.
    pub fn physical(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { name: name.into(), unit: unit.into(), scale: 1.0, offset: 0.0, range: None }
    }

    /// A channel of counts of which each is worth `scale` of `unit`.
    pub fn counts(name: impl Into<String>, unit: impl Into<String>, scale: f64) -> Self {
        Self { name: name.into(), unit: unit.into(), scale, offset: 0.0, range: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_exact_over_a_day() {
        let rate = Rate::new(30_000, 1001).expect("positive");
        let a_day = rate.samples_in(86_400_000_000_000);
        assert_eq!(a_day, 2_589_410);
        assert!(rate.nanoseconds_at(a_day) <= 86_400_000_000_000);
        assert_eq!("30000/1001".parse::<Rate>().expect("a rate"), rate);
    }

    #[test]
    fn a_rate_beyond_all_reason_saturates() {
        let slow = Rate::new(1, u64::MAX).expect("positive");
        assert_eq!((slow.nanoseconds_at(0), slow.nanoseconds_at(u64::MAX)), (0, u64::MAX));
        let fast = Rate::new(u64::MAX, 1).expect("positive");
        assert_eq!(fast.nanoseconds_at(u64::MAX - 1), 999_999_999);
    }

    #[test]
    fn a_rate_refuses_what_is_not_one() {
        for text in ["", "0/1", "1/0", "-1/2", "a", "1e3"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        assert!(Rate::from_hz(f64::NAN).is_none());
        assert!(Rate::from_hz(0.0001).is_none());
        assert_eq!(Rate::from_hz(250.0).expect("positive").to_string(), "250/1");
    }

    #[test]
    fn a_divided_rate_stays_a_fraction() {
        let rate = Rate::new(250, 1).and_then(|r| r.divided_by(16)).expect("positive");
        assert_eq!(rate.to_string(), "125/8");
    }
}
