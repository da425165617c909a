//! Changes of parameters: through the gate to their stages, or by a restart for those that shape the pipeline.
use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use wavedeck_api::{clock, handle::ParamChange, param::Mutability, stage::Level};
use wavedeck_plane::{Change, GateError, Outcome, Runtime};

use super::{ParamEdit, Response, Session, SessionError};
use crate::edit_journal::write_down;

/// How often a stage that takes no more changes is asked again.
const AGAIN: Duration = Duration::from_millis(1);
/// Longest patience; whoever says more means for ever.
const MOST_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A change that is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct AppliedEdit {
    /// Id of the stage.
    pub stage: String,
    /// Name of the parameter.
    pub key: &'static str,
    /// Value in force.
    pub value: Value,
    /// First sample it applies to, in the stream that the stage reads (or sends, for a source).
    pub at_sample: u64,
    /// Number of changes this stage has seen.
    pub epoch: u32,
}

impl Session {
    /// Changes one parameter and waits until it is in force, shown by [`snapshot`](Self::snapshot) and written into the
    /// journal of an open recording. Never restarts the pipeline.
    ///
    /// # Errors
    /// Why it was refused, by the gate or by the stage; that the stage has ended; or that it is held up and has not
    /// answered within `patience`, in which case the change still waits for it.
    pub fn update_param(&self, edit: &ParamEdit, by: &str, patience: Duration) -> Result<AppliedEdit, SessionError> {
        let until = Instant::now() + patience.min(MOST_PATIENCE);
        let current = self.current();
        let runtime = &current.runtime;
        let place = |source| edit.refused(source);
        let (spec, value) = runtime.check_param(&edit.stage, &edit.key, &edit.value).map_err(place)?;
        let ticket = loop {
            match runtime.set_param(&edit.stage, &edit.key, &edit.value, by) {
                Err(GateError::Crowded { .. }) if Instant::now() < until => thread::sleep(AGAIN),
                answer => break answer,
            }
        };
        let ticket = ticket.map_err(|source| {
            self.tell_refused(runtime, std::slice::from_ref(edit), &source.to_string(), by, until);
            place(source)
        })?;
        let left = until.saturating_duration_since(Instant::now());
        match ticket.wait(left) {
            Ok(Outcome::Applied { at_sample, epoch }) => {
                // Applied it is in any case.
                current.progress.wait_for(&edit.stage, epoch, until);
                let value = spec.to_json(&value);
                Ok(AppliedEdit { stage: edit.stage.clone(), key: spec.key, value, at_sample, epoch })
            }
            Ok(Outcome::Refused { why }) => Err(place(GateError::Refused { why })),
            Err(GateError::HeldUp { stage, .. }) => Err(place(GateError::HeldUp { stage, patience })),
            Err(error) => Err(place(error)),
        }
    }

    pub(super) fn set_params(
        &self,
        runtime: &Runtime,
        edits: &[ParamEdit],
        by: &str,
    ) -> Result<Response, SessionError> {
        let mut needs_restart = false;
        for edit in edits {
            let checked = runtime.check_param(&edit.stage, &edit.key, &edit.value);
            let (spec, _) = checked.map_err(|source| edit.refused(source))?;
            needs_restart |= spec.mutability == Mutability::Fixed;
        }
        let outcome = if needs_restart {
            self.restart_with(runtime, edits, by)
        } else {
            let changes: Vec<Change<'_>> = edits.iter().map(ParamEdit::as_change).collect();
            let tickets = runtime.set_params(&changes, by).map_err(|(at, source)| edits[at].refused(source));
            tickets.map(|tickets| Response::Posted { tickets: tickets.len() })
        };
        outcome.inspect_err(|error| self.tell_refused(runtime, edits, &error.to_string(), by, Instant::now()))
    }

    /// Restarts the pipeline with other values. The old one goes on if the new one cannot be built.
    fn restart_with(&self, runtime: &Runtime, edits: &[ParamEdit], by: &str) -> Result<Response, SessionError> {
        runtime.check_restart()?;
        let mut config = runtime.running_config();
        for edit in edits {
            if let Some(stage) = config.stages.iter_mut().find(|stage| stage.id == edit.stage) {
                stage.params.insert(edit.key.clone(), edit.value.clone());
            }
        }
        self.swap(&config)?;
        let edits: Vec<String> =
            edits.iter().map(|edit| format!("{}.{} = {}", edit.stage, edit.key, edit.value)).collect();
        self.inner.journal.add(Level::Info, "session", format!("restarted with {} (by {by})", edits.join(", ")));
        Ok(Response::Done)
    }

    /// Says that none of these edits was made: in the log, and in the journal of an open recording.
    fn tell_refused(&self, runtime: &Runtime, edits: &[ParamEdit], why: &str, by: &str, until: Instant) {
        let values = runtime.values();
        for edit in edits {
            let stages = runtime.plan().stages.iter().zip(&values);
            let params = stages.filter(|(stage, _)| *stage.id == *edit.stage).flat_map(|(_, values)| values.iter());
            let old = params.filter(|(spec, _)| spec.key == edit.key).map(|(spec, value)| spec.to_json(value)).next();
            let change = ParamChange {
                path: edit.path(),
                old: old.unwrap_or_default(),
                new: edit.value.clone(),
                at_sample: 0,
                applied: false,
                by: by.to_owned(),
                timestamp_ns: clock::now_ns(),
            };
            let text = format!("{} stays {}: {why} (asked by {by})", edit.key, change.old);
            self.inner.journal.add(Level::Warn, &edit.stage, text);
            if let Err(error) = write_down(runtime, &change, until) {
                self.inner.journal.add(Level::Error, "recording", error.to_string());
            }
        }
    }
}

impl ParamEdit {
    /// `stage.key`.
    fn path(&self) -> String {
        format!("{}.{}", self.stage, self.key)
    }

    fn as_change(&self) -> Change<'_> {
        Change { stage: &self.stage, key: &self.key, value: &self.value }
    }

    fn refused(&self, source: GateError) -> SessionError {
        // What does not exist may have any name.
        let path = self.path().chars().take(120).collect();
        SessionError::Param { path, source }
    }
}
