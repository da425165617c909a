//! The session as plain lines, over pipes: commands in, words out.
mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use common::{GENEROUS, only_recording, succeed, text, wavedeck};
use serde_json::{Value, json};

/// A running program, its commands and what it said so far.
struct Plain {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Plain {
    fn start(home: &Path, args: &[&str]) -> Self {
        let mut command = wavedeck(home);
        command.args(args).arg("--plain").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if sender.send(line.expect("UTF-8")).is_err() {
                    return;
                }
            }
        });
        let commands = child.stdin.take();
        Self { child, commands, lines, said: Vec::new() }
    }

    fn type_line(&mut self, line: &str) {
        let commands = self.commands.as_mut().expect("commands can be typed");
        commands.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    /// Waits for a line with this in it.
    fn hear(&mut self, part: &str) -> String {
        let begin = Instant::now();
        while let Some(rest) = GENEROUS.checked_sub(begin.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(rest) else { break };
            self.said.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
        panic!("never heard `{part}` in\n{}", self.said.join("\n"))
    }

    /// Waits for the end; gives the exit code and all that was said.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it ends");
        self.said.extend(self.lines.iter());
        (status.code(), self.said.join("\n"))
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipeline that records into a folder.
fn config(home: &Path) -> String {
    let config = json!({ "version": 1, "name": "plain",
        "stages": [ { "id": "board", "type": "synthetic", "params": { "channels": 3, "rate_hz": 250.0 } },
                    { "id": "volts", "type": "to_voltage" }, { "id": "clean", "type": "filter" },
                    { "id": "rec", "type": "record", "params": { "dir": home.join("rec") } } ],
        "connections": [ { "from": "board.out", "to": "volts.in" }, { "from": "volts.out", "to": "clean.in" },
                         { "from": "board.out", "to": "rec.raw", "capacity": 200 } ] });
    let path = home.join("plain.json");
    std::fs::write(&path, config.to_string()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn words_record_mark_and_finish_a_whole_file() {
    let home = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::start(home.path(), &["run", &config(home.path()), "--plain-every", "200ms"]);
    plain.hear("type help");
    plain.hear("READY elapsed");
    let values = plain.hear(" uV (");
    assert!(values.starts_with("clean.out: ") && values.contains("ECG=") && values.contains(".."), "{values}");
    plain.type_line("mark early");
    plain.hear("error: nothing is being recorded");
    plain.type_line("record");
    plain.hear("ok: a recording is being started");
    plain.hear("REC elapsed");
    plain.type_line("set clean.lowpass_hz 30");
    plain.hear("error: `clean.lowpass_hz`");
    plain.type_line("mark eyes open");
    plain.hear("ok: marker eyes open");
    plain.type_line("pause");
    plain.hear("REC PAUSED elapsed");
    plain.type_line("set clean.lowpass_hz 30");
    plain.hear("ok: clean.lowpass_hz is being set to 30");
    plain.type_line("record");
    plain.hear("ok: recording on");
    plain.type_line("finish");
    plain.hear("ok: the recording is being finished");
    plain.hear("READY elapsed");
    plain.type_line("help");
    plain.hear("this list");
    plain.type_line("dance");
    plain.hear("error: there is no command `dance`");
    plain.type_line("quit");
    let (code, said) = plain.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.lines().last().is_some_and(|line| line.starts_with("produced ")), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said:?}");

    let recording = only_recording(&home.path().join("rec"));
    let recording = recording.to_str().expect("UTF-8");
    succeed(home.path(), &["verify", recording]);
    let info: Value =
        serde_json::from_str(&succeed(home.path(), &["info", recording, "--json"])).expect("JSON of a recording");
    assert!(info.to_string().contains("eyes open"), "{info}");
}

#[test]
fn the_end_of_what_is_typed_is_not_the_end_of_the_run() {
    let home = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::start(home.path(), &["run", &config(home.path()), "--duration", "2s", "--record"]);
    plain.commands = None;
    let (code, said) = plain.end();
    assert!(matches!(code, Some(0 | 3)), "{said}");
    assert!(said.contains("REC elapsed") && said.contains("recording: "), "{said}");
    succeed(home.path(), &["verify", only_recording(&home.path().join("rec")).to_str().expect("UTF-8")]);
}

#[test]
fn quitting_finishes_an_open_recording_and_a_replay_ends_by_itself() {
    let home = tempfile::tempdir().expect("a folder");
    let mut plain = Plain::start(home.path(), &["run", &config(home.path()), "--record", "--plain-every", "200ms"]);
    plain.hear("REC elapsed 2.");
    plain.type_line("quit");
    let (code, said) = plain.end();
    assert_eq!(code, Some(0), "{said}");
    let recording = only_recording(&home.path().join("rec"));
    let replay = Plain::start(home.path(), &["replay", recording.to_str().expect("UTF-8"), "--view-only"]);
    let (code, said) = replay.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("replay") || said.contains("REPLAY"), "{said}");
}

#[test]
fn plain_and_headless_exclude_each_other() {
    let home = tempfile::tempdir().expect("a folder");
    let output = common::run(home.path(), &["run", &config(home.path()), "--plain", "--headless"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let output = common::run(home.path(), &["run", &config(home.path()), "--plain-every", "1s"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
