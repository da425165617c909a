//! From a key to what it shows: at hand, far away, and where the link is given more than it can carry.
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    link::{Kind, LOCAL, Link, SLOW},
    measure::{Options, percentile},
    report::{Report, Row, Target, Unit},
    setup::{Desk, LARGE, SMALL, show},
};

const FREEZE: &str = " ";
const FROZEN: &[u8] = b"FROZEN";
const TOO_LONG: Duration = Duration::from_secs(20);
const MS: f64 = 1e6;

pub(crate) fn at_hand(options: &Options, report: &mut Report) {
    for desk in [SMALL, LARGE] {
        presses(options, report, desk, LOCAL, "bytes out", [10.0, 35.0]);
    }
}

pub(crate) fn far_away(options: &Options, report: &mut Report) {
    let round_trip = SLOW.round_trip.as_secs_f64() * 1e3;
    presses(options, report, SMALL, SLOW, "screen, 30 kB/s and 80 ms", [round_trip + 20.0, round_trip + 500.0]);
    let kind = Kind { bytes_per_s: Some(100e3), ..SLOW };
    presses(options, report, LARGE, kind, "screen, 100 kB/s and 80 ms", [round_trip + 60.0, round_trip + 800.0]);
}

/// Presses a key at all phases of the frames, again and again.
fn presses(options: &Options, report: &mut Report, desk: Desk, kind: Kind, to: &str, [p50, max]: [f64; 2]) {
    let length = options.length(Duration::from_secs(15));
    let shown = show(desk, kind, length / 5);
    let begin = Instant::now();
    let mut times = Vec::new();
    while begin.elapsed() < length || times.is_empty() {
        times.push(freeze(&shown.link));
        shown.link.press(FREEZE);
        // Long enough for waves to move again, and never in step with the frames.
        thread::sleep(Duration::from_millis(170 + 7 * (times.len() as u64 % 13)) + kind.round_trip);
    }
    let mut row = |what, part, target: f64| {
        let (name, ours) = (format!("{}: key to {to}, {what}", desk.name), vec![percentile(&times, part)]);
        let target = Some(Target::AtMost(target * MS));
        report.row(Row { name, unit: Unit::Nanoseconds, ours, baseline: None, target });
    };
    row("p50", 0.5, p50);
    row("max", 1.0, max);
}

fn freeze(link: &Link) -> u64 {
    let took = link.time_to_see(FREEZE, FROZEN, TOO_LONG);
    took.map_or(u64::MAX, |took| u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
}

/// Whole screens without end: how far behind is the terminal, at first and later?
pub(crate) fn on_a_link_that_is_given_too_much(options: &Options, report: &mut Report) {
    for (desk, limit) in [(SMALL, 580.0), (LARGE, 880.0)] {
        let length = options.length(Duration::from_secs(10));
        let shown = show(desk, SLOW, length / 5);
        for (when, is_judged) in [("first half", false), ("second half", true)] {
            shown.link.take_worst_delay();
            let begin = Instant::now();
            while begin.elapsed() < length {
                for view in ["5", "1", "3", "1"] {
                    shown.link.press(view);
                    thread::sleep(Duration::from_millis(60));
                }
            }
            let ours = vec![shown.link.take_worst_delay().as_secs_f64() * 1e9];
            let name = format!("{}: 30 kB/s given too much, furthest behind, {when}", desk.name);
            let target = is_judged.then_some(Target::AtMost(limit * MS));
            report.row(Row { name, unit: Unit::Nanoseconds, ours, baseline: None, target });
        }
    }
}
