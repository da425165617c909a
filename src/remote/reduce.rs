//! Packets become frames of the wire: every sample, every k-th, or the smallest and the largest of each column.
use std::time::Instant;

use wavedeck_api::{
    clock::Anchor,
    packet::{Flags, PacketHeader},
    signal::{Rate, StreamSpec},
};

use super::frame::{Frame, Kind, RESUMED, SEEKED, put};

/// Bytes after which a frame is sent however young it is.
const FULL: usize = 16 << 10;

/// What of a stream is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Samples whose index is a multiple of this; 1 is all of them.
    Every(u64),
    /// So many columns a second; of each channel the smallest and the largest value of the column.
    Columns(u64),
}

impl Reduction {
    /// Frames per second that come of it.
    pub fn rate_hz(self, rate: Rate) -> f64 {
        match self {
            Self::Every(step) => rate.hz() / step as f64,
            Self::Columns(count) => count as f64,
        }
    }
}

/// Makes frames of one stream for everybody who asked for the same.
#[derive(Debug)]
pub struct Reducer {
    kind: Kind,
    rate: Rate,
    frame_len: usize,
    channels: u16,
    reduction: Reduction,
    anchor: Anchor,
    column: Option<Column>,
    pending: Option<Pending>,
    /// Of the frame to come.
    flags: u8,
    done: Vec<Frame>,
    /// Values of the frame that still grows.
    body: Vec<u8>,
}

/// A frame that still grows.
#[derive(Debug)]
struct Pending {
    frame: Frame,
    /// Position of the frame to come; another one begins a message of its own.
    next: u64,
    since: Instant,
}

/// A column that still grows.
#[derive(Debug)]
struct Column {
    number: u64,
    /// Index of the first sample that belongs to the next column.
    end: u64,
    first_sample: u64,
    timestamp_ns: u64,
    samples: u64,
    /// Smallest and largest by channel, one after the other.
    extremes: Vec<f64>,
}

impl Reducer {
    /// A reducer of a stream of that shape; `anchor` places its samples in time.
    pub fn new(spec: &StreamSpec, reduction: Reduction, anchor: Anchor) -> Self {
        let channels = match reduction {
            Reduction::Every(_) => spec.channels.len(),
            Reduction::Columns(_) => 2 * spec.channels.len(),
        };
        Self {
            kind: spec.kind.into(),
            rate: spec.rate,
            frame_len: spec.frame_len(),
            channels: u16::try_from(channels).unwrap_or(u16::MAX),
            reduction,
            anchor,
            column: None,
            pending: None,
            flags: 0,
            done: Vec::new(),
            body: Vec::new(),
        }
    }

    /// What of the stream it sends.
    pub fn reduction(&self) -> Reduction {
        self.reduction
    }

    /// Takes the samples of a packet.
    pub fn take<V: Copy + Into<f64>>(&mut self, header: &PacketHeader, samples: &[V]) {
        for (flag, bit) in [(Flags::SEEKED, SEEKED), (Flags::RESUMED, RESUMED)] {
            if header.flags.has(flag) {
                self.close_column();
                self.close_frame();
                self.flags |= bit;
            }
        }
        for (offset, values) in (0_u64..).zip(samples.chunks_exact(self.frame_len.max(1))) {
            let index = header.first_sample.saturating_add(offset);
            match self.reduction {
                Reduction::Every(step) if index % step == 0 => {
                    let timestamp_ns = header.timestamp_ns.saturating_add(self.rate.nanoseconds_at(offset));
                    self.push((index / step, index, timestamp_ns), step, values.iter().map(|value| (*value).into()));
                }
                Reduction::Every(_) => {}
                Reduction::Columns(count) => {
                    let timestamp_ns = || header.timestamp_ns.saturating_add(self.rate.nanoseconds_at(offset));
                    if !self.column.as_ref().is_some_and(|column| column.has(index)) {
                        let timestamp_ns = timestamp_ns();
                        self.close_column();
                        self.column = Some(Column::at(index, timestamp_ns, count, self.rate, values.len()));
                    }
                    if let Some(column) = &mut self.column {
                        column.add(values);
                    }
                }
            }
        }
    }

    /// Gives what is full, and what has waited since before `old`.
    pub fn take_frames(&mut self, old: Instant) -> Vec<Frame> {
        if self.pending.as_ref().is_some_and(|pending| pending.since <= old) {
            self.close_frame();
        }
        std::mem::take(&mut self.done)
    }

    fn close_column(&mut self) {
        if let Some(column) = self.column.take() {
            let place = (column.number, column.first_sample, column.timestamp_ns);
            self.push(place, column.samples, column.extremes.into_iter());
        }
    }

    fn push(
        &mut self,
        (position, first_sample, timestamp_ns): (u64, u64, u64),
        samples: u64,
        values: impl Iterator<Item = f64>,
    ) {
        if self.pending.as_ref().is_some_and(|pending| pending.next != position) {
            self.close_frame();
        }
        let (kind, channels, anchor, flags) = (self.kind, self.channels, self.anchor, &mut self.flags);
        let pending = self.pending.get_or_insert_with(|| {
            let unix_ns = anchor.unix_ns_at(timestamp_ns);
            let flags = std::mem::take(flags);
            let body = Box::default();
            let frame = Frame { kind, flags, channels, frames: 0, first_sample, unix_ns, samples: 0, body };
            Pending { frame, next: position, since: Instant::now() }
        });
        values.for_each(|value| put(&mut self.body, kind, value));
        pending.frame.frames += 1;
        pending.frame.samples += samples;
        pending.next = position + 1;
        if self.body.len() >= FULL {
            self.close_frame();
        }
    }

    fn close_frame(&mut self) {
        let Some(Pending { mut frame, .. }) = self.pending.take() else { return };
        // With no room to spare: it may wait for a slow client with hundreds of others.
        frame.body = self.body.as_slice().into();
        self.body.clear();
        self.done.push(frame);
    }
}

impl Column {
    /// The column that holds a sample: columns are counted from sample 0 on, so that they lie where they lie whoever asks.
    fn at(index: u64, timestamp_ns: u64, per_second: u64, rate: Rate, channels: usize) -> Self {
        let (up, down) = (u128::from(per_second) * u128::from(rate.denominator()), u128::from(rate.numerator()));
        let number = u128::from(index).saturating_mul(up) / down;
        let end = (number + 1).saturating_mul(down).div_ceil(up.max(1));
        Self {
            number: u64::try_from(number).unwrap_or(u64::MAX),
            end: u64::try_from(end).unwrap_or(u64::MAX),
            first_sample: index,
            timestamp_ns,
            samples: 0,
            extremes: [f64::INFINITY, f64::NEG_INFINITY].repeat(channels),
        }
    }

    fn has(&self, index: u64) -> bool {
        (self.first_sample..self.end).contains(&index)
    }

    fn add<V: Copy + Into<f64>>(&mut self, values: &[V]) {
        self.samples += 1;
        for (extremes, value) in self.extremes.chunks_exact_mut(2).zip(values) {
            let value = (*value).into();
            extremes[0] = extremes[0].min(value);
            extremes[1] = extremes[1].max(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wavedeck_api::signal::{ChannelSpec, SignalKind};

    use super::*;

    fn spec(kind: SignalKind, rate_hz: u64) -> StreamSpec {
        let channels = ["a", "b"].map(|name| ChannelSpec::physical(name, "V"));
        let rate = Rate::new(rate_hz, 1).expect("positive");
        StreamSpec { kind, channels: channels.into(), rate, max_batch: 64, spectrum: None }
    }

    fn reducer(reduction: Reduction) -> Reducer {
        Reducer::new(&spec(SignalKind::Physical, 100), reduction, Anchor { monotonic_ns: 0, unix_ns: 1000 })
    }

    /// Takes frames `n, -n` from there on, and gives everything as first sample and values.
    fn fed(reducer: &mut Reducer, parts: &[std::ops::Range<u64>]) -> Vec<(u64, Vec<f32>)> {
        for part in parts {
            let samples: Vec<f32> = part.clone().flat_map(|n| [n as f32, -(n as f32)]).collect();
            let header = PacketHeader { first_sample: part.start, timestamp_ns: part.start * 10, ..Default::default() };
            reducer.take(&header, &samples);
        }
        let frames = reducer.take_frames(Instant::now() + Duration::from_secs(1));
        let values = |frame: &Frame| {
            frame.body.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect()
        };
        for frame in &frames {
            assert_eq!(frame.body.len(), frame.frames as usize * usize::from(frame.channels) * 4);
        }
        frames.iter().map(|frame| (frame.first_sample, values(frame))).collect()
    }

    #[test]
    fn packets_in_a_row_become_one_frame_and_a_gap_begins_another() {
        let frames = fed(&mut reducer(Reduction::Every(1)), &[0..2, 2..3, 7..8]);
        assert_eq!(frames, [(0, vec![0.0, 0.0, 1.0, -1.0, 2.0, -2.0]), (7, vec![7.0, -7.0])]);
    }

    #[test]
    fn every_kth_sample_is_one_of_a_multiple_of_k_across_packets() {
        let frames = fed(&mut reducer(Reduction::Every(3)), &[1..2, 2..5, 5..10]);
        assert_eq!(frames, [(3, vec![3.0, -3.0, 6.0, -6.0, 9.0, -9.0])]);
        assert_eq!(fed(&mut reducer(Reduction::Every(3)), &[0..2, 8..10]).len(), 2);
    }

    #[test]
    fn a_column_has_the_smallest_and_the_largest_of_each_channel() {
        // 100 Hz in 20 columns a second: five samples each. The last is not complete.
        let frames = fed(&mut reducer(Reduction::Columns(20)), &[3..7, 7..21]);
        let column = |from: f32, to: f32| [from, to, -to, -from];
        let values = [column(3.0, 4.0), column(5.0, 9.0), column(10.0, 14.0), column(15.0, 19.0)].concat();
        assert_eq!(frames, [(3, values)]);
    }

    #[test]
    fn columns_that_do_not_divide_the_rate_take_every_sample_once() {
        let mut reducer = reducer(Reduction::Columns(30));
        reducer.take(&PacketHeader::default(), &vec![1.0; 2 * 1001]);
        let frames = reducer.take_frames(Instant::now() + Duration::from_secs(1));
        let (columns, samples) =
            frames.iter().fold((0, 0), |(columns, samples), frame| (columns + frame.frames, samples + frame.samples));
        // Ten seconds are 300 columns; the 1001st sample begins the next.
        assert_eq!((columns, samples), (300, 1000));
    }

    #[test]
    fn a_frame_is_sent_when_it_is_full_or_old() {
        let mut reducer = reducer(Reduction::Every(1));
        let long_ago = Instant::now() - Duration::from_secs(1);
        reducer.take(&PacketHeader::default(), &vec![0.0; 2 * 2048 + 2]);
        let frames = reducer.take_frames(long_ago);
        assert_eq!(frames.iter().map(|frame| frame.frames).collect::<Vec<_>>(), [2048]);
        let rest = reducer.take_frames(Instant::now());
        assert_eq!(rest.iter().map(|frame| (frame.first_sample, frame.frames)).collect::<Vec<_>>(), [(2048, 1)]);
    }

    #[test]
    fn a_frame_carries_the_wall_time_of_its_first_sample() {
        let mut reducer = reducer(Reduction::Every(2));
        let header = PacketHeader { first_sample: 1, timestamp_ns: 500, ..PacketHeader::default() };
        reducer.take(&header, &[0.0; 4]);
        let frames = reducer.take_frames(Instant::now() + Duration::from_secs(1));
        // One sample later, at 100 Hz.
        assert_eq!((frames[0].first_sample, frames[0].unix_ns), (2, 1000 + 500 + 10_000_000));
    }
}
