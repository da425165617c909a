//! How often and how long to measure, runs in turns, and the middle of what came out.
#![allow(dead_code, reason = "each benchmark uses its own part")]
use std::time::Duration;

/// What the command line asks for.
pub(crate) struct Options {
    filters: Vec<String>,
    effort: Effort,
    only_lists: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Effort {
    Full,
    Quick,
    /// Each once and tiny: does it still work?
    Once,
}

impl Options {
    /// Cargo passes `--bench` when it measures and leaves it out when it tests; `--test` asks for a test as well. Flags
    /// of other harnesses are let pass, every other word is part of a group's name.
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Self {
        let (flags, filters): (Vec<String>, Vec<String>) = args.partition(|arg| arg.starts_with('-'));
        let has = |flag: &str| flags.iter().any(|given| given == flag);
        let effort = match (has("--test") || !has("--bench"), has("--quick")) {
            (true, _) => Effort::Once,
            (false, true) => Effort::Quick,
            (false, false) => Effort::Full,
        };
        Self { filters, effort, only_lists: has("--list") }
    }

    /// True if a group is to run.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| group.contains(filter.as_str()))
    }

    /// True if the groups are to be named and not run.
    pub(crate) fn only_lists(&self) -> bool {
        self.only_lists
    }

    /// False if figures mean nothing because every run is tiny.
    pub(crate) fn is_measuring(&self) -> bool {
        self.effort != Effort::Once
    }

    /// How many times each way is run.
    pub(crate) fn rounds(&self) -> usize {
        match self.effort {
            Effort::Full => 5,
            Effort::Quick => 3,
            Effort::Once => 1,
        }
    }

    /// How long one run takes that would take `full`.
    pub(crate) fn length(&self, full: Duration) -> Duration {
        match self.effort {
            Effort::Full => full,
            Effort::Quick => full / 3,
            Effort::Once => (full / 50).min(Duration::from_millis(40)),
        }
    }
}

/// One way of doing a job; each call is one run.
pub(crate) type Way<'a, R> = Box<dyn FnMut() -> R + 'a>;

/// Runs the ways in turns (A B A B ...), and gives the readings of each by round.
pub(crate) fn in_turns<R>(rounds: usize, mut ways: Vec<Way<'_, R>>) -> Vec<Vec<R>> {
    let mut readings: Vec<Vec<R>> = ways.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for _ in 0..rounds {
        for (way, readings) in ways.iter_mut().zip(&mut readings) {
            readings.push(way());
        }
    }
    readings
}

/// As [`in_turns`] for two ways.
pub(crate) fn pair<'a, R>(
    rounds: usize,
    ours: impl FnMut() -> R + 'a,
    theirs: impl FnMut() -> R + 'a,
) -> (Vec<R>, Vec<R>) {
    let mut readings = in_turns(rounds, vec![Box::new(ours) as Way<'_, R>, Box::new(theirs)]).into_iter();
    let mut next = || readings.next().expect("one entry per way");
    (next(), next())
}

/// How often something must be done to take about `length`; `trial` does it that often and says how long it took.
pub(crate) fn sized(length: Duration, mut trial: impl FnMut(u64) -> Duration) -> u64 {
    let mut times = 32;
    loop {
        let took = trial(times);
        if took >= length / 8 {
            return ((times as f64 * length.as_secs_f64() / took.as_secs_f64()) as u64).max(1);
        }
        times *= 4;
    }
}

/// Nanoseconds for each of `times`.
pub(crate) fn each_ns(took: Duration, times: u64) -> f64 {
    took.as_secs_f64() * 1e9 / times as f64
}

/// The middle value; not a number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The middle of the ratios, each taken within one round.
pub(crate) fn ratio(ours: &[f64], baseline: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(baseline).map(|(ours, baseline)| ours / baseline).collect();
    median(&ratios)
}

/// The value below which `part` of all values lie; not a number if there are none.
pub(crate) fn percentile(values: &[u64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len().saturating_sub(1) as f64 * part).round();
    sorted.get(rank as usize).map_or(f64::NAN, |value| *value as f64)
}

/// The `part` percentile of each round.
pub(crate) fn percentiles(rounds: &[Vec<u64>], part: f64) -> Vec<f64> {
    rounds.iter().map(|values| percentile(values, part)).collect()
}
