//! Stage types and plans as JSON, for the command line and for remote clients.
use serde_json::{Value, json};
use wavedeck_api::stage::{PortSpec, StageDescriptor};
use wavedeck_plane::Plan;

/// A stage type with its ports and its parameter table.
pub(crate) fn stage_json(stage: &'static StageDescriptor) -> Value {
    let ports = |ports: &[PortSpec]| {
        ports.iter().map(|port| json!({ "name": port.name, "accepts": port.accepts })).collect::<Vec<_>>()
    };
    let params = stage.params.iter().map(|spec| {
        json!({ "key": spec.key, "type": spec.type_name(), "default": spec.to_json(&spec.default()), "limits": spec.limits(),
                "unit": spec.unit, "mutability": spec.mutability, "help": spec.help })
    });
    json!({ "id": stage.id, "version": stage.version, "summary": stage.summary, "inputs": ports(stage.inputs),
            "outputs": ports(stage.outputs), "params": params.collect::<Vec<_>>(), "realtime": stage.realtime })
}

/// Threads, queues and notes of a plan.
pub(crate) fn plan_json(plan: &Plan) -> Value {
    let threads = plan.workers.iter().map(|worker| {
        let stages: Vec<&str> = worker.stages.iter().map(|stage| &*plan.stages[*stage].id).collect();
        json!({ "name": worker.name, "stages": stages, "cpu": worker.cpu, "why": worker.why })
    });
    let queues =
        plan.edges.iter().map(|edge| json!({ "id": edge.id, "capacity": edge.capacity, "overflow": edge.overflow }));
    json!({ "threads": threads.collect::<Vec<_>>(), "queues": queues.collect::<Vec<_>>(), "notes": plan.warnings })
}
