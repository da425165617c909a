//! A checked pipeline: stages in order, connections with capacity and policy, pools sized, threads assigned. Inert.
use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use wavedeck_api::{
    link::Overflow,
    param::{ParamError, ParamSet, suggestion},
    stage::StageDescriptor,
};

use crate::{
    config::{ConnectionConfig, LockRule, OnFault, PipelineConfig, StageConfig},
    problem::{Problem, Problems},
    registry::StageRegistry,
    rules, threads,
};

/// Packets of a connection whose config names no capacity.
pub const DEFAULT_CAPACITY: u32 = 32;
/// Packets that wait for a recorder where the config names no capacity: some seconds of a slow disk.
pub const RECORDER_CAPACITY: u32 = 200;
/// The stage type that records; its input must not miss anything.
pub const RECORDER: &str = "record";

/// A pipeline in which every name, value and connection has been checked.
pub struct Plan {
    /// The config it was made from, with the recorder that was added if there was none.
    pub config: PipelineConfig,
    /// Stages in the order of the config.
    pub stages: Vec<PlannedStage>,
    /// Connections in the order of the config.
    pub edges: Vec<PlannedEdge>,
    /// So many of them were written by the user; the others were added with a recorder.
    pub written_connections: usize,
    /// Indices of `stages` such that every stage comes after those it reads from.
    pub order: Vec<usize>,
    /// Threads, each with its stages in processing order.
    pub workers: Vec<PlannedWorker>,
    /// Odd, but not wrong.
    pub warnings: Vec<Problem>,
}

/// A stage with its parameters checked.
pub struct PlannedStage {
    /// Id in the config.
    pub id: Arc<str>,
    /// Its type.
    pub descriptor: &'static StageDescriptor,
    /// Its parameters, defaults filled in.
    pub params: ParamSet,
    /// What happens when it fails.
    pub on_fault: OnFault,
    /// Buffers of each output, by port, in the order of the descriptor.
    pub pools: Vec<u32>,
}

/// A connection between two existing ports.
#[derive(Clone, Debug)]
pub struct PlannedEdge {
    /// `board.out -> volts.in`.
    pub id: Arc<str>,
    /// Sending stage and port.
    pub from: (usize, &'static str),
    /// Receiving stage and port.
    pub to: (usize, &'static str),
    /// Packets that fit.
    pub capacity: u32,
    /// What happens when they do not.
    pub overflow: Overflow,
}

/// A thread.
#[derive(Clone, Debug)]
pub struct PlannedWorker {
    /// Its name: as the config says, or that of its stages.
    pub name: Arc<str>,
    /// Indices of `Plan::stages` in processing order.
    pub stages: Vec<usize>,
    /// Processor it is pinned to.
    pub cpu: Option<u32>,
    /// Why its first stage does not share the thread of another; the others continue its chain, or were asked for.
    pub why: String,
}

impl Plan {
    /// Checks a config against the stage types there are.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn new(config: &PipelineConfig, registry: &StageRegistry) -> Result<Self, Problems> {
        let mut found = Vec::new();
        let written_connections = config.connections.len();
        let config = with_recorder(config, registry);
        let stages = plan_stages(&config, registry, &mut found);
        // Without stages the rest would only echo the same mistakes.
        if stages.iter().any(Option::is_none) {
            plan_edges(&config, &stages, &mut found);
            Problems::unless_none(found)?;
            return Err(Problems::one(Problem::new("/stages", "no stage could be planned", "")));
        }
        let edges = plan_edges(&config, &stages, &mut found);
        let mut stages: Vec<PlannedStage> = stages.into_iter().flatten().collect();
        rules::inputs_are_connected(&config, &stages, &edges, &mut found);
        let order = rules::order(&stages, &edges, &mut found);
        rules::recorders_miss_nothing(&stages, &edges, &mut found);
        Problems::unless_none(found)?;

        let mut found = Vec::new();
        size_pools(&config, &mut stages, &edges, &order, &mut found);
        Problems::unless_none(found)?;
        let workers = threads::assign(&config, &stages, &edges, &order);
        let warnings = rules::warnings(&config, &stages, &edges);
        Ok(Self { config, stages, edges, written_connections, order, workers, warnings })
    }

    /// Which worker runs a stage.
    pub fn worker_of(&self, stage: usize) -> usize {
        let found = self.workers.iter().position(|worker| worker.stages.contains(&stage));
        found.expect("every stage is assigned to a worker")
    }

    /// True for a stage without inputs.
    pub fn is_source(&self, stage: usize) -> bool {
        self.stages[stage].descriptor.inputs.is_empty()
    }
}

/// The config with a recorder on every source's outputs, if it has none: `R` always works.
fn with_recorder(config: &PipelineConfig, registry: &StageRegistry) -> PipelineConfig {
    let mut config = config.clone();
    if registry.get(RECORDER).is_none() || config.stages.iter().any(|stage| stage.kind == RECORDER) {
        return config;
    }
    let mut id = RECORDER.to_owned();
    while config.stages.iter().any(|stage| stage.id == id) {
        id.push('_');
    }
    let mut streams = Vec::new();
    for stage in &config.stages {
        if let Some(descriptor) = registry.get(&stage.kind).filter(|descriptor| descriptor.inputs.is_empty()) {
            streams.extend(descriptor.outputs.iter().map(|port| format!("{}.{}", stage.id, port.name)));
        }
    }
    if streams.is_empty() {
        return config;
    }
    config.stages.push(StageConfig {
        id: id.clone(),
        kind: RECORDER.into(),
        params: serde_json::Map::new(),
        on_fault: OnFault::Disable,
        thread: None,
        cpu: None,
    });
    config.connections.extend(streams.into_iter().map(|from| ConnectionConfig {
        from,
        to: id.clone(),
        capacity: None,
        overflow: Overflow::Block,
    }));
    config
}

fn plan_stages(
    config: &PipelineConfig,
    registry: &StageRegistry,
    found: &mut Vec<Problem>,
) -> Vec<Option<PlannedStage>> {
    if config.stages.is_empty() {
        found.push(Problem::new("/stages", "a pipeline has at least one stage", "add a source such as `synthetic`"));
    }
    let mut seen = BTreeMap::new();
    let plan = |(index, stage): (usize, &StageConfig)| {
        let at = format!("/stages/{index}");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !stage.id.chars().all(is_plain) || stage.id.len() > 40 {
            let what = format!("`{}` is not an id: up to 40 letters, digits, `_` and `-`", stage.id);
            found.push(Problem::new(format!("{at}/id"), what, ""));
        }
        if let Some(first) = seen.insert(stage.id.clone(), index) {
            let what = format!("the id `{}` is taken by /stages/{first}", stage.id);
            found.push(Problem::new(format!("{at}/id"), what, "give each stage its own id"));
        }
        if let Some(name) = stage.thread.as_ref().filter(|name| name.chars().any(char::is_control)) {
            let what = format!("{name:?} is not a name for a thread: it holds a control character");
            found.push(Problem::new(format!("{at}/thread"), what, ""));
        }
        let Some(descriptor) = registry.get(&stage.kind) else {
            let hint = suggestion(&stage.kind, registry.iter().map(|descriptor| descriptor.id));
            found.push(Problem::new(format!("{at}/type"), format!("no stage type `{}`", stage.kind), hint));
            return None;
        };
        let mut params = ParamSet::defaults(descriptor.params);
        for (key, value) in &stage.params {
            if let Err(error) = params.set(key, value) {
                let hint = if let ParamError::Unknown { hint, .. } = &error { hint.clone() } else { String::new() };
                found.push(Problem::new(format!("{at}/params/{key}"), error.to_string(), hint));
            }
        }
        let pools = vec![1; descriptor.outputs.len()];
        Some(PlannedStage { id: stage.id.as_str().into(), descriptor, params, on_fault: stage.on_fault, pools })
    };
    config.stages.iter().enumerate().map(plan).collect()
}

fn plan_edges(config: &PipelineConfig, stages: &[Option<PlannedStage>], found: &mut Vec<Problem>) -> Vec<PlannedEdge> {
    let mut edges: Vec<PlannedEdge> = Vec::new();
    for (index, connection) in config.connections.iter().enumerate() {
        let at = format!("/connections/{index}");
        let from = port(&format!("{at}/from"), &connection.from, Side::Output, config, stages, found);
        let to = port(&format!("{at}/to"), &connection.to, Side::Input, config, stages, found);
        let (Some(from), Some(to)) = (from, to) else { continue };
        if edges.iter().any(|edge| edge.from == from && edge.to == to) {
            found.push(Problem::new(at.clone(), "this connection is there already", "remove one of the two"));
        }
        if let (Some(sender), Some(receiver)) = (&stages[from.0], &stages[to.0]) {
            let sends = sender.descriptor.outputs.iter().find(|port| port.name == from.1);
            let takes = receiver.descriptor.inputs.iter().find(|port| port.name == to.1);
            let fits = sends.zip(takes).is_none_or(|(s, t)| s.accepts.iter().any(|kind| t.accepts.contains(kind)));
            if let (false, Some(sends), Some(takes)) = (fits, sends, takes) {
                let list = |kinds: &[wavedeck_api::signal::SignalKind]| {
                    kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
                };
                let what = format!(
                    "`{}.{}` sends {}, but `{}.{}` takes {}",
                    sender.id,
                    from.1,
                    list(sends.accepts),
                    receiver.id,
                    to.1,
                    list(takes.accepts)
                );
                let hint = if list(sends.accepts) == "counts" { "put a `to_voltage` stage between them" } else { "" };
                found.push(Problem::new(at.clone(), what, hint));
            }
        }
        let default = match &stages[to.0] {
            Some(stage) if stage.descriptor.id == RECORDER => RECORDER_CAPACITY,
            _ => DEFAULT_CAPACITY,
        };
        let name = |end: (usize, &str)| format!("{}.{}", config.stages[end.0].id, end.1);
        edges.push(PlannedEdge {
            id: format!("{} -> {}", name(from), name(to)).into(),
            from,
            to,
            capacity: connection.capacity.unwrap_or(default),
            overflow: connection.overflow,
        });
    }
    edges
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Input,
    Output,
}

/// Finds the port that `stage.port` or `stage` names.
fn port(
    at: &str,
    text: &str,
    side: Side,
    config: &PipelineConfig,
    stages: &[Option<PlannedStage>],
    found: &mut Vec<Problem>,
) -> Option<(usize, &'static str)> {
    let (id, port) = text.split_once('.').map_or((text, None), |(id, port)| (id, Some(port)));
    let Some(index) = config.stages.iter().position(|stage| stage.id == id) else {
        let hint = suggestion(id, config.stages.iter().map(|stage| stage.id.as_str()));
        found.push(Problem::new(at, format!("no stage `{id}` in this pipeline"), hint));
        return None;
    };
    let descriptor = stages[index].as_ref()?.descriptor;
    let (ports, word) = match side {
        Side::Input => (descriptor.inputs, "input"),
        Side::Output => (descriptor.outputs, "output"),
    };
    let names = || ports.iter().map(|port| port.name);
    let hint = |wrong: &str| {
        if names().next().is_none() {
            format!("`{id}` ({}) has no {word}", descriptor.id)
        } else {
            suggestion(wrong, names())
        }
    };
    match (port, ports) {
        (None, [only]) => Some((index, only.name)),
        (None, _) => {
            found.push(Problem::new(at, format!("`{id}` needs its {word} named: it has {}", ports.len()), hint("")));
            None
        }
        (Some(wanted), _) => {
            let port = names().find(|name| *name == wanted);
            if port.is_none() {
                found.push(Problem::new(at, format!("`{id}` has no {word} `{wanted}`"), hint(wanted)));
            }
            port.map(|port| (index, port))
        }
    }
}

/// Buffers of each output: over its edges the capacity and one in the consumer's hands, in-place consumers counted
/// through, and one being written.
fn size_pools(
    config: &PipelineConfig,
    stages: &mut [PlannedStage],
    edges: &[PlannedEdge],
    order: &[usize],
    found: &mut Vec<Problem>,
) {
    // Buffers that can be held beyond an output, from the last stages to the first.
    // Saturating: what a config asks for may be absurd, and is refused by its size when the pool is made.
    let total = |held: &mut dyn Iterator<Item = u32>| held.fold(0, u32::saturating_add);
    let mut beyond: BTreeMap<(usize, &'static str), u32> = BTreeMap::new();
    for &stage in order.iter().rev() {
        for port in stages[stage].descriptor.outputs {
            let reach = |edge: &PlannedEdge| {
                let receiver = edge.to.0;
                let passed_on = match stages[receiver].descriptor.in_place {
                    true => total(&mut beyond.iter().filter(|((s, _), _)| *s == receiver).map(|(_, held)| *held)),
                    false => 0,
                };
                (edge.capacity + 1).saturating_add(passed_on)
            };
            let held = total(&mut edges.iter().filter(|edge| edge.from == (stage, port.name)).map(reach));
            beyond.insert((stage, port.name), held);
        }
    }
    for (index, stage) in stages.iter_mut().enumerate() {
        for (port, pool) in stage.descriptor.outputs.iter().zip(&mut stage.pools) {
            *pool = beyond.get(&(index, port.name)).copied().unwrap_or(0).saturating_add(1);
        }
    }
    for (index, wanted) in config.pools.iter().enumerate() {
        let at = format!("/pools/{index}");
        let names = stages
            .iter()
            .flat_map(|stage| stage.descriptor.outputs.iter().map(move |port| format!("{}.{}", stage.id, port.name)));
        let names: Vec<String> = names.collect();
        let target = stages.iter_mut().find_map(|stage| {
            let ports = stage.descriptor.outputs.iter().zip(&mut stage.pools);
            ports.filter(|(port, _)| wanted.name == format!("{}.{}", stage.id, port.name)).map(|(_, pool)| pool).next()
        });
        match target {
            None => {
                let hint = suggestion(&wanted.name, names.iter().map(String::as_str));
                found.push(Problem::new(format!("{at}/name"), format!("no pool `{}`", wanted.name), hint));
            }
            Some(pool) if wanted.packets < *pool => {
                let what = format!("`{}` needs at least {pool} packets, got {}", wanted.name, wanted.packets);
                let hint = "the queues behind it can hold that many; leave the pool out to have it sized for you";
                found.push(Problem::new(format!("{at}/packets"), what, hint));
            }
            Some(pool) => *pool = wanted.packets,
        }
    }
}

impl PlannedStage {
    /// The parameters as JSON, defaults included.
    pub fn params_json(&self) -> serde_json::Value {
        let pairs = self.params.iter().map(|(spec, value)| (spec.key.to_owned(), spec.to_json(value)));
        json!(pairs.collect::<serde_json::Map<_, _>>())
    }
}

impl LockRule {
    /// The rule in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Recording => "parameters are locked while recording",
            Self::Running => "parameters are locked while recording and while the pipeline runs",
        }
    }
}
