//! A stage that is held up holds up who waits for it, and nobody else.
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use wavedeck_api::prelude::*;

use crate::{common::wait_until, rig::Deck};

/// The stage stands still while this is so.
static IS_HELD: AtomicBool = AtomicBool::new(false);
/// It stands still now.
static STANDS: AtomicBool = AtomicBool::new(false);

pub(crate) static HELD: StageDescriptor = StageDescriptor {
    id: "held",
    version: 1,
    summary: "stands still when it is told to",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Counts] }],
    outputs: &[],
    params: &[ParamSpec::int("number", 0, 0..=9).live()],
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 1.0,
    build: Held::build,
};

struct Held {
    input: Input<Counts>,
}

impl Held {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        Ok(Box::new(Self { input: ctx.input::<Counts>("in")? }))
    }
}

impl Stage for Held {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        while IS_HELD.load(Ordering::Relaxed) {
            STANDS.store(true, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.input.recv() {
            Recv::Packet(_) => Ok(Flow::Again),
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed => Ok(Flow::Done),
        }
    }

    fn set_param(&mut self, _key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        Ok(())
    }
}

#[test]
fn who_waits_for_a_stage_holds_up_nobody_else() {
    let config = json!({ "version": 1, "name": "held",
        "stages": [ { "id": "board", "type": "synthetic", "params": { "channels": 1 } },
                    { "id": "stage", "type": "held" } ],
        "connections": [ { "from": "board", "to": "stage", "overflow": "drop_oldest" } ] });
    let deck = Deck::of(&config);
    let mut waiting = deck.client();
    let mut other = deck.client();
    other.call("stream.subscribe", json!({ "stream": "board.out" }));
    other.data();
    IS_HELD.store(true, Ordering::Relaxed);
    wait_until("the stage to stand", || STANDS.load(Ordering::Relaxed));

    let params = json!({ "stage_id": "stage", "key": "number", "value": 3 });
    waiting.send(json!({ "jsonrpc": "2.0", "method": "param.set", "params": params, "id": "slow" }));
    waiting.send(json!({ "jsonrpc": "2.0", "method": "session.get", "id": "behind" }));
    // If these had to wait for the first client, its patience would be over before the stage goes on.
    for _ in 0..5 {
        other.call("telemetry.get", json!({}));
        other.data();
    }
    IS_HELD.store(false, Ordering::Relaxed);
    let answer = waiting.next_text();
    assert_eq!((&answer["id"], &answer["result"]["value"]), (&json!("slow"), &json!(3)), "{answer}");
    assert_eq!(waiting.next_text()["id"], "behind");
    deck.close();
}
