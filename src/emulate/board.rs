//! The board itself: commands in, replies and frames out; knows no port and no clock.
//!
//! Source: docs.openbci.com, Cyton SDK and Cyton Data Format.
use super::signal;

/// Channels of one frame.
pub(super) const FRAME_CHANNELS: usize = 8;
const CHANNELS: usize = 16;
const FRAME_LEN: usize = 33;
const GAINS: [f64; 7] = [1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 24.0];
const FULL_SCALE: f64 = 8_388_607.0;
/// Names of channels in `x` and `z` commands; also the keys that switch them off.
const NAMES: &[u8; CHANNELS] = b"12345678QWERTYUI";
const OFF_KEYS: &[u8; CHANNELS] = b"12345678qwertyui";
const ON_KEYS: &[u8; CHANNELS] = b"!@#$%^&*QWERTYUI";
/// Counts that a decoder can stumble over: full scale, and border bytes in every place.
const STUMBLING_BLOCKS: [i32; 6] = [0x7F_FFFF, -0x80_0000, 0x00_C0A0, -0x3F_5F40, -0x5F_3F60, -1];
/// Frames between two of them; they are on the last channel only, so that the others stay good to look at.
const BLOCK_PERIOD: u64 = 2500;
const FIRST_BLOCK: u64 = 400;

/// One frame as it leaves the board.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoardFrame {
    /// Number of the frame, from 0 at the first after `b`.
    pub(super) sample: u64,
    /// Channels 1 to 8, or 9 to 16.
    pub(super) counts: [i32; FRAME_CHANNELS],
    pub(super) bytes: [u8; FRAME_LEN],
}

impl BoardFrame {
    pub(super) fn counter(&self) -> u8 {
        self.bytes[1]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Channel {
    is_on: bool,
    gain_code: u8,
    input: u8,
    bias: u8,
    srb2: u8,
    srb1: u8,
}

const DEFAULT_CHANNEL: Channel = Channel { is_on: true, gain_code: 6, input: 0, bias: 1, srb2: 1, srb1: 0 };

/// What the inputs are switched to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Electrodes,
    Ground,
    Direct,
    /// Half periods in samples and amplitude in units of 1.875 mV.
    Square(u64, f64),
}

/// A board with its state, which outlives the host's sessions.
#[derive(Debug)]
pub(super) struct Board {
    has_daisy: bool,
    uses_daisy: bool,
    is_streaming: bool,
    next_sample: u64,
    channels: [Channel; CHANNELS],
    source: Source,
    /// Bytes of an unfinished `x` or `z` command.
    unfinished: Vec<u8>,
}

impl Board {
    pub(super) fn new(has_daisy: bool) -> Self {
        Self {
            has_daisy,
            uses_daisy: has_daisy,
            is_streaming: false,
            next_sample: 0,
            channels: [DEFAULT_CHANNEL; CHANNELS],
            source: Source::Electrodes,
            unfinished: Vec::with_capacity(16),
        }
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    pub(super) fn stop(&mut self) {
        self.is_streaming = false;
    }

    /// Number of the frame to come.
    pub(super) fn next_sample(&self) -> u64 {
        self.next_sample
    }

    /// Obeys one byte; what the board says to it is added to `reply`.
    pub(super) fn command(&mut self, byte: u8, reply: &mut Vec<u8>) {
        let text = if self.unfinished.is_empty() { self.key(byte) } else { self.part(byte) };
        if let Some(text) = text.filter(|_| !self.is_streaming) {
            reply.extend(text.bytes().chain(*b"$$$"));
        }
    }

    /// Makes the next frame.
    pub(super) fn make_frame(&mut self) -> BoardFrame {
        let sample = self.next_sample;
        self.next_sample += 1;
        let counts = std::array::from_fn(|place| self.count(place, sample));
        let mut bytes = [0; FRAME_LEN];
        (bytes[0], bytes[1], bytes[FRAME_LEN - 1]) = (0xA0, sample as u8, 0xC0);
        for (channel, count) in counts.iter().enumerate() {
            bytes[2 + 3 * channel..5 + 3 * channel].copy_from_slice(&i32::to_be_bytes(*count)[1..]);
        }
        bytes[26..32].copy_from_slice(&acceleration(sample));
        BoardFrame { sample, counts, bytes }
    }

    fn count(&self, place: usize, sample: u64) -> i32 {
        let is_daisy_turn = self.uses_daisy && sample.is_multiple_of(2);
        let channel = if is_daisy_turn { place + FRAME_CHANNELS } else { place };
        let last_channel = if self.uses_daisy { CHANNELS } else { FRAME_CHANNELS } - 1;
        // Daisy frames come on even samples only, so the block waits for the next of them.
        let block_sample = if self.uses_daisy { FIRST_BLOCK } else { FIRST_BLOCK + 1 };
        if channel == last_channel && sample % BLOCK_PERIOD == block_sample {
            return STUMBLING_BLOCKS[(sample / BLOCK_PERIOD) as usize % STUMBLING_BLOCKS.len()];
        }
        if !self.uses_daisy {
            return self.plant(self.measure(channel, sample), channel, sample);
        }
        // With a Daisy each frame is the mean of the last two samples; the very first has only one.
        let before = if sample == 0 { 0 } else { self.measure(channel, sample - 1) };
        self.plant((before + self.measure(channel, sample)) / 2, channel, sample)
    }

    fn measure(&self, channel: usize, sample: u64) -> i32 {
        let settings = self.channels[channel];
        if !settings.is_on {
            return 0;
        }
        let microvolts = match self.source {
            Source::Electrodes => signal::microvolts(channel, sample),
            Source::Ground => 0.3 * signal::noise(channel, sample),
            Source::Direct => 1875.0,
            Source::Square(half, amplitude) if (sample / half).is_multiple_of(2) => 1875.0 * amplitude,
            Source::Square(_, amplitude) => -1875.0 * amplitude,
        };
        let per_count = 4.5e6 / GAINS[usize::from(settings.gain_code)] / FULL_SCALE;
        (microvolts / per_count).round().clamp(-FULL_SCALE - 1.0, FULL_SCALE) as i32
    }

    /// Ends a count in a border byte now and then: at most 3 uV off at the default gain.
    fn plant(&self, count: i32, channel: usize, sample: u64) -> i32 {
        let is_measured = self.channels[channel].is_on && self.source == Source::Electrodes;
        match (sample + 7 * channel as u64) % 53 {
            0 if is_measured => (count & !0xFF) | 0xA0,
            1 if is_measured => (count & !0xFF) | 0xC0,
            _ => count,
        }
    }

    fn key(&mut self, byte: u8) -> Option<String> {
        let text = match byte {
            b'v' => {
                *self = Self::new(self.has_daisy);
                let daisy = if self.has_daisy { "On Daisy ADS1299 Device ID: 0x3E\n" } else { "" };
                format!(
                    "OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\n{daisy}LIS3DH Device ID: 0x33\n\
                     Firmware: v3.1.2\n"
                )
            }
            b'b' => {
                if !self.is_streaming {
                    self.is_streaming = true;
                    self.next_sample = 0;
                }
                return None;
            }
            b's' => {
                self.is_streaming = false;
                return None;
            }
            b'd' => {
                self.channels = [DEFAULT_CHANNEL; CHANNELS];
                self.source = Source::Electrodes;
                "updating channel settings to default".into()
            }
            b'D' => "060110".into(),
            b'?' => self.registers(),
            b'V' => "v3.1.2".into(),
            b'c' => {
                let text = if self.uses_daisy { "daisy removed" } else { "" };
                self.uses_daisy = false;
                text.into()
            }
            b'C' => {
                let text = match (self.has_daisy, self.uses_daisy) {
                    (false, _) => "no daisy to attach!8",
                    (true, false) => "daisy attached16",
                    (true, true) => "16",
                };
                self.uses_daisy = self.has_daisy;
                text.into()
            }
            b'0' => self.connect(Source::Ground),
            b'-' => self.connect(Source::Square(128, 1.0)),
            b'=' => self.connect(Source::Square(64, 1.0)),
            b'p' => self.connect(Source::Direct),
            b'[' => self.connect(Source::Square(128, 2.0)),
            b']' => self.connect(Source::Square(64, 2.0)),
            b'x' | b'z' => {
                self.unfinished.push(byte);
                return None;
            }
            _ => return self.switch(byte),
        };
        Some(text)
    }

    /// Switches one channel off or on; the board says nothing to that.
    fn switch(&mut self, byte: u8) -> Option<String> {
        for (keys, is_on) in [(OFF_KEYS, false), (ON_KEYS, true)] {
            if let Some(channel) = keys.iter().position(|&key| key == byte) {
                self.channels[channel].is_on = is_on;
            }
        }
        None
    }

    fn connect(&mut self, source: Source) -> String {
        self.source = source;
        "Configured internal test signal.".into()
    }

    /// One more byte of `x CH PD GAIN IN BIAS SRB2 SRB1 X` or `z CH P N Z`.
    fn part(&mut self, byte: u8) -> Option<String> {
        self.unfinished.push(byte);
        let (len, last) = if self.unfinished[0] == b'x' { (9, b'X') } else { (5, b'Z') };
        if byte != last && self.unfinished.len() < len {
            return None;
        }
        let command = std::mem::take(&mut self.unfinished);
        if command.len() < len {
            return Some("Failure: too few chars".into());
        }
        if byte != last {
            return Some(format!("Failure: 9th char not {}", char::from(last)));
        }
        let Some(channel) = NAMES.iter().position(|&name| name == command[1]) else {
            return Some("Failure: invalid channel".into());
        };
        if len == 5 {
            return Some(format!("Lead off set for {}", channel + 1));
        }
        let digit = |place: usize, highest: u8| {
            let digit = command[place].wrapping_sub(b'0');
            (digit <= highest).then_some(digit)
        };
        let settings = || {
            Some(Channel {
                is_on: digit(2, 1)? == 0,
                gain_code: digit(3, 6)?,
                input: digit(4, 7)?,
                bias: digit(5, 1)?,
                srb2: digit(6, 1)?,
                srb1: digit(7, 1)?,
            })
        };
        let Some(settings) = settings() else {
            return Some("Failure: invalid setting".into());
        };
        self.channels[channel] = settings;
        Some(format!("Channel set for {}", channel + 1))
    }

    fn registers(&self) -> String {
        let chips = if self.uses_daisy { 2 } else { 1 };
        let mut text = String::new();
        for (chip, channels) in self.channels.chunks(FRAME_CHANNELS).take(chips).enumerate() {
            text.push_str(if chip == 0 { "Board ADS Registers\n" } else { "Daisy ADS Registers\n" });
            text.push_str("ADS_ID, 00, 3E\nCONFIG1, 01, 96\nCONFIG2, 02, C0\nCONFIG3, 03, EC\n");
            for (place, channel) in channels.iter().enumerate() {
                let power_down = u8::from(!channel.is_on) << 7;
                let value = power_down | channel.gain_code << 4 | channel.srb2 << 3 | channel.input;
                text.push_str(&format!("CH{}SET, {:02X}, {value:02X}\n", place + 1, place + 5));
            }
        }
        text + "LIS3DH Registers\nWHO_AM_I, 0F, 33\n"
    }
}

/// X, Y, Z of a board that lies on a table and is nudged slowly, 25 times a second; zeros in between.
fn acceleration(sample: u64) -> [u8; 6] {
    if !sample.is_multiple_of(10) {
        return [0; 6];
    }
    let swing = |period: f64| ((sample as f64 / period).sin() * 400.0) as i16;
    let axes = [swing(300.0), swing(410.0), 8000 + swing(530.0) / 4];
    let mut bytes = [0; 6];
    for (place, axis) in axes.iter().enumerate() {
        bytes[2 * place..2 * place + 2].copy_from_slice(&axis.to_be_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(board: &mut Board, commands: &str) -> String {
        let mut reply = Vec::new();
        for byte in commands.bytes() {
            board.command(byte, &mut reply);
        }
        String::from_utf8(reply).expect("the board speaks ASCII")
    }

    #[test]
    fn a_reset_ends_in_three_dollars_and_names_the_daisy_if_there_is_one() {
        let banner = say(&mut Board::new(false), "v");
        assert!(banner.starts_with("OpenBCI V3 8-16 channel\n") && banner.ends_with("$$$"), "{banner}");
        assert!(!banner.contains("Daisy"));
        assert!(say(&mut Board::new(true), "v").contains("On Daisy ADS1299"));
    }

    #[test]
    fn a_streaming_board_says_nothing() {
        let mut board = Board::new(false);
        assert_eq!(say(&mut board, "bDd?x1060110X"), "");
        assert!(board.is_streaming());
        assert_eq!(say(&mut board, "sD"), "060110$$$");
    }

    #[test]
    fn a_stream_begins_at_counter_zero_every_time_and_wraps() {
        let mut board = Board::new(false);
        say(&mut board, "b");
        let counters: Vec<u8> = (0..300).map(|_| board.make_frame().counter()).collect();
        assert_eq!((counters[0], counters[255], counters[256]), (0, 255, 0));

        say(&mut board, "sb");
        assert_eq!(board.make_frame().sample, 0);
    }

    #[test]
    fn a_frame_carries_its_counts_in_24_bits() {
        let mut board = Board::new(false);
        for _ in 0..15_000 {
            let frame = board.make_frame();
            for (channel, count) in frame.counts.iter().enumerate() {
                let at = 2 + 3 * channel;
                let raw = u32::from_be_bytes([0, frame.bytes[at], frame.bytes[at + 1], frame.bytes[at + 2]]);
                assert_eq!(raw as i32 - if raw >= 1 << 23 { 1 << 24 } else { 0 }, *count);
            }
            assert_eq!((frame.bytes[0], frame.bytes[32]), (0xA0, 0xC0));
        }
    }

    #[test]
    fn the_last_channel_shows_every_stumbling_block_and_no_other_does() {
        for has_daisy in [false, true] {
            let mut board = Board::new(has_daisy);
            let mut seen = Vec::new();
            for _ in 0..15_000 {
                let frame = board.make_frame();
                let (last, others) = frame.counts.split_last().expect("eight channels");
                let is_last = !has_daisy || frame.sample.is_multiple_of(2);
                seen.extend(Some(*last).filter(|count| is_last && *count != -1 && STUMBLING_BLOCKS.contains(count)));
                assert!(others.iter().all(|count| count.abs() < 200_000));
            }
            assert_eq!(seen, STUMBLING_BLOCKS[..5], "daisy: {has_daisy}");
        }
    }

    #[test]
    fn a_channel_setting_is_obeyed_or_refused_with_a_reason() {
        let mut board = Board::new(false);
        let at_gain_24 = board.measure(0, 93);
        assert_eq!(say(&mut board, "x1030110X"), "Channel set for 1$$$");
        assert!((at_gain_24 - 4 * board.measure(0, 93)).abs() <= 2);
        assert_eq!(say(&mut board, "x1X"), "Failure: too few chars$$$");
        assert_eq!(say(&mut board, "x9060110X"), "Failure: invalid channel$$$");
        assert_eq!(say(&mut board, "x1090110X"), "Failure: invalid setting$$$");
        assert_eq!(say(&mut board, "z110Z"), "Lead off set for 1$$$");
        assert!(say(&mut board, "?").contains("CH1SET, 05, 38\n"));
        assert_eq!(say(&mut board, "d"), "updating channel settings to default$$$");
        assert_eq!(board.measure(0, 93), at_gain_24);
    }

    #[test]
    fn a_channel_is_switched_off_and_on() {
        let mut board = Board::new(true);
        say(&mut board, "3q");
        assert!((1..500).all(|sample| board.measure(2, sample) == 0 && board.measure(8, sample) == 0));
        say(&mut board, "#Q");
        assert!((1..500).any(|sample| board.measure(2, sample) != 0));
        assert!((1..500).any(|sample| board.measure(8, sample) != 0));
    }

    #[test]
    fn sixteen_channels_need_a_daisy() {
        assert_eq!(say(&mut Board::new(false), "C"), "no daisy to attach!8$$$");
        assert_eq!(say(&mut Board::new(true), "CcC"), "16$$$daisy removed$$$daisy attached16$$$");
    }

    #[test]
    fn the_test_signal_is_a_square_of_the_documented_size() {
        let mut board = Board::new(false);
        assert_eq!(say(&mut board, "-"), "Configured internal test signal.$$$");
        let counts: Vec<i32> = (0..256).map(|sample| board.measure(3, sample)).collect();
        assert_eq!(counts[0], (1875.0 / (4.5e6 / 24.0 / FULL_SCALE)).round() as i32);
        assert!(counts[..128].iter().all(|count| *count == counts[0]));
        assert!(counts[128..].iter().all(|count| *count == -counts[0]));
    }

    #[test]
    fn acceleration_comes_25_times_a_second_and_is_about_one_g() {
        let frames: Vec<[u8; 6]> = (0..250).map(acceleration).collect();
        assert_eq!(frames.iter().filter(|bytes| **bytes != [0; 6]).count(), 25);
        let z = i16::from_be_bytes([frames[0][4], frames[0][5]]);
        assert!((7800..=8200).contains(&z), "{z}");
    }
}
