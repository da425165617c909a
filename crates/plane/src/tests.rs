//! Whole pipelines of the fixtures' stages: checked, built, run, stopped.
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use serde_json::{Value, json};

use crate::{
    Event, GateError, Graph, PipelineConfig, PipelineState, Plan, Problems, Runtime, StageRegistry, StageState,
    fixtures::{PASS, SINK, SOURCE},
};

pub(crate) const GENEROUS: Duration = Duration::from_secs(20);

fn plan(config: &Value) -> Result<Plan, Problems> {
    let registry = StageRegistry::of([&SOURCE, &PASS, &SINK]).expect("three names");
    Plan::new(&PipelineConfig::from_value(config)?, &registry)
}

fn launch(config: &Value) -> (Runtime, Receiver<Event>) {
    let graph = plan(config).and_then(Graph::build).expect("a good config");
    Runtime::launch(graph).expect("threads")
}

fn chain(source: Value, pass: Value, sink: Value, capacity: u32) -> Value {
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
    let mut tap = runtime.tap("b", "out").expect("the output is there");
    assert!(runtime.tap("b", "out").is_none(), "one looker at a time");
    let mut seen = None;
    wait_until("a packet", || {
        seen = tap.next_packet();
        seen.is_some()
    });
    assert_eq!(seen.map(|packet| packet.samples().len()), Some(4));
    drop(tap);
    assert!(runtime.tap("b", "out").is_some());
}

mod plans {
    use super::*;

    fn problems(config: &Value) -> Vec<String> {
        let problems = plan(config).err().expect("a config with mistakes");
        problems.list().iter().map(|problem| format!("{} {}", problem.at, problem.what)).collect()
    }

    #[test]
    fn pools_hold_every_queue_behind_them_and_in_place_stages_count_through() {
        // a.out: queue 3 + 1 in b's hands + (b passes on: queue 3 + 1 in c's hands) + 1 being written = 9.
        // b.out: queue 3 + 1 in c's hands + 1 being written = 5.
        let plan = plan(&chain(json!({}), json!({}), json!({}), 3)).expect("a good config");
        let pools: Vec<_> = plan.stages.iter().map(|stage| stage.pools.clone()).collect();
        assert_eq!(pools, [vec![9], vec![5], vec![]]);
    }

    #[test]
    fn a_pool_may_grow_but_not_shrink() {
        let mut config = chain(json!({}), json!({}), json!({}), 3);
        config["pools"] = json!([{ "name": "a.out", "packets": 8 }, { "name": "b.outt", "packets": 8 }]);
        let expected = ["/pools/0/packets `a.out` needs at least 9 packets, got 8", "/pools/1/name no pool `b.outt`"];
        assert_eq!(problems(&config), expected);
        config["pools"] = json!([{ "name": "a.out", "packets": 64 }]);
        assert_eq!(plan(&config).expect("enough").stages[0].pools, [64]);
    }

    #[test]
    fn a_source_a_chain_and_a_sink_that_blocks_have_a_thread_each() {
        let config = json!({ "version": 1, "name": "t",
            "stages": [ { "id": "a", "type": "source" }, { "id": "b", "type": "pass" }, { "id": "c", "type": "pass" },
                        { "id": "d", "type": "sink" } ],
            "connections": [ { "from": "a", "to": "b" }, { "from": "b", "to": "c" }, { "from": "c", "to": "d" } ] });
        let workers = plan(&config).expect("a good config").workers;
        let names: Vec<&str> = workers.iter().map(|worker| &*worker.name).collect();
        assert_eq!(names, ["a", "b+c", "d"]);
    }

    #[test]
    fn a_name_that_no_thread_can_have_is_a_mistake() {
        let mut config = chain(json!({}), json!({}), json!({}), 3);
        config["stages"][0]["thread"] = json!("x\u{0}y");
        let expected = r#"/stages/0/thread "x\0y" is not a name for a thread: it holds a control character"#;
        assert_eq!(problems(&config), [expected]);
    }

    #[test]
    fn paths_beyond_counting_are_refused_without_a_panic() {
        let (mut stages, mut connections) = (vec![json!({ "id": "s", "type": "source" })], Vec::new());
        let mut before = vec!["s".to_owned()];
        for layer in 0..40 {
            let ids = [format!("a{layer}"), format!("b{layer}")];
            for id in &ids {
                stages.push(json!({ "id": id, "type": "pass" }));
                connections.extend(before.iter().map(|from| json!({ "from": from, "to": id })));
            }
            before = ids.to_vec();
        }
        let config = json!({ "version": 1, "name": "t", "stages": stages, "connections": connections });
        assert!(plan(&config).and_then(Graph::build).is_err());
    }

    #[test]
    fn a_circle_is_printed() {
        let config = json!({ "version": 1, "name": "t",
            "stages": [ { "id": "x", "type": "pass" }, { "id": "y", "type": "pass" } ],
            "connections": [ { "from": "x", "to": "y" }, { "from": "y", "to": "x" } ] });
        assert_eq!(problems(&config), ["/connections the connections run in a circle: x -> y -> x"]);
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let config = json!({ "version": 1, "name": "t",
            "stages": [
                { "id": "a", "type": "sorce" }, { "id": "b", "type": "pass", "params": { "gain": 11, "gian": 1 } },
                { "id": "b", "type": "sink" } ],
            "connections": [ { "from": "b.out", "to": "c.in" }, { "from": "b.oot", "to": "b" } ] });
        let found = problems(&config);
        let expected = [
            "/connections/0/to no stage `c` in this pipeline",
            "/connections/1/from `b` has no output `oot`",
            "/stages/0/type no stage type `sorce`",
            "/stages/1/params/gain `gain` must be within 0..=10, got 11",
            "/stages/1/params/gian no parameter `gian`",
            "/stages/2/id the id `b` is taken by /stages/1",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn two_sources_cannot_share_an_input_that_cannot_tell_them_apart() {
        let config = json!({ "version": 1, "name": "t",
            "stages": [ { "id": "a", "type": "source" }, { "id": "b", "type": "source" }, { "id": "c", "type": "sink" } ],
            "connections": [ { "from": "a", "to": "c" }, { "from": "b", "to": "c" } ] });
        let problems = plan(&config).and_then(Graph::build).err().expect("a mistake");
        let what = &problems.list()[0].what;
        assert_eq!(what, "`c`: input `in` takes one connection, but 2 end here: `a.out`, `b.out`");
    }

    #[test]
    fn an_input_without_a_connection_is_a_mistake() {
        let config = json!({ "version": 1, "name": "t", "stages": [ { "id": "c", "type": "sink" } ] });
        assert_eq!(problems(&config), ["/stages/0 input `c.in` is not connected"]);
    }
}
