//! What the remote port carries and costs: `cargo bench --bench remote -- [FILTER] [--quick]`.
//!
//! A pipeline in real time in this process, its port on loopback, and clients on WebSockets in threads of their own.
#[path = "remote/carrying.rs"]
mod carrying;
#[path = "remote/delay.rs"]
mod delay;
#[path = "common/groups.rs"]
mod groups;
#[path = "common/measure.rs"]
mod measure;
#[path = "remote/memory.rs"]
mod memory;
#[path = "common/proc.rs"]
mod proc;
#[path = "common/report.rs"]
mod report;
#[path = "remote/setup.rs"]
mod setup;

use groups::Group;

const GROUPS: [Group; 4] = [
    ("delay", delay::of_samples),
    ("cost", carrying::of_megabytes),
    ("clients", carrying::of_clients),
    ("memory", memory::of_silent_clients),
];

fn main() {
    groups::run(&GROUPS);
}
