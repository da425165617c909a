//! Room on the disk that is kept for the end of a recording: a file beside it that is given up when the disk is full.
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};

/// Less is not worth a file.
const LEAST: u64 = 64 << 10;
/// It takes at most this part of what is free.
const PART: u64 = 8;

/// The file; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Spare {
    path: PathBuf,
}

impl Spare {
    /// Beside the recording `target`, of `bytes` or an eighth of what is free; `None` where there is hardly any room, or
    /// the file system cannot reserve any.
    pub(crate) fn beside(target: &Path, bytes: u64) -> Option<Self> {
        let path = path_beside(target);
        match reserve(&path, bytes) {
            Ok(true) => Some(Self { path }),
            Ok(false) => None,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "no room could be kept for the end of the recording");
                drop(fs::remove_file(&path));
                None
            }
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the spare room of a recording");
        }
    }
}

/// The name of the file beside a recording.
pub(crate) fn path_beside(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".spare");
    PathBuf::from(name)
}

/// False if there is too little room.
fn reserve(path: &Path, bytes: u64) -> io::Result<bool> {
    // One that was left behind by a crash belongs to a recording of the same name, which no longer needs it.
    let file = File::options().write(true).create(true).truncate(true).open(path)?;
    let stats = rustix::fs::fstatvfs(&file)?;
    let bytes = bytes.min(stats.f_bavail.saturating_mul(stats.f_frsize) / PART);
    if bytes < LEAST {
        fs::remove_file(path)?;
        return Ok(false);
    }
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_and_given_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let spare = Spare::beside(&dir.path().join("run.mcap"), 1 << 20).expect("there is room");

        let path = dir.path().join("run.mcap.spare");
        let about = fs::metadata(&path).expect("a file");
        assert_eq!(about.len(), 1 << 20);
        assert!(std::os::unix::fs::MetadataExt::blocks(&about) * 512 >= 1 << 20, "the room is taken, not promised");

        drop(spare);
        assert!(!path.exists());
    }

    #[test]
    fn no_room_is_kept_in_a_folder_that_is_not_there() {
        assert!(Spare::beside(Path::new("/nowhere/at/all/run.mcap"), 1 << 20).is_none());
    }
}
