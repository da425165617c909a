//! The screen stands still and the recording loses nothing: before a terminal that takes no more, before a terminal
//! program that is stopped, and where nobody looks at all.
//!
//! A terminal stands still for a minute where `WAVEDECK_PATIENT` is set, else for six seconds.
mod common;

#[path = "common/screen.rs"]
mod screen;

use std::{
    fs::{self, File},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{only_recording, recorded_bytes, succeed, wait_until};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::OFlags,
};
use screen::Screen;
use serde_json::{Value, json};
use wavedeck::session::{FromStart, Session};
use wavedeck_plane::PipelineConfig;

/// The board holds so much for a host that does not ask; only a pipeline that is later than that loses samples.
const BOARD_HOLDS: Duration = Duration::from_secs(2);

/// For how long the terminal stands still.
fn stand_still() -> Duration {
    Duration::from_secs(if is_patient() { 60 } else { 6 })
}

fn is_patient() -> bool {
    std::env::var_os("WAVEDECK_PATIENT").is_some()
}

/// A pipeline with a recorder, in a folder of its own.
struct Bench {
    home: tempfile::TempDir,
    config: PathBuf,
    rate_hz: f64,
}

impl Bench {
    /// Eight channels at 250 Hz, as most boards have.
    fn demo() -> Self {
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json").into();
        Self { home: tempfile::tempdir().expect("a folder"), config, rate_hz: 250.0 }
    }

    /// Sixteen channels at 2 kHz.
    fn fast() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let config = home.path().join("fast.json");
        let pipeline = json!({ "version": 1, "name": "fast",
            "stages": [
                { "id": "board", "type": "synthetic", "params": { "channels": 16, "rate_hz": 2000.0 } },
                { "id": "volts", "type": "to_voltage" },
                { "id": "clean", "type": "filter", "params": { "highpass_hz": 1.0, "lowpass_hz": 200.0 } },
                { "id": "rec", "type": "record" } ],
            "connections": [
                { "from": "board.out", "to": "rec.raw", "capacity": 200 },
                { "from": "board.out", "to": "volts.in", "capacity": 200 },
                { "from": "volts.out", "to": "clean.in" } ] });
        fs::write(&config, pipeline.to_string()).expect("written");
        Self { home, config, rate_hz: 2000.0 }
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("rec")
    }

    /// What makes the program record this pipeline on a screen. If the test fails, the recording goes on without its
    /// terminal as it should: the time ends it then.
    fn args(&self) -> [String; 7] {
        let (config, set) = (self.config.display().to_string(), format!("rec.dir={}", self.dir().display()));
        let [run, record, flag, time, minutes] = ["run", "--record", "--set", "--duration", "10m"].map(String::from);
        [run, config, record, flag, set, time, minutes]
    }

    /// Bytes in the file.
    fn written(&self) -> u64 {
        recorded_bytes(&self.dir())
    }

    /// Watches the file grow for as long as the terminal is to stand still.
    fn watch_the_file_grow(&self) {
        let begin = Instant::now();
        while begin.elapsed() < stand_still() {
            let before = self.written();
            wait_until("more of the recording", || self.written() > before);
        }
    }

    /// The recording is closed, whole, and no shorter or longer than it was recorded for.
    fn assert_whole(&self, at_least: Duration, at_most: Duration) {
        let path = only_recording(&self.dir());
        let info = succeed(self.home.path(), &["info", path.to_str().expect("UTF-8"), "--json"]);
        let info: Value = serde_json::from_str(&info).expect("JSON");
        assert_eq!((&info["closed"], &info["degraded"], &info["gaps"]), (&json!(true), &json!(false), &json!([])));
        let stream = &info["streams"][0];
        assert_eq!((&stream["lost"], &stream["balanced"]), (&json!(0), &json!(true)), "{stream}");
        let seconds = stream["recorded"].as_f64().expect("a number") / self.rate_hz;
        let (least, most) = (at_least.saturating_sub(BOARD_HOLDS).as_secs_f64(), at_most.as_secs_f64());
        assert!((least..=most).contains(&seconds), "{seconds} s of samples, but {least} to {most} s have passed");
    }
}

/// A terminal that a program draws on, seen from the program's side.
struct Terminal(File);

impl Terminal {
    fn of(process: u32) -> Self {
        let mut options = fs::OpenOptions::new();
        // It must not become the terminal that the tests belong to.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        options.read(true).write(true).custom_flags(i32::try_from(flags.bits()).expect("few flags"));
        Self(options.open(format!("/proc/{process}/fd/0")).expect("the program has a terminal"))
    }

    /// True if whoever draws would have to wait, and not only for the moment that another write takes.
    fn is_full(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
        let half_a_second = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        rustix::event::poll(&mut fds, Some(&half_a_second)).expect("a terminal") == 0
    }
}

/// Seconds of the recording that the header shows.
fn recorded_s(screen: &Screen) -> Option<u64> {
    let header = screen.header();
    let clock = header.split("REC ").nth(1)?.split_whitespace().next()?;
    clock.split(':').try_fold(0, |sum, part| Some(60 * sum + part.parse::<u64>().ok()?))
}

/// Keys are answered and the clock of the recording is right.
fn assert_alive(screen: &mut Screen, recording_for: Duration) {
    wait_until("the header is of now", || recorded_s(screen).is_some_and(|shown| shown >= recording_for.as_secs()));
    screen.press("?");
    screen.wait_for("Keys, lines");
    screen.press("\x1b");
    wait_until("the waves", || screen.text().chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([name, &process.to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {name} {process}");
}

/// Records while nobody reads the terminal, then reads on.
fn assert_independent_of_a_full_terminal(bench: &Bench) {
    let started = Instant::now();
    let args = bench.args();
    let mut screen = Screen::start(bench.home.path(), 100, 30, &args.each_ref().map(String::as_str));
    screen.wait_for("REC 00:00:0");
    let seen = Instant::now();
    let terminal = Terminal::of(screen.child.process_id().expect("it runs"));

    let unread = screen.stop_reading();
    wait_until("the terminal takes no more", || terminal.is_full());
    let full = Instant::now();
    bench.watch_the_file_grow();
    assert!(terminal.is_full(), "nobody has read");
    drop(unread);

    assert_alive(&mut screen, full.elapsed());
    let recorded = seen.elapsed();
    screen.signal("-TERM");
    assert_eq!(screen.wait(), 0);
    wait_until("the terminal is given back", || screen.is_given_back());
    bench.assert_whole(recorded, started.elapsed());
}

#[test]
fn a_terminal_that_takes_no_more_costs_a_recording_nothing() {
    assert_independent_of_a_full_terminal(&Bench::demo());
}

#[test]
fn a_terminal_that_takes_no_more_costs_a_fast_recording_nothing() {
    assert_independent_of_a_full_terminal(&Bench::fast());
}

#[test]
fn a_recording_is_finished_before_a_terminal_that_takes_no_more() {
    let bench = Bench::fast();
    let started = Instant::now();
    let args = bench.args();
    let mut screen = Screen::start(bench.home.path(), 100, 30, &args.each_ref().map(String::as_str));
    screen.wait_for("REC 00:00:0");
    let seen = Instant::now();
    let terminal = Terminal::of(screen.child.process_id().expect("it runs"));

    let unread = screen.stop_reading();
    wait_until("the terminal takes no more", || terminal.is_full());
    let recorded = seen.elapsed();
    screen.signal("-TERM");
    wait_until("a file with its final name", || {
        let mut files = fs::read_dir(bench.dir()).expect("the folder").flatten();
        files.any(|file| file.path().extension().is_some_and(|ending| ending == "mcap"))
    });
    bench.assert_whole(recorded, started.elapsed());
    drop(unread);

    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_terminal_program_that_is_stopped_costs_a_recording_nothing() {
    let is_there = Command::new("script").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        assert!(!is_patient(), "there is no `script`");
        eprintln!("skipped: there is no `script`, which is part of util-linux");
        return;
    }
    let bench = Bench::demo();
    let started = Instant::now();
    let process_file = bench.home.path().join("process");
    // `script` stands for the terminal program: it has a terminal of its own and shows what is drawn there. The shell
    // notes its process id and becomes our program.
    let program = env!("CARGO_BIN_EXE_wavedeck");
    let line = format!("echo $$ > {}; exec {program} {}", process_file.display(), bench.args().join(" "));
    let mut screen = Screen::start_other("script", bench.home.path(), 100, 30, &["-qefc", &line, "/dev/null"]);
    screen.wait_for("REC 00:00:0");
    let seen = Instant::now();
    let program = fs::read_to_string(&process_file).expect("the process id").trim().parse().expect("a number");
    let terminal = Terminal::of(program);

    let script = screen.child.process_id().expect("it runs");
    signal("-STOP", script);
    wait_until("the terminal program stands still", || is_stopped(script));
    wait_until("the terminal takes no more", || terminal.is_full());
    let full = Instant::now();
    bench.watch_the_file_grow();
    assert!(terminal.is_full() && is_stopped(script), "nobody has gone on");
    signal("-CONT", script);

    assert_alive(&mut screen, full.elapsed());
    let recorded = seen.elapsed();
    signal("-TERM", program);
    assert_eq!(screen.wait(), 0, "`script` passes the exit code on");
    bench.assert_whole(recorded, started.elapsed());
}

fn is_stopped(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

#[test]
fn a_screen_that_never_draws_costs_a_recording_nothing() {
    const SAMPLES: u64 = 200_000;
    let home = tempfile::tempdir().expect("a folder");
    let config = json!({ "version": 1, "name": "unseen",
        "stages": [
            { "id": "board", "type": "synthetic", "params": { "pace": "max", "samples": SAMPLES } },
            { "id": "volts", "type": "to_voltage" },
            { "id": "rec", "type": "record", "params": { "dir": home.path().join("rec") } } ],
        "connections": [
            { "from": "board.out", "to": "rec.raw" }, { "from": "board.out", "to": "volts.in" } ] });
    let config = PipelineConfig::from_json(&config.to_string()).expect("a good config");

    let from_start = FromStart::Recording { name: None };
    let session = Session::open(config, wavedeck::registry().expect("distinct names"), from_start).expect("it starts");
    let taps = [("board", "out"), ("volts", "out")].map(|(stage, port)| session.tap(stage, port).expect("an output"));
    wait_until("the end of the source", || session.has_ended());
    let closing = session.close(common::GENEROUS);

    assert!(taps.iter().all(|tap| tap.missed() > 0), "the taps were full");
    let recorder = &closing.recorders[0];
    assert_eq!((recorder.recorded_samples, recorder.lost_samples), (SAMPLES, 0));
    assert_eq!(closing.telemetry.lost_samples(), 0);
    assert!(closing.report.stuck.is_empty(), "{:?}", closing.report);
    let path = only_recording(&home.path().join("rec"));
    let info = succeed(home.path(), &["info", path.to_str().expect("UTF-8"), "--json"]);
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!((&info["streams"][0]["recorded"], &info["degraded"]), (&json!(SAMPLES), &json!(false)), "{info}");
}
