//! What a recording is told when it starts and tells when it ends.
use std::{path::PathBuf, time::Duration};

use serde_json::Value;
use wavedeck_api::signal::StreamSpec;

use crate::ledger::Ledger;

/// A stream to record.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Name that topics and exports carry, such as `eeg`; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Counts or physical values; spectra are refused.
    pub spec: StreamSpec,
    /// What the samples come from, for people.
    pub device: String,
}

/// Where and how to record.
#[derive(Clone, Debug)]
pub struct RecordingOptions {
    /// Directory for the file; made if it is not there.
    pub dir: PathBuf,
    /// File name without `.mcap`; local time and session name if `None`.
    pub name: Option<String>,
    /// Name of the session.
    pub session_name: String,
    /// The whole pipeline as its file says it.
    pub pipeline_json: String,
    /// Version of the program.
    pub app_version: String,
    /// Who records.
    pub operator: String,
    /// Who or what is recorded.
    pub subject: String,
    /// Anything else worth keeping.
    pub notes: String,
    /// A chunk is closed and handed to the disk when its oldest sample is this old, counted from the time of the sample.
    /// Killed programs lose at most this, and what the machine takes to run the threads between.
    pub commit_interval: Duration,
    /// Written data is forced to the disk this often. Power cuts lose at most this.
    pub sync_interval: Duration,
    /// A chunk is closed early when it holds this many bytes before compression.
    pub chunk_bytes: usize,
    /// Store counts as plain numbers: larger, but readable by any MCAP tool.
    pub plain: bool,
    /// Most bytes that may wait for a slow disk before packets are refused.
    pub max_pending_bytes: usize,
    /// Room kept on the disk for the end of the file, so that a full disk leaves a whole one; 0 for none.
    pub spare_bytes: u64,
    /// Number of this file among those of one recording, from 1; 0 for a recording that is one file.
    pub segment: u32,
    /// More for the description at the start: names and texts.
    pub about: Vec<(&'static str, String)>,
}

impl Default for RecordingOptions {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("recordings"),
            name: None,
            session_name: String::new(),
            pipeline_json: "{}".into(),
            app_version: String::new(),
            operator: String::new(),
            subject: String::new(),
            notes: String::new(),
            commit_interval: Duration::from_millis(200),
            sync_interval: Duration::from_secs(1),
            chunk_bytes: 1 << 20,
            plain: false,
            max_pending_bytes: 64 << 20,
            spare_bytes: 16 << 20,
            segment: 0,
            about: Vec::new(),
        }
    }
}

/// A mark set by a person or a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// What happened.
    pub label: String,
    /// Who or what says so, such as `key` or the path of a stage.
    pub source: String,
    /// The stream whose samples `index` counts.
    pub stream: Option<usize>,
    /// The sample at which it happened.
    pub index: Option<u64>,
    /// How long it lasted; `None` for a moment.
    pub duration_s: Option<f64>,
}

/// A parameter that was changed, or was asked to change, while recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Where it is, such as `/stages/2/params/cutoff_hz`.
    pub path: String,
    /// Value before.
    pub old: Value,
    /// Value asked for.
    pub new: Value,
    /// First sample made with the new value, if known.
    pub at_sample: Option<u64>,
    /// Who asked for it.
    pub by: String,
    /// What became of it, such as `applied` or `refused: out of range`.
    pub outcome: String,
}

/// A closed recording.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The file under its final name.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What it holds and what is missing.
    pub ledger: Ledger,
    /// Gaps noted, over all streams.
    pub gaps: u64,
    /// Events noted.
    pub events: u64,
}
