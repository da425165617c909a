//! `cargo xtask new-stage NAME`: one new file and one `mod` line.
use std::{fs, path::Path};

use anyhow::{Context, bail, ensure};

/// What a new stage begins as: passes samples on, with one parameter and one test. `NAME` and `TYPE` are replaced.
const TEMPLATE: &str = r#"//! `NAME`: passes samples on.
use wavedeck_api::prelude::*;

inventory::submit! { StageDescriptor {
    id: "NAME",
    version: 1,
    summary: "Passes samples on",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: &[],
    realtime: false,
    in_place: true,
    blocking: false,
    max_latency_ms: 1.0,
    build: TYPE::build,
} }

struct TYPE {
    input: Input<Physical>,
    output: Output<Physical>,
}

impl TYPE {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.input::<Physical>("in")?;
        let output = ctx.output::<Physical>("out", input.spec().clone())?;
        Ok(Box::new(Self { input, output }))
    }
}

impl Stage for TYPE {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.recv() {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        let samples = u64::from(packet.header().batch_size);
        match self.output.own(packet) {
            Some(packet) => self.output.send(packet),
            None => self.output.lose(samples, Loss::Overrun),
        }
        Ok(Flow::Again)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::physical;

    #[test]
    fn samples_pass() {
        let mut stage = Harness::new("NAME", json!({}), &[("in", physical(1, 4))]).expect("it builds");
        stage.push::<Physical>("in", 0, &[1.0, 2.0]);
        stage.run().expect("it runs");
        assert_eq!(stage.take::<Physical>("out")[0].1, [1.0, 2.0]);
    }
}
"#;

/// Makes `stages/NAME.rs` and its `mod` line.
pub(crate) fn create(name: &str) -> anyhow::Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain),
        "a stage is named in lower case, such as band_power, got `{name}`"
    );
    let path = format!("stages/{name}.rs");
    ensure!(!Path::new(&path).exists(), "{path} is there already");
    let type_name: String = name.split('_').map(capital).collect();
    let list = fs::read_to_string("stages/lib.rs").context("stages/lib.rs: run this from the project's root")?;
    let mut lines: Vec<&str> = list.lines().collect();
    let line = format!("pub mod {name};");
    let Some(place) = lines.iter().rposition(|other| other.starts_with("pub mod ") && *other < line.as_str()) else {
        bail!("no place for `{line}` in stages/lib.rs");
    };
    lines.insert(place + 1, &line);
    fs::write(&path, TEMPLATE.replace("NAME", name).replace("TYPE", &type_name))?;
    fs::write("stages/lib.rs", lines.join("\n") + "\n")?;
    println!("{path}: now add `{name}` to the list in tests/command_line.rs, and a line to CHANGELOG.md");
    Ok(())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}
