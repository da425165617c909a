//! A cascade of second-order sections that filters many channels side by side, without a break between packets.
use std::array;

use super::{
    biquad::Section,
    wide::{Kernel, wide},
};

/// Channels that are computed side by side.
const LANES: usize = 8;
/// Frames that are converted to `f64` at a time.
const CHUNK: usize = 64;
/// Frames between two looks at the state, see `Cascade::tidy`.
const TIDY_EVERY: usize = 1024;
/// State below this is silence: far below an `f32` of any use, far above the subnormal numbers that slow a processor.
const SILENCE: f64 = 1e-30;
/// Most sections of a [`Chain`].
pub const MAX_SECTIONS: usize = 12;
/// Kinds of sections a [`Chain`] tells apart.
pub const GROUPS: usize = 3;

/// Sections in the order in which a sample passes them, in [`GROUPS`] groups, each of which may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    sections: [Section; MAX_SECTIONS],
    lengths: [usize; GROUPS],
    dc_gain: f64,
}

impl Chain {
    /// Joins the groups.
    ///
    /// # Panics
    /// If there are more than [`MAX_SECTIONS`] sections.
    pub fn new(groups: [&[Section]; GROUPS]) -> Self {
        let mut chain = Self { lengths: groups.map(<[Section]>::len), ..Self::default() };
        let all = groups.into_iter().flatten();
        assert!(all.clone().count() <= MAX_SECTIONS, "a chain has at most {MAX_SECTIONS} sections");
        chain.sections.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        chain.dc_gain = chain.sections().iter().map(|section| section.dc_gain).product();
        chain
    }

    /// The sections in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections[..self.lengths.iter().sum()]
    }

    fn group(&self, index: usize) -> std::ops::Range<usize> {
        let begin = self.lengths[..index].iter().sum();
        begin..begin + self.lengths[index]
    }
}

type Lanes = [f64; LANES];

/// Memory of the sections for [`LANES`] channels, and the level from which they count.
#[derive(Clone)]
struct Block {
    state: [[Lanes; 2]; MAX_SECTIONS],
    /// Subtracted before the first section, so that a resting level is a state of zeros and costs no precision.
    level: Lanes,
    /// The last input, counted from `level`.
    last: Lanes,
}

const AT_REST: Block = Block { state: [[[0.0; LANES]; 2]; MAX_SECTIONS], level: [0.0; LANES], last: [0.0; LANES] };

/// Filters interleaved channels in place, all with the same [`Chain`].
///
/// Transposed direct form II in `f64`: with `f32` coefficients a corner of 0.1 Hz at 30 kHz cannot be expressed. The
/// state is kept between calls, so the result does not depend on how a stream is cut. Before the first sample the
/// filter is in the state that this sample, held for ever, would have left: an electrode's offset does not ring.
pub struct Cascade {
    channels: usize,
    chain: Chain,
    blocks: Vec<Block>,
    rows: [Lanes; CHUNK],
    is_started: bool,
    /// Frames until the state is looked at.
    until_tidy: usize,
}

impl Cascade {
    /// A cascade at rest for frames of `channels` values.
    pub fn new(channels: usize, chain: Chain) -> Self {
        Self {
            channels,
            chain,
            blocks: vec![AT_REST; channels.div_ceil(LANES)],
            rows: [[0.0; LANES]; CHUNK],
            is_started: false,
            until_tidy: TIDY_EVERY,
        }
    }

    /// Forgets what was filtered: the next sample starts anew.
    pub fn restart(&mut self) {
        self.is_started = false;
    }

    /// Goes on with other sections from the next sample. Groups that keep their length keep their state, less what the
    /// resting level contributes to it under the old coefficients: a moved corner does not make the level step.
    pub fn retune(&mut self, chain: Chain) {
        for block in &mut self.blocks {
            block.settle(self.chain.sections());
            let old = std::mem::replace(&mut block.state, AT_REST.state);
            for index in 0..GROUPS {
                if self.chain.lengths[index] == chain.lengths[index] {
                    block.state[chain.group(index)].copy_from_slice(&old[self.chain.group(index)]);
                }
            }
        }
        self.chain = chain;
    }

    /// Filters whole frames, `samples[frame * channels + channel]`, in place.
    pub fn run(&mut self, samples: &mut [f32]) {
        if samples.is_empty() {
            return;
        }
        if !self.is_started {
            self.start_at(&samples[..self.channels]);
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let frames = (rest.len() / self.channels).min(CHUNK).min(self.until_tidy);
            let (chunk, later) = rest.split_at_mut(frames * self.channels);
            wide(Chunk { cascade: self, samples: chunk, frames });
            rest = later;
            self.until_tidy -= frames;
            if self.until_tidy == 0 {
                self.until_tidy = TIDY_EVERY;
                self.blocks.iter_mut().for_each(Block::tidy);
            }
        }
    }

    fn start_at(&mut self, frame: &[f32]) {
        for (block, values) in self.blocks.iter_mut().zip(frame.chunks(LANES)) {
            *block = AT_REST;
            block.level.iter_mut().zip(values).for_each(|(level, value)| *level = finite(f64::from(*value)));
        }
        self.is_started = true;
        self.until_tidy = TIDY_EVERY;
    }
}

struct Chunk<'a> {
    cascade: &'a mut Cascade,
    samples: &'a mut [f32],
    frames: usize,
}

impl Kernel for Chunk<'_> {
    #[inline(always)]
    fn run(self) {
        let Cascade { channels, chain, blocks, rows, .. } = self.cascade;
        let (channels, rows) = (*channels, &mut rows[..self.frames]);
        for (index, block) in blocks.iter_mut().enumerate() {
            let first = index * LANES;
            let lanes = LANES.min(channels - first);
            for (row, frame) in rows.iter_mut().zip(self.samples.chunks_exact(channels)) {
                load(row, &frame[first..first + lanes], &block.level);
            }
            block.last = rows[self.frames - 1];
            block.filter(chain.sections(), rows);
            for (row, frame) in rows.iter().zip(self.samples.chunks_exact_mut(channels)) {
                store(&mut frame[first..first + lanes], row, &block.level, chain.dc_gain);
            }
        }
    }
}

impl Block {
    #[inline(always)]
    fn filter(&mut self, sections: &[Section], rows: &mut [Lanes]) {
        let mut index = 0;
        while index < sections.len() {
            let state = &mut self.state[index..];
            index += match &sections[index..] {
                [a, b, c, d, ..] => pass([*a, *b, *c, *d], state, rows),
                [a, b, c] => pass([*a, *b, *c], state, rows),
                [a, b] => pass([*a, *b], state, rows),
                [a] => pass([*a], state, rows),
                [] => break,
            };
        }
    }

    /// Counts from the last input on: takes out of the state what a steady input of that height leaves in it.
    fn settle(&mut self, sections: &[Section]) {
        let mut input = std::mem::take(&mut self.last);
        add(&mut self.level, &input);
        for (section, [first, second]) in sections.iter().zip(&mut self.state) {
            let gain = section.dc_gain;
            for lane in 0..LANES {
                first[lane] -= (gain - section.b[0]) * input[lane];
                second[lane] -= (section.b[2] - section.a[1] * gain) * input[lane];
                input[lane] *= gain;
            }
        }
    }

    /// Ends silence before it gets subnormal, and lets a channel that met NaN or infinity start anew.
    fn tidy(&mut self) {
        for lane in 0..LANES {
            let mut values = self.state.iter().flatten().map(|state| state[lane]);
            if values.any(|value| !value.is_finite()) {
                self.state.iter_mut().flatten().for_each(|state| state[lane] = 0.0);
                self.level[lane] = finite(self.level[lane] + self.last[lane]);
                self.last[lane] = 0.0;
            }
        }
        for value in self.state.as_flattened_mut().as_flattened_mut() {
            if value.abs() < SILENCE {
                *value = 0.0;
            }
        }
    }
}

/// Runs `rows` through `N` sections, whose state stays in registers meanwhile: the sections of successive frames
/// overlap in the processor. No fused multiply-add: every machine gets the same bits.
#[inline(always)]
fn pass<const N: usize>(sections: [Section; N], state: &mut [[Lanes; 2]], rows: &mut [Lanes]) -> usize {
    let mut kept: [[Lanes; 2]; N] = array::from_fn(|index| state[index]);
    for row in rows {
        let mut x = *row;
        for (section, [first, second]) in sections.iter().zip(&mut kept) {
            for lane in 0..LANES {
                let y = section.b[0] * x[lane] + first[lane];
                first[lane] = (section.b[1] * x[lane] + second[lane]) - section.a[0] * y;
                second[lane] = section.b[2] * x[lane] - section.a[1] * y;
                x[lane] = y;
            }
        }
        *row = x;
    }
    state[..N].copy_from_slice(&kept);
    N
}

#[inline(always)]
fn load(row: &mut Lanes, values: &[f32], level: &Lanes) {
    if let Ok(values) = <&[f32; LANES]>::try_from(values) {
        *row = array::from_fn(|lane| f64::from(values[lane]) - level[lane]);
    } else {
        for ((to, value), level) in row.iter_mut().zip(values).zip(level) {
            *to = f64::from(*value) - level;
        }
        row[values.len()..].fill(0.0);
    }
}

#[inline(always)]
fn store(values: &mut [f32], row: &Lanes, level: &Lanes, gain: f64) {
    if let Ok(values) = <&mut [f32; LANES]>::try_from(&mut *values) {
        *values = array::from_fn(|lane| (row[lane] + level[lane] * gain) as f32);
    } else {
        for ((to, value), level) in values.iter_mut().zip(row).zip(level) {
            *to = (value + level * gain) as f32;
        }
    }
}

fn add(to: &mut Lanes, other: &Lanes) {
    to.iter_mut().zip(other).for_each(|(to, other)| *to += other);
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;
    use crate::dsp::biquad::{Pass, butterworth, gain_at, notch};

    /// An impulse at sample 10, in one channel.
    fn impulse() -> Vec<f32> {
        (0..64).map(|n| if n == 10 { 1.0 } else { 0.0 }).collect()
    }

    /// High-pass 1 Hz and low-pass 45 Hz of order 4, notch 50 Hz, at 250 Hz.
    fn usual() -> Chain {
        let high: Vec<_> = butterworth(Pass::High, 4, 1.0, 250.0).collect();
        let low: Vec<_> = butterworth(Pass::Low, 4, 45.0, 250.0).collect();
        Chain::new([&high, &[notch(50.0, 30.0, 250.0)], &low])
    }

    fn only(sections: impl Iterator<Item = Section>) -> Chain {
        Chain::new([&sections.collect::<Vec<_>>(), &[], &[]])
    }

    fn noise(count: usize) -> Vec<f32> {
        (0..count as u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 7 & 0xFFFF) as f32 - 32_768.0).collect()
    }

    #[test]
    fn an_impulse_comes_out_as_from_scipy() {
        // SciPy 1.17: sosfilt(vstack(butter(4, 1, 'high'), tf2sos(iirnotch(50, 30)), butter(4, 45, 'low')), x), fs=250.
        let expected = [
            0.031_611_280_952_204_95,
            0.158_625_568_050_471,
            0.325_294_895_405_425_8,
            0.334_721_931_300_570_15,
            0.137_752_873_616_907_36,
            -0.079_421_559_233_990_86,
            -0.160_067_370_535_566_66,
            -0.120_489_230_146_67,
        ];
        let mut samples = impulse();
        Cascade::new(1, usual()).run(&mut samples);
        for (sample, expected) in samples[10..].iter().zip(expected) {
            assert!((f64::from(*sample) - expected).abs() < 3e-8, "{sample} {expected}");
        }
        assert!((f64::from(samples[63]) + 0.008_338_041_967_019).abs() < 1e-9);
    }

    #[test]
    fn it_starts_as_if_the_first_sample_had_been_there_for_ever() {
        // SciPy 1.17: sosfilt(sos, x, zi=sosfilt_zi(sos) * x[0]) of x = 1000 + n * 37 % 101, fs=250;
        // sos = butter(4, 0.5, 'high') and butter(8, 30, 'low'); samples 0, 1, 2, 50, 199.
        let high = [0.0, 36.397_461_443, 71.599_724_738, -22.444_447_275, 37.484_845_513];
        let low = [1000.0, 1_000.003_040_818, 1_000.043_008_731, 1_035.957_752_404, 1_057.398_277_734];
        let designs =
            [(only(butterworth(Pass::High, 4, 0.5, 250.0)), high), (only(butterworth(Pass::Low, 8, 30.0, 250.0)), low)];
        for (chain, expected) in designs {
            let mut samples: Vec<f32> = (0..200).map(|n| (1000 + n * 37 % 101) as f32).collect();
            Cascade::new(1, chain).run(&mut samples);
            for (at, expected) in [0, 1, 2, 50, 199].into_iter().zip(expected) {
                assert!((f64::from(samples[at]) - expected).abs() < 1e-4, "{at}: {} {expected}", samples[at]);
            }
        }
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_bits() {
        let mut whole = noise(8 * 3000);
        let mut split = whole.clone();
        Cascade::new(8, usual()).run(&mut whole);
        let mut cascade = Cascade::new(8, usual());
        let mut rest = &mut split[..];
        for frames in [1, 63, 64, 65, 2, 1000].into_iter().cycle() {
            let (packet, later) = rest.split_at_mut(rest.len().min(frames * 8));
            cascade.run(packet);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(whole, split);
    }

    #[test]
    fn wider_vectors_change_no_bit() {
        let (mut wide_samples, mut narrow_samples) = (noise(8 * 64), noise(8 * 64));
        let (mut first, mut second) = (Cascade::new(8, usual()), Cascade::new(8, usual()));
        wide(Chunk { cascade: &mut first, samples: &mut wide_samples, frames: 64 });
        Chunk { cascade: &mut second, samples: &mut narrow_samples, frames: 64 }.run();
        assert_eq!(wide_samples, narrow_samples);
    }

    #[test]
    fn each_channel_of_many_is_filtered_as_if_alone() {
        for channels in [2, 8, 13] {
            let source = noise(channels * 500);
            let mut together = source.clone();
            Cascade::new(channels, usual()).run(&mut together);
            for channel in 0..channels {
                let mut alone: Vec<f32> = source.iter().skip(channel).step_by(channels).copied().collect();
                Cascade::new(1, usual()).run(&mut alone);
                assert!(alone.iter().eq(together.iter().skip(channel).step_by(channels)), "{channel} of {channels}");
            }
        }
    }

    #[test]
    fn a_corner_of_a_tenth_of_a_hertz_at_30_khz_is_stable_and_exact_over_a_million_samples() {
        let (rate, hz, frames) = (30_000.0, 10.0, 1_050_000);
        let chain = only(butterworth(Pass::High, 4, 0.1, rate));
        let expected = gain_at(chain.sections(), hz, rate);
        let mut cascade = Cascade::new(1, chain);
        let mut samples: Vec<f32> =
            (0..frames).map(|n| (1000.0 * (2.0 * PI * hz * n as f64 / rate).sin() - 187_000.0) as f32).collect();
        cascade.run(&mut samples);
        let tail = &samples[frames - 30_000..];
        let power = tail.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / tail.len() as f64;
        let mean = tail.iter().map(|v| f64::from(*v)).sum::<f64>() / tail.len() as f64;
        let amplitude = (2.0 * (power - mean * mean)).sqrt();
        assert!((amplitude / 1000.0 - expected).abs() < 1e-5, "{amplitude} {expected}");
        assert!(mean.abs() < 0.02, "{mean}");
    }

    #[test]
    fn silence_ends_in_zeros_not_in_subnormal_numbers() {
        let mut cascade = Cascade::new(1, usual());
        cascade.run(&mut noise(1000));
        let mut silence = vec![0.0; 60_000];
        cascade.run(&mut silence);
        assert!(cascade.blocks[0].state.iter().flatten().flatten().all(|state| *state == 0.0 || state.is_normal()));
        assert!(silence.iter().all(|value| *value == 0.0 || value.is_normal()));
    }

    #[test]
    fn a_channel_recovers_from_what_is_not_a_number_and_its_neighbour_does_not_notice() {
        let mut samples = noise(2 * 4096);
        let mut healthy = samples.clone();
        samples[2 * 100] = f32::NAN;
        Cascade::new(2, usual()).run(&mut samples);
        Cascade::new(2, usual()).run(&mut healthy);
        assert!(samples.iter().skip(1).step_by(2).eq(healthy.iter().skip(1).step_by(2)));
        assert!(samples[2 * TIDY_EVERY..].iter().all(|value| value.is_finite()));
    }
}
