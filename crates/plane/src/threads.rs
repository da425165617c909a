//! Which stages share a thread.
//!
//! Every source and every sink that can block has its own thread. A compute stage joins the thread of the stage it
//! reads from when that is a compute stage too and has no other compute stage to feed: a linear chain runs on one
//! thread, where a hop costs tens of nanoseconds instead of a wake-up. A stage that a recorder depends on shares no
//! thread with one that it does not: nothing beside a recording can hold it up. `"thread"` in the config overrides.
use crate::{
    config::PipelineConfig,
    plan::{PlannedEdge, PlannedStage, PlannedWorker},
    rules,
};

/// Where a stage runs, and why.
enum Place {
    /// On the thread of that stage.
    With(usize),
    /// On one of its own.
    Apart(String),
}

pub(crate) fn assign(
    config: &PipelineConfig,
    stages: &[PlannedStage],
    edges: &[PlannedEdge],
    order: &[usize],
) -> Vec<PlannedWorker> {
    let recorded = rules::lead_to_recorders(stages, edges);
    let mut workers: Vec<PlannedWorker> = Vec::new();
    for &stage in order {
        let (joined, why) = match (&config.stages[stage].thread, place(stage, stages, edges, &recorded)) {
            (Some(name), _) => (workers.iter().position(|worker| *worker.name == **name), "asked for".to_owned()),
            (None, Place::With(other)) => {
                (workers.iter().position(|worker| worker.stages.contains(&other)), String::new())
            }
            (None, Place::Apart(why)) => (None, why),
        };
        let cpu = config.stages[stage].cpu;
        match joined {
            Some(worker) => {
                let PlannedWorker { name, stages: members, cpu: pinned, .. } = &mut workers[worker];
                if config.stages[members[0]].thread.is_none() {
                    *name = format!("{name}+{}", stages[stage].id).into();
                }
                members.push(stage);
                *pinned = pinned.or(cpu);
            }
            None => {
                let name = config.stages[stage].thread.as_deref().unwrap_or(&stages[stage].id).into();
                workers.push(PlannedWorker { name, stages: vec![stage], cpu, why });
            }
        }
    }
    workers
}

fn place(stage: usize, stages: &[PlannedStage], edges: &[PlannedEdge], recorded: &[bool]) -> Place {
    let is_compute = |stage: usize| {
        let descriptor = stages[stage].descriptor;
        !descriptor.inputs.is_empty() && !descriptor.blocking
    };
    let apart = |why: &str| Place::Apart(why.to_owned());
    if stages[stage].descriptor.inputs.is_empty() {
        return apart("a source keeps its own pace");
    }
    if !is_compute(stage) {
        return apart("it may wait for the outside world");
    }
    let mut upstream = edges.iter().filter(|edge| edge.to.0 == stage).map(|edge| edge.from.0);
    let Some(first) = upstream.next() else { return apart("it reads from nothing") };
    if !upstream.all(|other| other == first) {
        return apart("it reads from several stages");
    }
    let id = &stages[first].id;
    if !is_compute(first) {
        return Place::Apart(format!("a chain begins behind {id}"));
    }
    let fed = edges.iter().filter(|edge| edge.from.0 == first).map(|edge| edge.to.0);
    if !fed.filter(|other| is_compute(*other)).all(|other| other == stage) {
        return Place::Apart(format!("{id} feeds several chains"));
    }
    if recorded[stage] != recorded[first] {
        return Place::Apart(format!("a recording depends on {id} and must not wait for it"));
    }
    Place::With(first)
}
