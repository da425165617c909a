//! The recordings folder: what is in it, and how a recording becomes a pipeline again.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map, json};
use wavedeck_plane::{ConnectionConfig, PipelineConfig, StageConfig, StageRegistry};
use wavedeck_recording::{ReadError, Recording, RecordingInfo};

use crate::snapshot::RecordingEntry;

/// Folder of recordings when the pipeline names none.
pub const DEFAULT_DIR: &str = "recordings";
/// Most files that are listed.
const MAX_LISTED: usize = 1000;

/// How a recording is replayed.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Times real time; 0 is as fast as possible.
    pub speed: f64,
    /// Begins this long after the first sample.
    pub from_s: f64,
    /// Ends this long after the first sample; 0 is the end.
    pub to_s: f64,
    /// At the last sample: `stay`, `stop` or `loop`.
    pub at_end: &'static str,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { speed: 1.0, from_s: 0.0, to_s: 0.0, at_end: "stay" }
    }
}

/// Recordings of a folder, newest first; unclosed ones too.
pub fn list(dir: &Path) -> Vec<RecordingEntry> {
    let Ok(files) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = files.flatten().map(|file| file.path()).filter(|path| is_named_as_recording(path)).take(MAX_LISTED);
    let mut entries: Vec<RecordingEntry> = paths.map(entry).collect();
    entries.sort_by(|a, b| b.start_unix_ns.cmp(&a.start_unix_ns).then_with(|| a.path.cmp(&b.path)));
    entries
}

/// True for the name of a recording, closed or not.
pub(crate) fn is_named_as_recording(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".mcap") || name.ends_with(".mcap.part")
}

fn entry(path: PathBuf) -> RecordingEntry {
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let unread = |remark: String| RecordingEntry {
        path: path.clone(),
        bytes,
        duration_s: None,
        channels: 0,
        remark,
        start_unix_ns: 0,
    };
    // An unclosed file is scanned from end to end when it is opened: only its name is listed.
    if path.extension().is_some_and(|ending| ending == "part") {
        return unread("not closed: being written, or cut off".into());
    }
    match Recording::open(&path).and_then(|recording| RecordingInfo::of(&recording)) {
        Ok(info) => RecordingEntry {
            duration_s: Some(info.duration_s),
            channels: info.streams.iter().map(|stream| stream.channels.len()).sum(),
            remark: remark(&info),
            start_unix_ns: info.start_unix_ns,
            path,
            bytes,
        },
        Err(error) => unread(error.to_string()),
    }
}

fn remark(info: &RecordingInfo) -> String {
    let lost: u64 = info.streams.iter().map(|stream| stream.lost).sum();
    match (info.degraded, info.closed) {
        (true, _) if lost > 0 => format!("degraded: {lost} samples lost"),
        (true, _) => "degraded".into(),
        (_, false) => "not closed".into(),
        _ if info.repair.is_some() => "repaired".into(),
        _ => "closed".into(),
    }
}

/// The pipeline that replays a recording: its own one, or another, with the sources replaced by the recorded streams.
///
/// # Errors
/// When the file is no recording, or the pipeline has no source of a recorded stream's name.
pub fn replay_config(
    path: &Path,
    pipeline: Option<PipelineConfig>,
    registry: &StageRegistry,
    options: &ReplayOptions,
) -> anyhow::Result<PipelineConfig> {
    let with_hint = |error: ReadError| {
        let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
        anyhow::anyhow!("{error}{hint}")
    };
    let recording = Recording::open(path).map_err(with_hint)?;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut config = match pipeline {
        Some(config) => config,
        None => embedded(&recording)?,
    };
    let mut is_replayed = false;
    let names: Vec<String> = recording.streams().iter().map(|stream| stream.name.clone()).collect();
    let sources: Vec<String> =
        config.stages.iter().filter(|stage| is_source(stage, registry)).map(|stage| stage.id.clone()).collect();
    for stage in config.stages.iter_mut().filter(|stage| is_source(stage, registry)) {
        // A stream is named after its stage; with one of each there is no doubt even if the names differ.
        let of_that_name = names.iter().find(|name| name.split('.').next() == Some(stage.id.as_str()));
        let stream = of_that_name.or_else(|| names.first().filter(|_| names.len() == 1 && sources.len() == 1));
        let Some(stream) = stream else { continue };
        let mut params = Map::new();
        params.insert("path".into(), json!(path));
        params.insert("stream".into(), json!(stream));
        params.insert("speed".into(), json!(options.speed));
        params.insert("from_s".into(), json!(options.from_s));
        params.insert("to_s".into(), json!(options.to_s));
        params.insert("at_end".into(), json!(options.at_end));
        *stage = StageConfig {
            kind: "replay".into(),
            params,
            on_fault: stage.on_fault,
            thread: None,
            cpu: None,
            id: stage.id.clone(),
        };
        is_replayed = true;
    }
    if !is_replayed {
        bail!(
            "the recording holds {}, but the pipeline's sources are {}: give another one with --config, or rename its source",
            quoted(&names),
            quoted(&sources)
        );
    }
    // A source whose stream was not recorded has nothing to replay; what hangs on it alone cannot run either.
    let gone: Vec<String> = config
        .stages
        .iter()
        .filter(|stage| stage.kind != "replay" && is_source(stage, registry))
        .map(|stage| stage.id.clone())
        .collect();
    config.stages.retain(|stage| !gone.contains(&stage.id));
    let stage_of = |end: &str| end.split('.').next().unwrap_or_default().to_owned();
    config.connections.retain(|connection| !gone.contains(&stage_of(&connection.from)));
    for connection in &mut config.connections {
        let from = stage_of(&connection.from);
        if config.stages.iter().any(|stage| stage.id == from && stage.kind == "replay") {
            connection.from = format!("{from}.out");
        }
    }
    dedup(&mut config.connections);
    Ok(config)
}

fn is_source(stage: &StageConfig, registry: &StageRegistry) -> bool {
    registry.get(&stage.kind).is_some_and(|descriptor| descriptor.inputs.is_empty())
}

fn embedded(recording: &Recording) -> anyhow::Result<PipelineConfig> {
    let text =
        recording.pipeline_json().context("the recording's own pipeline cannot be read: give one with --config")?;
    PipelineConfig::from_json(&text).context("the recording's own pipeline is not valid: give one with --config")
}

fn dedup(connections: &mut Vec<ConnectionConfig>) {
    let mut seen = std::collections::BTreeSet::new();
    connections.retain(|connection| seen.insert((connection.from.clone(), connection.to.clone())));
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
