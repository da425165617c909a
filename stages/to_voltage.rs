//! `to_voltage`: turns the counts of an analog-digital converter into volts at the electrode.
//!
//! `value = counts * vref / gain / (2^(adc_bits - 1) - 1)`, as the data sheets of the ADS129x family define one count,
//! times 10^6 for uV or 10^3 for mV. Index, time and marks of a packet are kept.
use wavedeck_api::prelude::*;

const UNITS: &[&str] = &["uV", "mV", "V"];
/// How many of each unit make a volt.
const PER_VOLT: [f64; 3] = [1e6, 1e3, 1.0];

static PARAMS: &[ParamSpec] = &[
    ParamSpec::float("vref", 4.5, 0.1..=10.0).unit("V").step(0.1).help("Reference voltage of the converter."),
    ParamSpec::float("gain", 24.0, 1.0..=1000.0)
        .unit("x")
        .step(1.0)
        .help("Gain of the amplifier before the converter.")
        .live(),
    ParamSpec::int("adc_bits", 24, 8..=32).unit("bit").help("Width of a count, with its sign."),
    ParamSpec::choice("unit", 0, UNITS).help("Unit of the output."),
];

inventory::submit! { StageDescriptor {
    id: "to_voltage",
    version: 1,
    summary: "Turns converter counts into volts",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Counts] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: ToVoltage::build,
} }

struct ToVoltage {
    input: Input<Counts>,
    output: Output<Physical>,
    /// One count in the unit of the output, before the amplifier's gain is taken out.
    count: f64,
    gain: f64,
}

impl ToVoltage {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let (gain, unit) = (params.float("gain"), params.choice("unit"));
        let half_range = 2.0_f64.powi(params.int("adc_bits") as i32 - 1);
        let count = params.float("vref") * PER_VOLT[unit] / (half_range - 1.0);
        let input = ctx.input::<Counts>("in")?;
        let range = Some((-half_range * count / gain, (half_range - 1.0) * count / gain));
        let channel = |from: &ChannelSpec| ChannelSpec { range, ..ChannelSpec::physical(&*from.name, UNITS[unit]) };
        let spec = StreamSpec {
            kind: SignalKind::Physical,
            channels: input.spec().channels.iter().map(channel).collect(),
            ..input.spec().clone()
        };
        let output = ctx.output::<Physical>("out", spec)?;
        Ok(Box::new(Self { input, output, count, gain }))
    }
}

impl Stage for ToVoltage {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let header = *packet.header();
        let Some(mut out) = self.output.try_acquire() else {
            self.output.lose(u64::from(header.batch_size), Loss::Overrun);
            return Ok(Flow::Again);
        };
        let scale = self.count / self.gain;
        for (value, count) in out.frames_mut(header.batch_size).iter_mut().zip(packet.samples()) {
            *value = (f64::from(*count) * scale) as f32;
        }
        *out.header_mut() = self.output.forward(&header);
        self.output.send(out);
        Ok(Flow::Again)
    }

    /// The range in the stream's shape stays that of the gain it was built with.
    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        match (key, value) {
            ("gain", ParamValue::Float(gain)) => {
                self.gain = *gain;
                Ok(())
            }
            _ => Err(StageError::NotLive(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::counts;

    fn harness(params: Value) -> Harness {
        Harness::new("to_voltage", params, &[("in", counts(2, 8))]).expect("it builds")
    }

    fn converted(params: Value, samples: &[i32]) -> Vec<f32> {
        let mut stage = harness(params);
        stage.push::<Counts>("in", 0, samples);
        stage.run().expect("it runs");
        stage.take::<Physical>("out").remove(0).1
    }

    #[test]
    fn by_default_full_scale_is_that_of_a_cyton_in_microvolts() {
        let out = converted(json!({}), &[8_388_607, -8_388_607, 1, 0]);
        assert_eq!(out, [187_500.0, -187_500.0, 0.022_351_744, 0.0]);
    }

    #[test]
    fn every_width_and_unit_follows_the_formula() {
        for (bits, full) in [(8, 127), (16, 32_767), (24, 8_388_607), (32, i32::MAX)] {
            for (unit, expected) in [("V", 2.5), ("mV", 2.5e3), ("uV", 2.5e6)] {
                let params = json!({ "vref": 5.0, "gain": 2.0, "adc_bits": bits, "unit": unit });
                assert_eq!(converted(params, &[full, -full]), [expected, -expected], "{bits} {unit}");
            }
        }
    }

    #[test]
    fn names_are_kept_and_unit_and_range_are_those_of_the_output() {
        let stage = harness(json!({ "unit": "mV" }));
        let spec = stage.spec("out");
        let channel = &spec.channels[1];
        assert_eq!((&*channel.name, &*channel.unit, channel.scale), ("a1", "mV", 1.0));
        let (low, high) = channel.range.expect("known");
        assert!((high - 187.5).abs() < 1e-9 && (low + 187.5).abs() < 1e-4, "{low} {high}");
        assert_eq!((spec.rate, spec.max_batch), (counts(2, 8).rate, 8));
    }

    #[test]
    fn headers_are_kept_for_packets_of_any_size() {
        let mut stage = harness(json!({}));
        stage.push::<Counts>("in", 40, &[1, 2]);
        stage.push::<Counts>("in", 41, &[1; 16]);
        stage.push::<Counts>("in", 49, &[]);
        stage.run().expect("it runs");
        let out = stage.take::<Physical>("out");
        assert_eq!((out[0].0.first_sample, out[0].0.batch_size, out[0].0.timestamp_ns), (40, 1, 160_000_000));
        assert_eq!((out[1].0.first_sample, out[1].0.batch_size, out[1].0.channels), (41, 8, 2));
        assert_eq!((out[2].0.first_sample, out[2].0.batch_size), (49, 0));
        stage.close();
        assert_eq!(stage.run().expect("it runs"), Flow::Done);
    }

    #[test]
    fn the_gain_changes_between_two_packets() {
        let mut stage = harness(json!({}));
        for (gain, expected) in [(1.0, 4_500_000.0), (1000.0, 4500.0)] {
            stage.set_param("gain", &json!(gain)).expect("in range");
            stage.push::<Counts>("in", 0, &[8_388_607, 0]);
            stage.run().expect("it runs");
            assert_eq!(stage.take::<Physical>("out")[0].1, [expected, 0.0]);
        }
        assert!(matches!(stage.set_param("vref", &json!(0.1)), Err(StageError::NotLive("vref"))));
    }
}
