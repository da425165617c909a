//! The end of a pipeline: everything drains, and what holds it up is given up in time for recordings to be closed.
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use wavedeck_api::link::LinkStats;

use crate::{
    runtime::{Runtime, locked},
    telemetry::StageState,
};

/// How often a stop looks whether everything has ended.
const LOOK: Duration = Duration::from_millis(2);

/// How a stop went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StopReport {
    /// Stages that did not end in time; their threads are left to themselves.
    pub stuck: Vec<String>,
    /// Samples that were still queued.
    pub in_flight: u64,
}

/// When each stage last took something from its inputs.
struct Progress {
    taken: Vec<u64>,
    since: Vec<Instant>,
}

/// Indices of stages.
#[derive(Default)]
struct Stuck {
    /// What holds the others up.
    named: BTreeSet<usize>,
    /// These, and those that cannot be called because they share a thread with one.
    silenced: BTreeSet<usize>,
}

impl Runtime {
    /// Ends the pipeline: sources end, everything drains. After half of `patience` the outputs of every stage that is
    /// stuck are closed, so that what is behind it, recorders above all, ends as it should; after three quarters nobody
    /// waits for room before such a stage either. After `patience` the stages that still run are named and left to
    /// themselves. A stage is stuck if one call into it has lasted a quarter of `patience`, or if it is called and has
    /// taken nothing of what waits for it for as long.
    pub fn stop(&self, patience: Duration) -> StopReport {
        self.begin_stop();
        let began = Instant::now();
        let mut progress = Progress { taken: vec![0; self.nodes.len()], since: vec![began; self.nodes.len()] };
        let mut stuck = Stuck::default();
        // Without the lock: who asks for the state meanwhile must not wait.
        while !self.has_ended() && began.elapsed() < patience {
            self.follow(&mut progress);
            if began.elapsed() >= patience / 2 {
                stuck = self.stuck(&progress, patience / 4);
                self.give_up(&stuck.silenced, began.elapsed() >= patience / 4 * 3);
            }
            thread::sleep(LOOK);
        }
        let stuck = self.take_ended(&stuck.named);
        let in_flight = self.links.iter().map(|link| link.counts().in_flight_samples).sum();
        StopReport { stuck, in_flight }
    }

    fn follow(&self, progress: &mut Progress) {
        for stage in 0..self.nodes.len() {
            let taken = self.inputs(stage).map(|link| link.counts().consumed_packets).sum();
            if taken != progress.taken[stage] {
                progress.taken[stage] = taken;
                progress.since[stage] = Instant::now();
            }
        }
    }

    fn stuck(&self, progress: &Progress, limit: Duration) -> Stuck {
        let (now, mut stuck) = (Instant::now(), Stuck::default());
        for (worker, planned) in locked(&self.workers).iter().zip(&self.plan.workers) {
            if let Some(call) = worker.ongoing().filter(|call| call.lasted(now) >= limit) {
                stuck.named.insert(planned.stages[call.seat]);
                stuck.silenced.extend(&planned.stages);
                continue;
            }
            let is_late = |stage: &usize| now.duration_since(progress.since[*stage]) >= limit;
            let stages = planned.stages.iter().filter(|stage| is_late(stage) && self.neglects_its_inputs(**stage));
            stuck.named.extend(stages);
        }
        stuck.silenced.extend(&stuck.named);
        stuck
    }

    /// True for a stage that has room for what it sends and still takes nothing of what waits for it.
    fn neglects_its_inputs(&self, stage: usize) -> bool {
        let node = &self.nodes[stage];
        let is_called = node.stats.state() == StageState::Running && !self.plan.is_source(stage);
        let has_room = node.outputs.iter().flat_map(|output| &output.links).all(|link| link.room() > 0);
        let is_offered = self.inputs(stage).any(|link| link.counts().in_flight_packets > 0);
        is_called && has_room && (is_offered || self.inputs(stage).all(LinkStats::is_closed))
    }

    fn give_up(&self, stages: &BTreeSet<usize>, also_before_them: bool) {
        for stage in stages {
            self.nodes[*stage].outputs.iter().flat_map(|output| &output.links).for_each(|link| link.close());
            // Only where somebody waits: a slow disk may still take what is queued before it.
            if also_before_them {
                self.inputs(*stage).filter(|link| link.room() == 0).for_each(LinkStats::abandon);
            }
        }
        if !stages.is_empty() {
            self.control.ring_all();
        }
    }

    fn inputs(&self, stage: usize) -> impl Iterator<Item = &LinkStats> {
        let edges = self.plan.edges.iter().zip(&self.links);
        edges.filter(move |(edge, _)| edge.to.0 == stage).map(|(_, link)| &**link)
    }

    /// Joins the threads that have ended; names the stages that keep the others from it.
    fn take_ended(&self, stuck: &BTreeSet<usize>) -> Vec<String> {
        let (mut named, mut waiting) = (Vec::new(), Vec::new());
        for (worker, planned) in locked(&self.workers).iter_mut().zip(&self.plan.workers) {
            if worker.has_ended() {
                if let Some(thread) = worker.thread.take() {
                    let _ = thread.join();
                }
                continue;
            }
            let called = worker.ongoing().map(|call| planned.stages[call.seat]);
            let before = named.len();
            named.extend(planned.stages.iter().filter(|stage| stuck.contains(stage)));
            if named.len() == before {
                let has_ended =
                    |stage: &&usize| matches!(self.nodes[**stage].stats.state(), StageState::Done | StageState::Failed);
                // A stage that sleeps waits for another one, which is the one to name.
                match called {
                    Some(stage) => named.push(stage),
                    None => waiting.extend(planned.stages.iter().find(|stage| !has_ended(stage))),
                }
            }
        }
        let worst = if named.is_empty() { waiting } else { named };
        worst.into_iter().map(|stage| self.plan.stages[stage].id.to_string()).collect()
    }
}
