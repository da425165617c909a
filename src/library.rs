//! The recordings folder: what is in it, and how a recording becomes a pipeline again.
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};
use wavedeck_api::{link::Overflow, signal::SignalKind};
use wavedeck_formats::{Source, SourceStream};
use wavedeck_plane::{ConnectionConfig, LockRule, OnFault, PipelineConfig, StageConfig, StageRegistry};
use wavedeck_recording::{Recording, RecordingInfo, with_hint};

use crate::snapshot::RecordingEntry;

/// Folder of recordings when the pipeline names none.
pub const DEFAULT_DIR: &str = "recordings";
/// Said of a recording about which nothing is odd.
const CLOSED: &str = "closed";
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
    /// The streams as they are, without the pipeline of the recording.
    pub is_view_only: bool,
    /// Every output is hashed, and nothing is dropped on the way.
    pub is_hashed: bool,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { speed: 1.0, from_s: 0.0, to_s: 0.0, at_end: "stay", is_view_only: false, is_hashed: false }
    }
}

/// Endings of files of other programs that are listed: those that hold recordings and nothing else. A table may be anything.
const FOREIGN: [&str; 3] = ["edf", "bdf", "wav"];

/// Recordings of a folder, newest first; unclosed ones and those of other programs too.
pub fn list(dir: &Path) -> Vec<RecordingEntry> {
    let Ok(files) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = files.flatten().map(|file| file.path()).filter(|path| is_listed(path)).take(MAX_LISTED);
    let mut entries: Vec<RecordingEntry> = paths.map(entry).collect();
    entries.sort_by(|a, b| b.start_unix_ns.cmp(&a.start_unix_ns).then_with(|| a.path.cmp(&b.path)));
    entries
}

/// True for the name of a recording, closed or not.
pub(crate) fn is_named_as_recording(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".mcap") || name.ends_with(".mcap.part")
}

/// True for the name of a recording of any program.
pub(crate) fn is_listed(path: &Path) -> bool {
    is_named_as_recording(path) || is_named_as_foreign(path)
}

fn is_named_as_foreign(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    FOREIGN.iter().any(|foreign| foreign.eq_ignore_ascii_case(ending))
}

fn entry(path: PathBuf) -> RecordingEntry {
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let unread = |remark: String| RecordingEntry {
        path: path.clone(),
        bytes,
        duration_s: None,
        channels: 0,
        remark,
        is_fine: false,
        start_unix_ns: 0,
    };
    // An unclosed file is scanned from end to end when it is opened: only its name is listed.
    if path.extension().is_some_and(|ending| ending == "part") {
        return unread("not closed: being written, or cut off".into());
    }
    if is_named_as_foreign(&path) {
        return match wavedeck_formats::open(&path) {
            Ok(source) => foreign_entry(&*source, bytes),
            Err(error) => unread(format!("unreadable: {error}")),
        };
    }
    match Recording::open(&path).and_then(|recording| RecordingInfo::of(&recording)) {
        Ok(info) => {
            let remark = remark(&info);
            RecordingEntry {
                duration_s: Some(info.duration_s),
                channels: info.streams.iter().map(|stream| stream.channels.len()).sum(),
                is_fine: remark == CLOSED,
                remark,
                start_unix_ns: info.start_unix_ns,
                path,
                bytes,
            }
        }
        Err(error) => unread(format!("unreadable: {error}")),
    }
}

fn foreign_entry(source: &dyn Source, bytes: u64) -> RecordingEntry {
    let (about, streams) = (source.about(), source.streams());
    let seconds =
        |stream: &SourceStream| stream.end_index.saturating_sub(stream.first_index) as f64 / stream.spec.rate.hz();
    RecordingEntry {
        path: about.path.clone(),
        bytes,
        duration_s: Some(streams.iter().map(seconds).fold(0.0, f64::max)),
        channels: streams.iter().map(|stream| stream.spec.channels.len()).sum(),
        remark: about.format.clone(),
        is_fine: true,
        start_unix_ns: about.start_unix_ns.unwrap_or(0),
    }
}

fn remark(info: &RecordingInfo) -> String {
    let lost: u64 = info.streams.iter().map(|stream| stream.lost).sum();
    match (info.degraded, info.closed) {
        (true, _) if lost > 0 => format!("degraded: {lost} samples lost"),
        (true, _) => "degraded".into(),
        (_, false) => "not closed".into(),
        _ if info.repair.is_some() => "repaired".into(),
        _ => CLOSED.into(),
    }
}

/// The pipeline that replays a file: the one given, else the file's own, with the sources replaced by the streams of the
/// file; for a file without one, or to view only, the streams in their units and nothing else.
///
/// # Errors
/// When the file cannot be read, or the pipeline has no source of a stream's name.
pub fn replay_config(
    path: &Path,
    pipeline: Option<PipelineConfig>,
    registry: &StageRegistry,
    options: &ReplayOptions,
) -> anyhow::Result<PipelineConfig> {
    let source = wavedeck_formats::open(path).map_err(|error| anyhow!("{}", with_hint(&error, error.hint())))?;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let own = source.about().pipeline_json.as_deref().filter(|_| !options.is_view_only);
    let mut config = match (pipeline, own) {
        (Some(config), _) => with_sources(config, &path, &*source, registry, options)?,
        (None, Some(text)) => {
            let own = PipelineConfig::from_json(text);
            let own =
                own.context("the recording's own pipeline is not valid: give one with --config, or --view-only")?;
            with_sources(own, &path, &*source, registry, options)?
        }
        (None, None) => viewer(&path, &*source, options)?,
    };
    if options.is_hashed {
        hash_all(&mut config, registry);
    }
    Ok(config)
}

/// A pipeline with its sources replaced by the streams of a file.
fn with_sources(
    mut config: PipelineConfig,
    path: &Path,
    source: &dyn Source,
    registry: &StageRegistry,
    options: &ReplayOptions,
) -> anyhow::Result<PipelineConfig> {
    let mut is_replayed = false;
    let names: Vec<String> = source.streams().iter().map(|stream| stream.name.clone()).collect();
    let sources: Vec<String> =
        config.stages.iter().filter(|stage| is_source(stage, registry)).map(|stage| stage.id.clone()).collect();
    for stage in config.stages.iter_mut().filter(|stage| is_source(stage, registry)) {
        // A stream is named after its stage; with one of each there is no doubt even if the names differ.
        let of_that_name = names.iter().find(|name| name.split('.').next() == Some(stage.id.as_str()));
        let stream = of_that_name.or_else(|| names.first().filter(|_| names.len() == 1 && sources.len() == 1));
        let Some(stream) = stream else { continue };
        let replay = replay_stage(stage.id.clone(), path, stream, options);
        *stage = StageConfig { on_fault: stage.on_fault, ..replay };
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

fn replay_stage(id: String, path: &Path, stream: &str, options: &ReplayOptions) -> StageConfig {
    let params = json!({
        "path": path, "stream": stream, "speed": options.speed, "from_s": options.from_s, "to_s": options.to_s,
        "at_end": options.at_end,
    });
    stage(id, "replay", params)
}

fn stage(id: String, kind: &str, params: Value) -> StageConfig {
    let params = if let Value::Object(params) = params { params } else { Map::new() };
    StageConfig { id, kind: kind.into(), params, on_fault: OnFault::default(), thread: None, cpu: None }
}

fn connection(from: &str, to: &str) -> ConnectionConfig {
    ConnectionConfig { from: from.into(), to: to.into(), capacity: None, overflow: Overflow::Block }
}

/// The streams of a file in their units.
fn viewer(path: &Path, source: &dyn Source, options: &ReplayOptions) -> anyhow::Result<PipelineConfig> {
    if source.streams().is_empty() {
        bail!("{} has no stream to replay", path.display());
    }
    let (mut stages, mut connections) = (Vec::new(), Vec::new());
    for stream in source.streams() {
        let id = free_id(&stages, &stream.name);
        stages.push(replay_stage(id.clone(), path, &stream.name, options));
        let mut last = id.clone();
        if stream.spec.kind == SignalKind::Counts {
            last = free_id(&stages, &format!("{id}_units"));
            stages.push(stage(last.clone(), "to_voltage", Value::Null));
            connections.push(connection(&id, &last));
        }
        let end = free_id(&stages, &format!("{id}_end"));
        stages.push(stage(end.clone(), "null", Value::Null));
        connections.push(connection(&last, &end));
    }
    let name = path.file_stem().map_or_else(|| "replay".into(), |name| name.to_string_lossy().into_owned());
    let (lock, pools) = (LockRule::default(), Vec::new());
    Ok(PipelineConfig { version: 1, name, lock, stages, connections, pools, listen: Vec::new() })
}

/// An id like `wanted` that no stage has.
fn free_id(stages: &[StageConfig], wanted: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let wanted: String = wanted.chars().map(allowed).take(40).collect();
    let wanted = if wanted.starts_with(|c: char| c.is_ascii_alphabetic()) { wanted } else { format!("s{wanted}") };
    let candidates = std::iter::once(wanted.clone()).chain((2..).map(|n| format!("{wanted}_{n}")));
    let mut free = candidates.filter(|id| stages.iter().all(|stage| stage.id != *id));
    free.next().unwrap_or(wanted)
}

/// Hashes every output; all that is sent arrives.
fn hash_all(config: &mut PipelineConfig, registry: &StageRegistry) {
    let outputs: Vec<String> = config
        .stages
        .iter()
        .filter_map(|stage| Some((stage, registry.get(&stage.kind)?)))
        .flat_map(|(stage, descriptor)| descriptor.outputs.iter().map(|port| format!("{}.{}", stage.id, port.name)))
        .collect();
    let id = free_id(&config.stages, "hash");
    config.stages.push(stage(id.clone(), "hash", Value::Null));
    config.connections.iter_mut().for_each(|connection| connection.overflow = Overflow::Block);
    config.connections.extend(outputs.iter().map(|output| connection(output, &id)));
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

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use wavedeck_formats::{ExportOptions, Format, export_file};

    use super::*;

    #[test]
    fn recordings_of_other_programs_are_listed_and_tables_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/sample.mcap");
        std::fs::copy(&sample, dir.path().join("own.mcap")).expect("copied");
        let source = wavedeck_formats::open(&sample).expect("a recording");
        let options = ExportOptions { counts: true, ..ExportOptions::default() };
        for (name, format) in [("night.bdf", Format::Bdf), ("sound.WAV", Format::Wav), ("table.csv", Format::Csv)] {
            let path = dir.path().join(name);
            export_file(&*source, format, &options, &path, false, &mut |_| ControlFlow::Continue(())).expect("written");
        }
        std::fs::write(dir.path().join("broken.edf"), "nothing").expect("written");
        std::fs::write(dir.path().join("notes.txt"), "nothing").expect("written");

        let mut entries = list(dir.path());
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let told = |entry: &RecordingEntry| {
            let name = entry.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            (name, entry.duration_s.map(|seconds| (seconds * 10.0).round() / 10.0), entry.channels, entry.is_fine)
        };
        let told: Vec<_> = entries.iter().map(told).collect();
        let all = |name: &str| (name.to_owned(), Some(24.7), 8, true);
        let broken = ("broken.edf".to_owned(), None, 0, false);
        assert_eq!(told, [broken, all("night.bdf"), all("own.mcap"), all("sound.WAV")], "{entries:?}");
        assert!(entries[1].remark.starts_with("BDF") && entries[3].remark == "WAV", "{entries:?}");
    }
}
