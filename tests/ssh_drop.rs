//! A recording over a real SSH session whose connection is cut: it goes on, and it is whole.
//!
//! Needs `sshd` and `ssh`. Where they are missing the test says so and ends, unless `WAVEDECK_REQUIRE_SSHD` is set.
mod common;

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use common::{only_recording, recorded_bytes, run, succeed, wait_until};
use serde_json::Value;

/// An sshd of our own on loopback, ended with the test.
struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Server {
    fn start(dir: &Path) -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists())?;
        let port = TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("an address").port();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).expect("copied");
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile {pid}\nAuthorizedKeysFile {keys}\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPubkeyAuthentication yes\n",
            host = dir.join("host").display(),
            pid = dir.join("pid").display(),
            keys = dir.join("authorized").display(),
        );
        fs::write(dir.join("config"), config).expect("written");
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(dir.join("config"));
        let log = fs::File::create(dir.join("sshd.log")).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("sshd starts");
        wait_until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { child, port, dir: dir.to_owned() })
    }

    /// Runs a command on a terminal of the far end.
    fn connect(&self, line: &str) -> Child {
        let mut ssh = Command::new("ssh");
        ssh.args(["-tt", "-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-i"]).arg(self.dir.join("user"));
        ssh.args(["-p", &self.port.to_string(), "127.0.0.1", line]);
        let screen = fs::File::create(self.dir.join("screen")).expect("a file");
        ssh.stdin(Stdio::piped()).stdout(screen).stderr(Stdio::inherit()).spawn().expect("ssh starts")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, id: &str) -> bool {
    Command::new("kill").args([name, id]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The program in the shell of the far end, with everything of its own in `home`.
fn program(home: &Path, args: &str) -> String {
    let (home, program) = (home.display(), env!("CARGO_BIN_EXE_wavedeck"));
    format!("env TERM=xterm-256color LANG=C.UTF-8 XDG_STATE_HOME={home} XDG_RUNTIME_DIR={home} {program} {args}")
}

/// A server, or nothing where there is none and none is required.
fn server(home: &Path) -> Option<Server> {
    let server = Server::start(home);
    if server.is_none() {
        assert!(std::env::var_os("WAVEDECK_REQUIRE_SSHD").is_none(), "there is no sshd");
        eprintln!("skipped: there is no sshd");
    }
    server
}

fn info(home: &Path, dir: &Path) -> Value {
    let info = succeed(home, &["info", only_recording(dir).to_str().expect("UTF-8"), "--json"]);
    let info: Value = serde_json::from_str(&info).expect("JSON");
    assert_eq!((&info["closed"], &info["degraded"]), (&Value::Bool(true), &Value::Bool(false)));
    let stream = &info["streams"][0];
    assert_eq!((&stream["lost"], &stream["balanced"]), (&Value::from(0), &Value::Bool(true)));
    info
}

/// Ends a session that a failed test would leave behind.
struct Lab<'a>(&'a Path);

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        run(self.0, &["stop", "lab"]);
    }
}

#[test]
fn whoever_comes_back_after_a_cut_finds_the_recording_marks_it_and_finishes_it() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(server) = server(home.path()) else { return };
    let _lab = Lab(home.path());
    let dir = home.path().join("rec");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    let line = format!("run {config} --session lab --set rec.dir={}", dir.display());
    let screen = || {
        let bytes = fs::read(home.path().join("screen")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let press = |ssh: &mut Child, keys: &str| {
        let stdin = ssh.stdin.as_mut().expect("piped");
        stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush()).expect("ssh takes keys");
    };
    let mut ssh = server.connect(&format!("exec {}", program(home.path(), &line)));
    wait_until("the screen", || screen().contains("READY"));
    press(&mut ssh, "R");
    wait_until("the recording", || screen().contains("REC") && recorded_bytes(&dir) > 20_000);
    ssh.kill().expect("ssh can be killed");
    ssh.wait().expect("ssh ends");
    let at_cut = recorded_bytes(&dir);
    wait_until("the recording goes on", || recorded_bytes(&dir) > at_cut + 20_000);

    let mut ssh = server.connect(&format!("exec {}", program(home.path(), "attach lab")));
    wait_until("the recording on another screen", || screen().contains("REC 00:"));
    press(&mut ssh, "m");
    press(&mut ssh, "6");
    wait_until("the marker", || screen().contains("'M1' set by screen "));
    press(&mut ssh, "SS");
    // It is there as long as somebody is.
    wait_until("the end of the recording", || screen().contains("READY"));
    press(&mut ssh, "q");
    wait_until("the end of the screen", || ssh.try_wait().expect("a child").is_some());
    wait_until("the end of the session, which nobody needs any more", || {
        succeed(home.path(), &["sessions"]) == "no session runs\n"
    });
    let info = info(home.path(), &dir);
    assert!(info["markers"].to_string().contains("M1"), "{info}");
}

#[test]
fn a_recording_goes_on_when_its_ssh_session_is_cut() {
    let home = tempfile::tempdir().expect("a folder");
    let Some(server) = server(home.path()) else { return };
    let dir = home.path().join("rec");
    let pid_file = home.path().join("wavedeck.pid");
    // The shell notes its process id and becomes the program.
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json");
    let run = program(home.path(), &format!("run {config} --record --set rec.dir={}", dir.display()));
    let line = format!("echo $$ > {}; exec {run}", pid_file.display());
    let mut ssh = server.connect(&line);
    let written = || recorded_bytes(&dir);
    wait_until("the screen and the recording", || {
        let screen = fs::read(home.path().join("screen")).unwrap_or_default();
        String::from_utf8_lossy(&screen).contains("REC") && written() > 20_000
    });
    let program = fs::read_to_string(&pid_file).expect("the program's process id").trim().to_owned();

    ssh.kill().expect("ssh can be killed");
    ssh.wait().expect("ssh ends");
    let at_cut = written();
    wait_until("the recording goes on", || written() > at_cut + 20_000);
    assert!(signal("-0", &program), "the program lives on");
    assert!(signal("-TERM", &program));
    wait_until("the program ends", || !signal("-0", &program));

    info(home.path(), &dir);
}
