//! Data frames of a far session, made packets again, until a screen takes them.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wavedeck_api::packet::{Flags, PacketHeader};

use crate::remote::frame::{HEAD_BYTES, RESUMED, SEEKED};

/// Bytes of packets that wait for the screen at most. One that is away for a while misses the oldest.
const MOST_BYTES: usize = 16 << 20;
/// Bits of the kind that are no flags.
const KIND: u8 = 0x0f;

/// Packets that came, with the samples that were missed by then.
pub(super) type Packets = VecDeque<(PacketHeader, Vec<f32>, u64)>;

/// An output that a screen looks at.
pub(super) struct Watched {
    /// `stage.port`.
    pub(super) stream: String,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    packets: Packets,
    bytes: usize,
    /// Missed here, and in connections before this one.
    missed_here: u64,
    /// Missed by the port in this connection.
    missed_there: u64,
}

/// A data frame.
#[derive(Debug, PartialEq)]
pub(super) struct Frame<'a> {
    /// Number of the subscription.
    pub(super) subscription: u16,
    header: PacketHeader,
    is_counts: bool,
    dropped: u32,
    values: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a message; `None` if it is no whole data frame.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let (head, values) = message.split_at_checked(HEAD_BYTES)?;
        if head.get(..3) != Some(b"WD\x01") {
            return None;
        }
        let u16_at = |at: usize| head.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_le_bytes);
        let u32_at = |at: usize| head.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let u64_at = |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let (marks, frames, channels) = (*head.get(3)?, u32_at(8)?, u16_at(6)?);
        let mut flags = Flags::NONE;
        for (mark, flag) in [(SEEKED, Flags::SEEKED), (RESUMED, Flags::RESUMED)] {
            if marks & mark != 0 {
                flags = flags.with(flag);
            }
        }
        let is_whole = u64::from(frames) * u64::from(channels) * 4 == values.len() as u64 && channels > 0;
        let header = PacketHeader {
            seq: u64_at(12)?,
            first_sample: u64_at(20)?,
            timestamp_ns: u64_at(28)?,
            batch_size: frames,
            channels,
            flags,
            ..PacketHeader::default()
        };
        is_whole.then_some(Self {
            subscription: u16_at(4)?,
            header,
            is_counts: marks & KIND == 1,
            dropped: u32_at(36)?,
            values,
        })
    }

    fn samples(&self) -> Vec<f32> {
        let words = self.values.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
        if self.is_counts {
            words.map(|word| i32::from_le_bytes(word) as f32).collect()
        } else {
            words.map(f32::from_le_bytes).collect()
        }
    }
}

impl Watched {
    pub(super) fn new(stream: String) -> Self {
        Self { stream, waiting: Mutex::default() }
    }

    /// Takes a frame of this output.
    pub(super) fn put(&self, frame: &Frame<'_>) {
        let samples = frame.samples();
        let mut waiting = self.waiting();
        waiting.missed_there = u64::from(frame.dropped);
        waiting.bytes += samples.len() * 4;
        let missed = waiting.missed();
        waiting.packets.push_back((frame.header, samples, missed));
        while waiting.bytes > MOST_BYTES
            && let Some((header, samples, _)) = waiting.packets.pop_front()
        {
            waiting.bytes -= samples.len() * 4;
            waiting.missed_here += u64::from(header.batch_size);
        }
    }

    /// What comes next is of another connection: what is missing before it was missed here.
    pub(super) fn begin_anew(&self) {
        let mut waiting = self.waiting();
        waiting.missed_here = waiting.missed() + 1;
        waiting.missed_there = 0;
    }

    /// Moves all that waits into `packets`.
    pub(super) fn take_all(&self, packets: &mut Packets) {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        packets.append(&mut waiting.packets);
    }

    pub(super) fn missed(&self) -> u64 {
        self.waiting().missed()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn missed(&self) -> u64 {
        self.missed_here + self.missed_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, first_sample: u64, dropped: u32, values: &[f32]) -> Vec<u8> {
        let mut message = b"WD\x01".to_vec();
        message.push(kind);
        message.extend_from_slice(&9_u16.to_le_bytes());
        message.extend_from_slice(&2_u16.to_le_bytes());
        message.extend_from_slice(&(values.len() as u32 / 2).to_le_bytes());
        for number in [5, first_sample, 77] {
            message.extend_from_slice(&number.to_le_bytes());
        }
        message.extend_from_slice(&dropped.to_le_bytes());
        message.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        message
    }

    #[test]
    fn a_frame_becomes_the_packet_it_was() {
        let message = message(2, 1000, 0, &[1.0, 2.0, 3.0, 4.0]);
        let frame = Frame::read(&message).expect("a frame");
        assert_eq!((frame.subscription, frame.header.first_sample, frame.header.batch_size), (9, 1000, 2));
        let (watched, mut packets) = (Watched::new("volts.out".into()), Packets::default());
        watched.put(&frame);
        watched.take_all(&mut packets);
        assert_eq!(
            packets.pop_front().map(|(_, samples, missed)| (samples, missed)),
            Some((vec![1.0, 2.0, 3.0, 4.0], 0))
        );
    }

    #[test]
    fn counts_are_numbers_and_marks_are_flags() {
        let mut message = message(1 | SEEKED, 0, 0, &[0.0, 0.0]);
        message[40..44].copy_from_slice(&(-8_388_608_i32).to_le_bytes());
        let frame = Frame::read(&message).expect("a frame");
        assert!(frame.header.flags.has(Flags::SEEKED) && !frame.header.flags.has(Flags::RESUMED));
        assert_eq!(frame.samples(), [-8_388_608.0, 0.0]);
    }

    #[test]
    fn what_is_no_whole_frame_is_none() {
        let good = message(2, 0, 0, &[1.0, 2.0]);
        assert!((0..good.len()).all(|cut| Frame::read(&good[..cut]).is_none()));
        let mut other = good.clone();
        other[8] = 200;
        assert_eq!(Frame::read(&other), None, "more frames than there are values");
        other = good;
        other[2] = 2;
        assert_eq!(Frame::read(&other), None, "another version");
    }

    #[test]
    fn what_is_missed_adds_up_over_connections_and_a_screen_that_is_away_misses_the_oldest() {
        let watched = Watched::new("volts.out".into());
        watched.put(&Frame::read(&message(2, 0, 3, &[1.0, 2.0])).expect("a frame"));
        assert_eq!(watched.missed(), 3);
        watched.begin_anew();
        assert_eq!(watched.missed(), 4, "a gap that follows is not a loss of the device");
        let large = message(2, 0, 0, &vec![0.0; 1 << 20]);
        for _ in 0..8 {
            watched.put(&Frame::read(&large).expect("a frame"));
        }
        let mut packets = Packets::default();
        watched.take_all(&mut packets);
        assert!(packets.len() < 8 && watched.missed() > 1 << 19);
    }
}
