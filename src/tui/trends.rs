//! The last minute of queues and stages, a value per second, and the counters since a person set them to zero.
use std::collections::VecDeque;

use wavedeck_plane::{CallTimes, Telemetry};

use super::rates::moved;
use crate::snapshot::Snapshot;

/// Seconds that are remembered.
pub const SECONDS: usize = 60;
/// Seconds over which call times are told.
pub const RECENT: usize = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// What queues and stages did in the last seconds.
#[derive(Clone, Debug, Default)]
pub struct Trends {
    /// Generation, stages and edges: another pipeline begins anew.
    shape: (u64, usize, usize),
    open: Option<Open>,
    /// Complete seconds, oldest first.
    seconds: VecDeque<Second>,
    /// Call times of every stage at the ends of the last seconds, oldest first.
    times: VecDeque<Vec<CallTimes>>,
}

/// The second that is under way.
#[derive(Clone, Debug)]
struct Open {
    at_ns: u64,
    packets: Vec<u64>,
    dropped: Vec<u64>,
    fullest: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Second {
    /// Packets per second of each stage.
    rates: Vec<f64>,
    /// Most packets that were seen in each queue.
    fullest: Vec<u64>,
    /// Packets that each queue dropped.
    dropped: Vec<u64>,
}

impl Open {
    fn begin(telemetry: &Telemetry) -> Self {
        Self {
            at_ns: telemetry.at_ns,
            packets: telemetry.stages.iter().map(moved).collect(),
            dropped: telemetry.edges.iter().map(|edge| edge.counts.dropped_packets).collect(),
            fullest: telemetry.edges.iter().map(|edge| edge.counts.in_flight_packets).collect(),
        }
    }

    fn end(&self, telemetry: &Telemetry) -> Second {
        let seconds = (telemetry.at_ns - self.at_ns) as f64 / SECOND_NS as f64;
        let rate = |(now, before): (u64, &u64)| now.saturating_sub(*before) as f64 / seconds;
        let dropped = telemetry.edges.iter().map(|edge| edge.counts.dropped_packets);
        Second {
            rates: telemetry.stages.iter().map(moved).zip(&self.packets).map(rate).collect(),
            dropped: dropped.zip(&self.dropped).map(|(now, before)| now.saturating_sub(*before)).collect(),
            fullest: self.fullest.clone(),
        }
    }
}

impl Trends {
    /// Takes note of a snapshot; several in a second make the fullest moment of it better known.
    pub fn notice(&mut self, snapshot: &Snapshot) {
        let telemetry = &snapshot.telemetry;
        let shape = (snapshot.generation, telemetry.stages.len(), telemetry.edges.len());
        if shape != self.shape {
            *self = Self { shape, ..Self::default() };
        }
        let times = || telemetry.stages.iter().map(|stage| stage.times.clone()).collect();
        if self.times.is_empty() {
            self.times.push_back(times());
        }
        let open = self.open.get_or_insert_with(|| Open::begin(telemetry));
        for (fullest, edge) in open.fullest.iter_mut().zip(&telemetry.edges) {
            *fullest = (*fullest).max(edge.counts.in_flight_packets);
        }
        if telemetry.at_ns.saturating_sub(open.at_ns) < SECOND_NS {
            return;
        }
        push(&mut self.seconds, open.end(telemetry), SECONDS);
        push(&mut self.times, times(), RECENT + 1);
        self.open = Some(Open::begin(telemetry));
    }

    /// Most packets that were seen in a queue, second by second, oldest first; the second under way is the last.
    pub fn fullest(&self, edge: usize) -> impl DoubleEndedIterator<Item = u64> {
        let now = self.open.as_ref().and_then(|open| open.fullest.get(edge)).copied();
        self.seconds.iter().filter_map(move |second| second.fullest.get(edge).copied()).chain(now)
    }

    /// Packets per second of a stage, oldest first.
    pub fn rates(&self, stage: usize) -> impl DoubleEndedIterator<Item = f64> {
        self.seconds.iter().filter_map(move |second| second.rates.get(stage).copied())
    }

    /// Packets that a queue dropped in the seconds remembered.
    pub fn dropped(&self, edge: usize) -> u64 {
        self.seconds.iter().filter_map(|second| second.dropped.get(edge)).sum()
    }

    /// Call times of a stage in the last [`RECENT`] seconds.
    pub fn recent_times(&self, telemetry: &Telemetry, stage: usize) -> CallTimes {
        let now = telemetry.stages.get(stage).map(|stage| &stage.times);
        let before = self.times.front().and_then(|times| times.get(stage));
        now.zip(before).map_or_else(CallTimes::default, |(now, before)| now.since(before))
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    list.push_back(item);
    while list.len() > most {
        list.pop_front();
    }
}

/// Counters as they were when a person set them to zero. The account of the session stays as it is: only what is shown
/// counts from here.
#[derive(Clone, Debug)]
pub struct Zero {
    /// Wall time in nanoseconds since 1970-01-01 UTC.
    pub unix_ns: u64,
    generation: u64,
    at: Telemetry,
    /// Most that was seen in each queue and in each pool since.
    queues: Vec<u32>,
    pools: Vec<u32>,
}

impl Zero {
    /// Counts from now on.
    pub fn now(snapshot: &Snapshot, unix_ns: u64) -> Self {
        let at = snapshot.telemetry.clone();
        let (queues, pools) = (vec![0; at.edges.len()], vec![0; at.pools.len()]);
        let mut zero = Self { unix_ns, generation: snapshot.generation, at, queues, pools };
        zero.notice(snapshot);
        zero
    }

    /// Takes note of how full everything is. False if the counters are not those that were set to zero: another
    /// pipeline runs.
    pub fn notice(&mut self, snapshot: &Snapshot) -> bool {
        let telemetry = &snapshot.telemetry;
        for (most, edge) in self.queues.iter_mut().zip(&telemetry.edges) {
            *most = (*most).max(u32::try_from(edge.counts.in_flight_packets).unwrap_or(u32::MAX));
        }
        for (most, pool) in self.pools.iter_mut().zip(&telemetry.pools) {
            *most = (*most).max(pool.in_use);
        }
        self.generation == snapshot.generation
    }

    /// Most packets in a queue since: exact if it was fuller than ever before, else what was seen now and then, so at
    /// least that.
    pub fn high_water(&self, telemetry: &Telemetry, edge: usize) -> (u32, bool) {
        let high = |telemetry: &Telemetry| telemetry.edges.get(edge).map_or(0, |edge| edge.counts.high_water);
        more_or_seen(high(telemetry), high(&self.at), self.queues.get(edge))
    }

    /// The same for the buffers of a pool.
    pub fn pool_high_water(&self, telemetry: &Telemetry, pool: usize) -> (u32, bool) {
        let high = |telemetry: &Telemetry| telemetry.pools.get(pool).map_or(0, |pool| pool.high_water);
        more_or_seen(high(telemetry), high(&self.at), self.pools.get(pool))
    }

    /// The counters since.
    #[must_use]
    pub fn since(&self, telemetry: &Telemetry) -> Telemetry {
        let mut since = telemetry.clone();
        for (stage, before) in since.stages.iter_mut().zip(&self.at.stages) {
            stage.times = stage.times.since(&before.times);
            let share = |share| stage.times.percentile(share).unwrap_or_default();
            // A longest call that is not longer than before is known by its bucket only.
            let worst = if stage.worst > before.worst { stage.worst } else { share(1.0).min(stage.worst) };
            (stage.p50, stage.p99, stage.worst) = (share(0.5).min(worst), share(0.99).min(worst), worst);
            for ((_, counts), (_, before)) in stage.outputs.iter_mut().zip(&before.outputs) {
                counts.sent_samples = counts.sent_samples.saturating_sub(before.sent_samples);
                counts.lost_device = counts.lost_device.saturating_sub(before.lost_device);
                counts.lost_overrun = counts.lost_overrun.saturating_sub(before.lost_overrun);
            }
        }
        for (edge, before) in since.edges.iter_mut().zip(&self.at.edges) {
            let (counts, before) = (&mut edge.counts, &before.counts);
            counts.consumed_samples = counts.consumed_samples.saturating_sub(before.consumed_samples);
            counts.dropped_packets = counts.dropped_packets.saturating_sub(before.dropped_packets);
            counts.dropped_samples = counts.dropped_samples.saturating_sub(before.dropped_samples);
        }
        for (pool, before) in since.pools.iter_mut().zip(&self.at.pools) {
            pool.misses = pool.misses.saturating_sub(before.misses);
        }
        since
    }
}

fn more_or_seen(now: u32, before: u32, seen: Option<&u32>) -> (u32, bool) {
    if now > before { (now, true) } else { (seen.copied().unwrap_or(0), false) }
}

#[cfg(test)]
#[path = "trends_tests.rs"]
mod tests;
