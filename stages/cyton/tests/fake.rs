//! A board that answers commands on a pseudo-terminal and sends what a test tells it to.
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::cyton::frame::{FRAME_CHANNELS, FRAME_LEN};

/// Longest wait for a command.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a board behaves.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::cyton) enum Kind {
    Cyton,
    Daisy,
    /// Answers, but refuses every setting.
    Stubborn,
    /// Never says anything.
    Mute,
    /// Says back what it hears.
    Parrot,
}

/// Counts of one frame, different for every sample and channel, with border bytes among them.
pub(in crate::cyton) fn counts(sample: u64) -> [i32; FRAME_CHANNELS] {
    std::array::from_fn(|channel| (sample as i32) * 1000 - 0x0A_0000 + (channel as i32) * 0x0C_00A0)
}

pub(in crate::cyton) fn frame(sample: u64) -> [u8; FRAME_LEN] {
    let mut bytes = [0; FRAME_LEN];
    (bytes[0], bytes[1], bytes[32]) = (0xA0, sample as u8, 0xC0);
    for (channel, count) in counts(sample).iter().enumerate() {
        bytes[2 + 3 * channel..5 + 3 * channel].copy_from_slice(&count.to_be_bytes()[1..]);
    }
    bytes
}

/// A board, plugged in or not, always under the same path.
pub(in crate::cyton) struct FakeBoard {
    kind: Kind,
    folder: tempfile::TempDir,
    path: PathBuf,
    plug: Option<Plug>,
}

struct Plug {
    device: Arc<OwnedFd>,
    /// Keeps the terminal alive when the stage closes it.
    _host: OwnedFd,
    heard: Arc<(Mutex<Vec<u8>>, Condvar)>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeBoard {
    pub(in crate::cyton) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cyton");
        let mut board = Self { kind, folder, path, plug: None };
        board.plug_in();
        board
    }

    pub(in crate::cyton) fn path(&self) -> &Path {
        &self.path
    }

    pub(in crate::cyton) fn plug_in(&mut self) {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&device).expect("a terminal");
        unlockpt(&device).expect("a terminal");
        let name = ptsname(&device, Vec::new()).expect("a name");
        let host = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
        let new = self.folder.path().join("new");
        symlink(name.to_str().expect("a plain name"), &new).expect("a link");
        std::fs::rename(&new, &self.path).expect("a link");
        let (device, heard, ends) = (Arc::new(device), Arc::default(), Arc::default());
        let mut plug = Plug { device, _host: host.expect("a terminal"), heard, ends, thread: None };
        plug.thread = Some(plug.listen(self.kind));
        self.plug = Some(plug);
    }

    pub(in crate::cyton) fn unplug(&mut self) {
        self.plug = None;
    }

    pub(in crate::cyton) fn send(&self, bytes: impl IntoIterator<Item = u8>) {
        let bytes: Vec<u8> = bytes.into_iter().collect();
        say(&self.plug().device, &bytes);
    }

    /// Everything the board was told since it was plugged in.
    pub(in crate::cyton) fn commands(&self) -> String {
        String::from_utf8(self.plug().heard.0.lock().expect("no panic").clone()).expect("plain commands")
    }

    /// Waits until the commands end in `end`.
    pub(in crate::cyton) fn wait_for(&self, end: &str) {
        let (heard, rings) = &*self.plug().heard;
        let waiting = rings
            .wait_timeout_while(heard.lock().expect("no panic"), PATIENCE, |heard| !heard.ends_with(end.as_bytes()));
        assert!(!waiting.expect("no panic").1.timed_out(), "the board was told only `{}`", self.commands());
    }

    fn plug(&self) -> &Plug {
        self.plug.as_ref().expect("it is plugged in")
    }
}

impl Plug {
    fn listen(&self, kind: Kind) -> JoinHandle<()> {
        let (device, heard, ends) = (self.device.clone(), self.heard.clone(), self.ends.clone());
        std::thread::spawn(move || {
            let mut setting = Vec::new();
            while !ends.load(Ordering::Relaxed) {
                let wait = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                let ready = poll(&mut [PollFd::new(&*device, PollFlags::IN)], Some(&wait)).unwrap_or(0);
                let mut commands = [0; 64];
                let count = if ready > 0 { rustix::io::read(&*device, &mut commands).unwrap_or(0) } else { 0 };
                for &command in &commands[..count] {
                    // Answers first: whoever waits for a command knows that it was answered.
                    say(&device, &answer(kind, command, &mut setting));
                    heard.0.lock().expect("no panic").push(command);
                    heard.1.notify_all();
                }
            }
        })
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
    }
}

fn say(device: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = rustix::io::write(device, bytes).expect("the terminal takes bytes");
        bytes = &bytes[count..];
    }
}

fn answer(kind: Kind, command: u8, setting: &mut Vec<u8>) -> Vec<u8> {
    if kind == Kind::Mute {
        return Vec::new();
    }
    if kind == Kind::Parrot {
        return vec![command; 3];
    }
    if command == b'x' || !setting.is_empty() {
        setting.push(command);
        if command != b'X' {
            return Vec::new();
        }
        setting.clear();
        let text = if kind == Kind::Stubborn { "Failure: too few chars" } else { "Channel set for 1" };
        return format!("{text}$$$").into_bytes();
    }
    let text = match (command, kind) {
        (b'v', Kind::Daisy) => "OpenBCI V3 8-16 channel\nOn Daisy ADS1299 Device ID: 0x3E\n$$$",
        (b'v', _) => "OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\nFirmware: v3.1.2\n$$$",
        (b'C', Kind::Daisy) => "16$$$",
        (b'C', _) => "no daisy to attach!8$$$",
        (b'c', _) => "daisy removed$$$",
        (b'0' | b'-' | b'=' | b'p' | b'[' | b']', _) => "Configured internal test signal.$$$",
        _ => "",
    };
    text.into()
}
