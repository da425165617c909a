//! What an emulated board measures: an ECG on the first two channels, EEG on the others; the same for every run.
use std::f64::consts::TAU;

/// Samples per second before any averaging.
const RATE_HZ: f64 = 250.0;
/// One heart beat as bells: place in the beat, width in beats, height in microvolts.
const BEAT: [(f64, f64, f64); 5] = [
    (0.20, 0.025, 110.0),
    (0.346, 0.010, -100.0),
    (0.370, 0.011, 1100.0),
    (0.396, 0.012, -230.0),
    (0.62, 0.045, 260.0),
];

/// Input of a channel (counted from 0) in microvolts.
pub(super) fn microvolts(channel: usize, sample: u64) -> f64 {
    let t = sample as f64 / RATE_HZ;
    let noise = 2.0 * noise(channel, sample);
    let mains = 3.0 * (TAU * 50.0 * t + channel as f64).sin();
    match channel {
        0 => ecg(t) + noise + mains,
        1 => 0.6 * ecg(t) + 15.0 * (TAU * 0.25 * t).sin() + noise + 2.0 * mains,
        _ => eeg(t, channel as f64) + noise + mains,
    }
}

/// Between -1 and 1, nearer to 0 more often; no two samples or channels alike.
pub(super) fn noise(channel: usize, sample: u64) -> f64 {
    let hash = mix(sample.wrapping_mul(64).wrapping_add(channel as u64));
    let part = |shift: u32| ((hash >> shift) & 0xFFFF) as f64 / 65_535.0 * 2.0 - 1.0;
    (part(0) + part(16) + part(32)) / 3.0
}

fn ecg(t: f64) -> f64 {
    // 68 beats a minute, a little faster and slower with every breath.
    let place = (t * 68.0 / 60.0 + 0.03 * (TAU * 0.25 * t).sin()).rem_euclid(1.0);
    BEAT.iter().map(|(at, width, height)| height * (-0.5 * ((place - at) / width).powi(2)).exp()).sum()
}

fn eeg(t: f64, channel: f64) -> f64 {
    let wave = |hz: f64, phase: f64| (TAU * hz * t + phase * channel).sin();
    let alpha = 22.0 * (0.55 + 0.45 * wave(0.13, 0.9)) * wave(9.7 + 0.06 * channel, 1.3);
    let theta = 9.0 * wave(5.6, 2.1) * (0.6 + 0.4 * wave(0.07, 1.7));
    alpha + theta + 4.0 * wave(19.3, 0.7) + 18.0 * wave(0.21, 0.5)
}

/// The finalizer of splitmix64.
fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_moves_and_stays_within_what_a_screen_expects() {
        for channel in 0..16 {
            let values: Vec<f64> = (0..2500).map(|sample| microvolts(channel, sample)).collect();
            let highest = values.iter().copied().fold(f64::MIN, f64::max);
            let lowest = values.iter().copied().fold(f64::MAX, f64::min);
            assert!(highest - lowest > 20.0, "channel {channel} spans {}", highest - lowest);
            assert!(highest < 1300.0 && lowest > -400.0, "channel {channel}: {lowest}..{highest}");
        }
    }

    #[test]
    fn the_heart_beats_68_times_a_minute() {
        let is_peak = |sample: u64| {
            let at = |n: u64| ecg(n as f64 / RATE_HZ);
            at(sample) > 600.0 && at(sample) >= at(sample - 1) && at(sample) > at(sample + 1)
        };
        let beats = (1..15_000).filter(|&sample| is_peak(sample)).count();
        assert!((67..=69).contains(&beats), "{beats}");
    }
}
