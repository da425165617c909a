//! Bytes and CPU time of a screen full of waves.
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    link::LOCAL,
    measure::{Options, in_turns},
    proc,
    report::{Report, Row, Target, Unit},
    setup::{Desk, LARGE, SMALL, show},
};

/// One pass of the sweep.
const PASS: Duration = Duration::from_secs(10);

/// What one run came to.
#[derive(Clone, Copy)]
struct Cost {
    bytes_per_s: f64,
    frames_per_s: f64,
    percent_of_core: f64,
    /// Of the thread that draws, everything else it does included.
    cpu_ns_per_frame: f64,
    wakes_per_s: f64,
}

pub(crate) fn of_waves(options: &Options, report: &mut Report) {
    let rounds = options.rounds().min(3);
    let (length, warm_up) = (options.length(PASS), options.length(PASS / 3));
    let run = |desk| move || measure(desk, warm_up, length);
    let readings = in_turns(rounds, vec![Box::new(run(SMALL)), Box::new(run(LARGE))]);
    let targets = [(SMALL, 6.0, 1.0), (LARGE, 35.0, 4.0)];
    for ((desk, kilobytes, percent), readings) in targets.into_iter().zip(readings) {
        let mut row = |what: &str, unit, of: fn(&Cost) -> f64, target: Option<f64>| {
            let ours = readings.iter().map(of).collect();
            let name = format!("{}: {what}", desk.name);
            report.row(Row { name, unit, ours, baseline: None, target: target.map(Target::AtMost) });
        };
        row("bytes to the terminal", Unit::KilobytesPerSecond, |cost| cost.bytes_per_s / 1e3, Some(kilobytes));
        row("frames", Unit::PerSecond, |cost| cost.frames_per_s, None);
        row("CPU of the thread that draws", Unit::PercentOfCore, |cost| cost.percent_of_core, Some(percent));
        row("its CPU time per frame", Unit::Nanoseconds, |cost| cost.cpu_ns_per_frame, None);
        row("its wake-ups", Unit::PerSecond, |cost| cost.wakes_per_s, None);
    }
}

fn measure(desk: Desk, warm_up: Duration, length: Duration) -> Cost {
    let shown = show(desk, LOCAL, warm_up);
    // The thread that draws is the first of the process.
    let look = || (shown.link.counts(), proc::threads(shown.link.process(), &[]).swap_remove(0), Instant::now());
    let ((bytes, frames), thread, begin) = look();
    thread::sleep(length);
    let ((bytes_then, frames_then), thread_then, end) = look();
    let seconds = (end - begin).as_secs_f64();
    let frames = (frames_then - frames) as f64;
    let cpu_ns = (thread_then.cpu_ns - thread.cpu_ns) as f64;
    Cost {
        bytes_per_s: (bytes_then - bytes) as f64 / seconds,
        frames_per_s: frames / seconds,
        percent_of_core: cpu_ns / 1e7 / seconds,
        cpu_ns_per_frame: cpu_ns / frames.max(1.0),
        wakes_per_s: (thread_then.waits - thread.waits) as f64 / seconds,
    }
}
