//! The lock of the parameters from request to request, with a recorder that is late, refuses or fails.
use crossbeam::channel::Receiver;
use serde_json::{Value, json};
use wavedeck_api::{
    handle::{RecordCommand, RecorderSeat, RecorderStatus, RecordingState, SessionInfo},
    prelude::*,
};

use crate::{
    Event, Graph, PipelineConfig, Plan, RECORDER, Runtime, StageRegistry,
    fixtures::{PASS, SINK, SOURCE},
    tests::{GENEROUS, wait_until},
};

/// Records nothing; `mood` says what it does with its requests.
pub(crate) static RECORD: StageDescriptor = StageDescriptor {
    id: RECORDER,
    version: 1,
    summary: "a recorder",
    inputs: &[PortSpec { name: "raw", accepts: &[SignalKind::Physical] }],
    outputs: &[],
    params: &[ParamSpec::choice("mood", 0, MOODS).cosmetic()],
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 1000.0,
    build: Recorder::build,
};
const MOODS: &[&str] = &["willing", "deaf", "unable", "panicking"];

struct Recorder {
    input: AnyInput,
    seat: RecorderSeat,
    mood: usize,
}

impl Recorder {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.any_input("raw", &[SignalKind::Physical])?;
        let seat = ctx.recorder(RecorderStatus::default());
        Ok(Box::new(Self { input, seat, mood: ctx.params().choice("mood") }))
    }
}

impl Stage for Recorder {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        assert!(MOODS[self.mood] != "panicking", "asked to panic");
        while MOODS[self.mood] != "deaf"
            && let Some(command) = self.seat.next_request()
        {
            let state = match command {
                RecordCommand::Start(_) if MOODS[self.mood] == "unable" => RecordingState::Failed,
                RecordCommand::Start(_) => RecordingState::Recording,
                RecordCommand::Pause => RecordingState::Paused,
                RecordCommand::Finish => RecordingState::Idle,
                // As the real one: a file that is closed does not open again.
                _ => continue,
            };
            self.seat.publish(|status| status.state = state);
        }
        match self.input.recv() {
            Recv::Packet(_) => Ok(Flow::Again),
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed => Ok(Flow::Done),
        }
    }

    fn set_param(&mut self, _key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        let ParamValue::Choice(mood) = value else { return Err(StageError::NotLive("mood")) };
        self.mood = usize::from(*mood);
        Ok(())
    }
}

struct Bench {
    runtime: Runtime,
    events: Receiver<Event>,
}

impl Bench {
    fn new(config: &Value) -> Self {
        let registry = StageRegistry::of([&SOURCE, &PASS, &SINK, &RECORD]).expect("four names");
        let config = PipelineConfig::from_value(config).expect("no mistake of form");
        let graph = Plan::new(&config, &registry).and_then(Graph::build).expect("a good config");
        let (runtime, events) = Runtime::launch(graph).expect("threads");
        Self { runtime, events }
    }

    fn running() -> Self {
        let bench = Self::new(&json!({ "version": 1, "name": "t",
            "stages": [ { "id": "a", "type": "source" }, { "id": "b", "type": "pass" },
                        { "id": "c", "type": "sink" }, { "id": "rec", "type": "record" } ],
            "connections": [ { "from": "a", "to": "b" }, { "from": "b", "to": "c" }, { "from": "a", "to": "rec" } ] }));
        bench.runtime.go();
        bench
    }

    /// Returns when the recorder is in that mood.
    fn put(&self, mood: &str) {
        self.runtime.set_param("rec", "mood", &json!(mood), "test").expect("cosmetic");
        let applied = |event: &Event| matches!(event, Event::ParamApplied { key, .. } if *key == "mood");
        while !applied(&self.events.recv_timeout(GENEROUS).expect("an event")) {}
    }

    fn start(&self) {
        self.runtime.start_recording(SessionInfo::default).expect("taken");
    }

    fn wait_for(&self, state: RecordingState) {
        wait_until("another state of the recording", || self.runtime.recording_state() == state);
    }

    fn is_locked(&self) -> bool {
        let outcome = self.runtime.set_param("b", "gain", &json!(2.0), "test");
        outcome.is_err_and(|error| error.is_busy())
    }
}

#[test]
fn parameters_are_locked_from_the_request_on_until_the_recording_is_finished() {
    let bench = Bench::running();
    bench.put("deaf");
    bench.start();
    assert!(bench.is_locked() && bench.runtime.is_recording_open());
    bench.runtime.tend();
    assert!(bench.is_locked(), "the request waits");
    let early = bench.runtime.record(&RecordCommand::Finish).expect_err("not open yet");
    assert!(early.to_string().contains("is being opened"), "{early}");
    bench.put("willing");
    bench.wait_for(RecordingState::Recording);
    bench.runtime.record(&RecordCommand::Finish).expect("taken");
    bench.wait_for(RecordingState::Idle);
    assert!(!bench.is_locked() && !bench.runtime.is_recording_open());
}

#[test]
fn a_resume_right_after_a_pause_is_taken_before_the_pause_is_carried_out() {
    let bench = Bench::running();
    assert!(bench.runtime.record(&RecordCommand::Resume).is_err(), "nothing is open");
    bench.start();
    bench.wait_for(RecordingState::Recording);
    bench.put("deaf");
    bench.runtime.record(&RecordCommand::Pause).expect("taken");
    assert!(!bench.is_locked());
    bench.runtime.record(&RecordCommand::Resume).expect("taken behind the pause");
    assert!(bench.is_locked());
    bench.runtime.record(&RecordCommand::Pause).expect("taken behind the resume");
    bench.put("willing");
    bench.wait_for(RecordingState::Paused);
    assert!(!bench.is_locked());
    bench.runtime.record(&RecordCommand::Finish).expect("taken");
    bench.wait_for(RecordingState::Idle);
    assert!(bench.runtime.record(&RecordCommand::Resume).is_err(), "it is over");
}

#[test]
fn an_old_failure_does_not_free_the_parameters_of_a_new_recording() {
    let bench = Bench::running();
    bench.put("unable");
    bench.start();
    bench.wait_for(RecordingState::Failed);
    bench.put("deaf");
    bench.start();
    bench.runtime.tend();
    assert!(bench.is_locked());
    bench.put("willing");
    bench.wait_for(RecordingState::Recording);
    assert!(bench.is_locked());
}

#[test]
fn requests_that_find_no_room_leave_the_lock_of_a_recording_alone() {
    let bench = Bench::running();
    bench.start();
    bench.wait_for(RecordingState::Recording);
    bench.put("deaf");
    let marker = RecordCommand::Marker { label: "m".into(), source: "test".into(), timestamp_ns: 0 };
    wait_until("a full queue", || bench.runtime.record(&marker).is_err());
    assert!(bench.is_locked(), "after a marker");
    assert!(bench.runtime.record(&RecordCommand::Finish).is_err());
    assert!(bench.is_locked(), "after a finish that was not taken");
}

#[test]
fn a_recording_resumed_while_it_is_being_finished_does_not_stay_locked() {
    let bench = Bench::running();
    bench.start();
    bench.wait_for(RecordingState::Recording);
    bench.runtime.record(&RecordCommand::Pause).expect("taken");
    bench.wait_for(RecordingState::Paused);
    bench.put("deaf");
    bench.runtime.record(&RecordCommand::Finish).expect("taken");
    bench.runtime.record(&RecordCommand::Resume).expect("it does look paused");
    bench.put("willing");
    bench.wait_for(RecordingState::Idle);
    wait_until("free parameters", || {
        bench.runtime.tend();
        !bench.is_locked()
    });
    bench.start();
}

#[test]
fn a_recorder_that_is_disabled_has_failed_and_holds_no_lock() {
    let bench = Bench::running();
    bench.start();
    bench.wait_for(RecordingState::Recording);
    bench.put("panicking");
    bench.wait_for(RecordingState::Failed);
    let why = bench.runtime.recorder_statuses().remove(0).error;
    assert!(why.is_some_and(|why| why.contains("asked to panic")));
    wait_until("free parameters", || {
        bench.runtime.tend();
        !bench.is_locked()
    });
}

#[test]
fn one_recorder_that_failed_does_not_keep_another_from_being_finished() {
    let bench = Bench::new(&json!({ "version": 1, "name": "t",
        "stages": [ { "id": "a", "type": "source" }, { "id": "rec", "type": "record", "params": { "mood": "unable" } },
                    { "id": "b", "type": "pass" }, { "id": "other", "type": "record" } ],
        "connections": [ { "from": "a", "to": "rec" }, { "from": "a", "to": "b" }, { "from": "b", "to": "other" } ] }));
    bench.runtime.go();
    bench.start();
    let states = || bench.runtime.recorder_statuses().iter().map(|status| status.state).collect::<Vec<_>>();
    wait_until("both", || states() == [RecordingState::Failed, RecordingState::Recording]);
    bench.runtime.tend();
    assert!(bench.is_locked(), "one records");
    bench.runtime.record(&RecordCommand::Finish).expect("taken");
    wait_until("the end", || states()[1] == RecordingState::Idle);
}

#[test]
fn a_recorder_on_the_thread_of_a_source_opens_its_file_before_the_source_goes() {
    let bench = Bench::new(&json!({ "version": 1, "name": "t",
        "stages": [ { "id": "a", "type": "source", "thread": "one" }, { "id": "rec", "type": "record", "thread": "one" } ],
        "connections": [ { "from": "a", "to": "rec" } ] }));
    bench.start();
    bench.wait_for(RecordingState::Recording);
    assert_eq!(bench.runtime.telemetry().produced_samples(), 0);
    bench.runtime.go();
    wait_until("samples", || bench.runtime.telemetry().edges[0].counts.consumed_samples > 0);
    assert_eq!(bench.runtime.stop(GENEROUS), crate::StopReport::default());
}
