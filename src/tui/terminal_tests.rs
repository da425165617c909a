use std::sync::MutexGuard;

use rustix::{
    pty::OpenptFlags,
    termios::{LocalModes, Winsize},
};

use super::*;

/// There is one terminal per process, and one panic hook.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The far end of a pseudo-terminal, as a terminal program holds it.
struct Far {
    end: OwnedFd,
    near: OwnedFd,
    _turn: MutexGuard<'static, ()>,
}

impl Far {
    fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let end = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        rustix::pty::grantpt(&end).expect("a pseudo-terminal");
        rustix::pty::unlockpt(&end).expect("a pseudo-terminal");
        let size = Winsize { ws_col: 90, ws_row: 30, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&end, size).expect("a size");
        let near = open_near(&end);
        Self { end, near, _turn: turn }
    }

    fn terminal(&self) -> Terminal {
        Terminal::on(open_near(&self.end)).expect("a terminal")
    }

    /// Everything that was written so far.
    fn seen(&self) -> Vec<u8> {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        let mut fds = [PollFd::new(&self.end, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        while rustix::event::poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0) {
            let Ok(count @ 1..) = rustix::io::read(&self.end, &mut chunk) else { break };
            seen.extend_from_slice(&chunk[..count]);
            fds = [PollFd::new(&self.end, PollFlags::IN)];
        }
        seen
    }

    fn echoes(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&self.near).expect("modes");
        modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

fn open_near(end: &OwnedFd) -> OwnedFd {
    let name = rustix::pty::ptsname(end, Vec::new()).expect("a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(name, flags, Mode::empty()).expect("the near end")
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_terminal_is_given_back_as_it_was() {
    let far = Far::new();
    assert!(far.echoes());

    let terminal = far.terminal();
    assert_eq!(terminal.size(), Size { width: 90, height: 30 });
    assert!(has(&far.seen(), ENTER) && !far.echoes());
    drop(terminal);

    assert!(has(&far.seen(), LEAVE) && far.echoes());
}

#[test]
fn giving_back_twice_does_it_once() {
    let far = Far::new();
    let terminal = far.terminal();
    leave();
    assert!(has(&far.seen(), LEAVE));
    leave();
    drop(terminal);
    assert!(!has(&far.seen(), LEAVE) && far.echoes());
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let far = Far::new();
    let terminal = far.terminal();
    far.seen();

    let outcome = std::panic::catch_unwind(|| panic!("made for a test"));

    assert!(outcome.is_err());
    assert!(has(&far.seen(), LEAVE) && far.echoes());
    drop(terminal);
}

#[test]
fn a_panic_of_another_thread_leaves_the_screen_alone() {
    let far = Far::new();
    let terminal = far.terminal();
    far.seen();

    let outcome = std::thread::spawn(|| panic!("made for a test")).join();

    assert!(outcome.is_err());
    assert!(far.seen().is_empty() && !far.echoes());
    drop(terminal);
}

#[test]
fn keys_come_through_one_by_one() {
    let far = Far::new();
    let mut terminal = far.terminal();
    rustix::io::write(&far.end, b"q\x03").expect("room");
    let ready = terminal.wait(Duration::from_secs(10));
    assert!(ready.input && !ready.hung_up);
    assert_eq!(terminal.read(), Ok(b"q\x03".to_vec()));
    assert_eq!(terminal.read(), Ok(Vec::new()));
}

#[test]
fn a_terminal_that_vanishes_is_noticed_and_harms_nothing() {
    let Far { end, near, _turn } = Far::new();
    let mut terminal = Terminal::on(open_near(&end)).expect("a terminal");
    drop(end);

    assert!(terminal.wait(Duration::from_secs(10)).hung_up);
    assert_eq!(terminal.read(), Err(Gone));
    assert_eq!(terminal.write(b"x"), Err(Gone));
    drop(terminal);
    drop(near);
}

#[test]
fn a_terminal_that_nobody_reads_holds_up_nothing() {
    let far = Far::new();
    let mut terminal = far.terminal();
    let much = vec![b'x'; 1 << 20];

    assert_eq!(terminal.write(&much), Ok(()));
    assert!(!terminal.is_clear());
    assert_eq!(terminal.push(), Ok(()));
    drop(terminal);

    assert!(far.echoes());
    assert!(has(&far.seen(), LEAVE), "what nobody read made room for giving the terminal back");
}

#[test]
fn a_signal_ends_the_wait() {
    let far = Far::new();
    let mut terminal = far.terminal();
    signal_hook::low_level::raise(SIGWINCH).expect("a signal to oneself");
    let began = terminal.wait(Duration::from_secs(600));
    assert!(began.signal && !began.input);
}
