//! `synthetic`: a board that is not there, for demonstrations, rehearsals and tests.
//!
//! Every sample is a pure function of seed, channel and index: the batch size, losses and stalls do not change what the
//! others are. At `pace` `realtime` it behaves as a board: sample n is taken at start + n / rate, and what finds no
//! buffer is lost and counted. It holds two seconds for a host that does not ask, and loses what is older. At `max` it
//! waits for room and loses nothing.
use wavedeck_api::{clock, prelude::*};

pub use crate::dsp::generator::ramp;
use crate::dsp::generator::{FULL, Generator, MICROVOLTS_PER_COUNT, SIGNALS};

/// Nanoseconds of samples that the board holds for a host that does not ask.
const HOLDS_NS: u64 = 2_000_000_000;
const PACES: &[&str] = &["realtime", "max"];

static PARAMS: &[ParamSpec] = &[
    ParamSpec::int("channels", 8, 1..=256).help("Number of channels."),
    ParamSpec::float("rate_hz", 250.0, 1.0..=100_000.0).unit("Hz").step(1.0).help("Samples per second."),
    ParamSpec::choice("signal", 0, SIGNALS).help("What to send; `demo` mixes, `ramp` counts samples exactly."),
    ParamSpec::float("amplitude_uv", 50.0, 0.0..=100_000.0)
        .unit("uV")
        .step(10.0)
        .help("Size of the signal; an ECG is 20 times as high, as in life.")
        .live(),
    ParamSpec::float("frequency_hz", 10.0, 0.001..=50_000.0).unit("Hz").step(0.5).help("Frequency of the sine.").live(),
    ParamSpec::float("noise_uv", 2.0, 0.0..=10_000.0)
        .unit("uV")
        .step(0.5)
        .help("White noise on top, RMS; not on the ramp.")
        .live(),
    ParamSpec::float("mains_hz", 50.0, 0.0..=1000.0)
        .unit("Hz")
        .step(10.0)
        .help("Frequency of the mains hum on top; 0 is off. Not on the ramp.")
        .live(),
    ParamSpec::float("mains_uv", 5.0, 0.0..=10_000.0).unit("uV").step(1.0).help("Amplitude of the mains hum.").live(),
    ParamSpec::int("seed", 1, 0..=4_294_967_295).help("Another seed gives other noise."),
    ParamSpec::int("batch", 0, 0..=8192).help("Samples per packet; 0 is 40 ms below 500 Hz, 20 ms above."),
    ParamSpec::choice("pace", 0, PACES).help("`realtime` is a board's pace; `max` is as fast as the rest can follow."),
    ParamSpec::int("samples", 0, 0..=1_000_000_000_000_000).help("Ends after this many samples; 0 never ends."),
];

inventory::submit! { StageDescriptor {
    id: "synthetic",
    version: 1,
    summary: "Made-up signals: ECG, EEG, sine, ramp, noise",
    inputs: &[],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Counts] }],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 20.0,
    build: Synthetic::build,
} }

struct Synthetic {
    output: Output<Counts>,
    generator: Generator,
    rate: Rate,
    batch: u32,
    /// Number of the sample after the last; never reached if endless.
    end: u64,
    is_realtime: bool,
    /// Time of sample 0: when `process` is first called, so that slow neighbours may start first.
    origin_ns: Option<u64>,
    /// Number of the sample that comes next.
    next: u64,
}

impl Synthetic {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let rate = Rate::from_hz(params.float("rate_hz")).expect("the range of the parameter");
        let channels = params.int("channels") as usize;
        let mut generator = Generator::new(params.choice("signal"), channels, rate.hz(), params.int("seed") as u64);
        for key in ["amplitude_uv", "frequency_hz", "noise_uv", "mains_hz", "mains_uv"] {
            generator.set(key, params.float(key), 0);
        }
        let batch = match params.int("batch") {
            0 => automatic_batch(rate.hz()),
            batch => u32::try_from(batch).expect("the range of the parameter"),
        };
        let is_realtime = params.choice("pace") == 0;
        let range = Some((-(FULL + 1.0) * MICROVOLTS_PER_COUNT, FULL * MICROVOLTS_PER_COUNT));
        let channel = |name| ChannelSpec { range, ..ChannelSpec::counts(name, "uV", MICROVOLTS_PER_COUNT) };
        let spec = StreamSpec {
            kind: SignalKind::Counts,
            channels: generator.names().into_iter().map(channel).collect(),
            rate,
            max_batch: batch,
            spectrum: None,
        };
        ctx.set_realtime(is_realtime);
        ctx.set_device("synthetic");
        let output = ctx.output::<Counts>("out", spec)?;
        let end = match params.int("samples") {
            0 => u64::MAX,
            samples => samples as u64,
        };
        Ok(Box::new(Self { output, generator, rate, batch, end, is_realtime, origin_ns: None, next: 0 }))
    }

    /// Nanoseconds from sample 0 to the last of the next `batch` samples.
    fn due_after_ns(&self, batch: u64) -> u64 {
        self.rate.nanoseconds_at(self.next + batch - 1)
    }
}

fn automatic_batch(rate_hz: f64) -> u32 {
    let seconds = if rate_hz < 500.0 { 0.04 } else { 0.02 };
    (rate_hz * seconds).round().max(1.0) as u32
}

/// Samples that a board has lost at `since_start_ns` when the host has taken `next`: whole batches, as many as are
/// older than what it holds.
fn overwritten(rate: Rate, batch: u64, next: u64, since_start_ns: u64) -> u64 {
    let taken = rate.samples_in(since_start_ns) + 1;
    let held = rate.samples_in(HOLDS_NS).max(2 * batch);
    taken.saturating_sub(next + held) / batch * batch
}

impl Stage for Synthetic {
    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        let batch = u64::from(self.batch).min(self.end - self.next);
        if batch == 0 || ctx.stopping() {
            return Ok(Flow::Done);
        }
        let origin_ns = *self.origin_ns.get_or_insert_with(clock::now_ns);
        let mut now_ns = u64::MAX;
        if self.is_realtime {
            now_ns = clock::now_ns();
            let due_ns = origin_ns + self.due_after_ns(batch);
            if now_ns < due_ns {
                return Ok(Flow::Until(clock::instant_at(due_ns)));
            }
            let lost = overwritten(self.rate, u64::from(self.batch), self.next, now_ns - origin_ns);
            let lost = lost.min(self.end - self.next);
            if lost > 0 {
                self.output.lose(lost, Loss::Device);
                self.next += lost;
                ctx.note(Level::Error, format!("{lost} samples are lost: nobody took them for a second"));
                return Ok(Flow::Again);
            }
        }
        if let Some(mut packet) = self.output.try_acquire() {
            self.generator.fill(self.next, packet.frames_mut(batch as u32));
            let header = packet.header_mut();
            header.first_sample = self.next;
            header.timestamp_ns = origin_ns + self.rate.nanoseconds_at(self.next);
            self.output.send(packet);
        } else if self.is_realtime {
            self.output.lose(batch, Loss::Overrun);
        } else {
            return Ok(Flow::Idle);
        }
        self.next += batch;
        let batch = u64::from(self.batch).min(self.end - self.next);
        if batch == 0 {
            return Ok(Flow::Done);
        }
        let due_ns = origin_ns + self.due_after_ns(batch);
        Ok(if now_ns < due_ns { Flow::Until(clock::instant_at(due_ns)) } else { Flow::Again })
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        match value {
            ParamValue::Float(value) if self.generator.set(key, *value, self.next) => Ok(()),
            _ => Err(StageError::NotLive(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wavedeck_api::testing::Harness;

    use super::*;

    fn harness(params: Value) -> Harness {
        Harness::new("synthetic", params, &[]).expect("it builds")
    }

    /// Runs to the end and gives all packets.
    fn all(params: Value) -> Vec<(PacketHeader, Vec<i32>)> {
        let mut stage = harness(params);
        assert_eq!(stage.run().expect("it runs"), Flow::Done);
        stage.take::<Counts>("out")
    }

    fn values(params: Value) -> Vec<i32> {
        all(params).into_iter().flat_map(|(_, values)| values).collect()
    }

    /// Calls `process` until it has something to say about `is_over`.
    fn drive(stage: &mut Harness, mut is_over: impl FnMut(&mut Harness) -> bool) {
        while !is_over(stage) {
            stage.step().expect("it runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn by_default_it_is_a_cyton_with_a_name_for_every_channel() {
        let stage = harness(json!({}));
        let spec = stage.spec("out");
        let names: Vec<&str> = spec.channels.iter().map(|channel| &*channel.name).collect();
        assert_eq!(names, ["ECG", "Fp1", "Fp2", "C3", "C4", "SINE", "SAW", "NOISE"]);
        assert_eq!((spec.rate.to_string(), spec.max_batch), ("250/1".into(), 10));
        let channel = &spec.channels[0];
        assert_eq!((&*channel.unit, channel.scale), ("uV", 0.022_351_744_455_307_063));
        let (low, high) = channel.range.expect("known");
        assert!((high - 187_500.0).abs() < 1e-6 && low < -187_500.0);
    }

    #[test]
    fn every_signal_builds_with_names_that_differ_and_can_be_told_apart_from_silence() {
        for signal in SIGNALS {
            for channels in [1, 2, 40, 256] {
                let mut stage =
                    harness(json!({ "signal": signal, "channels": channels, "samples": 50, "pace": "max" }));
                let mut names: Vec<_> = stage.spec("out").channels.iter().map(|channel| channel.name.clone()).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), channels, "{signal}");
                assert_eq!(stage.run().expect("it runs"), Flow::Done);
                assert!(stage.take::<Counts>("out").iter().any(|(_, values)| values.iter().any(|value| *value != 0)));
            }
        }
    }

    #[test]
    fn a_ramp_is_the_index_of_the_sample_in_every_channel() {
        let out = all(json!({ "signal": "ramp", "channels": 3, "samples": 1005, "batch": 100, "pace": "max" }));
        let mut next = 0;
        for (header, values) in &out {
            assert_eq!((header.first_sample, header.channels), (next, 3));
            for frame in values.chunks(3) {
                assert_eq!(frame, [ramp(next); 3]);
                next += 1;
            }
        }
        assert_eq!((next, out.len(), out[10].0.batch_size), (1005, 11, 5));
    }

    #[test]
    fn values_do_not_depend_on_the_size_of_a_packet() {
        let run = |batch: u32, seed: u32| {
            values(json!({ "channels": 9, "samples": 2000, "batch": batch, "seed": seed, "pace": "max" }))
        };
        let whole = run(2000, 1);
        assert_eq!(whole, run(7, 1));
        assert_eq!(whole, run(2, 1));
        assert_ne!(whole, run(2000, 2));
    }

    #[test]
    fn a_sine_has_the_amplitude_and_frequency_asked_for() {
        let quiet = json!({ "signal": "sine", "channels": 1, "samples": 250, "pace": "max", "amplitude_uv": 100,
                            "frequency_hz": 5, "noise_uv": 0, "mains_hz": 0 });
        for (n, count) in values(quiet).into_iter().enumerate() {
            let expected = 100.0 * (n as f64 * 5.0 / 250.0 * std::f64::consts::TAU).sin();
            assert!((f64::from(count) * MICROVOLTS_PER_COUNT - expected).abs() < 0.012, "{n}");
        }
    }

    #[test]
    fn a_new_frequency_goes_on_without_a_jump() {
        let mut stage = harness(json!({ "signal": "sine", "channels": 1, "batch": 10, "pace": "max", "samples": 20,
                                        "amplitude_uv": 100, "noise_uv": 0, "mains_hz": 0 }));
        stage.step().expect("it runs");
        stage.set_param("frequency_hz", &json!(11)).expect("in range");
        stage.step().expect("it runs");
        let out = stage.take::<Counts>("out");
        // The steepest step of a sine of 100 uV and 11 Hz at 250 Hz is 28 uV.
        let step = f64::from(out[1].1[0] - out[0].1[9]) * MICROVOLTS_PER_COUNT;
        assert!(step.abs() < 28.0, "{step}");
        assert_eq!((out[0].0.param_epoch, out[1].0.param_epoch), (0, 1));
    }

    #[test]
    fn both_ends_of_every_range_are_survived() {
        let mut stage = harness(json!({ "pace": "max", "batch": 1 }));
        for (key, low, high) in [
            ("amplitude_uv", 0.0, 100_000.0),
            ("frequency_hz", 0.001, 50_000.0),
            ("noise_uv", 0.0, 10_000.0),
            ("mains_hz", 0.0, 1000.0),
            ("mains_uv", 0.0, 10_000.0),
        ] {
            for value in [low, high] {
                stage.set_param(key, &json!(value)).expect("in range");
                stage.step().expect("it runs");
            }
        }
        let in_range = |value: &i32| (-8_388_608..=8_388_607).contains(value);
        assert!(stage.take::<Counts>("out").iter().all(|(_, values)| values.iter().all(in_range)));
        assert!(matches!(stage.set_param("channels", &json!(2)), Err(StageError::NotLive("channels"))));
    }

    #[test]
    fn packets_last_40_ms_at_slow_rates_and_20_at_fast_ones() {
        let batches = [1.0, 100.0, 250.0, 499.0, 500.0, 30_000.0, 100_000.0].map(automatic_batch);
        assert_eq!(batches, [1, 4, 10, 20, 10, 600, 2000]);
    }

    #[test]
    fn at_full_pace_it_waits_for_room_and_loses_nothing() {
        let mut stage = harness(json!({ "signal": "ramp", "channels": 1, "batch": 1, "pace": "max", "samples": 3000 }));
        let mut out = Vec::new();
        while stage.run().expect("it runs") != Flow::Done {
            out.extend(stage.take::<Counts>("out"));
        }
        out.extend(stage.take::<Counts>("out"));
        assert!(out.iter().enumerate().all(|(n, (header, values))| {
            header.first_sample == n as u64 && header.timestamp_ns >= out[0].0.timestamp_ns && values[0] == n as i32
        }));
        assert_eq!((out.len(), stage.counts("out").lost_overrun), (3000, 0));
    }

    #[test]
    fn in_real_time_no_sample_comes_before_its_time() {
        let mut stage =
            harness(json!({ "signal": "ramp", "channels": 1, "rate_hz": 10_000, "batch": 3, "samples": 200 }));
        let mut origin_ns = None;
        let mut next = 0;
        drive(&mut stage, |stage| {
            let now_ns = clock::now_ns();
            for (header, _) in stage.take::<Counts>("out") {
                let origin_ns = *origin_ns.get_or_insert(header.timestamp_ns);
                assert_eq!(header.timestamp_ns, origin_ns + header.first_sample * 100_000);
                assert!(now_ns >= origin_ns + (header.end_sample() - 1) * 100_000);
                next = header.end_sample();
            }
            next == 200
        });
        assert_eq!(stage.step().expect("it runs"), Flow::Done);
    }

    #[test]
    fn in_real_time_a_sample_without_a_buffer_is_lost_and_counted() {
        let mut stage = harness(json!({ "signal": "ramp", "channels": 1, "rate_hz": 100_000, "batch": 1 }));
        drive(&mut stage, |stage| stage.counts("out").lost_overrun >= 3);
        let before = stage.take::<Counts>("out");
        drive(&mut stage, |stage| stage.counts("out").sent_packets > before.len() as u64);
        let (header, values) = stage.take::<Counts>("out").remove(0);
        let counts = stage.counts("out");
        assert_eq!(header.first_sample, before.len() as u64 + counts.lost_overrun + counts.lost_device);
        assert_eq!(values, [ramp(header.first_sample)]);
        assert!(header.flags.has(Flags::GAP));
    }

    #[test]
    fn a_board_holds_two_seconds_for_a_host_that_does_not_ask() {
        let rate = Rate::new(250, 1).expect("positive");
        let second = 1_000_000_000;
        assert_eq!(overwritten(rate, 10, 0, second / 2), 0);
        assert_eq!(overwritten(rate, 10, 0, 2 * second), 0);
        // 1001 samples are taken by then, of which it holds 500: 501 are lost, in whole batches 500.
        assert_eq!(overwritten(rate, 10, 0, 4 * second), 500);
        assert_eq!(overwritten(rate, 10, 500, 4 * second), 0);
        // A batch as long as the board's memory is not lost for being long.
        assert_eq!(overwritten(rate, 1000, 0, 5 * second), 0);
    }

    #[test]
    fn it_ends_when_the_pipeline_stops() {
        let mut stage = harness(json!({ "rate_hz": 1 }));
        stage.stop();
        assert_eq!(stage.step().expect("it runs"), Flow::Done);
    }
}
