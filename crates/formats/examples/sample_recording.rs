//! Writes a recording with noise, a gap and a mark, and exports it to every format, for `.ci/interop-write`; says how
//! fast.
//!
//! `sample_recording DIR [--plain] [SECONDS] [CHANNELS] [RATE_HZ]`
use std::{env, error::Error, ops::ControlFlow, path::PathBuf, time::Instant};

use wavedeck_api::{
    clock::Anchor,
    packet::PacketHeader,
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
};
use wavedeck_formats::{ExportOptions, Format, export_file, open};
use wavedeck_recording::{Event, Gap, GapReason, Recording, RecordingOptions, RecordingWriter, StreamInfo};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let plain = arguments.iter().position(|argument| argument == "--plain").map(|at| arguments.remove(at)).is_some();
    let number = |n: usize, default: u64| arguments.get(n).map_or(Ok(default), |text| text.parse());
    let dir = PathBuf::from(arguments.first().ok_or("name a directory")?);
    let (seconds, channels, rate_hz) = (number(1, 20)?, number(2, 8)? as usize, number(3, 250)?);
    let rate = Rate::new(rate_hz, 1).ok_or("a rate is positive")?;
    let frames = u32::try_from(if rate_hz < 500 { rate_hz / 25 } else { rate_hz / 50 })?.max(1);

    let counts = (1..=channels).map(|n| ChannelSpec::counts(format!("CH{n}"), "uV", 0.022_351_741_790_771_484));
    let stream = |name: &str, kind, channels| {
        let spec = StreamSpec { kind, channels, rate, max_batch: frames, spectrum: None };
        StreamInfo { name: name.into(), spec, device: "a made-up board".into() }
    };
    let streams = vec![
        stream("eeg", SignalKind::Counts, counts.collect()),
        stream("filtered", SignalKind::Physical, [ChannelSpec::physical("CH1", "uV")].into()),
    ];
    let options = RecordingOptions {
        dir: dir.clone(),
        name: Some("sample".into()),
        session_name: "sample".into(),
        app_version: env!("CARGO_PKG_VERSION").into(),
        plain,
        ..RecordingOptions::default()
    };
    let anchor = Anchor::now();
    let mut writer = RecordingWriter::create(options, streams, anchor)?;
    let status = writer.status();

    let begin = Instant::now();
    let batches = seconds * rate_hz / u64::from(frames);
    let gap_at = batches / 2;
    let mut next = 0;
    let mut walk = Walk::new(channels);
    let mut samples = Vec::new();
    let mut filtered = Vec::new();
    for batch in 0..batches {
        let timestamp_ns = anchor.monotonic_ns + rate.nanoseconds_at(next);
        if batch == gap_at {
            for stream in 0..2 {
                writer.gap(stream, &Gap { first_index: next, n: 123, reason: GapReason::Device }, timestamp_ns)?;
            }
            let event = Event { label: "cable out".into(), stream: Some(0), index: Some(next), ..Event::default() };
            writer.event(&event, timestamp_ns)?;
            next += 123;
        }
        samples.clear();
        filtered.clear();
        for _ in 0..frames {
            walk.step(&mut samples);
            filtered.push(samples[samples.len() - channels] as f32 * 0.1);
        }
        let timestamp_ns = anchor.monotonic_ns + rate.nanoseconds_at(next);
        let header = PacketHeader {
            seq: batch,
            first_sample: next,
            timestamp_ns,
            batch_size: frames,
            channels: channels as u16,
            ..PacketHeader::default()
        };
        writer.batch_counts(0, &header, &samples, timestamp_ns)?;
        writer.batch_values(1, &PacketHeader { channels: 1, ..header }, &filtered, timestamp_ns)?;
        writer.tick(timestamp_ns)?;
        next += u64::from(frames);
    }
    let fed_s = begin.elapsed().as_secs_f64();
    let finished = writer.finish()?;

    let raw = finished.ledger.streams[0].recorded * channels as u64 * 4 + finished.ledger.streams[1].recorded * 4;
    println!("{}", finished.path.display());
    println!(
        "{raw} bytes of samples in a file of {}: ratio {:.2}, {:.0} bytes per second",
        finished.bytes,
        raw as f64 / finished.bytes as f64,
        finished.bytes as f64 / seconds.max(1) as f64
    );
    println!(
        "encoded in {fed_s:.3} s, {:.1} MB/s; disk took {} us at worst",
        raw as f64 / fed_s / 1e6,
        status.worst_sync_ns() / 1000
    );

    let begin = Instant::now();
    let recording = Recording::open(&finished.path)?;
    let opened_s = begin.elapsed().as_secs_f64();
    let middle = recording.batches(0, next / 2)?.next().ok_or("samples")??;
    let sought_s = begin.elapsed().as_secs_f64() - opened_s;
    println!("opened in {:.2} ms, sample {} found in {:.2} ms", opened_s * 1e3, middle.first_index, sought_s * 1e3);
    let source = open(&finished.path)?;
    for (stream, counts) in [("eeg", true), ("eeg", false), ("filtered", false)] {
        for format in Format::ALL {
            let options = ExportOptions { stream: Some(stream.into()), counts, ..ExportOptions::default() };
            let kind = if counts { "counts" } else { "units" };
            let path = dir.join(format!("{stream}-{kind}.{}", format.name()));
            let begin = Instant::now();
            let go_on = &mut |_| ControlFlow::Continue(());
            let summary = export_file(&*source, *format, &options, &path, true, go_on)?;
            let took_s = begin.elapsed().as_secs_f64();
            let width = if stream == "eeg" { channels as u64 } else { 1 };
            let speed = (summary.rows * width * 4) as f64 / took_s / 1e6;
            println!("{}: {} rows in {took_s:.3} s, {speed:.1} MB/s of samples", path.display(), summary.rows);
            for text in summary.remarks.iter().chain(&summary.warnings) {
                println!("    {text}");
            }
        }
    }
    Ok(())
}

/// A slow wave with noise, different on each channel, with a jump to the ends of the range now and then.
struct Walk {
    levels: Vec<i32>,
    state: u64,
}

impl Walk {
    fn new(channels: usize) -> Self {
        Self { levels: vec![0; channels], state: 1 }
    }

    fn step(&mut self, samples: &mut Vec<i32>) {
        for level in &mut self.levels {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (self.state >> 33) as i32;
            *level = (*level + random % 61 - 30).clamp(-8_000_000, 8_000_000);
            samples.push(match random % 10_007 {
                0 => i32::MIN,
                1 => i32::MAX,
                _ => *level,
            });
        }
    }
}
