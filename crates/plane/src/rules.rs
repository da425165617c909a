//! What must hold between stages and connections before anything is built.
use wavedeck_api::link::Overflow;

use crate::{
    config::PipelineConfig,
    plan::{PlannedEdge, PlannedStage, RECORDER},
    problem::Problem,
    threads,
};

/// Every input port has at least one connection.
pub(crate) fn inputs_are_connected(
    config: &PipelineConfig,
    stages: &[PlannedStage],
    edges: &[PlannedEdge],
    found: &mut Vec<Problem>,
) {
    for (index, stage) in stages.iter().enumerate() {
        for port in stage.descriptor.inputs {
            let is_named =
                config.connections.iter().any(|connection| connection.to.split('.').next() == Some(&stage.id));
            if !edges.iter().any(|edge| edge.to == (index, port.name)) && !is_named {
                let what = format!("input `{}.{}` is not connected", stage.id, port.name);
                let hint =
                    format!("add {{ \"from\": \"...\", \"to\": \"{}.{}\" }} to \"connections\"", stage.id, port.name);
                found.push(Problem::new(format!("/stages/{index}"), what, hint));
            }
        }
    }
}

/// Stages such that each comes after those it reads from; a cycle is reported with its stages in turn.
pub(crate) fn order(stages: &[PlannedStage], edges: &[PlannedEdge], found: &mut Vec<Problem>) -> Vec<usize> {
    let mut order = Vec::with_capacity(stages.len());
    let mut left: Vec<usize> = (0..stages.len()).collect();
    loop {
        let ready = |stage: &usize| !edges.iter().any(|edge| edge.to.0 == *stage && left.contains(&edge.from.0));
        let Some(position) = left.iter().position(ready) else { break };
        order.push(left.remove(position));
    }
    if let Some(&first) = left.first() {
        // Every stage left reads from one that is left: walking back must come round.
        let mut walk = vec![first];
        let cycle = loop {
            let last = walk[walk.len() - 1];
            let back = edges.iter().find(|edge| edge.to.0 == last && left.contains(&edge.from.0));
            let Some(back) = back.map(|edge| edge.from.0) else { break walk };
            if let Some(start) = walk.iter().position(|stage| *stage == back) {
                walk.push(back);
                break walk.split_off(start);
            }
            walk.push(back);
        };
        let names: Vec<&str> = cycle.iter().rev().map(|stage| &*stages[*stage].id).collect();
        let what = format!("the connections run in a circle: {}", names.join(" -> "));
        found.push(Problem::new("/connections", what, "remove one of these connections"));
    }
    order
}

/// For each stage, whether what it sends reaches a recorder, or it is one.
pub(crate) fn lead_to_recorders(stages: &[PlannedStage], edges: &[PlannedEdge]) -> Vec<bool> {
    let mut leads: Vec<bool> = stages.iter().map(|stage| stage.descriptor.id == RECORDER).collect();
    while let Some(edge) = edges.iter().find(|edge| leads[edge.to.0] && !leads[edge.from.0]) {
        leads[edge.from.0] = true;
    }
    leads
}

/// No policy that drops lies on the way to a recorder, and nothing can hold up a stage that feeds one.
pub(crate) fn recorders_miss_nothing(stages: &[PlannedStage], edges: &[PlannedEdge], found: &mut Vec<Problem>) {
    let leads = lead_to_recorders(stages, edges);
    let on_the_way: Vec<bool> = edges.iter().map(|edge| leads[edge.to.0]).collect();
    for (index, edge) in edges.iter().enumerate() {
        let at = format!("/connections/{index}");
        if on_the_way[index] && edge.overflow != Overflow::Block {
            let what = format!("`{}` leads to a recorder and may drop packets", edge.id);
            found.push(Problem::new(format!("{at}/overflow"), what, "leave \"overflow\" out: it is \"block\" then"));
        }
        // A source in real time never waits, so a full sibling costs it nothing; a stage in between does wait.
        let waits = !stages[edge.from.0].descriptor.inputs.is_empty();
        let sibling_of_recorder =
            || edges.iter().zip(&on_the_way).any(|(other, way)| *way && other.from == edge.from && other.id != edge.id);
        if waits && !on_the_way[index] && edge.overflow == Overflow::Block && sibling_of_recorder() {
            let what = format!("`{}` can hold up `{}`, which also feeds a recorder", edge.id, stages[edge.from.0].id);
            let hint = "give it \"overflow\": \"drop_oldest\" (a view) or \"drop_newest\"";
            found.push(Problem::new(format!("{at}/overflow"), what, hint));
        }
    }
}

/// Odd, but not wrong.
pub(crate) fn warnings(config: &PipelineConfig, stages: &[PlannedStage], edges: &[PlannedEdge]) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let processors = rustix::thread::sched_getaffinity(None);
    for (index, stage) in config.stages.iter().enumerate() {
        let Some((cpu, processors)) = stage.cpu.zip(processors.as_ref().ok()) else { continue };
        if !processors.is_set(cpu as usize) {
            let what = format!("`{}` is to run on processor {cpu}, which this program may not use here", stage.id);
            let hint = format!("it may use {}; without \"cpu\" the system chooses", processors.count());
            warnings.push(Problem::new(format!("/stages/{index}/cpu"), what, hint));
        }
    }
    let oddities = threads::oddities(config, stages, edges).into_iter();
    warnings.extend(oddities.map(|(at, what, hint)| Problem::new(at, what, hint)));
    for (index, stage) in stages.iter().enumerate() {
        let is_source = stage.descriptor.inputs.is_empty();
        if is_source && !edges.iter().any(|edge| edge.from.0 == index) {
            let what = format!("nothing reads from `{}`", stage.id);
            warnings.push(Problem::new(format!("/stages/{index}"), what, "its data is seen on the screen only"));
        }
    }
    if !stages.iter().any(|stage| stage.descriptor.inputs.is_empty()) {
        warnings.push(Problem::new("/stages", "there is no source", "nothing will ever flow"));
    }
    warnings
}
