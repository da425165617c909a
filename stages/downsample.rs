//! `downsample`: keeps every n-th sample after a filter has removed what would fold down.
//!
//! The filter is [`crate::dsp::fir`]: linear phase, flat up to 0.4 of the new rate, `stopband_db` down from half the
//! new rate on. Output `j` is the filtered signal at input sample `j * factor`, counted from the beginning of the
//! acquisition: its index is `j`, its time that of this input sample. The filter's delay is thus taken out of the time
//! stamps: outputs come about `25 * factor` input samples late and say so.
//!
//! After a gap or a jump the filter starts anew, so no output mixes samples from both sides. At each end of a stretch
//! the signal is continued with its first or last sample; all outputs up to the last sample come out when the stretch
//! ends.
use wavedeck_api::prelude::*;

use crate::dsp::fir::{Decimator, anti_alias};

/// Most bytes of past samples; two stages in a row need a hundredth.
const MAX_HISTORY_BYTES: usize = 64 << 20;

static PARAMS: &[ParamSpec] = &[
    ParamSpec::int("factor", 16, 1..=1024).help("Input samples for each output sample."),
    ParamSpec::float("stopband_db", 80.0, 40.0..=120.0)
        .unit("dB")
        .step(10.0)
        .help("How far down signals above half the new rate are before they fold; more takes longer filters."),
];

inventory::submit! { StageDescriptor {
    id: "downsample",
    version: 1,
    summary: "Lowers the rate by a whole factor, free of aliases",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 1.0,
    build: Downsample::build,
} }

struct Downsample {
    input: Input<Physical>,
    output: Output<Physical>,
    decimator: Decimator,
    factor: u64,
    /// Frames that may be pushed at a time.
    max_batch: usize,
    /// Header of the last packet pushed: outputs are dated from it.
    latest: PacketHeader,
    /// Marks for the next output packet.
    marks: Flags,
    stretch: Stretch,
    /// The packet after a gap, until the stretch before it has ended.
    waiting: Option<Shared<Physical>>,
}

/// Where the stage stands in an unbroken stretch of samples.
#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    /// None has begun.
    None,
    /// Samples are coming.
    Open,
    /// The last sample is held until the outputs that wait for later ones are out: frames to go.
    Ending(usize),
}

impl Downsample {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let factor = u32::try_from(params.int("factor")).expect("the range of the parameter");
        let input = ctx.input::<Physical>("in")?;
        let spec = input.spec();
        let (channels, max_batch) = (spec.channels.len(), spec.max_batch as usize);
        let taps = anti_alias(factor, params.float("stopband_db"));
        let bytes = Decimator::bytes(taps.len(), channels, max_batch);
        if bytes > MAX_HISTORY_BYTES {
            return Err(BuildError::rejected(
                format!(
                    "`factor` {factor} on {channels} channels needs {bytes} bytes, the limit is {MAX_HISTORY_BYTES}"
                ),
                "use two `downsample` stages in a row, such as 32 and 32 instead of 1024",
            ));
        }
        let rate = spec.rate.divided_by(factor).ok_or_else(|| {
            BuildError::rejected(
                format!("`factor` must leave a rate that can be written, got {factor} for {} Hz", spec.rate),
                "use a smaller factor",
            )
        })?;
        let out = StreamSpec { rate, max_batch: spec.max_batch.div_ceil(factor), ..spec.clone() };
        let output = ctx.output::<Physical>("out", out)?;
        Ok(Box::new(Self {
            decimator: Decimator::new(&taps, factor, channels, max_batch),
            input,
            output,
            factor: u64::from(factor),
            max_batch,
            latest: PacketHeader::default(),
            marks: Flags::NONE,
            stretch: Stretch::None,
            waiting: None,
        }))
    }

    /// Takes a packet that continues the stretch or begins one.
    fn push(&mut self, packet: &Shared<Physical>) {
        let header = packet.header();
        self.marks = self.marks.with(header.flags);
        if header.batch_size == 0 {
            return;
        }
        if self.stretch != Stretch::Open {
            if self.latest.batch_size > 0 && header.first_sample > self.latest.end_sample() {
                self.marks = self.marks.with(Flags::GAP);
            }
            let channels = self.input.spec().channels.len();
            self.decimator.restart(header.first_sample, &packet.samples()[..channels]);
            self.stretch = Stretch::Open;
        }
        self.latest = *header;
        self.decimator.push(packet.samples());
        self.send_ready();
    }

    /// Lets one packet's worth of outputs out that wait for samples beyond the end.
    fn drain(&mut self, frames: usize) {
        let held = frames.min(self.max_batch);
        self.decimator.hold(held);
        self.send_ready();
        self.stretch = if held < frames { Stretch::Ending(frames - held) } else { Stretch::None };
    }

    fn send_ready(&mut self) {
        let ready = self.decimator.ready();
        if ready == 0 {
            return;
        }
        let first = self.decimator.next_output();
        let Some(mut packet) = self.output.try_acquire() else {
            self.decimator.skip(ready);
            self.output.lose(ready as u64, Loss::Overrun);
            return;
        };
        let batch_size = u32::try_from(ready).expect("no more than were pushed");
        self.decimator.take(packet.frames_mut(batch_size));
        *packet.header_mut() = PacketHeader {
            first_sample: first,
            timestamp_ns: self.time_of(first * self.factor),
            batch_size,
            flags: std::mem::take(&mut self.marks),
            ..self.output.forward(&self.latest)
        };
        self.output.send(packet);
    }

    /// Time of an input sample, by the time of the latest packet.
    fn time_of(&self, sample: u64) -> u64 {
        let rate = self.input.spec().rate;
        let (then, now) = (rate.nanoseconds_at(sample), rate.nanoseconds_at(self.latest.first_sample));
        self.latest.timestamp_ns.saturating_add(then).saturating_sub(now)
    }
}

impl Stage for Downsample {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        if let Stretch::Ending(frames) = self.stretch {
            self.drain(frames);
            return Ok(Flow::Again);
        }
        if let Some(packet) = self.waiting.take() {
            self.push(&packet);
            return Ok(Flow::Again);
        }
        match self.input.recv() {
            Recv::Packet(packet) => {
                if self.stretch == Stretch::Open && packet.header().first_sample != self.latest.end_sample() {
                    self.stretch = Stretch::Ending(self.decimator.delay());
                    self.waiting = Some(packet);
                } else {
                    self.push(&packet);
                }
                Ok(Flow::Again)
            }
            Recv::Empty => Ok(Flow::Idle),
            Recv::Closed if self.stretch == Stretch::Open => {
                self.stretch = Stretch::Ending(self.decimator.delay());
                Ok(Flow::Again)
            }
            Recv::Closed => Ok(Flow::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::physical;

    fn harness(params: Value) -> Harness {
        Harness::new("downsample", params, &[("in", physical(2, 16))]).expect("it builds")
    }

    /// Two channels: a level of 1000 with a slow sine, and noise.
    fn signal(first: u64, frames: u64) -> Vec<f32> {
        let frame = |n: u64| [1000.0 + (n as f32 * 0.02).sin(), (n.wrapping_mul(7919) % 1009) as f32 - 504.0];
        (first..first + frames).flat_map(frame).collect()
    }

    fn push(stage: &mut Harness, mut first: u64, batches: &[u64]) {
        for batch in batches {
            stage.push::<Physical>("in", first, &signal(first, *batch));
            first += batch;
        }
        stage.run().expect("it runs");
    }

    fn end(stage: &mut Harness) -> Vec<(PacketHeader, Vec<f32>)> {
        stage.close();
        assert_eq!(stage.run().expect("it runs"), Flow::Done);
        stage.take::<Physical>("out")
    }

    fn values(packets: &[(PacketHeader, Vec<f32>)]) -> Vec<f32> {
        packets.iter().flat_map(|(_, values)| values.clone()).collect()
    }

    #[test]
    fn it_builds_with_defaults_and_says_what_comes_out() {
        let stage = harness(json!({}));
        let spec = stage.spec("out");
        assert_eq!((spec.rate.to_string(), spec.max_batch), ("125/8".into(), 1));
        assert_eq!(spec.channels, physical(2, 16).channels);
    }

    #[test]
    fn every_output_stands_at_a_multiple_of_the_factor_and_none_is_missing_at_the_end() {
        let mut stage = harness(json!({ "factor": 10 }));
        push(&mut stage, 43, &[16, 1, 16, 16, 7].repeat(20));
        let out = end(&mut stage);
        let total: u64 = out.iter().map(|(header, _)| u64::from(header.batch_size)).sum();
        // Samples 43..1163 hold the multiples 50..=1160.
        assert_eq!((out[0].0.first_sample, total), (5, 112));
        let mut next = 5;
        for (header, values) in &out {
            assert_eq!((header.first_sample, header.timestamp_ns), (next, next * 40_000_000));
            assert_eq!((header.channels, values.len()), (2, 2 * header.batch_size as usize));
            next += u64::from(header.batch_size);
        }
    }

    #[test]
    fn a_slow_signal_comes_out_at_its_own_time() {
        let mut stage = harness(json!({ "factor": 8 }));
        push(&mut stage, 0, &[16; 200]);
        let out = values(&end(&mut stage));
        for (j, frame) in out.chunks_exact(2).enumerate().skip(50).take(300) {
            let expected = 1000.0 + (j as f32 * 8.0 * 0.02).sin();
            assert!((frame[0] - expected).abs() < 3e-4, "{j}: {} {expected}", frame[0]);
        }
    }

    #[test]
    fn packets_of_any_size_give_the_same_bits() {
        let (mut whole, mut split) = (harness(json!({ "factor": 5 })), harness(json!({ "factor": 5 })));
        push(&mut whole, 3, &[16; 60]);
        push(&mut split, 3, &[0, 1, 7, 16, 3, 5].repeat(30));
        assert_eq!(values(&end(&mut whole)), values(&end(&mut split)));
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        let mut stage = harness(json!({ "factor": 1 }));
        push(&mut stage, 7, &[16, 1, 5]);
        stage.push::<Physical>("in", 100, &signal(100, 2));
        let out = end(&mut stage);
        assert_eq!(values(&out), [signal(7, 22), signal(100, 2)].concat());
        assert_eq!((out[0].0.first_sample, out[3].0.first_sample, out[3].0.flags), (7, 100, Flags::GAP));
    }

    #[test]
    fn no_output_mixes_samples_from_both_sides_of_a_gap() {
        let mut stage = harness(json!({ "factor": 4 }));
        for packet in 0..40 {
            stage.push::<Physical>("in", packet * 16, &[1.0; 32]);
        }
        for packet in 0..40 {
            stage.push::<Physical>("in", 650 + packet * 16, &[-5.0; 32]);
        }
        let out = end(&mut stage);
        let (before, after): (Vec<_>, Vec<_>) = out.iter().partition(|(header, _)| header.first_sample < 160);
        assert!(before.iter().flat_map(|(_, values)| values).all(|value| *value == 1.0));
        assert!(after.iter().flat_map(|(_, values)| values).all(|value| *value == -5.0));
        // 639 is the last sample before the gap, 652 the first multiple after it.
        assert_eq!(before.last().map(|(header, _)| header.end_sample()), Some(160));
        assert_eq!(after.first().map(|(header, _)| (header.first_sample, header.flags)), Some((163, Flags::GAP)));
    }

    #[test]
    fn a_jump_back_starts_anew_without_a_gap() {
        let mut stage = harness(json!({ "factor": 4 }));
        push(&mut stage, 400, &[16; 20]);
        push(&mut stage, 0, &[16; 20]);
        let out = end(&mut stage);
        let total: usize = out.iter().map(|(header, _)| header.batch_size as usize).sum();
        assert_eq!(total, 160);
        assert!(out.iter().all(|(header, _)| header.flags == Flags::NONE));
    }

    #[test]
    fn parameters_are_fixed_and_both_ends_of_their_ranges_build() {
        for params in [
            json!({ "factor": 1, "stopband_db": 40.0 }),
            json!({ "factor": 1024, "stopband_db": 40.0 }),
            json!({ "factor": 1024, "stopband_db": 120.0 }),
        ] {
            let mut stage = harness(params);
            push(&mut stage, 0, &[1, 16]);
            assert!(matches!(stage.set_param("factor", &json!(2)), Err(StageError::NotLive("factor"))));
        }
    }

    #[test]
    fn a_history_beyond_all_bounds_is_refused_with_a_way_out() {
        let params = json!({ "factor": 1024, "stopband_db": 120.0 });
        let error = Harness::new("downsample", params, &[("in", physical(256, 16))]).err().expect("too large");
        let BuildError::Rejected { what, hint: Some(hint) } = error else { panic!("{error}") };
        assert!(what.starts_with("`factor` 1024 on 256 channels needs "), "{what}");
        assert!(hint.contains("32 and 32"), "{hint}");
    }
}
