//! Stage types to measure with: a source, three ways of passing a packet on, and a sink.
use std::{
    hint::black_box,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wavedeck_api::{clock, prelude::*};
use wavedeck_plane::StageRegistry;

const PORT_IN: &[PortSpec] = &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }];
const PORT_OUT: &[PortSpec] = &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }];
/// A power of two, so that a chain of any length gives an exact value.
pub(crate) const GAIN: f32 = 0.5;

static SOURCE: StageDescriptor = StageDescriptor {
    id: "source",
    version: 1,
    summary: "sends as fast as packets are taken, or at a rate",
    inputs: &[],
    outputs: PORT_OUT,
    params: &[
        ParamSpec::int("samples", 16, 1..=1_000_000),
        ParamSpec::int("packets", 0, 0..=1_000_000_000_000),
        ParamSpec::float("packets_hz", 0.0, 0.0..=1_000_000.0),
    ],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Source::build,
};

const GAINS: &[ParamSpec] = &[ParamSpec::float("gain", GAIN as f64, 0.0..=2.0)];

/// A way of passing a packet on, with the ports that all of them have.
const fn pass(
    id: &'static str,
    in_place: bool,
    build: fn(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError>,
) -> StageDescriptor {
    StageDescriptor {
        id,
        version: 1,
        summary: "passes packets on",
        inputs: PORT_IN,
        outputs: PORT_OUT,
        params: GAINS,
        realtime: false,
        in_place,
        blocking: false,
        max_latency_ms: 1.0,
        build,
    }
}

static HAND_ON: StageDescriptor = pass("hand_on", true, |ctx| Pass::build(ctx, hand_on));
static TOUCH: StageDescriptor = pass("touch", true, |ctx| Pass::build(ctx, touch));
static COPY: StageDescriptor = pass("copy", false, |ctx| Pass::build(ctx, copy));

static SINK: StageDescriptor = StageDescriptor {
    id: "sink",
    version: 1,
    summary: "takes packets and notes how old they are",
    inputs: PORT_IN,
    outputs: &[],
    params: &[],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Sink::build,
};

/// These stage types.
pub(crate) fn registry() -> StageRegistry {
    StageRegistry::of([&SOURCE, &HAND_ON, &TOUCH, &COPY, &SINK]).expect("distinct names")
}

/// What the stages of one run saw. Left behind when they finish.
#[derive(Default)]
pub(crate) struct Seen {
    /// Samples that arrived at the sink.
    pub(crate) samples: u64,
    /// Last value that arrived.
    pub(crate) last: f32,
    /// From the send of each packet to its arrival; of sources with a rate.
    pub(crate) ages_ns: Vec<u64>,
    /// From the moment a packet was due to its send.
    pub(crate) late_ns: Vec<u64>,
}

static SEEN: Mutex<Seen> = Mutex::new(Seen { samples: 0, last: 0.0, ages_ns: Vec::new(), late_ns: Vec::new() });

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what the last run left behind. Runs follow each other, so there is one place for it.
pub(crate) fn take_seen() -> Seen {
    std::mem::take(&mut *seen())
}

/// Times are kept in memory that is there before the run.
const ROOM: usize = 1 << 17;

fn note(times: &mut Vec<u64>, nanoseconds: u64) {
    if times.len() < times.capacity() {
        times.push(nanoseconds);
    }
}

struct Source {
    output: Output<Physical>,
    samples: u32,
    packets: u64,
    rate: Option<Rate>,
    origin_ns: Option<u64>,
    late_ns: Vec<u64>,
    next: u64,
}

impl Source {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let samples = u32::try_from(params.int("samples")).expect("the range of the parameter");
        let packets = match params.int("packets") {
            0 => u64::MAX,
            packets => packets.unsigned_abs(),
        };
        let rate = Rate::from_hz(params.float("packets_hz"));
        ctx.set_realtime(rate.is_some());
        let spec = StreamSpec {
            kind: SignalKind::Physical,
            channels: [ChannelSpec::physical("a", "V")].into(),
            rate: Rate::new(1000, 1).expect("positive"),
            max_batch: samples,
            spectrum: None,
        };
        let output = ctx.output::<Physical>("out", spec)?;
        let late_ns = Vec::with_capacity(if rate.is_some() { ROOM } else { 0 });
        Ok(Box::new(Self { output, samples, packets, rate, origin_ns: None, late_ns, next: 0 }))
    }

    fn send(&mut self, timestamp_ns: u64) {
        let samples = u64::from(self.samples);
        let first_sample = self.next * samples;
        let Some(mut packet) = self.output.try_acquire() else {
            return self.output.lose(samples, Loss::Overrun);
        };
        packet.frames_mut(self.samples).fill(value_of(self.next));
        let header = packet.header_mut();
        (header.first_sample, header.timestamp_ns) = (first_sample, timestamp_ns);
        self.output.send(packet);
    }
}

/// What the samples of a packet are.
pub(crate) fn value_of(packet: u64) -> f32 {
    (packet % 1024 + 1) as f32
}

impl Stage for Source {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        if self.next == self.packets {
            return Ok(Flow::Done);
        }
        let Some(rate) = self.rate else {
            self.send(0);
            self.next += 1;
            return Ok(Flow::Again);
        };
        let now_ns = clock::now_ns();
        let origin_ns = *self.origin_ns.get_or_insert(now_ns);
        let due_ns = origin_ns + rate.nanoseconds_at(self.next);
        if now_ns < due_ns {
            return Ok(Flow::Until(clock::instant_at(due_ns)));
        }
        note(&mut self.late_ns, now_ns - due_ns);
        self.send(clock::now_ns());
        self.next += 1;
        let due_ns = origin_ns + rate.nanoseconds_at(self.next);
        Ok(if now_ns < due_ns { Flow::Until(clock::instant_at(due_ns)) } else { Flow::Again })
    }

    fn finish(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        seen().late_ns = std::mem::take(&mut self.late_ns);
        Ok(())
    }
}

/// Makes of the packet that came the one that goes on; `None` if there was no buffer.
type Work = fn(&mut Output<Physical>, Shared<Physical>, f32) -> Option<Packet<Physical>>;

fn hand_on(output: &mut Output<Physical>, packet: Shared<Physical>, _gain: f32) -> Option<Packet<Physical>> {
    output.own(packet)
}

fn touch(output: &mut Output<Physical>, packet: Shared<Physical>, gain: f32) -> Option<Packet<Physical>> {
    let mut packet = output.own(packet)?;
    for sample in packet.samples_mut() {
        *sample *= gain;
    }
    Some(packet)
}

fn copy(output: &mut Output<Physical>, packet: Shared<Physical>, _gain: f32) -> Option<Packet<Physical>> {
    let mut copy = output.try_acquire()?;
    copy.frames_mut(packet.header().batch_size).copy_from_slice(packet.samples());
    let header = output.forward(packet.header());
    *copy.header_mut() = header;
    Some(copy)
}

struct Pass {
    input: Input<Physical>,
    output: Output<Physical>,
    gain: f32,
    work: Work,
}

impl Pass {
    fn build(ctx: &mut BuildContext<'_>, work: Work) -> Result<Box<dyn Stage>, BuildError> {
        let gain = ctx.params().float("gain") as f32;
        let input = ctx.input::<Physical>("in")?;
        let output = ctx.output::<Physical>("out", input.spec().clone())?;
        Ok(Box::new(Self { input, output, gain, work }))
    }
}

impl Stage for Pass {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let Some(packet) = (self.work)(&mut self.output, packet, self.gain) else {
            return Err(StageError::Failed("no buffer although the pool was sized for it".into()));
        };
        self.output.send(packet);
        Ok(Flow::Again)
    }
}

struct Sink {
    input: Input<Physical>,
    samples: u64,
    last: f32,
    ages_ns: Vec<u64>,
}

impl Sink {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.input::<Physical>("in")?;
        Ok(Box::new(Self { input, samples: 0, last: 0.0, ages_ns: Vec::with_capacity(ROOM) }))
    }
}

impl Stage for Sink {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        match self.input.recv() {
            Recv::Packet(packet) => {
                let sent_ns = packet.header().timestamp_ns;
                if sent_ns > 0 {
                    note(&mut self.ages_ns, clock::now_ns().saturating_sub(sent_ns));
                }
                self.samples += u64::from(packet.header().batch_size);
                self.last = *black_box(packet.samples()).last().unwrap_or(&f32::NAN);
                Ok(Flow::Again)
            }
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed => Ok(Flow::Done),
        }
    }

    fn finish(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        let mut seen = seen();
        (seen.samples, seen.last) = (self.samples, self.last);
        seen.ages_ns = std::mem::take(&mut self.ages_ns);
        Ok(())
    }
}
