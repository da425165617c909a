//! What screens need of a session: one in this program, or one at the far end of a connection.
use std::{sync::Arc, time::Duration};

use wavedeck_api::{handle::TransportStatus, packet::PacketHeader, tap::Tap};
use wavedeck_plane::PipelineConfig;

use crate::{
    overview::Heights,
    session::{Request, Response, Session, SessionError},
    snapshot::{RecordingEntry, Snapshot},
};

/// A session as a screen sees it. All calls but [`request`](Self::request) of a far one return at once.
pub trait Station: Send + Sync {
    /// Everything that can be shown but waveforms, as far as it is known.
    fn snapshot(&self) -> Snapshot;

    /// Starts looking at an output, or `None` if there is none of that name or no seat is free.
    fn watch(&self, stage: &str, port: &str) -> Option<Box<dyn Watch>>;

    /// Carries a request out or refuses it; `by` names who asks.
    ///
    /// # Errors
    /// Why it was refused; nothing has changed then.
    fn request(&self, request: Request, by: &str) -> Result<Response, SessionError>;

    /// Recordings in the folder of the pipeline.
    ///
    /// # Errors
    /// If a far session does not answer.
    fn recordings(&self) -> Result<Vec<RecordingEntry>, SessionError>;

    /// How much moves in each part of the file that is replayed, as far as it is known.
    fn overview(&self, of: &TransportStatus) -> Heights;

    /// The pipeline as it runs, edits included.
    ///
    /// # Errors
    /// If a far session does not answer.
    fn running_config(&self) -> Result<PipelineConfig, SessionError>;
}

/// A look at an output.
pub trait Watch: Send {
    /// Hands over what has come since: header, samples frame by frame, and how many samples this look has missed so far.
    fn take(&mut self, each: &mut dyn FnMut(&PacketHeader, &[f32], u64));

    /// Samples that passed while nobody took them.
    fn missed(&self) -> u64;
}

/// How a far session is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name, or its address.
    pub name: Arc<str>,
    /// Time without a word from it, once that is more than a moment: what is shown may not be so any more.
    pub lost: Option<Duration>,
}

impl Station for Session {
    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn watch(&self, stage: &str, port: &str) -> Option<Box<dyn Watch>> {
        self.tap(stage, port).map(|tap| Box::new(tap) as Box<dyn Watch>)
    }

    fn request(&self, request: Request, by: &str) -> Result<Response, SessionError> {
        Self::request(self, request, by)
    }

    fn recordings(&self) -> Result<Vec<RecordingEntry>, SessionError> {
        Ok(Self::recordings(self))
    }

    fn overview(&self, of: &TransportStatus) -> Heights {
        Self::overview(self, of)
    }

    fn running_config(&self) -> Result<PipelineConfig, SessionError> {
        Ok(Self::running_config(self))
    }
}

impl Watch for Tap {
    fn take(&mut self, each: &mut dyn FnMut(&PacketHeader, &[f32], u64)) {
        loop {
            let missed = Self::missed(self);
            if !self.next_floats(|header, values| each(header, values, missed)) {
                break;
            }
        }
    }

    fn missed(&self) -> u64 {
        Self::missed(self)
    }
}
