//! `cyton`: reads an OpenBCI Cyton, with or without Daisy, from its serial dongle.
mod board;
pub mod frame;
mod intake;
mod packing;
mod port;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use board::{BoardError, Progress, Setup, Startup};
use frame::{Decoder, GAINS, Layout, microvolts_per_count};
use intake::Intake;
use packing::Packing;
use serialport::SerialPort;
use wavedeck_api::{clock, prelude::*};

static PARAMS: &[ParamSpec] = &[
    ParamSpec::text("port", "").help("Serial port of the dongle, such as /dev/ttyUSB0; `wavedeck devices` lists them."),
    ParamSpec::bool("daisy", false).help("With a Daisy on top: 16 channels at 125 Hz instead of 8 at 250 Hz."),
    ParamSpec::choice("gain", 6, &["1", "2", "4", "6", "8", "12", "24"]).help("Gain of every channel's amplifier."),
    ParamSpec::choice("test_signal", 0, &["off", "ground", "slow", "slow_2x", "fast", "fast_2x", "dc"])
        .help("Signal of the board itself in place of the electrodes."),
    ParamSpec::int("batch", 10, 1..=64)
        .unit("samples")
        .help("Samples per packet: fewer for less delay, more for less work."),
    ParamSpec::bool("reconnect", true).help("When the dongle is unplugged, wait for it and go on."),
    ParamSpec::int("baud", 115_200, 1_200..=4_000_000).unit("Bd").help("Speed of the serial line."),
];

/// Keys of the test signals, in the order of their labels; 0 is none.
const TEST_SIGNAL_KEYS: [u8; 7] = *b"\x000-[=]p";
/// Silence, or noise without a frame, that a person should hear of.
const SILENCE_NS: u64 = 2_000_000_000;
/// Silence after which the board is taken to have lost its settings, by a change of batteries for instance.
const RESTART_NS: u64 = 10_000_000_000;
/// Time between two tries to open a port that is gone.
const RETRY: Duration = Duration::from_millis(500);

inventory::submit! { StageDescriptor {
    id: "cyton",
    version: 1,
    summary: "Reads an OpenBCI Cyton (8 channels) or Cyton with Daisy (16) from its dongle",
    inputs: &[],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Counts] }],
    params: PARAMS,
    realtime: true,
    in_place: false,
    blocking: true,
    max_latency_ms: 20.0,
    build: Cyton::build,
} }

struct Cyton {
    stage_id: String,
    path: String,
    baud: u32,
    setup: Setup,
    reconnects: bool,
    line: Line,
    decoder: Decoder,
    packing: Packing,
    intake: Intake,
    watch: Watch,
}

/// How far the way to the board is.
enum Line {
    /// Waits until it is time to try again.
    Closed(Instant),
    Starting(Box<dyn SerialPort>, Startup),
    Streaming(Box<dyn SerialPort>),
}

/// What came last, and what was said about it.
#[derive(Default)]
struct Watch {
    /// Time of the last row, or of the start.
    last_row_ns: u64,
    /// Bytes read since.
    bytes_since: u64,
    is_complaint_made: bool,
    /// Last trouble with opening, so that it is told once.
    last_trouble: String,
    first_row: Option<(u64, u64)>,
}

impl Cyton {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let layout = if params.bool("daisy") { Layout::Daisy } else { Layout::Cyton };
        let gain_code = params.choice("gain");
        let gain = GAINS[gain_code];
        let scale = microvolts_per_count(gain);
        let channels = (1..=layout.channels()).map(|number| ChannelSpec {
            range: Some((-8_388_608.0 * scale, 8_388_607.0 * scale)),
            ..ChannelSpec::counts(format!("CH{number}"), "uV", scale)
        });
        let spec = StreamSpec {
            kind: SignalKind::Counts,
            channels: channels.collect(),
            rate: Rate::new(layout.rows_per_second(), 1).expect("not zero"),
            max_batch: u32::try_from(params.int("batch")).expect("its range is small"),
            spectrum: None,
        };
        let path = params.text("port").to_string();
        let name = if layout == Layout::Daisy { "OpenBCI Cyton with Daisy" } else { "OpenBCI Cyton" };
        ctx.set_device(format!("{name}, gain {gain}, on {path}"));
        let output = ctx.output::<Counts>("out", spec)?;
        Ok(Box::new(Self {
            stage_id: ctx.stage_id().into(),
            path,
            baud: u32::try_from(params.int("baud")).expect("its range is small"),
            setup: Setup {
                daisy: layout == Layout::Daisy,
                gain_code: u8::try_from(gain_code).expect("seven gains"),
                test_signal: Some(TEST_SIGNAL_KEYS[params.choice("test_signal")]).filter(|key| *key != 0),
            },
            reconnects: params.bool("reconnect"),
            line: Line::Closed(Instant::now()),
            decoder: Decoder::new(layout),
            packing: Packing::new(output),
            intake: Intake::new(),
            watch: Watch::default(),
        }))
    }

    /// Opens the port and sends the first command.
    fn open(&mut self, timeout: Duration) -> Result<(), StageError> {
        let mut port = port::open(&self.path, self.baud, timeout)?;
        let startup = Startup::begin(&self.path, self.setup, &mut *port).map_err(device_error)?;
        self.line = Line::Starting(port, startup);
        Ok(())
    }

    /// Goes one step on the way to a streaming board; true once it streams.
    fn start_further(&mut self) -> Result<bool, StageError> {
        let Line::Starting(port, startup) = &mut self.line else {
            return Ok(true);
        };
        if startup.advance(&mut **port).map_err(device_error)? == Progress::Going {
            return Ok(false);
        }
        let Line::Starting(port, _) = std::mem::replace(&mut self.line, Line::Closed(Instant::now())) else {
            return Ok(false);
        };
        let now_ns = clock::now_ns();
        let next_index = self.packing.index_at(now_ns);
        self.decoder.restart(next_index);
        self.intake.reset();
        self.watch = Watch { last_row_ns: now_ns, first_row: self.watch.first_row, ..Watch::default() };
        self.line = Line::Streaming(port);
        Ok(true)
    }

    /// Tries to get the board back; returns at the latest after a tick.
    fn come_back(&mut self, ctx: &mut StageContext) -> Flow {
        let result = match &self.line {
            Line::Closed(retry_at) if Instant::now() < *retry_at => {
                return Flow::Until((*retry_at).min(Instant::now() + ctx.tick()));
            }
            Line::Closed(_) => self.open(ctx.tick()).map(|()| false),
            _ => self.start_further(),
        };
        match result {
            Ok(false) => {}
            Ok(true) => {
                self.packing.mark_reconnected();
                ctx.note(Level::Info, format!("{} is back", self.path));
            }
            Err(error) => {
                self.line = Line::Closed(Instant::now() + RETRY);
                let trouble = error.to_string();
                if trouble != self.watch.last_trouble {
                    ctx.note(Level::Warn, format!("still waiting: {trouble}"));
                    self.watch.last_trouble = trouble;
                }
            }
        }
        Flow::Again
    }

    /// Sends the rows that the bytes so far hold, one packet at most; true if one was sent.
    fn pack_rows(&mut self) -> bool {
        loop {
            while let Some(row) = self.packing.take_held().or_else(|| self.decoder.next_row()) {
                self.watch.first_row.get_or_insert((row.index, row.at_ns));
                self.watch.last_row_ns = row.at_ns;
                self.watch.bytes_since = 0;
                if self.packing.add(row) {
                    return true;
                }
            }
            let Some((piece, arrival)) = self.intake.next_piece() else {
                return false;
            };
            let taken = self.decoder.push(piece, arrival);
            debug_assert_eq!(taken, piece.len(), "all rows were fetched");
        }
    }

    /// Reads once; an error means that the device is gone.
    fn read(&mut self, longest: Duration) -> io::Result<()> {
        if let Line::Streaming(port) = &mut self.line {
            self.watch.bytes_since += self.intake.read(&mut **port, longest)? as u64;
        }
        Ok(())
    }

    /// Says once what a person should know of a line that brings no rows.
    fn complain(&mut self, ctx: &mut StageContext) {
        let silent_ns = clock::now_ns().saturating_sub(self.watch.last_row_ns);
        if silent_ns < SILENCE_NS {
            if self.watch.is_complaint_made {
                ctx.note(Level::Info, format!("data from {} again", self.path));
                self.watch.is_complaint_made = false;
            }
            return;
        }
        if !self.watch.is_complaint_made {
            self.watch.is_complaint_made = true;
            let (path, bytes) = (&self.path, self.watch.bytes_since);
            ctx.note(
                Level::Error,
                if bytes == 0 {
                    format!("no data from {path} for 2 s: is the board on, charged and in range?")
                } else {
                    format!("{bytes} bytes from {path} in 2 s, but no frame of a Cyton: is `baud` right, and `daisy`?")
                },
            );
        }
        if silent_ns >= RESTART_NS && self.reconnects {
            ctx.note(Level::Warn, format!("no frames from {} for 10 s: starting the board anew", self.path));
            self.line = Line::Closed(Instant::now());
        }
    }
}

impl Stage for Cyton {
    fn start(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        if self.path.is_empty() {
            let what = format!(
                "set {}.port to a serial port, e.g. /dev/ttyUSB0; `wavedeck devices` lists them",
                self.stage_id
            );
            return Err(StageError::Device { what, source: None });
        }
        self.open(ctx.tick())?;
        while !ctx.stopping() && !self.start_further()? {}
        Ok(())
    }

    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        if ctx.stopping() {
            return Ok(Flow::Done);
        }
        if self.pack_rows() {
            return Ok(Flow::Again);
        }
        if !matches!(self.line, Line::Streaming(_)) {
            self.packing.send();
            return Ok(self.come_back(ctx));
        }
        let longest = self.packing.time_left().map_or(ctx.tick(), |left| left.min(ctx.tick()));
        if let Err(error) = self.read(longest) {
            let what = format!("{} is gone: {error}", self.path);
            if !self.reconnects {
                return Err(StageError::Device { what, source: Some(Box::new(error)) });
            }
            ctx.note(Level::Error, format!("{what}; waiting for it to come back"));
            self.line = Line::Closed(Instant::now() + RETRY);
            return Ok(Flow::Again);
        }
        if !self.pack_rows() && self.packing.time_left() == Some(Duration::ZERO) {
            self.packing.send();
        }
        self.complain(ctx);
        Ok(Flow::Again)
    }

    fn finish(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        self.packing.send();
        if let Line::Streaming(port) | Line::Starting(port, _) = &mut self.line {
            // A board that is gone need not be stopped.
            let _ = port.write_all(b"s");
        }
        if let Some((index, at_ns)) = self.watch.first_row {
            let seconds = self.watch.last_row_ns.saturating_sub(at_ns) as f64 / 1e9;
            let samples = self.decoder.next_index().saturating_sub(index + 1);
            if seconds >= 10.0 {
                let rate = samples as f64 / seconds;
                ctx.note(Level::Info, format!("{} ran at {rate:.3} Hz over {seconds:.0} s", self.path));
            }
        }
        Ok(())
    }
}

fn device_error(error: BoardError) -> StageError {
    StageError::Device { what: error.to_string(), source: Some(Box::new(error)) }
}
