//! What is known of a far session: what it told last, put together as a snapshot.
use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};
use wavedeck_api::{
    handle::{RecorderStatus, RecordingState, TransportStatus},
    names::interned,
    signal::{ChannelSpec, Rate, SignalKind, SpectrumSpec, StreamSpec},
};
use wavedeck_plane::{PipelineState, StageRegistry, Telemetry};

use super::calls;
use crate::{
    overview::Heights,
    session::SessionError,
    snapshot::{DiskSpace, LogEntry, OutputInfo, RecordingEntry, Snapshot, StageParams},
};

/// Lines of the log that are kept.
const LOG_LINES: usize = 500;
/// How often the overview of a file is asked for that is still being looked through.
const OVERVIEW_AGAIN: Duration = Duration::from_secs(1);
/// Most channels of a stream, and most stages and outputs that are believed.
const MOST_CHANNELS: usize = 256;
const MOST: usize = 1024;

/// What a session told so far.
pub(super) struct Known {
    registry: StageRegistry,
    pipeline: Option<FarPipeline>,
    snapshot: Option<Snapshot>,
    log: VecDeque<LogEntry>,
    /// The same, for snapshots, until a line comes.
    log_copy: Option<Arc<[LogEntry]>>,
    overview: Option<FarOverview>,
    overview_asked: Option<Instant>,
    /// When it said something last.
    pub(super) heard: Instant,
}

/// `telemetry`
#[derive(Deserialize)]
struct FarTelemetry {
    generation: u64,
    name: Arc<str>,
    pipeline: PipelineState,
    uptime_s: f64,
    recording: RecordingState,
    recorder: Option<RecorderStatus>,
    transport: Option<TransportStatus>,
    telemetry: Telemetry,
    lost_samples: u64,
    shed_samples: u64,
    disk: Option<DiskSpace>,
    locked: Option<String>,
    #[serde(default)]
    params: HashMap<String, Map<String, Value>>,
}

/// `pipeline.get`
#[derive(Deserialize)]
struct FarPipeline {
    generation: u64,
    stages: Vec<FarStage>,
    outputs: Vec<FarOutput>,
}

/// `replay.overview`
#[derive(Deserialize)]
struct FarOverview {
    path: PathBuf,
    stream: String,
    #[serde(flatten)]
    heights: Heights,
}

impl FarOverview {
    fn is_of(&self, transport: &TransportStatus) -> bool {
        self.path == transport.path && self.stream == transport.stream
    }
}

#[derive(Deserialize)]
struct FarStage {
    id: Arc<str>,
    kind: String,
    summary: String,
    params: Map<String, Value>,
}

#[derive(Deserialize)]
struct FarOutput {
    stage: Arc<str>,
    port: String,
    kind: SignalKind,
    rate: FarRate,
    channels: Vec<ChannelSpec>,
    max_batch: u32,
    spectrum: Option<FarSpectrum>,
}

#[derive(Deserialize)]
struct FarRate {
    num: u64,
    den: u64,
}

#[derive(Deserialize)]
struct FarSpectrum {
    bins: u32,
    bin_hz: f64,
    window: String,
}

impl Known {
    pub(super) fn new() -> anyhow::Result<Self> {
        let registry = crate::registry().context("the stage types of this program")?;
        let (log, heard) = (VecDeque::new(), Instant::now());
        let (pipeline, snapshot, overview) = (None, None, None);
        Ok(Self { registry, pipeline, snapshot, log, log_copy: None, overview, overview_asked: None, heard })
    }

    /// True if it is time to ask for more of the overview of what is replayed.
    pub(super) fn lacks_overview(&mut self) -> bool {
        let Some(of) = self.snapshot.as_ref().and_then(|snapshot| snapshot.transport.as_ref()) else { return false };
        let is_known = self.overview.as_ref().is_some_and(|known| known.is_of(of) && known.heights.is_complete);
        let is_time = self.overview_asked.is_none_or(|asked| asked.elapsed() >= OVERVIEW_AGAIN);
        if is_known || !is_time {
            return false;
        }
        self.overview_asked = Some(Instant::now());
        true
    }

    /// Takes an overview; `None` if it was refused, as it is when the replay has ended meanwhile.
    pub(super) fn take_overview(&mut self, overview: Option<Value>) {
        let overview = overview.and_then(|overview| FarOverview::deserialize(overview).ok());
        self.overview = overview.filter(|overview| overview.heights.parts.len() <= MOST);
    }

    /// As far as it is known.
    pub(super) fn overview(&self, of: &TransportStatus) -> Heights {
        self.overview.as_ref().filter(|known| known.is_of(of)).map(|known| known.heights.clone()).unwrap_or_default()
    }

    /// Takes a pipeline. The telemetry that follows is shown with it.
    pub(super) fn take_pipeline(&mut self, pipeline: Value) -> anyhow::Result<()> {
        let pipeline = FarPipeline::deserialize(pipeline).context("pipeline.get")?;
        let is_small = pipeline.stages.len() <= MOST && pipeline.outputs.len() <= MOST;
        let channels = pipeline.outputs.iter().map(|output| output.channels.len()).max().unwrap_or(0);
        anyhow::ensure!(is_small && channels <= MOST_CHANNELS, "pipeline.get: larger than any pipeline");
        self.pipeline = Some(pipeline);
        Ok(())
    }

    /// Takes telemetry. False if it is of a pipeline that is not known yet.
    pub(super) fn take_telemetry(&mut self, telemetry: Value) -> anyhow::Result<bool> {
        let far = FarTelemetry::deserialize(telemetry).context("telemetry")?;
        let Some(pipeline) = self.pipeline.as_ref().filter(|pipeline| pipeline.generation == far.generation) else {
            return Ok(false);
        };
        let before = self.snapshot.take().filter(|before| before.generation == far.generation);
        let outputs = before.map(|before| before.outputs);
        let outputs = outputs.unwrap_or_else(|| pipeline.outputs.iter().filter_map(FarOutput::known).collect());
        let stages = pipeline.stages.iter().map(|stage| {
            let values = far.params.get(&*stage.id).unwrap_or(&stage.params);
            params_of(&self.registry, stage, values)
        });
        self.snapshot = Some(Snapshot {
            generation: far.generation,
            name: far.name,
            pipeline: far.pipeline,
            uptime_s: far.uptime_s,
            recording: far.recording,
            recorder: far.recorder,
            transport: far.transport,
            telemetry: far.telemetry,
            lost_samples: far.lost_samples,
            shed_samples: far.shed_samples,
            disk: far.disk,
            log: Arc::default(),
            locked: far.locked.and_then(|why| interned(&why).or(Some("locked"))),
            stages: stages.collect(),
            outputs,
            link: None,
        });
        Ok(true)
    }

    /// Takes a line of the log.
    pub(super) fn take_event(&mut self, event: Value) -> anyhow::Result<()> {
        let entry = LogEntry::deserialize(event).context("event")?;
        if self.log.back().is_none_or(|last| entry.number > last.number) {
            self.log.push_back(entry);
            self.log.drain(..self.log.len().saturating_sub(LOG_LINES));
            self.log_copy = None;
        }
        Ok(())
    }

    /// All lines are about to be told again.
    pub(super) fn forget_log(&mut self) {
        self.log.clear();
        self.log_copy = None;
    }

    /// The newest lines, oldest first.
    pub(super) fn log(&mut self) -> Arc<[LogEntry]> {
        self.log_copy.get_or_insert_with(|| self.log.iter().cloned().collect()).clone()
    }

    /// True once there is something to show.
    pub(super) fn is_complete(&self) -> bool {
        self.snapshot.is_some()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.clone().unwrap_or_else(nothing)
    }
}

/// Before anything is known.
fn nothing() -> Snapshot {
    Snapshot {
        generation: 0,
        name: "".into(),
        pipeline: PipelineState::Stopped,
        uptime_s: 0.0,
        recording: RecordingState::Idle,
        recorder: None,
        transport: None,
        telemetry: Telemetry::default(),
        lost_samples: 0,
        shed_samples: 0,
        disk: None,
        log: Arc::default(),
        locked: None,
        stages: Arc::default(),
        outputs: Arc::default(),
        link: None,
    }
}

/// The parameters of a stage, by the table of this program: what this one does not know of is left out.
fn params_of(registry: &StageRegistry, stage: &FarStage, values: &Map<String, Value>) -> StageParams {
    let kind = interned(&stage.kind).unwrap_or("?");
    let known = registry.get(&stage.kind);
    let params = known.map_or(&[][..], |descriptor| descriptor.params).iter();
    let value = |spec: &'static wavedeck_api::param::ParamSpec| Some((spec, spec.check(values.get(spec.key)?).ok()?));
    let summary = known.map(|descriptor| descriptor.summary).or_else(|| interned(&stage.summary)).unwrap_or("");
    StageParams { id: Arc::clone(&stage.id), kind, summary, params: params.filter_map(value).collect() }
}

impl FarOutput {
    fn known(&self) -> Option<OutputInfo> {
        let spectrum = self.spectrum.as_ref().map(|spectrum| {
            let window = interned(&spectrum.window).unwrap_or("?");
            SpectrumSpec { bins: spectrum.bins, bin_hz: spectrum.bin_hz, window }
        });
        let spec = StreamSpec {
            kind: self.kind,
            channels: self.channels.iter().cloned().collect(),
            rate: Rate::new(self.rate.num, self.rate.den)?,
            max_batch: self.max_batch,
            spectrum,
        };
        Some(OutputInfo { stage: Arc::clone(&self.stage), port: interned(&self.port)?, spec })
    }
}

/// The answer to `recordings.list`.
pub(super) fn recordings(answer: &Value) -> Result<Vec<RecordingEntry>, SessionError> {
    let entries = Vec::<RecordingEntry>::deserialize(&answer["recordings"]);
    entries.map_err(|error| calls::far(format!("recordings.list: {error}")))
}
