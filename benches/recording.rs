//! Recordings measured against plain files of the same bytes: `cargo bench --bench recording -- [FILTER] [--quick]`.
//!
//! What each row means is in `docs/performance.md`. Every pair of figures comes from runs in turns, so that what else
//! the machine does falls on both.
#[path = "recording/exporting.rs"]
mod exporting;
#[path = "common/measure.rs"]
mod measure;
#[path = "common/proc.rs"]
mod proc;
#[path = "recording/reading.rs"]
mod reading;
#[path = "common/report.rs"]
mod report;
#[path = "recording/setup.rs"]
mod setup;
#[path = "recording/writing.rs"]
mod writing;

use measure::Options;
use report::Report;

type Group = (&'static str, fn(&Options, &mut Report));

const GROUPS: [Group; 4] = [
    ("writing/pace", writing::at_pace),
    ("writing/throughput", writing::as_fast_as_possible),
    ("reading", reading::open_and_seek),
    ("exporting", exporting::to_files),
];

fn main() {
    let options = Options::from_args(std::env::args().skip(1));
    let chosen = GROUPS.iter().filter(|(name, _)| options.wants(name));
    if options.only_lists() {
        chosen.for_each(|(name, _)| println!("{name}: benchmark"));
        return;
    }
    let mut report = Report::new(options.is_measuring());
    for (name, run) in chosen {
        eprintln!("{name}");
        run(&options, &mut report);
    }
    print!("{report}");
}
