//! `fft`: power spectral density of every channel over a sliding window.
//!
//! One-sided density in unit^2/Hz of a periodic Hann window, scaled as `scipy.signal.welch(scaling="density")` does,
//! one segment a time: `2 |X[k]|^2 / (rate * sum(window^2))`, without the 2 at 0 Hz and at half the rate. By default
//! the mean of a window is taken out first, as there.
//!
//! Spectrum `j` covers the input samples from `j * hop` on, counted from the beginning of the acquisition, with
//! `hop = size * (1 - overlap)`; its index is `j`, its time that of its first sample. After a gap or a jump the window
//! starts anew at the next multiple of `hop`. A frame of the output holds the bins of the first channel, then those of
//! the next: `values[channel * bins + bin]`.
use wavedeck_api::prelude::*;

use crate::dsp::density::Density;

const SIZES: &[&str] = &["64", "128", "256", "512", "1024", "2048", "4096", "8192"];
const DETREND: &[&str] = &["mean", "none"];

static PARAMS: &[ParamSpec] = &[
    ParamSpec::choice("size", 3, SIZES).help("Samples in a window: a bin is the rate divided by this."),
    ParamSpec::float("overlap", 0.5, 0.0..=0.95).step(0.05).help("Part of a window that the next one shares."),
    ParamSpec::choice("detrend", 0, DETREND).help("What is taken out of a window before: its mean, or nothing."),
];

inventory::submit! { StageDescriptor {
    id: "fft",
    version: 1,
    summary: "Power spectral density over a sliding Hann window",
    inputs: &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }],
    outputs: &[PortSpec { name: "out", accepts: &[SignalKind::Spectrum] }],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: false,
    max_latency_ms: 5.0,
    build: Fft::build,
} }

struct Fft {
    input: Input<Physical>,
    output: Output<Spectrum>,
    transform: Density,
    hop: u64,
    /// The last `size` samples of each channel, channel by channel, each a ring.
    history: Vec<f32>,
    size: usize,
    /// Samples in the rings since the window began anew, at most `size` of them to be used.
    filled: usize,
    /// Where the next sample goes in each ring.
    position: usize,
    /// Index of the sample that comes next.
    next_sample: u64,
    /// Index of the first sample of the window.
    window: u64,
    /// Marks for the next spectrum.
    marks: Flags,
    /// A packet that is not used up, and the frames of it that are.
    current: Option<(Shared<Physical>, usize)>,
    has_begun: bool,
}

impl Fft {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let size = 64_usize << params.choice("size");
        let hop = ((size as f64 * (1.0 - params.float("overlap"))).round() as u32).max(1);
        let removes_mean = params.choice("detrend") == 0;
        let input = ctx.input::<Physical>("in")?;
        let spec = input.spec();
        let rate = spec.rate.divided_by(hop).ok_or_else(|| {
            BuildError::rejected(
                format!("`size` must leave a rate that can be written, got {size} for {} Hz", spec.rate),
                "use a smaller window",
            )
        })?;
        let rate_hz = spec.rate.hz();
        let bins = size as u32 / 2 + 1;
        let channel = |from: &ChannelSpec| ChannelSpec::physical(&*from.name, format!("{}^2/Hz", from.unit));
        let out = StreamSpec {
            kind: SignalKind::Spectrum,
            channels: spec.channels.iter().map(channel).collect(),
            rate,
            max_batch: 1,
            spectrum: Some(SpectrumSpec { bins, bin_hz: rate_hz / size as f64, window: "hann" }),
        };
        let history = vec![0.0; size * spec.channels.len()];
        let output = ctx.output::<Spectrum>("out", out)?;
        Ok(Box::new(Self {
            input,
            output,
            transform: Density::new(size, rate_hz, removes_mean),
            hop: u64::from(hop),
            history,
            size,
            filled: 0,
            position: 0,
            next_sample: 0,
            window: 0,
            marks: Flags::NONE,
            current: None,
            has_begun: false,
        }))
    }

    /// Starts anew when the packet does not continue the samples before it.
    fn join(&mut self, header: &PacketHeader) {
        self.marks = self.marks.with(header.flags);
        if self.has_begun && header.first_sample == self.next_sample {
            return;
        }
        if self.has_begun && header.first_sample > self.next_sample {
            self.marks = self.marks.with(Flags::GAP);
        }
        self.has_begun = true;
        self.next_sample = header.first_sample;
        self.window = header.first_sample.next_multiple_of(self.hop);
        self.filled = 0;
        self.position = 0;
    }

    /// Takes frames until a window is full or none is left; gives the number of frames taken.
    fn fill(&mut self, frames: &[f32]) -> usize {
        let channels = self.input.spec().channels.len();
        let offered = frames.len() / channels;
        // Samples before the window's first, which lies ahead after a restart.
        let ahead = self.window.saturating_sub(self.next_sample);
        let skipped = offered.min(usize::try_from(ahead).unwrap_or(usize::MAX));
        let taken = (offered - skipped).min(self.size - self.filled);
        let frames = &frames[skipped * channels..(skipped + taken) * channels];
        for (channel, ring) in self.history.chunks_exact_mut(self.size).enumerate() {
            let (before, after) = ring.split_at_mut(self.position);
            let slots = after.iter_mut().chain(before);
            slots.zip(frames.iter().skip(channel).step_by(channels)).for_each(|(slot, value)| *slot = *value);
        }
        self.position = (self.position + taken) % self.size;
        self.filled += taken;
        self.next_sample += (skipped + taken) as u64;
        skipped + taken
    }

    /// Sends the spectrum of the full window and moves the window on by a hop.
    fn send(&mut self, from: &PacketHeader) {
        if let Some(mut packet) = self.output.try_acquire() {
            let rings = self.history.chunks_exact(self.size);
            let spectra = packet.frames_mut(1).chunks_exact_mut(self.size / 2 + 1);
            for (ring, spectrum) in rings.zip(spectra) {
                let (newest, oldest) = ring.split_at(self.position);
                self.transform.of(oldest.iter().chain(newest), spectrum);
            }
            let rate = self.input.spec().rate;
            let (then, now) = (rate.nanoseconds_at(self.window), rate.nanoseconds_at(from.first_sample));
            *packet.header_mut() = PacketHeader {
                first_sample: self.window / self.hop,
                timestamp_ns: from.timestamp_ns.saturating_add(then).saturating_sub(now),
                batch_size: 1,
                flags: std::mem::take(&mut self.marks),
                ..self.output.forward(from)
            };
            self.output.send(packet);
        } else {
            self.output.lose(1, Loss::Overrun);
        }
        self.window += self.hop;
        self.filled -= self.hop as usize;
    }
}

impl Stage for Fft {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let (packet, used) = match self.current.take() {
            Some(current) => current,
            None => match self.input.recv() {
                Recv::Packet(packet) => {
                    self.join(packet.header());
                    (packet, 0)
                }
                Recv::Empty => return Ok(Flow::Idle),
                Recv::Closed => return Ok(Flow::Done),
            },
        };
        let channels = self.input.spec().channels.len();
        let used = used + self.fill(&packet.samples()[used * channels..]);
        if self.filled == self.size {
            self.send(packet.header());
        }
        if used < packet.header().batch_size as usize {
            self.current = Some((packet, used));
        }
        Ok(Flow::Again)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use serde_json::{Value, json};
    use wavedeck_api::testing::Harness;

    use super::*;
    use crate::fixtures::physical;

    fn harness(params: Value, max_batch: u32) -> Harness {
        Harness::new("fft", params, &[("in", physical(2, max_batch))]).expect("it builds")
    }

    /// Pushes the first channel from `samples`, and zeros in the second, in packets of `batch`.
    fn push(stage: &mut Harness, first: u64, samples: &[f32], batch: usize) {
        for (index, packet) in samples.chunks(batch).enumerate() {
            let frames: Vec<f32> = packet.iter().flat_map(|value| [*value, 0.0]).collect();
            stage.push::<Physical>("in", first + (index * batch) as u64, &frames);
        }
        stage.run().expect("it runs");
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 7_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    #[test]
    fn it_builds_with_defaults_and_says_what_comes_out() {
        let stage = harness(json!({}), 16);
        let spec = stage.spec("out");
        assert_eq!((spec.rate.to_string(), spec.max_batch, spec.frame_len()), ("125/128".into(), 1, 2 * 257));
        assert_eq!((&*spec.channels[0].name, &*spec.channels[0].unit), ("a0", "V^2/Hz"));
        let expected = SpectrumSpec { bins: 257, bin_hz: 250.0 / 512.0, window: "hann" };
        assert_eq!(spec.spectrum, Some(expected));
    }

    #[test]
    fn a_window_comes_out_as_from_scipy() {
        // SciPy 1.17: periodogram(x[:256], fs=250, window="hann", detrend=...) of x[n] = n * 7919 % 1009 - 504.
        let samples: Vec<f32> = (0..256).map(|n| (n * 7919 % 1009) as f32 - 504.0).collect();
        let both = [0.907_648, 0.184_966_37, 0.017_693_337];
        for (detrend, first, second) in [("mean", 1.090_123_4, 19.282_085), ("none", 0.054_751_655, 18.787_336)] {
            let mut stage = harness(json!({ "size": 256, "detrend": detrend }), 256);
            push(&mut stage, 0, &samples, 256);
            let density = stage.take::<Spectrum>("out").remove(0).1;
            let got = [density[0], density[1], density[2], density[64], density[127]];
            for (got, expected) in got.into_iter().zip([first, second].into_iter().chain(both)) {
                assert!((got - expected).abs() < 2e-5 * expected.max(1.0), "{detrend}: {got} {expected}");
            }
            assert!((density[128] - 0.002_762_983).abs() < 1e-5, "{}", density[128]);
        }
    }

    #[test]
    fn a_sine_stands_in_its_bin_with_its_power() {
        let sine = |n: usize| 3.0 * (2.0 * PI * 20.0 / 512.0 * n as f64).sin() as f32;
        let mut stage = harness(json!({}), 16);
        push(&mut stage, 0, &(0..512).map(sine).collect::<Vec<_>>(), 16);
        let (_, density) = stage.take::<Spectrum>("out").remove(0);
        let bin_hz = 250.0 / 512.0;
        let total: f32 = density[..257].iter().sum();
        // A sine of amplitude A has the power A^2 / 2; Hann spreads 2/3 of it on the middle bin.
        assert!((total * bin_hz - 4.5).abs() < 1e-3, "{total}");
        assert!((density[20] * bin_hz - 3.0).abs() < 1e-3, "{}", density[20]);
        assert!(density[..18].iter().chain(&density[23..]).all(|value| *value < 1e-6));
    }

    #[test]
    fn the_density_of_white_noise_is_its_variance_over_half_the_rate() {
        let mut stage = harness(json!({ "size": 64 }), 64);
        push(&mut stage, 0, &noise(32_000), 64);
        let spectra = stage.take::<Spectrum>("out");
        let mean = |bin: usize| spectra.iter().map(|(_, v)| f64::from(v[bin])).sum::<f64>() / spectra.len() as f64;
        let level = (2..31).map(mean).sum::<f64>() / 29.0;
        assert!((level * 125.0 - 1.0).abs() < 0.03, "{level}");
    }

    #[test]
    fn the_bins_together_hold_the_power_of_the_windowed_signal() {
        let samples = noise(256);
        let mut stage = harness(json!({ "size": 256, "detrend": "none" }), 256);
        push(&mut stage, 0, &samples, 256);
        let (_, density) = stage.take::<Spectrum>("out").remove(0);
        let hann = |n: usize| 0.5 - 0.5 * (2.0 * PI * n as f64 / 256.0).cos();
        let window: f64 = (0..256).map(|n| hann(n).powi(2)).sum();
        let expected = samples.iter().enumerate().map(|(n, v)| (f64::from(*v) * hann(n)).powi(2)).sum::<f64>() / window;
        let total = density[..129].iter().map(|v| f64::from(*v)).sum::<f64>() * 250.0 / 256.0;
        assert!((total / expected - 1.0).abs() < 1e-5, "{total} {expected}");
    }

    #[test]
    fn spectra_are_counted_by_hops_and_carry_the_time_of_their_first_sample() {
        let mut stage = harness(json!({ "size": 64, "overlap": 0.75 }), 1);
        push(&mut stage, 30, &noise(200), 1);
        let out = stage.take::<Spectrum>("out");
        // Samples 30..230, hop 16: windows begin at 32, 48, ... 160; the one at 176 lacks its end.
        let headers: Vec<_> = out.iter().map(|(h, _)| (h.first_sample, h.timestamp_ns, h.batch_size)).collect();
        assert_eq!(headers, (2..=10).map(|j| (j, j * 64_000_000, 1)).collect::<Vec<_>>());
        assert_eq!(stage.spec("out").rate.to_string(), "125/8");
    }

    #[test]
    fn one_call_sends_one_spectrum_and_keeps_the_rest_of_the_packet() {
        let mut stage = harness(json!({ "size": 64, "overlap": 0.5 }), 160);
        let frames: Vec<f32> = noise(160).iter().flat_map(|value| [*value, 0.0]).collect();
        stage.push::<Physical>("in", 0, &frames);
        for _ in 0..4 {
            assert_eq!(stage.step().expect("it runs"), Flow::Again);
            assert_eq!(stage.take::<Spectrum>("out").len(), 1);
        }
        assert_eq!(stage.run().expect("it runs"), Flow::Idle);
    }

    #[test]
    fn packets_of_any_size_give_the_same_bits() {
        let (mut whole, mut split) = (harness(json!({ "size": 64 }), 500), harness(json!({ "size": 64 }), 500));
        push(&mut whole, 0, &noise(500), 500);
        split.push::<Physical>("in", 0, &[]);
        push(&mut split, 0, &noise(500), 7);
        let (whole, split) = (whole.take::<Spectrum>("out"), split.take::<Spectrum>("out"));
        assert_eq!(whole.len(), 14);
        assert!(whole.iter().zip(&split).all(|(a, b)| a.1 == b.1 && a.0.first_sample == b.0.first_sample));
    }

    #[test]
    fn no_window_reaches_over_a_gap() {
        let mut stage = harness(json!({ "size": 64, "overlap": 0.0 }), 100);
        push(&mut stage, 0, &[1.0; 100], 100);
        push(&mut stage, 110, &[-9.0; 100], 100);
        let out = stage.take::<Spectrum>("out");
        let seen: Vec<_> = out.iter().map(|(header, _)| (header.first_sample, header.flags)).collect();
        assert_eq!(seen, [(0, Flags::NONE), (2, Flags::GAP)]);
        assert!(out.iter().all(|(_, density)| density.iter().all(|value| *value < 1e-9)));
    }

    #[test]
    fn both_ends_of_every_range_build_and_parameters_are_fixed() {
        for params in [json!({ "size": 64, "overlap": 0.95 }), json!({ "size": 8192, "overlap": 0 })] {
            let mut stage = harness(params, 16);
            push(&mut stage, 0, &noise(600), 1);
            assert!(matches!(stage.set_param("overlap", &json!(0)), Err(StageError::NotLive("overlap"))));
        }
    }
}
