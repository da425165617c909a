//! The last seconds before a recording begins, kept in memory so that they are in the file.
use std::collections::VecDeque;

use wavedeck_api::{clock, prelude::*};
use wavedeck_recording::{GapReason, StreamInfo};

use super::file::Payload;

/// Most packets kept of one stream.
const MOST_PACKETS: usize = 1 << 20;

/// What is kept of all streams.
pub(super) struct PreRoll {
    length_ns: u64,
    lanes: Vec<Lane>,
}

/// What is kept of one stream.
struct Lane {
    packets: VecDeque<Kept>,
    samples: Samples,
    channels: usize,
    /// Frames there is room for.
    room: usize,
    frames: usize,
}

/// A packet without its samples.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) header: PacketHeader,
    pub(super) arrival_ns: u64,
    /// Why samples before it are missing, if they are.
    pub(super) gap: Option<GapReason>,
}

enum Samples {
    Counts(VecDeque<i32>),
    Values(VecDeque<f32>),
}

impl PreRoll {
    /// Room for `seconds` of all streams, or for less where that would be more than `max_bytes`; says how many seconds
    /// there is room for.
    pub(super) fn new(streams: &[StreamInfo], seconds: f64, max_bytes: usize) -> (Self, f64) {
        let bytes_per_s: f64 =
            streams.iter().map(|stream| stream.spec.rate.hz() * stream.spec.frame_len() as f64 * 4.0).sum();
        let seconds = if bytes_per_s * seconds > max_bytes as f64 { max_bytes as f64 / bytes_per_s } else { seconds };
        let lane = |stream: &StreamInfo| {
            let (spec, channels) = (&stream.spec, stream.spec.frame_len());
            // One packet more than the time asked for, since packets go whole.
            let packet = spec.max_batch as usize;
            let room = if seconds > 0.0 { (spec.rate.hz() * seconds).ceil() as usize + packet } else { 0 };
            Lane {
                packets: VecDeque::with_capacity(room.min(MOST_PACKETS)),
                samples: match spec.kind {
                    SignalKind::Counts => Samples::Counts(VecDeque::with_capacity(room * channels)),
                    _ => Samples::Values(VecDeque::with_capacity(room * channels)),
                },
                channels,
                room,
                frames: 0,
            }
        };
        let length_ns = clock::nanoseconds(std::time::Duration::from_secs_f64(seconds.max(0.0)));
        (Self { length_ns, lanes: streams.iter().map(lane).collect() }, seconds)
    }

    /// Keeps a packet; what is too old or finds no room goes.
    pub(super) fn keep(&mut self, stream: usize, packet: &AnyPacket, gap: Option<GapReason>) {
        let Some(samples) = Payload::of(packet) else { return };
        let (header, length_ns) = (*packet.header(), self.length_ns);
        let lane = &mut self.lanes[stream];
        let frames = header.batch_size as usize;
        if frames > lane.room || frames == 0 {
            return;
        }
        // A replay that was moved: what was before is no part of what comes.
        if lane.packets.back().is_some_and(|last| header.first_sample < last.header.end_sample()) {
            lane.clear();
        }
        let is_too_old = |lane: &Lane| {
            let second = lane.packets.get(1).map(|next| next.header.timestamp_ns.saturating_add(length_ns));
            second.is_some_and(|end| end < header.timestamp_ns)
        };
        while lane.frames + frames > lane.room || lane.packets.len() == MOST_PACKETS || is_too_old(lane) {
            lane.drop_oldest();
        }
        match (&mut lane.samples, samples) {
            (Samples::Counts(all), Payload::Counts(counts)) => all.extend(counts),
            (Samples::Values(all), Payload::Values(values)) => all.extend(values),
            _ => return,
        }
        lane.frames += frames;
        lane.packets.push_back(Kept { header, arrival_ns: clock::now_ns(), gap });
    }

    /// Forgets the packets that begin no later than a moment.
    pub(super) fn forget_until(&mut self, moment_ns: u64) {
        for lane in &mut self.lanes {
            while lane.packets.front().is_some_and(|oldest| oldest.header.timestamp_ns <= moment_ns) {
                lane.drop_oldest();
            }
        }
    }

    /// Time of the oldest sample kept.
    pub(super) fn begin_ns(&self) -> Option<u64> {
        self.lanes.iter().filter_map(|lane| lane.packets.front()).map(|kept| kept.header.timestamp_ns).min()
    }

    /// Hands out all packets in the order of time, and forgets them. Ends early at an error.
    pub(super) fn hand_out<E>(
        &mut self,
        mut take: impl FnMut(usize, &Kept, Payload<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut places = vec![(0, 0); self.lanes.len()];
        let outcome = loop {
            let next = |(lane, place): (&Lane, &(usize, usize))| {
                lane.packets.get(place.0).map(|kept| kept.header.timestamp_ns)
            };
            let times = self.lanes.iter().zip(&places).map(next).enumerate();
            let Some((_, stream)) = times.filter_map(|(stream, time)| Some((time?, stream))).min() else {
                break Ok(());
            };
            let (lane, (packet, sample)) = (&mut self.lanes[stream], &mut places[stream]);
            let mut kept = lane.packets[*packet];
            // Nothing is missing before the first.
            kept.gap = kept.gap.filter(|_| *packet > 0);
            let range = *sample..*sample + kept.header.batch_size as usize * lane.channels;
            (*packet, *sample) = (*packet + 1, range.end);
            let taken = match &mut lane.samples {
                Samples::Counts(counts) => take(stream, &kept, Payload::Counts(&counts.make_contiguous()[range])),
                Samples::Values(values) => take(stream, &kept, Payload::Values(&values.make_contiguous()[range])),
            };
            if taken.is_err() {
                break taken;
            }
        };
        self.lanes.iter_mut().for_each(Lane::clear);
        outcome
    }
}

impl Lane {
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.packets.pop_front() else { return };
        let frames = oldest.header.batch_size as usize;
        self.frames -= frames;
        match &mut self.samples {
            Samples::Counts(counts) => drop(counts.drain(..frames * self.channels)),
            Samples::Values(values) => drop(values.drain(..frames * self.channels)),
        }
    }

    fn clear(&mut self) {
        self.packets.clear();
        self.frames = 0;
        match &mut self.samples {
            Samples::Counts(counts) => counts.clear(),
            Samples::Values(values) => values.clear(),
        }
    }
}
