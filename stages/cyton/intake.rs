//! Reads a port until it is empty and says how old the bytes can be.
use std::{io, ops::Range, time::Duration};

use serialport::SerialPort;
use wavedeck_api::clock;

use super::{
    frame::{Arrival, FRAME_LEN, FRAMES_PER_SECOND, PUSH_LIMIT},
    port::is_gone,
};

/// A read of fewer bytes has emptied the port; the system hands out up to 4095 at once.
const SHORT_READ: usize = 1024;
/// Bytes taken at once after the host was held up: eight seconds of frames, as much as the system keeps.
const CAPACITY: usize = 16 * PUSH_LIMIT;
/// Time in which the system moves up what it keeps behind the bytes just read.
const MOVE_UP: Duration = Duration::from_millis(2);

/// Bytes read and not yet decoded.
pub(super) struct Intake {
    buffer: Box<[u8]>,
    pending: Range<usize>,
    read_ns: u64,
    /// When the port was last seen empty: before the pending bytes, and now.
    empty_before_ns: u64,
    empty_ns: u64,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; CAPACITY].into_boxed_slice(),
            pending: 0..0,
            read_ns: 0,
            empty_before_ns: 0,
            empty_ns: 0,
        }
    }

    /// Forgets what is pending, as after opening a port.
    pub(super) fn reset(&mut self) {
        self.pending = 0..0;
        self.empty_ns = clock::now_ns();
    }

    /// Waits for bytes and takes all there are; returns their number. To be called when nothing is pending.
    ///
    /// # Errors
    /// When the device is gone; silence is no error.
    pub(super) fn read(&mut self, port: &mut dyn SerialPort, longest: Duration) -> io::Result<usize> {
        self.pending = 0..0;
        self.empty_before_ns = self.empty_ns;
        let mut wait = longest;
        loop {
            port.set_timeout(wait)?;
            let count = match port.read(&mut self.buffer[self.pending.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if is_gone(&error) => return Err(error),
                Err(_) => 0,
            };
            self.read_ns = clock::now_ns();
            self.pending.end += count;
            if count < SHORT_READ {
                self.empty_ns = self.read_ns;
                return Ok(self.pending.end);
            }
            if self.pending.end == CAPACITY {
                return Ok(CAPACITY);
            }
            wait = MOVE_UP;
        }
    }

    /// The next bytes to decode, as many as the decoder takes.
    pub(super) fn next_piece(&mut self) -> Option<(&[u8], Arrival)> {
        if self.pending.is_empty() {
            return None;
        }
        let end = self.pending.end.min(self.pending.start + PUSH_LIMIT);
        let piece = self.pending.start..end;
        self.pending.start = end;
        // The bytes behind this piece came after it, and took their time on the line.
        let frames_behind = (self.pending.len() / FRAME_LEN) as u64;
        let read_ns = self.read_ns.saturating_sub(frames_behind * (1_000_000_000 / FRAMES_PER_SECOND));
        let arrival = Arrival { empty_ns: self.empty_before_ns, read_ns: read_ns.max(self.empty_before_ns) };
        Some((&self.buffer[piece], arrival))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cyton::{
        port,
        tests::fake::{FakeBoard, Kind, frame},
    };

    #[test]
    fn what_the_system_kept_is_taken_at_once_and_dated_back() {
        let board = FakeBoard::new(Kind::Mute);
        let path = board.path().to_str().expect("a plain path");
        let mut port = port::open(path, 115_200, Duration::from_millis(20)).expect("it opens");
        let mut intake = Intake::new();
        // More than twice what one read gives, and less than the terminal keeps.
        let sent: Vec<u8> = (0..300).flat_map(frame).collect();
        board.send(sent.iter().copied());

        let (mut got, mut reads, mut last_read_ns) = (Vec::new(), 0, 0);
        while got.len() < sent.len() {
            intake.read(&mut *port, Duration::from_secs(10)).expect("the board is there");
            reads += 1;
            while let Some((piece, arrival)) = intake.next_piece() {
                got.extend_from_slice(piece);
                assert!(arrival.read_ns >= last_read_ns && arrival.empty_ns <= arrival.read_ns);
                last_read_ns = arrival.read_ns;
            }
        }

        assert!(got == sent);
        assert!(reads <= 3, "{reads} reads");
        assert!(intake.next_piece().is_none());
    }
}
