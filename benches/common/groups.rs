//! Runs the groups of a benchmark that are asked for, and prints what they found.
use crate::{measure::Options, report::Report};

/// Name and function.
pub(crate) type Group = (&'static str, fn(&Options, &mut Report));

pub(crate) fn run(groups: &[Group]) {
    let options = Options::from_args(std::env::args().skip(1));
    let chosen = groups.iter().filter(|(name, _)| options.wants(name));
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
