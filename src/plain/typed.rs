//! Lines that are typed, read in a thread of their own.
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::BorrowedFd,
    io::Errno,
};

/// Longest command in bytes; what is longer is cut.
const MAX_COMMAND: usize = 4096;
/// Time between two looks at a terminal that belongs to another program now.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What was typed, line by line.
pub(super) struct Typed {
    lines: Receiver<String>,
    /// The end of what is typed is not the end of the session: the channel stays open.
    _sender: Sender<String>,
}

impl Typed {
    /// Begins to read standard input.
    pub(super) fn begin() -> Self {
        let (sender, lines) = channel();
        let for_reader = sender.clone();
        let read = move || read(rustix::stdio::stdin(), &for_reader);
        if let Err(error) = thread::Builder::new().name("commands".into()).spawn(read) {
            tracing::warn!(%error, "no commands can be typed");
        }
        Self { lines, _sender: sender }
    }

    /// The next line, if there is one within this time.
    pub(super) fn within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }
}

/// Reads until the end of the input or of the session.
fn read(input: BorrowedFd<'_>, sender: &Sender<String>) {
    let (mut splitter, mut chunk) = (Splitter::default(), [0; MAX_COMMAND]);
    let tell = |lines: Vec<String>| lines.into_iter().all(|line| sender.send(line).is_ok());
    loop {
        // A program in the background that reads its terminal is stopped, and what it records with it.
        if is_of_another(input) {
            thread::sleep(PAUSE);
            continue;
        }
        match rustix::event::poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&PATIENCE)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) if is_of_another(input) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        match rustix::io::read(input, &mut chunk) {
            Ok(0) => {
                tell(splitter.end());
                return;
            }
            Ok(count) if tell(splitter.feed(&chunk[..count])) => {}
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// True for a terminal in front of which another program is.
fn is_of_another(input: BorrowedFd<'_>) -> bool {
    rustix::termios::tcgetpgrp(input).is_ok_and(|group| group != rustix::process::getpgrp())
}

/// Bytes to lines.
#[derive(Default)]
struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => lines.extend(self.end()),
                _ if self.rest.len() < MAX_COMMAND => self.rest.push(*byte),
                _ => {}
            }
        }
        lines
    }

    /// What stands behind the last line.
    fn end(&mut self) -> Vec<String> {
        let line = String::from_utf8_lossy(&self.rest).trim().to_owned();
        self.rest.clear();
        if line.is_empty() { Vec::new() } else { vec![line] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_however_they_come() {
        let mut splitter = Splitter::default();
        assert!(splitter.feed(b"rec").is_empty());
        assert_eq!(splitter.feed(b"ord\r\n\n  mark  a b \nfin"), ["record", "mark  a b"]);
        assert_eq!(splitter.end(), ["fin"]);
        assert!(splitter.end().is_empty());
    }

    #[test]
    fn what_is_too_long_or_no_text_does_no_harm() {
        let mut splitter = Splitter::default();
        assert!(splitter.feed(&[b'x'; 3 * MAX_COMMAND]).is_empty());
        let lines = splitter.feed(b"\n\xff\xfe\n");
        assert_eq!((lines[0].len(), lines[1].as_str()), (MAX_COMMAND, "\u{fffd}\u{fffd}"));
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        let (near, mut far) = std::io::pipe().expect("a pipe");
        let (sender, lines) = channel();
        std::io::Write::write_all(&mut far, b"one\ntwo").expect("room");
        drop(far);
        read(std::os::fd::AsFd::as_fd(&near), &sender);
        drop(sender);
        assert_eq!(lines.iter().collect::<Vec<_>>(), ["one", "two"]);
    }
}
