//! `gain`: multiplies every sample by a constant. The stage to copy when writing a new one.
use wavedeck_api::prelude::*;

// One row per parameter. The table is the only description: config checks, the form on the screen, `wavedeck stages`
// and remote requests all read it. `live` lets a value change between two packets.
static PARAMS: &[ParamSpec] = &[ParamSpec::float("gain", 1.0, -1000.0..=1000.0)
    .unit("x")
    .step(0.1)
    .help("Factor applied to every sample.")
    .live()];

inventory::submit! { StageDescriptor {
    id: "gain",
    version: 1,
    summary: "Multiplies every sample by a constant",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: PARAMS,
    realtime: false,
    in_place: true,
    blocking: false,
    max_latency_ms: 1.0,
    build: Gain::build,
} }

struct Gain {
    input: Input<Physical>,
    output: Output<Physical>,
    gain: f32,
}

impl Gain {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let gain = ctx.params().float("gain") as f32;
        let input = ctx.input::<Physical>("in")?;
        let output = ctx.output::<Physical>("out", input.spec().clone())?;
        Ok(Box::new(Self { input, output, gain }))
    }
}

impl Stage for Gain {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let samples = u64::from(packet.header().batch_size);
        // Writes in place when nobody else reads the packet. The pool is sized so that a copy always finds a buffer;
        // should it not, the loss is counted.
        let Some(mut packet) = self.output.own(packet) else {
            self.output.lose(samples, Loss::Overrun);
            return Ok(Flow::Again);
        };
        for sample in packet.samples_mut() {
            *sample *= self.gain;
        }
        self.output.send(packet);
        Ok(Flow::Again)
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        match (key, value) {
            ("gain", ParamValue::Float(gain)) => {
                self.gain = *gain as f32;
                Ok(())
            }
            _ => Err(StageError::NotLive(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::physical;

    fn harness(gain: f64) -> Harness {
        Harness::new("gain", json!({ "gain": gain }), &[("in", physical(2, 8))]).expect("it builds")
    }

    #[test]
    fn every_sample_is_multiplied_and_the_header_kept() {
        let mut stage = harness(2.5);
        stage.push::<Physical>("in", 40, &[1.0, -2.0, 4.0, 0.0]);
        stage.run().expect("it runs");
        let out = stage.take::<Physical>("out");
        assert_eq!(out[0].1, [2.5, -5.0, 10.0, 0.0]);
        assert_eq!((out[0].0.first_sample, out[0].0.batch_size), (40, 2));
    }

    #[test]
    fn a_change_lands_between_two_packets_and_raises_the_epoch() {
        let mut stage = harness(1.0);
        stage.push::<Physical>("in", 0, &[1.0, 1.0]);
        stage.run().expect("it runs");
        stage.set_param("gain", &json!(-1000.0)).expect("in range");
        stage.push::<Physical>("in", 1, &[1.0, 1.0]);
        stage.run().expect("it runs");
        let out = stage.take::<Physical>("out");
        assert_eq!((out[0].1[0], out[0].0.param_epoch), (1.0, 0));
        assert_eq!((out[1].1[0], out[1].0.param_epoch), (-1000.0, 1));
    }

    #[test]
    fn it_ends_when_its_input_ends() {
        let mut stage = harness(1.0);
        stage.close();
        assert_eq!(stage.run().expect("it runs"), Flow::Done);
    }
}
