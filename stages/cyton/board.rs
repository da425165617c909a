//! Brings a board from any state to streaming, a step at a time: stop, wait for silence, reset, set up, start.
use std::{
    io,
    time::{Duration, Instant},
};

use serialport::{ClearBuffer, SerialPort};

use super::{
    frame::{FRAME_CHANNELS, MAX_CHANNELS},
    port::is_gone,
};

/// What the board ends each answer with.
const END: &[u8] = b"$$$";
/// Silence after which what was still on its way has come.
const SILENCE: Duration = Duration::from_millis(60);
/// Longest wait for that silence; then the reset is tried all the same.
const LONGEST_DRAIN: Duration = Duration::from_millis(1000);
/// The board takes its time to find its chips.
const RESET_TIMEOUT: Duration = Duration::from_millis(2500);
const COMMAND_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longest answer kept; the banner has about 150 bytes.
const MOST_ANSWER: usize = 4096;
/// Code of the gain the board has after a reset.
const DEFAULT_GAIN_CODE: u8 = 6;
/// Names of the channels in commands.
const NAMES: &[u8; MAX_CHANNELS] = b"12345678QWERTYUI";

/// What the board is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) daisy: bool,
    pub(super) gain_code: u8,
    /// Key of a test signal instead of the electrodes.
    pub(super) test_signal: Option<u8>,
}

/// Why a board does not stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum BoardError {
    #[error("nothing answered on {path}: is the dongle's switch on GPIO6 and the board on PC?")]
    Silent { path: String },
    #[error("{bytes} bytes came from {path}, but no answer of an OpenBCI board: is it the right port and baud rate?")]
    Strange { path: String, bytes: u64 },
    #[error("the board on {path} does not answer to `{command}`: is it in range, and its battery charged?")]
    NoAnswer { path: String, command: String },
    #[error("the board on {path} refuses `{command}`: {answer}")]
    Refused { path: String, command: String, answer: String },
    #[error("no Daisy answers on {path}: set `daisy` to false, or check how it is plugged")]
    NoDaisy { path: String },
    #[error("{path} is gone: {source}")]
    Gone { path: String, source: io::Error },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Going,
    Streaming,
}

/// The way to a streaming board.
#[derive(Debug)]
pub(super) struct Startup {
    path: String,
    setup: Setup,
    /// Commands still to be answered, the present one first; empty while silence is awaited.
    commands: Vec<Vec<u8>>,
    began: Instant,
    last_byte: Instant,
    answer: Vec<u8>,
    bytes: u64,
}

impl Startup {
    /// Stops what the board is doing.
    pub(super) fn begin(path: &str, setup: Setup, port: &mut dyn SerialPort) -> Result<Self, BoardError> {
        let now = Instant::now();
        let startup = Self {
            path: path.into(),
            setup,
            commands: Vec::new(),
            began: now,
            last_byte: now,
            answer: Vec::with_capacity(MOST_ANSWER),
            bytes: 0,
        };
        startup.write(port, b"s")?;
        // What another session left; a port that cannot is drained by reading.
        let _ = port.clear(ClearBuffer::Input);
        Ok(startup)
    }

    /// Goes one step: reads once, for no longer than the port's timeout, and sends what is next.
    pub(super) fn advance(&mut self, port: &mut dyn SerialPort) -> Result<Progress, BoardError> {
        let mut buffer = [0; 1024];
        let count = match port.read(&mut buffer) {
            Ok(0) => return Err(self.gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) if is_gone(&error) => return Err(self.gone(error)),
            Err(_) => 0,
        };
        let now = Instant::now();
        if count > 0 {
            self.last_byte = now;
        }
        if self.commands.is_empty() {
            if now - self.last_byte >= SILENCE || now - self.began >= LONGEST_DRAIN {
                self.commands.push(b"v".to_vec());
                self.send(port)?;
            }
            return Ok(Progress::Going);
        }
        self.bytes += count as u64;
        self.answer.extend(&buffer[..count.min(MOST_ANSWER.saturating_sub(self.answer.len()))]);
        if !self.answer.windows(END.len()).any(|window| window == END) {
            let limit = if self.commands[0] == b"v" { RESET_TIMEOUT } else { COMMAND_TIMEOUT };
            return if now - self.began < limit { Ok(Progress::Going) } else { Err(self.no_answer()) };
        }
        self.check_answer()?;
        let done = self.commands.remove(0);
        if done == b"v" {
            self.plan();
        }
        if self.commands.is_empty() {
            self.write(port, b"b")?;
            return Ok(Progress::Streaming);
        }
        self.send(port)?;
        Ok(Progress::Going)
    }

    /// What is to be said after a reset.
    fn plan(&mut self) {
        let has_daisy = self.answer.windows(5).any(|word| word == b"Daisy");
        if self.setup.daisy {
            self.commands.push(b"C".to_vec());
        } else if has_daisy {
            self.commands.push(b"c".to_vec());
        }
        if self.setup.gain_code != DEFAULT_GAIN_CODE {
            let channels = if self.setup.daisy { MAX_CHANNELS } else { FRAME_CHANNELS };
            for &name in &NAMES[..channels] {
                // Power on, gain, normal input, bias and SRB2 connected, SRB1 not: all but the gain as after a reset.
                self.commands.push(vec![b'x', name, b'0', b'0' + self.setup.gain_code, b'0', b'1', b'1', b'0', b'X']);
            }
        }
        self.commands.extend(self.setup.test_signal.map(|key| vec![key]));
    }

    fn send(&mut self, port: &mut dyn SerialPort) -> Result<(), BoardError> {
        self.answer.clear();
        self.began = Instant::now();
        self.bytes = 0;
        self.write(port, &self.commands[0])
    }

    fn write(&self, port: &mut dyn SerialPort, bytes: &[u8]) -> Result<(), BoardError> {
        port.write_all(bytes).map_err(|source| self.gone(source))
    }

    fn check_answer(&self) -> Result<(), BoardError> {
        let text = String::from_utf8_lossy(&self.answer);
        let refusals = ["ailure", "imeout", "nvalid"];
        if self.setup.daisy && text.contains("no daisy") {
            return Err(BoardError::NoDaisy { path: self.path.clone() });
        }
        if refusals.iter().any(|word| text.contains(word)) {
            let answer = text.chars().filter(|c| !c.is_control()).take(120).collect();
            return Err(BoardError::Refused { path: self.path.clone(), command: self.command(), answer });
        }
        Ok(())
    }

    fn no_answer(&self) -> BoardError {
        let path = self.path.clone();
        match (self.commands[0] == b"v", self.bytes) {
            (true, 0) => BoardError::Silent { path },
            (true, bytes) => BoardError::Strange { path, bytes },
            _ => BoardError::NoAnswer { path, command: self.command() },
        }
    }

    fn command(&self) -> String {
        String::from_utf8_lossy(&self.commands[0]).into_owned()
    }

    fn gone(&self, source: io::Error) -> BoardError {
        BoardError::Gone { path: self.path.clone(), source }
    }
}
