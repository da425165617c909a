//! Repairs what an earlier run left unclosed: in a folder, and beside a session that has just begun.
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use wavedeck_api::stage::Level;
use wavedeck_recording::{Outcome, ReadError, RepairError, RepairOptions, Repaired, has_end_mark, repair, with_hint};

use crate::{journal::Journal, library};

/// Most files that a start looks at.
const MAX_FILES: usize = 1000;
/// A file that does not change for so long is not being copied.
const STILL: Duration = Duration::from_secs(3);
/// Acquisition comes first.
const NICENESS: i32 = 10;

/// Files of a folder, not of those in it, that are named as recordings are, sorted.
///
/// # Errors
/// If the folder cannot be read.
pub(crate) fn recordings_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_recording = |path: &PathBuf| library::is_named_as_recording(path) && path.is_file();
    let files = std::fs::read_dir(folder)?;
    let mut paths: Vec<PathBuf> = files.flatten().map(|file| file.path()).filter(is_recording).collect();
    paths.sort();
    Ok(paths)
}

/// What was done, in one line.
pub(crate) fn in_words(done: &Repaired) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut text = done.file.display().to_string();
    match done.outcome {
        Outcome::Closed => text.push_str(": closed already, nothing to do"),
        Outcome::Gone => text.push_str(": repaired, renamed or removed by another process meanwhile"),
        Outcome::Renamed => text.push_str(": was closed"),
        Outcome::Repaired => {
            let note = done.note.clone().unwrap_or_default();
            text.push_str(&format!(": was not closed; {} chunks kept, {} bytes cut", done.chunks, note.cut_bytes));
            if note.damaged_parts > 0 {
                text.push_str(&format!(", damaged parts passed over: {}", note.damaged_parts));
                if let Some(part) = note.damaged.first() {
                    text.push_str(&format!(", the first at byte {}", part.offset));
                }
            }
            let recorded: u64 = done.ledger.streams.iter().map(|stream| stream.recorded).sum();
            text.push_str(&format!(", {recorded} samples"));
        }
    }
    if done.path != done.file {
        text.push_str(&format!(", now {}", name(&done.path)));
    }
    text
}

/// Repairs, in a thread of its own, what nobody holds in `folder`; the journal tells of it, and of what failed.
pub(crate) fn repair_in_background(folder: PathBuf, journal: &Arc<Journal>) {
    let theirs = Arc::clone(journal);
    let spawned = thread::Builder::new().name("repair".into()).spawn(move || {
        // Only a wish: without it the repair is as right, and takes more from the rest.
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
        repair_folder(&folder, &theirs);
    });
    if let Err(error) = spawned {
        journal.add(Level::Warn, "repair", format!("no thread to look for unclosed recordings: {error}"));
    }
}

fn repair_folder(folder: &Path, journal: &Journal) {
    let paths = match recordings_of(folder) {
        Ok(paths) => paths,
        // It is made with the first recording.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let text = format!("folder {} cannot be looked through: {error}", folder.display());
            return journal.add(Level::Warn, "repair", text);
        }
    };
    if paths.len() > MAX_FILES {
        let text = format!("{} holds {} recordings; only {MAX_FILES} are looked at", folder.display(), paths.len());
        journal.add(Level::Warn, "repair", text);
    }
    let unclosed: Vec<PathBuf> = paths.into_iter().take(MAX_FILES).filter(|path| is_unclosed(path)).collect();
    let (recent, old): (Vec<_>, Vec<_>) = unclosed.into_iter().map(|path| (state_of(&path), path)).partition(is_recent);
    for (_, path) in &old {
        repair_one(path, journal);
    }
    if recent.is_empty() {
        return;
    }
    // A recorder holds a lock, but who copies a recording into the folder does not.
    thread::sleep(STILL);
    for (state, path) in &recent {
        if *state == state_of(path) {
            repair_one(path, journal);
        } else if path.exists() && !is_held(path) {
            let text = format!("{} grows: it is not repaired now", path.display());
            journal.add(Level::Warn, "repair", text);
        }
    }
}

fn is_unclosed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "part") || !has_end_mark(path).unwrap_or(true)
}

/// Length and time of the last change.
fn state_of(path: &Path) -> Option<(u64, SystemTime)> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()?))
}

/// True unless the last change is long enough ago; a clock that was set back makes any file recent.
fn is_recent((state, _): &(Option<(u64, SystemTime)>, PathBuf)) -> bool {
    let age = state.and_then(|(_, changed)| changed.elapsed().ok());
    age.is_none_or(|age| age < STILL)
}

/// True if another process, or this one, writes the file and says so by a lock.
fn is_held(path: &Path) -> bool {
    let file = std::fs::File::open(path);
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

fn repair_one(path: &Path, journal: &Journal) {
    match repair(path, &RepairOptions::default()) {
        Ok(done) if matches!(done.outcome, Outcome::Closed | Outcome::Gone) => {}
        Ok(done) => journal.add(Level::Info, "repair", in_words(&done)),
        // Being written, by this program or another; or not ours.
        Err(RepairError::Locked { .. } | RepairError::Read(ReadError::Missing { .. } | ReadError::Foreign { .. })) => {}
        Err(error) => journal.add(Level::Warn, "repair", with_hint(&error, error.hint())),
    }
}
