//! Small packets that follow each other, gathered until they are worth a batch.
use wavedeck_api::{
    packet::{Flags, PacketHeader},
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};

use crate::{batches::Samples, proto::Body};

/// Rates below it are slow.
const SLOW_HZ: f64 = 500.0;
/// Longest run of a slow stream: all that a chunk holds of it. For eight channels at 250 Hz a message then costs a
/// twentieth of the samples beside them, where a packet of 40 ms costs a third.
const SLOW_RUN_NS: u64 = 200_000_000;
const RUN_NS: u64 = 50_000_000;

/// The samples of a packet, frame by frame.
#[derive(Clone, Copy)]
pub(super) enum Frames<'a> {
    Counts(&'a [i32]),
    Values(&'a [f32]),
}

impl<'a> Frames<'a> {
    /// What the samples are.
    pub(super) fn kind(self) -> SignalKind {
        match self {
            Self::Counts(_) => SignalKind::Counts,
            Self::Values(_) => SignalKind::Physical,
        }
    }

    /// Number of samples, all channels together.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Counts(counts) => counts.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Their length in memory.
    pub(super) fn bytes(self) -> u64 {
        self.len() as u64 * 4
    }

    /// What a message holds of them.
    pub(super) fn body(self, channels: usize, plain: bool) -> Body<'a> {
        match self {
            Self::Counts(counts) if plain => Body::Counts(counts),
            Self::Counts(counts) => Body::Planar(counts, channels),
            Self::Values(values) => Body::Values(values),
        }
    }

    /// Sample number `at` in the unit of its channel.
    pub(super) fn value(self, at: usize, channel: &ChannelSpec) -> f32 {
        match self {
            Self::Counts(counts) => (f64::from(counts[at]) * channel.scale + channel.offset) as f32,
            Self::Values(values) => values[at],
        }
    }
}

/// Packets of one stream in a row, as one. It never grows beyond what it was made for.
pub(super) struct Run {
    /// Header of the first packet, with the frames of all; 0 frames while there is none.
    header: PacketHeader,
    arrival_ns: u64,
    samples: Samples,
    capacity: u32,
}

impl Run {
    /// An empty run for packets of `spec`, of at most `max_bytes`.
    pub(super) fn new(spec: &StreamSpec, max_bytes: usize) -> Self {
        let channels = spec.channels.len().max(1);
        let room = u32::try_from(max_bytes / (channels * 4)).unwrap_or(u32::MAX);
        let capacity = longest(spec.rate).min(room);
        let samples = capacity as usize * channels;
        Self {
            header: PacketHeader::default(),
            arrival_ns: 0,
            samples: match spec.kind {
                SignalKind::Counts => Samples::Counts(Vec::with_capacity(samples)),
                _ => Samples::Values(Vec::with_capacity(samples)),
            },
            capacity,
        }
    }

    /// A run that takes nothing: it stands in for one that is being written.
    pub(super) fn none() -> Self {
        Self { header: PacketHeader::default(), arrival_ns: 0, samples: Samples::Values(Vec::new()), capacity: 0 }
    }

    /// True if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.header.batch_size == 0
    }

    /// True if no other packet fits.
    pub(super) fn is_full(&self) -> bool {
        self.header.batch_size >= self.capacity
    }

    /// True if a packet as long as this one gains nothing by being gathered.
    pub(super) fn is_outgrown_by(&self, header: &PacketHeader) -> bool {
        header.batch_size >= self.capacity
    }

    /// True if the packet fits behind those that are there: it follows directly and has nothing to say.
    pub(super) fn is_continued_by(&self, header: &PacketHeader) -> bool {
        let frames = self.header.batch_size.checked_add(header.batch_size);
        header.first_sample == self.header.end_sample()
            && header.flags == Flags::NONE
            && frames.is_some_and(|frames| frames <= self.capacity)
    }

    /// Adds a packet: the first one, or one that continues the run.
    pub(super) fn push(&mut self, header: &PacketHeader, frames: Frames<'_>, arrival_ns: u64) {
        if self.is_empty() {
            (self.header, self.arrival_ns) = (*header, arrival_ns);
        } else {
            self.header.batch_size += header.batch_size;
        }
        match (&mut self.samples, frames) {
            (Samples::Counts(all), Frames::Counts(counts)) => all.extend_from_slice(counts),
            (Samples::Values(all), Frames::Values(values)) => all.extend_from_slice(values),
            _ => unreachable!("the kind of a packet is checked before it comes here"),
        }
    }

    /// The packets as one: header, samples, and when the first one came.
    pub(super) fn packet(&self) -> (PacketHeader, Frames<'_>, u64) {
        let frames = match &self.samples {
            Samples::Counts(counts) => Frames::Counts(counts),
            Samples::Values(values) => Frames::Values(values),
        };
        (self.header, frames, self.arrival_ns)
    }

    /// Forgets all packets.
    pub(super) fn clear(&mut self) {
        self.header.batch_size = 0;
        match &mut self.samples {
            Samples::Counts(counts) => counts.clear(),
            Samples::Values(values) => values.clear(),
        }
    }
}

/// Most frames that are gathered at this rate.
fn longest(rate: Rate) -> u32 {
    let longest_ns = if rate.hz() < SLOW_HZ { SLOW_RUN_NS } else { RUN_NS };
    u32::try_from(rate.samples_in(longest_ns)).unwrap_or(u32::MAX)
}
