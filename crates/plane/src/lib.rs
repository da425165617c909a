//! Wavedeck's data plane: config -> plan -> graph -> runtime, and what can be seen of it while it runs.
//!
//! A [`PipelineConfig`] is what was written. A [`Plan`] is a config in which every name and value has been checked. A
//! [`Graph`] holds built stages with their ports joined. A [`Runtime`] runs them on threads of their own, changes
//! parameters through one gate, and counts everything.
#[cfg(test)]
mod bad_stages;
mod config;
mod control;
mod event;
#[cfg(test)]
mod fixtures;
mod gate;
#[cfg(test)]
mod gate_tests;
mod graph;
#[cfg(test)]
mod isolation_tests;
#[cfg(test)]
mod loss_stages;
#[cfg(test)]
mod loss_tests;
mod neighbours;
mod notes;
mod patience;
mod plan;
#[cfg(test)]
mod plan_tests;
mod problem;
#[cfg(test)]
mod recording_tests;
mod registry;
mod rules;
mod runtime;
mod sizing;
mod stop;
mod telemetry;
#[cfg(test)]
mod tests;
mod threads;
mod ticket;
mod times;
mod watch;
mod worker;

pub use config::{
    ADDRESSES, ConnectionConfig, LockRule, MAX_CAPACITY, MAX_CONFIG_BYTES, OnFault, PipelineConfig, PoolConfig,
    StageConfig, listen_address,
};
pub use event::Event;
pub use gate::{Change, GateError, RecordingLock};
pub use graph::Graph;
pub use plan::{DEFAULT_CAPACITY, Plan, PlannedEdge, PlannedStage, PlannedWorker, RECORDER, RECORDER_CAPACITY};
pub use problem::{Problem, Problems};
pub use registry::{DuplicateId, StageRegistry};
pub use runtime::{PipelineState, Runtime};
pub use sizing::{QueueAdvice, packets_needed};
pub use stop::StopReport;
pub use telemetry::{EdgeTelemetry, PoolTelemetry, StageState, StageTelemetry, Telemetry};
pub use ticket::{Outcome, Ticket};
pub use times::CallTimes;
