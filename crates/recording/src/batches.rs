//! The samples of one stream, batch by batch.
use std::collections::VecDeque;

use wavedeck_api::{
    packet::Flags,
    signal::{SignalKind, StreamSpec},
};

use crate::{
    chunk::{self, Item},
    codec,
    error::ReadError,
    proto::{self, BatchView},
    reader::Recording,
};

/// Samples frame by frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Of a stream of counts.
    Counts(Vec<i32>),
    /// Of a stream of physical values.
    Values(Vec<f32>),
}

/// A run of samples as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedBatch {
    /// Unix time of the first frame.
    pub t0_ns: u64,
    /// Index of the first frame; counts through losses.
    pub first_index: u64,
    /// Number of frames.
    pub n_frames: u32,
    /// Unix time at which it came.
    pub arrival_ns: u64,
    /// Time by the device's own clock; 0 if it had none.
    pub device_ts: u64,
    /// What happened before it.
    pub flags: Flags,
    /// Frames missing before it.
    pub dropped_before: u32,
    /// The samples of all channels.
    pub samples: Samples,
}

impl DecodedBatch {
    /// Index after the last frame.
    pub fn end_index(&self) -> u64 {
        self.first_index + u64::from(self.n_frames)
    }
}

/// Iterates over the batches of a stream; owns what it needs.
#[derive(Debug)]
pub struct Batches {
    recording: Recording,
    stream: usize,
    next_chunk: usize,
    from_index: u64,
    from_ns: u64,
    ready: VecDeque<DecodedBatch>,
    buffer: Vec<u8>,
}

impl Batches {
    pub(crate) fn new(recording: Recording, stream: usize, first_chunk: usize, from_index: u64, from_ns: u64) -> Self {
        Self {
            recording,
            stream,
            next_chunk: first_chunk,
            from_index,
            from_ns,
            ready: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    fn load_chunk(&mut self, number: usize) -> Result<(), ReadError> {
        let Self { recording, stream, ready, buffer, from_index, from_ns, .. } = self;
        let head = recording.chunks()[number].head;
        let channel = recording.data_channel(*stream);
        let spec = &recording.streams()[*stream].spec;
        let result = recording.visit(&head, buffer, |item| {
            let Item::Message(header, payload) = item else {
                return Ok(());
            };
            if header.channel_id != channel {
                return Ok(());
            }
            let bad = |what: &str| chunk::damaged(head.offset, format!("a batch cannot be read: {what}"));
            let view = proto::decode_batch(payload).map_err(bad)?;
            let frames = u64::from(view.head.n_frames);
            let end_ns = view.head.t0_ns.saturating_add(spec.rate.nanoseconds_at(frames));
            if view.head.first_index + frames > *from_index && end_ns > *from_ns {
                ready.push_back(decode(&view, spec).map_err(bad)?);
            }
            Ok(())
        });
        if result.is_err() {
            ready.clear();
        }
        result
    }
}

impl Iterator for Batches {
    type Item = Result<DecodedBatch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            let number = self.next_chunk;
            let chunk = self.recording.chunks().get(number)?;
            let is_holder = chunk.holds(self.recording.data_channel(self.stream));
            self.next_chunk += 1;
            if is_holder && let Err(error) = self.load_chunk(number) {
                return Some(Err(error));
            }
        }
    }
}

fn decode(view: &BatchView<'_>, spec: &StreamSpec) -> Result<DecodedBatch, &'static str> {
    let wrong_length = "its length is not that of its frames";
    let frames = view.head.n_frames as usize;
    let channels = spec.channels.len();
    let total = frames.checked_mul(channels).ok_or(wrong_length)?;
    let words = |bytes: &[u8]| -> Result<Vec<[u8; 4]>, &'static str> {
        let (words, rest) = bytes.as_chunks();
        if words.len() == total && rest.is_empty() { Ok(words.to_vec()) } else { Err(wrong_length) }
    };
    let samples = match (spec.kind, view.codec) {
        (SignalKind::Counts, proto::CODEC_PLAIN) => {
            Samples::Counts(words(view.counts)?.into_iter().map(i32::from_le_bytes).collect())
        }
        (SignalKind::Counts, proto::CODEC_PLANAR) => {
            Samples::Counts(codec::decode_planar(view.data, channels, frames).ok_or(wrong_length)?)
        }
        (SignalKind::Physical, proto::CODEC_PLAIN) => {
            Samples::Values(words(view.values)?.into_iter().map(f32::from_le_bytes).collect())
        }
        _ => return Err("its codec is unknown"),
    };
    Ok(DecodedBatch {
        t0_ns: view.head.t0_ns,
        first_index: view.head.first_index,
        n_frames: view.head.n_frames,
        arrival_ns: view.head.arrival_ns,
        device_ts: view.head.device_ts,
        flags: packet_flags(view.head.flags),
        dropped_before: view.head.dropped_before,
        samples,
    })
}

fn packet_flags(stored: u32) -> Flags {
    let pairs = [
        (proto::GAP_BEFORE, Flags::GAP),
        (proto::RESYNC, Flags::RESYNC),
        (proto::RECONNECTED, Flags::RECONNECTED),
        (proto::RESUMED, Flags::RESUMED),
        (proto::SEEKED, Flags::SEEKED),
    ];
    pairs.iter().filter(|(bit, _)| stored & bit != 0).fold(Flags::NONE, |set, (_, flag)| set.with(*flag))
}
