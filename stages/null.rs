//! `null`: takes packets and lets them go; ends a branch that nobody reads.
use wavedeck_api::prelude::*;

inventory::submit! { StageDescriptor {
    id: "null",
    version: 1,
    summary: "Takes packets and lets them go",
    inputs: &[PortSpec {
        name: "in",
        accepts: &[SignalKind::Counts, SignalKind::Physical, SignalKind::Spectrum],
    }],
    outputs: &[],
    params: &[],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Null::build,
} }

struct Null {
    input: AnyInput,
}

impl Null {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.any_input("in", &[SignalKind::Counts, SignalKind::Physical, SignalKind::Spectrum])?;
        Ok(Box::new(Self { input }))
    }
}

impl Stage for Null {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        Ok(match self.input.recv() {
            Recv::Packet(_) => Flow::Again,
            Recv::Empty => Flow::Idle,
            Recv::Closed => Flow::Done,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::{counts, physical};

    #[test]
    fn it_takes_every_kind_from_several_links_until_all_end() {
        let inputs = [("in", counts(1, 4)), ("in", physical(3, 4))];
        let mut stage = Harness::new("null", json!({}), &inputs).expect("it builds");
        stage.push::<Counts>("in", 0, &[1, 2]);
        assert_eq!(stage.step().expect("it runs"), Flow::Again);
        assert_eq!(stage.step().expect("it runs"), Flow::Idle);
        stage.close();
        assert_eq!(stage.step().expect("it runs"), Flow::Done);
    }
}
