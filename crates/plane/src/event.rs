//! What the plane reports on its own: rare things, in order, to whoever runs it.
use std::sync::Arc;

use serde_json::Value;
use wavedeck_api::stage::Note;

/// Something happened in the plane.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage told something.
    Note {
        /// Id of the stage.
        stage: Arc<str>,
        /// What it said.
        note: Note,
    },
    /// A parameter change was applied between two packets.
    ParamApplied {
        /// Id of the stage.
        stage: Arc<str>,
        /// Name of the parameter.
        key: &'static str,
        /// Value before.
        old: Value,
        /// Value in force.
        new: Value,
        /// First sample it applies to, in the stream that the stage reads (or sends, for a source).
        at_sample: u64,
        /// Number of changes this stage has seen.
        epoch: u32,
        /// Who asked.
        by: Arc<str>,
        /// Monotonic time.
        timestamp_ns: u64,
    },
    /// A stage refused a value that the table allows.
    ParamRefused {
        /// Id of the stage.
        stage: Arc<str>,
        /// Name of the parameter.
        key: &'static str,
        /// Value in force.
        old: Value,
        /// Value asked for.
        new: Value,
        /// First sample after the refusal.
        at_sample: u64,
        /// Why.
        why: Arc<str>,
        /// Who asked.
        by: Arc<str>,
        /// Monotonic time.
        timestamp_ns: u64,
    },
    /// A stage ended as it should.
    StageDone {
        /// Id of the stage.
        stage: Arc<str>,
    },
    /// A stage was disabled by an error or a panic.
    StageFailed {
        /// Id of the stage.
        stage: Arc<str>,
        /// What happened.
        error: Arc<str>,
        /// True if the pipeline stops because of it.
        stops: bool,
    },
    /// A call into a stage has not returned for some seconds. Told once per call.
    StageStuck {
        /// Id of the stage.
        stage: Arc<str>,
        /// Which call, such as `process`.
        call: &'static str,
        /// How long it has lasted.
        seconds: u64,
    },
    /// A call that was told as stuck has returned.
    StageBack {
        /// Id of the stage.
        stage: Arc<str>,
        /// Which call, such as `process`.
        call: &'static str,
    },
}
