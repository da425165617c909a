//! Pipeline files as the command line names them.
use std::path::Path;

use wavedeck_plane::{PipelineConfig, Problem, Problems};

use crate::disk;

/// Reads a config file and applies `--set` assignments.
///
/// # Errors
/// A file that cannot be read or is too large, and every mistake in it.
pub fn read_config(path: &Path, assignments: &[String]) -> Result<PipelineConfig, Problems> {
    let file = path.display().to_string();
    let problem = |what: String, hint: &str| Problems::one(Problem::new("", what, hint)).in_file(&file);
    let bytes = disk::read_capped(path, wavedeck_plane::MAX_CONFIG_BYTES).map_err(|error| {
        problem(format!("it cannot be read: {error}"), "give the path of a pipeline file, such as configs/demo.json")
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| problem("it is not text in UTF-8".into(), "is it a recording? then `wavedeck replay`"))?;
    configured(PipelineConfig::from_json(&text).map_err(|problems| problems.in_file(&file))?, assignments)
}

/// Applies `--set` assignments to a config.
///
/// # Errors
/// Every assignment that has another form or names no stage.
pub fn configured(mut config: PipelineConfig, assignments: &[String]) -> Result<PipelineConfig, Problems> {
    let failed = assignments.iter().filter_map(|assignment| config.set(assignment).err());
    Problems::unless_none(failed.collect())?;
    Ok(config)
}
