//! The pipeline that runs now, and its beginning and end.
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use wavedeck_api::{
    handle::{RecordingState, SessionInfo},
    stage::{Level, StageError},
};
use wavedeck_plane::{Graph, Runtime};

use super::{FromStart, SessionError, held};
use crate::{
    journal::Journal,
    library,
    pump::{Progress, Pump},
    snapshot::{DiskSpace, OutputInfo},
};

/// Time that a recorder has to open its file before sources start.
const RECORDER_PATIENCE: Duration = Duration::from_secs(10);
/// Time that a pipeline has to drain when another takes its place.
pub(super) const SWAP_PATIENCE: Duration = Duration::from_secs(5);

/// The pipeline that runs now.
pub(super) struct Current {
    pub(super) runtime: Arc<Runtime>,
    pub(super) generation: u64,
    pub(super) started: Instant,
    pub(super) name: Arc<str>,
    pub(super) outputs: Arc<[OutputInfo]>,
    pub(super) space: Arc<Mutex<Option<DiskSpace>>>,
    /// How far the pump has come with the changes of each stage.
    pub(super) progress: Arc<Progress>,
    closing: Arc<AtomicBool>,
    pump: Mutex<Option<JoinHandle<()>>>,
}

impl Current {
    /// Starts the threads of a graph. What is recorded from the start has its file open before the first sample arrives.
    pub(super) fn launch(
        graph: Graph,
        generation: u64,
        journal: &Arc<Journal>,
        from_start: FromStart,
    ) -> Result<Self, SessionError> {
        let (runtime, events) = Runtime::launch(graph)?;
        let runtime = Arc::new(runtime);
        let outputs =
            runtime.outputs().map(|(stage, port, spec)| OutputInfo { stage: stage.clone(), port, spec: spec.clone() });
        let outputs: Arc<[OutputInfo]> = outputs.collect();
        let name: Arc<str> = runtime.plan().config.name.as_str().into();
        let (space, progress, closing) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let pump = Pump {
            runtime: runtime.clone(),
            events,
            journal: journal.clone(),
            space: Arc::clone(&space),
            progress: Arc::clone(&progress),
            dir: recordings_dir(&runtime),
            closing: closing.clone(),
        };
        let spawned = thread::Builder::new().name("session".into()).spawn(move || pump.run());
        let thread = spawned.map_err(|source| StageError::Io { what: "no thread for the session".into(), source })?;
        let current = Self {
            runtime,
            generation,
            started: Instant::now(),
            name,
            outputs,
            space,
            progress,
            closing,
            pump: Mutex::new(Some(thread)),
        };
        journal.add(Level::Info, "session", format!("pipeline `{}` started", current.name));
        if let FromStart::Recording { name } = from_start
            && let Err(error) = current.record_from_the_first_sample(name)
        {
            current.runtime.stop(SWAP_PATIENCE);
            return Err(error);
        }
        current.runtime.go();
        Ok(current)
    }

    fn record_from_the_first_sample(&self, name: Option<String>) -> Result<(), SessionError> {
        self.runtime.start_recording(|| session_info(&self.runtime, name))?;
        let deadline = Instant::now() + RECORDER_PATIENCE;
        loop {
            match self.runtime.recording_state() {
                RecordingState::Recording => return Ok(()),
                RecordingState::Failed => {
                    let why = self.runtime.recorder_statuses().into_iter().find_map(|status| status.error);
                    return Err(SessionError::State(why.unwrap_or_else(|| "the recording cannot be started".into())));
                }
                _ if Instant::now() > deadline => {
                    return Err(SessionError::State("the recorder did not open its file within 10 s".into()));
                }
                _ => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Takes the last events and ends the thread that does.
    pub(super) fn end_pump(&self) {
        self.closing.store(true, Ordering::Release);
        if let Some(thread) = held(&self.pump).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// What a recording says of this pipeline as it runs.
pub(super) fn session_info(runtime: &Runtime, name: Option<String>) -> SessionInfo {
    let config = runtime.running_config();
    SessionInfo {
        name: config.name.clone(),
        pipeline_json: config.to_json(),
        app_version: crate::VERSION.into(),
        file_name: name.unwrap_or_default(),
    }
}

/// Folder that the recorder of this pipeline writes to.
pub(super) fn recordings_dir(runtime: &Runtime) -> PathBuf {
    let dir = runtime.recorder_statuses().into_iter().map(|status| status.dir).next();
    dir.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| PathBuf::from(library::DEFAULT_DIR))
}
