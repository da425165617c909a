//! File names: never one that exists, `.part` until the recording is whole.
use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::{error::WriteError, stamp::LocalTime};

/// Names tried before giving up: `name`, `name-2`, `name-3`, ...
const TRIES: u32 = 10_000;

/// A new file under its `.part` name, locked, and the name it gets when it is whole.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) target: PathBuf,
}

/// The stem to use: `name` if given and usable, else local time and session name.
pub(crate) fn stem(name: Option<&str>, session_name: &str, unix_ns: u64) -> Result<String, WriteError> {
    let Some(name) = name else {
        let stamp = LocalTime::at(unix_ns).file_stamp();
        let session = cleaned(session_name);
        return Ok(if session.is_empty() { stamp } else { format!("{stamp}_{session}") });
    };
    let stem = name.strip_suffix(".mcap").unwrap_or(name);
    let why = if stem.is_empty() {
        Some("nothing")
    } else if stem.starts_with('.') {
        Some("a leading `.`")
    } else if stem.contains(['/', '\\']) {
        Some("a path")
    } else if stem.chars().any(char::is_control) {
        Some("a control character")
    } else if stem.len() > 200 {
        Some("more than 200 bytes")
    } else {
        None
    };
    match why {
        Some(why) => Err(WriteError::Name { name: name.chars().take(60).collect(), why }),
        None => Ok(stem.to_owned()),
    }
}

/// The stem of one of several files of a recording.
pub(crate) fn segment_stem(stem: &str, segment: u32) -> String {
    if segment == 0 { stem.to_owned() } else { format!("{stem}_{segment:03}") }
}

/// Makes the directory if need be and a new `.part` file in it.
pub(crate) fn create_part(dir: &Path, stem: &str) -> Result<Part, WriteError> {
    fs::create_dir_all(dir).map_err(io_error("create directory", dir))?;
    for n in 1..=TRIES {
        let target = numbered(dir, stem, n);
        if fs::symlink_metadata(&target).is_ok() {
            continue;
        }
        let path = part_of(&target);
        let file = match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(io_error("create", &path)(error)),
        };
        return match file.try_lock() {
            Ok(()) => Ok(Part { file, path, target }),
            Err(TryLockError::WouldBlock) => Err(WriteError::Locked { path }),
            // Some network file systems know no locks; the name alone protects the file there.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Part { file, path, target })
            }
            Err(TryLockError::Error(error)) => {
                drop(fs::remove_file(&path));
                Err(io_error("lock", &path)(error))
            }
        };
    }
    Err(io_error("create", &numbered(dir, stem, TRIES))(ErrorKind::AlreadyExists.into()))
}

/// Gives `part` its final name, `target` or that with the next free number, and returns it.
pub(crate) fn publish(part: &Path, target: &Path) -> Result<PathBuf, WriteError> {
    let dir = directory_of(target);
    let stem = target.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for n in 1..=TRIES {
        let path = if n == 1 { target.to_owned() } else { numbered(dir, &stem, n) };
        match rename_to_free(part, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error("rename", part)(error)),
        }
    }
    Err(io_error("rename", part)(ErrorKind::AlreadyExists.into()))
}

/// Makes names created, changed or removed in the directory of `path` survive a power cut.
pub(crate) fn sync_directory_of(path: &Path) -> Result<(), WriteError> {
    let dir = directory_of(path);
    File::open(dir).and_then(|file| file.sync_all()).map_err(io_error("save directory", dir))
}

/// Bytes that can still be written in a folder, or in the nearest one above it that exists.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let existing = dir.ancestors().find(|path| path.as_os_str().is_empty() || path.exists())?;
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let stats = rustix::fs::statvfs(existing).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Turns the system's answer into an error about `path`.
pub(crate) fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> WriteError + 'a {
    move |source| WriteError::Io { action, path: path.to_owned(), source }
}

/// Renames a file unless the new name is taken.
///
/// # Errors
/// What the system says; [`ErrorKind::AlreadyExists`] if the name is taken.
pub fn rename_to_free(old: &Path, new: &Path) -> io::Result<()> {
    match renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE) {
        // File systems without this call: a link fails as well if the name is taken.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(old, new)?;
            fs::remove_file(old)
        }
        result => Ok(result?),
    }
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".part");
    PathBuf::from(name)
}

/// The directory of a file.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn numbered(dir: &Path, stem: &str, n: u32) -> PathBuf {
    dir.join(if n == 1 { format!("{stem}.mcap") } else { format!("{stem}-{n}.mcap") })
}

fn cleaned(session_name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }
    };
    session_name.trim().chars().map(plain).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_path_is_refused() {
        for name in ["", ".mcap", "../x", "a/b", ".hidden", "a\nb"] {
            assert!(matches!(stem(Some(name), "", 0), Err(WriteError::Name { .. })), "{name:?}");
        }
        assert_eq!(stem(Some("run 7.mcap"), "", 0).expect("usable"), "run 7");
    }

    #[test]
    fn without_a_name_the_session_is_in_the_file_name() {
        let stem = stem(None, "Alpha/Beta test", 0).expect("usable");

        assert!(stem.ends_with("_Alpha_Beta_test"), "{stem}");
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("run.mcap"), "kept").expect("written");
        fs::write(dir.path().join("run-2.mcap.part"), "kept").expect("written");

        let part = create_part(dir.path(), "run").expect("a free name");

        assert_eq!(part.path, dir.path().join("run-3.mcap.part"));
    }

    #[test]
    fn publishing_never_replaces_a_file_that_came_meanwhile() {
        let dir = tempfile::tempdir().expect("a directory");
        let part = create_part(dir.path(), "run").expect("a free name");
        fs::write(&part.target, "kept").expect("written");

        let path = publish(&part.path, &part.target).expect("a free name");

        assert_eq!(path, dir.path().join("run-2.mcap"));
        assert_eq!(fs::read(&part.target).expect("still there"), b"kept");
    }

    #[test]
    fn a_part_is_locked_while_it_is_open() {
        let dir = tempfile::tempdir().expect("a directory");
        let part = create_part(dir.path(), "run").expect("a free name");

        let other = File::open(&part.path).expect("readable");

        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    }
}
