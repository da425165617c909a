//! What moves per second, from two snapshots some time apart.
use wavedeck_plane::StageTelemetry;

use super::trends::Trends;
use crate::snapshot::Snapshot;

/// Nanoseconds between the two snapshots at least: shorter ones make the numbers jump.
const APART_NS: u64 = 1_000_000_000;

/// Packets per second and load of every stage, and bytes per second of the sources.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    before: Option<Moment>,
    /// One per stage of the snapshot; empty until two snapshots were seen.
    pub stages: Vec<StageRate>,
    /// Bytes per second that the sources send; `None` until two snapshots were seen.
    pub bytes_per_s: Option<f64>,
    /// The last minute, second by second.
    pub trends: Trends,
}

/// What a stage does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageRate {
    /// Packets with which it did something.
    pub packets_per_s: f64,
    /// Share of one core; `None` where waiting for the outside world is part of the time.
    pub load: Option<f64>,
}

#[derive(Clone, Debug)]
struct Moment {
    generation: u64,
    at_ns: u64,
    /// Packets and busy seconds per stage.
    stages: Vec<(u64, f64)>,
    source_bytes: f64,
}

impl Rates {
    /// Takes note of a snapshot. True if the rates are new.
    pub fn notice(&mut self, snapshot: &Snapshot) -> bool {
        self.trends.notice(snapshot);
        let now = Moment::of(snapshot);
        let Some(before) = &self.before else {
            self.before = Some(now);
            return false;
        };
        if before.generation != now.generation || before.stages.len() != now.stages.len() {
            *self = Self { before: Some(now), trends: std::mem::take(&mut self.trends), ..Self::default() };
            return true;
        }
        if now.at_ns.saturating_sub(before.at_ns) < APART_NS {
            return false;
        }
        let seconds = (now.at_ns - before.at_ns) as f64 / 1e9;
        self.stages = (before.stages.iter().zip(&now.stages).zip(&snapshot.telemetry.stages))
            .map(|((before, now), stage)| StageRate {
                packets_per_s: now.0.saturating_sub(before.0) as f64 / seconds,
                load: (!stage.waits).then(|| ((now.1 - before.1) / seconds).max(0.0)),
            })
            .collect();
        self.bytes_per_s = Some(((now.source_bytes - before.source_bytes) / seconds).max(0.0));
        self.before = Some(now);
        true
    }
}

impl Moment {
    fn of(snapshot: &Snapshot) -> Self {
        let telemetry = &snapshot.telemetry;
        let source_bytes = telemetry.stages.iter().filter(|stage| edges_into(snapshot, &stage.id).next().is_none());
        let source_bytes = source_bytes.flat_map(|stage| stage.outputs.iter().map(move |output| (stage, output)));
        let bytes = source_bytes.map(|(stage, (port, counts))| {
            let output = snapshot.outputs.iter().find(|o| o.stage == stage.id && o.port == *port);
            counts.sent_samples as f64 * output.map_or(0.0, |output| output.spec.frame_len() as f64 * 4.0)
        });
        Self {
            generation: snapshot.generation,
            at_ns: telemetry.at_ns,
            stages: telemetry.stages.iter().map(|stage| (moved(stage), stage.busy.as_secs_f64())).collect(),
            source_bytes: bytes.sum(),
        }
    }
}

/// Packets that a stage worked on; a source is measured by what it sends.
pub(super) fn moved(stage: &StageTelemetry) -> u64 {
    let sent = stage.outputs.iter().map(|(_, counts)| counts.sent_packets).max().unwrap_or(0);
    if stage.waits { stage.packets.max(sent) } else { stage.packets }
}

/// The connections that end at a stage.
pub fn edges_into<'a>(
    snapshot: &'a Snapshot,
    stage: &'a str,
) -> impl Iterator<Item = &'a wavedeck_plane::EdgeTelemetry> {
    snapshot.telemetry.edges.iter().filter(move |edge| ends(&edge.id).1 == stage)
}

/// Stages at both ends of `board.out -> volts.in`.
pub fn ends(edge: &str) -> (&str, &str) {
    let (from, to) = edge.split_once(" -> ").unwrap_or((edge, ""));
    let stage = |end| str::rsplit_once(end, '.').map_or(end, |(stage, _)| stage);
    (stage(from), stage(to))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::fixtures, *};

    #[test]
    fn rates_are_differences_over_a_second() {
        let mut snapshot = fixtures::snapshot();
        let mut rates = Rates::default();
        rates.notice(&snapshot);
        snapshot.telemetry.at_ns += 500_000_000;
        assert!(!rates.notice(&snapshot));
        snapshot.telemetry.at_ns += 1_500_000_000;
        for stage in &mut snapshot.telemetry.stages {
            stage.packets += 20;
            stage.outputs[0].1.sent_packets += 20;
            stage.busy += Duration::from_millis(100);
            stage.outputs[0].1.sent_samples += 500;
        }

        assert!(rates.notice(&snapshot));

        assert_eq!(rates.stages[0], StageRate { packets_per_s: 10.0, load: None });
        assert!(rates.stages[1].load.is_some_and(|load| (load - 0.05).abs() < 1e-9));
        assert_eq!(rates.bytes_per_s, Some(500.0 * 8.0 * 4.0 / 2.0));
    }

    #[test]
    fn another_pipeline_begins_anew() {
        let mut snapshot = fixtures::snapshot();
        let mut rates = Rates::default();
        rates.notice(&snapshot);
        snapshot.generation += 1;
        snapshot.telemetry.at_ns += 2_000_000_000;
        rates.notice(&snapshot);
        assert!(rates.stages.is_empty());
    }

    #[test]
    fn an_edge_names_its_stages() {
        assert_eq!(ends("board.out -> com.x.fft.in"), ("board", "com.x.fft"));
    }
}
