//! What the screen costs, and how soon it shows what was pressed: `cargo bench --bench screen -- [FILTER] [--quick]`.
//!
//! The program itself runs on a pseudo-terminal, at hand or at the far end of a link that is slow and long.
#[path = "screen/cost.rs"]
mod cost;
#[path = "screen/drawing.rs"]
mod drawing;
#[path = "common/groups.rs"]
mod groups;
#[path = "screen/keys.rs"]
mod keys;
#[path = "../tests/common/link.rs"]
mod link;
#[path = "common/measure.rs"]
mod measure;
#[path = "common/proc.rs"]
mod proc;
#[path = "common/report.rs"]
mod report;
#[path = "screen/setup.rs"]
mod setup;

use groups::Group;

const GROUPS: [Group; 5] = [
    ("drawing", drawing::of_frames),
    ("cost", cost::of_waves),
    ("keys/local", keys::at_hand),
    ("keys/slow", keys::far_away),
    ("saturated", keys::on_a_link_that_is_given_too_much),
];

fn main() {
    groups::run(&GROUPS);
}
