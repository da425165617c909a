//! The pseudo-terminal of an emulated device and the symbolic link under which it is found.
use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::{Mode, OFlags},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// Bytes of replies that wait for the host to read; more are dropped, as by an adaptor.
const MOST_WAITING: usize = 4096;

/// How much of a frame was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    /// The rest waits and goes before anything else.
    Part,
    Nothing,
}

/// A terminal pair: the emulator writes to one end, the host opens the other by the link.
pub(super) struct Pty {
    device: OwnedFd,
    /// Kept open so that the terminal survives the host closing it.
    host: OwnedFd,
    waiting: VecDeque<u8>,
    link: Link,
}

impl Pty {
    /// Opens a terminal pair in raw mode and makes the link.
    ///
    /// # Errors
    /// When the system has no terminal to give, or `link` is a file or lies in no folder.
    pub(super) fn open(link: &Path) -> anyhow::Result<Self> {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .context("the system gives no pseudo-terminal")?;
        grantpt(&device).context("the pseudo-terminal cannot be granted")?;
        unlockpt(&device).context("the pseudo-terminal cannot be unlocked")?;
        let name = ptsname(&device, Vec::new()).context("the pseudo-terminal has no name")?;
        let name = name.into_string().context("the pseudo-terminal has a strange name")?;
        let host = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("{name} cannot be opened"))?;
        // Raw, or the terminal would echo frames back as commands.
        let mut settings = tcgetattr(&host).with_context(|| format!("{name} has no terminal settings"))?;
        settings.make_raw();
        tcsetattr(&host, OptionalActions::Now, &settings).with_context(|| format!("{name} cannot be set raw"))?;
        rustix::io::ioctl_fionbio(&device, true).context("the pseudo-terminal cannot be set non-blocking")?;
        let link = Link::create(link, &name)?;
        Ok(Self { device, host, waiting: VecDeque::new(), link })
    }

    /// Path of the terminal itself.
    pub(super) fn name(&self) -> &str {
        &self.link.target
    }

    /// Reads what the host wrote; 0 if nothing.
    pub(super) fn read(&self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        match rustix::io::read(&self.device, buffer) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error).context("the pseudo-terminal cannot be read"),
        }
    }

    /// Writes a frame if nothing waits before it.
    pub(super) fn send(&mut self, frame: &[u8]) -> anyhow::Result<Sent> {
        if !self.flush()? {
            return Ok(Sent::Nothing);
        }
        let count = self.write(frame)?;
        self.waiting.extend(if count == 0 { &[] } else { &frame[count..] });
        Ok(match count {
            0 => Sent::Nothing,
            _ if count == frame.len() => Sent::Whole,
            _ => Sent::Part,
        })
    }

    /// Writes a text, behind what waits.
    pub(super) fn reply(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let room = MOST_WAITING.saturating_sub(self.waiting.len());
        self.waiting.extend(&text[..text.len().min(room)]);
        self.flush().map(drop)
    }

    /// Writes what waits; true if nothing does any more.
    pub(super) fn flush(&mut self) -> anyhow::Result<bool> {
        while !self.waiting.is_empty() {
            let count = self.write(self.waiting.as_slices().0)?;
            if count == 0 {
                return Ok(false);
            }
            self.waiting.drain(..count);
        }
        Ok(true)
    }

    /// True if there is nothing to read for the host. While it reads, this can be so for a moment between two blocks.
    pub(super) fn is_fetched(&self) -> anyhow::Result<bool> {
        let unread = rustix::io::ioctl_fionread(&self.host).context("the pseudo-terminal cannot be asked")?;
        Ok(self.waiting.is_empty() && unread == 0)
    }

    /// Waits until the host writes, or `limit` has passed.
    pub(super) fn wait(&self, limit: Duration) -> anyhow::Result<()> {
        let limit = Timespec::try_from(limit).context("a wait is short")?;
        match poll(&mut [PollFd::new(&self.device, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("the pseudo-terminal cannot be waited for"),
        }
    }

    fn write(&self, bytes: &[u8]) -> anyhow::Result<usize> {
        match rustix::io::write(&self.device, bytes) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error).context("the pseudo-terminal cannot be written to"),
        }
    }
}

/// A symbolic link that goes when it is dropped.
struct Link {
    path: PathBuf,
    target: String,
}

impl Link {
    fn create(path: &Path, target: &str) -> anyhow::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_symlink() => {
                bail!("{} exists and is not a symbolic link: it will not be replaced", path.display())
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be looked at", path.display()));
            }
            _ => {}
        }
        // Renamed into place, so that a host that looks meanwhile finds the old link or the new one.
        let mut temporary = path.to_path_buf().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let made = symlink(target, &temporary).and_then(|()| fs::rename(&temporary, path));
        if let Err(error) = made {
            let _ = fs::remove_file(&temporary);
            return Err(error).with_context(|| format!("the link {} cannot be made", path.display()));
        }
        Ok(Self { path: path.to_path_buf(), target: target.into() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Another emulator may have taken the place.
        if fs::read_link(&self.path).is_ok_and(|target| target == Path::new(&self.target)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_replaces_a_link_and_is_gone_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cyton");
        symlink("/nowhere", &path).expect("a link");

        let pty = Pty::open(&path).expect("a terminal");
        assert_eq!(fs::read_link(&path).expect("a link"), Path::new(pty.name()));

        drop(pty);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_file_in_the_place_of_the_link_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("precious.csv");
        fs::write(&path, "1,2,3").expect("a file");

        let error = Pty::open(&path).err().expect("refused").to_string();

        assert!(error.ends_with("precious.csv exists and is not a symbolic link: it will not be replaced"), "{error}");
        assert_eq!(fs::read(&path).expect("a file"), b"1,2,3");
    }

    #[test]
    fn a_link_in_no_folder_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Pty::open(&folder.path().join("none/cyton")).err().expect("refused").to_string();
        assert!(error.contains("none/cyton"), "{error}");
    }

    #[test]
    fn a_link_that_another_took_over_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cyton");
        let first = Pty::open(&path).expect("a terminal");
        let second = Pty::open(&path).expect("a terminal");

        drop(first);

        assert_eq!(fs::read_link(&path).expect("a link"), Path::new(second.name()));
    }

    #[test]
    fn a_host_that_does_not_read_gets_whole_frames_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut pty = Pty::open(&folder.path().join("cyton")).expect("a terminal");
        let (mut wholes, mut parts, mut dropped) = (0, 0, 0);
        for _ in 0..5000 {
            match pty.send(&[7; 33]).expect("a terminal") {
                Sent::Whole => wholes += 1,
                Sent::Part => parts += 1,
                Sent::Nothing => dropped += 1,
            }
        }
        assert!(wholes > 0 && dropped > 0, "{wholes} {parts} {dropped}");

        // The host wakes up: it finds whole frames once the rest of the last one is written.
        let mut read = 0;
        let mut buffer = [0; 4096];
        while read < 33 * (wholes + parts) {
            read += rustix::io::read(&pty.host, &mut buffer).expect("bytes");
            pty.flush().expect("a terminal");
        }
        assert_eq!(read, 33 * (wholes + parts));
        assert!(pty.is_fetched().expect("a terminal"));
    }
}
