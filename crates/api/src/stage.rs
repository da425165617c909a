//! A processing step: its life, its errors, and how it is registered.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    build::{BuildContext, BuildError},
    param::{ParamError, ParamSpec, ParamValue},
    signal::SignalKind,
};

/// A processing step. Its life:
///
/// 1. `build` (in the [`StageDescriptor`]): takes parameters and ports, allocates. Opens nothing.
/// 2. [`start`](Stage::start): once, on the stage's thread. Opens hardware and files.
/// 3. [`process`](Stage::process), again and again, with [`set_param`](Stage::set_param) in between.
/// 4. [`finish`](Stage::finish): once, after the inputs ended or the pipeline was stopped. Never after a panic.
/// 5. `Drop`: closes the ports; the stages downstream see the end.
pub trait Stage: Send {
    /// Opens hardware and files. Runs once, on the stage's thread.
    ///
    /// # Errors
    /// The stage is disabled, or the pipeline stops, as its `on_fault` says.
    fn start(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        Ok(())
    }

    /// Does at most one packet's worth of work: takes at most one packet, sends at most one per output. Must not
    /// wait longer than [`StageContext::tick`]; only sources wait at all. No allocation, lock, log or clock, but for
    /// sources and sinks that deal with the outside world.
    ///
    /// # Errors
    /// As for `start`.
    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError>;

    /// Applies a checked value between two packets.
    ///
    /// # Errors
    /// [`StageError::NotLive`] if this parameter cannot change while running.
    fn set_param(&mut self, key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        Err(StageError::NotLive(key))
    }

    /// Flushes: sends at most one last packet per output, closes files and devices.
    ///
    /// # Errors
    /// As for `start`.
    fn finish(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        Ok(())
    }
}

/// What `process` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Call again at once.
    Again,
    /// Nothing to do until a port rings.
    Idle,
    /// Nothing to do until a port rings or this moment comes.
    Until(Instant),
    /// No more data will come.
    Done,
}

/// Why a stage cannot go on, or why a request was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// A recording is running and holds the parameters.
    #[error("busy: parameters are locked while recording")]
    Busy,
    /// The config wants the pipeline paused for edits.
    #[error("busy: parameters are locked while the pipeline runs (\"lock\": \"running\")")]
    BusyRunning,
    /// The parameter is used at build time only.
    #[error("parameter `{0}` cannot change while running")]
    NotLive(&'static str),
    /// The value was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// The device does not do what it should.
    #[error("{what}")]
    Device {
        /// What was tried, on what, and what to do.
        what: String,
        /// What the operating system said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A file or folder cannot be used.
    #[error("{what}")]
    Io {
        /// What was tried, on what, and what to do.
        what: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The stage met something it cannot work with.
    #[error("{0}")]
    Failed(String),
    /// The stage panicked; the runtime caught it.
    #[error("stage panicked: {0}")]
    Panicked(String),
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Life goes on.
    Info,
    /// Odd, nothing lost.
    Warn,
    /// Data lost, or a person must act.
    Error,
}

/// Something a stage tells the person in front of the screen.
#[derive(Clone, Debug)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    /// One sentence with the place and the cure.
    pub text: Arc<str>,
}

/// What the runtime lends a stage while it runs.
pub struct StageContext {
    tick: Duration,
    stopping: Arc<AtomicBool>,
    notes: Vec<Note>,
    unsaid: Unsaid,
}

/// Notes that were let go because there were too many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid {
    /// How many.
    pub count: u64,
    /// The highest level among them.
    pub level: Level,
}

impl Unsaid {
    /// Nothing was let go.
    pub const NONE: Self = Self { count: 0, level: Level::Info };

    /// Adds `other`, and leaves nothing in it.
    pub fn take_over(&mut self, other: &mut Self) {
        *self = Self { count: self.count.saturating_add(other.count), level: self.level.max(other.level) };
        *other = Self::NONE;
    }

    /// Adds one note that was let go.
    pub fn add(&mut self, level: Level) {
        self.take_over(&mut Self { count: 1, level });
    }
}

/// Notes kept between two looks of the runtime; further ones are only counted.
const MAX_NOTES: usize = 32;

impl StageContext {
    /// For runtimes: `stopping` is set when the pipeline stops.
    pub fn new(tick: Duration, stopping: Arc<AtomicBool>) -> Self {
        Self { tick, stopping, notes: Vec::with_capacity(MAX_NOTES), unsaid: Unsaid::NONE }
    }

    /// Longest time that one call of `process` may wait.
    #[inline]
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// True once the pipeline is being stopped: sources end now, the others when their inputs end.
    #[inline]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Tells the person in front of the screen. For rare events: it allocates. Of a flood only the first notes are
    /// shown, the others counted.
    pub fn note(&mut self, level: Level, text: impl Into<Arc<str>>) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note { level, text: text.into() });
        } else {
            self.unsaid.add(level);
        }
    }

    /// For runtimes: true if the stage said something since the last look.
    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// For runtimes: what the stage said since the last look.
    #[inline]
    pub fn take_notes(&mut self) -> std::vec::Drain<'_, Note> {
        self.notes.drain(..)
    }

    /// For runtimes: the notes since the last look for which there was no room.
    pub fn unsaid(&mut self) -> &mut Unsaid {
        &mut self.unsaid
    }
}

/// A stage type as it is registered with `inventory::submit!`.
pub struct StageDescriptor {
    /// Name in JSON. Built-in stages have short names, others reverse-DNS ones such as `com.example.fft`.
    pub id: &'static str,
    /// Rises when parameters change their meaning.
    pub version: u32,
    /// One line for lists.
    pub summary: &'static str,
    /// Ports read.
    pub inputs: &'static [PortSpec],
    /// Ports written.
    pub outputs: &'static [PortSpec],
    /// Parameter table.
    pub params: &'static [ParamSpec],
    /// The outside world sets the pace: this stage cannot wait for the plane. `BuildContext::set_realtime` may say
    /// otherwise for one instance.
    pub realtime: bool,
    /// Passes its input's buffers on; its out-edges then count towards the pool upstream.
    pub in_place: bool,
    /// May wait for the outside world (a disk, a socket), so that it needs a thread of its own.
    pub blocking: bool,
    /// Longest time, in ms, that one call takes when all goes well. The queues before the stage are sized for it, together
    /// with that of the stages it shares a thread with.
    pub max_latency_ms: f64,
    /// Makes a stage from parameters and ports. Opens nothing.
    pub build: fn(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError>,
}

/// A port of a stage type.
#[derive(Debug)]
pub struct PortSpec {
    /// Name in JSON.
    pub name: &'static str,
    /// Kinds of signal that may pass.
    pub accepts: &'static [SignalKind],
}

inventory::collect!(StageDescriptor);
