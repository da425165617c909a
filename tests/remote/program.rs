//! `--listen`, as a user writes it.
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::{
    common::{run, summary, text, wait_until, wavedeck},
    rig::{Client, get},
};

const PIPELINE: &str = r#"{ "version": 1, "name": "bench",
    "stages": [ { "id": "board", "type": "synthetic", "params": { "channels": 2 } }, { "id": "end", "type": "null" } ],
    "connections": [ { "from": "board", "to": "end" } ] }"#;

fn pipeline(home: &std::path::Path) -> String {
    let path = home.join("bench.json");
    std::fs::write(&path, PIPELINE).expect("writable");
    path.display().to_string()
}

/// Reads what is printed until it says where it listens.
fn address(lines: &mut BufReader<ChildStdout>) -> SocketAddr {
    let mut line = String::new();
    while lines.read_line(&mut line).expect("text") > 0 {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let told = value["entry"]["text"].as_str().and_then(|text| text.strip_prefix("listening at "));
        if let Some(places) = told {
            return places.split(',').next().and_then(|address| address.parse().ok()).expect("an address");
        }
        line.clear();
    }
    panic!("it does not say where it listens");
}

/// The program, which does not outlive the test.
struct Running(Child);

impl Running {
    fn ended(&mut self) -> Option<i32> {
        wait_until("the end", || self.0.try_wait().expect("a child").is_some());
        self.0.wait().expect("a child").code()
    }

    fn lines(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_listens_and_ends_when_a_client_says_so() {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = wavedeck(home.path());
    command.env_remove("WAVEDECK_TOKEN");
    command.args(["run", &pipeline(home.path()), "--headless", "--json", "--listen", "0", "--log", "log"]);
    command.current_dir(home.path()).stdout(Stdio::piped());
    let mut child = Running(command.spawn().expect("it starts"));
    let mut lines = child.lines();
    let mut client = Client::connect(address(&mut lines));
    assert_eq!(client.call("session.get", json!({}))["pid"], child.0.id());
    client.call("pipeline.stop", json!({}));
    assert_eq!(client.ended(), Some(1001));
    assert_eq!(child.ended(), Some(0));
    let rest = lines.lines().map(|line| line.expect("text")).collect::<Vec<_>>().join("\n");
    assert_eq!(summary(&rest)["name"], "bench");
}

#[test]
fn the_pipeline_file_may_say_where_to_listen() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("bench.json");
    std::fs::write(&path, PIPELINE.replacen('{', r#"{ "listen": "127.0.0.1:0","#, 1)).expect("writable");
    let mut command = wavedeck(home.path());
    command.env_remove("WAVEDECK_TOKEN");
    command.arg("run").arg(&path).args(["--headless", "--json", "--log", "log"]);
    let mut running = Running(command.current_dir(home.path()).stdout(Stdio::piped()).spawn().expect("it starts"));
    let address = address(&mut running.lines());
    assert_eq!(get(address, "/healthz", &[]).status, 200);

    std::fs::write(&path, PIPELINE.replacen('{', r#"{ "listen": ["9300", "lab:9300"],"#, 1)).expect("writable");
    let output = run(home.path(), &["check", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(said.contains("/listen/1") && said.contains("`lab:9300` is no address"), "{said}");
}

#[test]
fn a_token_is_read_from_its_file() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").expect("writable");
    let mut command = wavedeck(home.path());
    command.env_remove("WAVEDECK_TOKEN");
    command.args(["run", &pipeline(home.path()), "--headless", "--json", "--listen", "0", "--token-file"]).arg(&file);
    command.args(["--log", "log"]).current_dir(home.path()).stdout(Stdio::piped());
    let mut child = Running(command.spawn().expect("it starts"));
    let mut lines = child.lines();
    let address = address(&mut lines);
    assert_eq!(get(address, "/healthz", &[]).status, 401);
    assert_eq!(get(address, "/healthz", &["Authorization: Bearer 0123456789abcdef"]).status, 200);
}

#[test]
fn an_address_that_cannot_be_had_is_a_mistake_of_usage_before_anything_is_recorded() {
    let home = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound").to_string();
    let pipeline = pipeline(home.path());
    let dir = home.path().join("recordings");
    let log = home.path().join("log").display().to_string();
    for (listen, part) in
        [(taken.as_str(), "cannot listen at"), ("0.0.0.0:0", "--token-file"), ("nowhere", "127.0.0.1:9300")]
    {
        let args = [
            "run",
            &pipeline,
            "--headless",
            "--record",
            "--set",
            "board.samples=10",
            "--log",
            &log,
            "--listen",
            listen,
        ];
        let output = run(home.path(), &args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{listen}: {said}");
        assert!(said.contains(part), "{listen}: {said}");
    }
    assert!(!dir.exists());
}
