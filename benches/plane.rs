//! The data plane measured against the plainest way of doing the same: `cargo bench --bench plane -- [FILTER] [--quick]`.
//!
//! What each row means is in `docs/performance.md`. Every pair of figures comes from runs in turns, so that what else
//! the machine does falls on both.
#[path = "plane/chains.rs"]
mod chains;
#[path = "common/groups.rs"]
mod groups;
#[path = "common/measure.rs"]
mod measure;
#[path = "plane/pacing.rs"]
mod pacing;
#[path = "plane/pipeline.rs"]
mod pipeline;
#[path = "plane/primitives.rs"]
mod primitives;
#[path = "common/proc.rs"]
mod proc;
#[path = "common/report.rs"]
mod report;
#[path = "plane/rest.rs"]
mod rest;
#[path = "plane/stages.rs"]
mod stages;

use groups::Group;

const GROUPS: [Group; 9] = [
    ("primitives/pool", primitives::pools),
    ("primitives/link", primitives::links),
    ("primitives/fan-out", primitives::fan_out),
    ("hops", pacing::hops),
    ("chains/throughput", chains::throughput),
    ("chains/latency", pacing::latency),
    ("chains/jitter", pacing::jitter),
    ("rest/running", rest::running),
    ("rest/paused", rest::paused),
];

fn main() {
    groups::run(&GROUPS);
}
