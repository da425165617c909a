//! The one façade over a running pipeline: requests in, snapshots and taps out. Screens, headless runs and remote
//! clients use it and nothing else.
mod current;
mod edits;
mod facts;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use wavedeck_api::{
    clock,
    handle::{RecordCommand, RecorderStatus, RecordingState, StreamHash, TransportCommand},
    stage::{Level, StageError},
    tap::Tap,
};
use wavedeck_plane::{
    GateError, Graph, PipelineConfig, PipelineState, Plan, Problems, StageRegistry, StopReport, Telemetry,
};

use self::current::{Current, SWAP_PATIENCE, recordings_dir, session_info};
pub use self::edits::AppliedEdit;
use crate::{
    journal::Journal,
    library, mending,
    overview::Overview,
    snapshot::{RecordingEntry, Snapshot, StageParams},
};

/// Who asks, where the screen of the program itself does: no client may go by this name, see [`OWN_NAMES`].
pub const SCREEN: &str = "screen";
/// The same of the screen in plain lines of text.
pub const PLAIN: &str = "plain";
/// Names that logs and edit journals have for the program's own front ends.
pub const OWN_NAMES: [&str; 2] = [SCREEN, PLAIN];

/// What a client may ask for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Sources hold back.
    Pause,
    /// Sources send again.
    Resume,
    /// Opens a file and records.
    RecordStart {
        /// File name without ending; from the local time and the pipeline's name if `None`.
        name: Option<String>,
    },
    /// Lets samples go, marked in the file, until `RecordResume`.
    RecordPause,
    /// Records on in the same file.
    RecordResume,
    /// Closes the file.
    RecordFinish,
    /// Puts a marker at the newest sample of the recording.
    Marker {
        /// What it says.
        label: String,
    },
    /// Takes note of what went wrong with a recording: the alarm goes.
    Acknowledge,
    /// Changes parameters: all are checked before the first is posted. With a fixed one among them the pipeline is
    /// restarted with all of them, unless a recording is open.
    SetParams {
        /// The changes.
        changes: Vec<ParamEdit>,
    },
    /// Moves the replay.
    Transport(TransportCommand),
    /// Opens a recording in place of the running pipeline; refused while recording.
    Replay {
        /// The file.
        path: PathBuf,
    },
    /// Goes back to the pipeline that the session was opened with.
    Live,
}

impl Request {
    /// Of what the log tells who asked for it, since several may hold the keys: where it belongs, and the verb.
    fn told(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Pause => Some(("pipeline", "pause")),
            Self::Resume => Some(("pipeline", "resume")),
            Self::RecordStart { .. } => Some(("recording", "start")),
            Self::RecordPause => Some(("recording", "pause")),
            Self::RecordResume => Some(("recording", "resume")),
            Self::RecordFinish => Some(("recording", "finish")),
            _ => None,
        }
    }
}

/// What the log says of a request of [`Request::told`].
fn asked(what: &str, by: &str) -> String {
    format!("asked to {what} by {by}")
}

/// True if a line of the log says no more than that somebody asked for something.
pub fn is_asked_by(text: &str, by: &str) -> bool {
    text.strip_prefix("asked to ")
        .and_then(|rest| rest.split_once(' '))
        .is_some_and(|(what, _)| text == asked(what, by))
}

/// What is recorded from the first sample on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FromStart {
    /// Nothing: a recording is started by request.
    #[default]
    Nothing,
    /// Every stream that a recorder gets.
    Recording {
        /// Name of the file; made of time and pipeline if `None`.
        name: Option<String>,
    },
}

/// One change of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamEdit {
    /// Id of the stage.
    pub stage: String,
    /// Name of the parameter.
    pub key: String,
    /// Value as JSON.
    pub value: Value,
}

/// Answer to a request that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// It is done, or under way and seen in the snapshot.
    Done,
    /// So many changes are on their way to their stages; each is told in the log when it is applied.
    Posted {
        /// Number of changes.
        tickets: usize,
    },
}

/// Why a request was refused or a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The pipeline config has mistakes.
    #[error(transparent)]
    Config(#[from] Problems),
    /// The runtime refuses.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A change was refused; of several, none was made.
    #[error("`{path}`: {source}")]
    Param {
        /// `stage.key`.
        path: String,
        /// Why.
        source: GateError,
    },
    /// A thread or a device could not be had.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The recording cannot be replayed.
    #[error("{0:#}")]
    Library(#[from] anyhow::Error),
    /// The request does not fit what is going on.
    #[error("{0}")]
    State(String),
    /// A session at the far end of a connection refused, or cannot be reached.
    #[error("{message}")]
    Far {
        /// The parameters are locked.
        is_busy: bool,
        /// Why, in the words of the far session.
        message: String,
    },
}

impl SessionError {
    /// The same error; findings about the config are told with the name of its file.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Config(problems) => Self::Config(problems.in_file(path.display().to_string())),
            other => other,
        }
    }

    /// True if the parameters are locked now and the same request may pass later.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Gate(error) | Self::Param { source: error, .. } => error.is_busy(),
            Self::Far { is_busy, .. } => *is_busy,
            _ => false,
        }
    }
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct Closing {
    /// Stages that did not end in time.
    pub report: StopReport,
    /// Counters after the end.
    pub telemetry: Telemetry,
    /// What was recorded.
    pub recorders: Vec<RecorderStatus>,
    /// What streams have come to, where a stage hashes them.
    pub hashes: Vec<StreamHash>,
    /// Stages that were disabled.
    pub faults: u32,
    /// Seconds that the pipeline ran.
    pub seconds: f64,
    /// The last errors of the log.
    pub errors: Vec<String>,
}

/// A running pipeline as its clients see it. Clones are the same session.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    registry: StageRegistry,
    /// The pipeline to come back to after a replay, edits included.
    home: Mutex<PipelineConfig>,
    current: RwLock<Arc<Current>>,
    generations: AtomicU64,
    journal: Arc<Journal>,
    /// One swap at a time.
    swapping: Mutex<()>,
    /// Of the file that was replayed when someone asked last.
    overview: Mutex<Option<Overview>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Checks, builds and starts a pipeline. With `record`, the file is open before the first sample arrives.
    ///
    /// # Errors
    /// Every mistake of the config, or a recorder that cannot open its file.
    pub fn open(config: PipelineConfig, registry: StageRegistry, from_start: FromStart) -> Result<Self, SessionError> {
        let journal = Arc::new(Journal::default());
        let graph = Graph::build(Plan::new(&config, &registry)?)?;
        let current = Current::launch(graph, 1, &journal, from_start)?;
        let inner = Inner {
            registry,
            home: Mutex::new(config),
            current: RwLock::new(Arc::new(current)),
            generations: AtomicU64::new(1),
            journal,
            swapping: Mutex::new(()),
            overview: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Carries a request out or refuses it. Waits for nothing but `Replay` and `Live`, which stop one pipeline and
    /// start another. `by` names the client in logs and in the edit journal.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed then.
    pub fn request(&self, request: Request, by: &str) -> Result<Response, SessionError> {
        use PipelineState::{Paused, Running};
        let current = self.current();
        let runtime = &current.runtime;
        tracing::debug!(by, ?request, "request");
        let told = request.told();
        match request {
            Request::Pause | Request::Resume if !matches!(runtime.state(), Running | Paused) => {
                return Err(SessionError::State("the pipeline has ended: there is nothing to pause or resume".into()));
            }
            Request::Pause => runtime.pause(),
            Request::Resume => runtime.resume(),
            Request::RecordStart { name } => runtime.start_recording(|| session_info(runtime, name))?,
            Request::RecordPause => runtime.record(&RecordCommand::Pause)?,
            Request::RecordResume => runtime.record(&RecordCommand::Resume)?,
            Request::RecordFinish => runtime.record(&RecordCommand::Finish)?,
            Request::Marker { label } => {
                let label: String = label.trim().chars().take(200).collect();
                runtime.record(&RecordCommand::Marker {
                    label: label.clone(),
                    source: by.to_owned(),
                    timestamp_ns: clock::now_ns(),
                })?;
                self.inner.journal.add(Level::Info, "marker", format!("'{label}' set by {by}"));
            }
            Request::Acknowledge => {
                for recorder in runtime.recorders() {
                    recorder
                        .request(RecordCommand::Acknowledge)
                        .map_err(|error| SessionError::State(error.to_string()))?;
                }
            }
            Request::SetParams { changes } => return self.set_params(runtime, &changes, by),
            Request::Transport(command) => {
                let mut transports = runtime.transports().peekable();
                if transports.peek().is_none() {
                    return Err(SessionError::State("this pipeline does not replay a recording".into()));
                }
                for transport in transports {
                    transport.request(command).map_err(|error| SessionError::State(error.to_string()))?;
                }
            }
            Request::Replay { path } => {
                let config =
                    library::replay_config(&path, None, &self.inner.registry, &library::ReplayOptions::default())?;
                let is_live = runtime.transports().next().is_none();
                let home = runtime.running_config();
                self.swap(&config)?;
                if is_live {
                    *held(&self.inner.home) = home;
                }
            }
            Request::Live => {
                let home = held(&self.inner.home).clone();
                self.swap(&home)?;
            }
        }
        if let Some((from, what)) = told {
            self.inner.journal.add(Level::Info, from, asked(what, by));
        }
        Ok(Response::Done)
    }

    /// Copies everything that can be shown but waveforms.
    pub fn snapshot(&self) -> Snapshot {
        let current = self.current();
        let runtime = &current.runtime;
        let telemetry = runtime.telemetry();
        let recorder = merged(runtime.recorder_statuses());
        let transport = runtime.transports().next().map(|transport| transport.status());
        let plan = runtime.plan();
        let stages = plan.stages.iter().zip(runtime.values()).map(|(stage, values)| StageParams {
            id: stage.id.clone(),
            kind: stage.descriptor.id,
            summary: stage.descriptor.summary,
            params: values.iter().map(|(spec, value)| (spec, value.clone())).collect(),
        });
        Snapshot {
            generation: current.generation,
            name: current.name.clone(),
            pipeline: runtime.state(),
            uptime_s: current.started.elapsed().as_secs_f64(),
            recording: runtime.recording_state(),
            transport,
            lost_samples: all_lost(&telemetry, recorder.as_ref()),
            recorder,
            shed_samples: telemetry.shed_samples(),
            telemetry,
            disk: *held(&current.space),
            log: self.inner.journal.newest(),
            locked: runtime.why_locked(),
            stages: stages.collect(),
            outputs: current.outputs.clone(),
            link: None,
        }
    }

    /// Starts looking at an output, or `None` if there is none of that name or someone looks already.
    pub fn tap(&self, stage: &str, port: &str) -> Option<Tap> {
        self.current().runtime.tap(stage, port)
    }

    /// Recordings in the folder of this pipeline, newest first. Reads files: for rare use.
    pub fn recordings(&self) -> Vec<RecordingEntry> {
        let current = self.current();
        library::list(&recordings_dir(&current.runtime))
    }

    /// Closes what an earlier run left unclosed in the folder of this pipeline, in a thread of its own; the log tells.
    pub fn repair_recordings(&self) {
        mending::repair_in_background(recordings_dir(&self.current().runtime), &self.inner.journal);
    }

    /// True once nothing more will happen: every source has ended and everything is processed.
    pub fn has_ended(&self) -> bool {
        // While one pipeline takes the place of another, the old one has ended and more will happen.
        let _none_opens = match self.inner.swapping.try_lock() {
            Err(TryLockError::WouldBlock) => return false,
            other => other,
        };
        self.current().runtime.has_ended()
    }

    /// Stages that were disabled.
    pub fn faults(&self) -> u32 {
        self.current().runtime.faults()
    }

    /// State of the recording.
    pub fn recording_state(&self) -> RecordingState {
        self.current().runtime.recording_state()
    }

    /// The pipeline as it runs, edits included.
    pub fn running_config(&self) -> PipelineConfig {
        self.current().runtime.running_config()
    }

    /// Ends the pipeline: sources end, everything drains, recordings are finished.
    pub fn close(&self, patience: Duration) -> Closing {
        let current = self.current();
        let seconds = current.started.elapsed().as_secs_f64();
        let report = current.runtime.stop(patience);
        current.end_pump();
        Closing {
            report,
            telemetry: current.runtime.telemetry(),
            recorders: current.runtime.recorder_statuses(),
            hashes: current.runtime.stream_hashes(),
            faults: current.runtime.faults(),
            seconds,
            errors: self.inner.journal.last_errors(),
        }
    }

    fn current(&self) -> Arc<Current> {
        self.inner.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another pipeline in the place of the running one. The old one comes back if the new one does not start.
    fn swap(&self, config: &PipelineConfig) -> Result<(), SessionError> {
        let _one_at_a_time = held(&self.inner.swapping);
        let old = self.current();
        if old.runtime.is_recording_open() {
            return Err(SessionError::State("a recording is open: finish it with S first".into()));
        }
        let graph = Graph::build(Plan::new(config, &self.inner.registry)?)?;
        let old_config = old.runtime.running_config();
        // A device can be opened once only, so the old pipeline has to go before the new one comes.
        let report = old.runtime.stop(SWAP_PATIENCE);
        old.end_pump();
        if !report.stuck.is_empty() {
            let text = format!("stuck and left to itself: {}", report.stuck.join(", "));
            self.inner.journal.add(Level::Warn, "session", text);
        }
        let generation = self.inner.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let launched = Current::launch(graph, generation, &self.inner.journal, FromStart::Nothing);
        let (next, outcome) = match launched {
            Ok(next) => (next, Ok(())),
            Err(error) => {
                let graph = Graph::build(Plan::new(&old_config, &self.inner.registry)?)?;
                (Current::launch(graph, generation, &self.inner.journal, FromStart::Nothing)?, Err(error))
            }
        };
        *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        outcome
    }
}

/// Samples lost on the way, or only by a recorder whose disk was behind. What was lost on the way is missing in the
/// recording too, so the larger count holds the smaller one.
pub(crate) fn all_lost(telemetry: &Telemetry, recorder: Option<&RecorderStatus>) -> u64 {
    telemetry.lost_samples().max(recorder.map_or(0, |recorder| recorder.lost_samples))
}

/// One status over all recorders: counts added, the rest from the first.
fn merged(statuses: Vec<RecorderStatus>) -> Option<RecorderStatus> {
    let mut statuses = statuses.into_iter();
    let first = statuses.next()?;
    Some(statuses.fold(first, |mut sum, other| {
        sum.recorded_samples += other.recorded_samples;
        sum.lost_samples += other.lost_samples;
        sum.gaps += other.gaps;
        sum.written_bytes += other.written_bytes;
        sum.saved_bytes += other.saved_bytes;
        sum.worst_sync_ms = sum.worst_sync_ms.max(other.worst_sync_ms);
        sum.streams.extend(other.streams);
        sum.error = sum.error.or(other.error);
        sum
    }))
}
