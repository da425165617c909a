//! `replay`: sends a stream of a recording as it was, at its own pace or another.
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use wavedeck_api::{
    clock,
    handle::{TransportCommand, TransportSeat, TransportStatus},
    prelude::*,
};
use wavedeck_recording::{Batches, DecodedBatch, ReadError, Recording, Samples, with_causes};

static PARAMS: &[ParamSpec] = &[
    ParamSpec::text("path", "").help("The recording."),
    ParamSpec::text("stream", "").help("Name of its stream; may be left out if there is but one."),
    ParamSpec::float("speed", 1.0, 0.0..=1000.0).unit("x").help("Times real time; 0 is as fast as possible."),
    ParamSpec::float("from_s", 0.0, 0.0..=1e9).unit("s").help("Begins this long after the first sample."),
    ParamSpec::float("to_s", 0.0, 0.0..=1e9).unit("s").help("Ends this long after the first sample; 0 is the end."),
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

/// Lateness after which the clock is set anew: the pipeline was paused or the machine was asleep.
const LATE: Duration = Duration::from_millis(500);
/// How often the position is published.
const PUBLISH: Duration = Duration::from_millis(40);
/// Most frames in one packet.
const MAX_BATCH: u32 = 8192;

enum Port {
    Counts(Output<Counts>),
    Physical(Output<Physical>),
}

struct Replay {
    output: Port,
    recording: Recording,
    stream: usize,
    rate: Rate,
    channels: usize,
    max_batch: u32,
    seat: TransportSeat,
    /// First index of the recording, and the indices between which is played.
    origin: u64,
    from: u64,
    to: u64,
    at_end: usize,
    batches: Batches,
    batch: Option<(DecodedBatch, u32)>,
    speed: f64,
    is_playing: bool,
    has_ended: bool,
    /// The same moment by the host's clock and in samples.
    anchor: Option<(Instant, u64)>,
    /// Monotonic time that sample `origin` has in the packets sent.
    began_ns: u64,
    position: u64,
    marks: Flags,
    next_publish: Instant,
}

impl Replay {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let path = PathBuf::from(params.text("path"));
        if path.as_os_str().is_empty() {
            return Err(BuildError::rejected("`path` is empty", "set it to a recording: `wavedeck replay FILE` does"));
        }
        // Unlike hardware, a recording has to be opened here: its shape is the shape of the output.
        let recording = Recording::open(&path).map_err(refused)?;
        let stream = match params.text("stream") {
            "" => only_stream(&recording)?,
            name => recording.stream(name).map_err(refused)?,
        };
        let stored = recording.streams()[stream].clone();
        let (first, last) = extent(&recording, stream);
        let rate = stored.spec.rate;
        let index_at = |seconds: f64| first.saturating_add((seconds * rate.hz()).round() as u64).min(last);
        let from = index_at(params.float("from_s"));
        let to = if params.float("to_s") > 0.0 { index_at(params.float("to_s")) } else { last };
        if from >= to && last > first {
            let duration = (last - first) as f64 / rate.hz();
            return Err(BuildError::rejected(
                format!("nothing lies between {} s and {} s", params.float("from_s"), params.float("to_s")),
                format!("the recording is {duration:.3} s long"),
            ));
        }
        ctx.set_device(format!("replay of {}", path.display()));
        let spec = StreamSpec { max_batch: stored.spec.max_batch.clamp(1, MAX_BATCH), ..stored.spec };
        let (channels, max_batch) = (spec.channels.len(), spec.max_batch);
        let output = match spec.kind {
            SignalKind::Counts => Port::Counts(ctx.output("out", spec)?),
            _ => Port::Physical(ctx.output("out", spec)?),
        };
        let speed = params.float("speed");
        let status = TransportStatus {
            path,
            position_s: (from - first) as f64 / rate.hz(),
            duration_s: last.saturating_sub(first) as f64 / rate.hz(),
            speed,
            playing: true,
            ended: false,
            markers: markers(&recording, stream, first, rate).map_err(refused)?.into(),
            gaps: gaps(&recording, stream, first, rate).map_err(refused)?.into(),
        };
        let seat = ctx.transport(status);
        let batches = recording.batches(stream, from).map_err(refused)?;
        let at_end = params.choice("at_end");
        let next_publish = Instant::now();
        Ok(Box::new(Self {
            output,
            recording,
            stream,
            rate,
            channels,
            max_batch,
            seat,
            origin: first,
            from,
            to,
            at_end,
            batches,
            batch: None,
            speed,
            is_playing: true,
            has_ended: false,
            anchor: None,
            began_ns: 0,
            position: from,
            marks: Flags::NONE,
            next_publish,
        }))
    }

    fn obey(&mut self, command: TransportCommand) -> Result<(), StageError> {
        match command {
            TransportCommand::Play => {
                if self.has_ended {
                    self.seek(self.from)?;
                }
                self.is_playing = true;
            }
            TransportCommand::Pause => self.is_playing = false,
            TransportCommand::Seek(seconds) => {
                let samples = (seconds.clamp(0.0, 1e12) * self.rate.hz()).round() as u64;
                self.seek(self.origin.saturating_add(samples).clamp(self.from, self.to))?;
            }
            TransportCommand::Speed(speed) if speed.is_finite() && speed >= 0.0 => self.speed = speed.min(1000.0),
            TransportCommand::Speed(_) => {}
        }
        self.anchor = None;
        self.publish();
        Ok(())
    }

    fn seek(&mut self, index: u64) -> Result<(), StageError> {
        let failed = |error: ReadError| StageError::Failed(with_causes(&error));
        self.batches = self.recording.batches(self.stream, index).map_err(failed)?;
        (self.batch, self.has_ended, self.position) = (None, false, index);
        self.marks = Flags::SEEKED;
        Ok(())
    }

    /// The batch to send from and the frame to begin with, or `None` at the end. Damaged chunks are skipped and told.
    fn current(&mut self, ctx: &mut StageContext) -> Option<(&DecodedBatch, u32)> {
        while self.batch.is_none() {
            match self.batches.next()? {
                Ok(batch) => {
                    let skip = u32::try_from(self.position.saturating_sub(batch.first_index)).unwrap_or(u32::MAX);
                    self.batch = (skip < batch.n_frames).then_some((batch, skip));
                }
                Err(error) => {
                    let text = format!("a part of the recording is left out: {}", with_causes(&error));
                    ctx.note(Level::Error, text);
                }
            }
        }
        let (batch, offset) = self.batch.as_ref()?;
        (batch.first_index + u64::from(*offset) < self.to).then_some((batch, *offset))
    }

    /// When the sample `index` is due.
    fn due(&mut self, index: u64) -> Option<Instant> {
        if self.speed <= 0.0 {
            return None;
        }
        let now = Instant::now();
        let (moment, position) = *self.anchor.get_or_insert((now, index.min(self.position)));
        let ahead = self.rate.nanoseconds_at(index.saturating_sub(position)) as f64 / self.speed;
        let due = moment + Duration::from_nanos(ahead as u64);
        if now.saturating_duration_since(due) > LATE {
            self.anchor = Some((now, index));
            return None;
        }
        Some(due)
    }

    fn publish(&mut self) {
        self.next_publish = Instant::now() + PUBLISH;
        let position_s = self.position.saturating_sub(self.origin) as f64 / self.rate.hz();
        let (speed, playing, ended) = (self.speed, self.is_playing, self.has_ended);
        self.seat.publish(|status| {
            (status.position_s, status.speed, status.playing, status.ended) = (position_s, speed, playing, ended);
        });
    }

    /// The recording is over: what comes next depends on `at_end`.
    fn end(&mut self) -> Result<Flow, StageError> {
        match AT_END[self.at_end] {
            // Not where nothing can be sent: that would never end.
            "loop" if self.position > self.from => {
                self.seek(self.from)?;
                self.anchor = None;
                return Ok(Flow::Again);
            }
            "stop" => {
                self.has_ended = true;
                self.publish();
                return Ok(Flow::Done);
            }
            _ => {}
        }
        (self.has_ended, self.is_playing, self.position) = (true, false, self.to);
        self.publish();
        Ok(Flow::Idle)
    }

    /// Sends the next packet; false if no buffer was free.
    fn send(&mut self) -> bool {
        let Some((batch, offset)) = self.batch.take() else { return false };
        let first = batch.first_index + u64::from(offset);
        let until_end = u32::try_from(self.to - first).unwrap_or(u32::MAX);
        let frames = (batch.n_frames - offset).min(self.max_batch).min(until_end);
        let range = offset as usize * self.channels..(offset + frames) as usize * self.channels;
        let header = PacketHeader {
            first_sample: first,
            timestamp_ns: self.began_ns + self.rate.nanoseconds_at(first - self.origin),
            batch_size: frames,
            channels: u16::try_from(self.channels).unwrap_or(u16::MAX),
            flags: if offset == 0 { batch.flags.with(self.marks) } else { self.marks },
            ..PacketHeader::default()
        };
        let is_sent = match (&mut self.output, &batch.samples) {
            (Port::Counts(output), Samples::Counts(samples)) => fill(output, header, &samples[range]),
            (Port::Physical(output), Samples::Values(samples)) => fill(output, header, &samples[range]),
            _ => false,
        };
        let offset = if is_sent { offset + frames } else { offset };
        self.batch = (offset < batch.n_frames).then_some((batch, offset));
        if is_sent {
            (self.marks, self.position) = (Flags::NONE, first + u64::from(frames));
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
        self.began_ns = clock::now_ns();
        Ok(())
    }

    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        while let Some(command) = self.seat.next_request() {
            self.obey(command)?;
        }
        if !self.is_playing {
            return Ok(Flow::Idle);
        }
        let Some(first) = self.current(ctx).map(|(batch, offset)| batch.first_index + u64::from(offset)) else {
            return self.end();
        };
        let wait = self.due(first).map(|due| due.saturating_duration_since(Instant::now())).unwrap_or_default();
        let flow = if !wait.is_zero() {
            // In a long gap the position moves on although nothing is sent.
            let ahead = self.rate.samples_in(clock::nanoseconds(wait.mul_f64(self.speed)));
            self.position = self.position.max(first.saturating_sub(ahead.saturating_add(1)));
            Flow::Until(Instant::now() + wait.min(PUBLISH))
        } else if self.send() {
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

fn refused(error: ReadError) -> BuildError {
    BuildError::Rejected { what: with_causes(&error), hint: error.hint().map(ToOwned::to_owned) }
}

fn only_stream(recording: &Recording) -> Result<usize, BuildError> {
    let names: Vec<&str> = recording.streams().iter().map(|stream| stream.name.as_str()).collect();
    match names.len() {
        0 => Err(BuildError::rejected("the recording has no stream", "it was closed before it began")),
        1 => Ok(0),
        _ => Err(BuildError::rejected(
            "the recording has several streams",
            format!("set `stream` to one of {}", names.join(", ")),
        )),
    }
}

/// First index and index after the last one.
fn extent(recording: &Recording, stream: usize) -> (u64, u64) {
    let name = &recording.streams()[stream].name;
    let account = recording.ledger().streams.iter().find(|account| account.stream == *name);
    // A damaged account may end before it begins.
    let bounds = account.map_or((0, 0), |account| (account.first_index.unwrap_or(0), account.next_index));
    (bounds.0, bounds.1.max(bounds.0))
}

fn markers(recording: &Recording, stream: usize, first: u64, rate: Rate) -> Result<Vec<(f64, String)>, ReadError> {
    let name = &recording.streams()[stream].name;
    let start = recording.start_unix_ns();
    let events = recording.events()?.into_iter().map(|event| {
        let by_index = event.index.filter(|_| event.stream.as_ref().is_none_or(|stream| stream == name));
        let seconds = match by_index {
            Some(index) => index.saturating_sub(first) as f64 / rate.hz(),
            None => event.time_ns.saturating_sub(start) as f64 / 1e9,
        };
        (seconds, event.label)
    });
    Ok(events.collect())
}

fn gaps(recording: &Recording, stream: usize, first: u64, rate: Rate) -> Result<Vec<(f64, f64)>, ReadError> {
    let name = &recording.streams()[stream].name;
    let gaps = recording.gaps()?.into_iter().filter(|gap| gap.stream == *name);
    Ok(gaps.map(|gap| (gap.first_index.saturating_sub(first) as f64 / rate.hz(), gap.n as f64 / rate.hz())).collect())
}

#[cfg(test)]
mod tests;
