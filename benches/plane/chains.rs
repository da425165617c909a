//! Throughput: a source, N stages and a sink, against the same arithmetic in one plain loop.
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use crossbeam::queue::ArrayQueue;

use crate::{
    measure::{Options, Way, in_turns, median, ratio, sized},
    pipeline::{Chain, THREADS, Threads},
    proc,
    report::{Grid, Report, Target, Unit},
    stages::{GAIN, value_of},
};

const KINDS: [&str; 3] = ["hand_on", "touch", "copy"];
const LENGTHS: [usize; 3] = [1, 4, 8];
const SAMPLES: [u32; 3] = [128, 1024, 8192];

/// What one run of one way gave.
#[derive(Clone, Copy)]
struct Speed {
    samples_per_s: f64,
    /// CPU seconds per 1e9 samples.
    cpu: f64,
}

impl Speed {
    fn new(samples: u64, wall: Duration, cpu: Duration) -> Self {
        let samples = samples as f64;
        Self { samples_per_s: samples / wall.as_secs_f64(), cpu: cpu.as_secs_f64() * 1e9 / samples }
    }
}

/// What one kind of chain is.
#[derive(Clone, Copy)]
struct Shape {
    kind: &'static str,
    count: usize,
    samples: u32,
}

impl Shape {
    fn chain(self, threads: Threads) -> Chain {
        let Self { kind, count, samples } = self;
        Chain { kind, count, samples, packets_hz: 0.0, threads }
    }

    /// What the last sample is at the end of it.
    fn last_value(self, packets: u64) -> f32 {
        let factor = if self.kind == "touch" { GAIN.powi(self.count as i32) } else { 1.0 };
        value_of(packets - 1) * factor
    }
}

/// Every form, length and size of packet.
pub(crate) fn throughput(options: &Options, report: &mut Report) {
    let mut lines = Vec::new();
    for kind in KINDS {
        for count in LENGTHS {
            for samples in SAMPLES {
                let shape = Shape { kind, count, samples };
                lines.push(measure(shape, options, report));
            }
        }
    }
    report.grid(Grid {
        title: "Throughput of a source, N stages and a sink in samples/s, and in brackets CPU seconds per 1e9 samples",
        columns: vec![
            "form, stages, samples per packet",
            "default plan",
            "thread per stage",
            "one thread",
            "plain loop",
            "default / thread per stage",
            "default / plain loop",
        ],
        lines,
    });
}

/// Runs one shape in every way; gives its line of the grid, and adds the rows that have targets.
fn measure(shape: Shape, options: &Options, report: &mut Report) -> Vec<String> {
    let length = options.length(Duration::from_millis(150));
    let (is_small, is_headline) = (shape.samples == 128, shape.count == 8 && shape.samples == 1024);
    let mut ways: Vec<Way<'_, Speed>> = Vec::new();
    for threads in THREADS {
        let chain = shape.chain(threads);
        let packets = sized(length, |packets| chain.run(packets).wall);
        ways.push(Box::new(move || {
            let run = chain.run(packets);
            assert_eq!(run.seen.samples, packets * u64::from(shape.samples), "every sample arrives");
            assert_eq!(run.seen.last, shape.last_value(packets), "with the value it should have");
            Speed::new(run.seen.samples, run.wall, run.cpu)
        }));
    }
    let bare = |run: fn(Shape, u64)| {
        let timed = move |packets| {
            let (begin, cpu) = (Instant::now(), proc::cpu_time());
            run(shape, packets);
            (begin.elapsed(), proc::cpu_time() - cpu)
        };
        let packets = sized(length, |packets| timed(packets).0);
        Box::new(move || {
            let (wall, cpu) = timed(packets);
            Speed::new(packets * u64::from(shape.samples), wall, cpu)
        })
    };
    ways.push(bare(plain_loop));
    if is_headline && shape.kind == "hand_on" {
        ways.push(bare(plain_line));
    }
    let readings = in_turns(options.rounds(), ways);
    let speeds = |way: usize| -> Vec<f64> { readings[way].iter().map(|speed| speed.samples_per_s).collect() };
    let cpu = |way: usize| -> Vec<f64> { readings[way].iter().map(|speed| speed.cpu).collect() };
    let name = format!("{}, N={}, {}", shape.kind.replace('_', " "), shape.count, shape.samples);

    if shape.count == 8 && (is_small || is_headline) {
        report.compare(
            format!("{name}: throughput, default plan"),
            Unit::SamplesPerSecond,
            speeds(0),
            ("thread per stage", speeds(1)),
            Some(Target::RatioAtLeast(1.0)),
        );
    }
    if is_headline {
        report.compare(format!("{name}: CPU, default plan"), Unit::CpuPerSample, cpu(0), ("plain loop", cpu(3)), None);
    }
    if readings.len() > 4 {
        for (plan, way, target) in [("default plan", 0, Some(Target::RatioAtMost(2.0))), ("one thread", 2, None)] {
            let plain = ("plain one-thread line", cpu(4));
            report.compare(format!("{name}: CPU, {plan}"), Unit::CpuPerSample, cpu(way), plain, target);
        }
    }
    let mut line = vec![name];
    line.extend(
        (0..4).map(|way| format!("{} ({:.2})", Unit::SamplesPerSecond.show(median(&speeds(way))), median(&cpu(way)))),
    );
    line.extend([1, 3].map(|way| format!("{:.2} x", ratio(&speeds(0), &speeds(way)))));
    line
}

/// Values of a cache line.
const LINE: usize = 16;

/// What the chain does to samples, as one would write it without packets, stages or threads: one buffer in place, or
/// one after each copy.
fn plain_loop(shape: Shape, packets: u64) {
    let (count, size) = (if shape.kind == "copy" { shape.count + 1 } else { 1 }, shape.samples as usize);
    // Buffers begin at cache lines, as those of the pools do: some processors copy many times slower otherwise.
    let mut memory = vec![0.0_f32; count * size + LINE];
    let begin = memory.as_ptr().align_offset(LINE * size_of::<f32>());
    let mut buffers: Vec<&mut [f32]> = memory[begin..].chunks_exact_mut(size).collect();
    let gain = black_box(GAIN);
    for packet in 0..packets {
        buffers[0].fill(value_of(packet));
        match shape.kind {
            "copy" => {
                for step in 0..shape.count {
                    let (from, to) = buffers.split_at_mut(step + 1);
                    to[0].copy_from_slice(black_box(&*from[step]));
                }
            }
            "touch" => {
                for _ in 0..shape.count {
                    for sample in black_box(&mut *buffers[0]) {
                        *sample *= gain;
                    }
                }
            }
            _ => {}
        }
        black_box(buffers.last());
    }
}

/// The barest line of stages on one thread: buffers from a queue, handed through one ring per hop and put back. No
/// counters, no headers, no bells, nothing that catches a fault.
fn plain_line(shape: Shape, packets: u64) {
    const CAPACITY: usize = 16;
    let free = ArrayQueue::new(CAPACITY + 2);
    while free.push(vec![0.0_f32; shape.samples as usize].into_boxed_slice()).is_ok() {}
    let mut rings: Vec<_> = (0..=shape.count).map(|_| rtrb::RingBuffer::<Box<[f32]>>::new(CAPACITY)).collect();
    let why = "a ring takes and gives one buffer per turn";
    for packet in 0..packets {
        let mut buffer = free.pop().expect("as many come back as are taken");
        buffer.fill(value_of(packet));
        for (sender, receiver) in &mut rings {
            sender.push(buffer).expect(why);
            buffer = black_box(receiver.pop().expect(why));
        }
        free.push(buffer).expect("as many come back as are taken");
    }
}
