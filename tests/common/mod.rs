//! What the end-to-end tests share: the program as a user starts it, and a board on a pty.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// Limit for anything that must happen; only a hang is longer.
pub(crate) const GENEROUS: Duration = Duration::from_secs(60);

/// The program with a state folder of its own.
pub(crate) fn wavedeck(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavedeck"));
    command.env("XDG_STATE_HOME", home).env("XDG_RUNTIME_DIR", home).env_remove("WAVEDECK_LOG").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(home: &Path, args: &[&str]) -> Output {
    wavedeck(home).args(args).output().expect("the program starts")
}

/// Runs the program and wants exit code 0; gives what it printed.
pub(crate) fn succeed(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    assert!(output.status.success(), "{args:?} ended with {:?}: {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last line of what a run printed, as JSON: its summary.
pub(crate) fn summary(printed: &str) -> Value {
    let line = printed.lines().last().expect("a summary");
    let summary: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    assert_eq!(summary["type"], "summary", "{line}");
    summary
}

/// The only finished recording of a folder.
pub(crate) fn only_recording(dir: &Path) -> PathBuf {
    let files = std::fs::read_dir(dir).expect("the recordings folder");
    let paths =
        files.map(|file| file.expect("a file").path()).filter(|path| path.extension().is_some_and(|e| e == "mcap"));
    let paths: Vec<PathBuf> = paths.collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.into_iter().next().expect("one")
}

/// Bytes in the longest recording of a folder, closed or not.
pub(crate) fn recorded_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let recordings = files.filter(|file| file.path().extension().is_some_and(|end| end == "mcap" || end == "part"));
    recordings.filter_map(|file| file.metadata().ok()).map(|data| data.len()).max().unwrap_or(0)
}

/// A Cyton on a pty, ended with the test.
pub(crate) struct Board {
    child: Child,
    pub(crate) link: PathBuf,
}

impl Board {
    /// Starts `emulate cyton` and waits until the port is there.
    pub(crate) fn start(home: &Path, link: &Path, args: &[&str]) -> Self {
        let mut command = wavedeck(home);
        command.args(["emulate", "cyton", "--link"]).arg(link).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the emulator starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("the emulator says where it is");
        assert!(line.contains("->"), "{line}");
        // What it says later must not fill the pipe.
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Self { child, link: link.to_owned() }
    }

    /// Pulls the plug.
    pub(crate) fn unplug(mut self) {
        self.child.kill().expect("the emulator can be killed");
        self.child.wait().expect("the emulator ends");
        // A killed emulator leaves its link; a pulled plug does not.
        let _ = std::fs::remove_file(&self.link);
    }

    /// Waits until the board has streamed what it was asked to.
    pub(crate) fn wait(&mut self) {
        wait_until("the board's end", || self.child.try_wait().expect("a child").is_some());
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that must happen.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < GENEROUS, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A pipeline of a Cyton and a recorder.
pub(crate) fn cyton_config(port: &Path, dir: &Path, daisy: bool) -> String {
    serde_json::json!({ "version": 1, "name": "bench",
        "stages": [
            { "id": "board", "type": "cyton", "params": { "port": port, "daisy": daisy } },
            { "id": "volts", "type": "to_voltage" },
            { "id": "clean", "type": "filter", "params": { "highpass_hz": 1.0, "lowpass_hz": 45.0 } },
            { "id": "rec", "type": "record", "params": { "dir": dir } } ],
        "connections": [
            { "from": "board.out", "to": "rec.raw", "capacity": 200 },
            { "from": "board.out", "to": "volts.in" }, { "from": "volts.out", "to": "clean.in" } ] })
    .to_string()
}

/// The columns of a CSV file between the first and the last but `skip` and `last`, row by row.
pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).expect("a table");
    reader.records().map(|row| row.expect("a row").iter().map(ToOwned::to_owned).collect()).collect()
}
