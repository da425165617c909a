//! The counters in the text format of Prometheus.
use std::{fmt::Write, sync::PoisonError, time::Instant};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;
use wavedeck_api::{handle::RecordingState, link::Overflow};
use wavedeck_plane::{PipelineState, StageState};

use super::{health::Health, hub::Hub};
use crate::snapshot::Snapshot;

/// The answer of `/metrics`.
pub(super) fn response(hub: &Hub) -> Response {
    let snapshot = hub.session.snapshot();
    let silence = hub.flow.lock().unwrap_or_else(PoisonError::into_inner).silence(Instant::now());
    let is_well = matches!(Health::of(&snapshot, silence), Health::Well(_));
    let text = text(&snapshot, is_well, hub.client_count());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// A family of samples that grows line by line.
struct Text(String);

impl Text {
    /// Begins a family.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP wavedeck_{name} {help}\n# TYPE wavedeck_{name} {kind}");
    }

    /// A sample of the family that was begun last.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.0, "wavedeck_{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family of one sample without labels.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A family with one sample for each item.
    fn each<T>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        items: &[T],
        sample: impl Fn(&T) -> (Vec<(&str, &str)>, f64),
    ) {
        self.family(name, kind, help);
        for item in items {
            let (labels, value) = sample(item);
            self.sample(name, &labels, value);
        }
    }
}

/// Backslash, quote and line feed are written as `\\`, `\"` and `\n` in a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn count(number: u64) -> f64 {
    number as f64
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

fn text(snapshot: &Snapshot, is_well: bool, clients: usize) -> String {
    let mut text = Text(String::new());
    session(&mut text, snapshot, is_well, clients);
    recording(&mut text, snapshot);
    stages(&mut text, snapshot);
    links(&mut text, snapshot);
    pools(&mut text, snapshot);
    text.0
}

fn session(text: &mut Text, snapshot: &Snapshot, is_well: bool, clients: usize) {
    text.family("info", "gauge", "Version of the program and name of the pipeline.");
    text.sample("info", &[("version", crate::VERSION), ("pipeline", &snapshot.name)], 1.0);
    text.single("healthy", "gauge", "1 while data flows.", flag(is_well));
    text.single("uptime_seconds", "gauge", "Time since the pipeline was started.", snapshot.uptime_s);
    text.single("pipeline_generation", "gauge", "Rises when another pipeline is opened.", count(snapshot.generation));
    text.family("pipeline_state", "gauge", "1 for the state of the pipeline.");
    use PipelineState::{Draining, Failed, Paused, Running, Stopped};
    for state in [Stopped, Running, Paused, Draining, Failed] {
        let name = json!(state).as_str().unwrap_or_default().to_lowercase();
        text.sample("pipeline_state", &[("state", &name)], flag(state == snapshot.pipeline));
    }
    text.single("clients", "gauge", "Clients on a WebSocket.", clients as f64);
    text.single("lost_samples_total", "counter", "Samples lost for whatever reason.", count(snapshot.lost_samples));
    let shed = count(snapshot.shed_samples);
    text.single("shed_samples_total", "counter", "Samples let go by links with a drop policy.", shed);
    let produced = count(snapshot.telemetry.produced_samples());
    text.single("produced_samples_total", "counter", "Samples that the sources passed on.", produced);
    let events = count(snapshot.telemetry.lost_events);
    text.single("lost_events_total", "counter", "Events that found no room on their way to the session.", events);
    if let Some(disk) = snapshot.disk {
        let free = count(disk.free_bytes);
        text.single("disk_free_bytes", "gauge", "Free space on the disk of the recordings.", free);
    }
}

fn recording(text: &mut Text, snapshot: &Snapshot) {
    text.family("recording_state", "gauge", "1 for the state of the recording.");
    use RecordingState::{Failed, Finishing, Idle, Paused, Recording};
    for state in [Idle, Recording, Paused, Finishing, Failed] {
        let name = json!(state).as_str().unwrap_or_default().to_owned();
        text.sample("recording_state", &[("state", &name)], flag(state == snapshot.recording));
    }
    let Some(recorder) = &snapshot.recorder else { return };
    // All of these begin anew with each recording, so that they are gauges.
    for (name, help, value) in [
        ("recording_seconds", "Signal in the file.", recorder.recorded_s),
        ("recording_samples", "Samples in the file, over all streams.", count(recorder.recorded_samples)),
        ("recording_lost_samples", "Samples missing in the file.", count(recorder.lost_samples)),
        ("recording_gaps", "Gaps in the file.", count(recorder.gaps)),
        ("recording_markers", "Markers in the file.", count(recorder.markers)),
        ("recording_written_bytes", "Bytes written.", count(recorder.written_bytes)),
        ("recording_saved_bytes", "Bytes that are safe on disk.", count(recorder.saved_bytes)),
        ("recording_last_sync_seconds", "Duration of the last sync to disk.", recorder.last_sync_ms / 1e3),
        ("recording_worst_sync_seconds", "Longest sync to disk so far.", recorder.worst_sync_ms / 1e3),
        ("recording_error", "1 if something went wrong with the recording.", flag(recorder.error.is_some())),
    ] {
        text.single(name, "gauge", help, value);
    }
}

fn stages(text: &mut Text, snapshot: &Snapshot) {
    let stages = &snapshot.telemetry.stages;
    let kind = |stage: &wavedeck_plane::StageTelemetry| stage.kind;
    text.each(("stage_packets_total", "counter", "Calls of a stage that did work."), stages, |stage| {
        (vec![("stage", &stage.id), ("type", kind(stage))], count(stage.packets))
    });
    text.each(("stage_busy_seconds_total", "counter", "Time in such calls."), stages, |stage| {
        (vec![("stage", &stage.id), ("type", kind(stage))], stage.busy.as_secs_f64())
    });
    text.each(("stage_worst_seconds", "gauge", "Longest such call."), stages, |stage| {
        (vec![("stage", &stage.id), ("type", kind(stage))], stage.worst.as_secs_f64())
    });
    text.each(("stage_failed", "gauge", "1 if the stage was disabled after a fault."), stages, |stage| {
        (vec![("stage", &stage.id), ("type", kind(stage))], flag(stage.state == StageState::Failed))
    });
    let outputs: Vec<_> =
        stages.iter().flat_map(|stage| stage.outputs.iter().map(move |output| (stage, output))).collect();
    text.each(("output_packets_total", "counter", "Packets passed on."), &outputs, |(stage, (port, counts))| {
        (vec![("stage", &stage.id), ("port", port)], count(counts.sent_packets))
    });
    text.each(("output_samples_total", "counter", "Samples passed on."), &outputs, |(stage, (port, counts))| {
        (vec![("stage", &stage.id), ("port", port)], count(counts.sent_samples))
    });
    text.family("output_lost_samples_total", "counter", "Samples lost at an output, by the reason.");
    for (stage, (port, counts)) in &outputs {
        for (why, lost) in [("device", counts.lost_device), ("overrun", counts.lost_overrun)] {
            let labels = [("stage", &*stage.id), ("port", *port), ("reason", why)];
            text.sample("output_lost_samples_total", &labels, count(lost));
        }
    }
}

fn links(text: &mut Text, snapshot: &Snapshot) {
    let edges = &snapshot.telemetry.edges;
    let policy = |edge: &wavedeck_plane::EdgeTelemetry| match edge.policy {
        Overflow::Block => "block",
        Overflow::DropOldest => "drop_oldest",
        Overflow::DropNewest => "drop_newest",
    };
    text.each(("link_capacity_packets", "gauge", "Packets that fit into a link."), edges, |edge| {
        (vec![("link", &edge.id), ("policy", policy(edge))], f64::from(edge.capacity))
    });
    text.each(("link_queued_packets", "gauge", "Packets that wait in a link."), edges, |edge| {
        (vec![("link", &edge.id), ("policy", policy(edge))], count(edge.counts.in_flight_packets))
    });
    text.each(("link_high_water_packets", "gauge", "Most packets that ever waited in a link."), edges, |edge| {
        (vec![("link", &edge.id), ("policy", policy(edge))], f64::from(edge.counts.high_water))
    });
    text.each(("link_samples_total", "counter", "Samples handed to a link."), edges, |edge| {
        (vec![("link", &edge.id), ("policy", policy(edge))], count(edge.counts.offered_samples))
    });
    text.each(("link_dropped_samples_total", "counter", "Samples lost at a link."), edges, |edge| {
        (vec![("link", &edge.id), ("policy", policy(edge))], count(edge.counts.dropped_samples))
    });
}

fn pools(text: &mut Text, snapshot: &Snapshot) {
    let pools = &snapshot.telemetry.pools;
    for (name, help, of) in [
        ("pool_buffers", "Buffers of a pool.", 0),
        ("pool_buffers_in_use", "Buffers in flight.", 1),
        ("pool_buffers_high_water", "Most buffers that were ever in flight.", 2),
    ] {
        text.each((name, "gauge", help), pools, |pool| {
            let value = [pool.capacity, pool.in_use, pool.high_water][of];
            (vec![("pool", &pool.name)], f64::from(value))
        });
    }
    text.each(("pool_misses_total", "counter", "Times a buffer was wanted and none was free."), pools, |pool| {
        (vec![("pool", &pool.name)], count(pool.misses))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut text = Text(String::new());
        text.family("x_total", "counter", "An x.");
        text.sample("x_total", &[("a", "b\\c\"d\ne"), ("f", "g")], 1.5);
        text.sample("x_total", &[], 2.0);
        let expected = "# HELP wavedeck_x_total An x.\n# TYPE wavedeck_x_total counter\n\
                        wavedeck_x_total{a=\"b\\\\c\\\"d\\ne\",f=\"g\"} 1.5\nwavedeck_x_total 2\n";
        assert_eq!(text.0, expected);
    }
}
