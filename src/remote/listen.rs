//! Addresses taken before anything runs, so that one that is in use is an error at the start.
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::options::{PortOptions, TOKEN_VARIABLE};

/// Everything that is listened at.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) tcp: Vec<(TcpListener, SocketAddr)>,
    pub(super) unix: Vec<(UnixListener, SocketFile)>,
}

impl Listeners {
    /// Takes all addresses or none.
    pub(super) fn bind(options: &PortOptions) -> anyhow::Result<Self> {
        let mut listeners = Self::default();
        for address in &options.tcp {
            if !address.ip().is_loopback() && options.token.is_none() {
                bail!(
                    "{address} can be reached from other machines, so that clients need a token: give one with \
                     --token-file FILE or in {TOKEN_VARIABLE}, or listen at 127.0.0.1:{}",
                    address.port()
                );
            }
            let place = || format!("cannot listen at {address}");
            let listener = TcpListener::bind(address).with_context(place)?;
            listener.set_nonblocking(true).with_context(place)?;
            let bound = listener.local_addr().with_context(place)?;
            listeners.tcp.push((listener, bound));
        }
        for path in &options.unix {
            listeners.add_socket(path)?;
        }
        Ok(listeners)
    }

    /// Takes one more.
    pub(super) fn add_socket(&mut self, path: &Path) -> anyhow::Result<()> {
        let socket = unix_socket(path).with_context(|| format!("cannot listen at {}", path.display()))?;
        self.unix.push(socket);
        Ok(())
    }

    /// True if another machine can reach one of them.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.tcp.iter().any(|(_, address)| !address.ip().is_loopback())
    }

    /// All of them in words, a line for each.
    pub(super) fn described(&self) -> Vec<String> {
        let tcp = self.tcp.iter().map(|(_, address)| format!("listening at {address}"));
        let unix = self.unix.iter().map(|(_, file)| file.described());
        tcp.chain(unix).collect()
    }
}

/// A socket in the file system; goes with this.
#[derive(Debug)]
pub(super) struct SocketFile {
    pub(super) path: PathBuf,
    /// Which one it is: another program may have put its own in that place.
    id: Option<(u64, u64)>,
}

impl SocketFile {
    fn described(&self) -> String {
        let name = self.path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        format!("`wavedeck attach {name}` opens another screen on this session")
    }

    /// Makes it anew if it has vanished: the runtime folder of a user may go with the last login, and come back, empty,
    /// with the next one. `None` if there is nothing to do, or nothing that can be done now.
    ///
    /// # Errors
    /// When it cannot be made though its folder is there.
    pub(super) fn renew(&mut self) -> anyhow::Result<Option<UnixListener>> {
        let has_vanished =
            std::fs::symlink_metadata(&self.path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let Some(parent) = self.path.parent().filter(|_| has_vanished) else { return Ok(None) };
        if !parent.is_dir() && std::fs::DirBuilder::new().mode(0o700).create(parent).is_err() {
            return Ok(None);
        }
        let (listener, file) = unix_socket(&self.path)?;
        // The number of the old one may be used again: it must not take the new one along.
        self.id = None;
        *self = file;
        Ok(Some(listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id_of(&self.path) == self.id {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of what is there.
fn id_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// A socket that nobody but its owner could open at any moment: made in a closed folder, and put into place when its
/// mode is right.
fn unix_socket(path: &Path) -> anyhow::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let closed = parent.join(format!(".wd{}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&closed).with_context(|| format!("folder {}", closed.display()))?;
    let made = make_socket(&closed.join("s"), path);
    let _ = std::fs::remove_file(closed.join("s"));
    let _ = std::fs::remove_dir(&closed);
    let listener = made?;
    let file = SocketFile { path: path.to_owned(), id: id_of(path) };
    listener.set_nonblocking(true)?;
    Ok((listener, file))
}

fn make_socket(first: &Path, path: &Path) -> anyhow::Result<UnixListener> {
    let listener = UnixListener::bind(first)?;
    std::fs::set_permissions(first, std::fs::Permissions::from_mode(0o600))?;
    renameat_with(CWD, first, CWD, path, RenameFlags::NOREPLACE).context("it exists")?;
    Ok(listener)
}

/// Removes a socket that nobody listens at any more; refuses to touch anything else.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        bail!("there is something that is no socket");
    }
    if UnixStream::connect(path).is_ok() {
        bail!("another program listens there");
    }
    std::fs::remove_file(path).context("a socket that nobody listens at cannot be removed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::options::Token;

    fn at(address: &str) -> PortOptions {
        PortOptions { tcp: vec![address.parse().expect("an address")], ..PortOptions::default() }
    }

    #[test]
    fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound").to_string();
        let error = Listeners::bind(&at(&address)).expect_err("in use");
        let text = format!("{error:#}");
        assert!(text.contains(&address) && text.contains("in use"), "{text}");
    }

    #[test]
    fn other_machines_are_let_in_with_a_token_only() {
        let error = Listeners::bind(&at("0.0.0.0:0")).expect_err("no token");
        assert!(error.to_string().contains("--token-file"), "{error}");
        let token = Some(Token::new("0123456789abcdef").expect("long enough"));
        let listeners = Listeners::bind(&PortOptions { token, ..at("0.0.0.0:0") }).expect("a token");
        assert!(listeners.is_open_to_others());
        assert!(!Listeners::bind(&at("127.0.0.1:0")).expect("loopback").is_open_to_others());
    }

    #[test]
    fn a_socket_is_for_its_owner_only_and_goes_at_the_end() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("deck.sock");
        let options = PortOptions { unix: vec![path.clone()], ..PortOptions::default() };

        let listeners = Listeners::bind(&options).expect("free");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = Listeners::bind(&options).expect_err("taken");
        assert!(format!("{error:#}").contains("another program listens"), "{error:#}");
        assert_eq!(std::fs::read_dir(home.path()).expect("a folder").count(), 1, "nothing else is left");
        drop(listeners);
        assert!(!path.exists());

        // Its folder was cleaned, and somebody else has taken the place when it goes.
        let mut listeners = Listeners::bind(&options).expect("free");
        let file = &mut listeners.unix[0].1;
        assert!(file.renew().expect("nothing to do").is_none());
        std::fs::remove_file(&path).expect("removed");
        drop(file.renew().expect("free").expect("made anew"));
        std::fs::remove_file(&path).expect("it was made");
        let other = UnixListener::bind(&path).expect("free");
        assert!(file.renew().expect("nothing to do").is_none());
        drop(listeners);
        assert!(path.exists(), "it is another's");
        drop(other);

        // Left by a program that was killed.
        std::fs::remove_file(&path).expect("removed");
        drop(UnixListener::bind(&path).expect("free"));
        drop(Listeners::bind(&options).expect("nobody listens there"));

        std::fs::write(&path, "mine").expect("writable");
        let error = Listeners::bind(&options).expect_err("a file");
        assert!(format!("{error:#}").contains("no socket"), "{error:#}");
        assert!(path.exists());
    }
}
