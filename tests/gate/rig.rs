//! A pipeline with a parameter of each kind: board -> volts -> gain1 -> end, and a recorder of what goes into `gain1`
//! and of what comes out.
use std::{path::Path, sync::Mutex, time::Duration};

use serde_json::{Value, json};
use wavedeck::{
    session::{AppliedEdit, FromStart, ParamEdit, Request, Response, Session, SessionError},
    short_form,
};
use wavedeck_api::{handle::RecordingState, prelude::*};
use wavedeck_plane::{PipelineConfig, StageRegistry};
use wavedeck_recording::Recording;

use crate::common::{GENEROUS, only_recording, wait_until};

/// What a sink has seen: the header of each packet, and all samples one after the other.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) headers: Vec<PacketHeader>,
    pub(crate) samples: Vec<f32>,
}

/// One for each place; the first is not kept.
pub(crate) static KEPT: [Mutex<Kept>; 3] = [const { Mutex::new(Kept { headers: Vec::new(), samples: Vec::new() }) }; 3];

static KEEP: StageDescriptor = StageDescriptor {
    id: "keep",
    version: 1,
    summary: "keeps what arrives",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[],
    params: &[ParamSpec::int("place", 0, 0..=2), ParamSpec::text("label", "").cosmetic()],
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 1.0,
    build: Keep::build,
};

struct Keep {
    input: Input<Physical>,
    place: usize,
}

impl Keep {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let place = ctx.params().int("place") as usize;
        Ok(Box::new(Self { input: ctx.input::<Physical>("in")?, place }))
    }
}

impl Stage for Keep {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        match self.input.recv() {
            Recv::Packet(packet) => {
                if self.place > 0 {
                    let mut kept = KEPT[self.place].lock().expect("no panic");
                    kept.headers.push(*packet.header());
                    kept.samples.extend_from_slice(packet.samples());
                }
                Ok(Flow::Again)
            }
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed => Ok(Flow::Done),
        }
    }

    fn set_param(&mut self, key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        if key == "label" { Ok(()) } else { Err(StageError::NotLive(key)) }
    }
}

pub(crate) fn open(config: &Value) -> Session {
    let linked = wavedeck::registry().expect("distinct names");
    let registry = StageRegistry::of(linked.iter().chain([&KEEP])).expect("distinct names");
    let config = PipelineConfig::from_value(config).expect("no mistake of form");
    Session::open(config, registry, FromStart::Nothing).expect("it starts")
}

/// The pipeline, running; recordings go to `dir`. Its queues hold seconds: a busy machine loses nothing.
pub(crate) fn bench(dir: &Path, lock: &str) -> Session {
    open(&json!({ "version": 1, "name": "gate", "lock": lock,
        "stages": [
            { "id": "board", "type": "synthetic", "params":
                { "channels": 1, "rate_hz": 5000, "signal": "ramp", "batch": 10 } },
            { "id": "volts", "type": "to_voltage" },
            { "id": "gain1", "type": "gain" },
            { "id": "end", "type": "keep" },
            { "id": "rec", "type": "record", "params": { "dir": dir } } ],
        "connections": [
            { "from": "board", "to": "volts", "capacity": 2000 }, { "from": "volts", "to": "gain1", "capacity": 2000 },
            { "from": "volts", "to": "rec", "capacity": 2000 }, { "from": "gain1", "to": "rec", "capacity": 2000 },
            { "from": "gain1", "to": "end", "overflow": "drop_oldest" } ] }))
}

pub(crate) fn edit(stage: &str, key: &str, value: impl Into<Value>) -> ParamEdit {
    ParamEdit { stage: stage.into(), key: key.into(), value: value.into() }
}

/// `Session::request`, as the screen does it.
pub(crate) fn post(session: &Session, edit: ParamEdit, by: &str) -> Result<Response, SessionError> {
    session.request(Request::SetParams { changes: vec![edit] }, by)
}

pub(crate) fn update(session: &Session, edit: &ParamEdit, by: &str) -> Result<AppliedEdit, SessionError> {
    session.update_param(edit, by, GENEROUS)
}

/// The short form; the answer is told apart from everything else it might say.
pub(crate) fn short(session: &Session, request: &Value, by: &str) -> Value {
    read(&short_form::answer(session, &request.to_string(), by))
}

pub(crate) fn read(answer: &str) -> Value {
    serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error} in {answer}"))
}

pub(crate) fn update_request(stage: &str, key: &str, value: impl Into<Value>) -> Value {
    json!({ "stage_id": stage, "cmd": "UpdateParam", "key": key, "value": value.into() })
}

/// `Busy`, `BadRequest`, ...
pub(crate) fn code(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    answer["error"]["code"].as_str().unwrap_or_else(|| panic!("no code in {answer}"))
}

pub(crate) fn request(session: &Session, request: Request) {
    session.request(request, "test").expect("taken");
}

pub(crate) fn wait_for(session: &Session, state: RecordingState) {
    wait_until("another state of the recording", || session.recording_state() == state);
}

pub(crate) fn record(session: &Session) {
    request(session, Request::RecordStart { name: None });
    wait_for(session, RecordingState::Recording);
}

/// Finishes the recording and opens the only one there is.
pub(crate) fn finish(session: &Session, dir: &Path) -> Recording {
    request(session, Request::RecordFinish);
    wait_for(session, RecordingState::Idle);
    Recording::open(only_recording(dir)).expect("a recording")
}

pub(crate) fn close(session: &Session) {
    let closing = session.close(Duration::from_secs(60));
    assert!(closing.report.stuck.is_empty() && closing.errors.is_empty(), "{closing:?}");
    assert_eq!((closing.faults, closing.telemetry.lost_events), (0, 0));
}
