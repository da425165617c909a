//! Linear-phase low-pass and decimation: computes only the samples that are kept, for many channels side by side.
use std::{array, f64::consts::PI};

use super::wide::{Kernel, wide};

/// Channels that are computed side by side.
const LANES: usize = 8;
/// Sums that run side by side, so that an addition need not wait for the one before.
const CHAINS: usize = 4;
/// Pairs of taps that are summed in `f32` before they join an `f64`: rounding stays near that of one product.
const BLOCK: usize = 64;
/// Where the pass band ends and the stop band begins, as parts of the new rate.
const EDGES: (f64, f64) = (0.4, 0.5);

/// Low-pass for decimation by `factor`: symmetric, `8 n + 1` long, with a gain of 1 at 0 Hz. Flat up to 0.4 of the new
/// rate; from half the new rate on, all that would fold down is `attenuation_db` (above 21) or more below its level.
/// Windowed sinc with a Kaiser window: Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed., 7.5.3.
pub fn anti_alias(factor: u32, attenuation_db: f64) -> Vec<f32> {
    if factor <= 1 {
        return vec![1.0];
    }
    let factor = f64::from(factor);
    // Kaiser's length is an estimate that may miss by half a decibel.
    let attenuation_db = attenuation_db + 1.0;
    let transition = 2.0 * PI * (EDGES.1 - EDGES.0) / factor;
    let half = ((attenuation_db - 7.95) / (2.285 * transition) / 2.0).ceil() as i64;
    let half = half + (-half).rem_euclid(CHAINS as i64);
    let cutoff = (EDGES.0 + EDGES.1) / factor;
    let beta = kaiser_beta(attenuation_db);
    let tap = |n: i64| {
        let x = n as f64 * cutoff * PI;
        let sinc = if n == 0 { 1.0 } else { x.sin() / x };
        let edge = n as f64 / (half + 1) as f64;
        sinc * bessel_i0(beta * (1.0 - edge * edge).sqrt())
    };
    let taps: Vec<f64> = (-half..=half).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    taps.into_iter().map(|tap| (tap / sum) as f32).collect()
}

fn kaiser_beta(attenuation_db: f64) -> f64 {
    if attenuation_db > 50.0 {
        0.1102 * (attenuation_db - 8.7)
    } else {
        0.5842 * (attenuation_db - 21.0).powf(0.4) + 0.07886 * (attenuation_db - 21.0)
    }
}

/// Modified Bessel function of order 0 by its power series, whose terms all are positive.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..500 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    sum
}

type Row = [f32; LANES];

/// Filters and decimates interleaved channels. Output `j` is the filtered signal at input sample `j * factor`: it comes
/// out once the samples [`delay`](Self::delay) ahead are there, and carries no delay itself.
pub struct Decimator {
    factor: i64,
    channels: usize,
    /// The taps before the middle one, and that one; those after it mirror them.
    side: Vec<f32>,
    middle: f32,
    /// The rows of the first [`LANES`] channels, then those of the next.
    history: Vec<Row>,
    /// Rows that `history` holds for each channel.
    capacity: usize,
    /// Rows in use.
    filled: usize,
    /// The first sample after the restart. Subtracted on the way in and added on the way out, so that a large offset
    /// costs no precision, and so that a row of zeros continues the signal into the past.
    level: Vec<f32>,
    /// Index of the sample that comes next.
    end: i64,
    /// Index of the output that comes next.
    next: i64,
}

impl Decimator {
    /// A decimator for frames of `channels` values, of which at most `max_frames` are pushed at a time.
    ///
    /// # Panics
    /// If there are not `8 n + 1` taps, as [`anti_alias`] gives.
    pub fn new(taps: &[f32], factor: u32, channels: usize, max_frames: usize) -> Self {
        let side = taps.len() / 2;
        assert!(taps.len() % 2 == 1 && side.is_multiple_of(CHAINS), "taps come in {CHAINS} pairs, got {}", taps.len());
        let capacity = Self::rows(taps.len(), max_frames);
        Self {
            factor: i64::from(factor),
            channels,
            side: taps[..side].to_vec(),
            middle: taps[side],
            history: vec![[0.0; LANES]; capacity * channels.div_ceil(LANES)],
            capacity,
            filled: 0,
            level: vec![0.0; channels],
            end: 0,
            next: 0,
        }
    }

    /// Bytes that [`new`](Self::new) will allocate.
    pub fn bytes(taps: usize, channels: usize, max_frames: usize) -> usize {
        Self::rows(taps, max_frames) * channels.div_ceil(LANES) * size_of::<Row>()
    }

    /// A window, the frames of one push, and half a window more so that rows are seldom moved.
    fn rows(taps: usize, max_frames: usize) -> usize {
        taps + taps / 2 + max_frames
    }

    /// Input samples an output waits for.
    pub fn delay(&self) -> usize {
        self.side.len()
    }

    /// Index of the output that comes next; it stands at input sample `next_output * factor`.
    pub fn next_output(&self) -> u64 {
        self.next as u64
    }

    /// Forgets the past: the next sample is number `first_sample`, and `frame`, its values, is taken to have been there
    /// for ever.
    pub fn restart(&mut self, first_sample: u64, frame: &[f32]) {
        self.end = i64::try_from(first_sample).unwrap_or(i64::MAX);
        self.next = self.end.div_euclid(self.factor) + i64::from(self.end % self.factor != 0);
        self.filled = self.side.len();
        for rows in self.history.chunks_exact_mut(self.capacity) {
            rows[..self.filled].fill([0.0; LANES]);
        }
        if self.factor > 1 {
            self.level.copy_from_slice(frame);
        }
    }

    /// Takes whole frames, at most `max_frames` of them. Outputs that are ready must have been taken before.
    pub fn push(&mut self, frames: &[f32]) {
        let count = frames.len() / self.channels;
        self.make_room(count);
        for (block, rows) in self.history.chunks_exact_mut(self.capacity).enumerate() {
            let first = block * LANES;
            let lanes = LANES.min(self.channels - first);
            let level = &self.level[first..first + lanes];
            for (row, frame) in rows[self.filled..].iter_mut().zip(frames.chunks_exact(self.channels)) {
                match (<&Row>::try_from(&frame[first..first + lanes]), <&Row>::try_from(level)) {
                    (Ok(values), Ok(level)) => *row = array::from_fn(|lane| values[lane] - level[lane]),
                    _ => (0..lanes).for_each(|lane| row[lane] = frame[first + lane] - level[lane]),
                }
            }
        }
        self.filled += count;
        self.end += count as i64;
    }

    /// Takes the last frame `count` times more, at most `max_frames`: lets the outputs out that wait for later samples.
    pub fn hold(&mut self, count: usize) {
        self.make_room(count);
        let Some(last) = self.filled.checked_sub(1) else {
            return;
        };
        for rows in self.history.chunks_exact_mut(self.capacity) {
            let row = rows[last];
            rows[self.filled..self.filled + count].fill(row);
        }
        self.filled += count;
        self.end += count as i64;
    }

    /// Outputs whose samples all are there.
    pub fn ready(&self) -> usize {
        let first_missing = self.end - self.side.len() as i64;
        usize::try_from((first_missing - 1).div_euclid(self.factor) + 1 - self.next).unwrap_or(0)
    }

    /// Lets outputs go that nobody has room for.
    pub fn skip(&mut self, outputs: usize) {
        self.next += outputs as i64;
    }

    /// Computes the next outputs, frame by frame, into `frames`: at most [`ready`](Self::ready) of them.
    pub fn take(&mut self, frames: &mut [f32]) {
        let base = self.end - self.filled as i64;
        for frame in frames.chunks_exact_mut(self.channels) {
            let first = (self.next * self.factor - self.side.len() as i64 - base) as usize;
            let Self { side, middle, history, capacity, level, .. } = self;
            wide(Sum { side, middle: *middle, history, capacity: *capacity, first, level, frame });
            self.next += 1;
        }
    }

    /// Drops rows that no output needs any more when `frames` further ones would not fit.
    fn make_room(&mut self, frames: usize) {
        if self.filled + frames <= self.capacity {
            return;
        }
        let base = self.end - self.filled as i64;
        let needed = self.next * self.factor - self.side.len() as i64;
        let dropped = usize::try_from(needed - base).unwrap_or(0).min(self.filled);
        for rows in self.history.chunks_exact_mut(self.capacity) {
            rows.copy_within(dropped..self.filled, 0);
        }
        self.filled -= dropped;
    }
}

/// One output frame, the products of the taps with the rows from `first` on.
struct Sum<'a> {
    side: &'a [f32],
    middle: f32,
    history: &'a [Row],
    capacity: usize,
    first: usize,
    level: &'a [f32],
    frame: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    #[inline(always)]
    fn run(self) {
        let blocks = self.history.chunks_exact(self.capacity);
        let values = self.frame.chunks_mut(LANES).zip(self.level.chunks(LANES));
        for (rows, (values, level)) in blocks.zip(values) {
            let window = &rows[self.first..self.first + 2 * self.side.len() + 1];
            let sum = products(self.side, self.middle, window);
            for ((value, level), sum) in values.iter_mut().zip(level).zip(sum) {
                *value = (f64::from(*level) + sum) as f32;
            }
        }
    }
}

#[inline(always)]
fn products(side: &[f32], middle: f32, window: &[Row]) -> [f64; LANES] {
    let (before, rest) = window.split_at(side.len());
    let (center, after) = rest.split_at(1);
    let mut total = center[0].map(|value| f64::from(middle * value));
    let blocks = side.chunks(BLOCK).zip(before.chunks(BLOCK)).zip(after.rchunks(BLOCK));
    for ((taps, before), after) in blocks {
        let mut sums = [[0.0_f32; LANES]; CHAINS];
        let groups = taps.chunks_exact(CHAINS).zip(before.chunks_exact(CHAINS)).zip(after.rchunks_exact(CHAINS));
        for ((taps, before), after) in groups {
            for (chain, sum) in sums.iter_mut().enumerate() {
                let (before, after) = (&before[chain], &after[CHAINS - 1 - chain]);
                for lane in 0..LANES {
                    sum[lane] += taps[chain] * (before[lane] + after[lane]);
                }
            }
        }
        for lane in 0..LANES {
            total[lane] += f64::from((sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane]));
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// |H| at `part` of the input rate.
    fn gain_at(taps: &[f32], part: f64) -> f64 {
        let half = (taps.len() / 2) as f64;
        let term = |(n, tap): (usize, &f32)| f64::from(*tap) * (2.0 * PI * part * (n as f64 - half)).cos();
        taps.iter().enumerate().map(term).sum::<f64>().abs()
    }

    /// Runs one channel through, in pushes of `frames`.
    fn decimated(signal: &[f32], taps: &[f32], factor: u32, frames: usize) -> Vec<f32> {
        let mut decimator = Decimator::new(taps, factor, 1, frames);
        decimator.restart(0, &signal[..1]);
        let mut out = Vec::new();
        for packet in signal.chunks(frames) {
            decimator.push(packet);
            let begin = out.len();
            out.resize(begin + decimator.ready(), 0.0);
            decimator.take(&mut out[begin..]);
        }
        out
    }

    fn sine(part: f64, count: usize) -> Vec<f32> {
        (0..count).map(|n| (2.0 * PI * part * n as f64).sin() as f32).collect()
    }

    #[test]
    fn the_pass_band_is_flat_and_the_stop_band_as_deep_as_asked() {
        for (factor, decibels) in [(2, 80.0), (4, 40.0), (16, 80.0), (16, 100.0), (100, 60.0)] {
            let taps = anti_alias(factor, decibels);
            let limit = 10_f64.powf(-decibels / 20.0);
            assert!((gain_at(&taps, 0.0) - 1.0).abs() < 1e-6);
            for step in 0..=400 {
                let part = f64::from(step) / 400.0;
                let passed = gain_at(&taps, EDGES.0 / f64::from(factor) * part);
                assert!((passed - 1.0).abs() < limit * 1.1, "{factor} {decibels} dB, pass {part}: {passed}");
                let stop = EDGES.1 / f64::from(factor);
                let stopped = gain_at(&taps, stop + (0.5 - stop) * part);
                assert!(stopped < limit, "{factor} {decibels} dB, stop {part}: {stopped}");
            }
        }
    }

    #[test]
    fn the_window_is_that_of_scipy() {
        // SciPy 1.17: firwin(101, 0.225, window=("kaiser", kaiser_beta(80)), fs=1.0)[0] and [49], [50]; ours has other
        // lengths, so the parts are compared.
        let beta = kaiser_beta(80.0);
        assert!((beta - 7.857_26).abs() < 1e-9);
        let tap = |n: f64| {
            let x = n * 0.45 * PI;
            let sinc = if n == 0.0 { 1.0 } else { x.sin() / x };
            0.45 * sinc * bessel_i0(beta * (1.0 - (n / 50.0).powi(2)).sqrt()) / bessel_i0(beta)
        };
        assert!((tap(50.0) - 1.701_435_597_822_5e-5).abs() < 1e-9, "{}", tap(50.0));
        assert!((tap(1.0) - 0.313_928_398_301_463_2).abs() < 1e-5, "{}", tap(1.0));
        assert!((tap(0.0) - 0.449_997_974_240_605_56).abs() < 1e-5, "{}", tap(0.0));
    }

    #[test]
    fn a_level_comes_out_as_it_is_from_the_first_sample_on() {
        let out = decimated(&[187_000.25; 4000], &anti_alias(8, 80.0), 8, 16);
        assert!(out.len() > 450 && out.iter().all(|value| *value == 187_000.25));
    }

    #[test]
    fn what_would_fold_down_is_gone() {
        let taps = anti_alias(8, 80.0);
        // 0.55 of the new rate would fold to 0.45 of it.
        let out = decimated(&sine(0.55 / 8.0, 16_000), &taps, 8, 100);
        let loudest = out[100..].iter().fold(0.0, |loudest: f32, value| loudest.max(value.abs()));
        assert!(loudest < 1e-4, "{loudest}");
    }

    #[test]
    fn what_passes_keeps_size_and_place() {
        let signal = sine(0.03, 4000);
        let out = decimated(&signal, &anti_alias(8, 80.0), 8, 7);
        for (j, value) in out.iter().enumerate().skip(50) {
            assert!((value - signal[j * 8]).abs() < 2e-4, "{j}");
        }
    }

    #[test]
    fn an_impulse_brings_out_every_factor_th_tap() {
        let taps = anti_alias(4, 60.0);
        let half = taps.len() / 2;
        let mut signal = vec![0.0; 1000];
        signal[401] = 1.0;
        let out = decimated(&signal, &taps, 4, 64);
        for (j, value) in out.iter().enumerate() {
            let at = 401 + half as i64 - 4 * j as i64;
            let expected = usize::try_from(at).ok().and_then(|at| taps.get(at)).copied().unwrap_or(0.0);
            assert!((value - expected).abs() < 1e-9, "{j}: {value} {expected}");
        }
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_bits() {
        let signal: Vec<f32> = (0..5000_u64).map(|n| (n.wrapping_mul(7919) % 1009) as f32).collect();
        let taps = anti_alias(3, 80.0);
        let whole = decimated(&signal, &taps, 3, 5000);
        assert_eq!(whole, decimated(&signal, &taps, 3, 1));
        assert_eq!(whole, decimated(&signal, &taps, 3, 17));
    }
}
