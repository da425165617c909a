//! `filter`: high-pass, notch and low-pass for every channel, without a break between packets.
//!
//! Butterworth corners and one notch as second-order sections, see [`crate::dsp::biquad`]. The state is kept from
//! packet to packet and over short gaps; after a gap of more than a second, or a jump back, the filter starts anew,
//! since what it remembers has no bearing on what comes. It starts as if its first sample had been there for ever, so
//! the offset of an electrode does not ring. Output samples keep index and time of the input; the phase is that of the
//! filter.
use wavedeck_api::{param::ParamError, prelude::*};

use crate::dsp::{
    biquad::{Pass, Section, butterworth, notch},
    cascade::{Cascade, Chain},
};

/// Lowest corner as a part of the rate: below, the rounding of `f64` coefficients moves the gain by more than 0.1 %.
/// 0.01 Hz at 30 kHz.
const LOWEST: f64 = 1.0 / 3_000_000.0;

const ORDERS: &[&str] = &["2", "4", "6", "8"];

static PARAMS: &[ParamSpec] = &[
    ParamSpec::float("highpass_hz", 0.5, 0.0..=50_000.0)
        .unit("Hz")
        .step(0.1)
        .help("Corner (-3 dB) below which signals are removed, such as drift and offset; 0 is off.")
        .live(),
    ParamSpec::float("lowpass_hz", 0.0, 0.0..=50_000.0)
        .unit("Hz")
        .step(1.0)
        .help("Corner (-3 dB) above which signals are removed; 0 is off.")
        .live(),
    ParamSpec::float("notch_hz", 0.0, 0.0..=50_000.0)
        .unit("Hz")
        .step(10.0)
        .help("Frequency that is cut out, such as mains at 50 or 60 Hz; 0 is off.")
        .live(),
    ParamSpec::choice("order", 1, ORDERS)
        .help("Order of each Butterworth corner: 2 falls by 12 dB per octave, 4 by 24, 6 by 36, 8 by 48.")
        .live(),
    ParamSpec::float("notch_q", 30.0, 0.5..=1000.0)
        .step(1.0)
        .help("Centre of the notch over its width: 30 at 50 Hz cuts 1.7 Hz; higher is narrower and rings longer.")
        .live(),
];

inventory::submit! { StageDescriptor {
    id: "filter",
    version: 1,
    summary: "Removes drift, mains and noise: Butterworth high-pass and low-pass, and a notch",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: PARAMS,
    realtime: false,
    in_place: true,
    blocking: false,
    max_latency_ms: 1.0,
    build: Filter::build,
} }

struct Filter {
    input: Input<Physical>,
    output: Output<Physical>,
    settings: Settings,
    cascade: Cascade,
    /// Index of the sample that follows the last packet.
    next_sample: u64,
}

impl Filter {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let input = ctx.input::<Physical>("in")?;
        let settings = Settings {
            highpass_hz: params.float("highpass_hz"),
            lowpass_hz: params.float("lowpass_hz"),
            notch_hz: params.float("notch_hz"),
            order: order_of(params.choice("order")),
            notch_q: params.float("notch_q"),
        };
        let chain = settings.chain(input.spec().rate.hz()).map_err(Refusal::at_build)?;
        let output = ctx.output::<Physical>("out", input.spec().clone())?;
        let cascade = Cascade::new(input.spec().channels.len(), chain);
        Ok(Box::new(Self { input, output, settings, cascade, next_sample: 0 }))
    }
}

impl Stage for Filter {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let header = *packet.header();
        let is_near = header
            .first_sample
            .checked_sub(self.next_sample)
            .is_some_and(|missing| missing as f64 <= self.input.spec().rate.hz());
        if !is_near {
            self.cascade.restart();
        }
        self.next_sample = header.end_sample();
        let Some(mut packet) = self.output.own(packet) else {
            self.output.lose(u64::from(header.batch_size), Loss::Overrun);
            return Ok(Flow::Again);
        };
        self.cascade.run(packet.samples_mut());
        self.output.send(packet);
        Ok(Flow::Again)
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        let mut settings = self.settings;
        match (key, value) {
            ("highpass_hz", ParamValue::Float(hz)) => settings.highpass_hz = *hz,
            ("lowpass_hz", ParamValue::Float(hz)) => settings.lowpass_hz = *hz,
            ("notch_hz", ParamValue::Float(hz)) => settings.notch_hz = *hz,
            ("order", ParamValue::Choice(index)) => settings.order = order_of(usize::from(*index)),
            ("notch_q", ParamValue::Float(q)) => settings.notch_q = *q,
            _ => return Err(StageError::NotLive(key)),
        }
        let chain = settings.chain(self.input.spec().rate.hz()).map_err(Refusal::while_running)?;
        self.cascade.retune(chain);
        self.settings = settings;
        Ok(())
    }
}

fn order_of(choice: usize) -> usize {
    2 * (choice + 1)
}

#[derive(Clone, Copy)]
struct Settings {
    highpass_hz: f64,
    lowpass_hz: f64,
    notch_hz: f64,
    order: usize,
    notch_q: f64,
}

impl Settings {
    /// Designs the sections for a stream of `rate_hz`; high-pass first, so that an offset is gone before the rest.
    fn chain(&self, rate_hz: f64) -> Result<Chain, Refusal> {
        let corners = [("highpass_hz", self.highpass_hz), ("notch_hz", self.notch_hz), ("lowpass_hz", self.lowpass_hz)];
        for (key, got_hz) in corners {
            if got_hz != 0.0 && !(got_hz >= rate_hz * LOWEST && got_hz < rate_hz / 2.0) {
                return Err(Refusal::OutOfBand { key, got_hz, rate_hz });
            }
        }
        let (highpass_hz, lowpass_hz) = (self.highpass_hz, self.lowpass_hz);
        if highpass_hz != 0.0 && lowpass_hz != 0.0 && highpass_hz >= lowpass_hz {
            return Err(Refusal::Crossed { highpass_hz, lowpass_hz });
        }
        let (mut high, mut cut, mut low) = ([Section::default(); 4], [Section::default(); 1], [Section::default(); 4]);
        let butterworth = |pass, hz| butterworth(pass, self.order, hz, rate_hz);
        let highs = fill(&mut high, highpass_hz, |hz| butterworth(Pass::High, hz));
        let cuts = fill(&mut cut, self.notch_hz, |hz| std::iter::once(notch(hz, self.notch_q, rate_hz)));
        let lows = fill(&mut low, lowpass_hz, |hz| butterworth(Pass::Low, hz));
        Ok(Chain::new([highs, cuts, lows]))
    }
}

/// The sections of `design` at `hz`, put into `room`; none if `hz` is 0.
fn fill<I: Iterator<Item = Section>>(room: &mut [Section], hz: f64, design: impl Fn(f64) -> I) -> &[Section] {
    if hz == 0.0 {
        return &[];
    }
    let count = room.iter_mut().zip(design(hz)).map(|(to, section)| *to = section).count();
    &room[..count]
}

/// Settings that make no filter at the rate of the stream.
#[derive(Debug)]
enum Refusal {
    OutOfBand { key: &'static str, got_hz: f64, rate_hz: f64 },
    Crossed { highpass_hz: f64, lowpass_hz: f64 },
}

impl Refusal {
    fn at_build(self) -> BuildError {
        match self {
            Self::OutOfBand { key, got_hz, rate_hz } => BuildError::rejected(
                format!("`{key}` must be {} for a stream of {rate_hz} Hz, got {got_hz}", band(rate_hz)),
                format!("set `{key}` below {} Hz, or to 0 to turn it off", rate_hz / 2.0),
            ),
            Self::Crossed { highpass_hz, lowpass_hz } => BuildError::rejected(
                format!("`highpass_hz` must be below `lowpass_hz` ({lowpass_hz} Hz), got {highpass_hz}"),
                "the band between the two passes; set one of them to 0 to turn it off",
            ),
        }
    }

    fn while_running(self) -> StageError {
        StageError::Param(match self {
            Self::OutOfBand { key, got_hz, rate_hz } => {
                ParamError::OutOfRange { key, range: band(rate_hz), got: got_hz.to_string() }
            }
            Self::Crossed { highpass_hz, lowpass_hz } => ParamError::OutOfRange {
                key: "highpass_hz",
                range: format!("below `lowpass_hz` ({lowpass_hz} Hz)"),
                got: highpass_hz.to_string(),
            },
        })
    }
}

fn band(rate_hz: f64) -> String {
    format!("0 (off) or from {} to below {} Hz", rate_hz * LOWEST, rate_hz / 2.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::physical;

    fn harness(params: Value) -> Harness {
        Harness::new("filter", params, &[("in", physical(2, 16))]).expect("it builds")
    }

    /// `frames` frames of two channels from `first`: an offset of -187 mV (in uV) with a sine of 10 Hz, and noise.
    fn signal(first: u64, frames: u64) -> Vec<f32> {
        let frame = |n: u64| {
            let sine = 50.0 * (n as f64 * 10.0 / 250.0 * std::f64::consts::TAU).sin();
            [(sine - 187_000.0) as f32, (n.wrapping_mul(7919) % 1009) as f32 - 504.0]
        };
        (first..first + frames).flat_map(frame).collect()
    }

    fn push(stage: &mut Harness, mut first: u64, batches: &[u64]) {
        for batch in batches {
            stage.push::<Physical>("in", first, &signal(first, *batch));
            first += batch;
        }
        stage.run().expect("it runs");
    }

    fn values(stage: &mut Harness) -> Vec<f32> {
        stage.take::<Physical>("out").into_iter().flat_map(|(_, values)| values).collect()
    }

    #[test]
    fn it_builds_with_defaults_and_keeps_shape_and_header() {
        let mut stage = harness(json!({}));
        stage.push::<Physical>("in", 40, &signal(40, 3));
        stage.push::<Physical>("in", 43, &signal(43, 1));
        stage.run().expect("it runs");
        let out = stage.take::<Physical>("out");
        assert_eq!(*stage.spec("out"), physical(2, 16));
        assert_eq!((out[0].0.first_sample, out[0].0.batch_size, out[0].0.channels), (40, 3, 2));
        assert_eq!((out[1].0.first_sample, out[1].0.batch_size, out[1].0.timestamp_ns), (43, 1, 172_000_000));
        stage.close();
        assert_eq!(stage.run().expect("it runs"), Flow::Done);
    }

    #[test]
    fn packets_of_any_size_give_the_same_bits() {
        let params = json!({ "highpass_hz": 1.0, "lowpass_hz": 45.0, "notch_hz": 50.0, "order": 6 });
        let (mut whole, mut split) = (harness(params.clone()), harness(params));
        push(&mut whole, 0, &[16; 100]);
        push(&mut split, 0, &[1, 7, 0, 16, 3, 5].repeat(50));
        assert_eq!(values(&mut whole), values(&mut split));
    }

    #[test]
    fn the_offset_of_an_electrode_does_not_ring() {
        let mut stage = harness(json!({ "highpass_hz": 0.5, "lowpass_hz": 45.0 }));
        push(&mut stage, 0, &[16; 20]);
        let largest = values(&mut stage).iter().step_by(2).fold(0.0, |largest: f32, value| largest.max(value.abs()));
        assert!(largest < 60.0, "{largest}");
    }

    #[test]
    fn everything_off_changes_nothing() {
        let mut stage = harness(json!({ "highpass_hz": 0 }));
        push(&mut stage, 0, &[16, 16]);
        assert_eq!(values(&mut stage), signal(0, 32));
    }

    #[test]
    fn a_corner_at_half_the_rate_is_refused_with_the_limit() {
        let input = [("in", physical(1, 8))];
        let error = Harness::new("filter", json!({ "lowpass_hz": 125.0 }), &input).err().expect("too high");
        assert!(error.to_string().starts_with("`lowpass_hz` must be 0 (off) or from "), "{error}");
        assert!(error.to_string().ends_with("below 125 Hz for a stream of 250 Hz, got 125"), "{error}");
        let BuildError::Rejected { hint: Some(hint), .. } = error else { panic!("{error}") };
        assert_eq!(hint, "set `lowpass_hz` below 125 Hz, or to 0 to turn it off");
    }

    #[test]
    fn crossed_corners_are_refused() {
        let crossed = json!({ "highpass_hz": 45, "lowpass_hz": 1 });
        let error = Harness::new("filter", crossed, &[("in", physical(1, 8))]).err().expect("no band");
        assert_eq!(error.to_string(), "`highpass_hz` must be below `lowpass_hz` (1 Hz), got 45");
    }

    #[test]
    fn a_refused_change_leaves_the_filter_as_it_was() {
        let (mut changed, mut other) = (harness(json!({})), harness(json!({})));
        push(&mut changed, 0, &[16, 16]);
        push(&mut other, 0, &[16, 16]);
        let error = changed.set_param("lowpass_hz", &json!(200)).expect_err("above half the rate");
        assert!(error.to_string().ends_with("below 125 Hz, got 200"), "{error}");
        push(&mut changed, 32, &[16]);
        push(&mut other, 32, &[16]);
        assert_eq!(values(&mut changed), values(&mut other));
    }

    #[test]
    fn both_ends_of_every_range_are_survived() {
        let mut stage = harness(json!({ "notch_hz": 50.0 }));
        let ends = [
            ("highpass_hz", json!(0), json!(50_000)),
            ("lowpass_hz", json!(0), json!(50_000)),
            ("notch_hz", json!(0), json!(50_000)),
            ("order", json!("2"), json!("8")),
            ("notch_q", json!(0.5), json!(1000)),
        ];
        let mut first = 0;
        for (key, low, high) in ends {
            for value in [low, high] {
                let _ = stage.set_param(key, &value);
                push(&mut stage, first, &[1, 15]);
                first += 16;
            }
        }
        assert!(values(&mut stage).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn moving_a_corner_does_not_click() {
        let mut stage = harness(json!({ "highpass_hz": 0.5 }));
        // A slow ramp of 1 mV/s: the level is far from where the filter started.
        let ramp = |first: u64| (first..first + 10).flat_map(|n| [n as f32 * 4.0; 2]).collect::<Vec<_>>();
        for packet in 0..500 {
            stage.push::<Physical>("in", packet * 10, &ramp(packet * 10));
            stage.run().expect("it runs");
        }
        let before = *values(&mut stage).last().expect("values");
        stage.set_param("highpass_hz", &json!(1.0)).expect("in range");
        stage.push::<Physical>("in", 5000, &ramp(5000));
        stage.run().expect("it runs");
        let after = values(&mut stage)[0];
        assert!((after - before).abs() < 20.0, "{before} -> {after}, on a level of 20000");
    }

    #[test]
    fn a_short_gap_keeps_the_state_and_a_long_one_restarts() {
        let (mut short, mut long) = (harness(json!({})), harness(json!({})));
        for stage in [&mut short, &mut long] {
            stage.push::<Physical>("in", 0, &[0.0; 20]);
        }
        short.push::<Physical>("in", 260, &[1000.0; 2]);
        long.push::<Physical>("in", 261, &[1000.0; 2]);
        short.run().expect("it runs");
        long.run().expect("it runs");
        assert!(values(&mut short)[20] > 900.0);
        assert_eq!(values(&mut long)[20], 0.0);
    }
}
