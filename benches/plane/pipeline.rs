//! A chain of the stages to measure with, from its config to its end.
use std::{
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::Receiver;
use serde_json::{Value, json};
use wavedeck_plane::{Event, Graph, PipelineConfig, Plan, Runtime, StageState};

use crate::{
    proc,
    stages::{self, Seen},
};

/// Longer than any run takes: what has not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which stages share a thread.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Threads {
    /// As planned without a word in the config.
    Planned,
    /// Each stage has its own.
    Each,
    /// All on one.
    One,
}

/// In the order of the columns of grids.
pub(crate) const THREADS: [Threads; 3] = [Threads::Planned, Threads::Each, Threads::One];

/// A source, some stages of one kind, and a sink.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    /// Stage type of those in between.
    pub(crate) kind: &'static str,
    /// How many there are.
    pub(crate) count: usize,
    /// Samples per packet.
    pub(crate) samples: u32,
    /// Packets per second, or 0 for as fast as they are taken.
    pub(crate) packets_hz: f64,
    /// Who shares a thread.
    pub(crate) threads: Threads,
}

/// What one run took.
pub(crate) struct Run {
    /// From the start of the source to the end of the sink.
    pub(crate) wall: Duration,
    /// CPU time of the whole process, to the end of its threads.
    pub(crate) cpu: Duration,
    /// What the stages saw.
    pub(crate) seen: Seen,
}

/// A chain whose stages wait for their source to begin.
pub(crate) struct Started {
    /// It runs once it is told to go.
    pub(crate) runtime: Runtime,
    events: Receiver<Event>,
}

impl Chain {
    fn config(&self, packets: u64) -> Value {
        let thread = |id: &str| match self.threads {
            Threads::Planned => Value::Null,
            Threads::Each => json!(id),
            Threads::One => json!("all"),
        };
        let stage = |id: &str, kind: &str, params: Value| {
            let mut stage = json!({ "id": id, "type": kind, "params": params });
            if self.threads != Threads::Planned {
                stage["thread"] = thread(id);
            }
            stage
        };
        let source = json!({ "samples": self.samples, "packets": packets, "packets_hz": self.packets_hz });
        let mut stages = vec![stage("source", "source", source)];
        stages.extend((1..=self.count).map(|number| stage(&format!("pass{number}"), self.kind, json!({}))));
        stages.push(stage("sink", "sink", json!({})));
        let connections: Vec<Value> =
            stages.windows(2).map(|ends| json!({ "from": ends[0]["id"], "to": ends[1]["id"] })).collect();
        json!({ "version": 1, "name": "bench", "stages": stages, "connections": connections })
    }

    /// Builds it and starts its threads; `packets` of 0 never end.
    pub(crate) fn start(&self, packets: u64) -> Started {
        let config = PipelineConfig::from_value(&self.config(packets)).expect("a good config");
        let plan = Plan::new(&config, &stages::registry()).expect("a good pipeline");
        start(Graph::build(plan).expect("it builds"))
    }

    /// Sends `packets` through it.
    pub(crate) fn run(&self, packets: u64) -> Run {
        let started = self.start(packets);
        let (begin, cpu) = (Instant::now(), proc::cpu_time());
        started.runtime.go();
        started.wait_for("sink");
        let wall = begin.elapsed();
        // After the threads have ended: what a running thread has used is counted by ticks only.
        let seen = started.stop();
        Run { wall, cpu: proc::cpu_time() - cpu, seen }
    }
}

/// Starts the threads of a graph, and returns when all but the sources run.
pub(crate) fn start(graph: Graph) -> Started {
    let (runtime, events) = Runtime::launch(graph).expect("threads");
    let begin = Instant::now();
    let is_ready = || {
        let stages = runtime.telemetry().stages;
        stages.iter().filter(|stage| !stage.is_source).all(|stage| stage.state == StageState::Running)
    };
    while !is_ready() {
        assert!(begin.elapsed() < PATIENCE, "the stages do not start");
        thread::sleep(Duration::from_micros(200));
    }
    Started { runtime, events }
}

impl Started {
    /// Returns when a stage has ended as it should.
    fn wait_for(&self, id: &str) {
        loop {
            match self.events.recv_timeout(PATIENCE).expect("the pipeline ends") {
                Event::StageDone { stage } if *stage == *id => return,
                Event::StageFailed { stage, error, .. } => panic!("stage `{stage}` failed: {error}"),
                _ => {}
            }
        }
    }

    /// Ends the pipeline, and gives what its stages saw.
    pub(crate) fn stop(self) -> Seen {
        let report = self.runtime.stop(PATIENCE);
        assert!(report.stuck.is_empty() && report.in_flight == 0, "it ends with nothing left behind: {report:?}");
        stages::take_seen()
    }
}
