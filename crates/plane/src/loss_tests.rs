//! The identity of losses over random pipelines: what was offered was taken, was dropped, or is in flight.
use std::thread;

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, json};

use crate::{
    Event, Graph, PipelineConfig, Plan, Runtime, StageRegistry, Telemetry,
    loss_stages::{COPY, END, IN_PLACE, Ledger, MAX_FRAMES, ORIGIN, new_ledger},
    runtime::locked,
    tests::GENEROUS,
};

/// A stage as it is drawn.
#[derive(Clone, Debug)]
struct Drawn {
    /// Of the stages before it, the one that it reads from; several for a sink that takes several.
    from: Vec<(Index, u32, &'static str)>,
    work: u32,
    /// Packets that an end keeps.
    hoard: u32,
    /// Packet and manner.
    fault: Option<(u32, &'static str)>,
    thread: Option<u8>,
}

#[derive(Clone, Debug)]
struct Origin {
    realtime: bool,
    packets: u32,
    frames: i64,
    drawn: Drawn,
}

#[derive(Clone, Debug)]
enum Act {
    Pause,
    Resume,
    Change(Index, u8),
    Stop,
}

#[derive(Clone, Debug)]
struct Case {
    origins: Vec<Origin>,
    relays: Vec<(bool, Drawn)>,
    ends: Vec<Drawn>,
    /// What happens, each after so many turns of the processor given away.
    script: Vec<(u16, Act)>,
}

fn drawn(inputs: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Drawn> {
    let policy = prop_oneof![3 => Just("block"), 1 => Just("drop_oldest"), 1 => Just("drop_newest")];
    let from = vec((any::<Index>(), 1..8u32, policy), inputs);
    let fault = proptest::option::weighted(0.15, (1..60u32, prop_oneof![Just("panic"), Just("error")]));
    let work = prop_oneof![3 => Just(0), 1 => 0..20_000u32];
    let hoard = prop_oneof![3 => Just(0), 1 => 2..40u32];
    (from, work, hoard, fault, proptest::option::weighted(0.3, 0..3u8))
        .prop_map(|(from, work, hoard, fault, thread)| Drawn { from, work, hoard, fault, thread })
}

fn case() -> impl Strategy<Value = Case> {
    let origin = (any::<bool>(), 0..400u32, 1..=MAX_FRAMES, drawn(0..=0));
    let origin = origin.prop_map(|(realtime, packets, frames, drawn)| Origin { realtime, packets, frames, drawn });
    let act = prop_oneof![
        1 => Just(Act::Pause),
        3 => Just(Act::Resume),
        1 => (any::<Index>(), 0..10u8).prop_map(|(stage, value)| Act::Change(stage, value)),
        1 => Just(Act::Stop),
    ];
    let relays = vec((any::<bool>(), drawn(1..=1)), 0..=6);
    let ends = vec(prop_oneof![3 => drawn(1..=1), 1 => drawn(2..=4)], 1..=4);
    (vec(origin, 1..=3), relays, ends, vec((0..300u16, act), 0..6)).prop_map(|(origins, relays, ends, script)| Case {
        origins,
        relays,
        ends,
        script,
    })
}

impl Case {
    /// Every stage reads only from those before it, so that every case is a pipeline that can run.
    fn config(&self) -> Value {
        let (mut stages, mut connections, mut senders) = (Vec::new(), Vec::<Value>::new(), Vec::<String>::new());
        let mut add = |kind: &str, drawn: &Drawn, params: Value, sends: bool| {
            let id = format!("{kind}{}", stages.len());
            let mut params = params;
            params["work"] = json!(drawn.work);
            params["hoard"] = json!(drawn.hoard);
            if let Some((at, manner)) = drawn.fault {
                params["fault_at"] = json!(at);
                params["manner"] = json!(manner);
            }
            let mut stage = json!({ "id": id, "type": kind, "params": params });
            if let Some(thread) = drawn.thread {
                stage["thread"] = json!(format!("t{thread}"));
            }
            stages.push(stage);
            let mut taken = Vec::new();
            for (from, capacity, policy) in &drawn.from {
                let from = from.get(&senders);
                if !taken.contains(from) {
                    taken.push(from.clone());
                    connections.push(json!({ "from": from, "to": id, "capacity": capacity, "overflow": policy }));
                }
            }
            if sends {
                senders.push(id);
            }
        };
        for (number, origin) in self.origins.iter().enumerate() {
            let Origin { realtime, packets, frames, drawn } = origin;
            let params = json!({ "number": number, "realtime": realtime, "packets": packets, "frames": frames });
            add("origin", drawn, params, true);
        }
        for (in_place, drawn) in &self.relays {
            add(if *in_place { "in_place" } else { "copy" }, drawn, json!({}), true);
        }
        for drawn in &self.ends {
            add("end", drawn, json!({}), false);
        }
        json!({ "version": 1, "name": "t", "stages": stages, "connections": connections })
    }

    /// Runs it to its end and returns the last counters, the books, and what was told of failures.
    fn run(&self) -> (Runtime, std::sync::Arc<Ledger>, Vec<String>) {
        let registry = StageRegistry::of([&ORIGIN, &IN_PLACE, &COPY, &END]).expect("four names");
        let config = PipelineConfig::from_value(&self.config()).expect("no mistake of form");
        let ledger = new_ledger();
        let graph = Plan::new(&config, &registry).and_then(Graph::build).expect("a pipeline that can run");
        let (runtime, events) = Runtime::launch(graph).expect("threads");
        runtime.go();
        for (turns, act) in &self.script {
            (0..*turns).for_each(|_| thread::yield_now());
            match act {
                Act::Pause => runtime.pause(),
                Act::Resume => runtime.resume(),
                Act::Change(stage, value) => {
                    let stage = &*stage.get(&runtime.plan().stages).id;
                    // A stage that has ended refuses.
                    let _ = runtime.set_param(stage, "knob", &json!(value), "test");
                }
                Act::Stop => runtime.begin_stop(),
            }
        }
        let ended = |act: &(u16, Act)| matches!(act.1, Act::Stop);
        if !self.script.iter().any(ended) {
            runtime.resume();
            crate::tests::wait_until("the end", || runtime.has_ended());
        }
        let report = runtime.stop(GENEROUS);
        assert_eq!(report.stuck, Vec::<String>::new());
        let failures = events.try_iter().filter_map(|event| match event {
            Event::StageFailed { stage, error, .. } => Some(format!("{stage}: {error}")),
            _ => None,
        });
        (runtime, ledger, failures.collect())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (runtime, ledger, failures) = self.run();
        let telemetry = runtime.telemetry();
        prop_assert!(locked(&ledger.wrong).is_empty(), "{:?}", locked(&ledger.wrong));
        let unasked: Vec<_> = failures.iter().filter(|failure| !failure.contains("asked to")).collect();
        prop_assert!(unasked.is_empty(), "{unasked:?}");
        for pool in &telemetry.pools {
            prop_assert_eq!(pool.in_use, 0, "{}", pool.name);
        }
        sources_add_up(&runtime, &telemetry, &ledger)?;
        edges_add_up(&runtime, &telemetry, &ledger)
    }
}

/// Made = sent + lost for want of a buffer + let go in a pause; nothing is lost by a source that can wait.
fn sources_add_up(runtime: &Runtime, telemetry: &Telemetry, ledger: &Ledger) -> Result<(), TestCaseError> {
    let books = locked(&ledger.books);
    for (index, stage) in telemetry.stages.iter().enumerate().filter(|(_, stage)| stage.is_source) {
        let (counts, books) = (stage.outputs[0].1, &books[&*stage.id]);
        let accounted = counts.sent_samples + counts.lost_overrun + counts.discarded;
        prop_assert_eq!(books.produced, accounted, "{}: {:?}", stage.id, counts);
        prop_assert_eq!(books.offered.samples, counts.sent_samples + counts.discarded, "{}: {:?}", stage.id, counts);
        if !runtime.nodes[index].realtime {
            prop_assert_eq!((counts.lost_overrun, counts.discarded), (0, 0), "{}", stage.id);
        }
    }
    Ok(())
}

fn edges_add_up(runtime: &Runtime, telemetry: &Telemetry, ledger: &Ledger) -> Result<(), TestCaseError> {
    let books = locked(&ledger.books);
    for (edge, planned) in telemetry.edges.iter().zip(&runtime.plan().edges) {
        let (from, to) = (&telemetry.stages[planned.from.0], &telemetry.stages[planned.to.0]);
        let (counts, sent) = (edge.counts, from.outputs[0].1);
        let offered = books[&*from.id].offered;
        let taken = books[&*to.id].taken.get(&*from.id).copied().unwrap_or_default();
        let id = &edge.id;

        // What a pause let go was handed to the output and to no link.
        let samples = taken.samples + counts.dropped_samples + counts.in_flight_samples;
        prop_assert_eq!(offered.samples - sent.discarded, samples, "{}: {:?}", id, counts);
        if sent.discarded == 0 {
            let packets = taken.packets + counts.dropped_packets + counts.in_flight_packets;
            prop_assert_eq!(offered.packets, packets, "{}: {:?}", id, counts);
        }
        let consumed = (counts.consumed_packets, counts.consumed_samples);
        prop_assert_eq!((taken.packets, taken.samples), consumed, "{}", id);
        prop_assert_eq!((counts.in_flight_packets, counts.in_flight_samples), (0, 0), "{}: {:?}", id, counts);
        prop_assert!(counts.high_water <= edge.capacity, "{}: {:?}", id, counts);

        let can_wait = edge.policy == wavedeck_api::link::Overflow::Block && !runtime.nodes[planned.from.0].realtime;
        if can_wait && to.state == crate::StageState::Done {
            prop_assert_eq!(counts.dropped_packets, 0, "{}", id);
        }
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    // As many as the environment asks for, or few enough for every run of the tests.
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: 64, ..config } }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_sample_offered_is_taken_dropped_or_in_flight(case in case()) {
        case.check()?;
    }
}
