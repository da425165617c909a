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

/// What decides where stages run.
struct Threads<'a> {
    config: &'a PipelineConfig,
    stages: &'a [PlannedStage],
    edges: &'a [PlannedEdge],
    /// For each stage, whether a recorder depends on it or is it.
    recorded: Vec<bool>,
    /// Threads so far, with the name that the config asks for.
    workers: Vec<(Option<&'a str>, PlannedWorker)>,
}

pub(crate) fn assign(
    config: &PipelineConfig,
    stages: &[PlannedStage],
    edges: &[PlannedEdge],
    order: &[usize],
) -> Vec<PlannedWorker> {
    let recorded = rules::lead_to_recorders(stages, edges);
    let mut threads = Threads { config, stages, edges, recorded, workers: Vec::new() };
    order.iter().for_each(|stage| threads.place(*stage));
    threads.workers.into_iter().map(|(_, worker)| worker).collect()
}

impl<'a> Threads<'a> {
    fn place(&mut self, stage: usize) {
        let config = &self.config.stages[stage];
        let wanted = config.thread.as_deref();
        let joined = match wanted {
            Some(_) => self.workers.iter().position(|(name, _)| *name == wanted).ok_or_else(|| "asked for".to_owned()),
            None => self.chain(stage),
        };
        match joined {
            Ok(index) => {
                let (wanted, worker) = &mut self.workers[index];
                worker.stages.push(stage);
                worker.cpu = worker.cpu.or(config.cpu);
                if wanted.is_none() {
                    worker.name = format!("{}+{}", worker.name, self.stages[stage].id).into();
                }
            }
            Err(why) => {
                let name = wanted.unwrap_or(&self.stages[stage].id).into();
                self.workers.push((wanted, PlannedWorker { name, stages: vec![stage], cpu: config.cpu, why }));
            }
        }
    }

    fn is_compute(&self, stage: usize) -> bool {
        let descriptor = self.stages[stage].descriptor;
        !descriptor.inputs.is_empty() && !descriptor.blocking
    }

    /// The thread whose chain a stage continues, or why it begins one of its own.
    fn chain(&self, stage: usize) -> Result<usize, String> {
        if self.stages[stage].descriptor.inputs.is_empty() {
            return Err("a source keeps its own pace".into());
        }
        if !self.is_compute(stage) {
            return Err("it may wait for the outside world".into());
        }
        let mut upstream = self.edges.iter().filter(|edge| edge.to.0 == stage).map(|edge| edge.from.0);
        let Some(first) = upstream.next() else { return Err("it reads from nothing".into()) };
        if !upstream.all(|other| other == first) {
            return Err("it reads from several stages".into());
        }
        let id = &self.stages[first].id;
        if !self.is_compute(first) {
            return Err(format!("a chain begins behind {id}"));
        }
        let mut fed = self.edges.iter().filter(|edge| edge.from.0 == first).map(|edge| edge.to.0);
        if fed.any(|other| other != stage && self.is_compute(other)) {
            return Err(format!("{id} feeds several chains"));
        }
        let index = self.workers.iter().position(|(_, worker)| worker.stages.contains(&first));
        let index = index.expect("stages come after those they read from");
        let worker = &self.workers[index].1;
        // Where the config has put several on one thread, any of them may be another stage than the one before us.
        if let Some(other) = worker.stages.iter().find(|other| self.recorded[**other] != self.recorded[stage]) {
            let (kept, apart) = if self.recorded[stage] { (stage, *other) } else { (*other, stage) };
            let id = |stage: usize| &self.stages[stage].id;
            return Err(format!("a recording depends on {} and must not wait for {}", id(kept), id(apart)));
        }
        match (worker.cpu, self.config.stages[stage].cpu) {
            (Some(one), Some(other)) if one != other => Err(format!("{id} runs on processor {one}")),
            _ => Ok(index),
        }
    }
}

/// What is odd about threads that the config asks for: place, what, and what to do.
pub(crate) fn oddities(
    config: &PipelineConfig,
    stages: &[PlannedStage],
    edges: &[PlannedEdge],
) -> Vec<(String, String, &'static str)> {
    let recorded = rules::lead_to_recorders(stages, edges);
    let mut found = Vec::new();
    for (index, stage) in config.stages.iter().enumerate() {
        let Some(name) = &stage.thread else { continue };
        let before =
            || config.stages[..index].iter().enumerate().filter(|(_, other)| other.thread.as_ref() == Some(name));
        if let Some((other, _)) = before().find(|(other, _)| recorded[*other] != recorded[index]) {
            let (kept, apart) = if recorded[index] { (index, other) } else { (other, index) };
            let what = format!(
                "`{}` shares the thread `{name}` with `{}`: while it is held up, so is a recording",
                stages[apart].id, stages[kept].id
            );
            found.push((format!("/stages/{index}/thread"), what, "give what is not recorded a thread of its own"));
        }
        if let Some((_, other)) =
            before().find(|(_, other)| other.cpu.is_some_and(|cpu| stage.cpu.is_some_and(|c| c != cpu)))
        {
            let what =
                format!("`{}` and `{}` share the thread `{name}` but name different processors", other.id, stage.id);
            found.push((format!("/stages/{index}/cpu"), what, "name one: the thread runs on the one that comes first"));
        }
    }
    found
}
