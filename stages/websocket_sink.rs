//! `websocket_sink`: publishes its input as a named stream of the remote port, exact, from a queue of its own.
//!
//! Every output can be subscribed to without it. It is for streams that programs rely on: they have a name that stays
//! when the pipeline is changed, a queue as long as the config says, and counts of more than 24 bits.
use wavedeck_api::{
    prelude::*,
    publication::{MOST_PACKETS, Publisher},
};

inventory::submit! { StageDescriptor {
    id: "websocket_sink",
    version: 1,
    summary: "Publishes its input as a named stream of the remote port",
    inputs: &[PortSpec {
        name: "in",
        accepts: &[SignalKind::Counts, SignalKind::Physical, SignalKind::Spectrum],
    }],
    outputs: &[],
    params: &[
        ParamSpec::text("name", "").help("Name of the stream; the id of the stage if empty."),
        ParamSpec::int("capacity", 200, 1..=MOST_PACKETS as i64)
            .help("Packets that wait for the port; where it does not keep up, the oldest go, counted."),
    ],
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: WebsocketSink::build,
} }

/// Characters of a name.
const LONGEST_NAME: usize = 80;

struct WebsocketSink {
    input: AnyInput,
    publisher: Publisher,
}

impl WebsocketSink {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let accepts = [SignalKind::Counts, SignalKind::Physical, SignalKind::Spectrum];
        let input = ctx.any_input("in", &accepts)?;
        let [source] = input.sources().collect::<Vec<_>>()[..] else {
            return Err(BuildError::rejected("a stream has one source, several end here", "add a sink for each"));
        };
        let spec = source.spec.clone();
        let name = match ctx.params().text("name").trim() {
            "" => ctx.stage_id().to_owned(),
            name if name.chars().count() <= LONGEST_NAME && !name.contains('.') => name.to_owned(),
            name => {
                let what = format!("`name` has at most {LONGEST_NAME} characters and no dot, got `{name}`");
                return Err(BuildError::rejected(what, "`stage.port` is what outputs are called"));
            }
        };
        let capacity = u32::try_from(ctx.params().int("capacity")).unwrap_or(MOST_PACKETS);
        let publisher = ctx.publication(&name, &spec, capacity)?;
        Ok(Box::new(Self { input, publisher }))
    }
}

impl Stage for WebsocketSink {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        Ok(match self.input.recv() {
            Recv::Packet((_, packet)) => {
                self.publisher.send(&packet);
                Flow::Again
            }
            Recv::Empty => Flow::Idle,
            Recv::Closed => Flow::Done,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wavedeck_api::{signal::Values, testing::Harness};

    use super::*;
    use crate::fixtures::{counts, physical};

    #[test]
    fn counts_come_as_they_are_and_the_oldest_go_when_nobody_takes_them() {
        let mut stage =
            Harness::new("websocket_sink", json!({ "capacity": 2 }), &[("in", counts(1, 4))]).expect("built");
        let publication = stage.publication.clone().expect("published");
        assert_eq!(&**publication.name(), "stage");
        stage.push::<Counts>("in", 0, &[1, 2]);
        stage.step().expect("it runs");
        assert_eq!(publication.fill(), (0, 2), "nobody reads");

        let mut reader = publication.open().expect("free");
        assert!(publication.open().is_none(), "one reader at a time");
        for first in [2, 4, 6] {
            stage.push::<Counts>("in", first, &[i32::MAX - first as i32, -1]);
            stage.step().expect("it runs");
        }
        assert_eq!((publication.fill(), publication.dropped(), reader.missed()), ((2, 2), 2, 2));
        let mut seen = Vec::new();
        while reader.next(|header, values| seen.push((header.first_sample, format!("{values:?}")))) {}
        let expected = [4, 6].map(|first| (first, format!("{:?}", Values::Counts(&[i32::MAX - first as i32, -1]))));
        assert_eq!(seen, expected);
        drop(reader);
        assert!(publication.open().is_some());
    }

    #[test]
    fn a_name_is_no_name_of_an_output() {
        let build = |name: &str| Harness::new("websocket_sink", json!({ "name": name }), &[("in", physical(3, 4))]);
        let name = |name: &str| build(name).ok().and_then(|stage| Some(stage.publication?.name().to_string()));
        assert_eq!(name(" alpha band ").as_deref(), Some("alpha band"));
        assert!(build("volts.out").err().is_some_and(|error| error.to_string().contains("no dot")));
    }
}
