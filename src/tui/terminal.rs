//! The terminal: taken over, read, written to and given back in this one file.
//!
//! It is opened anew by its name, so that reading and writing can be non-blocking without changing that for the
//! shell, and so that a terminal that is stalled or gone holds up nothing.
use std::{
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    panic::PanicHookInfo,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::{Mode, OFlags},
    io::Errno,
    termios::{OptionalActions, QueueSelector, Termios},
};
use signal_hook::{
    SigId,
    consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH},
};

use super::layout::Size;

/// Alternate screen, no cursor, bracketed paste, clean.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J\x1b[H";
/// Presses of buttons and the wheel, with numbers as text.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
/// Everything that may be on is switched off, whoever switched it on.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[0m\x1b[?25h\x1b[?1049l";
/// Time that a stalled terminal is given to take the last bytes.
const PATIENCE: Duration = Duration::from_millis(250);

/// What the panic hook and [`leave`] need; `None` while the terminal is the shell's.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    tty: Arc<OwnedFd>,
    before: Termios,
}

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// A terminal that was taken over; dropping it gives it back.
pub(super) struct Terminal {
    tty: Arc<OwnedFd>,
    wake: UnixStream,
    signals: Vec<SigId>,
    stop_asked: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
    hook_before: Option<Hook>,
    pending: Vec<u8>,
    /// The terminal said that it had room and then took nothing: it is asked again later, not at once.
    is_stuck: bool,
    has_room: bool,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// Bytes can be read.
    pub input: bool,
    /// A signal came.
    pub signal: bool,
    /// The terminal is gone.
    pub hung_up: bool,
}

/// The terminal is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// If standard output is not a terminal, or what the system says.
    pub(super) fn enter() -> io::Result<Self> {
        Self::on(open()?)
    }

    fn on(tty: OwnedFd) -> io::Result<Self> {
        let tty = Arc::new(tty);
        let before = rustix::termios::tcgetattr(&tty)?;
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (stop_asked, continued) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut signals = vec![
            signal_hook::flag::register(SIGTSTP, stop_asked.clone())?,
            signal_hook::flag::register(SIGCONT, continued.clone())?,
        ];
        for signal in [SIGTSTP, SIGCONT, SIGWINCH, SIGHUP, SIGINT, SIGTERM] {
            signals.push(signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?);
        }
        take(&tty, before)?;
        let hook_before = Some(watch_panics());
        Ok(Self {
            tty,
            wake,
            signals,
            stop_asked,
            continued,
            hook_before,
            pending: Vec::new(),
            is_stuck: false,
            has_room: false,
        })
    }

    /// Size of the screen.
    pub(super) fn size(&self) -> Size {
        match rustix::termios::tcgetwinsize(&self.tty) {
            // A terminal that does not know its size is taken for a common one.
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size { width: size.ws_col, height: size.ws_row },
            _ => Size { width: 80, height: 24 },
        }
    }

    /// Waits for input, a signal, room for what is pending, or the time to pass; costs nothing meanwhile.
    pub(super) fn wait(&mut self, at_most: Duration) -> Ready {
        let wants_room = !self.pending.is_empty() && !self.is_stuck;
        let interest = if wants_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [PollFd::new(&self.tty, interest), PollFd::new(&self.wake, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(3600),
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        if rustix::event::poll(&mut fds, Some(&timeout)).is_err() {
            // Interrupted by a signal, most likely.
            return Ready { signal: true, ..Ready::default() };
        }
        let (tty, wake) = (fds[0].revents(), fds[1].revents());
        self.has_room = tty.contains(PollFlags::OUT);
        let hung_up = tty.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        let signal = wake.contains(PollFlags::IN);
        if signal {
            let mut sink = [0; 64];
            while matches!((&self.wake).read(&mut sink), Ok(1..)) {}
        }
        Ready { input: tty.contains(PollFlags::IN), signal, hung_up }
    }

    /// Reads what has been typed.
    ///
    /// # Errors
    /// [`Gone`] at the end of input or when the terminal does not answer any more.
    pub(super) fn read(&self) -> Result<Vec<u8>, Gone> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 1024];
        // A flood of input waits for the next turn.
        while bytes.len() < 16 << 10 {
            match rustix::io::read(&self.tty, &mut chunk) {
                Ok(0) => return Err(Gone),
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
        Ok(bytes)
    }

    /// Asks for clicks and turns of the wheel.
    pub(super) fn listen_to_mouse(&self) {
        write_patiently(&self.tty, MOUSE);
    }

    /// True if everything was taken by the terminal: the next frame can be made.
    pub(super) fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    /// Hands bytes to the terminal; what it does not take at once stays pending.
    ///
    /// # Errors
    /// [`Gone`] when the terminal does not answer any more.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.pending.extend_from_slice(bytes);
        self.push()
    }

    /// Hands on what is pending. Never waits.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub(super) fn push(&mut self) -> Result<(), Gone> {
        let had_room = std::mem::take(&mut self.has_room);
        let mut has_taken = false;
        while !self.pending.is_empty() {
            match rustix::io::write(&self.tty, &self.pending) {
                // A full pseudo-terminal takes nothing and calls that a success.
                Ok(0) | Err(Errno::AGAIN) => {
                    self.is_stuck |= had_room && !has_taken;
                    return Ok(());
                }
                Ok(count) => {
                    self.pending.drain(..count);
                    (has_taken, self.is_stuck) = (true, false);
                }
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    /// True once after someone asked for the process to stop, as `kill -TSTP` does.
    pub(super) fn stop_was_asked(&self) -> bool {
        self.stop_asked.swap(false, Ordering::Relaxed)
    }

    /// True once after the process was continued: the screen may be anything.
    pub(super) fn was_continued(&self) -> bool {
        self.continued.swap(false, Ordering::Relaxed)
    }

    /// Gives the terminal back and stops the process; takes it again when the process is continued.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn stop_process(&mut self) -> io::Result<()> {
        leave();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        self.retake()
    }

    /// Takes the terminal over again after something else had it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        self.pending.clear();
        let before = match TAKEN.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(taken) => taken.before,
            None => rustix::termios::tcgetattr(&self.tty)?,
        };
        take(&self.tty, before)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            // The end of a half-sent sequence first, or it would swallow the beginning of the next.
            write_patiently(&self.tty, &std::mem::take(&mut self.pending));
        }
        leave();
        for signal in self.signals.drain(..) {
            signal_hook::low_level::unregister(signal);
        }
        // A hook cannot be changed while panicking.
        if let (Some(before), false) = (self.hook_before.take(), std::thread::panicking()) {
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// Gives the terminal back as it was; does nothing if it has been given back.
pub(super) fn leave() {
    // A panic may strike while the lock is held: then someone is leaving already.
    let Ok(mut taken) = TAKEN.try_lock() else { return };
    if let Some(Taken { tty, before }) = taken.take() {
        if !write_patiently(&tty, LEAVE) {
            // Nobody reads. What waits in the terminal is of no use any more, and would hold up whoever writes next.
            let _ = rustix::termios::tcflush(&tty, QueueSelector::OFlush);
            write_patiently(&tty, LEAVE);
        }
        // `Drain` would wait for ever for a terminal that is stalled.
        let _ = rustix::termios::tcsetattr(&tty, OptionalActions::Now, &before);
    }
}

fn take(tty: &Arc<OwnedFd>, before: Termios) -> io::Result<()> {
    let mut raw = before.clone();
    raw.make_raw();
    rustix::termios::tcsetattr(tty, OptionalActions::Now, &raw)?;
    *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(Taken { tty: tty.clone(), before });
    write_patiently(tty, ENTER);
    Ok(())
}

fn open() -> io::Result<OwnedFd> {
    let output = rustix::stdio::stdout();
    if !rustix::termios::isatty(output) {
        return Err(io::Error::other("standard output is not a terminal: add --headless to run without one"));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let by_name = rustix::termios::ttyname(output, Vec::new());
    let opened = by_name.and_then(|name| rustix::fs::open(name, flags, Mode::empty()));
    match opened.or_else(|_| rustix::fs::open("/dev/tty", flags, Mode::empty())) {
        Ok(tty) => Ok(tty),
        // After `su` the terminal may belong to someone else: then the shell's own end must do.
        Err(_) => Ok(OwnedFd::from(File::from(output.try_clone_to_owned()?))),
    }
}

/// Writes until all is written, the terminal is gone, or patience ends; true unless patience ended.
fn write_patiently(tty: &OwnedFd, bytes: &[u8]) -> bool {
    let until = Instant::now() + PATIENCE;
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(tty, rest) {
            Ok(0) | Err(Errno::AGAIN) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            Ok(0) | Err(Errno::AGAIN) => return false,
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            Err(_) => return true,
        }
    }
    true
}

/// Panics of this thread give the terminal back before they are told. Those of others are caught where they
/// happen and go to the log: written to the terminal they would tear the screen.
fn watch_panics() -> Hook {
    let before: Hook = Arc::from(std::panic::take_hook());
    let inner = before.clone();
    let screen: ThreadId = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == screen {
            leave();
            inner(info);
        } else if TAKEN.try_lock().is_ok_and(|taken| taken.is_none()) {
            inner(info);
        } else {
            tracing::error!(thread = std::thread::current().name(), "{info}");
        }
    }));
    before
}

#[cfg(test)]
#[path = "terminal_tests.rs"]
mod tests;
