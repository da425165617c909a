//! Which stages share a thread.
//!
//! Every source and every sink that can block has its own thread. A compute stage joins the thread of the stage it
//! reads from when that is a compute stage too and has no other compute stage to feed: a linear chain runs on one
//! thread, where a hop costs tens of nanoseconds instead of a wake-up. `"thread"` in the config overrides.
use crate::{
    config::PipelineConfig,
    plan::{PlannedEdge, PlannedStage, PlannedWorker},
};

pub(crate) fn assign(
    config: &PipelineConfig,
    stages: &[PlannedStage],
    edges: &[PlannedEdge],
    order: &[usize],
) -> Vec<PlannedWorker> {
    let is_compute = |stage: usize| {
        let descriptor = stages[stage].descriptor;
        !descriptor.inputs.is_empty() && !descriptor.blocking
    };
    let mut workers: Vec<(Option<String>, Vec<usize>)> = Vec::new();
    for &stage in order {
        let wanted = config.stages[stage].thread.as_ref();
        let joined = match wanted {
            Some(name) => workers.iter().position(|(worker, _)| worker.as_ref() == Some(name)),
            None if is_compute(stage) => {
                let mut upstream = edges.iter().filter(|edge| edge.to.0 == stage).map(|edge| edge.from.0);
                let only = upstream.next().filter(|first| upstream.all(|other| other == *first));
                only.filter(|first| is_compute(*first))
                    .filter(|first| {
                        let fed = edges.iter().filter(|edge| edge.from.0 == *first).map(|edge| edge.to.0);
                        fed.filter(|other| is_compute(*other)).all(|other| other == stage)
                    })
                    .and_then(|first| workers.iter().position(|(_, members)| members.contains(&first)))
            }
            None => None,
        };
        match joined {
            Some(worker) => workers[worker].1.push(stage),
            None => workers.push((wanted.cloned(), vec![stage])),
        }
    }
    let named = workers.into_iter().map(|(name, members)| {
        let ids: Vec<&str> = members.iter().map(|stage| &*stages[*stage].id).collect();
        PlannedWorker {
            name: name.unwrap_or_else(|| ids.join("+")).into(),
            cpu: members.iter().find_map(|stage| config.stages[*stage].cpu),
            stages: members,
        }
    });
    named.collect()
}
