//! One file of a recording while it is open: what goes into it, and what is missing in it.
use std::sync::Arc;

use wavedeck_api::{clock, prelude::*};
use wavedeck_recording::{CommitStatus, Gap, GapReason, GapTracker, RecordingWriter, WriteError};

/// The samples of a packet, frame by frame.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    Counts(&'a [i32]),
    Values(&'a [f32]),
}

impl<'a> Payload<'a> {
    /// `None` for what recordings do not hold.
    pub(super) fn of(packet: &'a AnyPacket) -> Option<Self> {
        match packet {
            AnyPacket::Counts(packet) => Some(Self::Counts(packet.samples())),
            AnyPacket::Physical(packet) => Some(Self::Values(packet.samples())),
            AnyPacket::Spectrum(_) => None,
        }
    }
}

/// What is known of a stream as it arrives.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) tracker: GapTracker,
    pub(super) last: Option<PacketHeader>,
}

/// A file that is open.
pub(super) struct OpenFile {
    pub(super) writer: RecordingWriter,
    pub(super) status: Arc<CommitStatus>,
    pub(super) streams: Vec<InFile>,
    pub(super) gaps: u64,
    pub(super) markers: u64,
    /// Samples of the gaps noted that nobody asked for.
    pub(super) lost: u64,
}

/// Where a stream stands in the file.
#[derive(Clone, Copy, Default)]
pub(super) struct InFile {
    /// Index after the last sample that the file accounts for; `None` before its first.
    pub(super) next: Option<u64>,
    /// Why the samples since then are missing, when it was our doing.
    pub(super) excuse: Option<GapReason>,
}

impl OpenFile {
    pub(super) fn new(writer: RecordingWriter, streams: Vec<InFile>) -> Self {
        let status = writer.status();
        Self { writer, status, streams, gaps: 0, markers: 0, lost: 0 }
    }

    /// Writes what is missing before a packet, then the packet.
    pub(super) fn write(
        &mut self,
        index: usize,
        header: &PacketHeader,
        samples: Payload<'_>,
        seen_gap: Option<GapReason>,
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        let stream = &mut self.streams[index];
        stream.next.get_or_insert(header.first_sample);
        let reason = stream.excuse.or(seen_gap).unwrap_or(GapReason::Device);
        // What a person left out is told apart from the packets that are refused after it.
        if !reason.is_loss() {
            self.note_gap(index, header.first_sample, reason, header.timestamp_ns)?;
            self.streams[index].excuse = None;
        }
        // Before the gap: a disk that stands still must not be given one for each packet that is refused.
        self.writer.check_room(usize::from(header.channels) * header.batch_size as usize)?;
        self.note_gap(index, header.first_sample, reason, header.timestamp_ns)?;
        match samples {
            Payload::Counts(counts) => self.writer.batch_counts(index, header, counts, arrival_ns)?,
            Payload::Values(values) => self.writer.batch_values(index, header, values, arrival_ns)?,
        }
        self.streams[index] = InFile { next: Some(header.end_sample()), excuse: None };
        Ok(())
    }

    /// Accounts for the samples missing of a stream before sample `until`, if any.
    fn note_gap(&mut self, index: usize, until: u64, reason: GapReason, at_ns: u64) -> Result<(), WriteError> {
        let stream = &mut self.streams[index];
        let Some(first_index) = stream.next.filter(|next| *next < until) else { return Ok(()) };
        let gap = Gap { first_index, n: until - first_index, reason };
        self.writer.gap(index, &gap, at_ns)?;
        stream.next = Some(until);
        self.gaps += 1;
        if reason.is_loss() {
            self.lost += gap.n;
        }
        Ok(())
    }

    /// Streams of which the last packets were refused, and how many samples that is so far.
    pub(super) fn refused(&self, seen: &[Seen]) -> impl Iterator<Item = (usize, u64)> {
        let streams = self.streams.iter().zip(seen).enumerate();
        streams.filter(|(_, (stream, _))| stream.excuse == Some(GapReason::Overrun)).map(|(index, (stream, seen))| {
            let end = seen.last.map_or(0, |last| last.end_sample());
            (index, end.saturating_sub(stream.next.unwrap_or(end)))
        })
    }

    /// Accounts for packets that were refused when none comes after them to show it.
    pub(super) fn note_refused(&mut self, seen: &[Seen]) -> Result<(), WriteError> {
        let refused: Vec<_> = self.refused(seen).collect();
        for (index, n) in refused {
            let until = self.streams[index].next.map_or(0, |next| next + n);
            self.note_gap(index, until, GapReason::Overrun, clock::now_ns())?;
        }
        Ok(())
    }

    /// From now on samples are missing because a person wants it; what was lost before stays lost.
    pub(super) fn pause(&mut self, seen: &[Seen]) -> Result<(), WriteError> {
        self.note_refused(seen)?;
        self.streams.iter_mut().for_each(|stream| stream.excuse = Some(GapReason::Paused));
        Ok(())
    }
}
