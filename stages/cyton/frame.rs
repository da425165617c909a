//! Reads the byte stream of an OpenBCI Cyton, with or without Daisy, into rows; knows no port and no clock.
//!
//! Format: docs.openbci.com, Cyton Data Format. A frame is 33 bytes: `A0`, a counter, eight big-endian 24-bit
//! values, six auxiliary bytes, and a stop byte `C0`..=`CF`. Nothing in it is a checksum.
mod count;
#[cfg(test)]
mod properties;
mod search;

use count::SampleCount;
use search::{Frame, Search};

/// Bytes of one frame.
pub const FRAME_LEN: usize = 33;
/// Frames the board sends per second, in either layout.
pub const FRAMES_PER_SECOND: u64 = 250;
/// First byte of a frame.
pub const HEADER: u8 = 0xA0;
/// Channels of one frame.
pub const FRAME_CHANNELS: usize = 8;
/// Channels of the widest row.
pub const MAX_CHANNELS: usize = 16;
/// Gains of the amplifier in the order of their codes 0..=6.
pub const GAINS: [u8; 7] = [1, 2, 4, 6, 8, 12, 24];
/// Bytes that [`Decoder::push`] always takes when all rows were fetched before.
pub const PUSH_LIMIT: usize = 4096;

/// Value of one count in microvolts at an amplifier gain.
pub fn microvolts_per_count(gain: u8) -> f64 {
    // Reference of 4.5 V over 2^23 - 1 steps, as OpenBCI defines it; TI's own LSB differs by 1.2e-7.
    4.5 / f64::from(gain) / 8_388_607.0 * 1e6
}

/// A big-endian two's complement 24-bit value.
pub fn int24(bytes: [u8; 3]) -> i32 {
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) >> 8
}

/// True for the last byte of a frame.
pub const fn is_stop(byte: u8) -> bool {
    byte & 0xF0 == 0xC0
}

/// How frames make rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Every frame is a row of eight channels, 250 rows per second.
    Cyton,
    /// A frame of even counter (channels 9 to 16) and the odd one after it (1 to 8) are a row, 125 per second.
    Daisy,
}

impl Layout {
    /// Channels of a row.
    pub const fn channels(self) -> usize {
        match self {
            Self::Cyton => FRAME_CHANNELS,
            Self::Daisy => MAX_CHANNELS,
        }
    }

    /// Rows per second.
    pub const fn rows_per_second(self) -> u64 {
        FRAMES_PER_SECOND / self.frames_per_row()
    }

    /// Frames that make one row.
    pub const fn frames_per_row(self) -> u64 {
        match self {
            Self::Cyton => 1,
            Self::Daisy => 2,
        }
    }
}

/// When pushed bytes reached the host, on any one clock in nanoseconds. Needed because the counter alone cannot
/// tell a loss of 3 frames from one of 259.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Latest time at which the port was seen empty: the bytes came after it.
    pub empty_ns: u64,
    /// Time at which the bytes were read: they came before it.
    pub read_ns: u64,
}

/// What a frame carries beside its channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aux {
    /// The six bytes before the stop byte.
    pub bytes: [u8; 6],
    /// Stop byte; says what the six bytes mean.
    pub stop: u8,
}

impl Aux {
    /// Acceleration in g along X, Y, Z, or `None` where the frame carries none.
    pub fn acceleration(&self) -> Option<[f32; 3]> {
        // The board sends zeros in the nine of ten frames between two readings.
        if self.stop != 0xC0 || self.bytes == [0; 6] {
            return None;
        }
        let axis = |i: usize| f32::from(i16::from_be_bytes([self.bytes[i], self.bytes[i + 1]])) * (0.002 / 16.0);
        Some([axis(0), axis(2), axis(4)])
    }
}

/// One sample of every channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number of this row since the start; counts through losses.
    pub index: u64,
    /// Host time at which the row's last byte can have come at the latest, on the clock of its [`Arrival`].
    pub at_ns: u64,
    /// Rows lost between the row before and this one.
    pub lost_before: u64,
    /// Bytes thrown away between the row before and this one.
    pub discarded_before: u64,
    /// Channel 1 first; the first [`Layout::channels`] are meant.
    pub counts: [i32; MAX_CHANNELS],
    /// Auxiliary bytes of the board's frame.
    pub aux: Aux,
    /// Auxiliary bytes of the Daisy's frame.
    pub daisy_aux: Option<Aux>,
}

/// Turns bytes into rows. Never invents a row; counts every byte thrown away and every row lost.
#[derive(Debug)]
pub struct Decoder {
    layout: Layout,
    search: Search,
    count: SampleCount,
    last_row: Option<u64>,
    next_index: u64,
    daisy_half: Option<DaisyHalf>,
    is_first_frame: bool,
    lost_rows: u64,
    reported_discards: u64,
}

#[derive(Clone, Copy, Debug)]
struct DaisyHalf {
    sample: u64,
    counts: [i32; FRAME_CHANNELS],
    aux: Aux,
}

impl Decoder {
    /// A decoder that is not locked; its first row will have index 0.
    pub fn new(layout: Layout) -> Self {
        Self {
            layout,
            search: Search::new(),
            count: SampleCount::default(),
            last_row: None,
            next_index: 0,
            daisy_half: None,
            is_first_frame: true,
            lost_rows: 0,
            reported_discards: 0,
        }
    }

    /// Takes bytes and returns how many: all of them, up to [`PUSH_LIMIT`], if [`Self::next_row`] said `None`
    /// before.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8], arrival: Arrival) -> usize {
        self.search.push(bytes, arrival)
    }

    /// The next row that the bytes so far prove, or `None` until more are pushed.
    pub fn next_row(&mut self) -> Option<Row> {
        loop {
            let frame = self.search.next_frame()?;
            let sample = self.count.advance(frame.counter(), frame.arrival);
            let is_first_frame = std::mem::replace(&mut self.is_first_frame, false);
            if self.layout == Layout::Cyton {
                return Some(self.row(sample, &frame, None));
            }
            if frame.counter() & 1 == 0 {
                // Each Daisy frame is the mean of two samples; the very first has no sample before it.
                self.daisy_half = (!is_first_frame).then(|| DaisyHalf::new(sample, &frame));
                continue;
            }
            let half = self.daisy_half.take().filter(|half| half.sample + 1 == sample);
            if half.is_some() {
                return Some(self.row(sample / 2, &frame, half));
            }
        }
    }

    /// Forgets all bytes and the lock, as after a reconnection; the next row will have index `next_index`.
    pub fn restart(&mut self, next_index: u64) {
        self.search.reset();
        self.count = SampleCount::default();
        self.last_row = None;
        self.next_index = next_index;
        self.daisy_half = None;
        self.is_first_frame = true;
    }

    /// True while frames follow each other where they should.
    pub fn is_locked(&self) -> bool {
        self.search.is_locked()
    }

    /// Index that the next row will have if nothing gets lost.
    pub fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Rows lost so far, without those before the first row.
    pub fn lost_rows(&self) -> u64 {
        self.lost_rows
    }

    /// Bytes thrown away so far.
    pub fn discarded_bytes(&self) -> u64 {
        self.search.discarded()
    }

    fn row(&mut self, position: u64, frame: &Frame, half: Option<DaisyHalf>) -> Row {
        let lost_before = self.last_row.map_or(0, |last| position - last - 1);
        self.last_row = Some(position);
        self.lost_rows += lost_before;
        let index = self.next_index + lost_before;
        self.next_index = index + 1;
        let discarded_before = self.search.discarded() - self.reported_discards;
        self.reported_discards = self.search.discarded();

        let mut counts = [0; MAX_CHANNELS];
        counts[..FRAME_CHANNELS].copy_from_slice(&frame.counts());
        if let Some(half) = half {
            counts[FRAME_CHANNELS..].copy_from_slice(&half.counts);
        }
        let daisy_aux = half.map(|half| half.aux);
        let (at_ns, aux) = (frame.arrival.read_ns, frame.aux());
        Row { index, at_ns, lost_before, discarded_before, counts, aux, daisy_aux }
    }
}

impl DaisyHalf {
    fn new(sample: u64, frame: &Frame) -> Self {
        Self { sample, counts: frame.counts(), aux: frame.aux() }
    }
}

#[cfg(test)]
mod tests {
    use super::properties::{Shot, decode, frame_bytes, frames};
    use super::*;

    #[test]
    fn a_24_bit_value_keeps_its_sign_at_every_extreme() {
        let cases = [
            ([0x00, 0x00, 0x00], 0),
            ([0x00, 0x00, 0x01], 1),
            ([0x7F, 0xFF, 0xFF], 8_388_607),
            ([0x80, 0x00, 0x00], -8_388_608),
            ([0xFF, 0xFF, 0xFF], -1),
            ([0xA0, 0xC0, 0xA0], -6_242_144),
        ];
        for (bytes, value) in cases {
            assert_eq!(int24(bytes), value, "{bytes:x?}");
        }
    }

    #[test]
    fn a_count_is_worth_what_the_board_s_documentation_says() {
        assert!((microvolts_per_count(24) - 0.022_351_74).abs() < 1e-8);
        for gain in GAINS {
            let full_scale = microvolts_per_count(gain) * 8_388_607.0;
            assert!((full_scale - 4.5e6 / f64::from(gain)).abs() < 1e-6);
        }
    }

    #[test]
    fn three_frames_lock_and_are_all_delivered() {
        let rows = decode(Layout::Cyton, &[Shot::at(0, frames(0..2))]).rows;
        assert!(rows.is_empty(), "two frames prove nothing");

        let rows = decode(Layout::Cyton, &[Shot::at(0, frames(0..3))]).rows;
        assert_eq!(rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rows[0].discarded_before, 0);
    }

    #[test]
    fn acceleration_is_read_only_from_frames_that_carry_it() {
        let aux = Aux { bytes: [0x00, 0x00, 0x1F, 0x40, 0xE0, 0xC0], stop: 0xC0 };
        let g = aux.acceleration().expect("axes are not all zero");
        assert_eq!(g.map(|axis| (axis * 1000.0).round()), [0.0, 1000.0, -1000.0]);
        assert_eq!(Aux { bytes: [0; 6], stop: 0xC0 }.acceleration(), None);
        assert_eq!(Aux { stop: 0xC1, ..aux }.acceleration(), None);
    }

    #[test]
    fn a_byte_pair_like_a_frame_border_in_the_data_never_locks() {
        // The case that locks BrainFlow falsely for ever: C0 A0 at a constant place, joined in mid-frame.
        let mut stream = Vec::new();
        for counter in 0..=255u8 {
            let mut frame = frame_bytes(counter, &[0; FRAME_CHANNELS]);
            (frame[10], frame[11], frame[12]) = (0xC0, 0xA0, 0x11);
            stream.extend(frame);
        }
        for joined_at in 0..FRAME_LEN {
            let decoded = decode(Layout::Cyton, &[Shot::at(0, stream[joined_at..].to_vec())]);
            assert_eq!(decoded.rows.len(), if joined_at == 0 { 256 } else { 255 }, "joined at byte {joined_at}");
            assert!(decoded.rows.iter().all(|row| row.counts[3] == int24([0xA0, 0x11, 0])), "joined at {joined_at}");
            assert_eq!(decoded.discarded, ((FRAME_LEN - joined_at) % FRAME_LEN) as u64);
        }
    }

    #[test]
    fn a_second_counter_in_the_data_is_told_from_the_first_by_waiting() {
        let mut stream = Vec::new();
        for counter in 0..40u8 {
            let mut frame = frame_bytes(counter, &[0; FRAME_CHANNELS]);
            // Steps like a counter for five frames, then does not.
            (frame[10], frame[11], frame[12]) = (0xC0, 0xA0, counter.min(5));
            stream.extend(frame);
        }
        let decoded = decode(Layout::Cyton, &[Shot::at(0, stream[5..].to_vec())]);
        assert_eq!(decoded.rows.len(), 39);
        assert_eq!(decoded.lost, 0);
    }

    #[test]
    fn a_damaged_counter_costs_one_row_and_not_the_numbering() {
        let mut stream = frames(0..20);
        stream[10 * FRAME_LEN + 1] = 99;
        let decoded = decode(Layout::Cyton, &[Shot::at(0, stream)]);
        let indices: Vec<u64> = decoded.rows.iter().map(|row| row.index).collect();
        assert_eq!(indices, (0..10).chain(11..20).collect::<Vec<_>>());
        assert_eq!(decoded.discarded, FRAME_LEN as u64);
    }

    #[test]
    fn counters_that_jump_at_random_end_a_lock() {
        let mut stream = frames(0..3);
        for counter in [77u8, 3, 200, 90, 12, 180, 44] {
            stream.extend(frame_bytes(counter, &[0; FRAME_CHANNELS]));
        }
        let mut decoder = Decoder::new(Layout::Cyton);
        assert_eq!(decoder.push(&stream, Arrival::default()), stream.len());
        while decoder.next_row().is_some() {}
        assert!(!decoder.is_locked());
    }

    #[test]
    fn a_daisy_row_needs_both_halves_and_never_a_stale_one() {
        let mut stream = frames(0..6);
        stream.extend(frames(7..8));
        stream.extend(frames(8..12));
        let decoded = decode(Layout::Daisy, &[Shot::at(0, stream)]);
        let indices: Vec<u64> = decoded.rows.iter().map(|row| row.index).collect();
        // Counters 0 1 are not a row: the very first frame is invalid. 7 came without 6.
        assert_eq!(indices, [0, 1, 3, 4]);
        assert_eq!(decoded.lost, 1);
        assert_eq!(decoded.rows[2].lost_before, 1);
    }

    #[test]
    fn a_restart_goes_on_at_the_index_it_is_given() {
        let mut decoder = Decoder::new(Layout::Cyton);
        let _ = decoder.push(&frames(0..4), Arrival::default());
        while decoder.next_row().is_some() {}
        let _ = decoder.push(&frames(4..5)[..20], Arrival::default());
        decoder.restart(1000);
        assert_eq!(decoder.discarded_bytes(), 20);

        let _ = decoder.push(&frames(0..3), Arrival::default());
        let row = decoder.next_row().expect("three frames lock");
        assert_eq!((row.index, row.lost_before), (1000, 0));
    }
}
