//! Closes a recording that its writer could not close, in place.
mod error;

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use mcap::MAGIC;
use rustix::{
    fs::{Access, AtFlags, CWD, FallocateFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use wavedeck_api::clock::Anchor;

pub use self::error::RepairError;
use crate::{
    FORMAT_VERSION,
    chunk::Source,
    error::ReadError,
    index::Index,
    ledger::Ledger,
    naming, reader,
    recount::Recount,
    spare,
    stamp::LocalTime,
    stored,
    survey::{self, Survey},
    tail::{self, DataSection},
};

/// Damaged parts that are noted in the file.
const NOTED: usize = 100;

/// How to repair.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairOptions {
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was closed already. What is in it was not looked at; [`crate::verify()`] does that.
    Closed,
    /// It was closed already, and has its final name now.
    Renamed,
    /// It is closed now.
    Repaired,
    /// Somebody else has renamed or removed it meanwhile.
    Gone,
}

/// A part of a file that is damaged and is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedPart {
    /// Position in the file.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What a repair notes in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairNote {
    /// Unix time of the repair.
    pub unix_ns: u64,
    /// Who repaired: program and version.
    pub program: String,
    /// Bytes at the end that were not whole and were cut, those of earlier repairs included.
    pub cut_bytes: u64,
    /// Number of damaged parts before the end, which are in the file but passed over.
    pub damaged_parts: u64,
    /// The first of them.
    #[serde(default)]
    pub damaged: Vec<DamagedPart>,
}

impl fmt::Display for RepairNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repaired {}, {} bytes cut", LocalTime::at(self.unix_ns), self.cut_bytes)?;
        if self.damaged_parts > 0 { write!(f, ", damaged parts left out: {}", self.damaged_parts) } else { Ok(()) }
    }
}

/// A file after its repair, or as it would be.
#[derive(Clone, Debug, Serialize)]
pub struct Repaired {
    /// The file as it was named.
    pub file: PathBuf,
    /// The file as it is named now.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// Chunks that are kept: all that are whole.
    pub chunks: u64,
    /// Bytes that are kept.
    pub kept_bytes: u64,
    /// What is noted in the file; `None` if it was closed already.
    pub note: Option<RepairNote>,
    /// Its account.
    pub ledger: Ledger,
}

/// Repairs the recording at `path`: everything up to its last whole chunk stays as it is, what comes behind is cut, an
/// account and an index are appended, and `.part` goes from its name. It is never copied. Of a file that is closed only
/// the name may change.
///
/// # Errors
/// If another process holds the file, nothing in it is whole, or the file system refuses. The whole part of the file is
/// never touched, and a later repair can finish what was begun.
pub fn repair(path: impl AsRef<Path>, options: &RepairOptions) -> Result<Repaired, RepairError> {
    let path = path.as_ref();
    // One that has no bytes may not be locked yet by a writer that has just made it: hands off.
    let source = reader::open_source(path)?;
    let target = target_of(path);
    if target.is_none()
        && let Some(whole) = closed(&source, path)?
    {
        return Ok(whole);
    }
    let Some(source) = hold(path, options)? else {
        return Ok(unchanged(path, Outcome::Gone));
    };
    let mut repaired = match closed(&source, path)? {
        Some(whole) => whole,
        None => close(&source, options)?,
    };
    if options.dry_run {
        return Ok(repaired);
    }
    if let Some(target) = target {
        repaired.path = publish(&source, &target)?;
        if repaired.outcome == Outcome::Closed {
            repaired.outcome = Outcome::Renamed;
        }
    }
    Ok(repaired)
}

/// True if the file ends with the mark of a closed one; a quick look that reads nothing else.
///
/// # Errors
/// If it cannot be read.
pub fn has_end_mark(path: impl AsRef<Path>) -> io::Result<bool> {
    let file = File::open(path)?;
    let mut end = [0; MAGIC.len()];
    let Some(offset) = file.metadata()?.len().checked_sub(end.len() as u64) else { return Ok(false) };
    file.read_exact_at(&mut end, offset)?;
    Ok(end == MAGIC)
}

/// The name without `.part`; `None` if it has none.
fn target_of(path: &Path) -> Option<PathBuf> {
    path.extension().is_some_and(|ending| ending == "part").then(|| path.with_extension(""))
}

fn unchanged(path: &Path, outcome: Outcome) -> Repaired {
    Repaired {
        file: path.to_owned(),
        path: path.to_owned(),
        outcome,
        chunks: 0,
        kept_bytes: 0,
        note: None,
        ledger: Ledger::default(),
    }
}

/// The file, if it ends as a closed one does.
fn closed(source: &Source, path: &Path) -> Result<Option<Repaired>, RepairError> {
    let index = match Index::from_summary(source) {
        Ok(Some(index)) => index,
        Err(error @ ReadError::Io { .. }) => return Err(error.into()),
        Ok(None) | Err(_) => return Ok(None),
    };
    if stored::description(&index.metadata).is_none() {
        return Err(ReadError::Foreign { path: path.to_owned() }.into());
    }
    Ok(Some(Repaired {
        chunks: index.chunks.len() as u64,
        kept_bytes: source.length,
        ledger: stored::json_of(&index.metadata, "ledger").unwrap_or_default(),
        ..unchanged(path, Outcome::Closed)
    }))
}

/// Opens the file for itself; `None` if it is gone meanwhile.
fn hold(path: &Path, options: &RepairOptions) -> Result<Option<Source>, RepairError> {
    let io_error = |action| move |source| RepairError::Io { action, path: path.to_owned(), source };
    let file = match File::options().read(true).write(!options.dry_run).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io_error("write to"))?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(RepairError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
            return Err(RepairError::NoLocks { path: path.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(io_error("lock")(error)),
    }
    // Who held it before may have renamed it.
    let held = file.metadata().map_err(io_error("look at"))?;
    let is_same = |named: &fs::Metadata| (named.dev(), named.ino()) == (held.dev(), held.ino());
    match fs::metadata(path) {
        Ok(named) if is_same(&named) => Ok(Some(Source { file, path: path.to_owned(), length: held.len() })),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("look at")(error)),
    }
}

/// Closes the file behind what is whole.
fn close(source: &Source, options: &RepairOptions) -> Result<Repaired, RepairError> {
    let path = source.path();
    let mut recount = Recount::default();
    let mut survey = survey::survey(source, &mut recount)?;
    check(&survey, path)?;
    let note = note(&survey, source.length);
    let mut ledger = recount.ledger();
    let earlier: Option<Ledger> = stored::json_of(&survey.entries, "ledger");
    ledger.failed = earlier.and_then(|ledger| ledger.failed);

    let whole_bytes = survey.whole_bytes;
    survey.summary.metadata_indexes.retain(|index| index.offset < whole_bytes);
    survey.count();
    let section = DataSection {
        length: whole_bytes,
        checksum: Some(survey.whole_checksum.clone()),
        message_indexes: &survey.missing_indexes,
        chunk_indexes: survey.chunks.records(),
    };
    let json = |error| RepairError::Encode { source: error };
    let (note_json, ledger_json) =
        (serde_json::to_string(&note).map_err(json)?, serde_json::to_string(&ledger).map_err(json)?);
    let bytes = tail::closing_bytes(&survey.summary, section, &[("repair", &note_json), ("ledger", &ledger_json)]);
    if !options.dry_run {
        append(source, whole_bytes, &bytes)?;
        tracing::info!(path = %path.display(), whole_bytes, cut_bytes = note.cut_bytes, "repaired a recording");
    }
    Ok(Repaired {
        chunks: survey.chunks.len(),
        kept_bytes: whole_bytes,
        note: Some(note),
        ledger,
        ..unchanged(path, Outcome::Repaired)
    })
}

/// Refuses a file of which nothing is left that makes sense.
fn check(survey: &Survey, path: &Path) -> Result<(), RepairError> {
    let path = || path.to_owned();
    let has_chunks = !survey.chunks.is_empty();
    let Some(about) = stored::description(&survey.entries) else {
        let is_cut = !has_chunks && survey.data_end.is_none();
        return Err(if is_cut {
            ReadError::NothingWhole { path: path() }
        } else {
            ReadError::Foreign { path: path() }
        }
        .into());
    };
    let version = about.get("format_version").and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    if version > FORMAT_VERSION {
        return Err(ReadError::Newer { path: path(), version }.into());
    }
    if !survey.summary.channels.is_empty() {
        return Ok(());
    }
    Err(match survey.damage.first() {
        Some(damage) if has_chunks => RepairError::Undescribed { path: path(), offset: damage.offset },
        _ => ReadError::NothingWhole { path: path() }.into(),
    })
}

fn note(survey: &Survey, length: u64) -> RepairNote {
    let earlier: RepairNote = stored::json_of(&survey.entries, "repair").unwrap_or_default();
    // The end that a repair or a writer began to write is no loss.
    let end = survey.closing_start.unwrap_or(length);
    let cut_bytes = end.saturating_sub(survey.whole_bytes).saturating_add(earlier.cut_bytes);
    let inside = || survey.damage.iter().filter(|damage| damage.offset < survey.whole_bytes);
    let part =
        |damage: &survey::Damage| DamagedPart { offset: damage.offset, bytes: damage.bytes, what: damage.what.clone() };
    RepairNote {
        unix_ns: Anchor::now().unix_ns,
        program: concat!("wavedeck ", env!("CARGO_PKG_VERSION")).into(),
        cut_bytes,
        damaged_parts: inside().count() as u64,
        damaged: inside().take(NOTED).map(part).collect(),
    }
}

/// Puts `bytes` behind the first `whole` bytes of the file, in place of all that is there.
///
/// The order makes a kill at any moment harmless: nothing before `whole` is ever written to, and the magic at the very
/// end is written last. Until it is there, the next repair finds a file that is not closed, scans it again, and cuts and
/// appends the same. Once it is there, only the name is left to change, and a closed file under the name of an unclosed
/// one is only renamed. The name changes after the content is on the disk, so that after a power cut no file without
/// `.part` is less than whole.
fn append(source: &Source, whole: u64, bytes: &[u8]) -> Result<(), RepairError> {
    let path = source.path();
    let io_error = |action| move |source| RepairError::Io { action, path: path.to_owned(), source };
    let folder = naming::directory_of(path);
    if target_of(path).is_some()
        && let Err(error) = rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
    {
        return Err(RepairError::Folder { folder: folder.to_owned(), source: error.into() });
    }
    remove_spare(path);
    // Room is taken before anything is cut, so that on a full disk nothing has changed.
    let room = rustix::fs::fallocate(&source.file, FallocateFlags::KEEP_SIZE, whole, bytes.len() as u64);
    // Not every file system can; then the write itself will tell.
    if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = room {
        return Err(RepairError::NoRoom { path: path.to_owned(), bytes: bytes.len() as u64, source: error.into() });
    }
    let written = source.file.set_len(whole).and_then(|()| source.file.write_all_at(bytes, whole));
    if let Err(error) = written.and_then(|()| source.file.sync_all()) {
        // Without a half-written end the file is what it was, less what was not whole.
        if let Err(error) = source.file.set_len(whole) {
            tracing::warn!(%error, path = %path.display(), "cannot cut a recording back");
        }
        return Err(io_error("close")(error));
    }
    Ok(())
}

/// Removes the room that the recorder kept for the end of the file: it is needed now, and nobody else will remove it.
fn remove_spare(path: &Path) {
    let spare = spare::path_beside(&target_of(path).unwrap_or_else(|| path.to_owned()));
    match fs::remove_file(&spare) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, path = %spare.display(), "cannot remove the spare room of a recording"),
    }
}

/// Gives the file its final name.
fn publish(source: &Source, target: &Path) -> Result<PathBuf, RepairError> {
    let path = source.path();
    remove_spare(path);
    let failed = |error| RepairError::Publish { path: path.to_owned(), source: error };
    // Where a file system cannot rename to a free name, a kill may have left both names.
    let is_double = source
        .file
        .metadata()
        .ok()
        .zip(fs::metadata(target).ok())
        .is_some_and(|(held, named)| (held.dev(), held.ino()) == (named.dev(), named.ino()));
    let path = if is_double {
        fs::remove_file(path).map_err(naming::io_error("remove", path)).map_err(failed)?;
        target.to_owned()
    } else {
        naming::publish(path, target).map_err(failed)?
    };
    naming::sync_directory_of(&path).map_err(failed)?;
    Ok(path)
}
