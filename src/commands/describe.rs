//! `check` and `stages`: what a pipeline would do, and what it can be made of.
use std::fmt::Write;

use serde_json::{Value, json};
use wavedeck_api::{param::ParamSpec, stage::StageDescriptor};
use wavedeck_plane::{Graph, Plan};

use crate::{
    cli::{CheckArgs, StagesArgs},
    config_file,
    described::{self, stage_json},
    exit::{Exit, Failure},
};

/// `check`
pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let registry = crate::registry().map_err(Failure::usage)?;
    let graph = config_file::read_config(&args.config, &args.set)
        .and_then(|config| Plan::new(&config, &registry))
        .and_then(Graph::build);
    match graph {
        Ok(graph) if args.json => super::print_json(&json!({ "problems": [], "plan": plan_json(&graph) }))?,
        Ok(graph) => super::print(&plan_text(&graph))?,
        Err(problems) if args.json => {
            super::print_json(&json!({ "problems": problems.list() }))?;
            return Ok(Exit::Usage);
        }
        Err(problems) => return Err(Failure::usage(problems.in_file(args.config.display().to_string()))),
    }
    Ok(Exit::Ok)
}

fn plan_text(graph: &Graph) -> String {
    let plan = graph.plan();
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{line}");
    };
    line(format_args!("{}: no problem found ({})", plan.config.name, plan.config.lock.describe()));
    line(format_args!("\nthreads"));
    for worker in &plan.workers {
        let stages: Vec<String> = worker
            .stages
            .iter()
            .map(|stage| format!("{} ({})", plan.stages[*stage].id, plan.stages[*stage].descriptor.id))
            .collect();
        let pinned = worker.cpu.map_or(String::new(), |cpu| format!("  on processor {cpu}"));
        line(format_args!("  {:<24} {}{pinned}  [{}]", worker.name, stages.join(", "), worker.why));
    }
    line(format_args!("\nqueues"));
    for edge in &plan.edges {
        line(format_args!("  {:<32} {:>6} packets  {}", edge.id, edge.capacity, policy(edge.overflow)));
    }
    line(format_args!("\npools"));
    let mut total = 0;
    for (name, spec, packets, bytes) in graph.pools() {
        total += bytes;
        line(format_args!(
            "  {name:<24} {packets:>6} packets of {} x {} at {:.6} Hz  {:>10} bytes",
            spec.max_batch,
            spec.frame_len(),
            spec.rate.hz(),
            bytes
        ));
    }
    line(format_args!("  {:<24} {total:>56} bytes", "in all"));
    for warning in &plan.warnings {
        line(format_args!("\nnote: {warning}"));
    }
    text
}

fn policy(overflow: wavedeck_api::link::Overflow) -> &'static str {
    match overflow {
        wavedeck_api::link::Overflow::Block => "block",
        wavedeck_api::link::Overflow::DropOldest => "drop oldest",
        wavedeck_api::link::Overflow::DropNewest => "drop newest",
    }
}

fn plan_json(graph: &Graph) -> Value {
    let plan = graph.plan();
    let pools = graph.pools().map(|(name, spec, packets, bytes)| {
        json!({ "name": name, "packets": packets, "bytes": bytes, "kind": spec.kind, "rate": spec.rate.to_string(),
                "channels": spec.channels.len(), "max_batch": spec.max_batch })
    });
    let stages = plan
        .stages
        .iter()
        .map(|stage| json!({ "id": stage.id, "type": stage.descriptor.id, "params": stage.params_json() }));
    let Value::Object(mut shared) = described::plan_json(plan) else { return Value::Null };
    let mut part = |name| shared.remove(name).unwrap_or_default();
    json!({
        "name": plan.config.name,
        "stages": stages.collect::<Vec<_>>(),
        "threads": part("threads"),
        "queues": part("queues"),
        "pools": pools.collect::<Vec<_>>(),
        "notes": part("notes"),
    })
}

/// `stages`
pub(super) fn stages(args: &StagesArgs) -> Result<Exit, Failure> {
    let registry = crate::registry().map_err(Failure::usage)?;
    let Some(id) = &args.id else {
        if args.json {
            super::print_json(&registry.iter().map(stage_json).collect::<Vec<_>>())?;
        } else {
            let lines = registry.iter().map(|stage| format!("{:<14} {}\n", stage.id, stage.summary));
            super::print(&lines.collect::<String>())?;
        }
        return Ok(Exit::Ok);
    };
    let Some(stage) = registry.get(id) else {
        let hint = wavedeck_api::param::suggestion(id, registry.iter().map(|stage| stage.id));
        return Err(Failure::usage(anyhow::anyhow!("no stage type `{id}`; {hint}")));
    };
    if args.json {
        super::print_json(&stage_json(stage))?
    } else {
        super::print(&stage_text(stage))?
    }
    Ok(Exit::Ok)
}

fn stage_text(stage: &StageDescriptor) -> String {
    let mut text = format!("{} (version {}): {}\n", stage.id, stage.version, stage.summary);
    for (word, ports) in [("input", stage.inputs), ("output", stage.outputs)] {
        for port in ports {
            let kinds: Vec<String> = port.accepts.iter().map(ToString::to_string).collect();
            text.push_str(&format!("  {word} {}: {}\n", port.name, kinds.join(" or ")));
        }
    }
    for spec in stage.params {
        let default = spec.to_json(&spec.default());
        text.push_str(&format!(
            "  {}: {}, {}, default {default}, {}\n      {}\n",
            spec.key,
            spec.type_name(),
            spec.limits(),
            mutability(spec),
            spec.help
        ));
    }
    text
}

fn mutability(spec: &ParamSpec) -> &'static str {
    match spec.mutability {
        wavedeck_api::param::Mutability::Fixed => "fixed while running",
        wavedeck_api::param::Mutability::Live => "live, locked while recording",
        wavedeck_api::param::Mutability::Cosmetic => "may change at any time",
    }
}
