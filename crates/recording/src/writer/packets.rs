//! Packets on their way into a recording.
use std::mem;

use wavedeck_api::packet::{Flags, PacketHeader};

use super::{
    RecordingWriter, out_of_order,
    run::{Frames, Run},
};
use crate::{
    error::WriteError,
    layout::Stream,
    proto::{self, BatchHead},
};

impl RecordingWriter {
    /// Takes a packet of counts, frame by frame. `arrival_ns` is when it came, by the monotonic clock.
    ///
    /// Small packets that follow each other without a mark become one batch, with the time, the marks and the
    /// arrival of the first; they leave with the chunk that is open now.
    ///
    /// # Errors
    /// The packet is not in the file then. [`WriteError::Overflow`] passes; all others stay.
    pub fn batch_counts(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        samples: &[i32],
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        self.take(stream, header, Frames::Counts(samples), arrival_ns)
    }

    /// Takes a packet of physical values, frame by frame, as [`RecordingWriter::batch_counts`] does.
    ///
    /// # Errors
    /// As [`RecordingWriter::batch_counts`].
    pub fn batch_values(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        samples: &[f32],
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        self.take(stream, header, Frames::Values(samples), arrival_ns)
    }

    /// Says whether a packet of so many samples, over all its channels, would be taken now.
    ///
    /// # Errors
    /// [`WriteError::Overflow`] if too much waits for the disk.
    pub fn check_room(&self, samples: usize) -> Result<(), WriteError> {
        if !self.is_full(samples as u64 * 4) {
            return Ok(());
        }
        Err(WriteError::Overflow {
            pending_bytes: self.status.pending_bytes(),
            limit_bytes: self.options.max_pending_bytes as u64,
        })
    }

    fn take(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        frames: Frames<'_>,
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        self.check_batch(stream, header, frames)?;
        if header.batch_size == 0 {
            return Ok(());
        }
        if !self.runs[stream].is_continued_by(header) {
            self.write_run(stream)?;
        }
        let run = &mut self.runs[stream];
        if run.is_outgrown_by(header) {
            self.write_batch(stream, header, frames, arrival_ns)?;
        } else {
            run.push(header, frames, arrival_ns);
            self.status.note_open_bytes(0, frames.bytes());
            if run.is_full() {
                self.write_run(stream)?;
            }
        }
        self.ledgers[stream].record(header.first_sample, u64::from(header.batch_size));
        let duration_ns = self.streams[stream].rate.nanoseconds_at(u64::from(header.batch_size));
        self.until_ns = self.until_ns.max(header.timestamp_ns.saturating_add(duration_ns));
        let oldest_ns = self.oldest_open_ns.unwrap_or(header.timestamp_ns);
        self.oldest_open_ns = Some(oldest_ns.min(header.timestamp_ns));
        if self.container.open_bytes() >= self.options.chunk_bytes {
            self.commit()?;
        }
        Ok(())
    }

    fn check_batch(&self, stream: usize, header: &PacketHeader, samples: Frames<'_>) -> Result<(), WriteError> {
        self.check_open()?;
        let (kind, values) = (samples.kind(), samples.len());
        let ledger = self.ledger_of(stream)?;
        let Stream { kind: declared, channels, .. } = &self.streams[stream];
        let frames = header.batch_size as usize;
        let is_of_shape = usize::from(header.channels) == channels.len()
            && frames.checked_mul(channels.len()) == Some(values)
            && header.first_sample.checked_add(u64::from(header.batch_size)).is_some();
        if *declared != kind || !is_of_shape {
            return Err(WriteError::Shape {
                stream: ledger.stream.clone(),
                expected: format!("{declared} of {} channels", channels.len()),
                got: format!("{values} {kind} in {frames} frames of {} channels", header.channels),
            });
        }
        if ledger.first_index.is_some() && header.first_sample < ledger.next_index {
            return Err(out_of_order(ledger, header.first_sample));
        }
        self.check_room(values)
    }

    /// Writes the packets that were gathered of a stream, if any. They were accounted for when they came.
    pub(super) fn write_run(&mut self, stream: usize) -> Result<(), WriteError> {
        if self.runs[stream].is_empty() {
            return Ok(());
        }
        let mut run = mem::replace(&mut self.runs[stream], Run::none());
        let (header, frames, arrival_ns) = run.packet();
        let written = self.write_batch(stream, &header, frames, arrival_ns);
        if written.is_ok() {
            // After writing, so that the bytes are counted as waiting all the time.
            self.status.note_open_bytes(frames.bytes(), 0);
            run.clear();
        }
        self.runs[stream] = run;
        written
    }

    fn write_batch(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        frames: Frames<'_>,
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        let Stream { batch_end, data_topic, channels, .. } = &mut self.streams[stream];
        let dropped = batch_end.map_or(0, |end| header.first_sample.saturating_sub(end));
        *batch_end = Some(header.end_sample());
        let time_ns = self.anchor.unix_ns_at(header.timestamp_ns);
        let head = BatchHead {
            t0_ns: time_ns,
            first_index: header.first_sample,
            n_frames: header.batch_size,
            arrival_ns: self.anchor.unix_ns_at(arrival_ns),
            device_ts: 0,
            flags: stored_flags(header.flags, dropped),
            dropped_before: u32::try_from(dropped).unwrap_or(u32::MAX),
        };
        self.scratch.clear();
        proto::encode_batch(&head, frames.body(channels.len(), self.options.plain), &mut self.scratch);
        let topic = *data_topic;
        self.add_scratch(topic, time_ns)?;
        self.write_preview(stream, header, frames)
    }

    fn write_preview(&mut self, stream: usize, header: &PacketHeader, frames: Frames<'_>) -> Result<(), WriteError> {
        loop {
            let state = &mut self.streams[stream];
            let wanted = state.next_preview.max(header.first_sample);
            if wanted >= header.end_sample() {
                return Ok(());
            }
            let offset = wanted - header.first_sample;
            state.next_preview = wanted.saturating_add(state.preview_step);
            let begin = offset as usize * state.channels.len();
            let channels = state.channels.iter().enumerate();
            self.preview.clear();
            self.preview.extend(channels.map(|(channel, spec)| frames.value(begin + channel, spec)));
            self.scratch.clear();
            proto::encode_frame(wanted, &self.preview, &mut self.scratch);
            let timestamp_ns = header.timestamp_ns.saturating_add(state.rate.nanoseconds_at(offset));
            let topic = state.preview_topic;
            self.add_scratch(topic, self.anchor.unix_ns_at(timestamp_ns))?;
        }
    }
}

fn stored_flags(flags: Flags, dropped: u64) -> u32 {
    let pairs = [
        (Flags::RESYNC, proto::RESYNC),
        (Flags::RECONNECTED, proto::RECONNECTED),
        (Flags::RESUMED, proto::RESUMED),
        (Flags::SEEKED, proto::SEEKED),
    ];
    let set = pairs.iter().filter(|(flag, _)| flags.has(*flag)).fold(0, |set, (_, stored)| set | stored);
    if dropped > 0 || flags.has(Flags::GAP) { set | proto::GAP_BEFORE } else { set }
}
