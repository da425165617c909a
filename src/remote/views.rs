//! What a session shows of itself, as JSON.
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{hub::Hub, reduce::Reduction, rpc::RpcError, source::Source};
use crate::{
    overview::Heights,
    session::Session,
    snapshot::{Snapshot, StageParams},
};

/// The program, and which pipeline is open.
pub(super) fn session(hub: &Hub) -> Value {
    json!({
        "name": "wavedeck", "version": crate::VERSION, "pid": std::process::id(),
        "started_unix_ns": hub.started_unix_ns, "generation": hub.session.generation(),
    })
}

/// The pipeline as it runs.
pub(super) fn pipeline(session: &Session) -> Value {
    let snapshot = session.snapshot();
    let stages = snapshot.stages.iter().map(
        |stage| json!({ "id": stage.id, "kind": stage.kind, "summary": stage.summary, "params": values_of(stage) }),
    );
    let outputs = snapshot.outputs.iter().map(|output| stream(&Source::of(output)));
    let config: Value = serde_json::from_str(&session.running_config().to_json()).unwrap_or_default();
    json!({
        "generation": snapshot.generation,
        "name": snapshot.name,
        "state": snapshot.pipeline,
        "locked": snapshot.locked,
        "config": config,
        "stages": stages.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "plan": session.plan_json(),
    })
}

/// Counters, states and parameters: a snapshot without its log.
pub(super) fn telemetry(session: &Session) -> Value {
    let mut snapshot = session.snapshot();
    let log_end = snapshot.log.last().map_or(0, |entry| entry.number + 1);
    snapshot.log = Arc::default();
    let Ok(Value::Object(mut view)) = serde_json::to_value(&snapshot) else { return Value::Null };
    view.remove("log");
    view.insert("locked".into(), json!(snapshot.locked));
    view.insert("params".into(), params(&snapshot));
    view.insert("log_end".into(), log_end.into());
    Value::Object(view)
}

/// How much moves in each part of the file that is replayed.
pub(super) fn overview(session: &Session) -> Result<Value, RpcError> {
    let none = || RpcError::state("this pipeline does not replay a recording");
    let of = session.transport().ok_or_else(none)?;
    let Heights { parts, is_complete } = session.overview(&of);
    // Three digits are more than any screen has lines.
    let short = |height: Option<f32>| height.map(|height| (f64::from(height) * 1e3).round() / 1e3);
    let parts: Vec<Option<f64>> = parts.into_iter().map(short).collect();
    Ok(json!({ "path": of.path, "stream": of.stream, "parts": parts, "complete": is_complete }))
}

/// Every value by stage and key.
fn params(snapshot: &Snapshot) -> Value {
    Value::Object(snapshot.stages.iter().map(|stage| (stage.id.to_string(), values_of(stage))).collect())
}

/// The values of a stage by key.
pub(super) fn values_of(stage: &StageParams) -> Value {
    let values = stage.params.iter().map(|(spec, value)| (spec.key.to_owned(), spec.to_json(value)));
    Value::Object(values.collect::<Map<_, _>>())
}

/// The shape of a stream. One that a stage publishes has no port.
pub(super) fn stream(source: &Source) -> Value {
    let (spec, rate) = (&source.spec, source.spec.rate);
    json!({
        "stream": source.name,
        "stage": source.stage,
        "port": source.port,
        "kind": spec.kind,
        "rate": { "num": rate.numerator(), "den": rate.denominator(), "hz": rate.hz() },
        "channels": spec.channels,
        "max_batch": spec.max_batch,
        "spectrum": spec.spectrum.map(
            |spectrum| json!({ "bins": spectrum.bins, "bin_hz": spectrum.bin_hz, "window": spectrum.window })),
    })
}

/// The shape of a subscription: that of its output, and what of it is sent.
pub(super) fn description(source: &Source, reduction: Reduction) -> Value {
    let mut description = stream(source);
    let spec = &source.spec;
    let (every, columns) = match reduction {
        Reduction::Every(step) => (json!(step), Value::Null),
        Reduction::Columns(count) => (Value::Null, json!(count)),
    };
    let values = spec.frame_len() * if columns.is_null() { 1 } else { 2 };
    description["every"] = every;
    description["columns"] = columns;
    description["frames_per_s"] = json!(reduction.rate_hz(spec.rate));
    description["values_per_frame"] = json!(values);
    description
}
