//! Where samples are missing, and why.
use std::fmt;

use serde::{Deserialize, Serialize};
use wavedeck_api::packet::{Flags, PacketHeader};

/// Why samples are not in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The device or its cable lost them.
    Device,
    /// This machine was too slow.
    Overrun,
    /// The recording was paused by its user.
    Paused,
    /// The pipeline was paused by its user.
    PipelinePaused,
    /// The device was gone and came back.
    Reconnect,
    /// The replayed recording was moved to another place.
    Seek,
    /// They were stored, but the part of the file they stood in is damaged; only a repair says so.
    Damaged,
    /// The disk failed, and the recording went on in another file.
    Disk,
}

impl GapReason {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Device,
        Self::Overrun,
        Self::Paused,
        Self::PipelinePaused,
        Self::Reconnect,
        Self::Seek,
        Self::Disk,
        Self::Damaged,
    ];

    /// True if samples went missing that somebody wanted; false if a person asked for the gap.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Device | Self::Overrun | Self::Reconnect | Self::Disk | Self::Damaged)
    }

    /// The reason as recordings store it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Overrun => "overrun",
            Self::Paused => "paused",
            Self::PipelinePaused => "pipeline_paused",
            Self::Reconnect => "reconnect",
            Self::Seek => "seek",
            Self::Damaged => "damaged",
            Self::Disk => "disk",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device lost samples",
            Self::Overrun => "overrun",
            Self::Paused => "recording paused",
            Self::PipelinePaused => "pipeline paused",
            Self::Reconnect => "device reconnected",
            Self::Seek => "replay moved",
            Self::Damaged => "file damaged",
            Self::Disk => "disk failed",
        })
    }
}

/// A run of missing samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Index of the first missing sample.
    pub first_index: u64,
    /// Number of missing samples.
    pub n: u64,
    /// Why they are missing.
    pub reason: GapReason,
}

/// Tells from consecutive packet headers of one stream what is missing between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct GapTracker {
    next: Option<Expected>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    seq: u64,
    sample: u64,
}

impl GapTracker {
    /// A tracker that has seen nothing; the first packet makes no gap.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tracker of a stream that must begin at `first_sample`, with the packet numbered `seq`.
    pub fn starting_at(seq: u64, first_sample: u64) -> Self {
        Self { next: Some(Expected { seq, sample: first_sample }) }
    }

    /// The gap between the last packet and this one, or `None` if this one follows directly.
    ///
    /// A packet that lies before the end of the last one makes no gap.
    pub fn observe(&mut self, header: &PacketHeader) -> Option<Gap> {
        let following = Expected { seq: header.seq.wrapping_add(1), sample: header.end_sample() };
        let expected = self.next.replace(following)?;
        let n = header.first_sample.checked_sub(expected.sample).filter(|n| *n > 0)?;
        let reason = if header.flags.has(Flags::SEEKED) {
            GapReason::Seek
        } else if header.flags.has(Flags::RECONNECTED) {
            GapReason::Reconnect
        } else if header.flags.has(Flags::RESUMED) {
            GapReason::PipelinePaused
        } else if header.seq == expected.seq {
            GapReason::Device
        } else {
            GapReason::Overrun
        };
        Some(Gap { first_index: expected.sample, n, reason })
    }

    /// Index that the next packet has if nothing goes missing; `None` before the first packet.
    pub fn next_sample(&self) -> Option<u64> {
        self.next.map(|next| next.sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(seq: u64, first_sample: u64, flags: Flags) -> PacketHeader {
        PacketHeader { seq, first_sample, batch_size: 10, flags, ..PacketHeader::default() }
    }

    #[test]
    fn consecutive_packets_leave_no_gap() {
        let mut tracker = GapTracker::new();

        assert_eq!(tracker.observe(&header(7, 70, Flags::NONE)), None);
        assert_eq!(tracker.observe(&header(8, 80, Flags::NONE)), None);
        assert_eq!(tracker.next_sample(), Some(90));
    }

    #[test]
    fn the_reason_follows_from_sequence_and_flags() {
        let cases = [
            (header(1, 15, Flags::NONE), GapReason::Device),
            (header(1, 15, Flags::GAP.with(Flags::RESYNC)), GapReason::Device),
            (header(3, 15, Flags::NONE), GapReason::Overrun),
            (header(1, 15, Flags::RECONNECTED), GapReason::Reconnect),
            (header(1, 15, Flags::RESUMED), GapReason::PipelinePaused),
            (header(1, 15, Flags::SEEKED), GapReason::Seek),
        ];
        for (second, reason) in cases {
            let mut tracker = GapTracker::new();
            tracker.observe(&header(0, 0, Flags::NONE));

            assert_eq!(tracker.observe(&second), Some(Gap { first_index: 10, n: 5, reason }));
        }
    }

    #[test]
    fn a_packet_before_the_expected_one_is_no_gap() {
        let mut tracker = GapTracker::starting_at(0, 100);

        assert_eq!(tracker.observe(&header(0, 40, Flags::SEEKED)), None);
    }

    #[test]
    fn a_stream_that_begins_late_has_a_gap_at_its_start() {
        let mut tracker = GapTracker::starting_at(0, 0);

        let gap = tracker.observe(&header(0, 3, Flags::NONE)).expect("three samples are missing");

        assert_eq!((gap.first_index, gap.n), (0, 3));
    }
}
