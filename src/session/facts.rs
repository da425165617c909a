//! Small questions about a session, for clients that ask often and want no whole snapshot.
use std::{
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use wavedeck_api::{handle::TransportStatus, publication::Publication, stage::Level};
use wavedeck_plane::{StageRegistry, Telemetry};

use super::{Session, current::recordings_dir, held};
use crate::{
    described,
    overview::{Heights, Overview},
    snapshot::{LogEntry, OutputInfo},
};

/// How often a recorder is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(2);

impl Session {
    /// Rises when another pipeline takes the place of the running one.
    pub fn generation(&self) -> u64 {
        self.current().generation
    }

    /// Every output that can be looked at, with the generation it belongs to.
    pub fn outputs(&self) -> (u64, Arc<[OutputInfo]>) {
        let current = self.current();
        (current.generation, current.outputs.clone())
    }

    /// Waits until every recorder has carried out what it was asked, or until patience is over.
    pub fn settle_recording(&self, patience: Duration) {
        let (current, begin) = (self.current(), Instant::now());
        while !current.runtime.is_recording_settled() && begin.elapsed() < patience {
            thread::sleep(LOOK);
        }
    }

    /// How much moves in each part of a file that is replayed: looked through from the first time on that someone asks.
    pub fn overview(&self, of: &TransportStatus) -> Heights {
        let mut overview = held(&self.inner.overview);
        match &*overview {
            Some(known) if known.is_of(&of.path, &of.stream) => known.heights(),
            _ => overview.insert(Overview::begin(&of.path, &of.stream)).heights(),
        }
    }

    /// How the replay stands, if this is one.
    pub fn transport(&self) -> Option<TransportStatus> {
        self.current().runtime.transports().next().map(|transport| transport.status())
    }

    /// Every stream that a stage publishes, with the id of the stage.
    pub fn publications(&self) -> Vec<(Arc<str>, Publication)> {
        let current = self.current();
        current.runtime.publications().map(|(stage, publication)| (stage.clone(), publication.clone())).collect()
    }

    /// Counters of the engine room.
    pub fn telemetry(&self) -> Telemetry {
        self.current().runtime.telemetry()
    }

    /// The newest lines of the log, oldest first.
    pub fn log(&self) -> Arc<[LogEntry]> {
        self.inner.journal.newest()
    }

    /// Adds a line to the log.
    pub fn note(&self, level: Level, from: &str, text: impl Into<Arc<str>>) {
        self.inner.journal.add(level, from, text);
    }

    /// Folder that recordings of this pipeline are in.
    pub fn recordings_dir(&self) -> PathBuf {
        recordings_dir(&self.current().runtime)
    }

    /// The stage types that pipelines of this session may use.
    pub fn registry(&self) -> &StageRegistry {
        &self.inner.registry
    }

    /// Threads and queues of the running pipeline, as JSON.
    pub fn plan_json(&self) -> Value {
        described::plan_json(self.current().runtime.plan())
    }
}
