//! The samples, straight from their place in the file.
use std::sync::Arc;

use wavedeck_recording::{DecodedBatch, Samples};

use super::{
    super::{
        foreign::{BLOCK_VALUES, Reader, Shared},
        runs::{Clock, Runs, Walk},
    },
    Width,
};
use crate::{error::SourceError, source::Blocks};

/// Bytes of records read at once, if they are that small.
const READ_BYTES: usize = 1 << 18;

/// Where the samples are.
pub(super) struct Records {
    pub(super) file: Shared,
    pub(super) width: Width,
    /// Bytes before the first record.
    pub(super) header_bytes: u64,
    /// Bytes of a record.
    pub(super) record_bytes: usize,
    /// Whole records.
    pub(super) records: u64,
    pub(super) streams: Vec<Stream>,
}

/// Where the samples of a stream are.
#[derive(Clone)]
pub(super) struct Stream {
    /// Place of each channel in the record, in bytes.
    pub(super) offsets: Arc<[usize]>,
    /// Samples of a channel in a record.
    pub(super) samples: usize,
    pub(super) runs: Arc<Runs>,
    pub(super) clock: Clock,
}

impl Reader for Records {
    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError> {
        let stream = self.streams[stream].clone();
        let walk = Walk::new(Arc::clone(&stream.runs), from_index);
        let group = (READ_BYTES / self.record_bytes.max(1)).max(1) as u64;
        Ok(Box::new(Reading {
            file: self.file.clone(),
            width: self.width,
            header_bytes: self.header_bytes,
            record_bytes: self.record_bytes,
            records: self.records,
            group,
            stream,
            walk,
            bytes: Vec::new(),
            loaded: None,
        }))
    }
}

/// An iteration over a stream.
struct Reading {
    file: Shared,
    width: Width,
    header_bytes: u64,
    record_bytes: usize,
    records: u64,
    /// Records read at once.
    group: u64,
    stream: Stream,
    walk: Walk,
    bytes: Vec<u8>,
    /// Number of the group in `bytes`.
    loaded: Option<u64>,
}

impl Reading {
    fn load(&mut self, group: u64) -> Result<(), SourceError> {
        if self.loaded == Some(group) {
            return Ok(());
        }
        self.loaded = None;
        let first = group * self.group;
        let n = self.group.min(self.records.saturating_sub(first)) as usize;
        self.bytes.resize(n * self.record_bytes, 0);
        self.file.read(self.header_bytes + first * self.record_bytes as u64, &mut self.bytes)?;
        self.loaded = Some(group);
        Ok(())
    }

    /// Values of `n` frames from `frame` on, counted from the first record of the group.
    fn values(&self, frame: usize, n: usize) -> Vec<i32> {
        let (channels, bytes) = (self.stream.offsets.len(), self.width.bytes());
        let mut values = vec![0; n * channels];
        for (channel, offset) in self.stream.offsets.iter().enumerate() {
            let mut done = 0;
            while done < n {
                let (record, within) = ((frame + done) / self.stream.samples, (frame + done) % self.stream.samples);
                let here = (self.stream.samples - within).min(n - done);
                let at = record * self.record_bytes + offset + within * bytes;
                let places = values[done * channels..].iter_mut().skip(channel).step_by(channels);
                for (place, sample) in places.zip(self.bytes[at..at + here * bytes].chunks_exact(bytes)) {
                    *place = match *sample {
                        [low, high] => i16::from_le_bytes([low, high]).into(),
                        [low, middle, high] => i32::from_le_bytes([0, low, middle, high]) >> 8,
                        _ => 0,
                    };
                }
                done += here;
            }
        }
        values
    }
}

impl Iterator for Reading {
    type Item = Result<DecodedBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let group_frames = self.group * self.stream.samples as u64;
        let most = (BLOCK_VALUES / self.stream.offsets.len() as u64).max(1);
        let piece = self.walk.piece(|frame| most.min(group_frames - frame % group_frames))?;
        if let Err(error) = self.load(piece.run.frame / group_frames) {
            // What cannot be read here is not tried again.
            self.walk = Walk::new(Arc::default(), 0);
            return Some(Err(error));
        }
        let values = self.values((piece.run.frame % group_frames) as usize, piece.run.n as usize);
        Some(Ok(self.stream.clock.block(&piece, Samples::Counts(values))))
    }
}
