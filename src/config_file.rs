//! Pipeline files as the command line names them.
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use wavedeck_plane::{PipelineConfig, Problem, Problems};
use wavedeck_recording::rename_to_free;

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

/// Writes a config into a file of its own, which is whole once it has its name.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] if the name is taken, and nothing has changed then.
pub fn write_new(path: &Path, config: &PipelineConfig) -> io::Result<()> {
    // Also a link that leads nowhere.
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_whole(&temporary, config).and_then(|()| rename_to_free(&temporary, path));
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written
}

fn write_whole(path: &Path, config: &PipelineConfig) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(config.to_json().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PipelineConfig {
        PipelineConfig::from_json(include_str!("../configs/demo.json")).expect("no mistake of form")
    }

    #[test]
    fn a_config_that_was_written_is_read_back_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.json");
        write_new(&path, &config()).expect("written");
        let read = read_config(&path, &[]).expect("no mistake");
        assert_eq!(read.to_json(), config().to_json());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_name_that_is_taken_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.json");
        fs::write(&path, "mine").expect("written");
        let error = write_new(&path, &config()).expect_err("the name is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("text"), "mine");
        assert!(write_new(&dir.path().join("none/a.json"), &config()).is_err());
        assert!(write_new(dir.path(), &config()).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }
}
