//! Stages with their ports joined; nothing opened, no thread started.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64},
    },
};

use wavedeck_api::{
    bell::Bell,
    build::{BuildContext, BuildError, EdgeWiring, InputWiring, LinkEnd, OutputWiring, Wiring},
    handle::{Hashes, RecorderHandle, TransportHandle},
    link::LinkStats,
    pool::PoolView,
    port::{OutputStats, SourceInfo},
    publication::Publication,
    signal::StreamSpec,
    stage::Stage,
    tap::TapSocket,
};

use crate::{
    plan::Plan,
    problem::{Problem, Problems},
    sizing,
    telemetry::StageStats,
    worker::panic_text,
};

/// A pipeline ready to run.
pub struct Graph {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Arc<LinkStats>>,
    pub(crate) bells: Vec<Bell>,
}

/// A built stage and what the runtime keeps of it.
pub(crate) struct Node {
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) view: NodeView,
}

/// What can be seen of a stage from outside its thread.
#[derive(Clone)]
pub(crate) struct NodeView {
    pub(crate) id: Arc<str>,
    pub(crate) realtime: bool,
    pub(crate) unhurried: bool,
    pub(crate) outputs: Vec<OutputView>,
    pub(crate) stats: Arc<StageStats>,
    pub(crate) epoch: Arc<AtomicU32>,
    pub(crate) next_input_sample: Arc<AtomicU64>,
    pub(crate) recorder: Option<Arc<RecorderHandle>>,
    pub(crate) transport: Option<Arc<TransportHandle>>,
    pub(crate) publication: Option<Publication>,
    pub(crate) hashes: Option<Hashes>,
}

/// What can be seen of an output.
#[derive(Clone)]
pub(crate) struct OutputView {
    pub(crate) port: &'static str,
    pub(crate) spec: StreamSpec,
    pub(crate) stats: Arc<OutputStats>,
    pub(crate) pool: Arc<dyn PoolView>,
    pub(crate) tap: TapSocket,
    pub(crate) links: Vec<Arc<LinkStats>>,
}

impl Graph {
    /// Builds every stage of a plan and joins their ports.
    ///
    /// # Errors
    /// What the stages say, all at once; a stage behind one that cannot be built is not tried.
    pub fn build(plan: Plan) -> Result<Self, Problems> {
        let links: Vec<Arc<LinkStats>> = plan
            .edges
            .iter()
            .map(|edge| Arc::new(LinkStats::new(edge.id.clone(), edge.capacity, edge.overflow)))
            .collect();
        let bells: Vec<Bell> = plan.workers.iter().map(|_| Bell::new()).collect();
        let mut ends: Vec<Option<LinkEnd>> = plan.edges.iter().map(|_| None).collect();
        let mut nodes: Vec<Option<Node>> = plan.stages.iter().map(|_| None).collect();
        let mut found = Vec::new();
        for &stage in &plan.order {
            let arrived =
                |(index, edge): (usize, &crate::plan::PlannedEdge)| edge.to.0 != stage || ends[index].is_some();
            if !plan.edges.iter().enumerate().all(arrived) {
                continue;
            }
            match build_stage(&plan, stage, &links, &bells, &mut ends) {
                Ok(node) => nodes[stage] = Some(node),
                Err(problem) => found.push(problem),
            }
        }
        Problems::unless_none(found)?;
        let nodes: Vec<Node> = nodes.into_iter().flatten().collect();
        let advice =
            sizing::too_small(&plan, |stage| &nodes[stage].view, |stage| plan.stages[stage].descriptor.max_latency_ms);
        let mut plan = plan;
        let warnings: Vec<Problem> =
            advice.iter().map(|(index, advice)| sizing::warning(&plan, *index, advice)).collect();
        plan.warnings.extend(warnings);
        Ok(Self { plan, nodes, links, bells })
    }

    /// The plan it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Shape, buffers and bytes of every pool: `stage.port`, stream, packets, bytes.
    pub fn pools(&self) -> impl Iterator<Item = (String, &StreamSpec, u32, u64)> {
        self.nodes.iter().flat_map(|node| {
            node.view.outputs.iter().map(|output| {
                let name = format!("{}.{}", node.view.id, output.port);
                (name, &output.spec, output.pool.capacity(), output.pool.bytes())
            })
        })
    }
}

fn build_stage(
    plan: &Plan,
    stage: usize,
    links: &[Arc<LinkStats>],
    bells: &[Bell],
    ends: &mut [Option<LinkEnd>],
) -> Result<Node, Problem> {
    let planned = &plan.stages[stage];
    let descriptor = planned.descriptor;
    let edges_at = |port: &'static str, incoming: bool| {
        let edges = plan.edges.iter().enumerate();
        edges
            .filter(move |(_, edge)| (if incoming { edge.to } else { edge.from }) == (stage, port))
            .map(|(index, _)| index)
    };
    let inputs = descriptor.inputs.iter().map(|port| InputWiring {
        port: port.name,
        links: edges_at(port.name, true).filter_map(|index| ends[index].take()).collect(),
    });
    let inputs: Vec<InputWiring> = inputs.collect();
    let outputs = descriptor.outputs.iter().zip(&planned.pools).map(|(port, packets)| OutputWiring {
        port: port.name,
        edges: edges_at(port.name, false).map(|index| EdgeWiring { stats: links[index].clone() }).collect(),
        pool_packets: *packets,
        built: None,
    });
    let mut wiring = Wiring {
        stage: planned.id.clone(),
        bell: bells[plan.worker_of(stage)].clone(),
        realtime: descriptor.realtime,
        unhurried: false,
        device: descriptor.id.into(),
        inputs,
        outputs: outputs.collect(),
        epoch: Arc::new(AtomicU32::new(0)),
        next_input_sample: Arc::new(AtomicU64::new(0)),
        recorder: None,
        transport: None,
        publication: None,
        hashes: None,
    };
    let place = format!("/stages/{stage}");
    let built =
        catch_unwind(AssertUnwindSafe(|| (descriptor.build)(&mut BuildContext::new(&planned.params, &mut wiring))));
    let stage_box = match built {
        Ok(Ok(built)) => built,
        Ok(Err(error)) => return Err(problem(&place, &planned.id, error)),
        Err(panic) => {
            let what = format!("`{}` panicked while it was built: {}", planned.id, panic_text(panic));
            return Err(Problem::new(place, what, "this is a fault of the stage type, please report it"));
        }
    };
    let is_one_of_many = descriptor.outputs.len() > 1;
    let mut views = Vec::new();
    for output in &mut wiring.outputs {
        let Some(built) = output.built.take() else {
            let what = format!("stage type `{}` did not take its output `{}`", descriptor.id, output.port);
            return Err(Problem::new(place, what, "this is a fault of the stage type, please report it"));
        };
        let receivers: Vec<Box<dyn Any + Send>> = built.receivers;
        for (index, receiver) in edges_at(output.port, false).zip(receivers) {
            let info = SourceInfo {
                stage: planned.id.clone(),
                port: output.port,
                is_one_of_many,
                device: wiring.device.clone(),
                spec: built.spec.clone(),
            };
            ends[index] = Some(LinkEnd { info, receiver });
        }
        views.push(OutputView {
            port: output.port,
            spec: built.spec,
            stats: built.stats,
            pool: built.pool,
            tap: built.tap,
            links: edges_at(output.port, false).map(|index| links[index].clone()).collect(),
        });
    }
    let view = NodeView {
        id: planned.id.clone(),
        realtime: wiring.realtime,
        unhurried: wiring.unhurried,
        outputs: views,
        stats: Arc::new(StageStats::default()),
        epoch: wiring.epoch,
        next_input_sample: wiring.next_input_sample,
        recorder: wiring.recorder,
        transport: wiring.transport,
        publication: wiring.publication,
        hashes: wiring.hashes,
    };
    Ok(Node { stage: stage_box, view })
}

/// Names the stage and points at the parameter where the error is about one.
fn problem(place: &str, id: &str, error: BuildError) -> Problem {
    let hint = match &error {
        BuildError::Rejected { hint, .. } => hint.clone().unwrap_or_default(),
        BuildError::Kind { got: wavedeck_api::signal::SignalKind::Counts, .. } => {
            "put a `to_voltage` stage between them".into()
        }
        _ => String::new(),
    };
    Problem::new(place, format!("`{id}`: {error}"), hint)
}
