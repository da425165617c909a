//! The samples, straight from their place in the file.
use std::{ops::Range, sync::Arc};

use wavedeck_recording::{DecodedBatch, Samples};

use super::{
    super::{
        foreign::{BLOCK_VALUES, Reader, Shared},
        runs::{Clock, Runs, Walk},
    },
    chunks::{Element, Format},
};
use crate::{error::SourceError, source::Blocks};

/// Bytes read at once, unless a frame is larger.
const READ_BYTES: usize = 1 << 20;

/// Where the samples are.
#[derive(Clone)]
pub(super) struct Frames {
    pub(super) file: Shared,
    pub(super) format: Format,
    /// Place of the first sample, in bytes.
    pub(super) data: u64,
    pub(super) runs: Arc<Runs>,
    pub(super) clock: Clock,
    /// The channels of each stream.
    pub(super) streams: Arc<[Range<usize>]>,
}

impl Reader for Frames {
    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError> {
        let walk = Walk::new(Arc::clone(&self.runs), from_index);
        let channels = self.streams[stream].clone();
        let most = (BLOCK_VALUES as usize / channels.len()).min(READ_BYTES / self.format.frame_bytes()).max(1) as u64;
        Ok(Box::new(Reading { frames: self.clone(), channels, most, walk, bytes: Vec::new() }))
    }
}

/// An iteration over a stream.
struct Reading {
    frames: Frames,
    channels: Range<usize>,
    /// Most frames of a block.
    most: u64,
    walk: Walk,
    bytes: Vec<u8>,
}

impl Reading {
    /// What is read of each sample wanted.
    fn values<T>(&self, value: impl Fn(&[u8]) -> T) -> Vec<T> {
        let Format { element, .. } = self.frames.format;
        let wanted = self.channels.start * element.bytes()..self.channels.end * element.bytes();
        let frames = self.bytes.chunks_exact(self.frames.format.frame_bytes());
        frames.flat_map(|frame| frame[wanted.clone()].chunks_exact(element.bytes())).map(value).collect()
    }

    fn samples(&self) -> Samples {
        match self.frames.format.element {
            Element::Int(_) => Samples::Counts(self.values(|sample| match *sample {
                [byte] => i32::from(byte) - 128,
                [low, high] => i16::from_le_bytes([low, high]).into(),
                [low, middle, high] => i32::from_le_bytes([0, low, middle, high]) >> 8,
                _ => sample.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes)),
            })),
            Element::Float32 => Samples::Values(
                self.values(|sample| sample.first_chunk().map_or(0.0, |bytes| f32::from_le_bytes(*bytes))),
            ),
            Element::Float64 => Samples::Values(
                self.values(|sample| sample.first_chunk().map_or(0.0, |bytes| f64::from_le_bytes(*bytes) as f32)),
            ),
        }
    }
}

impl Iterator for Reading {
    type Item = Result<DecodedBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let most = self.most;
        let piece = self.walk.piece(|_| most)?;
        let frame_bytes = self.frames.format.frame_bytes();
        self.bytes.resize(piece.run.n as usize * frame_bytes, 0);
        let at = self.frames.data + piece.run.frame * frame_bytes as u64;
        if let Err(error) = self.frames.file.read(at, &mut self.bytes) {
            self.walk = Walk::new(Arc::default(), 0);
            return Some(Err(error));
        }
        Some(Ok(self.frames.clock.block(&piece, self.samples())))
    }
}
