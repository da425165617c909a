//! `replay`: sends a stream of a recording as it was, at its own pace or another.
mod cursor;
mod pace;

use std::{
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use wavedeck_api::{
    clock,
    handle::{TransportCommand, TransportSeat, TransportStatus},
    prelude::*,
};
use wavedeck_formats::{Source, SourceError};
use wavedeck_recording::{DecodedBatch, Samples, with_causes};

use self::{
    cursor::{Cursor, Facts},
    pace::Pace,
};

static PARAMS: &[ParamSpec] = &[
    ParamSpec::text("path", "").help("The recording, or a file of another program."),
    ParamSpec::text("stream", "").help("Name of its stream; may be left out if there is but one."),
    ParamSpec::float("speed", 1.0, 0.0..=1000.0).unit("x").help("Times real time; 0 is as fast as possible."),
    ParamSpec::float("from_s", 0.0, 0.0..=1e9)
        .unit("s")
        .help("Begins this long after the first sample of the recording."),
    ParamSpec::float("to_s", 0.0, 0.0..=1e9)
        .unit("s")
        .help("Ends this long after the first sample of the recording; 0 is the end."),
    ParamSpec::choice("at_end", 0, AT_END)
        .help("At the last sample: stands still, ends the pipeline, or begins again."),
];
const AT_END: &[&str] = &["stay", "stop", "loop"];

inventory::submit! { StageDescriptor {
    id: "replay",
    version: 1,
    summary: "Sends a recorded stream again, with play, pause, seek and speed",
    inputs: &[],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Counts, SignalKind::Physical] }],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 20.0,
    build: Replay::build,
} }

/// How often the position is published.
const PUBLISH: Duration = Duration::from_millis(40);
/// Most frames in one packet.
const MAX_BATCH: u32 = 8192;
/// What was before a moment is sent in about this time.
const LEAD_IN: f64 = 0.25;
/// And not faster than this, so that displays can follow.
const LEAD_IN_BYTES_PER_S: f64 = 64e6;
/// Fastest speed but for `max`.
const MAX_SPEED: f64 = 1000.0;

enum Port {
    Counts(Output<Counts>),
    Physical(Output<Physical>),
}

struct Replay {
    out: Out,
    cursor: Cursor,
    facts: Facts,
    seat: TransportSeat,
    /// The indices between which is played.
    from: u64,
    to: u64,
    at_end: usize,
    speed: f64,
    is_playing: bool,
    has_ended: bool,
    motion: Motion,
    repeat: Option<Repeat>,
    /// Seconds that were shown before the last moment that was gone to.
    before_s: f64,
    pace: Pace,
    next_publish: Instant,
}

/// What moves beside a play.
#[derive(Clone, Copy, Default)]
enum Motion {
    #[default]
    None,
    /// What was before this sample is being sent, at this speed.
    LeadIn { until: u64, speed: f64 },
    /// So many frames are still to be sent.
    Frames(u64),
    /// So many packets are still to be sent.
    Packets(u32),
}

/// From one sample to another, again and again.
#[derive(Clone, Copy)]
struct Repeat {
    from: u64,
    until: u64,
    /// False when somebody went behind its end.
    is_armed: bool,
}

/// The way out of the stage.
struct Out {
    port: Port,
    channels: usize,
    max_batch: u32,
    rate: Rate,
    /// Monotonic time that sample `first` has in the packets sent.
    began_ns: u64,
    first: u64,
    /// What the next packet is marked with.
    marks: Flags,
}

impl Replay {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let path = PathBuf::from(params.text("path"));
        if path.as_os_str().is_empty() {
            return Err(BuildError::rejected("`path` is empty", "set it to a recording: `wavedeck replay FILE` does"));
        }
        // Unlike hardware, a recording has to be opened here: its shape is the shape of the output.
        let source = wavedeck_formats::open(&path).map_err(refused)?;
        let stream = stream_named(&*source, params.text("stream"))?;
        let facts = Facts::of(&*source, stream).map_err(refused)?;
        let from = facts.index_at(params.float("from_s"));
        let to = if params.float("to_s") > 0.0 { facts.index_at(params.float("to_s")) } else { facts.end };
        if from >= to && facts.end > facts.first {
            return Err(BuildError::rejected(
                format!("nothing lies between {} s and {} s", params.float("from_s"), params.float("to_s")),
                format!("the recording is {:.3} s long", facts.duration_s),
            ));
        }
        ctx.set_device(format!("replay of {}", path.display()));
        let stored = &source.streams()[stream];
        let spec = StreamSpec { max_batch: stored.spec.max_batch.clamp(1, MAX_BATCH), ..stored.spec.clone() };
        let (channels, max_batch, rate) = (spec.channels.len(), spec.max_batch, spec.rate);
        let speed = params.float("speed");
        let status = TransportStatus {
            path,
            stream: stored.name.clone(),
            position_s: facts.seconds_at(from),
            sample: from,
            duration_s: facts.duration_s,
            speed,
            playing: true,
            markers: facts.markers(&*source, stream).into(),
            gaps: facts.gaps(&*source, stream).into(),
            ..TransportStatus::default()
        };
        let port = match spec.kind {
            SignalKind::Counts => Port::Counts(ctx.output("out", spec)?),
            _ => Port::Physical(ctx.output("out", spec)?),
        };
        let seat = ctx.transport(status);
        let at_end = params.choice("at_end");
        let first = facts.first;
        Ok(Box::new(Self {
            out: Out { port, channels, max_batch, rate, began_ns: 0, first, marks: Flags::NONE },
            cursor: Cursor::new(source, stream, from).map_err(refused)?,
            facts,
            seat,
            from,
            to,
            at_end,
            speed,
            is_playing: true,
            has_ended: false,
            motion: Motion::None,
            repeat: None,
            before_s: 0.0,
            pace: Pace::default(),
            next_publish: Instant::now(),
        }))
    }

    fn obey(&mut self, command: TransportCommand) -> Result<(), StageError> {
        match command {
            TransportCommand::Play => {
                if self.has_ended {
                    self.go_to(self.from, 0.0)?;
                }
                self.is_playing = true;
            }
            TransportCommand::Pause => {
                self.is_playing = false;
                // What is being shown of the past is shown to its end.
                if !matches!(self.motion, Motion::LeadIn { .. }) {
                    self.motion = Motion::None;
                }
            }
            TransportCommand::Seek(seconds) => self.go_to(self.facts.index_at(seconds), 0.0)?,
            TransportCommand::Show { at_s, before_s } => self.go_to(self.facts.index_at(at_s), before_s)?,
            TransportCommand::Step(frames) => {
                self.is_playing = false;
                match self.motion {
                    // Steps that follow each other faster than they are made add up.
                    Motion::Frames(left) => {
                        self.step(i64::try_from(left).unwrap_or(i64::MAX).saturating_add(frames))?
                    }
                    _ => self.step(frames)?,
                }
            }
            TransportCommand::StepPackets(packets) => {
                self.is_playing = false;
                let packets = match self.motion {
                    Motion::Packets(left) => i64::from(left) + i64::from(packets),
                    _ => i64::from(packets),
                };
                match u32::try_from(packets) {
                    Ok(packets) if !matches!(self.motion, Motion::LeadIn { .. }) => {
                        self.motion = if packets > 0 { Motion::Packets(packets) } else { Motion::None };
                    }
                    _ => self.step(packets.saturating_mul(i64::from(self.out.max_batch)))?,
                }
            }
            TransportCommand::Loop(ends) => {
                let ends = ends.map(|(a, b)| (self.facts.index_at(a.min(b)), self.facts.index_at(a.max(b))));
                let within = |index: u64| index.clamp(self.from, self.to);
                let ends = ends.map(|(from, until)| (within(from), within(until))).filter(|(a, b)| a < b);
                let position = self.cursor.position();
                self.repeat = ends.map(|(from, until)| Repeat { from, until, is_armed: position <= until });
            }
            TransportCommand::Speed(speed) if speed.is_finite() && speed >= 0.0 => self.speed = speed.min(MAX_SPEED),
            TransportCommand::Speed(_) => {}
        }
        self.pace.restart();
        self.publish();
        Ok(())
    }

    /// So many frames on or back from where it stands, or is going to stand.
    fn step(&mut self, frames: i64) -> Result<(), StageError> {
        match &mut self.motion {
            Motion::LeadIn { until, .. } if frames >= 0 => {
                *until = until.saturating_add(frames.unsigned_abs()).min(self.to);
            }
            Motion::LeadIn { until, .. } => {
                let index = until.saturating_sub(frames.unsigned_abs());
                self.go_to(index, self.before_s)?;
            }
            motion if frames >= 0 => {
                *motion = if frames > 0 { Motion::Frames(frames.unsigned_abs()) } else { Motion::None };
            }
            _ => self.go_to(self.cursor.position().saturating_sub(frames.unsigned_abs()), self.before_s)?,
        }
        Ok(())
    }

    /// To a sample; the seconds before it are sent in passing.
    fn go_to(&mut self, index: u64, before_s: f64) -> Result<(), StageError> {
        let index = index.clamp(self.from, self.to);
        let before_s = if before_s.is_finite() { before_s.clamp(0.0, 3600.0) } else { 0.0 };
        let before = (before_s * self.out.rate.hz()).round() as u64;
        let begin = index.saturating_sub(before).max(self.from);
        self.cursor.seek(begin).map_err(|error| StageError::Failed(with_causes(&error)))?;
        let bytes_per_s = self.out.rate.hz() * self.out.channels as f64 * 4.0;
        let speed = (before_s / LEAD_IN).min(LEAD_IN_BYTES_PER_S / bytes_per_s).max(self.speed);
        self.motion = match begin < index {
            true => Motion::LeadIn { until: index, speed },
            false => Motion::None,
        };
        if let Some(repeat) = &mut self.repeat {
            repeat.is_armed = index < repeat.until;
        }
        (self.has_ended, self.before_s, self.out.marks) = (false, before_s, Flags::SEEKED);
        self.pace.restart();
        Ok(())
    }

    /// The index up to which is sent now, and how fast.
    fn bounds(&self) -> (u64, f64) {
        let end = self.repeat.filter(|repeat| repeat.is_armed).map_or(self.to, |repeat| repeat.until);
        match self.motion {
            // A speed of 0 is the fastest there is.
            Motion::LeadIn { until, speed } => (until, if self.speed == 0.0 { 0.0 } else { speed }),
            Motion::Frames(_) | Motion::Packets(_) => (end, 0.0),
            Motion::None => (end, self.speed),
        }
    }

    fn publish(&mut self) {
        self.next_publish = Instant::now() + PUBLISH;
        let sample = self.cursor.position();
        let position_s = self.facts.seconds_at(sample);
        let (speed, playing, ended) = (self.speed, self.is_playing, self.has_ended);
        let loop_s =
            self.repeat.map(|repeat| (self.facts.seconds_at(repeat.from), self.facts.seconds_at(repeat.until)));
        self.seat.publish(|status| {
            (status.position_s, status.sample, status.loop_s) = (position_s, sample, loop_s);
            (status.speed, status.playing, status.ended) = (speed, playing, ended);
        });
    }

    /// There is nothing more to send before the bound: what comes next.
    fn end(&mut self) -> Result<Flow, StageError> {
        if let Motion::LeadIn { until, .. } = self.motion {
            self.cursor.pass_to(until);
            self.motion = Motion::None;
            self.pace.restart();
            self.publish();
            return Ok(Flow::Again);
        }
        if let Some(repeat) = self.repeat.filter(|repeat| repeat.is_armed) {
            self.motion = Motion::None;
            // Not where nothing can be sent: that would never end.
            if self.is_playing && self.cursor.position() > repeat.from {
                self.go_to(repeat.from, 0.0)?;
                return Ok(Flow::Again);
            }
            self.is_playing = false;
            self.publish();
            return Ok(Flow::Idle);
        }
        self.motion = Motion::None;
        match AT_END[self.at_end] {
            "loop" if self.cursor.position() > self.from => {
                self.go_to(self.from, 0.0)?;
                return Ok(Flow::Again);
            }
            "stop" => {
                self.has_ended = true;
                self.publish();
                return Ok(Flow::Done);
            }
            _ => {}
        }
        self.cursor.pass_to(self.to);
        (self.has_ended, self.is_playing) = (true, false);
        self.publish();
        Ok(Flow::Idle)
    }

    /// Sends the next packet; false if no buffer was free.
    fn send(&mut self, end: u64) -> bool {
        let most = match self.motion {
            Motion::Frames(left) => u32::try_from(left).unwrap_or(u32::MAX).min(self.out.max_batch),
            _ => self.out.max_batch,
        };
        let out = &mut self.out;
        let send = |block: &DecodedBatch, frames: Range<u32>| {
            let marks = self.facts.marks(block.first_index + u64::from(frames.start));
            out.send(block, frames, marks)
        };
        let Some(frames) = self.cursor.send(most, end, send) else { return false };
        match &mut self.motion {
            Motion::Frames(left) => *left = left.saturating_sub(u64::from(frames)),
            Motion::Packets(left) => *left = left.saturating_sub(1),
            Motion::LeadIn { .. } | Motion::None => {}
        }
        if matches!(self.motion, Motion::Frames(0) | Motion::Packets(0)) {
            self.motion = Motion::None;
            self.publish();
        }
        true
    }
}

impl Out {
    /// Sends frames of a block; false if no buffer was free.
    fn send(&mut self, block: &DecodedBatch, frames: Range<u32>, marks: Flags) -> bool {
        let first = block.first_index + u64::from(frames.start);
        let header = PacketHeader {
            first_sample: first,
            timestamp_ns: self.began_ns + self.rate.nanoseconds_at(first.saturating_sub(self.first)),
            batch_size: frames.len() as u32,
            channels: u16::try_from(self.channels).unwrap_or(u16::MAX),
            flags: if frames.start == 0 { block.flags.with(marks).with(self.marks) } else { self.marks },
            ..PacketHeader::default()
        };
        let range = frames.start as usize * self.channels..frames.end as usize * self.channels;
        let is_sent = match (&mut self.port, &block.samples) {
            (Port::Counts(output), Samples::Counts(samples)) => fill(output, header, &samples[range]),
            (Port::Physical(output), Samples::Values(samples)) => fill(output, header, &samples[range]),
            _ => false,
        };
        if is_sent {
            self.marks = Flags::NONE;
        }
        is_sent
    }
}

/// False if no buffer was free.
fn fill<S: Signal>(output: &mut Output<S>, header: PacketHeader, samples: &[S::Elem]) -> bool {
    let Some(mut packet) = output.try_acquire() else { return false };
    packet.frames_mut(header.batch_size).copy_from_slice(samples);
    *packet.header_mut() = header;
    output.send(packet);
    true
}

impl Stage for Replay {
    fn start(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        self.out.began_ns = clock::now_ns() + self.facts.offset_ns;
        Ok(())
    }

    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        while let Some(command) = self.seat.next_request() {
            self.obey(command)?;
        }
        if !self.is_playing && matches!(self.motion, Motion::None) {
            return Ok(Flow::Idle);
        }
        let (end, speed) = self.bounds();
        let note = |error: &SourceError| {
            let text = format!("a part of the recording is left out: {}", with_causes(error));
            ctx.note(Level::Error, text);
        };
        let Some(next) = self.cursor.next_index(end, note) else {
            return self.end();
        };
        let rate = self.out.rate;
        let wait = self.pace.wait(next, self.cursor.position(), rate, speed);
        let flow = if !wait.is_zero() {
            // In a long gap the position moves on although nothing is sent.
            let ahead = rate.samples_in(clock::nanoseconds(wait.mul_f64(speed)));
            self.cursor.pass_to(next.saturating_sub(ahead.saturating_add(1)));
            Flow::Until(Instant::now() + wait.min(PUBLISH))
        } else if self.send(end) {
            Flow::Again
        } else {
            Flow::Idle
        };
        if Instant::now() >= self.next_publish {
            self.publish();
        }
        Ok(flow)
    }
}

fn refused(error: SourceError) -> BuildError {
    BuildError::Rejected { what: with_causes(&error), hint: error.hint().map(ToOwned::to_owned) }
}

/// The stream of this name, or the only one.
fn stream_named(source: &dyn Source, name: &str) -> Result<usize, BuildError> {
    let names: Vec<&str> = source.streams().iter().map(|stream| stream.name.as_str()).collect();
    match (names.iter().position(|other| *other == name), names.len()) {
        (Some(stream), _) => Ok(stream),
        (None, 0) => Err(BuildError::rejected("the recording has no stream", "it was closed before it began")),
        (None, 1) if name.is_empty() => Ok(0),
        (None, _) if name.is_empty() => Err(BuildError::rejected(
            "the recording has several streams",
            format!("set `stream` to one of {}", names.join(", ")),
        )),
        (None, _) => Err(BuildError::rejected(
            format!("stream `{name}` is not in this recording"),
            format!("name one of the streams it has: {}", names.join(", ")),
        )),
    }
}

#[cfg(test)]
mod tests;
