//! Packets on their way into a recording.
use wavedeck_api::{
    packet::{Flags, PacketHeader},
    signal::{ChannelSpec, SignalKind},
};

use super::{RecordingWriter, out_of_order};
use crate::{
    error::WriteError,
    layout::Stream,
    proto::{self, BatchHead, Body},
};

impl RecordingWriter {
    /// Takes a packet of counts, frame by frame. `arrival_ns` is when it came, by the monotonic clock.
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
        self.check_batch(stream, header, SignalKind::Counts, samples.len())?;
        let channels = self.streams[stream].channels.len();
        let body = if self.options.plain {
            Body::Counts(samples)
        } else {
            Body::Planar(samples, channels)
        };
        self.write_batch(stream, header, body, arrival_ns)?;
        self.write_preview(stream, header, |frame, channel, spec| {
            (f64::from(samples[frame * channels + channel]) * spec.scale + spec.offset) as f32
        })
    }

    /// Takes a packet of physical values, frame by frame. `arrival_ns` is when it came, by the monotonic clock.
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
        self.check_batch(stream, header, SignalKind::Physical, samples.len())?;
        let channels = self.streams[stream].channels.len();
        self.write_batch(stream, header, Body::Values(samples), arrival_ns)?;
        self.write_preview(stream, header, |frame, channel, _| {
            samples[frame * channels + channel]
        })
    }

    fn check_batch(
        &self,
        stream: usize,
        header: &PacketHeader,
        kind: SignalKind,
        values: usize,
    ) -> Result<(), WriteError> {
        self.check_open()?;
        let ledger = self.ledger_of(stream)?;
        let Stream {
            kind: declared,
            channels,
            ..
        } = &self.streams[stream];
        let frames = header.batch_size as usize;
        let is_of_shape = usize::from(header.channels) == channels.len()
            && frames.checked_mul(channels.len()) == Some(values)
            && header
                .first_sample
                .checked_add(u64::from(header.batch_size))
                .is_some();
        if *declared != kind || !is_of_shape {
            return Err(WriteError::Shape {
                stream: ledger.stream.clone(),
                expected: format!("{declared} of {} channels", channels.len()),
                got: format!(
                    "{values} {kind} in {frames} frames of {} channels",
                    header.channels
                ),
            });
        }
        if ledger.first_index.is_some() && header.first_sample < ledger.next_index {
            return Err(out_of_order(ledger, header.first_sample));
        }
        if self.is_full(values * 4) {
            return Err(WriteError::Overflow {
                pending_bytes: self.status.pending_bytes(),
                limit_bytes: self.options.max_pending_bytes as u64,
            });
        }
        Ok(())
    }

    fn write_batch(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        body: Body<'_>,
        arrival_ns: u64,
    ) -> Result<(), WriteError> {
        if header.batch_size == 0 {
            return Ok(());
        }
        let Stream {
            batch_end,
            data_topic,
            rate,
            ..
        } = &self.streams[stream];
        let dropped = batch_end.map_or(0, |end| header.first_sample.saturating_sub(end));
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
        proto::encode_batch(&head, body, &mut self.scratch);
        let duration_ns = rate.nanoseconds_at(u64::from(header.batch_size));
        let topic = *data_topic;
        self.add_scratch(topic, time_ns)?;
        self.streams[stream].batch_end = Some(header.end_sample());
        self.ledgers[stream].record(header.first_sample, u64::from(header.batch_size));
        self.until_ns = self.until_ns.max(header.timestamp_ns.saturating_add(duration_ns));
        if self.container.open_bytes() >= self.options.chunk_bytes {
            self.commit()?;
        }
        Ok(())
    }

    fn write_preview(
        &mut self,
        stream: usize,
        header: &PacketHeader,
        value: impl Fn(usize, usize, &ChannelSpec) -> f32,
    ) -> Result<(), WriteError> {
        let state = &mut self.streams[stream];
        let wanted = state.next_preview.max(header.first_sample);
        if wanted >= header.end_sample() {
            return Ok(());
        }
        let offset = wanted - header.first_sample;
        state.next_preview = wanted.saturating_add(state.preview_step);
        self.preview.clear();
        let channels = state.channels.iter().enumerate();
        self.preview
            .extend(channels.map(|(channel, spec)| value(offset as usize, channel, spec)));
        self.scratch.clear();
        proto::encode_frame(wanted, &self.preview, &mut self.scratch);
        let timestamp_ns = header
            .timestamp_ns
            .saturating_add(state.rate.nanoseconds_at(offset));
        let topic = state.preview_topic;
        self.add_scratch(topic, self.anchor.unix_ns_at(timestamp_ns))
    }
}

fn stored_flags(flags: Flags, dropped: u64) -> u32 {
    let pairs = [
        (Flags::RESYNC, proto::RESYNC),
        (Flags::RECONNECTED, proto::RECONNECTED),
        (Flags::RESUMED, proto::RESUMED),
        (Flags::SEEKED, proto::SEEKED),
    ];
    let set = pairs
        .iter()
        .filter(|(flag, _)| flags.has(*flag))
        .fold(0, |set, (_, stored)| set | stored);
    if dropped > 0 || flags.has(Flags::GAP) {
        set | proto::GAP_BEFORE
    } else {
        set
    }
}
