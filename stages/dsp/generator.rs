//! What the board of `stages/synthetic.rs` measures: channels of different kinds, with noise and mains hum.
use super::waveform::{Drift, Tone, Wave, random, white};

/// Largest count of 24 bits.
pub const FULL: f64 = 8_388_607.0;
/// Microvolts per count of a Cyton: 4.5 V over a gain of 24.
pub const MICROVOLTS_PER_COUNT: f64 = 4.5e6 / 24.0 / FULL;
/// Names of the electrodes of an EEG, by the 10-20 system.
const ELECTRODES: [&str; 16] =
    ["Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2", "F7", "F8", "F3", "F4", "T7", "T8", "P3", "P4"];

/// What a generator can be asked for.
pub const SIGNALS: &[&str] = &["demo", "ecg", "eeg", "sine", "ramp", "noise"];

/// The count of every channel at sample `index` of the signal `ramp`: the index, wrapped into 24 bits with sign.
pub fn ramp(index: u64) -> i32 {
    (index as i32) << 8 >> 8
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Ecg,
    Eeg,
    Sine,
    Saw,
    Noise,
    Ramp,
}

impl Kind {
    /// What `channel` carries under a choice of `SIGNALS`.
    fn of(signal: usize, channel: usize) -> Self {
        match (SIGNALS[signal], channel) {
            ("demo", 0) | ("ecg", _) => Self::Ecg,
            ("demo", 5) | ("sine", _) => Self::Sine,
            ("demo", 6) => Self::Saw,
            ("demo", 7) | ("noise", _) => Self::Noise,
            ("ramp", _) => Self::Ramp,
            _ => Self::Eeg,
        }
    }
}

/// Makes counts of up to 24 bits; every one is a pure function of seed, channel and index.
pub struct Generator {
    kinds: Vec<Kind>,
    rate_hz: f64,
    seed: u64,
    sine: Wave,
    beat: Wave,
    tone: Tone,
    mains: Tone,
    amplitude_uv: f32,
    noise_uv: f32,
    mains_uv: f32,
    has_mains: bool,
}

impl Generator {
    /// A silent generator of `channels` channels of [`SIGNALS`]`[signal]`.
    ///
    /// # Panics
    /// If there is no such signal.
    pub fn new(signal: usize, channels: usize, rate_hz: f64, seed: u64) -> Self {
        Self {
            kinds: (0..channels).map(|channel| Kind::of(signal, channel)).collect(),
            rate_hz,
            seed,
            sine: Wave::sine(),
            beat: Wave::heart_beat(),
            tone: Tone::default(),
            mains: Tone::default(),
            amplitude_uv: 0.0,
            noise_uv: 0.0,
            mains_uv: 0.0,
            has_mains: false,
        }
    }

    /// Names of the channels: electrodes have theirs, a lone kind has its own, the others are numbered.
    pub fn names(&self) -> Vec<String> {
        let mut electrodes = ELECTRODES.into_iter();
        let name = |(number, kind): (usize, &Kind)| {
            let is_lone = self.kinds.iter().filter(|other| *other == kind).count() == 1;
            let electrode = if *kind == Kind::Eeg { electrodes.next() } else { None };
            match electrode {
                Some(electrode) => electrode.into(),
                None if is_lone => format!("{kind:?}").to_uppercase(),
                None => format!("CH{}", number + 1),
            }
        };
        self.kinds.iter().enumerate().map(name).collect()
    }

    /// Changes a setting from sample `index` on; false if there is none of that name.
    pub fn set(&mut self, key: &str, value: f64, index: u64) -> bool {
        match key {
            "amplitude_uv" => self.amplitude_uv = value as f32,
            "noise_uv" => self.noise_uv = value as f32,
            "mains_uv" => self.mains_uv = value as f32,
            "frequency_hz" => self.tone = self.tone.retuned(value, self.rate_hz, index),
            "mains_hz" => {
                self.has_mains = value != 0.0;
                self.mains = self.mains.retuned(value, self.rate_hz, index);
            }
            _ => return false,
        }
        true
    }

    /// Writes whole frames of which the first is sample `first`.
    pub fn fill(&self, first: u64, counts: &mut [i32]) {
        let tone = |hz: f64| Tone::new(hz, self.rate_hz);
        let amplitude_uv = self.amplitude_uv;
        for (channel, kind) in self.kinds.iter().enumerate() {
            let seed = random(self.seed, channel as u64);
            // Channels of one kind differ in size and pace by a little, or they would look like copies.
            let part = channel as f64 / 16.0;
            match kind {
                Kind::Ecg => {
                    let (heart, breath) = (tone(1.1), tone(0.25));
                    let height = 20.0 * amplitude_uv * (1.0 - 0.5 * part.fract() as f32);
                    self.channel(first, counts, channel, |index| {
                        let breath = self.sine.at(breath.phase(index));
                        // The heart hurries by a few percent as one breathes in, and the baseline wanders.
                        let shift = (breath * 0.02 * 9_223_372_036_854_775_808.0) as i64 as u64;
                        height * (self.beat.at(heart.phase(index).wrapping_add(shift)) + 0.04 * breath)
                    });
                }
                Kind::Eeg => {
                    let alpha = tone(9.5 + part.fract()).ahead(part.fract());
                    let swell = tone(0.11).ahead((part * 0.3).fract());
                    let mut drift = Drift::new(seed, self.rate_hz);
                    self.channel(first, counts, channel, |index| {
                        let swell = self.sine.at(swell.phase(index)).max(0.0);
                        amplitude_uv * (0.3 * drift.at(index) + 0.6 * swell * self.sine.at(alpha.phase(index)))
                    });
                }
                Kind::Sine => {
                    self.channel(first, counts, channel, |index| amplitude_uv * self.sine.at(self.tone.phase(index)))
                }
                Kind::Saw => {
                    let saw = tone(0.5);
                    self.channel(first, counts, channel, |index| {
                        amplitude_uv * (saw.phase(index) as i64 as f32 / 9_223_372_036_854_775_808.0)
                    });
                }
                Kind::Noise => {
                    self.channel(first, counts, channel, |index| amplitude_uv * white(!seed, index));
                }
                Kind::Ramp => {
                    let column = counts.iter_mut().skip(channel).step_by(self.kinds.len());
                    column.zip(first..).for_each(|(count, index)| *count = ramp(index));
                }
            }
        }
    }

    /// Writes one channel: `value` in microvolts, with noise and hum.
    #[inline(always)]
    fn channel(&self, first: u64, counts: &mut [i32], channel: usize, mut value: impl FnMut(u64) -> f32) {
        let seed = random(self.seed, channel as u64);
        let has_hum = self.has_mains && self.mains_uv != 0.0;
        let column = counts.iter_mut().skip(channel).step_by(self.kinds.len());
        for (count, index) in column.zip(first..) {
            let mut microvolts = value(index) + self.noise_uv * white(seed, index);
            if has_hum {
                microvolts += self.mains_uv * self.sine.at(self.mains.phase(index));
            }
            let exact = (f64::from(microvolts) / MICROVOLTS_PER_COUNT).clamp(-FULL - 1.0, FULL);
            // Rounds: a cast cuts towards 0, so it is made where all numbers are positive.
            *count = (exact + 16_777_216.5) as i32 - 16_777_216;
        }
    }
}
