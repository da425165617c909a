//! What is recorded: made-up boards, their signals, and files of them.
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use wavedeck_api::{
    clock::{self, Anchor},
    packet::PacketHeader,
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};
use wavedeck_recording::{Finished, RecordingOptions, RecordingWriter, StreamInfo, WriteError};
use wavedeck_stages::dsp::generator::{Generator, MICROVOLTS_PER_COUNT, SIGNALS};

/// A board and what its amplifier adds to the signal.
#[derive(Clone, Copy)]
pub(crate) struct Board {
    /// For people.
    pub(crate) name: &'static str,
    /// Number of channels.
    pub(crate) channels: usize,
    /// Samples per second.
    pub(crate) rate_hz: u32,
    /// Of one count.
    microvolts: f64,
    /// Noise of the amplifier, RMS.
    noise_uv: f64,
}

/// An amplifier of 16 bits for wide bands: 0.195 uV a count and 2.4 uV of noise are usual.
pub(crate) const WIDE: Board =
    Board { name: "64 ch at 30 kHz", channels: 64, rate_hz: 30_000, microvolts: 0.195, noise_uv: 2.4 };
/// An amplifier of 24 bits for EEG: 4.5 V over a gain of 24, and 0.3 uV of noise.
pub(crate) const EEG: Board =
    Board { name: "256 ch at 2 kHz", channels: 256, rate_hz: 2000, microvolts: MICROVOLTS_PER_COUNT, noise_uv: 0.3 };
/// The same with few channels at an EEG board's usual pace.
pub(crate) const SMALL: Board = Board { name: "8 ch at 250 Hz", channels: 8, rate_hz: 250, ..EEG };

/// Length of a packet in milliseconds.
const PACKET_MS: u32 = 20;

/// A second of a board's samples, played over and over: compression sees no further than a chunk.
pub(crate) struct Signal {
    /// What it is of.
    pub(crate) board: Board,
    counts: Vec<i32>,
}

impl Signal {
    /// EEG of 20 uV with 2 uV of mains hum, and the amplifier's noise.
    pub(crate) fn of(board: Board) -> Self {
        let signal = SIGNALS.iter().position(|name| *name == "eeg").expect("there is one");
        let mut generator = Generator::new(signal, board.channels, f64::from(board.rate_hz), 7);
        for (key, value) in
            [("amplitude_uv", 20.0), ("noise_uv", board.noise_uv), ("mains_hz", 50.0), ("mains_uv", 2.0)]
        {
            assert!(generator.set(key, value, 0), "there is a setting `{key}`");
        }
        let mut counts = vec![0; board.rate_hz as usize * board.channels];
        generator.fill(0, &mut counts);
        let coarser = MICROVOLTS_PER_COUNT / board.microvolts;
        counts.iter_mut().for_each(|count| *count = (f64::from(*count) * coarser).round() as i32);
        Self { board, counts }
    }

    /// Frames of one packet.
    fn packet_frames(&self) -> u32 {
        self.board.rate_hz * PACKET_MS / 1000
    }

    /// The samples of packet `number`.
    pub(crate) fn packet(&self, number: u64) -> &[i32] {
        let length = self.packet_frames() as usize * self.board.channels;
        let begin = number as usize % (1000 / PACKET_MS) as usize * length;
        &self.counts[begin..begin + length]
    }

    /// The same as bytes: what a plain file would hold.
    pub(crate) fn raw_bytes(&self, number: u64, bytes: &mut Vec<u8>) {
        bytes.clear();
        self.packet(number).iter().for_each(|count| bytes.extend_from_slice(&count.to_le_bytes()));
    }

    /// Bytes of one packet as 32-bit numbers.
    pub(crate) fn packet_bytes(&self) -> u64 {
        u64::from(self.packet_frames()) * self.board.channels as u64 * 4
    }

    /// Packets in about that time.
    pub(crate) fn packets_in(length: Duration) -> u64 {
        u64::try_from(length.as_millis()).expect("a run of some seconds").div_ceil(u64::from(PACKET_MS)).max(1)
    }

    /// Time until packet `number` is complete, from the first sample on.
    pub(crate) fn due_after(number: u64) -> Duration {
        Duration::from_millis((number + 1) * u64::from(PACKET_MS))
    }
}

/// A recording in the making.
pub(crate) struct Tape<'a> {
    writer: RecordingWriter,
    signal: &'a Signal,
    start_ns: u64,
    next: u64,
}

impl<'a> Tape<'a> {
    /// Begins `name`.mcap in a folder.
    pub(crate) fn begin(dir: &Path, name: &str, signal: &'a Signal) -> Self {
        let Board { channels, microvolts, rate_hz, .. } = signal.board;
        let channel = |n: usize| ChannelSpec::counts(format!("CH{}", n + 1), "uV", microvolts);
        let spec = StreamSpec {
            kind: SignalKind::Counts,
            channels: (0..channels).map(channel).collect(),
            rate: Rate::new(u64::from(rate_hz), 1).expect("positive"),
            max_batch: signal.packet_frames(),
            spectrum: None,
        };
        let stream = StreamInfo { name: "eeg".into(), spec, device: "a bench".into() };
        let options = RecordingOptions { dir: dir.to_owned(), name: Some(name.into()), ..RecordingOptions::default() };
        let anchor = Anchor::now();
        let writer = RecordingWriter::create(options, vec![stream], anchor).expect("a folder of ours");
        Self { writer, signal, start_ns: anchor.monotonic_ns, next: 0 }
    }

    /// Takes the next packet; waits while too much waits for the disk.
    pub(crate) fn feed(&mut self) {
        let frames = self.signal.packet_frames();
        let due_ns = self.start_ns + clock::nanoseconds(Signal::due_after(self.next));
        let header = PacketHeader {
            seq: self.next,
            first_sample: self.next * u64::from(frames),
            timestamp_ns: due_ns - u64::from(PACKET_MS) * 1_000_000,
            batch_size: frames,
            channels: u16::try_from(self.signal.board.channels).expect("some hundred"),
            ..PacketHeader::default()
        };
        loop {
            match self.writer.batch_counts(0, &header, self.signal.packet(self.next), due_ns) {
                Ok(()) => break,
                Err(WriteError::Overflow { .. }) => thread::sleep(Duration::from_millis(1)),
                Err(error) => panic!("{error}"),
            }
        }
        self.next += 1;
        self.writer.tick(due_ns).expect("a disk that works");
    }

    /// Closes the file; none of its samples is missing.
    pub(crate) fn finish(self) -> Finished {
        let finished = self.writer.finish().expect("closed");
        let frames = self.next * u64::from(self.signal.packet_frames());
        assert_eq!((finished.ledger.streams[0].recorded, finished.ledger.is_degraded()), (frames, false));
        finished
    }
}

/// A recording of so many packets, as fast as possible.
pub(crate) fn recording(dir: &Path, name: &str, signal: &Signal, packets: u64) -> Finished {
    let mut tape = Tape::begin(dir, name, signal);
    (0..packets).for_each(|_| tape.feed());
    tape.finish()
}

/// Sleeps until packet `number` of a board that began then has come.
pub(crate) fn wait_for_packet(began: Instant, number: u64) {
    thread::sleep((began + Signal::due_after(number)).saturating_duration_since(Instant::now()));
}
