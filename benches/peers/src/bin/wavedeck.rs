//! Wavedeck: a source, N stages and a sink. `peer-wavedeck STAGES SAMPLES CHUNK FORM` prints samples/s and CPU seconds
//! per 1e9 samples; a chunk is the samples of a packet, a form is `hand_on`, `touch` or `copy`.
#[expect(dead_code, reason = "shared with the benchmarks, which use all of it")]
#[path = "../../../plane/pipeline.rs"]
mod pipeline;
#[path = "../../../common/proc.rs"]
mod proc;
#[expect(dead_code, reason = "shared with the benchmarks, which use all of it")]
#[path = "../../../plane/stages.rs"]
mod stages;

use pipeline::{Chain, Threads};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [stages, samples, chunk, form] = words.as_slice() else { panic!("STAGES SAMPLES CHUNK FORM") };
    let number = |word: &str| word.parse::<u32>().expect("a whole number");
    let kinds = ["hand_on", "touch", "copy"];
    let kind = kinds.into_iter().find(|kind| kind == form).expect("hand_on, touch or copy");
    let samples_per_packet = number(chunk);
    let packets = samples.parse::<u64>().expect("a whole number") / u64::from(samples_per_packet);
    let count = number(stages) as usize;
    let chain = Chain { kind, count, samples: samples_per_packet, packets_hz: 0.0, threads: Threads::Planned };
    let run = chain.run(packets);
    assert_eq!(run.seen.samples, packets * u64::from(samples_per_packet), "every sample arrives");
    let samples = run.seen.samples as f64;
    println!("{:.0} {:.3}", samples / run.wall.as_secs_f64(), run.cpu.as_secs_f64() * 1e9 / samples);
}
