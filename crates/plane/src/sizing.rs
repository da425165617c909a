//! How many packets a queue has to hold: as many as come while its reader is away.
use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{config::MAX_CAPACITY, graph::NodeView, plan::Plan, problem::Problem};

/// A queue that holds less than its reader needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueAdvice {
    /// The connection, `volts.out -> clean.in`.
    pub edge: Arc<str>,
    /// The input at its end, `clean.in`.
    pub queue: Arc<str>,
    /// Packets that fit.
    pub holds: u32,
    /// Packets that come while the reader is away.
    pub needs: u32,
    /// What the reader's thread runs: one stage, or several that wait for each other.
    pub reader: Arc<str>,
    /// How long the reader may be away, in ms.
    pub latency_ms: f64,
    /// Time from one packet to the next, in ms.
    pub period_ms: f64,
}

impl fmt::Display for QueueAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {} holds {}, needs {}", self.queue, self.holds, self.needs)
    }
}

impl QueueAdvice {
    /// Where the need comes from, in words.
    pub fn reason(&self) -> String {
        format!(
            "{} may be away for {} ms, a packet comes every {} ms",
            self.reader,
            ms(self.latency_ms),
            ms(self.period_ms)
        )
    }
}

fn ms(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Packets that come within `latency_ms` at one every `period_ms`, rounded up; at least 1. What is not a number, or no
/// time at all, needs no more than that; a need beyond counting is the largest number.
pub fn packets_needed(latency_ms: f64, period_ms: f64) -> u32 {
    // A hair less, so that a multiple stays one although neither number is exact in binary.
    let packets = (latency_ms / period_ms - 1e-9).ceil();
    if packets >= 1.0 { packets.min(f64::from(u32::MAX)) as u32 } else { 1 }
}

/// Queues that hold less than is needed when each thread is away for as long as `latency_ms` says of its stages together,
/// with their place among the connections. Where every source waits for the plane, no queue is ever too small.
pub(crate) fn too_small<'a>(
    plan: &Plan,
    node: impl Fn(usize) -> &'a NodeView,
    latency_ms: impl Fn(usize) -> f64,
) -> Vec<(usize, QueueAdvice)> {
    let mut is_live: Vec<bool> =
        (0..plan.stages.len()).map(|stage| plan.is_source(stage) && node(stage).realtime).collect();
    for &stage in &plan.order {
        is_live[stage] |= plan.edges.iter().any(|edge| edge.to.0 == stage && is_live[edge.from.0]);
    }
    let mut found = Vec::new();
    for (index, edge) in plan.edges.iter().enumerate().filter(|(_, edge)| is_live[edge.from.0]) {
        let outputs = &node(edge.from.0).outputs;
        let Some(output) = outputs.iter().find(|output| output.port == edge.from.1) else { continue };
        let worker = &plan.workers[plan.worker_of(edge.to.0)];
        let readers = worker.stages.iter().filter(|stage| !plan.is_source(**stage));
        let (latency_ms, period_ms) =
            (readers.map(|stage| latency_ms(*stage)).sum(), output.spec.batch_period_s() * 1e3);
        let needs = packets_needed(latency_ms, period_ms);
        if needs > edge.capacity {
            let queue = format!("{}.{}", plan.stages[edge.to.0].id, edge.to.1).into();
            let (holds, reader) = (edge.capacity, worker.name.clone());
            found.push((
                index,
                QueueAdvice { edge: edge.id.clone(), queue, holds, needs, reader, latency_ms, period_ms },
            ));
        }
    }
    found
}

/// A finding for `wavedeck check`.
pub(crate) fn warning(plan: &Plan, index: usize, advice: &QueueAdvice) -> Problem {
    let what_to_do = if advice.needs > MAX_CAPACITY {
        format!("send larger packets, for no queue holds more than {MAX_CAPACITY}")
    } else if index < plan.written_connections {
        format!("write \"capacity\": {}", advice.needs)
    } else {
        format!("write a `record` stage and its connection with \"capacity\": {}", advice.needs)
    };
    let at = if index < plan.written_connections {
        format!("/connections/{index}/capacity")
    } else {
        "/connections".to_owned()
    };
    Problem::new(at, advice.to_string(), format!("{what_to_do}, since {}", advice.reason()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_the_latency_in_packets_rounded_up() {
        // 26.4 / 4 = 6.6; 12 / 4 = 3; 12.1 / 4 = 3.025; 0.3 / 0.1 is a hair below 3 in binary, 0.7 / 0.1 a hair below 7.
        let table = [(26.4, 4.0, 7), (12.0, 4.0, 3), (12.1, 4.0, 4), (0.3, 0.1, 3), (0.7, 0.1, 7), (1000.0, 40.0, 25)];
        for (latency, period, needed) in table {
            assert_eq!(packets_needed(latency, period), needed, "{latency} / {period}");
        }
    }

    #[test]
    fn a_need_is_at_least_one_and_at_most_the_largest_number() {
        for (latency, period) in
            [(0.0, 4.0), (-1.0, 4.0), (f64::NAN, 4.0), (4.0, f64::NAN), (0.0, 0.0), (1.0, f64::INFINITY)]
        {
            assert_eq!(packets_needed(latency, period), 1, "{latency} / {period}");
        }
        assert_eq!(packets_needed(1.0, 0.0), u32::MAX);
        assert_eq!(packets_needed(f64::INFINITY, 4.0), u32::MAX);
    }
}
