//! The one gate for every change of a parameter: value first, then state and lock, then the stage's mailbox.
use std::sync::{Arc, Mutex, atomic::Ordering};

use crossbeam::channel::TrySendError;
use serde_json::Value;
use wavedeck_api::{
    param::{Mutability, ParamSet, ParamSpec, ParamValue, suggestion},
    stage::StageError,
};

use crate::{
    config::LockRule,
    runtime::{PipelineState, Runtime, locked},
    worker::Mail,
};

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// There is no such stage.
    #[error("no stage `{stage}` in this pipeline; {hint}")]
    UnknownStage {
        /// What was asked for.
        stage: String,
        /// What there is.
        hint: String,
    },
    /// The stage or the lock refuses.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Nothing in this pipeline can do that.
    #[error("{0}")]
    Impossible(&'static str),
}

impl GateError {
    /// True if the parameters are locked now and the same request may pass later.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Stage(StageError::Busy | StageError::BusyRunning))
    }
}

#[derive(Default)]
pub(crate) struct Gate {
    recordings: u32,
}

/// Parameters stay locked until this is dropped.
pub struct RecordingLock {
    gate: Arc<Mutex<Gate>>,
}

impl Drop for RecordingLock {
    fn drop(&mut self) {
        locked(&self.gate).recordings -= 1;
    }
}

impl Runtime {
    /// The one gate for every client: checks the value, then state and lock, then posts the change to the stage.
    ///
    /// # Errors
    /// Unknown stage or key, a value that is not allowed, or [`StageError::Busy`] while locked.
    pub fn set_param(&self, stage: &str, key: &str, value: &Value, by: &str) -> Result<(), GateError> {
        let (index, spec, value) = self.check_param(stage, key, value)?;
        let gate = locked(&self.gate);
        self.check_lock(spec, &gate)?;
        let mailbox = &self.mailboxes[index];
        match mailbox.sender.try_send(Mail { spec, value, by: by.into() }) {
            Ok(()) => {
                // Release, pairs with the worker's Acquire: it finds the mail once it sees the flag.
                mailbox.full.store(true, Ordering::Release);
                mailbox.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(_)) => Err(GateError::Impossible("too many changes wait for this stage")),
            Err(TrySendError::Disconnected(_)) => Err(GateError::Impossible("the stage has ended")),
        }
    }

    /// Checks a change as [`set_param`](Self::set_param) does, without the lock and without making it.
    ///
    /// # Errors
    /// Unknown stage or key, or a value that is not allowed.
    pub fn check_param(
        &self,
        stage: &str,
        key: &str,
        value: &Value,
    ) -> Result<(usize, &'static ParamSpec, ParamValue), GateError> {
        let position = self.plan.stages.iter().position(|planned| &*planned.id == stage);
        let index = position.ok_or_else(|| GateError::UnknownStage {
            stage: stage.chars().take(60).collect(),
            hint: suggestion(stage, self.plan.stages.iter().map(|planned| &*planned.id)),
        })?;
        let params = self.plan.stages[index].descriptor.params;
        let (_, spec) = ParamSet::spec(params, key).map_err(StageError::from)?;
        Ok((index, spec, spec.check(value).map_err(StageError::from)?))
    }

    /// Why a `Live` parameter would be refused now.
    pub fn why_locked(&self) -> Option<&'static str> {
        let gate = locked(&self.gate);
        if gate.recordings > 0 {
            return Some("locked while recording: pause it with R to edit");
        }
        let strict = self.plan.config.lock == LockRule::Running && self.state() == PipelineState::Running;
        strict.then_some("locked while the pipeline runs: pause it with p to edit")
    }

    fn check_lock(&self, spec: &ParamSpec, gate: &Gate) -> Result<(), StageError> {
        match spec.mutability {
            Mutability::Cosmetic => Ok(()),
            _ if gate.recordings > 0 => Err(StageError::Busy),
            Mutability::Fixed => Err(StageError::NotLive(spec.key)),
            Mutability::Live if self.plan.config.lock == LockRule::Running => match self.state() {
                PipelineState::Running => Err(StageError::BusyRunning),
                _ => Ok(()),
            },
            Mutability::Live => Ok(()),
        }
    }

    /// Locks the parameters until the guard is dropped.
    pub fn lock_for_recording(&self) -> RecordingLock {
        locked(&self.gate).recordings += 1;
        RecordingLock { gate: self.gate.clone() }
    }
}
