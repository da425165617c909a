//! Stage types for the tests of the plane: a source, a pass-through, a sink, and ones that misbehave.
use std::time::{Duration, Instant};

use wavedeck_api::prelude::*;

/// Sends `packets` packets of one ramp, as fast as they are taken, or for ever when 0.
pub(crate) static SOURCE: StageDescriptor = StageDescriptor {
    id: "source",
    version: 1,
    summary: "a ramp",
    inputs: &[],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: &[
        ParamSpec::int("packets", 0, 0..=1_000_000),
        ParamSpec::bool("realtime", false),
        ParamSpec::int("rate_hz", 1000, 1..=1_000_000),
        ParamSpec::int("rest_ms", 0, 0..=1000),
    ],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Source::build,
};

/// Multiplies by its live parameter `gain`, in place.
pub(crate) static PASS: StageDescriptor = StageDescriptor {
    id: "pass",
    version: 1,
    summary: "a factor",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: &[ParamSpec::float("gain", 1.0, 0.0..=10.0).live(), ParamSpec::int("fault_at", 0, 0..=1000)],
    realtime: false,
    in_place: true,
    blocking: false,
    max_latency_ms: 40.0,
    build: Pass::build,
};

/// Takes packets and checks that the ramp has no hole where `whole` is set.
pub(crate) static SINK: StageDescriptor = StageDescriptor {
    id: "sink",
    version: 1,
    summary: "the end",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[],
    params: &[ParamSpec::bool("whole", false), ParamSpec::bool("stuck", false), ParamSpec::bool("unhurried", false)],
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 100.0,
    build: Sink::build,
};

const FRAMES: u32 = 4;

/// What the source sends.
pub(crate) fn ramp_spec(rate_hz: u64) -> StreamSpec {
    StreamSpec {
        kind: SignalKind::Physical,
        channels: [ChannelSpec::physical("a", "V")].into(),
        rate: Rate::new(rate_hz, 1).expect("positive"),
        max_batch: FRAMES,
        spectrum: None,
    }
}

struct Source {
    output: Output<Physical>,
    left: Option<i64>,
    rest: Option<Duration>,
    next: u64,
}

impl Source {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let packets = ctx.params().int("packets");
        ctx.set_realtime(ctx.params().bool("realtime"));
        let rest = Some(Duration::from_millis(ctx.params().int("rest_ms") as u64)).filter(|rest| !rest.is_zero());
        let output = ctx.output::<Physical>("out", ramp_spec(ctx.params().int("rate_hz") as u64))?;
        Ok(Box::new(Self { output, left: (packets > 0).then_some(packets), rest, next: 0 }))
    }
}

impl Stage for Source {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        if let Some(left) = &mut self.left {
            if *left == 0 {
                return Ok(Flow::Done);
            }
            *left -= 1;
        }
        let first = self.next;
        self.next += u64::from(FRAMES);
        let Some(mut packet) = self.output.try_acquire() else {
            self.output.lose(u64::from(FRAMES), Loss::Overrun);
            return Ok(Flow::Again);
        };
        for (sample, index) in packet.frames_mut(FRAMES).iter_mut().zip(first..) {
            *sample = index as f32;
        }
        packet.header_mut().first_sample = first;
        self.output.send(packet);
        Ok(self.rest.map_or(Flow::Again, |rest| Flow::Until(Instant::now() + rest)))
    }
}

struct Pass {
    input: Input<Physical>,
    output: Output<Physical>,
    gain: f32,
    fault_at: i64,
    seen: i64,
}

impl Pass {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let (gain, fault_at) = (ctx.params().float("gain") as f32, ctx.params().int("fault_at"));
        let input = ctx.input::<Physical>("in")?;
        let output = ctx.output::<Physical>("out", input.spec().clone())?;
        Ok(Box::new(Self { input, output, gain, fault_at, seen: 0 }))
    }
}

impl Stage for Pass {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        self.seen += 1;
        assert!(self.fault_at == 0 || self.seen < self.fault_at, "asked to panic at packet {}", self.seen);
        let Some(mut packet) = self.output.own(packet) else {
            return Err(StageError::Failed("no buffer although the pool was sized for it".into()));
        };
        for sample in packet.samples_mut() {
            *sample *= self.gain;
        }
        self.output.send(packet);
        Ok(Flow::Again)
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        let ("gain", ParamValue::Float(gain)) = (key, value) else { return Err(StageError::NotLive(key)) };
        self.gain = *gain as f32;
        Ok(())
    }
}

struct Sink {
    input: Input<Physical>,
    whole: bool,
    stuck: bool,
    next: u64,
}

impl Sink {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let (whole, stuck) = (ctx.params().bool("whole"), ctx.params().bool("stuck"));
        if ctx.params().bool("unhurried") {
            ctx.set_unhurried();
        }
        Ok(Box::new(Self { input: ctx.input::<Physical>("in")?, whole, stuck, next: 0 }))
    }
}

impl Stage for Sink {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        if self.stuck {
            loop {
                std::thread::park();
            }
        }
        match self.input.recv() {
            Recv::Packet(packet) => {
                if self.whole && packet.header().first_sample != self.next {
                    return Err(StageError::Failed(format!("a hole before sample {}", packet.header().first_sample)));
                }
                self.next = packet.header().end_sample();
                Ok(Flow::Again)
            }
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed => Ok(Flow::Done),
        }
    }
}
