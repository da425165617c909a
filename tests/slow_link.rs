//! The screen over links that carry less than it would like to send.
mod common;
#[path = "common/link.rs"]
mod link;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use common::{recorded_bytes, wait_until};
use link::{Kind, LOCAL, Link, SLOW};
use serde_json::json;

/// What a busy machine may add to any delay.
const NOISE: Duration = Duration::from_millis(500);

/// Waves of 32 channels that fill a large screen.
fn start(kind: Kind, home: &Path) -> Link {
    let config = home.join("config.json");
    let text = json!({ "version": 1, "name": "far",
        "stages": [{ "id": "board", "type": "synthetic",
            "params": { "channels": 32, "rate_hz": 250.0, "signal": "demo" } },
            { "id": "rec", "type": "record", "params": { "dir": home.join("rec") } }],
        "connections": [{ "from": "board.out", "to": "rec.raw", "capacity": 200 }] });
    std::fs::write(&config, text.to_string()).expect("written");
    let link = Link::start(kind, home, 200, 60, &["run", config.to_str().expect("UTF-8"), "--fps", "60"]);
    link.wait_for("READY");
    link
}

#[test]
fn a_link_that_is_given_too_much_never_falls_behind() {
    let home = tempfile::tempdir().expect("a folder");
    let link = start(SLOW, home.path());
    link.wait_for("rtt");
    link.take_worst_delay();

    // Whole screens one after another, more than the link can carry, and waves between.
    let begin = Instant::now();
    let mut worst = Vec::new();
    while begin.elapsed() < Duration::from_secs(6) {
        for view in ["5", "1", "3", "1"] {
            link.press(view);
            thread::sleep(Duration::from_millis(100));
        }
        worst.push(link.take_worst_delay());
    }

    let limit = SLOW.round_trip + Duration::from_secs(1) + NOISE;
    assert!(worst.iter().all(|delay| *delay < limit), "the screen was behind by {worst:?}");
    let took = link.time_to_see(" ", b"FROZEN", Duration::from_secs(10)).expect("a key is seen");
    assert!(took < limit + SLOW.round_trip, "a key took {took:?}");
}

#[test]
fn a_terminal_that_does_not_answer_is_drawn_to_all_the_same() {
    let home = tempfile::tempdir().expect("a folder");
    let link = start(Kind { answers: false, ..LOCAL }, home.path());
    thread::sleep(Duration::from_secs(3));

    // Far more than would be sent without an answer.
    let (before, _) = link.counts();
    let begin = Instant::now();
    while link.counts().0 < before + 60_000 {
        assert!(begin.elapsed() < Duration::from_secs(60), "only {} bytes came", link.counts().0 - before);
        thread::sleep(Duration::from_millis(20));
    }
    assert!(link.text().contains(" fps ") && !link.text().contains("rtt"), "{}", link.text());
}

#[test]
fn a_key_acts_while_the_screen_waits_for_the_link() {
    let home = tempfile::tempdir().expect("a folder");
    let link = start(LOCAL, home.path());
    link.wait_for("rtt");
    link.mute();
    let mut before = 0;
    wait_until("nothing more is drawn", || {
        thread::sleep(Duration::from_millis(500));
        std::mem::replace(&mut before, link.counts().0) == link.counts().0
    });

    link.press("R");

    wait_until("a recording", || recorded_bytes(&home.path().join("rec")) > 0);
    assert_eq!(link.counts().0, before, "the screen still waits");
}

#[test]
fn no_answer_of_the_terminal_is_left_for_the_shell() {
    let home = tempfile::tempdir().expect("a folder");
    let mut link = start(Kind { bytes_per_s: None, ..SLOW }, home.path());
    link.wait_for("rtt");

    // A screen full of waves, after which the terminal is asked, and the end before it can answer.
    link.press("5");
    thread::sleep(Duration::from_secs(1));
    link.press("1");
    thread::sleep(Duration::from_millis(40));
    link.press("q");
    wait_until("the end", || !link.runs());
    thread::sleep(Duration::from_secs(1));

    // Whatever is sent to a shell's terminal is echoed.
    assert!(!link.text().contains("2;1R"), "{}", link.text());
}
