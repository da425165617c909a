//! The same screens on a session that runs elsewhere: what a person does there, what others see, and what stays when they
//! leave.
mod common;

#[path = "common/screen.rs"]
mod screen;

use std::{
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use common::{only_recording, recorded_bytes, run, succeed, text, wait_until, wavedeck};
use screen::{Screen, has_braille};
use serde_json::Value;

/// A session without a screen, ended with the test.
struct Deck {
    home: tempfile::TempDir,
    dir: PathBuf,
    child: Child,
}

impl Deck {
    fn start(name: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let dir = home.path().join("rec");
        let child = spawn(home.path(), name, &dir);
        let deck = Self { home, dir, child };
        wait_until("the session is there", || deck.list().iter().any(|session| session["name"] == name));
        deck
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    fn list(&self) -> Vec<Value> {
        serde_json::from_str(&succeed(self.home(), &["sessions", "--json"])).expect("JSON")
    }

    fn attach(&self, args: &[&str]) -> Screen {
        Screen::start(self.home(), 80, 24, &[&["attach"], args].concat())
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(home: &Path, name: &str, dir: &Path) -> Child {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    let mut command = wavedeck(home);
    command.args(["run", config, "--headless", "--session", name, "--set"]).arg(format!("rec.dir={}", dir.display()));
    command.stdout(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn two_screens_on_one_session_see_the_same_and_leaving_changes_nothing() {
    let deck = Deck::start("lab");
    let mut first = deck.attach(&["lab"]);
    let mut second = deck.attach(&[]);
    for screen in [&first, &second] {
        screen.wait_for("at lab");
        wait_until("waves", || has_braille(&screen.text()));
    }

    first.press("R");
    for screen in [&first, &second] {
        screen.wait_for("REC 00:00:0");
    }
    wait_until("data in the file", || recorded_bytes(&deck.dir) > 8000);
    second.press("m");
    first.press("6");
    first.wait_for("'M1' set by screen ann");
    // Locked for the one because the other records.
    second.press("4");
    second.wait_for("Params");

    first.press("q");
    assert_eq!(first.wait(), 0);
    first.wait_for("Left lab; it goes on");
    let at_leave = recorded_bytes(&deck.dir);
    wait_until("the recording goes on", || recorded_bytes(&deck.dir) > at_leave + 8000);
    assert!(second.header().contains("REC"), "{}", second.header());

    second.press("S");
    second.press("S");
    second.wait_for("READY");
    second.press("q");
    assert_eq!(second.wait(), 0);
    assert_eq!(succeed(deck.home(), &["stop", "lab"]), "lab has ended\n");
    assert!(deck.list().is_empty());

    let path = only_recording(&deck.dir);
    let info = succeed(deck.home(), &["info", path.to_str().expect("UTF-8"), "--json"]);
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!((&info["closed"], &info["degraded"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(info["markers"].to_string().contains("M1"), "{info}");
}

#[test]
fn an_edit_from_afar_is_applied_and_one_that_is_locked_is_refused_in_words() {
    let deck = Deck::start("lab");
    let mut screen = deck.attach(&["lab"]);
    wait_until("waves", || has_braille(&screen.text()));
    // The gain of the second stage, one step up.
    screen.press("4\t");
    screen.wait_for("volts");
    screen.press("/gain\r");
    screen.wait_for("gain");
    screen.press("\x1b[C");
    screen.wait_for("*1");
    screen.press("a");
    wait_until("nothing is staged any more", || !screen.text().contains("*1"));
    wait_until("the log says who", || {
        screen.press("6");
        screen.text().contains("by screen ann")
    });
    screen.press("R");
    screen.wait_for("REC 00:00:0");
    screen.press("4");
    screen.wait_for("recording");
}

#[test]
fn a_session_that_is_gone_is_said_to_be_and_one_that_comes_back_is_shown() {
    let mut deck = Deck::start("lab");
    let mut screen = deck.attach(&["lab"]);
    wait_until("waves", || has_braille(&screen.text()));
    deck.child.kill().expect("it can be killed");
    deck.child.wait().expect("it ends");
    screen.wait_for("NO LINK");
    screen.wait_for("what is shown is old");
    assert!(screen.runs());
    screen.press("R");
    screen.wait_for("no connection to lab");

    deck.child = spawn(deck.home(), "lab", &deck.dir);
    screen.wait_for("READY");
    let old = screen.text();
    wait_until("waves go on", || screen.text() != old && !screen.text().contains("NO LINK"));
    screen.press("q");
    assert_eq!(screen.wait(), 0);
}

#[test]
fn a_session_of_another_machine_is_attached_to_at_its_address_with_its_token() {
    let home = tempfile::tempdir().expect("a folder");
    let (token, log) = (home.path().join("token"), home.path().join("log"));
    std::fs::write(&token, "correct-horse-battery-staple\n").expect("written");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    let mut command = wavedeck(home.path());
    command.args(["run", config, "--headless", "--listen", "127.0.0.1:0", "--token-file"]).arg(&token);
    command.arg("--log").arg(&log).arg("--set").arg(format!("rec.dir={}", home.path().join("rec").display()));
    let child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let deck = Deck { dir: home.path().join("rec"), home, child };
    let address = || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let (_, rest) = log.split_once("listening at ")?;
        Some(format!("ws://{}", rest.split_whitespace().next()?))
    };
    wait_until("it says where it listens", || address().is_some());
    let address = address().expect("told");

    let mut refused = deck.attach(&[&address]);
    assert_eq!(refused.wait(), 1);
    refused.wait_for("--token-file");
    let mut screen = deck.attach(&[&address, "--token-file", token.to_str().expect("UTF-8")]);
    wait_until("waves", || has_braille(&screen.text()));
    screen.press("R");
    screen.wait_for("REC 00:00:0");
    screen.press("q");
    assert_eq!(screen.wait(), 0);
    screen.wait_for(&format!("Left {address}; it goes on"));
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let home = tempfile::tempdir().expect("a folder");
    assert_eq!(succeed(home.path(), &["sessions"]), "no session runs\n");
    let output = run(home.path(), &["stop", "lab"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no session runs"), "{}", text(&output.stderr));

    let deck = Deck::start("laboratory");
    let output = run(deck.home(), &["stop", "laboratori"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `laboratory`?"), "{}", text(&output.stderr));
    let second = spawn(deck.home(), "laboratory", &deck.dir.join("other"));
    wait_until("both are there", || deck.list().len() == 2);
    let names: Vec<String> = deck.list().iter().map(|session| session["name"].to_string()).collect();
    assert_eq!(names, ["\"laboratory\"", "\"laboratory-2\""]);
    assert_eq!(succeed(deck.home(), &["stop", "laboratory-2"]), "laboratory-2 has ended\n");
    drop(Deck { home: tempfile::tempdir().expect("a folder"), dir: PathBuf::new(), child: second });
}

#[test]
fn a_session_is_found_again_after_its_runtime_folder_has_gone_with_the_last_login() {
    let deck = Deck::start("lab");
    let runtime = deck.home().join("wavedeck");
    std::fs::remove_dir_all(&runtime).expect("it is there");
    // Who comes right after the login that brings it back waits for it.
    let screen = deck.attach(&["lab"]);
    screen.wait_for("at lab");
    assert_eq!(deck.list().len(), 1);
    drop(screen);
    succeed(deck.home(), &["stop", "lab"]);
    assert!(!runtime.join("lab.sock").exists());
}
