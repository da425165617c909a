//! Crashes for real: programs are killed while they record and while they repair, and nothing whole is lost.
mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common::{run, succeed, text, wait_until, wavedeck};
use serde_json::Value;
use wavedeck_recording::Recording;

fn demo() -> String {
    format!("{}/configs/demo.json", env!("CARGO_MANIFEST_DIR"))
}

fn sample() -> Vec<u8> {
    fs::read(format!("{}/recordings/sample.mcap", env!("CARGO_MANIFEST_DIR"))).expect("the sample recording")
}

/// The sample recording, cut, under the name of an unclosed one.
fn cut_part(dir: &Path, name: &str) -> PathBuf {
    let bytes = sample();
    fs::create_dir_all(dir).expect("a folder");
    let path = dir.join(name);
    fs::write(&path, &bytes[..bytes.len() * 3 / 4]).expect("written");
    path
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Random numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Measures how long this machine lets a thread wait that wants to run now.
struct Stalls {
    worst_ns: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Stalls {
    fn watch() -> Self {
        let (worst_ns, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (worst, over) = (Arc::clone(&worst_ns), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            const NAP: Duration = Duration::from_millis(5);
            while !over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                thread::sleep(NAP);
                let late = begin.elapsed().saturating_sub(NAP);
                worst.fetch_max(late.as_nanos() as u64, Ordering::Relaxed);
            }
        });
        Self { worst_ns, is_over, thread: Some(thread) }
    }

    fn worst(mut self) -> Duration {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().expect("a thread").join().expect("it ends");
        Duration::from_nanos(self.worst_ns.load(Ordering::Relaxed))
    }
}

fn record(home: &Path, dir: &Path) -> Child {
    let set = format!("rec.dir={}", dir.display());
    let log = home.join("run.log");
    let mut command = wavedeck(home);
    command.args(["run", &demo(), "--headless", "--record", "--log", utf8(&log), "--set", &set]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

fn part_in(dir: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(dir).ok()?.flatten().map(|file| file.path());
    files.find(|path| path.extension().is_some_and(|ending| ending == "part"))
}

/// Unix time after the last sample of the only stream; that of the start without any.
fn last_sample_ns(recording: &Recording) -> u64 {
    let mut end_ns = recording.start_unix_ns();
    let rate = recording.streams()[0].spec.rate;
    let mut before = None;
    for batch in recording.batches(0, 0).expect("a stream") {
        let batch = batch.expect("whole");
        let missing = batch.first_index - before.unwrap_or(batch.first_index);
        assert_eq!(missing, u64::from(batch.dropped_before), "what is missing in between is told");
        before = Some(batch.end_index());
        end_ns = batch.t0_ns + rate.nanoseconds_at(u64::from(batch.n_frames));
    }
    end_ns
}

/// What is promised. A chunk is closed 200 ms after its oldest sample was taken; the rest is for threads to run.
const MOST_LOST: Duration = Duration::from_millis(250);

#[test]
fn recordings_killed_at_twenty_random_moments_are_whole_up_to_the_last_quarter_second() {
    let mut dice = Dice(20);
    let stalls = Stalls::watch();
    let mut killed = Vec::new();
    for _ in 0..2 {
        let moments: Vec<u64> = (0..10).map(|_| 300 + dice.below(2200)).collect();
        let threads: Vec<_> = moments
            .into_iter()
            .map(|moment| {
                thread::spawn(move || {
                    let home = tempfile::tempdir().expect("a folder");
                    let dir = home.path().join("rec");
                    let mut child = record(home.path(), &dir);
                    thread::sleep(Duration::from_millis(moment));
                    let killed_ns = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
                    child.kill().expect("killed");
                    child.wait().expect("ended");
                    (home, dir, moment, killed_ns)
                })
            })
            .collect();
        killed.extend(threads.into_iter().map(|thread| thread.join().expect("no panic")));
    }
    let stall = stalls.worst();

    let mut losses = Vec::new();
    for (home, dir, moment, killed_ns) in &killed {
        // Killed before it had begun to record: nothing was promised.
        let Some(part) = part_in(dir) else { continue };
        if Recording::open(&part).is_err() {
            assert!(!run(home.path(), &["repair", utf8(&part)]).status.success());
            continue;
        }
        let before = last_sample_ns(&Recording::open(&part).expect("readable"));
        let said = succeed(home.path(), &["repair", utf8(dir)]);
        assert!(said.contains("was not closed"), "{said}");
        let path = part.with_extension("");
        succeed(home.path(), &["verify", utf8(&path)]);
        let recording = Recording::open(&path).expect("readable");
        assert!(recording.is_closed());
        let last_ns = last_sample_ns(&recording);
        assert_eq!(last_ns, before, "a repair keeps all that could be read");
        let lost = Duration::from_nanos(killed_ns.saturating_sub(last_ns));
        assert!(
            lost <= MOST_LOST + stall,
            "killed after {moment} ms: {lost:?} lost, the machine stalled for {stall:?}"
        );
        losses.push(lost);
    }
    losses.sort();
    let worst = losses.last().copied().unwrap_or_default();
    let median = losses.get(losses.len() / 2).copied().unwrap_or_default();
    println!("{} of 20 recorded; lost at most {worst:?}, half of them {median:?}; worst stall {stall:?}", losses.len());
    assert!(losses.len() >= 12, "{} of 20 had begun to record", losses.len());
}

#[test]
fn a_repair_killed_at_random_moments_is_finished_by_the_next() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let mut dice = Dice(3);
    let mut unfinished = 0;
    for n in 0..40 {
        let part = cut_part(&dir, &format!("run{n}.mcap.part"));
        let samples = last_sample_ns(&Recording::open(&part).expect("readable"));
        let mut child =
            wavedeck(home.path()).args(["repair", utf8(&part)]).stdout(Stdio::null()).spawn().expect("starts");
        thread::sleep(Duration::from_micros(dice.below(25_000)));
        child.kill().expect("killed");
        child.wait().expect("ended");
        unfinished += usize::from(part.exists());

        succeed(home.path(), &["repair", utf8(&dir)]);

        let path = part.with_extension("");
        succeed(home.path(), &["verify", utf8(&path)]);
        assert_eq!(last_sample_ns(&Recording::open(&path).expect("readable")), samples);
        fs::remove_file(&path).expect("removed");
    }
    println!("{unfinished} of 40 repairs were killed before their end");
}

#[test]
fn a_recording_that_is_on_is_left_alone() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let mut child = record(home.path(), &dir);
    wait_until("a recording", || part_in(&dir).is_some_and(|part| Recording::open(part).is_ok()));
    let part = part_in(&dir).expect("a recording");

    let named = run(home.path(), &["repair", utf8(&part)]);
    let in_folder = run(home.path(), &["repair", utf8(&dir)]);

    assert_eq!(named.status.code(), Some(1));
    assert!(text(&named.stdout).contains("is being written by another process"), "{}", text(&named.stdout));
    assert_eq!(in_folder.status.code(), Some(0));
    assert!(text(&in_folder.stdout).contains("left alone"), "{}", text(&in_folder.stdout));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told to end");
    wait_until("the end", || child.try_wait().expect("a child").is_some());
    succeed(home.path(), &["verify", utf8(&part.with_extension(""))]);
}

#[test]
fn of_two_repairs_at_once_one_does_it() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    for n in 0..10 {
        let part = cut_part(&dir, &format!("run{n}.mcap.part"));
        let start = || {
            let mut command = wavedeck(home.path());
            command.args(["repair", utf8(&part)]).stdout(Stdio::piped()).spawn().expect("starts")
        };
        let children = [start(), start()];

        let said = children.map(|child| text(&child.wait_with_output().expect("ended").stdout));

        let did = said.iter().filter(|said| said.contains("was not closed")).count();
        assert_eq!(did, 1, "{said:?}");
        let answers = ["by another process", "does not exist"];
        assert!(said.iter().any(|said| answers.iter().any(|answer| said.contains(answer))), "{said:?}");
        succeed(home.path(), &["verify", utf8(&part.with_extension(""))]);
    }
}

#[test]
fn a_start_repairs_what_an_earlier_run_left_open() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let part = cut_part(&dir, "crashed.mcap.part");
    fs::write(dir.join("nothing.mcap.part"), b"\x89MCAP0\r\n\x01").expect("written");
    let below = cut_part(&dir.join("below"), "deeper.mcap.part");
    // A file that is being copied into the folder: it grows.
    let copied = cut_part(&dir, "copied.mcap");
    let (is_over, copying) = (Arc::new(AtomicBool::new(false)), copied.clone());
    let over = Arc::clone(&is_over);
    let copy = thread::spawn(move || {
        let mut file = fs::File::options().append(true).open(&copying).expect("there");
        while !over.load(Ordering::Relaxed) {
            std::io::Write::write_all(&mut file, &[7; 64]).expect("written");
            thread::sleep(Duration::from_millis(50));
        }
    });
    let set = format!("rec.dir={}", dir.display());
    let mut child = wavedeck(home.path());
    child.args(["run", &demo(), "--headless", "--json", "--record", "--set", &set]).stdout(Stdio::piped());
    let child = child.spawn().expect("starts");

    wait_until("the repair", || !part.exists());
    // Status lines, and the log with them, come once a second.
    thread::sleep(Duration::from_millis(1500));
    is_over.store(true, Ordering::Relaxed);
    copy.join().expect("no panic");

    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told to end");
    let printed = text(&child.wait_with_output().expect("ended").stdout);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let logged = |level: &str, part: &str| {
        lines.iter().any(|line| {
            line["entry"]["level"].as_str().is_some_and(|said| said.eq_ignore_ascii_case(level))
                && line["entry"]["text"].as_str().is_some_and(|text| text.contains(part))
        })
    };
    assert!(logged("info", "crashed.mcap.part: was not closed"), "{printed}");
    assert!(logged("warn", "nothing.mcap.part was cut before its first samples"), "{printed}");
    assert!(logged("warn", "copied.mcap grows"), "{printed}");
    assert!(fs::read(&copied).expect("there").ends_with(&[7; 64]), "nothing was cut or appended");
    succeed(home.path(), &["verify", utf8(&dir.join("crashed.mcap"))]);
    assert!(below.exists() && dir.join("nothing.mcap.part").exists());
}

#[test]
fn a_disk_without_room_is_told_and_nothing_whole_is_lost() {
    let home = tempfile::tempdir().expect("a folder");
    let part = cut_part(home.path(), "run.mcap.part");
    let bytes = fs::read(&part).expect("there");
    let whole = Recording::open(&part).expect("readable").good_bytes();
    // A limit on the length of files stands for a disk: it lets the file keep its length, but not take its end.
    let blocks = whole / 512 + 2;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" repair \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_wavedeck"), utf8(&part)]);

    let output = command.output().expect("a shell");

    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    assert!(said.contains("run.mcap.part"), "{said}");
    let left = fs::read(&part).expect("there");
    assert!(left.len() as u64 >= whole && bytes.starts_with(&left), "{} of {whole} bytes", left.len());
    succeed(home.path(), &["repair", utf8(&part)]);
    succeed(home.path(), &["verify", utf8(&home.path().join("run.mcap"))]);
}

#[test]
fn repair_says_what_it_kept_and_cut() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("rec");
    let part = cut_part(&dir, "run.mcap.part");
    fs::write(dir.join("whole.mcap"), sample()).expect("written");
    let before = fs::read(&part).expect("there");

    let dry = succeed(home.path(), &["repair", utf8(&dir), "--dry-run"]);
    assert!(dry.contains("was not closed") && dry.contains("nothing was changed"), "{dry}");
    assert_eq!(fs::read(&part).expect("there"), before);

    let done = succeed(home.path(), &["repair", utf8(&dir), "--json"]);
    let done: Value = serde_json::from_str(&done).expect("JSON");
    let repaired = done.as_array().expect("a list").iter().find(|file| file["outcome"] == "repaired").expect("one");
    assert!(repaired["path"].as_str().is_some_and(|path| path.ends_with("run.mcap")), "{done}");
    let kept =
        repaired["kept_bytes"].as_u64().expect("a number") + repaired["note"]["cut_bytes"].as_u64().expect("one");
    assert_eq!(kept, before.len() as u64);

    let again = succeed(home.path(), &["repair", utf8(&dir)]);
    assert!(again.contains("2 recordings, 2 closed already"), "{again}");
    let info = succeed(home.path(), &["info", utf8(&dir.join("run.mcap"))]);
    assert!(info.contains("closed, repaired 20"), "{info}");
    // Without an argument it is the folder `recordings`, which need not be there.
    let output = wavedeck(home.path()).arg("repair").current_dir(home.path()).output().expect("starts");
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn verify_ends_with_0_for_whole_files_and_with_1_for_others() {
    let home = tempfile::tempdir().expect("a folder");
    let (whole, changed) = (home.path().join("whole.mcap"), home.path().join("changed.mcap"));
    let mut bytes = sample();
    fs::write(&whole, &bytes).expect("written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    fs::write(&changed, &bytes).expect("written");

    let said = succeed(home.path(), &["verify", utf8(&whole)]);
    assert!(said.contains("whole.mcap: whole"), "{said}");
    let both = run(home.path(), &["verify", utf8(&whole), utf8(&changed), "--json"]);
    assert_eq!(both.status.code(), Some(1));
    let reports: Value = serde_json::from_str(&text(&both.stdout)).expect("JSON");
    assert_eq!((&reports[0]["whole"], &reports[1]["whole"]), (&Value::from(true), &Value::from(false)));
    let offset = reports[1]["faults"]["listed"][0]["offset"].as_u64().expect("a place");
    assert!(offset <= middle as u64, "{reports}");
    assert_eq!(run(home.path(), &["verify", "nowhere.mcap"]).status.code(), Some(1));
}
