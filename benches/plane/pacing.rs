//! At the pace of a device: what a hop between threads costs in time, how old samples are at the end of a chain, and how
//! punctual their source is.
use std::{
    process,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use rustix::thread::futex;
use wavedeck_api::{clock, signal::Rate};

use crate::{
    measure::{Options, Way, in_turns, median, pair, percentile, percentiles},
    pipeline::{Chain, THREADS, Threads},
    proc,
    report::{Grid, Report, Row, Target, Unit},
};

const SAMPLES: u32 = 16;
const LENGTHS: [usize; 3] = [1, 4, 8];

/// Packets in about that time.
fn packets_in(length: Duration, packets_hz: f64) -> u64 {
    (length.as_secs_f64() * packets_hz).ceil() as u64
}

/// From the send of a packet to its arrival at a stage on another thread, against waking a bare thread.
pub(crate) fn hops(options: &Options, report: &mut Report) {
    for packets_hz in [250.0, 1000.0, 10_000.0] {
        let packets = packets_in(options.length(Duration::from_millis(500)), packets_hz);
        let hop = Chain { kind: "hand_on", count: 0, samples: SAMPLES, packets_hz, threads: Threads::Planned };
        let ways: Vec<Way<'_, Vec<u64>>> = vec![
            Box::new(|| hop.run(packets).seen.ages_ns),
            Box::new(|| bare_wakes::<Futex>(packets_hz, packets)),
            Box::new(|| bare_wakes::<Park>(packets_hz, packets)),
        ];
        let readings = in_turns(options.rounds(), ways);
        let name = |part: &str| format!("hop between threads at {packets_hz} Hz, {part}");
        let middle = |way: usize| percentiles(&readings[way], 0.5);
        let tail = |way: usize| percentiles(&readings[way], 0.99);
        let target = Some(Target::RatioAtMost(1.3));
        report.compare(name("p50"), Unit::Nanoseconds, middle(0), ("futex wake", middle(1)), target);
        report.compare(name("p50"), Unit::Nanoseconds, middle(0), ("park and unpark", middle(2)), None);
        report.compare(name("p99"), Unit::Nanoseconds, tail(0), ("futex wake", tail(1)), None);
    }
}

/// A way of sleeping until a number changes.
trait Sleep {
    /// Sleeps unless `turn` is another than `seen` already.
    fn sleep(turn: &AtomicU32, seen: u32);
    /// Wakes who sleeps on `turn`, on that thread.
    fn wake(turn: &AtomicU32, sleeper: &thread::Thread);
}

struct Futex;

impl Sleep for Futex {
    fn sleep(turn: &AtomicU32, seen: u32) {
        // It may say that the number has changed, or that a signal came: both mean to look again.
        let _ = futex::wait(turn, futex::Flags::PRIVATE, seen, None);
    }

    fn wake(turn: &AtomicU32, _sleeper: &thread::Thread) {
        futex::wake(turn, futex::Flags::PRIVATE, 1).expect("the address is ours");
    }
}

struct Park;

impl Sleep for Park {
    fn sleep(turn: &AtomicU32, seen: u32) {
        if turn.load(Ordering::Acquire) == seen {
            thread::park();
        }
    }

    fn wake(_turn: &AtomicU32, sleeper: &thread::Thread) {
        sleeper.unpark();
    }
}

/// Wakes a thread `packets` times at a rate, with nothing in between; gives the time from each stamp to its reading.
fn bare_wakes<S: Sleep>(packets_hz: f64, packets: u64) -> Vec<u64> {
    let (stamp, turn) = (AtomicU64::new(0), AtomicU32::new(0));
    let last = u32::try_from(packets).expect("a run of some seconds");
    let rate = Rate::from_hz(packets_hz).expect("positive");
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let mut ages_ns = Vec::with_capacity(last as usize);
            let mut seen = 0;
            while seen < last {
                let now = turn.load(Ordering::Acquire);
                if now == seen {
                    S::sleep(&turn, seen);
                    continue;
                }
                ages_ns.push(clock::now_ns().saturating_sub(stamp.load(Ordering::Relaxed)));
                seen = now;
            }
            ages_ns
        });
        let origin_ns = clock::now_ns();
        for number in 1..=last {
            wait_until(origin_ns + rate.nanoseconds_at(u64::from(number)));
            stamp.store(clock::now_ns(), Ordering::Relaxed);
            turn.store(number, Ordering::Release);
            S::wake(&turn, sleeper.thread());
        }
        sleeper.join().expect("it does not panic")
    })
}

/// As a worker does between two calls of a source.
fn wait_until(due_ns: u64) {
    loop {
        let now_ns = clock::now_ns();
        if now_ns >= due_ns {
            return;
        }
        thread::park_timeout(Duration::from_nanos(due_ns - now_ns));
    }
}

/// Age of packets at the end of a chain of 1, 4 and 8 stages.
pub(crate) fn latency(options: &Options, report: &mut Report) {
    let packets_hz = 1000.0;
    let packets = packets_in(options.length(Duration::from_millis(400)), packets_hz);
    let mut lines = Vec::new();
    for count in LENGTHS {
        let run = |threads: Threads| {
            let chain = Chain { kind: "touch", count, samples: SAMPLES, packets_hz, threads };
            move || chain.run(packets).seen.ages_ns
        };
        let ways = THREADS.map(|threads| Box::new(run(threads)) as Way<'_, Vec<u64>>);
        let readings = in_turns(options.rounds(), Vec::from(ways));
        let mut line = vec![format!("N={count}")];
        line.extend(readings.iter().map(|rounds| {
            let (middle, tail) = (median(&percentiles(rounds, 0.5)), median(&percentiles(rounds, 0.99)));
            format!("{} / {}", Unit::Nanoseconds.show(middle), Unit::Nanoseconds.show(tail))
        }));
        lines.push(line);
        let middle = |way: usize| percentiles(&readings[way], 0.5);
        report.compare(
            format!("latency over {count} stage{}, default plan, p50", if count == 1 { "" } else { "s" }),
            Unit::Nanoseconds,
            middle(0),
            ("thread per stage", middle(1)),
            Some(Target::RatioAtMost(1.0)),
        );
    }
    report.grid(Grid {
        title: "Latency of 16-sample packets at 1 kHz over N stages, p50 / p99",
        columns: vec!["stages", "default plan", "thread per stage", "one thread"],
        lines,
    });
}

/// How late a realtime source sends, and how often threads wake up behind it.
pub(crate) fn jitter(options: &Options, report: &mut Report) {
    let length = options.length(Duration::from_millis(800));
    let chain = |threads| Chain { kind: "touch", count: 8, samples: SAMPLES, packets_hz: 1000.0, threads };
    let run = |threads| move || watch(&chain(threads), length);
    let (planned, each) = pair(options.rounds(), run(Threads::Planned), run(Threads::Each));
    let late = |watched: &[Watched], part| -> Vec<f64> {
        watched.iter().map(|watched| percentile(&watched.late_ns, part)).collect()
    };
    for (name, part, target) in [("p50", 0.5, Some(Target::RatioAtMost(1.1))), ("p99", 0.99, None)] {
        report.compare(
            format!("1 kHz source behind its schedule, 8 stages, {name}"),
            Unit::Nanoseconds,
            late(&planned, part),
            ("thread per stage", late(&each, part)),
            target,
        );
    }
    let wakes = |watched: &[Watched]| watched.iter().map(|watched| watched.wakes_per_thousand).collect();
    report.compare(
        "wake-ups per 1000 packets at 1 kHz, 8 stages",
        Unit::WakesPerThousand,
        wakes(&planned),
        ("thread per stage", wakes(&each)),
        Some(Target::RatioAtMost(1.0)),
    );
    report.row(Row {
        name: "wake-ups per 1000 packets at 1 kHz, 8 stages, all on one thread".into(),
        unit: Unit::WakesPerThousand,
        ours: in_turns(options.rounds().min(3), vec![Box::new(run(Threads::One)) as Way<'_, Watched>])
            .iter()
            .flat_map(|watched| wakes_of(watched))
            .collect(),
        baseline: None,
        target: None,
    });
}

fn wakes_of(watched: &[Watched]) -> impl Iterator<Item = f64> + '_ {
    watched.iter().map(|watched| watched.wakes_per_thousand)
}

struct Watched {
    late_ns: Vec<u64>,
    wakes_per_thousand: f64,
}

/// Runs a chain whose source keeps a rate, and looks at its threads from outside.
fn watch(chain: &Chain, length: Duration) -> Watched {
    let others = proc::thread_ids();
    let started = chain.start(0);
    started.runtime.go();
    let sent = || started.runtime.telemetry().stages[0].outputs[0].1.sent_packets;
    thread::sleep(length / 20);
    let (threads, first) = (proc::threads(process::id(), &others), sent());
    thread::sleep(length);
    let (later, last) = (proc::threads(process::id(), &others), sent());
    let waits: u64 = proc::between(&threads, &later).iter().map(|thread| thread.waits).sum();
    let wakes_per_thousand = waits as f64 * 1000.0 / last.saturating_sub(first).max(1) as f64;
    Watched { late_ns: started.stop().late_ns, wakes_per_thousand }
}
