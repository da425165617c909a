//! FutureSDR: a source, N copies and a sink. `peer-futuresdr STAGES SAMPLES CHUNK WORKERS` prints samples/s and CPU
//! seconds per 1e9 samples; a chunk is the most samples that one call passes on, 0 for all that are there.
use std::time::Instant;

use futuresdr::{
    blocks::NullSink,
    runtime::{Runtime, dev::prelude::*, scheduler::SmolScheduler},
};

#[path = "../../../common/proc.rs"]
mod proc;

/// Writes ones until all are sent.
#[derive(Block)]
struct Source<O: CpuBufferWriter<Item = f32> = DefaultCpuWriter<f32>> {
    #[output]
    output: O,
    left: usize,
    chunk: usize,
}

impl<O: CpuBufferWriter<Item = f32>> Kernel for Source<O> {
    async fn work(&mut self, io: &mut WorkIo, _mo: &mut MessageOutputs, _meta: &BlockMeta) -> Result<()> {
        let room = self.output.slice();
        let count = room.len().min(self.left).min(self.chunk);
        let is_more = room.len() > count;
        room[..count].fill(1.0);
        if count > 0 {
            self.output.produce(count);
            self.left -= count;
        }
        io.finished = self.left == 0;
        io.call_again = is_more && self.left > 0;
        Ok(())
    }
}

/// Copies what comes.
#[derive(Block)]
struct Copies<
    I: CpuBufferReader<Item = f32> = DefaultCpuReader<f32>,
    O: CpuBufferWriter<Item = f32> = DefaultCpuWriter<f32>,
> {
    #[input]
    input: I,
    #[output]
    output: O,
    chunk: usize,
}

impl<I: CpuBufferReader<Item = f32>, O: CpuBufferWriter<Item = f32>> Kernel for Copies<I, O> {
    async fn work(&mut self, io: &mut WorkIo, _mo: &mut MessageOutputs, _meta: &BlockMeta) -> Result<()> {
        let (from, to) = (self.input.slice(), self.output.slice());
        let (waiting, room) = (from.len(), to.len());
        let count = waiting.min(room).min(self.chunk);
        to[..count].copy_from_slice(&from[..count]);
        if count > 0 {
            self.input.consume(count);
            self.output.produce(count);
        }
        if self.input.finished() && count == waiting {
            io.finished = true;
        }
        io.call_again = count < waiting && count < room;
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>().expect("a whole number"));
    let mut next = || numbers.next().expect("STAGES SAMPLES CHUNK WORKERS");
    let (stages, samples, chunk, workers) = (next(), next(), next(), next());
    let chunk = if chunk == 0 { usize::MAX } else { chunk };

    let mut graph = Flowgraph::new();
    let source = Source::<DefaultCpuWriter<f32>> { output: Default::default(), left: samples, chunk };
    let mut last: BlockId = graph.add(source)?.into();
    for _ in 0..stages {
        let (input, output) = Default::default();
        let copies: Copies = Copies { input, output, chunk };
        let copies: BlockId = graph.add(copies)?.into();
        graph.stream_dyn(last, "output", copies, "input")?;
        last = copies;
    }
    let sink = graph.add(NullSink::<f32>::new())?;
    graph.stream_dyn(last, "output", sink, "input")?;

    let runtime = Runtime::with_scheduler(SmolScheduler::with_config(workers, false));
    let (begin, cpu) = (Instant::now(), proc::cpu_time());
    let graph = runtime.run(graph)?;
    let (wall, cpu) = (begin.elapsed(), proc::cpu_time() - cpu);
    assert_eq!(graph.block(&sink)?.n_received(), samples, "every sample arrives");
    println!("{:.0} {:.3}", samples as f64 / wall.as_secs_f64(), cpu.as_secs_f64() * 1e9 / samples as f64);
    Ok(())
}
