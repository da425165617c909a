//! What a service manager is told, with a real socket in its place.
mod common;

use std::{os::unix::net::UnixDatagram, process::Stdio, time::Duration};

use common::{GENEROUS, text, wavedeck};

#[test]
fn a_service_says_when_it_is_ready_that_it_lives_and_when_it_ends() {
    let home = tempfile::tempdir().expect("a folder");
    let socket_path = home.path().join("notify");
    let manager = UnixDatagram::bind(&socket_path).expect("a socket");
    manager.set_read_timeout(Some(GENEROUS)).expect("set");
    let dir = home.path().join("rec");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    let mut command = wavedeck(home.path());
    command.args(["run", config, "--headless", "--record", "--status-every", "200ms", "--set"]);
    command.arg(format!("rec.dir={}", dir.display())).env("NOTIFY_SOCKET", &socket_path);
    command.env("WATCHDOG_USEC", "400000").env("JOURNAL_STREAM", "8:1").stdout(Stdio::piped());
    let child = command.spawn().expect("it starts");

    let told = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).expect("it says something");
        text(&bytes[..length])
    };
    assert_eq!(told(), "READY=1\n");
    let is_recording = std::fs::read_dir(&dir).is_ok_and(|files| files.count() > 0);
    assert!(is_recording, "ready is who has a file open");
    let (mut beats, mut statuses) = (0, 0);
    while beats < 3 || statuses < 2 {
        match told() {
            beat if beat == "WATCHDOG=1\n" => beats += 1,
            status if status.starts_with("STATUS=") => {
                assert!(status.contains("REC") && status.contains("drop 0"), "{status}");
                statuses += 1;
            }
            other => panic!("{other}"),
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let end = std::iter::repeat_with(told).find(|told| told.contains("STOPPING=1")).expect("it says so");
    assert!(end.contains("EXTEND_TIMEOUT_USEC="), "{end}");

    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let printed = text(&output.stdout);
    assert!(printed.lines().any(|line| line.starts_with("<6>session: pipeline `demo` started")), "{printed}");
}
