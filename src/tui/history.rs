//! Min-max history of a stream at several resolutions: enough to draw any time base at any width, in bounded memory.
use std::{collections::VecDeque, ops::Range};

use wavedeck_api::{
    packet::{Flags, PacketHeader},
    signal::{SignalKind, StreamSpec},
};

use super::sweep::{Column, Sweep};

/// Longest time that can be shown, in seconds.
pub const LONGEST_S: f64 = 60.0;
/// Time that is kept at least, if there is memory for it, to look back at.
const KEPT_S: f64 = 600.0;
/// Shortest time that fills a screen, in seconds.
pub const SHORTEST_S: f64 = 2.0;
/// Bins of one level at least: a screen reads between a quarter of them and all. A power of two, as the most are: where a
/// bin lies is asked a thousand times per frame, and a division takes as long as the rest of the answer.
const BINS: u64 = 4096;
/// Bins of one level at most, for looking back at what was with the detail of the present.
const MOST_BINS: u64 = 16_384;
/// Bytes that all levels together should not take.
const BUDGET: u64 = 24 << 20;
/// Bins of one level that make one of the next.
const STEP: u64 = 4;
/// Gaps that are remembered.
const MAX_GAPS: usize = 256;
/// Blocks for sums, and how many of them make a second.
const BLOCKS: u64 = 512;
const BLOCKS_PER_S: f64 = 8.0;

/// Samples that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Index of the first missing sample.
    pub first: u64,
    /// Samples missing.
    pub samples: u64,
    /// Why they are missing.
    pub why: Why,
}

/// Why samples are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// They were lost on their way here.
    Lost,
    /// The pipeline was paused: there are none.
    Paused,
    /// The screen did not come to look in time: they exist.
    Unseen,
}

/// What is wrong with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// It is at the end of its range.
    Clip,
    /// Samples of it were lost.
    Gap,
    /// It does not move at all.
    Flat,
}

/// Seconds that a gap or a flat line counts for.
const FLAGGED_S: f64 = 2.0;

/// Numbers of a channel over some seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Root of the mean square about the mean.
    pub rms: f64,
}

/// One stream as far as a screen can show it.
#[derive(Clone)]
pub struct History {
    spec: StreamSpec,
    rate_hz: f64,
    gain: Vec<(f32, f32)>,
    levels: Vec<Level>,
    sums: Sums,
    last: Vec<f32>,
    gaps: VecDeque<Gap>,
    first: Option<u64>,
    end: u64,
    restarts: u64,
}

/// Min and max of every channel per bin of `frames` frames; bin `b` covers the frames from `b * frames` on.
#[derive(Clone)]
struct Level {
    frames: u64,
    channels: usize,
    /// Which bin a slot holds, plus one; 0 for none.
    held: Vec<u64>,
    /// `[slot][channel]`
    ranges: Vec<(f32, f32)>,
}

#[derive(Clone)]
struct Sums {
    frames: u64,
    held: Vec<u64>,
    /// `[slot][channel]`: count, sum, sum of squares.
    sums: Vec<(u32, f64, f64)>,
}

const NOTHING: (f32, f32) = (f32::INFINITY, f32::NEG_INFINITY);

/// Scale and offset that make each channel's samples values in its unit.
pub(super) fn gains(spec: &StreamSpec) -> Vec<(f32, f32)> {
    match spec.kind {
        SignalKind::Counts => spec.channels.iter().map(|c| (c.scale as f32, c.offset as f32)).collect(),
        SignalKind::Physical | SignalKind::Spectrum => vec![(1.0, 0.0); spec.channels.len()],
    }
}

/// A range with another in it; what is no number changes nothing. Plain comparisons, which are one instruction each.
fn widened(range: (f32, f32), other: (f32, f32)) -> (f32, f32) {
    (if other.0 < range.0 { other.0 } else { range.0 }, if other.1 > range.1 { other.1 } else { range.1 })
}

impl History {
    /// Room for a stream of this shape.
    pub fn new(spec: &StreamSpec) -> Self {
        let rate_hz = spec.rate.hz();
        let channels = spec.channels.len();
        let mut frames = ((SHORTEST_S * rate_hz / BINS as f64) as u64).max(1);
        let mut widths = Vec::new();
        loop {
            widths.push(frames);
            if (frames * BINS) as f64 >= LONGEST_S * 1.05 * rate_hz && (frames * MOST_BINS) as f64 >= KEPT_S * rate_hz {
                break;
            }
            frames *= STEP;
        }
        let one = (widths.len() * channels.max(1) * size_of::<(f32, f32)>()) as u64;
        let bins = if one * MOST_BINS <= BUDGET { MOST_BINS } else { BINS };
        let levels = widths.into_iter().map(|frames| Level::new(frames, bins, channels)).collect();
        Self {
            spec: spec.clone(),
            rate_hz,
            gain: gains(spec),
            levels,
            sums: Sums::new(((rate_hz / BLOCKS_PER_S) as u64).max(1), channels),
            last: vec![f32::NAN; channels],
            gaps: VecDeque::new(),
            first: None,
            end: 0,
            restarts: 0,
        }
    }

    /// Shape of the stream.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Samples per second.
    pub fn rate_hz(&self) -> f64 {
        self.rate_hz
    }

    /// Index of the first sample held, if there is any.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Index of the sample to come.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Seconds of signal seen since the beginning or the last jump.
    pub fn seen_s(&self) -> f64 {
        self.first.map_or(0.0, |first| (self.end - first) as f64 / self.rate_hz)
    }

    /// How often the stream jumped so that what was held had to go.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Samples of a kind that are missing among those held.
    pub fn missing(&self, why: Why) -> u64 {
        self.gaps.iter().filter(|gap| gap.why == why).map(|gap| gap.samples).sum()
    }

    /// Gaps among the samples held, oldest first.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.iter()
    }

    /// Newest value of a channel in its unit.
    pub fn last(&self, channel: usize) -> Option<f64> {
        self.last.get(channel).filter(|v| v.is_finite()).map(|v| f64::from(*v))
    }

    /// Takes the frames of one packet; `missing` says why samples before it are missing, if any are and the packet
    /// does not know better.
    pub fn ingest(&mut self, header: &PacketHeader, data: &[f32], missing: Why) {
        let channels = self.last.len();
        let jumped_back = header.first_sample < self.end;
        let held = self.levels.last().map_or(1, Level::holds);
        let too_far = header.first_sample.saturating_sub(self.end) > held;
        if self.first.is_some() && (header.flags.has(Flags::SEEKED) || jumped_back || too_far) {
            self.restart();
        }
        if self.first.is_none() {
            self.first = Some(header.first_sample);
            self.end = header.first_sample;
        }
        if header.first_sample > self.end {
            if self.gaps.len() == MAX_GAPS {
                self.gaps.pop_front();
            }
            let samples = header.first_sample - self.end;
            let why = if header.flags.has(Flags::RESUMED) { Why::Paused } else { missing };
            self.gaps.push_back(Gap { first: self.end, samples, why });
            self.finish_bins_before(header.first_sample);
            self.end = header.first_sample;
        }
        for frame in data.chunks_exact(channels).take(header.batch_size as usize) {
            self.frame(frame);
        }
    }

    fn restart(&mut self) {
        self.first = None;
        self.gaps.clear();
        self.restarts += 1;
        for level in &mut self.levels {
            level.held.fill(0);
        }
        self.sums.held.fill(0);
    }

    fn frame(&mut self, frame: &[f32]) {
        for ((last, value), (scale, offset)) in self.last.iter_mut().zip(frame).zip(&self.gain) {
            *last = value * scale + offset;
        }
        if let Some(finest) = self.levels.first_mut() {
            let bin = self.end / finest.frames;
            for (range, value) in finest.bin_mut(bin).iter_mut().zip(&self.last) {
                *range = widened(*range, (*value, *value));
            }
        }
        self.sums.add(self.end, &self.last);
        self.end += 1;
        self.finish_bins_before(self.end);
    }

    /// Hands bins on to the coarser levels once no sample can come any more that belongs to them.
    fn finish_bins_before(&mut self, end: u64) {
        for fine in 1..self.levels.len() {
            let (finer, coarser) = self.levels.split_at_mut(fine);
            let (Some(finer), Some(coarser)) = (finer.last(), coarser.first_mut()) else { return };
            let open = self.end.saturating_sub(1) / finer.frames;
            if end / finer.frames == open {
                return;
            }
            let Some(ranges) = finer.bin(open) else { return };
            for (to, from) in coarser.bin_mut(open / STEP).iter_mut().zip(ranges) {
                *to = widened(*to, *from);
            }
        }
    }

    /// Where the columns of a sweep lie that shows `seconds` on `dots` columns.
    pub fn sweep(&self, seconds: f64, dots: usize) -> Sweep {
        let per_screen = (seconds * self.rate_hz).max(1.0);
        let per_dot = per_screen / dots.max(1) as f64;
        // Fine enough for exact columns, coarse enough to hold the whole screen and to be quick to read.
        let (level, frames) = self.level_for(per_screen, per_dot);
        Sweep::new(level, frames, self.end, per_screen, dots)
    }

    /// Where the columns lie of a screen that ends before sample `end` and stands still, or scrolls.
    pub fn page(&self, seconds: f64, dots: usize, end: u64) -> Sweep {
        let per_screen = (seconds * self.rate_hz).max(1.0);
        let per_dot = per_screen / dots.max(1) as f64;
        let back = self.end.saturating_sub(end) as f64;
        let (level, frames) = self.level_for(per_screen + back, per_dot);
        Sweep::page(level, frames, end, per_screen, dots)
    }

    /// The level that holds the newest `reach` samples and is right for columns of so many.
    fn level_for(&self, reach: f64, per_dot: f64) -> (usize, u64) {
        let holds_screen = |level: &Level| level.holds() as f64 >= reach * 1.01;
        let is_quick = |level: &Level| (level.frames * STEP * 8) as f64 > per_dot;
        let level = self.levels.iter().position(|level| holds_screen(level) && is_quick(level));
        let level = level.unwrap_or(self.levels.len().saturating_sub(1));
        (level, self.levels.get(level).map_or(1, |level| level.frames))
    }

    /// Value of a channel at a sample, as exactly as it is still known: the middle of its bin.
    pub fn value_at(&self, channel: usize, sample: u64) -> Option<f64> {
        let held = self.levels.iter().find_map(|level| level.bin(sample / level.frames)?.get(channel).copied());
        held.filter(|range| range.0 <= range.1).map(|range| f64::from(f32::midpoint(range.0, range.1)))
    }

    /// Index of the oldest sample that can be shown.
    pub fn oldest(&self) -> u64 {
        let held = self.levels.last().map_or(0, Level::holds);
        self.first.unwrap_or(self.end).max(self.end.saturating_sub(held))
    }

    /// What each of some channels was at each column of the sweep. All at once: they lie beside each other in memory, and
    /// where the columns lie is the same for all.
    pub fn columns(&self, channels: &[usize], sweep: &Sweep) -> Vec<Vec<Column>> {
        self.columns_of(channels, sweep, 0..sweep.dots)
    }

    /// As [`columns`](Self::columns), but for some of them. Where columns are rarer than samples
    /// ([`fills`](Self::fills)) they are the same.
    pub fn columns_of(&self, channels: &[usize], sweep: &Sweep, dots: Range<usize>) -> Vec<Vec<Column>> {
        let mut all = vec![Vec::with_capacity(dots.len()); channels.len()];
        let (Some(first), Some(level)) = (self.first, self.levels.get(sweep.level)) else {
            all.iter_mut().for_each(|columns| columns.resize(dots.len(), Column::Empty));
            return all;
        };
        let mut before: Vec<Option<(f32, f32)>> = vec![None; channels.len()];
        let mut ranges = vec![NOTHING; channels.len()];
        for dot in dots {
            let frames = sweep.frames_of(dot);
            if dot == sweep.cursor + 1 {
                before.fill(None);
            }
            if frames.end <= first || frames.start >= sweep.end {
                all.iter_mut().for_each(|columns| columns.push(Column::Empty));
                continue;
            }
            ranges.fill(NOTHING);
            for bin in frames.start.div_ceil(level.frames)..frames.end.div_ceil(level.frames) {
                let Some(held) = level.bin(bin) else { continue };
                for (range, channel) in ranges.iter_mut().zip(channels) {
                    if let Some(held) = held.get(*channel) {
                        *range = widened(*range, *held);
                    }
                }
            }
            let mut is_gap = None;
            for ((columns, range), before) in all.iter_mut().zip(&ranges).zip(&mut before) {
                columns.push(if range.0 <= range.1 {
                    *before = Some(*range);
                    Column::Range { min: range.0, max: range.1 }
                } else if *is_gap.get_or_insert_with(|| self.has_gap_in(frames.start, frames.end)) {
                    *before = None;
                    Column::Gap
                } else {
                    // Fewer samples than dots: the last value holds until the next.
                    before.map_or(Column::Empty, |(min, max)| {
                        let middle = f32::midpoint(min, max);
                        Column::Range { min: middle, max: middle }
                    })
                });
            }
        }
        all
    }

    /// True if every column has samples of its own, as far as there are any.
    pub fn fills(&self, sweep: &Sweep) -> bool {
        self.levels.get(sweep.level).is_some_and(|level| level.frames as f64 <= sweep.per_dot())
    }

    /// True if a sample is missing in `first..end`.
    pub fn has_gap_in(&self, first: u64, end: u64) -> bool {
        self.gaps.iter().rev().any(|gap| gap.first < end && gap.first + gap.samples > first)
    }

    /// Numbers of a channel over the newest `seconds`; `None` before the first sample.
    pub fn numbers(&self, channel: usize, seconds: f64) -> Option<Numbers> {
        let since = self.end.saturating_sub((seconds * self.rate_hz) as u64).max(self.first?);
        let (count, sum, squares) = self.sums.over(channel, since, self.end);
        let finest = self.levels.first()?;
        let enough = |level: &&Level| (level.frames as f64) < seconds * self.rate_hz / 64.0;
        let coarse = self.levels.iter().rfind(enough).unwrap_or(finest);
        // A coarse level knows its last bin only when that is complete; the finest fills in.
        let seam = self.end / coarse.frames * coarse.frames;
        let whole = since.div_ceil(coarse.frames)..seam / coarse.frames;
        let rest = seam.max(since) / finest.frames..self.end.div_ceil(finest.frames);
        let bins = whole.filter_map(|bin| coarse.bin(bin)).chain(rest.filter_map(|bin| finest.bin(bin)));
        let range = bins.filter_map(|held| held.get(channel)).fold(NOTHING, |a, b| (a.0.min(b.0), a.1.max(b.1)));
        if count == 0 || range.0 > range.1 {
            return None;
        }
        let mean = sum / f64::from(count);
        let rms = (squares / f64::from(count) - mean * mean).max(0.0).sqrt();
        Some(Numbers { min: f64::from(range.0), max: f64::from(range.1), mean, rms })
    }

    /// What is wrong with a channel lately; the worst of it.
    pub fn flag(&self, channel: usize) -> Option<Flag> {
        if self.is_clipped(channel) {
            return Some(Flag::Clip);
        }
        let since = self.end.saturating_sub((FLAGGED_S * self.rate_hz) as u64);
        if self.gaps.iter().rev().any(|gap| gap.why == Why::Lost && gap.first + gap.samples > since) {
            return Some(Flag::Gap);
        }
        let is_flat = self.seen_s() >= FLAGGED_S
            && self.numbers(channel, FLAGGED_S).is_some_and(|numbers| numbers.min == numbers.max);
        is_flat.then_some(Flag::Flat)
    }

    /// True if the channel touched the end of what its device can deliver during the newest half second.
    pub fn is_clipped(&self, channel: usize) -> bool {
        let Some((low, high)) = self.spec.channels.get(channel).and_then(|c| c.range) else { return false };
        let margin = (high - low) * 1e-4;
        self.numbers(channel, 0.5).is_some_and(|n| n.min <= low + margin || n.max >= high - margin)
    }
}

impl Level {
    fn new(frames: u64, bins: u64, channels: usize) -> Self {
        let bins = bins.next_power_of_two() as usize;
        Self { frames, channels, held: vec![0; bins], ranges: vec![NOTHING; bins * channels] }
    }

    /// Samples from the oldest to the newest.
    fn holds(&self) -> u64 {
        self.frames * self.held.len() as u64
    }

    fn slot(&self, bin: u64) -> usize {
        bin as usize & (self.held.len() - 1)
    }

    fn bin(&self, bin: u64) -> Option<&[(f32, f32)]> {
        let slot = self.slot(bin);
        (self.held[slot] == bin + 1).then(|| &self.ranges[slot * self.channels..][..self.channels])
    }

    fn bin_mut(&mut self, bin: u64) -> &mut [(f32, f32)] {
        let slot = self.slot(bin);
        let ranges = &mut self.ranges[slot * self.channels..][..self.channels];
        if self.held[slot] != bin + 1 {
            self.held[slot] = bin + 1;
            ranges.fill(NOTHING);
        }
        ranges
    }
}

impl Sums {
    fn new(frames: u64, channels: usize) -> Self {
        Self { frames, held: vec![0; BLOCKS as usize], sums: vec![(0, 0.0, 0.0); BLOCKS as usize * channels] }
    }

    fn add(&mut self, sample: u64, values: &[f32]) {
        let block = sample / self.frames;
        let slot = (block % BLOCKS) as usize;
        let sums = &mut self.sums[slot * values.len()..][..values.len()];
        if self.held[slot] != block + 1 {
            self.held[slot] = block + 1;
            sums.fill((0, 0.0, 0.0));
        }
        for (sum, value) in sums.iter_mut().zip(values).filter(|(_, value)| value.is_finite()) {
            let value = f64::from(*value);
            *sum = (sum.0 + 1, sum.1 + value, sum.2 + value * value);
        }
    }

    fn over(&self, channel: usize, first: u64, end: u64) -> (u32, f64, f64) {
        let channels = self.sums.len() / self.held.len();
        let mut total = (0, 0.0, 0.0);
        let oldest = (first / self.frames).max((end / self.frames).saturating_sub(BLOCKS - 1));
        for block in oldest..=end / self.frames {
            let slot = (block % BLOCKS) as usize;
            if self.held[slot] == block + 1 {
                let sum = self.sums[slot * channels + channel];
                total = (total.0 + sum.0, total.1 + sum.1, total.2 + sum.2);
            }
        }
        total
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
