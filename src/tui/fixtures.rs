//! Made-up streams and snapshots for the tests of the front end.
use std::sync::Arc;

use wavedeck_api::{
    handle::{RecorderStatus, RecordingState, TransportStatus},
    link::{LinkCounts, Overflow},
    packet::PacketHeader,
    param::ParamSpec,
    port::OutputCounts,
    signal::{ChannelSpec, Rate, SignalKind, StreamSpec},
    stage::Level,
};
use wavedeck_plane::{EdgeTelemetry, PipelineState, PoolTelemetry, StageState, StageTelemetry, Telemetry};

use super::history::{History, Why};
use crate::snapshot::{DiskSpace, LogEntry, OutputInfo, Snapshot, StageParams};

/// A physical stream in uV.
pub(crate) fn stream(channels: usize, rate_hz: f64) -> StreamSpec {
    StreamSpec {
        kind: SignalKind::Physical,
        channels: (1..=channels).map(|n| ChannelSpec::physical(format!("CH{n}"), "uV")).collect(),
        rate: Rate::from_hz(rate_hz).expect("a positive rate"),
        max_batch: 32,
        spectrum: None,
    }
}

/// Header of a packet.
pub(crate) fn header(first_sample: u64, frames: usize, channels: usize) -> PacketHeader {
    PacketHeader {
        first_sample,
        batch_size: u32::try_from(frames).expect("a small packet"),
        channels: u16::try_from(channels).expect("few channels"),
        ..PacketHeader::default()
    }
}

/// Feeds `first..end` in packets of 25 frames.
pub(crate) fn feed(history: &mut History, first: u64, end: u64, value: impl Fn(u64, usize) -> f32) {
    let channels = history.spec().channels.len();
    let mut at = first;
    while at < end {
        let frames = (end - at).min(25);
        let data: Vec<f32> =
            (at..at + frames).flat_map(|s| (0..channels).map(move |c| (s, c))).map(|(s, c)| value(s, c)).collect();
        history.ingest(&header(at, frames as usize, channels), &data, Why::Lost);
        at += frames;
    }
}

/// Parameters of a made-up filter: one of each kind.
pub(crate) static PARAMS: &[ParamSpec] = &[
    ParamSpec::float("cutoff_hz", 40.0, 0.1..=250.0).unit("Hz").step(0.5).live().help("Corner of the low-pass."),
    ParamSpec::int("order", 2, 1..=8).live().help("Steepness."),
    ParamSpec::bool("notch", true).live().help("Takes out mains hum."),
    ParamSpec::choice("gain", 6, &["1", "2", "4", "6", "8", "12", "24"]).live().help("Amplification."),
    ParamSpec::text("label", "").cosmetic().help("Shown in lists."),
    ParamSpec::int("channels", 8, 1..=256).help("Channels made."),
];

fn stage(id: &str, kind: &'static str, packets: u64) -> StageTelemetry {
    StageTelemetry {
        id: id.into(),
        kind,
        thread: id.into(),
        state: StageState::Running,
        packets,
        busy: std::time::Duration::from_micros(packets * 30),
        worst: std::time::Duration::from_micros(700),
        p50: std::time::Duration::from_micros(32),
        p99: std::time::Duration::from_micros(512),
        times: [(90, std::time::Duration::from_micros(30)), (10, std::time::Duration::from_micros(500))]
            .into_iter()
            .collect(),
        waits: kind == "synthetic",
        is_source: false,
        outputs: vec![(
            "out",
            OutputCounts { sent_packets: packets, sent_samples: packets * 25, ..Default::default() },
        )],
    }
}

fn edge(id: &str, in_flight: u64, capacity: u32, policy: Overflow) -> EdgeTelemetry {
    let counts = LinkCounts { in_flight_packets: in_flight, high_water: 9, ..LinkCounts::default() };
    EdgeTelemetry { id: id.into(), capacity, policy, to_recorder: id.ends_with("rec.in"), counts }
}

/// A running pipeline: board -> clean -> psd, and a recorder.
pub(crate) fn snapshot() -> Snapshot {
    let params = |id: &str, kind, table: &'static [ParamSpec]| StageParams {
        id: id.into(),
        kind,
        summary: "A stage for tests.",
        params: table.iter().map(|spec| (spec, spec.default())).collect(),
    };
    let mut spectrum = stream(8, 250.0);
    spectrum.kind = SignalKind::Spectrum;
    let output = |stage: &str, spec| OutputInfo { stage: stage.into(), port: "out", spec };
    let entry = |number, level, text: &str| LogEntry {
        number,
        unix_ns: 1_795_442_531_000_000_000 + number * 1_000_000_000,
        level,
        from: "clean".into(),
        text: text.into(),
    };
    Snapshot {
        link: None,
        generation: 1,
        name: "bench-01".into(),
        pipeline: PipelineState::Running,
        uptime_s: 100.0,
        recording: RecordingState::Idle,
        recorder: Some(RecorderStatus { dir: "recordings".into(), ..RecorderStatus::default() }),
        transport: None,
        telemetry: Telemetry {
            advice: Vec::new(),
            at_ns: 1_000_000_000,
            stages: vec![
                stage("board", "synthetic", 1000),
                stage("clean", "filter", 1000),
                stage("psd", "fft", 40),
                stage("rec", "record", 1000),
            ],
            edges: vec![
                edge("board.out -> clean.in", 8, 64, Overflow::Block),
                edge("clean.out -> psd.in", 3, 8, Overflow::DropOldest),
                edge("board.out -> rec.in", 2, 200, Overflow::Block),
            ],
            pools: vec![PoolTelemetry {
                name: "board.out".into(),
                capacity: 300,
                in_use: 21,
                high_water: 40,
                misses: 0,
                bytes: 300 * 1024,
            }],
            lost_events: 0,
        },
        lost_samples: 0,
        shed_samples: 0,
        disk: Some(DiskSpace { free_bytes: 41_000_000_000, seconds_left: Some(33_120.0) }),
        log: Arc::from(vec![
            entry(1, Level::Info, "pipeline runs"),
            entry(2, Level::Warn, "cutoff is close to half the rate"),
            entry(3, Level::Error, "a frame was lost"),
        ]),
        locked: None,
        stages: Arc::from(vec![
            params("board", "synthetic", &PARAMS[5..]),
            params("clean", "filter", PARAMS),
            params("psd", "fft", &[]),
            params("rec", "record", &[]),
        ]),
        outputs: Arc::from(vec![
            output("board", stream(8, 250.0)),
            output("clean", stream(8, 250.0)),
            output("psd", spectrum),
        ]),
    }
}

/// The same while it records.
pub(crate) fn recording() -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.recording = RecordingState::Recording;
    snapshot.locked = Some("locked while recording");
    if let Some(recorder) = &mut snapshot.recorder {
        recorder.state = RecordingState::Recording;
        recorder.recorded_s = 763.8;
        recorder.saved_bytes = 12_300_000;
        recorder.markers = 2;
    }
    snapshot
}

/// The same while a file is replayed.
pub(crate) fn replay() -> Snapshot {
    let mut snapshot = snapshot();
    snapshot.transport = Some(TransportStatus {
        path: "recordings/2026-11-23_bench-01.wavedeck.mcap".into(),
        position_s: 192.5,
        duration_s: 763.0,
        speed: 1.0,
        playing: true,
        markers: Arc::from(vec![(60.0, "start".to_owned()), (500.0, "stim".to_owned())]),
        gaps: Arc::from(vec![(300.0, 2.0)]),
        ..TransportStatus::default()
    });
    snapshot
}

/// A recording in the list.
pub(crate) fn entry(name: &str) -> crate::snapshot::RecordingEntry {
    crate::snapshot::RecordingEntry {
        path: std::path::Path::new("recordings").join(name),
        bytes: 12_300_000,
        duration_s: Some(763.0),
        channels: 8,
        remark: "closed".into(),
        is_fine: true,
        start_unix_ns: 1_795_442_531_000_000_000,
    }
}
