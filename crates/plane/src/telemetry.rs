//! Counters of the engine room, copied at one moment.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use crate::{
    sizing::QueueAdvice,
    times::{CallTimes, Histogram},
};
use serde::{Deserialize, Serialize};
use wavedeck_api::{
    clock::nanoseconds,
    count::Count,
    link::{LinkCounts, Overflow},
    names::{self, Name},
    port::OutputCounts,
};

/// All counters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Telemetry {
    /// Monotonic time of the copy, see [`wavedeck_api::clock`].
    pub at_ns: u64,
    /// One per stage, in the order of the config.
    pub stages: Vec<StageTelemetry>,
    /// One per connection, in the order of the config.
    pub edges: Vec<EdgeTelemetry>,
    /// One per output.
    pub pools: Vec<PoolTelemetry>,
    /// Queues that hold less than the longest calls so far would have needed.
    pub advice: Vec<QueueAdvice>,
    /// Events that found no room on their way to the session.
    pub lost_events: u64,
}

/// State of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageState {
    /// Not started yet.
    #[default]
    Waiting,
    /// In its `start`.
    Starting,
    /// Processing.
    Running,
    /// In its `finish`.
    Finishing,
    /// Ended as it should.
    Done,
    /// Disabled by an error or a panic.
    Failed,
}

impl StageState {
    /// True once the stage is not called any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// Counters of one stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageTelemetry {
    /// Id in the config.
    pub id: Arc<str>,
    /// Stage type.
    #[serde(deserialize_with = "names::deserialize")]
    pub kind: Name,
    /// Name of its worker thread.
    pub thread: Arc<str>,
    /// What it is doing.
    pub state: StageState,
    /// Calls of `process` that did work.
    pub packets: u64,
    /// Time in such calls; for realtime sources waiting for the device is part of it.
    pub busy: Duration,
    /// Longest such call.
    pub worst: Duration,
    /// Time that half of such calls took at most, to within a quarter.
    pub p50: Duration,
    /// Time that 99 of 100 such calls took at most, to within a quarter.
    pub p99: Duration,
    /// How many such calls took how long; the difference of two copies tells of the time between them.
    pub times: CallTimes,
    /// True if waiting for the outside world is part of `busy`.
    pub waits: bool,
    /// True for a stage without inputs.
    pub is_source: bool,
    /// Counters of each output, by port.
    #[serde(deserialize_with = "names::deserialize_pairs")]
    pub outputs: Vec<(Name, OutputCounts)>,
}

/// Counters of one connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeTelemetry {
    /// `board.out -> volts.in`.
    pub id: Arc<str>,
    /// Packets that fit.
    pub capacity: u32,
    /// What happens when they do not.
    pub policy: Overflow,
    /// True if it ends at a recorder.
    pub to_recorder: bool,
    /// The counters.
    #[serde(flatten)]
    pub counts: LinkCounts,
}

/// Use of one pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PoolTelemetry {
    /// `stage.port`.
    pub name: Arc<str>,
    /// Buffers in all.
    pub capacity: u32,
    /// Buffers in flight.
    pub in_use: u32,
    /// Most buffers that were ever in flight.
    pub high_water: u32,
    /// Times a buffer was wanted and none was free.
    pub misses: u64,
    /// Bytes of all buffers.
    pub bytes: u64,
}

/// Counters that a worker writes for one of its stages.
#[derive(Debug, Default)]
pub(crate) struct StageStats {
    state: AtomicU8,
    packets: Count,
    busy_ns: Count,
    worst_ns: Count,
    times: Histogram,
}

const STATES: [StageState; 6] = [
    StageState::Waiting,
    StageState::Starting,
    StageState::Running,
    StageState::Finishing,
    StageState::Done,
    StageState::Failed,
];

impl StageStats {
    pub(crate) fn set_state(&self, state: StageState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn state(&self) -> StageState {
        STATES.get(usize::from(self.state.load(Ordering::Acquire))).copied().unwrap_or_default()
    }

    /// Counts calls that did work, the time they took together and each of them in the mean, and the longest that one
    /// of them may have taken. Only the stage's own worker calls this.
    pub(crate) fn worked(&self, calls: u32, took: Duration, mean: Duration, longest: Duration) {
        self.packets.add(calls.into());
        self.busy_ns.add(nanoseconds(took));
        self.worst_ns.set(self.worst_ns.get().max(nanoseconds(longest)));
        self.times.add(calls, mean);
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets.get()
    }

    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.get())
    }

    pub(crate) fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst_ns.get())
    }

    pub(crate) fn times(&self) -> CallTimes {
        self.times.counts()
    }
}

impl Telemetry {
    /// Samples lost for whatever reason but a drop policy: by devices, for want of a buffer, at links that must not
    /// drop.
    pub fn lost_samples(&self) -> u64 {
        let outputs = self.stages.iter().flat_map(|stage| &stage.outputs);
        let at_outputs: u64 = outputs.map(|(_, counts)| counts.lost_device + counts.lost_overrun).sum();
        let blocking = self.edges.iter().filter(|edge| edge.policy == Overflow::Block);
        at_outputs + blocking.map(|edge| edge.counts.dropped_samples).sum::<u64>()
    }

    /// Samples that the sources passed on.
    pub fn produced_samples(&self) -> u64 {
        let sources = self.stages.iter().filter(|stage| stage.is_source);
        sources.flat_map(|stage| &stage.outputs).map(|(_, counts)| counts.sent_samples).sum()
    }

    /// Samples let go by links with a drop policy.
    pub fn shed_samples(&self) -> u64 {
        let dropping = self.edges.iter().filter(|edge| edge.policy != Overflow::Block);
        dropping.map(|edge| edge.counts.dropped_samples).sum()
    }

    /// The fullest queue: its share and the edge.
    pub fn worst_queue(&self) -> Option<(f64, &EdgeTelemetry)> {
        let fill = |edge: &EdgeTelemetry| {
            f64::from(u32::try_from(edge.counts.in_flight_packets).unwrap_or(u32::MAX)) / f64::from(edge.capacity)
        };
        self.edges.iter().map(|edge| (fill(edge).min(1.0), edge)).max_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The fullest pool: its share and the pool.
    pub fn worst_pool(&self) -> Option<(f64, &PoolTelemetry)> {
        let fill = |pool: &PoolTelemetry| f64::from(pool.in_use) / f64::from(pool.capacity.max(1));
        self.pools.iter().map(|pool| (fill(pool), pool)).max_by(|a, b| a.0.total_cmp(&b.0))
    }
}
