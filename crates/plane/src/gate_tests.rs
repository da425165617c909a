//! Changes of parameters: each is answered once, by the stage, by its end or by the gate.
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::Receiver;
use serde_json::{Value, json};
use wavedeck_api::prelude::*;

use crate::{
    Change, Event, GateError, Graph, Outcome, PipelineConfig, PipelineState, Plan, Runtime, StageRegistry,
    fixtures::SOURCE,
    tests::{GENEROUS, wait_until},
};

/// Takes packets, and stands still in one while its latch is shut, or at the end with a latch from `END` on.
static ODD: StageDescriptor = StageDescriptor {
    id: "odd",
    version: 1,
    summary: "a sink with moods",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[],
    params: &[
        ParamSpec::float("gain", 1.0, 0.0..=1e12).live(),
        ParamSpec::text("label", "").cosmetic(),
        ParamSpec::int("latch", 0, 0..=7),
    ],
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 1.0,
    build: Odd::build,
};

/// One for each test that shuts one; the first is never shut.
static SHUT: [AtomicBool; 8] = [const { AtomicBool::new(false) }; 8];
/// Set by the stage that stands still.
static MET: [AtomicBool; 8] = [const { AtomicBool::new(false) }; 8];
const END: usize = 4;

struct Odd {
    input: Input<Physical>,
    latch: usize,
}

impl Odd {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let latch = ctx.params().int("latch") as usize;
        Ok(Box::new(Self { input: ctx.input::<Physical>("in")?, latch }))
    }
}

impl Stage for Odd {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let received = self.input.recv();
        let is_there = match received {
            Recv::Packet(_) => self.latch < END,
            Recv::Empty => false,
            Recv::Closed => self.latch >= END,
        };
        while is_there && SHUT[self.latch].load(Ordering::Relaxed) {
            MET[self.latch].store(true, Ordering::Relaxed);
            thread::yield_now();
        }
        Ok(match received {
            Recv::Packet(_) => Flow::Again,
            Recv::Empty => Flow::Idle,
            Recv::Closed => Flow::Done,
        })
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        match value {
            ParamValue::Float(13.0) => Err(StageError::Failed(format!("{key} 13 brings bad luck"))),
            _ => Ok(()),
        }
    }
}

fn launch(source: Value, odd: Value, lock: &str) -> (Runtime, Receiver<Event>) {
    let registry = StageRegistry::of([&SOURCE, &ODD]).expect("two names");
    let config = json!({ "version": 1, "name": "t", "lock": lock,
        "stages": [ { "id": "a", "type": "source", "params": source }, { "id": "b", "type": "odd", "params": odd } ],
        "connections": [ { "from": "a", "to": "b", "capacity": 4 } ] });
    let config = PipelineConfig::from_value(&config).expect("no mistake of form");
    let graph = Plan::new(&config, &registry).and_then(Graph::build).expect("a good config");
    Runtime::launch(graph).expect("threads")
}

fn running() -> (Runtime, Receiver<Event>) {
    let (runtime, events) = launch(json!({}), json!({}), "recording");
    runtime.go();
    (runtime, events)
}

/// A running pipeline that stands still in its sink.
fn held(latch: usize, lock: &str) -> Runtime {
    SHUT[latch].store(true, Ordering::Relaxed);
    let (runtime, _events) = launch(json!({}), json!({ "latch": latch }), lock);
    runtime.go();
    wait_until("packets behind it", || {
        MET[latch].load(Ordering::Relaxed) && runtime.telemetry().edges[0].counts.in_flight_packets > 0
    });
    runtime
}

fn set(runtime: &Runtime, value: f64) -> Result<Outcome, GateError> {
    runtime.set_param("b", "gain", &json!(value), "test")?.wait(GENEROUS)
}

#[test]
fn a_change_is_answered_with_what_its_event_says() {
    let (runtime, events) = running();
    wait_until("some packets", || runtime.telemetry().stages[1].packets > 10);
    for round in 1..=3 {
        let Outcome::Applied { at_sample, epoch } = set(&runtime, 2.0).expect("taken") else { panic!("refused") };
        // The event was told before the answer.
        let Ok(Event::ParamApplied { at_sample: told, epoch: number, .. }) = events.try_recv() else {
            panic!("no event")
        };
        assert_eq!((at_sample, epoch), (told, number));
        assert!(epoch == round && at_sample > 0 && at_sample % 4 == 0);
    }
}

#[test]
fn a_stage_that_refuses_a_value_answers_why() {
    let (runtime, events) = running();
    let Outcome::Refused { why } = set(&runtime, 13.0).expect("an answer") else { panic!("applied") };
    assert_eq!(&*why, "gain 13 brings bad luck");
    assert!(matches!(events.try_recv(), Ok(Event::ParamRefused { by, .. }) if &*by == "test"));
}

#[test]
fn a_stage_that_is_held_up_is_told_apart_from_one_that_has_ended() {
    let runtime = held(1, "recording");
    let ticket = runtime.set_param("b", "gain", &json!(2.0), "test").expect("there is room");
    let error = ticket.wait(Duration::from_millis(50)).expect_err("it stands still");
    let expected = "`b` has not answered within 0.05 s: it is held up; the change waits and may still be applied";
    assert_eq!(error.to_string(), expected);

    SHUT[1].store(false, Ordering::Relaxed);
    assert!(matches!(ticket.wait(GENEROUS), Ok(Outcome::Applied { epoch: 1, .. })), "it waited");

    runtime.stop(GENEROUS);
    assert!(matches!(set(&runtime, 2.0), Err(GateError::Ended { stage }) if &*stage == "b"));
}

#[test]
fn changes_that_wait_when_their_stage_ends_are_answered() {
    SHUT[END].store(true, Ordering::Relaxed);
    let (runtime, events) = launch(json!({ "packets": 1 }), json!({ "latch": END }), "recording");
    runtime.go();
    wait_until("the end of the input", || MET[END].load(Ordering::Relaxed));
    let tickets = [2.0, 3.0, 4.0].map(|gain| runtime.set_param("b", "gain", &json!(gain), "test").expect("room"));
    SHUT[END].store(false, Ordering::Relaxed);
    for ticket in tickets {
        assert!(matches!(ticket.wait(GENEROUS), Err(GateError::Ended { stage }) if &*stage == "b"));
    }
    assert!(!events.try_iter().any(|event| matches!(event, Event::ParamApplied { .. })));
}

#[test]
fn changes_that_come_while_a_stage_ends_are_all_answered() {
    let rounds = if cfg!(miri) { 2 } else { 200 };
    for packets in 1..=rounds {
        let (runtime, events) = launch(json!({ "packets": packets }), json!({}), "recording");
        runtime.go();
        let outcome = loop {
            let outcome = set(&runtime, 2.0);
            // Changes whose events nobody takes are refused before long.
            events.try_iter().for_each(drop);
            if !matches!(outcome, Ok(Outcome::Applied { .. })) {
                break outcome;
            }
        };
        assert!(matches!(outcome, Err(GateError::Ended { .. })), "{outcome:?}");
    }
}

#[test]
fn a_source_that_never_began_has_ended_after_a_stop() {
    let (runtime, _events) = launch(json!({}), json!({}), "recording");
    assert_eq!(runtime.stop(GENEROUS), crate::StopReport::default());
    assert!(runtime.telemetry().stages.iter().all(|stage| stage.state.is_over()));
}

#[test]
fn only_cosmetic_parameters_pass_the_lock_and_fixed_ones_never_pass() {
    let (runtime, _events) = running();
    let guard = runtime.lock_for_recording();
    assert!(set(&runtime, 2.0).is_err_and(|error| error.is_busy()));
    assert!(runtime.check_restart().is_err_and(|error| error.is_busy()));
    let fixed = runtime.set_param("b", "latch", &json!(1), "test").expect_err("fixed");
    assert!(!fixed.is_busy() && matches!(fixed, GateError::Stage(StageError::NotLive("latch"))), "{fixed}");
    let label = runtime.set_param("b", "label", &json!("left"), "test").expect("cosmetic");
    assert!(matches!(label.wait(GENEROUS), Ok(Outcome::Applied { .. })));
    drop(guard);
    set(&runtime, 2.0).expect("free again");
    runtime.check_restart().expect("free again");
}

#[test]
fn the_strict_lock_holds_while_anything_flows() {
    let runtime = held(3, "running");
    assert!(set(&runtime, 2.0).is_err_and(|error| error.is_busy()));
    assert!(runtime.check_restart().is_err_and(|error| error.is_busy()));
    runtime.pause();
    runtime.set_param("b", "gain", &json!(2.0), "test").expect("paused");
    runtime.check_restart().expect("paused");
    runtime.begin_stop();
    assert_eq!(runtime.state(), PipelineState::Draining);
    let draining = runtime.set_param("b", "gain", &json!(3.0), "test").expect_err("packets are in flight");
    assert!(draining.is_busy() && runtime.why_locked().is_some(), "{draining}");
    runtime.set_param("b", "label", &json!("x"), "test").expect("cosmetic");
    SHUT[3].store(false, Ordering::Relaxed);
}

#[test]
fn of_several_changes_all_are_made_or_none() {
    let (runtime, events) = running();
    let (one, two, wrong) = (json!(1.0), json!(2.0), json!(-1.0));
    let (label, text) = (Change { stage: "b", key: "label", value: &json!("x") }, json!(7));
    let gain = |value| Change { stage: "b", key: "gain", value };
    let all = runtime.set_params(&[gain(&one), label, gain(&two)], "test").expect("free");
    let applied = |ticket: &crate::Ticket| matches!(ticket.wait(GENEROUS), Ok(Outcome::Applied { .. }));
    assert!(all.len() == 3 && all.iter().all(applied));
    assert_eq!(events.try_iter().count(), 3);

    let guard = runtime.lock_for_recording();
    assert!(matches!(runtime.set_params(&[label, gain(&one)], "test"), Err((1, error)) if error.is_busy()));
    drop(guard);
    assert!(matches!(runtime.set_params(&[gain(&one), gain(&wrong)], "test"), Err((1, GateError::Stage(_)))));
    assert!(matches!(runtime.set_params(&[Change { value: &text, ..label }], "test"), Err((0, _))));
    let flood = vec![gain(&one); 65];
    assert!(matches!(runtime.set_params(&flood, "test"), Err((64, GateError::Crowded { .. }))));
    set(&runtime, 5.0).expect("free again");
    let made = events.try_iter().collect::<Vec<_>>();
    assert!(matches!(&made[..], [Event::ParamApplied { new, .. }] if *new == json!(5.0)), "{made:?}");
}

#[test]
fn changes_are_refused_before_the_events_of_others_are_lost() {
    let (runtime, events) = running();
    let applied = (0..100_000).map_while(|_| set(&runtime, 2.0).ok()).count();
    assert!(matches!(set(&runtime, 2.0), Err(GateError::Crowded { .. })));
    assert_eq!((events.len(), runtime.telemetry().lost_events), (applied, 0));
    assert_eq!(events.try_iter().count(), applied);
    set(&runtime, 2.0).expect("there is room again");
}

/// What one client saw: when it asked, when it was answered, and how.
struct Seen {
    asked: Instant,
    answered: Instant,
    value: f64,
    outcome: Result<(u64, u32), GateError>,
}

/// Lets the clients end, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn change_often(runtime: &Runtime, first: u32, is_over: &AtomicBool) -> Vec<Seen> {
    // No two changes ask for the same value.
    let values = (0..).map(|n| f64::from(first + 2 * n)).take_while(|_| !is_over.load(Ordering::Relaxed));
    let seen = values.map(|value| {
        let asked = Instant::now();
        let outcome = set(runtime, value).map(|outcome| match outcome {
            Outcome::Applied { at_sample, epoch } => (at_sample, epoch),
            Outcome::Refused { why } => panic!("{why}"),
        });
        Seen { asked, answered: Instant::now(), value, outcome }
    });
    seen.collect()
}

#[test]
fn clients_that_race_each_other_and_a_lock_are_all_answered_and_none_passes_while_it_is_held() {
    const ROUNDS: u32 = if cfg!(miri) { 3 } else { 200 };
    let (runtime, events) = running();
    let is_over = AtomicBool::new(false);
    let (mut locked, mut marks, mut between) = (Vec::new(), Vec::new(), Vec::new());
    let (clients, mut told) = thread::scope(|scope| {
        let (runtime, events, is_over) = (&runtime, &events, &is_over);
        let over = Over(is_over);
        let clients = [100, 101].map(|first| scope.spawn(move || change_often(runtime, first, is_over)));
        let reader = scope.spawn(move || {
            let mut told = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                told.extend(events.recv_timeout(Duration::from_millis(1)));
            }
            told
        });
        let let_pass = |count: u32| {
            let before = runtime.telemetry().stages[1].packets;
            wait_until("some packets", || runtime.telemetry().stages[1].packets > before + u64::from(count));
        };
        // Passes the lock, behind all that was posted before; gives its place in the order of changes.
        let mut mark = || {
            let ticket = runtime.set_param("b", "label", &json!("x"), "test").expect("cosmetic");
            let Ok(Outcome::Applied { at_sample, epoch }) = ticket.wait(GENEROUS) else { panic!("not applied") };
            marks.push((epoch, (at_sample, None)));
            epoch
        };
        for round in 0..ROUNDS {
            let_pass(round % 7);
            let guard = runtime.lock_for_recording();
            let begin = Instant::now();
            let first = mark();
            let_pass(round % 5);
            between.push(mark() - first);
            locked.push((begin, Instant::now()));
            drop(guard);
        }
        drop(over);
        (clients.map(|client| client.join().expect("no panic")), reader.join().expect("no panic"))
    });
    told.extend(events.try_iter());
    let seen: Vec<&Seen> = clients.iter().flatten().collect();
    let within = |seen: &Seen| locked.iter().any(|(begin, end)| seen.asked > *begin && seen.answered < *end);
    let touches = |seen: &Seen| locked.iter().any(|(begin, end)| seen.answered > *begin && seen.asked < *end);
    assert!(between.iter().all(|changes| *changes == 1), "only what was posted before a lock is applied under it");
    let mut by_epoch: BTreeMap<u32, (u64, Option<f64>)> = marks.into_iter().collect();
    let mut refused = 0;
    for seen in &seen {
        match &seen.outcome {
            Ok((at_sample, epoch)) => {
                assert!(!within(seen), "applied under the lock: {}", seen.value);
                assert!(by_epoch.insert(*epoch, (*at_sample, Some(seen.value))).is_none(), "epoch {epoch} twice");
            }
            Err(error) => {
                assert!(error.is_busy(), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && seen.iter().any(|seen| within(seen)), "the lock was met");
    assert!(seen.iter().any(|seen| !touches(seen) && seen.outcome.is_ok()), "the gate was open in between");
    // None is lost, none is made twice, and the events tell the same story.
    let count = u32::try_from(by_epoch.len()).expect("few");
    assert!(by_epoch.keys().copied().eq(1..=count), "epochs without a hole");
    assert!(by_epoch.values().map(|(at_sample, _)| at_sample).is_sorted(), "samples in the order of epochs");
    let applied = told.iter().map(|event| {
        let Event::ParamApplied { at_sample, epoch, new, .. } = event else { panic!("{event:?}") };
        (*epoch, (*at_sample, new.as_f64()))
    });
    assert!(applied.eq(by_epoch.iter().map(|(epoch, change)| (*epoch, *change))));
    told.iter().for_each(|event| runtime.absorb(event));
    let last = by_epoch.values().rev().find_map(|(_, value)| *value);
    assert_eq!(Some(runtime.values()[1].float("gain")), last);
}
