//! Recordings measured against plain files of the same bytes: `cargo bench --bench recording -- [FILTER] [--quick]`.
//!
//! What each row means is in `docs/performance.md`. Every pair of figures comes from runs in turns, so that what else
//! the machine does falls on both.
#[path = "recording/exporting.rs"]
mod exporting;
#[path = "common/groups.rs"]
mod groups;
#[path = "common/measure.rs"]
mod measure;
#[path = "common/proc.rs"]
mod proc;
#[path = "recording/reading.rs"]
mod reading;
#[path = "recording/replaying.rs"]
mod replaying;
#[path = "common/report.rs"]
mod report;
#[path = "recording/setup.rs"]
mod setup;
#[path = "recording/writing.rs"]
mod writing;

use groups::Group;

const GROUPS: [Group; 5] = [
    ("writing/pace", writing::at_pace),
    ("writing/throughput", writing::as_fast_as_possible),
    ("reading", reading::open_and_seek),
    ("replaying", replaying::through_filters),
    ("exporting", exporting::to_files),
];

fn main() {
    groups::run(&GROUPS);
}
