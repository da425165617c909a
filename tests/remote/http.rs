//! What is answered to plain requests.
use serde_json::json;
use wavedeck::session::Request;

use crate::{
    common::wait_until,
    rig::{Deck, get, request},
};

#[test]
fn pages_of_the_program_are_json_and_say_what_is_there() {
    let deck = Deck::start();
    let address = deck.address();
    let plugins = get(address, "/api/plugins", &[]);
    assert_eq!((plugins.status, plugins.header("content-type")), (200, "application/json"));
    let plugins = plugins.json();
    let gain = plugins["plugins"].as_array().and_then(|list| list.iter().find(|plugin| plugin["id"] == "gain"));
    let gain = gain.expect("a gain");
    assert_eq!((&gain["params"][0]["key"], &gain["params"][0]["mutability"]), (&json!("gain"), &json!("live")));
    assert_eq!(get(address, "/api/pipeline", &[]).json()["stages"][0]["id"], "board");
    assert_eq!(get(address, "/api/telemetry", &[]).json()["name"], "bench");
    assert_eq!(get(address, "/api/recordings", &[]).json(), json!({ "recordings": [] }));
    assert!(get(address, "/", &[]).text().contains("/ws"));
    let missing = get(address, "/nowhere", &[]);
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (404, &json!("NotFound")));
    let posted = request(
        address,
        &format!("POST /api/pipeline HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    );
    assert_eq!((posted.status, &posted.json()["error"]["code"]), (405, &json!("MethodNotAllowed")));
    let plain = get(address, "/ws", &[]);
    assert_eq!((plain.status, &plain.json()["error"]["code"]), (400, &json!("BadHandshake")));
    deck.close();
}

#[test]
fn a_recording_is_downloaded_whole_and_in_parts() {
    let deck = Deck::start();
    let address = deck.address();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(deck.home.path().join("a b.mcap"), &bytes).expect("writable");
    let path = "/api/recordings/a%20b.mcap";
    let whole = get(address, path, &[]);
    assert_eq!((whole.status, whole.header("content-length"), whole.header("accept-ranges")), (200, "700000", "bytes"));
    assert!(whole.header("content-disposition").starts_with("attachment; filename=\"a_b.mcap\""));
    assert!(whole.body == bytes);

    let part = |range: &str| get(address, path, &[&format!("Range: bytes={range}")]);
    let middle = part("1000-299999");
    assert_eq!((middle.status, middle.header("content-range")), (206, "bytes 1000-299999/700000"));
    assert!(middle.body == bytes[1000..300_000]);
    assert!(part("-10").body == bytes[699_990..] && part("699990-").body == bytes[699_990..]);
    let beyond = part("700000-");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */700000"));

    let tag = whole.header("etag");
    let if_range = |tag: &str| get(address, path, &["Range: bytes=0-9", &format!("If-Range: {tag}")]).status;
    assert_eq!((if_range(tag), if_range("\"other\"")), (206, 200));
    let head = request(address, &format!("HEAD {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "700000", 0));
    deck.close();
}

#[test]
fn no_name_leads_out_of_the_recordings_folder() {
    let deck = Deck::start();
    let outside = tempfile::tempdir().expect("a folder");
    let secret = outside.path().join("secret.mcap");
    std::fs::write(&secret, "secret").expect("writable");
    std::os::unix::fs::symlink(&secret, deck.home.path().join("link.mcap")).expect("writable");
    std::fs::write(deck.home.path().join("notes.txt"), "secret").expect("writable");
    let name = outside.path().file_name().and_then(|name| name.to_str()).expect("a name");
    for path in [
        "link.mcap".to_owned(),
        "notes.txt".into(),
        "..".into(),
        "%2e%2e".into(),
        format!("../{name}/secret.mcap"),
        format!("..%2f{name}%2fsecret.mcap"),
        format!("%2e%2e/{name}/secret.mcap"),
        format!("..%5c{name}%5csecret.mcap"),
        format!("..%252f{name}%252fsecret.mcap"),
        secret.display().to_string(),
        secret.display().to_string().replace('/', "%2f"),
        "a.mcap%00".into(),
        "%ff.mcap".into(),
        "%0d%0aX:%20y.mcap".into(),
    ] {
        let answer = get(deck.address(), &format!("/api/recordings/{path}"), &[]);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("secret\0") && answer.body != b"secret", "{path}");
        assert!(answer.json()["error"]["message"].is_string(), "{path}");
    }
    deck.close();
}

#[test]
fn metrics_are_families_of_samples_each_told_once() {
    let deck = Deck::start();
    let answer = get(deck.address(), "/metrics", &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let mut families: Vec<&str> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert!(!families.contains(&name), "{name} twice");
            assert!(["counter", "gauge"].contains(&kind) && (kind == "gauge" || name.ends_with("_total")), "{line}");
            families.push(name);
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert_eq!(families.last(), Some(&name), "{line}");
            assert!(name.starts_with("wavedeck_"), "{line}");
            assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
        }
    }
    assert!(families.len() > 20, "{families:?}");
    assert!(text.contains("wavedeck_link_dropped_samples_total{link=\"board.out -> volts.in\",policy=\"block\"} 0\n"));
    assert!(text.contains("wavedeck_pipeline_state{state=\"running\"} 1\n"), "{text}");
    assert!(text.ends_with('\n'));
    deck.close();
}

#[test]
fn health_is_well_while_data_flows_or_is_paused_and_ill_with_a_reason() {
    let deck = Deck::start();
    let health = || get(deck.address(), "/healthz", &[]);
    let running = health();
    assert_eq!((running.status, &running.json()["state"]), (200, &json!("running")));
    deck.session.request(Request::Pause, "test").expect("it runs");
    let paused = health();
    assert_eq!((paused.status, &paused.json()["state"]), (200, &json!("paused")));
    deck.session.request(Request::Resume, "test").expect("it is paused");
    // A recording into a folder that cannot be.
    let session = deck.session.clone();
    std::fs::write(deck.home.path().join("x.mcap"), "").expect("writable");
    let home = deck.home.path().to_owned();
    let moved = home.with_extension("moved");
    std::fs::rename(&home, &moved).expect("it moves");
    std::fs::write(&home, "a file where the folder was").expect("writable");
    session.request(Request::RecordStart { name: None }, "test").expect("it is tried");
    wait_until("an ill recording", || health().status == 503);
    let message = health().json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("the recording has failed"), "{message}");
    session.request(Request::Acknowledge, "test").expect("taken");
    std::fs::remove_file(&home).expect("mine");
    std::fs::rename(&moved, &home).expect("it moves back");
    drop(deck.port);
    session.close(std::time::Duration::from_secs(60));
}

#[test]
fn a_download_that_nobody_takes_is_given_up_and_makes_room() {
    let deck = Deck::with(2, 1000, |options| {
        options.limits.connections = 1;
        options.limits.stalled = std::time::Duration::from_millis(500);
    });
    let file = std::fs::File::create(deck.home.path().join("large.mcap")).expect("writable");
    file.set_len(1 << 30).expect("sparse");
    let mut stream = std::net::TcpStream::connect(deck.address()).expect("it listens");
    let head = format!("GET /api/recordings/large.mcap HTTP/1.1\r\nHost: {}\r\n\r\n", deck.address());
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("it reads");
    // Answered only when the first has made room.
    assert_eq!(get(deck.address(), "/", &[]).status, 200);
    drop(stream);
    deck.close();
}
