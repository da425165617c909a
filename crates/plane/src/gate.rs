//! The one gate for every change of a parameter: value first, then state and lock, then the stage's mailbox.
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use serde_json::Value;
use wavedeck_api::{
    param::{Mutability, ParamSet, ParamSpec, ParamValue, suggestion},
    stage::StageError,
};

use crate::{
    config::LockRule,
    runtime::{MAILBOX, PipelineState, Runtime, locked},
    ticket::Ticket,
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
    /// The stage refused a value that its table allows.
    #[error("{why}")]
    Refused {
        /// What it said.
        why: Arc<str>,
    },
    /// Changes come faster than they are applied and told.
    #[error("too many changes wait for `{stage}`, which takes {MAILBOX} at a time: ask again when it has taken some")]
    Crowded {
        /// The stage.
        stage: Arc<str>,
    },
    /// The change waits for the stage, which does not come to it.
    #[error(
        "`{stage}` has not answered within {} s: it is held up; the change waits and may still be applied",
        patience.as_secs_f64()
    )]
    HeldUp {
        /// The stage.
        stage: Arc<str>,
        /// How long the answer was waited for.
        patience: Duration,
    },
    /// The stage is done, or was disabled.
    #[error("`{stage}` has ended and takes no changes")]
    Ended {
        /// The stage.
        stage: Arc<str>,
    },
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

/// A change of a parameter, as a client asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Id of the stage.
    pub stage: &'a str,
    /// Name of the parameter.
    pub key: &'a str,
    /// Value as JSON.
    pub value: &'a Value,
}

/// A change whose stage, key and value are right.
struct Checked {
    stage: usize,
    spec: &'static ParamSpec,
    value: ParamValue,
}

impl Runtime {
    /// The one gate for every client: checks the value, then state and lock, then posts the change to the stage. The
    /// ticket tells what became of it.
    ///
    /// # Errors
    /// Unknown stage or key, a value that is not allowed, [`StageError::Busy`] while locked, or a stage that takes no
    /// more changes.
    pub fn set_param(&self, stage: &str, key: &str, value: &Value, by: &str) -> Result<Ticket, GateError> {
        let checked = self.checked(Change { stage, key, value })?;
        let gate = locked(&self.gate);
        self.check_lock(checked.spec, &gate)?;
        self.check_room(checked.stage, 1)?;
        self.post(checked, &by.into())
    }

    /// Posts several changes or none: no recording can begin in between. One ticket for each.
    ///
    /// # Errors
    /// The first that is refused, and why, as for [`set_param`](Self::set_param).
    pub fn set_params(&self, changes: &[Change<'_>], by: &str) -> Result<Vec<Ticket>, (usize, GateError)> {
        let checked = changes.iter().enumerate().map(|(at, change)| self.checked(*change).map_err(|error| (at, error)));
        let checked: Vec<Checked> = checked.collect::<Result<_, _>>()?;
        let gate = locked(&self.gate);
        for (at, change) in checked.iter().enumerate() {
            let before = checked[..at].iter().filter(|other| other.stage == change.stage).count();
            let may = self.check_lock(change.spec, &gate).map_err(GateError::from);
            may.and_then(|()| self.check_room(change.stage, before + 1)).map_err(|error| (at, error))?;
        }
        let by = by.into();
        let posted = checked.into_iter().enumerate();
        posted.map(|(at, change)| self.post(change, &by).map_err(|error| (at, error))).collect()
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
    ) -> Result<(&'static ParamSpec, ParamValue), GateError> {
        let Checked { spec, value, .. } = self.checked(Change { stage, key, value })?;
        Ok((spec, value))
    }

    fn checked(&self, Change { stage, key, value }: Change<'_>) -> Result<Checked, GateError> {
        let position = self.plan.stages.iter().position(|planned| &*planned.id == stage);
        let stage = position.ok_or_else(|| GateError::UnknownStage {
            stage: stage.chars().take(60).collect(),
            hint: suggestion(stage, self.plan.stages.iter().map(|planned| &*planned.id)),
        })?;
        let params = self.plan.stages[stage].descriptor.params;
        let (_, spec) = ParamSet::spec(params, key).map_err(StageError::from)?;
        Ok(Checked { stage, spec, value: spec.check(value).map_err(StageError::from)? })
    }

    /// Checks whether the pipeline may be restarted with other values: a way around the mailboxes, not around the lock.
    ///
    /// # Errors
    /// [`StageError::Busy`] or [`StageError::BusyRunning`] while locked.
    pub fn check_restart(&self) -> Result<(), GateError> {
        Ok(self.check_free(&locked(&self.gate))?)
    }

    /// Why a `Live` parameter would be refused now.
    pub fn why_locked(&self) -> Option<&'static str> {
        match self.check_free(&locked(&self.gate)) {
            Ok(()) => None,
            Err(StageError::Busy) => Some("locked while recording: pause it with R to edit"),
            Err(_) => Some("locked while the pipeline runs: pause it with p to edit"),
        }
    }

    fn check_lock(&self, spec: &ParamSpec, gate: &Gate) -> Result<(), StageError> {
        match spec.mutability {
            Mutability::Cosmetic => Ok(()),
            Mutability::Live => self.check_free(gate),
            Mutability::Fixed => Err(StageError::NotLive(spec.key)),
        }
    }

    fn check_free(&self, gate: &Gate) -> Result<(), StageError> {
        if gate.recordings > 0 {
            return Err(StageError::Busy);
        }
        // What is still in flight after the sources have ended is data as well.
        let flows = || matches!(self.state(), PipelineState::Running | PipelineState::Draining);
        if self.plan.config.lock == LockRule::Running && flows() { Err(StageError::BusyRunning) } else { Ok(()) }
    }

    /// Checks whether the stage takes `count` changes more. Who posts holds the gate, so it stays true until then.
    fn check_room(&self, stage: usize, count: usize) -> Result<(), GateError> {
        let id = || self.plan.stages[stage].id.clone();
        if self.nodes[stage].stats.state().is_over() {
            return Err(GateError::Ended { stage: id() });
        }
        // Every change becomes an event, and none of these may be lost on its way into a recording's journal.
        let is_crowded = self.mailboxes[stage].sender.len() + count > MAILBOX || self.control.has_many_events();
        if is_crowded { Err(GateError::Crowded { stage: id() }) } else { Ok(()) }
    }

    fn post(&self, Checked { stage, spec, value }: Checked, by: &Arc<str>) -> Result<Ticket, GateError> {
        let mailbox = &self.mailboxes[stage];
        let id = &self.plan.stages[stage].id;
        let (answer, ticket) = Ticket::new(id.clone(), self.nodes[stage].stats.clone());
        // There is room, so it can only be that the stage has ended just now.
        let posted = mailbox.sender.try_send(Mail { spec, value, by: by.clone(), answer });
        posted.map_err(|_| GateError::Ended { stage: id.clone() })?;
        // Release, pairs with the worker's Acquire: it finds the mail once it sees the flag.
        mailbox.full.store(true, Ordering::Release);
        mailbox.bell.ring();
        Ok(ticket)
    }

    /// Locks the parameters until the guard is dropped.
    pub fn lock_for_recording(&self) -> RecordingLock {
        locked(&self.gate).recordings += 1;
        RecordingLock { gate: self.gate.clone() }
    }
}
