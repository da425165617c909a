//! The sessions of this user on this machine: each listens at a socket of its name in the runtime folder.
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
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
/// Most bytes of an answer.
const LONGEST_ANSWER: u64 = 16 << 20;
/// Characters of a name: the path of a socket has 107 bytes at most.
const LONGEST_NAME: usize = 40;

/// Listens at a socket named after the session; the name that it got, since another one may have it already.
///
/// # Errors
/// When the runtime folder cannot be used.
pub fn publish(bound: &mut Bound, name: &str) -> anyhow::Result<String> {
    let (dir, wanted) = (folder()?, file_name(name));
    for number in 1..=MOST_OF_A_NAME {
        let name = if number == 1 { wanted.clone() } else { format!("{wanted}-{number}") };
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

/// Names of the sessions that run, in order.
///
/// # Errors
/// When the runtime folder cannot be read.
pub fn list() -> anyhow::Result<Vec<String>> {
    let dir = folder()?;
    let entries = fs::read_dir(&dir).with_context(|| format!("folder {}", dir.display()))?;
    let is_alive = |path: &Path| {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
        is_socket && UnixStream::connect(path).is_ok()
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let sockets = paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING) && is_alive(path));
    let mut names: Vec<String> = sockets.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort_unstable();
    Ok(names)
}

/// The session of that name, or the only one.
///
/// # Errors
/// When there is none, or when there are several to choose from.
pub fn find(name: Option<&str>) -> anyhow::Result<Target> {
    let names = list()?;
    let name = match (name, names.as_slice()) {
        (Some(name), _) if names.iter().any(|known| known == name) => name.to_owned(),
        (_, []) => bail!("no session runs; `wavedeck run CONFIG` starts one"),
        (None, [only]) => only.clone(),
        (None, _) => bail!("which one? {} run; see `wavedeck sessions`", names.join(", ")),
        (Some(name), _) => bail!("no session `{name}` runs; {}", suggestion(name, names.iter().map(String::as_str))),
    };
    let path = folder()?.join(&name).with_extension_added(ENDING);
    Ok(Target::Socket { name, path })
}

/// Asks a session of this machine for a page of its port, such as `/api/telemetry`. It takes no notice of that.
///
/// # Errors
/// When it does not answer, or not with what was asked for.
pub fn ask(name: &str, page: &str) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(folder()?.join(name).with_extension_added(ENDING))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {page} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer).context("no answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{page}: {}", body.trim());
    serde_json::from_str(body).with_context(|| page.to_owned())
}

/// `$XDG_RUNTIME_DIR/wavedeck`, else `/tmp/wavedeck-UID`: of this user and closed to all others.
fn folder() -> anyhow::Result<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute() && dir.is_dir());
    let dir = match runtime {
        Some(runtime) => runtime.join("wavedeck"),
        None => std::env::temp_dir().join(format!("wavedeck-{own}")),
    };
    let place = || format!("runtime folder {}", dir.display());
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error).with_context(place),
        _ => {}
    }
    // Anybody can make a folder in /tmp first.
    let found = fs::symlink_metadata(&dir).with_context(place)?;
    ensure!(found.is_dir() && found.uid() == own, "runtime folder {}: it belongs to somebody else", dir.display());
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
