//! Whole pipelines of the fixtures' stages: checked, built, run, stopped.
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use serde_json::{Value, json};

use crate::{
    Event, GateError, Graph, PipelineConfig, PipelineState, Plan, Problems, Runtime, StageRegistry, StageState,
    fixtures::{PASS, SINK, SOURCE},
};

pub(crate) const GENEROUS: Duration = Duration::from_secs(20);

pub(crate) fn plan(config: &Value) -> Result<Plan, Problems> {
    let registry = StageRegistry::of([&SOURCE, &PASS, &SINK]).expect("three names");
    Plan::new(&PipelineConfig::from_value(config)?, &registry)
}

fn launch(config: &Value) -> (Runtime, Receiver<Event>) {
    let graph = plan(config).and_then(Graph::build).expect("a good config");
    Runtime::launch(graph).expect("threads")
}

pub(crate) fn chain(source: Value, pass: Value, sink: Value, capacity: u32) -> Value {
    json!({ "version": 1, "name": "t",
        "stages": [
            { "id": "a", "type": "source", "params": source },
            { "id": "b", "type": "pass", "params": pass },
            { "id": "c", "type": "sink", "params": sink } ],
        "connections": [
            { "from": "a.out", "to": "b.in", "capacity": capacity }, { "from": "b", "to": "c", "capacity": capacity } ] })
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < GENEROUS, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_source_that_waits_loses_nothing_and_every_buffer_comes_back() {
    let (runtime, _events) = launch(&chain(json!({ "packets": 20_000 }), json!({}), json!({ "whole": true }), 3));
    runtime.go();
    wait_until("the end", || runtime.has_ended());
    let telemetry = runtime.telemetry();
    for edge in &telemetry.edges {
        assert_eq!(edge.counts.offered_samples, 80_000, "{}", edge.id);
        assert_eq!(edge.counts.consumed_samples, 80_000, "{}", edge.id);
        assert!(edge.counts.high_water <= 3);
    }
    assert!(telemetry.pools.iter().all(|pool| pool.in_use == 0), "{:?}", telemetry.pools);
    assert!(telemetry.stages.iter().all(|stage| stage.state == StageState::Done));
    assert_eq!((runtime.state(), telemetry.lost_samples()), (PipelineState::Stopped, 0));
}

#[test]
fn a_source_in_real_time_never_waits_and_every_loss_is_counted() {
    let source = json!({ "packets": 50_000, "realtime": true });
    let (runtime, _events) = launch(&chain(source, json!({}), json!({}), 2));
    runtime.go();
    wait_until("the end", || runtime.has_ended());
    let telemetry = runtime.telemetry();
    let source = telemetry.stages[0].outputs[0].1;
    let first = telemetry.edges[0].counts;
    assert_eq!(source.sent_samples + source.lost_overrun, 200_000);
    assert_eq!(first.offered_samples, source.sent_samples);
    assert_eq!(first.offered_samples, first.consumed_samples + first.dropped_samples + first.in_flight_samples);
    assert_eq!(first.in_flight_samples, 0);
    assert_eq!(telemetry.lost_samples(), source.lost_overrun + first.dropped_samples);
}

#[test]
fn a_reader_in_no_hurry_is_woken_when_a_quarter_of_its_queue_is_full_and_gets_everything() {
    let source = json!({ "packets": 40, "realtime": true, "rest_ms": 2 });
    let mut config = chain(source, json!({}), json!({ "whole": true, "unhurried": true }), 16);
    config["stages"][2]["thread"] = json!("apart");
    let (runtime, _events) = launch(&config);
    runtime.go();
    wait_until("the end", || runtime.has_ended());
    let counts = runtime.telemetry().edges[1].counts;
    assert_eq!((counts.consumed_packets, counts.dropped_packets), (40, 0));
    assert!((5..=16).contains(&counts.high_water), "{counts:?}");
}

#[test]
fn a_change_is_applied_between_packets_and_told_with_its_sample() {
    let (runtime, events) = launch(&chain(json!({}), json!({}), json!({}), 4));
    runtime.go();
    wait_until("some packets", || runtime.telemetry().stages[1].packets > 10);
    runtime.set_param("b", "gain", &json!(2.5), "test").expect("live and in range");
    let event = events.recv_timeout(GENEROUS).expect("an event");
    let Event::ParamApplied { stage, key, old, new, at_sample, epoch, by, .. } = &event else { panic!("{event:?}") };
    assert_eq!((&**stage, *key, &**by, *epoch), ("b", "gain", "test", 1));
    assert_eq!((old, new), (&json!(1.0), &json!(2.5)));
    assert!(*at_sample > 0 && at_sample % 4 == 0);
    runtime.absorb(&event);
    assert_eq!(runtime.values()[1].float("gain"), 2.5);
    assert_eq!(runtime.running_config().stages[1].params["gain"], 2.5);
}

#[test]
fn parameters_are_locked_while_the_guard_lives() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({}), 4));
    runtime.go();
    let guard = runtime.lock_for_recording();
    let refused = runtime.set_param("b", "gain", &json!(2.0), "test").expect_err("locked");
    assert!(refused.is_busy(), "{refused}");
    let wrong = runtime.set_param("b", "gain", &json!(99.0), "test").expect_err("the value is checked first");
    assert!(!wrong.is_busy() && wrong.to_string().contains("0..=10"), "{wrong}");
    drop(guard);
    runtime.set_param("b", "gain", &json!(2.0), "test").expect("free again");
}

#[test]
fn the_strict_lock_wants_the_pipeline_paused() {
    let mut config = chain(json!({}), json!({}), json!({}), 4);
    config["lock"] = json!("running");
    let (runtime, _events) = launch(&config);
    runtime.go();
    assert!(runtime.set_param("b", "gain", &json!(2.0), "test").is_err_and(|error| error.is_busy()));
    runtime.pause();
    runtime.set_param("b", "gain", &json!(2.0), "test").expect("paused");
}

#[test]
fn a_wrong_stage_or_key_is_answered_with_a_suggestion() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({}), 4));
    let error = runtime.set_param("bb", "gain", &json!(1.0), "test").expect_err("no such stage");
    assert!(matches!(&error, GateError::UnknownStage { .. }), "{error}");
    assert!(runtime.set_param("b", "gian", &json!(1.0), "test").is_err());
    let fixed = runtime.set_param("a", "packets", &json!(1), "test").expect_err("fixed");
    assert!(fixed.to_string().contains("cannot change while running"), "{fixed}");
}

#[test]
fn a_stage_that_panics_harms_only_itself() {
    let config = json!({ "version": 1, "name": "t",
        "stages": [
            { "id": "a", "type": "source" },
            { "id": "bad", "type": "pass", "params": { "fault_at": 5 } },
            { "id": "good", "type": "pass" }, { "id": "end", "type": "sink", "params": { "whole": true } } ],
        "connections": [
            { "from": "a", "to": "bad" }, { "from": "a", "to": "good" }, { "from": "good", "to": "end" } ] });
    let (runtime, events) = launch(&config);
    runtime.go();
    let failed = events.iter().find(|event| matches!(event, Event::StageFailed { .. })).expect("an event");
    let Event::StageFailed { stage, error, stops } = &failed else { panic!("{failed:?}") };
    assert_eq!((&**stage, *stops), ("bad", false));
    assert!(error.contains("asked to panic at packet 5"), "{error}");
    let before = runtime.telemetry().stages[3].packets;
    wait_until("the others go on", || runtime.telemetry().stages[3].packets > before + 1000);
    assert_eq!(runtime.stop(GENEROUS).stuck, Vec::<String>::new());
    assert!(runtime.telemetry().pools.iter().all(|pool| pool.in_use == 0));
    assert_eq!(runtime.faults(), 1);
}

#[test]
fn a_fault_stops_the_pipeline_where_the_config_says_so() {
    let mut config = chain(json!({}), json!({ "fault_at": 5 }), json!({}), 4);
    config["stages"][1]["on_fault"] = json!("stop");
    let (runtime, _events) = launch(&config);
    runtime.go();
    wait_until("the stop", || {
        runtime.tend();
        runtime.has_ended()
    });
    assert_eq!(runtime.state(), PipelineState::Failed);
}

#[test]
fn a_pause_holds_the_source_and_a_stop_drains() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({ "whole": true }), 4));
    runtime.go();
    wait_until("some packets", || runtime.telemetry().stages[2].packets > 10);
    runtime.pause();
    assert_eq!(runtime.state(), PipelineState::Paused);
    let at_rest = |edges: &[crate::EdgeTelemetry]| edges.iter().all(|edge| edge.counts.in_flight_packets == 0);
    wait_until("empty queues", || at_rest(&runtime.telemetry().edges));
    runtime.resume();
    assert_eq!(runtime.stop(GENEROUS), crate::StopReport::default());
    let end = runtime.telemetry();
    assert_eq!(end.edges[1].counts.consumed_samples, end.stages[0].outputs[0].1.sent_samples);
}

#[test]
fn a_stage_that_is_stuck_is_named() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({ "stuck": true }), 4));
    runtime.go();
    wait_until("a full queue", || runtime.telemetry().edges[1].counts.in_flight_packets == 4);
    assert!(runtime.stop(Duration::from_millis(200)).stuck.contains(&"c".to_string()));
}

#[test]
fn the_state_can_be_asked_for_while_a_stop_waits() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({ "stuck": true }), 4));
    runtime.go();
    wait_until("a full queue", || runtime.telemetry().edges[1].counts.in_flight_packets == 4);
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| runtime.stop(Duration::from_secs(2)));
        wait_until("the stop", || runtime.state() == PipelineState::Draining);
        assert!(!stop.is_finished());
    });
}

#[test]
fn a_tap_sees_packets_only_while_someone_looks() {
    let (runtime, _events) = launch(&chain(json!({}), json!({}), json!({}), 4));
    runtime.go();
    let mut taps = [(); 2].map(|()| runtime.tap("b", "out").expect("a seat for the screen and one for the port"));
    assert!(runtime.tap("b", "out").is_none(), "no more seats");
    for tap in &mut taps {
        let mut seen = 0;
        wait_until("a packet", || tap.next_floats(|_, values| seen = values.len()));
        assert_eq!(seen, 4);
    }
    let [screen, port] = taps;
    drop(port);
    assert!(runtime.tap("b", "out").is_some(), "whoever leaves makes room");
    drop(screen);
}
