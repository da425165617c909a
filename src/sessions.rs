//! The sessions of this user on this machine: each listens at a socket of its name in the runtime folder.
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use wavedeck_api::param::suggestion;

use crate::{attach::Target, remote::Bound};

/// Ending of the sockets.
const ENDING: &str = "sock";
/// Sessions that may have one name: `demo`, `demo-2` and so on.
const MOST_OF_A_NAME: u32 = 99;
/// Time that a session may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time after a login by which every session has its socket in the new runtime folder.
const LATE: Duration = Duration::from_millis(1500);
/// Most bytes of an answer.
const LONGEST_ANSWER: u64 = 16 << 20;
/// Characters of a name: the path of a socket has 107 bytes at most.
const LONGEST_NAME: usize = 40;

/// Listens at a socket named after the session; the name that it got, since another one may have it already.
///
/// # Errors
/// When the runtime folder cannot be used.
pub fn publish(bound: &mut Bound, name: &str) -> anyhow::Result<String> {
    let dir = folders()?.into_iter().next().context("no runtime folder")?;
    let (taken, wanted) = (alive()?, file_name(name));
    for number in 1..=MOST_OF_A_NAME {
        let name = if number == 1 { wanted.clone() } else { format!("{wanted}-{number}") };
        if taken.contains_key(&name) {
            continue;
        }
        let path = dir.join(&name).with_extension_added(ENDING);
        match bound.add_socket(&path) {
            Ok(()) => return Ok(name),
            Err(error) if !path.exists() => return Err(error),
            // Somebody has it.
            Err(_) => {}
        }
    }
    bail!("there are {MOST_OF_A_NAME} sessions named `{wanted}` already in {}", dir.display())
}

/// The sessions that run, by name, with their sockets.
///
/// # Errors
/// When the runtime folder cannot be read.
pub fn alive() -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut alive = BTreeMap::new();
    for dir in folders()? {
        let entries = fs::read_dir(&dir).with_context(|| format!("folder {}", dir.display()))?;
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let is_socket = || fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.file_type().is_socket());
            let is_named = path.extension().is_some_and(|ending| ending == ENDING);
            if is_named
                && is_socket()
                && UnixStream::connect(&path).is_ok()
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                alive.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    Ok(alive)
}

/// The session of that name, or the only one.
///
/// # Errors
/// When there is none, or when there are several to choose from.
pub fn find(name: Option<&str>) -> anyhow::Result<Target> {
    let begin = Instant::now();
    let mut alive = alive()?;
    // Right after a login the runtime folder is new, and sessions look once a second whether they are still in it.
    while name.map_or(alive.is_empty(), |name| !alive.contains_key(name)) && begin.elapsed() < LATE {
        thread::sleep(LATE / 10);
        alive = self::alive()?;
    }
    let names: Vec<&str> = alive.keys().map(String::as_str).collect();
    let name = match (name, names.as_slice()) {
        (Some(name), _) if alive.contains_key(name) => name.to_owned(),
        (_, []) => bail!("no session runs; `wavedeck run CONFIG` starts one"),
        (None, [only]) => (*only).to_owned(),
        (None, _) => bail!("which one? {} run; see `wavedeck sessions`", names.join(", ")),
        (Some(name), _) => bail!("no session `{name}` runs; {}", suggestion(name, names)),
    };
    let path = alive.remove(&name).context("it has just ended")?;
    Ok(Target::Socket { name, path })
}

/// Asks the session at a socket for a page of its port, such as `/api/telemetry`. It takes no notice of that.
///
/// # Errors
/// When it does not answer, or not with what was asked for.
pub fn ask(socket: &Path, page: &str) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {page} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).context("no answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{page}: {}", body.trim());
    serde_json::from_str(body).with_context(|| page.to_owned())
}

/// Where the sessions of this user may be: the folder for new ones first. All are of this user and closed to others.
///
/// A login has `$XDG_RUNTIME_DIR`; a job of cron has not, and a shell by `su` has another's, and yet they look for the same
/// sessions. A folder that is no login's is meant to stand alone.
fn folders() -> anyhow::Result<Vec<PathBuf>> {
    let own = rustix::process::geteuid().as_raw();
    let usual = PathBuf::from(format!("/run/user/{own}"));
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir());
    if let Some(given) = given.filter(|given| !given.starts_with("/run/user")) {
        return Ok(vec![closed(given.join("wavedeck"))?]);
    }
    let in_temp = std::env::temp_dir().join(format!("wavedeck-{own}"));
    let is_own = |dir: &Path| fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() == own);
    if !is_own(&usual) {
        return Ok(vec![closed(in_temp)?]);
    }
    let mut folders = vec![closed(usual.join("wavedeck"))?];
    folders.extend(Some(in_temp).filter(|dir| fs::symlink_metadata(dir).is_ok()).and_then(|dir| closed(dir).ok()));
    Ok(folders)
}

/// Makes a folder that only this user can open, or sees that it is one.
fn closed(dir: PathBuf) -> anyhow::Result<PathBuf> {
    let place = || format!("runtime folder {}", dir.display());
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error).with_context(place),
        _ => {}
    }
    // Anybody can make a folder in /tmp first.
    let found = fs::symlink_metadata(&dir).with_context(place)?;
    let is_own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    ensure!(is_own, "runtime folder {}: it belongs to somebody else", dir.display());
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).with_context(place)?;
    }
    Ok(dir)
}

/// The name as it can stand in a path and on a command line.
fn file_name(name: &str) -> String {
    let sign = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let mut plain = String::new();
    for c in name.trim().chars().map(sign) {
        if plain.len() + c.len_utf8() > LONGEST_NAME {
            break;
        }
        plain.push(c);
    }
    let plain = plain.trim_matches(['-', '.']).to_owned();
    if plain.is_empty() { "session".to_owned() } else { plain }
}

trait WithExtension {
    fn with_extension_added(&self, ending: &str) -> PathBuf;
}

impl WithExtension for PathBuf {
    /// A name may have dots of its own.
    fn with_extension_added(&self, ending: &str) -> PathBuf {
        let mut name = self.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_can_be_typed() {
        assert_eq!(file_name("cyton 8ch / lab 3"), "cyton-8ch---lab-3");
        assert_eq!(file_name("../../etc"), "etc");
        assert_eq!(file_name("Prüfstand 2.0"), "Prüfstand-2.0");
        assert_eq!(file_name(" ... "), "session");
        assert!(file_name(&"ü".repeat(100)).len() <= LONGEST_NAME);
        assert_eq!(PathBuf::from("/run/a.b").with_extension_added(ENDING), PathBuf::from("/run/a.b.sock"));
    }
}
