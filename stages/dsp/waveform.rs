//! Made-up biosignals: each value is a pure function of channel and index, cheap enough for 64 channels at 30 kHz.
use std::f64::consts::TAU;

/// One turn of a phase is 2^64.
const TURN: f64 = 18_446_744_073_709_551_616.0;
/// Entries of a table over one turn.
const TABLE: usize = 4096;

/// A frequency as phase per sample; its phase does not jump when the frequency changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tone {
    increment: u64,
    offset: u64,
}

impl Tone {
    /// A tone of `hz` sampled at `rate_hz`, at phase 0 at sample 0. Above half the rate it folds, as in a sampler.
    pub fn new(hz: f64, rate_hz: f64) -> Self {
        Self { increment: ((hz / rate_hz).fract() * TURN) as u64, offset: 0 }
    }

    /// The same tone, `turns` (0 to 1) ahead.
    pub fn ahead(self, turns: f64) -> Self {
        Self { offset: self.offset.wrapping_add((turns * TURN) as u64), ..self }
    }

    /// A tone of another frequency that is at sample `index` where this one is.
    pub fn retuned(self, hz: f64, rate_hz: f64, index: u64) -> Self {
        let next = Self::new(hz, rate_hz);
        Self { offset: self.phase(index).wrapping_sub(next.phase(index)), ..next }
    }

    /// Phase at sample `index`; 2^64 is one turn.
    pub fn phase(self, index: u64) -> u64 {
        self.offset.wrapping_add(index.wrapping_mul(self.increment))
    }
}

/// One turn of a wave, read with linear interpolation.
pub struct Wave {
    table: Box<[f32]>,
}

impl Wave {
    fn of(wave: impl Fn(f64) -> f64) -> Self {
        Self { table: (0..=TABLE).map(|n| wave(n as f64 / TABLE as f64) as f32).collect() }
    }

    /// A sine of amplitude 1, right to 4e-7.
    pub fn sine() -> Self {
        Self::of(|turn| (turn * TAU).sin())
    }

    /// A heart beat of height 1 whose R peak is at half a turn: five bell curves with the angles, sizes and widths of
    /// McSharry et al., IEEE Trans. Biomed. Eng. 50 (2003), table I, in the closed form of their equation (1).
    pub fn heart_beat() -> Self {
        // Angle from the R peak in radians, size a, width b; the height of a bell is a * b^2.
        const BELLS: [(f64, f64, f64); 5] = [
            (-TAU / 6.0, 1.2, 0.25),
            (-TAU / 24.0, -5.0, 0.1),
            (0.0, 30.0, 0.1),
            (TAU / 24.0, -7.5, 0.1),
            (TAU / 4.0, 0.75, 0.4),
        ];
        let raw = |turn: f64| -> f64 {
            let bell = |(angle, size, width): (f64, f64, f64)| {
                let x = ((turn - 0.5) * TAU - angle) / width;
                size * width * width * (-x * x / 2.0).exp()
            };
            BELLS.into_iter().map(bell).sum()
        };
        let height = raw(0.5);
        Self::of(|turn| raw(turn) / height)
    }

    /// The wave at `phase`; 2^64 is one turn.
    pub fn at(&self, phase: u64) -> f32 {
        let index = (phase >> 52) as usize;
        let part = ((phase >> 28) & 0xFF_FFFF) as f32 / (1 << 24) as f32;
        let (from, to) = (self.table[index], self.table[index + 1]);
        from + (to - from) * part
    }
}

/// Random bits that depend on nothing but `seed` and `index`: output `index` of Steele, Lea & Flood's SplitMix64.
pub fn random(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// White noise of variance 1: the sum of four uniform numbers, bell-shaped out to 3.5.
pub fn white(seed: u64, index: u64) -> f32 {
    let bits = random(seed, index);
    let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
    // Each number is uniform over 2^16 values: the variance of the sum is 4 * 2^32 / 12.
    (sum as f32 - 131_070.0) / 37_837.227
}

const OCTAVES: usize = 6;

/// Noise of variance 1 that falls with frequency as an EEG does: random values every 1, 1/2, ... 1/32 s with smooth
/// ways between them, added.
#[derive(Clone, Copy)]
pub struct Drift {
    seed: u64,
    /// Steps per sample at the slowest octave; 2^32 is one step.
    increment: u64,
    octaves: [Octave; OCTAVES],
}

#[derive(Clone, Copy)]
struct Octave {
    step: u64,
    from: f32,
    to: f32,
}

impl Drift {
    /// Noise for signals sampled at `rate_hz`.
    pub fn new(seed: u64, rate_hz: f64) -> Self {
        let none = Octave { step: u64::MAX, from: 0.0, to: 0.0 };
        Self { seed, increment: (4_294_967_296.0 / rate_hz) as u64, octaves: [none; OCTAVES] }
    }

    /// The value at sample `index`. What is kept between calls only saves work.
    pub fn at(&mut self, index: u64) -> f32 {
        let mut sum = 0.0;
        for (number, octave) in self.octaves.iter_mut().enumerate() {
            let place = index.wrapping_mul(self.increment << number);
            let step = place >> 32;
            if step != octave.step {
                let seed = random(self.seed, number as u64);
                *octave = Octave { step, from: white(seed, step), to: white(seed, step + 1) };
            }
            let part = (place & 0xFFFF_FFFF) as f32 / 4_294_967_296.0;
            sum += octave.from + (octave.to - octave.from) * part * part * (3.0 - 2.0 * part);
        }
        // The smooth way between two values of variance 1 has 26/35 on average.
        sum / (OCTAVES as f32 * 26.0 / 35.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_right_to_the_last_digits_far_into_a_recording() {
        let (wave, tone) = (Wave::sine(), Tone::new(10.0, 250.0));
        for index in [0, 1, 7, 250 * 3600 * 24 + 3] {
            let expected = ((index % 25) as f64 / 25.0 * TAU).sin();
            assert!((f64::from(wave.at(tone.phase(index))) - expected).abs() < 4e-7, "{index}");
        }
    }

    #[test]
    fn a_retuned_tone_goes_on_where_it_was() {
        let tone = Tone::new(10.0, 250.0).ahead(0.3);
        let other = tone.retuned(12.0, 250.0, 1234);
        assert_eq!(tone.phase(1234), other.phase(1234));
        assert_ne!(tone.phase(1235), other.phase(1235));
    }

    #[test]
    fn a_heart_beat_has_its_peak_in_the_middle_and_rests_at_the_ends() {
        let beat = Wave::heart_beat();
        let peak = beat.table.iter().copied().fold(0.0, f32::max);
        assert!((beat.at(1 << 63) - 1.0).abs() < 1e-6 && (peak - 1.0).abs() < 1e-3);
        assert!(beat.at(0).abs() < 0.01 && beat.at(u64::MAX).abs() < 0.01);
    }

    #[test]
    fn the_random_bits_are_those_of_splitmix64() {
        // First outputs for seed 1234567 of the reference program by Sebastiano Vigna.
        assert_eq!(random(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(random(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn noise_has_the_variance_it_claims() {
        const COUNT: u64 = 200_000;
        let power = |value: &mut dyn FnMut(u64) -> f32| {
            (0..COUNT).map(|n| f64::from(value(n)).powi(2)).sum::<f64>() / COUNT as f64
        };
        let white = power(&mut |n| white(5, n));
        let mut drift = Drift::new(5, 250.0);
        let drift = power(&mut |n| drift.at(n));
        assert!((white - 1.0).abs() < 0.02, "{white}");
        assert!((drift - 1.0).abs() < 0.15, "{drift}");
    }

    #[test]
    fn drift_does_not_depend_on_the_order_of_the_questions() {
        let (mut there, mut back) = (Drift::new(5, 250.0), Drift::new(5, 250.0));
        let forth: Vec<f32> = (0..1000).map(|n| there.at(n)).collect();
        let mut reverse: Vec<f32> = (0..1000).rev().map(|n| back.at(n)).collect();
        reverse.reverse();
        assert_eq!(forth, reverse);
    }
}
