//! One bad stage, in every place and manner: the others lose nothing, it is named, and everything comes back.
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::Receiver;
use serde_json::{Value, json};
use wavedeck_api::stage::{Level, Note};

use crate::{
    Event, Graph, PipelineConfig, PipelineState, Plan, Runtime, StageRegistry, StageState,
    bad_stages::{BAD_PASS, BAD_SINK, BAD_SOURCE, Door, FLOOD, new_door},
    fixtures::{PASS, SINK, SOURCE},
    runtime::locked,
    tests::{GENEROUS, wait_until},
    watch::STUCK_AFTER,
};

/// Long enough for a busy machine to end everything that can end in the second half of it.
const PATIENCE: Duration = Duration::from_secs(2);

const ROLES: [&str; 3] = ["bad_source", "bad_pass", "bad_sink"];

#[derive(Clone, Copy, Debug)]
struct Case {
    role: &'static str,
    place: &'static str,
    manner: &'static str,
    on_fault: &'static str,
}

impl Case {
    fn bad(&self) -> Value {
        json!({ "id": "bad", "type": self.role, "params": { "place": self.place, "manner": self.manner },
                "on_fault": self.on_fault })
    }

    /// a -> good -> end, and the bad stage where its role puts it. What does not take its packets may not hold `a` up.
    fn config(&self) -> Value {
        let policy = if ["block", "spin"].contains(&self.manner) { "drop_newest" } else { "block" };
        let mut stages = vec![
            json!({ "id": "a", "type": "source" }),
            json!({ "id": "good", "type": "pass" }),
            json!({ "id": "end", "type": "sink", "params": { "whole": true } }),
            self.bad(),
        ];
        let mut connections = vec![json!({ "from": "a", "to": "good" }), json!({ "from": "good", "to": "end" })];
        if self.role != "bad_source" {
            connections.push(json!({ "from": "a", "to": "bad", "overflow": policy }));
        }
        if self.role != "bad_sink" {
            stages.push(json!({ "id": "behind", "type": "sink" }));
            connections.push(json!({ "from": "bad", "to": "behind" }));
        }
        json!({ "version": 1, "name": "t", "stages": stages, "connections": connections })
    }
}

/// Every role with these places and manners.
fn cases(places: &[&'static str], manners: &[&'static str]) -> Vec<Case> {
    let mut cases = Vec::new();
    for role in ROLES {
        for place in places {
            cases.extend(manners.iter().map(|manner| Case { role, place, manner, on_fault: "disable" }));
        }
    }
    cases
}

struct Bench {
    runtime: Runtime,
    events: Receiver<Event>,
    seen: Vec<Event>,
    door: Arc<Door>,
}

fn build(config: &Value) -> Result<Graph, crate::Problems> {
    let known = [&SOURCE, &PASS, &SINK, &BAD_SOURCE, &BAD_PASS, &BAD_SINK];
    let registry = StageRegistry::of(known).expect("six names");
    Plan::new(&PipelineConfig::from_value(config)?, &registry).and_then(Graph::build)
}

impl Bench {
    fn new(config: &Value) -> Self {
        let door = new_door();
        let (runtime, events) = Runtime::launch(build(config).expect("a good config")).expect("threads");
        runtime.go();
        Self { runtime, events, seen: Vec::new(), door }
    }

    fn index(&self, stage: &str) -> usize {
        self.runtime.plan().stages.iter().position(|planned| &*planned.id == stage).expect("a stage of the config")
    }

    fn packets(&self, stage: &str) -> u64 {
        self.runtime.telemetry().stages[self.index(stage)].packets
    }

    fn wait_for_packets(&self, stage: &str, more: u64) {
        let before = self.packets(stage);
        wait_until("packets", || self.packets(stage) >= before + more);
    }

    fn look(&mut self) {
        self.seen.extend(self.events.try_iter());
    }

    /// What was told of stages that failed: stage and error.
    fn failures(&mut self) -> Vec<(String, String)> {
        self.look();
        let failures = self.seen.iter().filter_map(|event| match event {
            Event::StageFailed { stage, error, .. } => Some((stage.to_string(), error.to_string())),
            _ => None,
        });
        failures.collect()
    }

    fn is_done(&mut self, id: &str) -> bool {
        self.look();
        self.seen.iter().any(|event| matches!(event, Event::StageDone { stage } if &**stage == id))
    }

    fn notes(&mut self) -> Vec<Note> {
        self.look();
        let notes = self.seen.iter().filter_map(|event| match event {
            Event::Note { stage, note } if &**stage == "bad" => Some(note.clone()),
            _ => None,
        });
        notes.collect()
    }

    fn assert_all_is_back(&self, case: &dyn std::fmt::Debug) {
        let telemetry = self.runtime.telemetry();
        assert!(telemetry.pools.iter().all(|pool| pool.in_use == 0), "{case:?}: {:?}", telemetry.pools);
    }

    /// The branch without the bad stage took and finished everything that its source sent.
    fn assert_others_are_whole(&mut self, case: &dyn std::fmt::Debug) {
        let telemetry = self.runtime.telemetry();
        let sent = telemetry.stages[self.index("a")].outputs[0].1.sent_samples;
        for edge in telemetry.edges.iter().filter(|edge| edge.id.contains("good")) {
            let counts = (edge.counts.offered_samples, edge.counts.consumed_samples, edge.counts.dropped_samples);
            assert_eq!(counts, (sent, sent, 0), "{case:?}: {}", edge.id);
        }
        for stage in telemetry.stages.iter().filter(|stage| &*stage.id != "bad") {
            assert_eq!(stage.state, StageState::Done, "{case:?}: {}", stage.id);
            assert!(self.is_done(&stage.id), "{case:?}: {} is told to be done", stage.id);
        }
    }

    fn begin(&mut self, case: &Case) {
        self.wait_for_packets("end", 50);
        // A source that is stopped before it has begun is never called.
        let has_begun =
            |stage: &crate::telemetry::StageTelemetry| &*stage.id != "bad" || stage.state != StageState::Waiting;
        wait_until("the bad one", || self.runtime.telemetry().stages.iter().all(has_begun));
        if case.place == "set_param" {
            self.runtime.set_param("bad", "knob", &json!(1), "test").expect("live and in range");
        }
    }
}

#[test]
fn a_stage_that_fails_anywhere_is_named_and_disabled_and_the_others_lose_nothing() {
    let mut all = cases(&["start", "process", "finish"], &["panic", "bomb", "error", "evil_error"]);
    all.extend(cases(&["set_param", "drop"], &["panic", "bomb"]));
    for case in all {
        let mut bench = Bench::new(&case.config());
        bench.begin(&case);
        if ["start", "process", "set_param"].contains(&case.place) {
            wait_until("the failure", || !bench.failures().is_empty());
            bench.wait_for_packets("end", 100);
        }
        assert_eq!(bench.runtime.stop(GENEROUS).stuck, Vec::<String>::new(), "{case:?}");

        let failures = bench.failures();
        let [(stage, error)] = &failures[..] else { panic!("{case:?}: {failures:?}") };
        let expected = match case.manner {
            "panic" => format!("asked to panic in {}", case.place),
            "bomb" => "no message".into(),
            "error" => format!("asked to fail in {}", case.place),
            _ => "panicked when read".into(),
        };
        assert!(stage == "bad" && error.contains(&expected), "{case:?}: {stage}: {error}");
        assert!(case.place != "drop" || error.starts_with("panicked in drop: "), "{error}");
        assert_eq!((bench.runtime.faults(), bench.runtime.state()), (1, PipelineState::Stopped), "{case:?}");
        bench.assert_others_are_whole(&case);
        bench.assert_all_is_back(&case);
    }
}

#[test]
fn a_stage_that_refuses_a_value_goes_on() {
    for case in cases(&["set_param"], &["error", "evil_error"]) {
        let mut bench = Bench::new(&case.config());
        bench.begin(&case);
        wait_until("the refusal", || {
            bench.look();
            bench.seen.iter().any(|event| matches!(event, Event::ParamRefused { stage, .. } if &**stage == "bad"))
        });
        bench.wait_for_packets("bad", 100);
        bench.runtime.stop(GENEROUS);

        assert!(bench.is_done("bad") && bench.failures().is_empty(), "{case:?}");
        bench.assert_others_are_whole(&case);
    }
}

#[test]
fn a_fault_that_stops_the_pipeline_stops_it_at_once_though_nobody_looks() {
    let mut all = cases(&["start", "process", "set_param"], &["panic"]);
    all.extend(cases(&["start", "process"], &["error"]));
    for case in all.into_iter().map(|case| Case { on_fault: "stop", ..case }) {
        let bench = &mut Bench::new(&case.config());
        if case.place == "set_param" {
            bench.begin(&case);
        }
        wait_until("the end", || bench.runtime.has_ended());

        let stops = |event: &Event| matches!(event, Event::StageFailed { stage, stops: true, .. } if &**stage == "bad");
        bench.look();
        assert!(bench.seen.iter().any(stops), "{case:?}");
        assert_eq!(bench.runtime.state(), PipelineState::Failed, "{case:?}");
        bench.assert_all_is_back(&case);
    }
}

#[test]
fn a_stage_that_never_returns_is_named_at_the_stop_and_holds_nobody_else() {
    let mut all = cases(&["start", "process", "set_param", "finish", "drop"], &["block"]);
    // A source is not called any more once the pipeline stops.
    all.extend(cases(&["process"], &["spin"]).into_iter().filter(|case| case.role != "bad_source"));
    thread::scope(|scope| {
        for case in all {
            scope.spawn(move || {
                let mut bench = Bench::new(&case.config());
                bench.begin(&case);
                if case.manner == "block" && !["finish", "drop"].contains(&case.place) {
                    wait_until("the call", || bench.door.is_someone_there());
                    bench.wait_for_packets("end", 100);
                }
                assert_eq!(bench.runtime.stop(PATIENCE).stuck, ["bad"], "{case:?}");
                bench.assert_others_are_whole(&case);
                assert!(bench.failures().is_empty(), "{case:?}");

                bench.door.open();
                wait_until("the end", || bench.runtime.has_ended());
                bench.assert_all_is_back(&case);
            });
        }
    });
}

#[test]
fn a_stage_that_holds_up_its_source_does_not_keep_its_siblings_from_ending() {
    let bad = |place, manner| Case { role: "bad_sink", place, manner, on_fault: "disable" };
    let all = [bad("start", "block"), bad("process", "spin")];
    thread::scope(|scope| {
        for case in all {
            scope.spawn(move || {
                let mut config = case.config();
                config["connections"][2]["overflow"] = json!("block");
                let mut bench = Bench::new(&config);
                // Who spins has taken some before, for which its source need not have been woken.
                let most = if case.manner == "block" { 16 } else { 11 };
                let is_full = || bench.runtime.telemetry().edges[2].counts.in_flight_packets >= most;
                wait_until("a full queue before the bad stage", is_full);
                assert_eq!(bench.runtime.stop(PATIENCE).stuck, ["bad"], "{case:?}");
                bench.assert_others_are_whole(&case);

                bench.door.open();
                wait_until("the end", || bench.runtime.has_ended());
                bench.assert_all_is_back(&case);
            });
        }
    });
}

#[test]
fn what_shares_the_thread_of_a_stuck_stage_does_not_keep_a_recording_open() {
    let case = Case { role: "bad_source", place: "process", manner: "block", on_fault: "disable" };
    let mut config = case.config();
    config["stages"][0]["thread"] = json!("one");
    config["stages"][3]["thread"] = json!("one");
    let mut bench = Bench::new(&config);
    wait_until("the call", || bench.door.is_someone_there());
    assert_eq!(bench.runtime.stop(PATIENCE).stuck, ["bad"]);
    assert!(["good", "end", "behind"].iter().all(|id| bench.is_done(id)), "{:?}", bench.seen);

    bench.door.open();
    wait_until("the end", || bench.runtime.has_ended());
    bench.assert_all_is_back(&case);
}

#[test]
fn what_a_stage_sends_that_comes_back_after_the_stop_is_counted_as_dropped() {
    let case = Case { role: "bad_source", place: "process", manner: "block", on_fault: "disable" };
    let bench = Bench::new(&case.config());
    wait_until("the call", || bench.door.is_someone_there());
    bench.runtime.stop(PATIENCE);
    let edge = || bench.runtime.telemetry().edges[2].counts;
    let before = edge();
    bench.door.open();
    wait_until("the end", || bench.runtime.has_ended());

    let after = edge();
    assert_eq!((before.offered_packets, before.consumed_packets, before.dropped_packets), (5, 5, 0));
    assert!(after.offered_packets > 5, "it goes on for a moment");
    let expected = (5, after.offered_packets - 5, 0);
    assert_eq!((after.consumed_packets, after.dropped_packets, after.in_flight_packets), expected);
}

#[test]
fn a_call_that_does_not_return_is_told_once_and_once_more_when_it_is_back() {
    for case in cases(&["start", "process", "set_param", "finish", "drop"], &["block"]) {
        let mut bench = Bench::new(&case.config());
        bench.begin(&case);
        if ["finish", "drop"].contains(&case.place) {
            bench.runtime.begin_stop();
        }
        wait_until("the call", || bench.door.is_someone_there());
        bench.runtime.tend();
        let later = Instant::now() + STUCK_AFTER + Duration::from_secs(1);
        (0..3).for_each(|_| bench.runtime.tend_at(later));
        bench.door.open();
        wait_until("its return", || {
            bench.runtime.tend();
            bench.look();
            bench.seen.iter().any(|event| matches!(event, Event::StageBack { stage, .. } if &**stage == "bad"))
        });

        let told = bench.seen.iter().filter_map(|event| match event {
            Event::StageStuck { stage, call, seconds } if &**stage == "bad" => Some((*call, *seconds >= 5)),
            Event::StageBack { stage, call } if &**stage == "bad" => Some((*call, false)),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), [(case.place, true), (case.place, false)], "{case:?}");
    }
}

#[test]
fn a_stage_that_sleeps_is_not_told_to_be_stuck() {
    let case = Case { role: "bad_pass", place: "nowhere", manner: "block", on_fault: "disable" };
    let mut bench = Bench::new(&case.config());
    bench.begin(&case);
    bench.runtime.pause();
    wait_until("sleep", || locked(&bench.runtime.workers).iter().all(|worker| worker.ongoing().is_none()));
    bench.runtime.tend_at(Instant::now() + STUCK_AFTER * 2);

    bench.look();
    assert!(bench.seen.is_empty(), "{:?}", bench.seen);
}

#[test]
fn a_stage_that_floods_drowns_nobody() {
    let mut all = cases(&["start", "process", "finish"], &["notes"]);
    all.extend(cases(&["process"], &["packets"]).into_iter().filter(|case| case.role != "bad_sink"));
    for case in all {
        let mut bench = Bench::new(&case.config());
        bench.begin(&case);
        bench.wait_for_packets("bad", 20);
        assert_eq!(bench.runtime.stop(GENEROUS).stuck, Vec::<String>::new(), "{case:?}");

        assert!(bench.is_done("bad") && bench.failures().is_empty(), "{case:?}");
        bench.assert_others_are_whole(&case);
        bench.assert_all_is_back(&case);
        assert_eq!(bench.runtime.telemetry().lost_events, 0, "{case:?}");
    }
}

#[test]
fn what_a_stage_sends_before_it_sleeps_is_taken_at_once() {
    let case = Case { role: "bad_source", place: "process", manner: "nap", on_fault: "disable" };
    let bench = Bench::new(&case.config());
    let edge = || bench.runtime.telemetry().edges[2].counts;
    wait_until("the packet before the sleep", || edge().consumed_packets == 6);
    assert_eq!(bench.runtime.stop(GENEROUS).stuck, Vec::<String>::new());
}

#[test]
fn every_note_of_a_flood_is_told_or_counted() {
    for case in cases(&["start", "finish"], &["notes"]) {
        let mut bench = Bench::new(&case.config());
        bench.begin(&case);
        bench.runtime.stop(GENEROUS);

        let notes = bench.notes();
        let (last, first) = notes.split_last().expect("notes");
        assert!(first.iter().enumerate().all(|(n, note)| *note.text == *format!("note {n}")), "{case:?}: {first:?}");
        assert_eq!(first.len(), 32, "{case:?}");
        assert_eq!((&*last.text, last.level), (&*format!("… and {} more", FLOOD - 32), Level::Info), "{case:?}");
    }
}

#[test]
fn a_stage_that_panics_while_it_is_built_is_a_problem_and_no_panic() {
    for case in cases(&["build"], &["panic", "bomb"]) {
        let problems = build(&case.config()).err().expect("a problem");
        let what = &problems.list()[0].what;
        assert!(what.starts_with("`bad` panicked while it was built: "), "{case:?}: {what}");
    }
}
