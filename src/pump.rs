//! Takes the plane's events to where they belong: the log, the values on screen, the edit journal of a recording.
//! Runs on a thread of its own, so that a front end that stands still holds nothing up.
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam::channel::Receiver;
use wavedeck_api::{handle::ParamChange, stage::Level};
use wavedeck_plane::{Event, Runtime};

use crate::{disk, edit_journal::write_down, journal::Journal, snapshot::DiskSpace};

/// How often space and states are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a recorder that is held up is waited for. Changes that come meanwhile are refused before events are lost.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(2);

/// The newest change of each stage that is in the log, on screen and in the edit journal, by its epoch.
#[derive(Default)]
pub(crate) struct Progress {
    epochs: Mutex<HashMap<Arc<str>, u32>>,
    has_risen: Condvar,
}

impl Progress {
    fn reach(&self, stage: &Arc<str>, epoch: u32) {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner).insert(stage.clone(), epoch);
        self.has_risen.notify_all();
    }

    /// Waits for a change to be told. False if it was not by then.
    pub(crate) fn wait_for(&self, stage: &str, epoch: u32, until: Instant) -> bool {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        while epochs.get(stage).is_none_or(|told| *told < epoch) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            epochs = self.has_risen.wait_timeout(epochs, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

pub(crate) struct Pump {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) events: Receiver<Event>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) space: Arc<Mutex<Option<DiskSpace>>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) dir: PathBuf,
    pub(crate) closing: Arc<AtomicBool>,
}

impl Pump {
    /// Runs until the pipeline is closed and its last event is taken.
    pub(crate) fn run(self) {
        let (mut next_look, mut meter) = (Instant::now(), disk::Meter::new(&self.runtime));
        let (mut dropped, mut advised) = (0, Vec::new());
        loop {
            let is_closing = self.closing.load(Ordering::Acquire);
            match self.events.recv_timeout(if is_closing { Duration::ZERO } else { Duration::from_millis(250) }) {
                Ok(event) => self.take(&event),
                Err(_) if is_closing => return,
                Err(_) => {}
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK;
                self.runtime.tend();
                let space = meter.measure(&self.dir, &self.runtime);
                *self.space.lock().unwrap_or_else(PoisonError::into_inner) = space;
                dropped = self.tell_losses(dropped);
                self.tell_advice(&mut advised);
            }
        }
    }

    fn take(&self, event: &Event) {
        self.runtime.absorb(event);
        match event {
            Event::Note { stage, note } => self.journal.add(note.level, stage, note.text.clone()),
            Event::ParamApplied { stage, key, old, new, at_sample, epoch, by, timestamp_ns } => {
                self.journal.add(Level::Info, stage, format!("{key} {old} → {new} from sample {at_sample} (by {by})"));
                self.journal_edit(&ParamChange {
                    path: format!("{stage}.{key}"),
                    old: old.clone(),
                    new: new.clone(),
                    at_sample: *at_sample,
                    applied: true,
                    by: by.to_string(),
                    timestamp_ns: *timestamp_ns,
                });
                self.progress.reach(stage, *epoch);
            }
            Event::ParamRefused { stage, key, old, new, at_sample, why, by, timestamp_ns } => {
                self.journal.add(Level::Warn, stage, format!("{key} stays {old}: {why} (asked by {by})"));
                self.journal_edit(&ParamChange {
                    path: format!("{stage}.{key}"),
                    old: old.clone(),
                    new: new.clone(),
                    at_sample: *at_sample,
                    applied: false,
                    by: by.to_string(),
                    timestamp_ns: *timestamp_ns,
                });
            }
            Event::StageDone { stage } => self.journal.add(Level::Info, stage, "ended"),
            Event::StageFailed { stage, error, stops } => {
                let what = if *stops { "the pipeline stops" } else { "the stage is disabled, the others go on" };
                self.journal.add(Level::Error, stage, format!("{error}; {what}"));
            }
            Event::StageStuck { stage, call, seconds } => {
                let text = format!("has not returned from `{call}` for {seconds} s: what is behind it gets nothing");
                self.journal.add(Level::Warn, stage, text);
            }
            Event::StageBack { stage, call } => {
                self.journal.add(Level::Warn, stage, format!("has returned from `{call}` after all"));
            }
        }
    }

    fn journal_edit(&self, change: &ParamChange) {
        if let Err(error) = write_down(&self.runtime, change, Instant::now() + JOURNAL_PATIENCE) {
            self.journal.add(Level::Error, "recording", error.to_string());
        }
    }

    /// Says once of each queue that it is too small for what its reader was seen to take.
    fn tell_advice(&self, told: &mut Vec<Arc<str>>) {
        for advice in self.runtime.telemetry().advice {
            if !told.contains(&advice.edge) {
                self.journal.add(Level::Warn, "queue", format!("{advice}: {}", advice.reason()));
                told.push(advice.edge);
            }
        }
    }

    /// Says once a second how many samples were lost since the last time, and where.
    fn tell_losses(&self, before: u64) -> u64 {
        let telemetry = self.runtime.telemetry();
        let lost = telemetry.lost_samples();
        if lost > before {
            let queues = telemetry.edges.iter().filter(|edge| edge.policy == wavedeck_api::link::Overflow::Block);
            let queues = queues.map(|edge| (&*edge.id, edge.counts.dropped_samples));
            let outputs = telemetry.stages.iter().flat_map(|stage| {
                stage.outputs.iter().map(|(_, counts)| (&*stage.id, counts.lost_device + counts.lost_overrun))
            });
            let places = outputs.chain(queues).filter(|(_, count)| *count > 0);
            let places: Vec<String> = places.map(|(place, count)| format!("{place}: {count}")).collect();
            let text = format!("{} samples lost, {lost} in all ({})", lost - before, places.join(", "));
            self.journal.add(Level::Error, "loss", text);
        }
        lost
    }
}
