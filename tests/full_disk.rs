//! Disks for real: recordings onto file systems that fill up, that cannot be written, and that lose their files.
//!
//! Each test mounts what it needs in a mount namespace of its own. Where the system allows none the tests say so and
//! end, unless `WAVEDECK_REQUIRE_MOUNTS` is set.
mod common;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use common::{only_recording, recorded_bytes, succeed, summary, text, wait_until, wavedeck};
use serde_json::{Value, json};
use wavedeck_recording::Recording;

/// Set for a test that runs in a namespace of its own.
const INSIDE: &str = "WAVEDECK_INSIDE_MOUNTS";

/// True where this test may mount what it likes. Elsewhere the test is run once more in a namespace where it may.
fn may_mount(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let Some(flags) = ["-m", "-Urm"].into_iter().find(|flags| can_mount(flags)) else {
        assert!(env::var_os("WAVEDECK_REQUIRE_MOUNTS").is_none(), "no mount namespace is allowed here");
        writeln!(io::stderr(), "SKIPPED, nothing is proven: {test}: no mount namespace is allowed here").expect("said");
        return false;
    };
    let mut command = Command::new("unshare");
    command.args([flags, "--"]).arg(env::current_exe().expect("this program")).args([test, "--exact", "--nocapture"]);
    let output = command.env(INSIDE, "1").output().expect("unshare runs");
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", text(&output.stderr));
    print!("{said}");
    false
}

fn can_mount(flags: &str) -> bool {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "mount -t tmpfs -o size=1m none \"$0\"";
    let output = Command::new("unshare").args([flags, "--", "sh", "-c", script]).arg(dir.path()).output();
    output.is_ok_and(|output| output.status.success())
}

/// A file system in memory, gone with the namespace.
fn mount(dir: &Path, megabytes: u32) {
    fs::create_dir_all(dir).expect("a folder");
    let options = format!("size={megabytes}m");
    let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(dir).status();
    assert!(status.expect("mount runs").success());
}

/// A board whose samples hardly compress, recorded into `dir`: some 2.6 bytes a sample.
fn noise(home: &Path, channels: u32, rate_hz: u32, mut params: Value) -> String {
    for (key, value) in
        [("preroll_s", json!(0)), ("disk_warn_min", json!(0)), ("disk_stop_s", json!(0)), ("disk_stop_mb", json!(0))]
    {
        let params = params.as_object_mut().expect("parameters");
        params.entry(key).or_insert(value);
    }
    let board = json!({ "channels": channels, "rate_hz": rate_hz, "signal": "noise", "noise_uv": 10_000 });
    let config = json!({ "version": 1, "name": "noise",
        "stages": [ { "id": "board", "type": "synthetic", "params": board },
                    { "id": "rec", "type": "record", "params": params } ],
        "connections": [ { "from": "board", "to": "rec", "capacity": 64 } ] });
    let path = home.join("noise.json");
    fs::write(&path, config.to_string()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// The program while it records.
struct Run {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// All that was printed so far.
    printed: String,
    home: PathBuf,
}

/// What a run came to.
struct Ended {
    exit: Option<i32>,
    summary: Value,
    printed: String,
    log: String,
}

impl Run {
    fn start(home: &Path, config: &str) -> Self {
        let mut command = wavedeck(home);
        command.args(["run", config, "--headless", "--json", "--record", "--log"]).arg(home.join("run.log"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, lines, printed: String::new(), home: home.to_owned() }
    }

    /// The next status line, which comes within a second or so.
    fn status(&mut self) -> Value {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("a line");
            assert!(read > 0, "the program has ended: {}", self.printed);
            self.printed.push_str(&line);
            let value: Value = serde_json::from_str(&line).expect("JSON");
            if value["type"] == "status" {
                return value;
            }
        }
    }

    /// Follows the status lines until one is as wanted.
    fn wait_for(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..common::GENEROUS.as_secs() {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
        }
        panic!("waited in vain: {what}: {}", self.printed);
    }

    /// Waits until the recording has ended by itself, and sees that the pipeline goes on all the same.
    fn wait_for_alarm(&mut self) {
        let before = self.wait_for("the alarm", |status| status["recording"] == "failed");
        let after = self.wait_for("more samples", |status| status["produced"].as_u64() > before["produced"].as_u64());
        assert_eq!(after["pipeline"], "running", "{after}");
    }

    /// Asks the program to end.
    fn end(mut self) -> Ended {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told to end");
        io::Read::read_to_string(&mut self.lines, &mut self.printed).expect("readable");
        let exit = self.child.wait().expect("ended").code();
        let log = fs::read_to_string(self.home.join("run.log")).expect("a log");
        Ended { exit, summary: summary(&self.printed), printed: self.printed.clone(), log }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The exit code is that of a job that failed, and `text` is in the summary and in the log.
    fn assert_alarm(&self, text: &str) {
        assert_eq!(self.exit, Some(1), "{}", self.printed);
        let error = self.summary["recording_error"].as_str().unwrap_or_default();
        assert!(error.contains(text), "{error}");
        let errors = self.summary["errors"].as_array().expect("a list");
        assert!(errors.iter().any(|error| error.as_str().is_some_and(|error| error.contains(text))), "{errors:?}");
        assert!(self.log.contains(text), "{}", self.log);
    }

    /// Samples that the program says it has recorded.
    fn recorded(&self) -> u64 {
        self.summary["recorded"].as_u64().expect("a number")
    }
}

/// Samples of a whole file that begins with sample `begin` and lacks none; `verify` agrees.
fn samples_from(begin: u64, path: &Path, home: &Path) -> u64 {
    succeed(home, &["verify", path.to_str().expect("UTF-8")]);
    let recording = Recording::open(path).expect("a recording");
    assert!(recording.is_closed());
    let mut next = begin;
    for batch in recording.batches(0, 0).expect("a stream") {
        let batch = batch.expect("whole");
        assert_eq!(batch.first_index, next, "no sample is missing");
        next = batch.end_index();
    }
    next - begin
}

fn names(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).expect("readable").flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("made");
    for block in [1 << 20, 4096, 1] {
        let bytes = vec![7; block];
        while file.write_all(&bytes).is_ok() {}
    }
}

#[test]
fn a_disk_that_fills_up_keeps_every_sample_that_was_taken_and_the_program_goes_on() {
    if !may_mount("a_disk_that_fills_up_keeps_every_sample_that_was_taken_and_the_program_goes_on") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    mount(&dir, 4);
    let config = noise(home.path(), 64, 5000, json!({ "dir": dir }));
    let mut run = Run::start(home.path(), &config);

    run.wait_for_alarm();
    let ended = run.end();

    ended.assert_alarm("the disk is full");
    ended.assert_alarm("No space left on device");
    let path = only_recording(&dir);
    assert_eq!(names(&dir).len(), 1, "{:?}", names(&dir));
    let recorded = samples_from(0, &path, home.path());
    assert_eq!(recorded, ended.recorded());
    assert!(recorded < ended.summary["produced"].as_u64().expect("a number"));
    assert_eq!(ended.summary["recordings"], json!([path]));
    let bytes = fs::metadata(&path).expect("there").len();
    assert!(bytes > 3 << 20, "{bytes} of 4 MiB were used");
    let recording = Recording::open(&path).expect("a recording");
    assert!(recording.ledger().failed.as_deref().is_some_and(|why| why.contains("the disk is full")));
}

#[test]
fn a_disk_that_another_file_fills_up_leaves_room_for_the_end() {
    if !may_mount("a_disk_that_another_file_fills_up_leaves_room_for_the_end") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    mount(&dir, 8);
    let config = noise(home.path(), 8, 1000, json!({ "dir": dir }));
    let mut run = Run::start(home.path(), &config);
    wait_until("a recording", || recorded_bytes(&dir) > 50_000);
    assert!(names(&dir).iter().any(|name| name.ends_with(".spare")), "{:?}", names(&dir));

    fill(&dir.join("other"));
    run.wait_for_alarm();
    let ended = run.end();

    ended.assert_alarm("the disk is full");
    let path = only_recording(&dir);
    assert_eq!(names(&dir).len(), 2, "{:?}", names(&dir));
    assert_eq!(samples_from(0, &path, home.path()), ended.recorded());
}

/// A disk of 64 MB of which 16 MB can be written, as one that was promised more than there is: then writes fail with
/// EIO, though the file system has room, and it makes itself read-only. False where there are no loop devices.
fn mount_breaking_disk(image: &Path, dir: &Path) -> bool {
    mount(image.parent().expect("a folder"), 16);
    fs::create_dir_all(dir).expect("a folder");
    let script = "truncate -s 64M \"$0\" && mkfs.ext4 -q -F -m 0 \"$0\" && mount -o loop \"$0\" \"$1\"";
    let output = Command::new("sh").args(["-c", script]).arg(image).arg(dir).output().expect("sh runs");
    if !output.status.success() {
        writeln!(io::stderr(), "SKIPPED, nothing is proven: no loop device: {}", text(&output.stderr)).expect("said");
    }
    output.status.success()
}

/// Runs a script with its arguments.
fn succeed_shell(script: &[&str]) {
    let output = Command::new("sh").arg("-c").args(script).output().expect("sh runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_disk_that_breaks_keeps_what_was_saved_and_the_program_goes_on() {
    if !may_mount("a_disk_that_breaks_keeps_what_was_saved_and_the_program_goes_on") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let image = home.path().join("backing/disk.img");
    if !mount_breaking_disk(&image, &dir) {
        return;
    }
    let config = noise(home.path(), 64, 25_000, json!({ "dir": dir }));
    let mut run = Run::start(home.path(), &config);

    run.wait_for_alarm();
    let ended = run.end();

    ended.assert_alarm("cannot save the recording");
    let statuses = ended.printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let saved = statuses.filter_map(|status| status["saved_bytes"].as_u64()).max().expect("a status");
    assert!(saved > 1 << 20, "{saved}");
    // What is in memory of the disk is forgotten: what it has itself counts. Its journal needs room to be read again.
    let script = "umount \"$0\" && mount -o remount,size=64m \"$(dirname \"$1\")\" && mount -o loop \"$1\" \"$0\"";
    succeed_shell(&[script, &dir.to_string_lossy(), &image.to_string_lossy()]);
    let is_first = |name: &String| name.ends_with("_noise.mcap") || name.ends_with("_noise.mcap.part");
    let found = dir.join(names(&dir).into_iter().find(is_first).expect("a recording"));
    let copy = home.path().join("copy.mcap");
    fs::copy(&found, &copy).expect("readable");
    let whole = Recording::open(&copy).expect("a recording").good_bytes();
    assert!(whole >= saved, "{whole} of {saved} bytes that were called saved");
    succeed(home.path(), &["repair", &copy.to_string_lossy()]);
    assert!(samples_from(0, &copy, home.path()) > 0);
}

#[test]
fn a_recording_is_finished_while_there_is_room_and_warned_of_before() {
    if !may_mount("a_recording_is_finished_while_there_is_room_and_warned_of_before") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let stop = |params: Value, name: &str| {
        let dir = home.path().join(name);
        mount(&dir, 8);
        let mut params = params;
        params["dir"] = json!(dir);
        let mut run = Run::start(home.path(), &noise(home.path(), 8, 10_000, params));
        run.wait_for_alarm();
        let ended = run.end();
        ended.assert_alarm("stopped while the file can still be closed");
        let path = only_recording(&dir);
        assert_eq!(samples_from(0, &path, home.path()), ended.recorded());
        assert_eq!(names(&dir).len(), 1, "{:?}", names(&dir));
        let ledger = Recording::open(&path).expect("a recording").ledger().clone();
        assert!(ledger.failed.is_none(), "it was closed as it should be: {ledger:?}");
        (ended, fs::metadata(&path).expect("there").len())
    };

    let (by_room, bytes) = stop(json!({ "disk_stop_mb": 5, "disk_warn_min": 1 }), "room");
    // Of 8 MiB five are to stay, and one was spare.
    assert!(bytes < 3 << 20, "{bytes} bytes");
    let (by_time, _) = stop(json!({ "disk_stop_s": 25, "disk_warn_min": 1 }), "time");

    for ended in [by_room, by_time] {
        let warnings = ended.printed.lines().filter(|line| line.contains("the disk is full in")).count();
        assert_eq!(warnings, 1, "{}", ended.printed);
        assert!(ended.log.contains("the disk is full in"), "{}", ended.log);
    }
}

#[test]
fn a_disk_with_too_little_room_or_read_only_is_refused_at_the_start() {
    if !may_mount("a_disk_with_too_little_room_or_read_only_is_refused_at_the_start") {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    mount(&dir, 8);
    let start = |config: &str| -> Output {
        wavedeck(home.path())
            .args(["run", config, "--headless", "--record", "--duration", "5s"])
            .output()
            .expect("starts")
    };

    let small = start(&noise(home.path(), 8, 1000, json!({ "dir": dir, "disk_stop_mb": 64 })));
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&dir).status().expect("mount runs");
    assert!(remounted.success());
    let read_only = start(&noise(home.path(), 8, 1000, json!({ "dir": dir })));

    for (output, why) in [(small, "it needs 67.1 MB (`disk_stop_mb`)"), (read_only, "Read-only file system")] {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why) && said.contains(dir.to_str().expect("UTF-8")), "{said}");
    }
    assert!(names(&dir).is_empty(), "{:?}", names(&dir));
}

#[test]
fn a_folder_that_is_removed_is_made_again_with_all_that_was_in_it() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let mut run = Run::start(home.path(), &noise(home.path(), 8, 1000, json!({ "dir": dir })));
    wait_until("a recording", || recorded_bytes(&dir) > 50_000);

    fs::remove_dir_all(&dir).expect("removed");
    wait_until("the file of before and the one after it", || {
        dir.is_dir() && names(&dir).iter().any(|name| name.ends_with(".mcap"))
    });
    wait_until("more samples", || recorded_bytes(&dir) > 100_000);
    let status = run.status();
    assert_eq!(status["recording"], "recording", "{status}");
    let ended = run.end();

    ended.assert_alarm("was removed");
    let mut files = names(&dir);
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}");
    let mut next = 0;
    // The first file has no number: it comes before the second, `_002`.
    files.sort_by_key(|name| name.contains("_002"));
    for file in files {
        next += samples_from(next, &dir.join(file), home.path());
    }
    assert_eq!(next, ended.recorded());
}
