//! The place in a stream from which is sent next.
use std::ops::Range;

use wavedeck_api::prelude::*;
use wavedeck_formats::{Blocks, Source, SourceError, SourceStream};
use wavedeck_recording::{DecodedBatch, GapReason};

/// A stream of a file, and a place in it.
pub(super) struct Cursor {
    source: Box<dyn Source>,
    stream: usize,
    blocks: Blocks,
    /// The block that is being sent, and the frame to begin with.
    block: Option<(DecodedBatch, u32)>,
    position: u64,
}

impl Cursor {
    /// At sample `index` of a stream.
    pub(super) fn new(source: Box<dyn Source>, stream: usize, index: u64) -> Result<Self, SourceError> {
        let blocks = source.blocks(stream, index)?;
        Ok(Self { source, stream, blocks, block: None, position: index })
    }

    /// Index of the next sample; within a gap it may be one that does not exist.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Passes over samples that do not exist: no further than to the next one that does.
    pub(super) fn pass_to(&mut self, index: u64) {
        self.position = self.position.max(index);
    }

    /// To sample `index`.
    pub(super) fn seek(&mut self, index: u64) -> Result<(), SourceError> {
        self.blocks = self.source.blocks(self.stream, index)?;
        (self.block, self.position) = (None, index);
        Ok(())
    }

    /// Index of the next sample that exists before `end`, or `None`. Damage is passed over, and told to `note`.
    pub(super) fn next_index(&mut self, end: u64, mut note: impl FnMut(&SourceError)) -> Option<u64> {
        while self.block.is_none() {
            match self.blocks.next()? {
                Ok(block) => {
                    let skip = u32::try_from(self.position.saturating_sub(block.first_index)).unwrap_or(u32::MAX);
                    self.block = (skip < block.n_frames).then_some((block, skip));
                }
                Err(error) => note(&error),
            }
        }
        let (block, offset) = self.block.as_ref()?;
        Some(block.first_index + u64::from(*offset)).filter(|index| *index < end)
    }

    /// Lets `send` have the block and the frames in it that come next, at most `most` and none from `end` on; it says
    /// whether it took them. How many these were; `None` if none.
    pub(super) fn send(
        &mut self,
        most: u32,
        end: u64,
        send: impl FnOnce(&DecodedBatch, Range<u32>) -> bool,
    ) -> Option<u32> {
        let (block, offset) = self.block.as_mut()?;
        let first = block.first_index + u64::from(*offset);
        let until_end = u32::try_from(end.saturating_sub(first)).unwrap_or(u32::MAX);
        let frames = (block.n_frames - *offset).min(most).min(until_end);
        if frames == 0 || !send(block, *offset..*offset + frames) {
            return None;
        }
        *offset += frames;
        self.position = first + u64::from(frames);
        if *offset == block.n_frames {
            self.block = None;
        }
        Some(frames)
    }
}

/// What a replay needs to know of the whole file.
pub(super) struct Facts {
    /// Unix time of the first sample of the file.
    begin_ns: u64,
    /// Index of the first sample of the stream, and how long after `begin_ns` it was taken.
    pub(super) first: u64,
    pub(super) offset_ns: u64,
    /// Index after its last sample.
    pub(super) end: u64,
    pub(super) rate: Rate,
    /// From the first sample of the file to the last one of any stream.
    pub(super) duration_s: f64,
    /// Indices before which samples are missing because a person wanted it, in order.
    resumed: Vec<u64>,
}

impl Facts {
    pub(super) fn of(source: &dyn Source, stream: usize) -> Result<Self, SourceError> {
        let mut begins = Vec::with_capacity(source.streams().len());
        for (number, of) in source.streams().iter().enumerate() {
            // A stream whose beginning is damaged has no say in where the file begins.
            begins.push(source.blocks(number, of.first_index)?.find_map(Result::ok).map(|block| {
                let passed = of.spec.rate.nanoseconds_at(block.first_index.saturating_sub(of.first_index));
                block.t0_ns.saturating_sub(passed)
            }));
        }
        let begin_ns = begins.iter().flatten().min().copied().unwrap_or(0);
        let offset = |number: usize| begins[number].unwrap_or(begin_ns) - begin_ns;
        let length = |(number, of): (usize, &SourceStream)| {
            offset(number) as f64 / 1e9 + (of.end_index - of.first_index.min(of.end_index)) as f64 / of.spec.rate.hz()
        };
        let of = &source.streams()[stream];
        let is_wanted = |reason: &str| GapReason::ALL.iter().any(|of| of.as_str() == reason && !of.is_loss());
        let wanted = source.missing().iter().filter(|run| run.stream == stream && is_wanted(&run.reason));
        let resumed = wanted.map(|run| run.first_index.saturating_add(run.n));
        Ok(Self {
            begin_ns,
            first: of.first_index,
            offset_ns: offset(stream),
            end: of.end_index.max(of.first_index),
            rate: of.spec.rate,
            duration_s: source.streams().iter().enumerate().map(length).fold(0.0, f64::max),
            resumed: resumed.collect(),
        })
    }

    /// How a packet that begins with this sample is marked: what a person left out is not lost.
    pub(super) fn marks(&self, index: u64) -> Flags {
        if self.resumed.binary_search(&index).is_ok() { Flags::RESUMED } else { Flags::NONE }
    }

    /// Index of the sample at a moment, between the first one and the end.
    pub(super) fn index_at(&self, seconds: f64) -> u64 {
        let since = seconds.clamp(0.0, 1e12) - self.offset_ns as f64 / 1e9;
        self.first.saturating_add((since.max(0.0) * self.rate.hz()).round() as u64).min(self.end)
    }

    /// The moment of a sample.
    pub(super) fn seconds_at(&self, index: u64) -> f64 {
        self.offset_ns as f64 / 1e9 + index.saturating_sub(self.first) as f64 / self.rate.hz()
    }

    pub(super) fn markers(&self, source: &dyn Source, stream: usize) -> Vec<(f64, String)> {
        let annotations = source.annotations().iter().map(|annotation| {
            let seconds = match annotation.sample {
                Some((of, index)) if of == stream => self.seconds_at(index),
                _ => annotation.time_ns.saturating_sub(self.begin_ns) as f64 / 1e9,
            };
            (seconds, annotation.label.clone())
        });
        annotations.collect()
    }

    pub(super) fn gaps(&self, source: &dyn Source, stream: usize) -> Vec<(f64, f64)> {
        let missing = source.missing().iter().filter(|run| run.stream == stream);
        missing.map(|run| (self.seconds_at(run.first_index), run.n as f64 / self.rate.hz())).collect()
    }
}
