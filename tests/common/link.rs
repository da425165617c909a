//! The program on a pseudo-terminal at the far end of a link: so slow, so long, with a terminal that answers or not.
//! The link swallows whatever it is given and delivers it later, as one with large buffers on its way does.
#![allow(dead_code, reason = "each user needs its own part")]

use std::{
    io::{Read, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// What a link is like.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Bytes per second towards the terminal; without a limit if `None`.
    pub(crate) bytes_per_s: Option<f64>,
    /// From one end to the other and back.
    pub(crate) round_trip: Duration,
    /// Whether the terminal tells where its cursor is when asked.
    pub(crate) answers: bool,
}

/// A terminal at hand.
pub(crate) const LOCAL: Kind = Kind { bytes_per_s: None, round_trip: Duration::ZERO, answers: true };
/// A poor mobile network.
pub(crate) const SLOW: Kind = Kind { bytes_per_s: Some(30e3), round_trip: Duration::from_millis(80), answers: true };

/// Largest piece that is delivered at once, so that a slow link trickles.
const PIECE: usize = 256;
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// A terminal with the program in it, far away.
pub(crate) struct Link {
    seen: Arc<Mutex<Seen>>,
    upstream: Sender<(Instant, Vec<u8>)>,
    _master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
}

/// What has come out at the terminal.
struct Seen {
    parser: vt100::Parser<Answers>,
    bytes: u64,
    frames: u64,
    /// Longest time that a piece was on its way.
    worst_delay: Duration,
    watch: Option<(&'static [u8], Option<Instant>)>,
    tail: Vec<u8>,
}

/// Answers of the terminal that are yet to be sent.
struct Answers {
    answers: bool,
    waiting: Vec<u8>,
}

impl vt100::Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        numbers: &[&[u16]],
        last: char,
    ) {
        if self.answers && (first, numbers, last) == (None, &[&[6_u16][..]][..], 'n') {
            let (row, column) = screen.cursor_position();
            self.waiting.extend(format!("\x1b[{};{}R", row + 1, column + 1).bytes());
        }
    }
}

impl Link {
    /// Starts the program at one end of a link.
    pub(crate) fn start(kind: Kind, home: &Path, columns: u16, rows: u16, args: &[&str]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_wavedeck"));
        command.args(args);
        command.cwd(home);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")] {
            command.env(name, value);
        }
        command.env("XDG_STATE_HOME", home);
        command.env_remove("NO_COLOR");
        command.env_remove("COLORTERM");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let (downstream, arriving) = channel();
        let (upstream, leaving) = channel();
        let answers = Answers { answers: kind.answers, waiting: Vec::new() };
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new_with_callbacks(rows, columns, 0, answers),
            bytes: 0,
            frames: 0,
            worst_delay: Duration::ZERO,
            watch: None,
            tail: Vec::new(),
        }));
        let reader = pair.master.try_clone_reader().expect("the pty can be read");
        let writer = pair.master.take_writer().expect("the pty can be written");
        thread::spawn(move || swallow(reader, &downstream));
        let (shared, answer) = (seen.clone(), upstream.clone());
        thread::spawn(move || deliver(kind, &arriving, &shared, &answer));
        thread::spawn(move || type_in(kind, &leaving, writer));
        Self { seen, upstream, _master: pair.master, child }
    }

    /// Types at the terminal.
    pub(crate) fn press(&self, keys: &str) {
        self.upstream.send((Instant::now(), keys.as_bytes().to_vec())).expect("the link is up");
    }

    /// Types, and tells how long it took until bytes came that say so; `None` if they did not within `limit`.
    pub(crate) fn time_to_see(&self, keys: &str, sign: &'static [u8], limit: Duration) -> Option<Duration> {
        self.with(|seen| {
            seen.tail.clear();
            seen.watch = Some((sign, None));
        });
        let pressed = Instant::now();
        self.press(keys);
        while pressed.elapsed() < limit {
            if let Some((_, Some(at))) = self.with(|seen| seen.watch) {
                return Some(at - pressed);
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Waits until a text is on the screen.
    pub(crate) fn wait_for(&self, part: &str) {
        let begin = Instant::now();
        while !self.text().contains(part) {
            assert!(begin.elapsed() < Duration::from_secs(60), "`{part}` is not on the screen:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is on the screen.
    pub(crate) fn text(&self) -> String {
        self.with(|seen| seen.parser.screen().contents())
    }

    /// Bytes and frames delivered so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.with(|seen| (seen.bytes, seen.frames))
    }

    /// The longest that anything was on its way since the last call.
    pub(crate) fn take_worst_delay(&self) -> Duration {
        self.with(|seen| std::mem::take(&mut seen.worst_delay))
    }

    /// From now on the terminal does not answer any more.
    pub(crate) fn mute(&self) {
        self.with(|seen| seen.parser.callbacks_mut().answers = false);
    }

    /// True while the program runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Process of the program.
    pub(crate) fn process(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }

    fn with<R>(&self, look: impl FnOnce(&mut Seen) -> R) -> R {
        look(&mut self.seen.lock().expect("no panic"))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn swallow(mut reader: Box<dyn Read + Send>, downstream: &Sender<(Instant, Vec<u8>)>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = reader.read(&mut bytes) {
        if downstream.send((Instant::now(), bytes[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn deliver(
    kind: Kind,
    arriving: &Receiver<(Instant, Vec<u8>)>,
    seen: &Mutex<Seen>,
    answer: &Sender<(Instant, Vec<u8>)>,
) {
    let mut is_free = Instant::now();
    for (sent, bytes) in arriving {
        let piece = if kind.bytes_per_s.is_some() { PIECE } else { bytes.len() };
        for bytes in bytes.chunks(piece) {
            let takes = kind.bytes_per_s.map_or(0.0, |rate| bytes.len() as f64 / rate);
            is_free = is_free.max(sent) + Duration::from_secs_f64(takes);
            sleep_until(is_free + kind.round_trip / 2);
            let mut seen = seen.lock().expect("no panic");
            seen.take(sent, bytes);
            let answers = std::mem::take(&mut seen.parser.callbacks_mut().waiting);
            if !answers.is_empty() && answer.send((Instant::now(), answers)).is_err() {
                return;
            }
        }
    }
}

impl Seen {
    fn take(&mut self, sent: Instant, bytes: &[u8]) {
        let now = Instant::now();
        self.parser.process(bytes);
        self.bytes += bytes.len() as u64;
        self.worst_delay = self.worst_delay.max(now - sent);
        // A mark may have begun in the piece before.
        let old = self.tail.len().saturating_sub(32);
        self.tail.drain(..old);
        let before = count(&self.tail, FRAME_END);
        self.tail.extend_from_slice(bytes);
        self.frames += count(&self.tail, FRAME_END) - before;
        if let Some((sign, at @ None)) = &mut self.watch
            && count(&self.tail, sign) > 0
        {
            *at = Some(now);
        }
    }
}

fn count(bytes: &[u8], part: &[u8]) -> u64 {
    bytes.windows(part.len()).filter(|window| *window == part).count() as u64
}

fn type_in(kind: Kind, leaving: &Receiver<(Instant, Vec<u8>)>, mut writer: Box<dyn Write + Send>) {
    for (typed, bytes) in leaving {
        sleep_until(typed + kind.round_trip / 2);
        if writer.write_all(&bytes).and_then(|()| writer.flush()).is_err() {
            return;
        }
    }
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}
