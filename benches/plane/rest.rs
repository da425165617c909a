//! The cost at rest: a small board on an idle machine, and what wakes up while it is paused.
use std::{
    fs, process,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use wavedeck_plane::{Graph, PipelineConfig, Plan};

use crate::{
    measure::Options,
    pipeline,
    proc::{self, Thread},
    report::{Grid, Report, Row, Target, Unit},
};

/// Time for the first packets and spectra to be past.
const SETTLE: Duration = Duration::from_millis(1500);
const WINDOW: Duration = Duration::from_secs(10);

/// Eight channels at 250 Hz through five stages; the recorder that every pipeline gets is the sixth.
fn config() -> Value {
    json!({
        "version": 1,
        "name": "rest",
        "stages": [
            { "id": "board", "type": "synthetic", "params": { "channels": 8, "rate_hz": 250.0 } },
            { "id": "volts", "type": "to_voltage" },
            { "id": "clean", "type": "filter", "params": { "lowpass_hz": 45.0, "notch_hz": 50.0 } },
            { "id": "louder", "type": "gain", "params": { "gain": 2.0 } },
            { "id": "psd", "type": "fft", "params": { "overlap": 0.5 } }
        ],
        "connections": [
            { "from": "board", "to": "volts" },
            { "from": "volts", "to": "clean" },
            { "from": "clean", "to": "louder" },
            { "from": "louder", "to": "psd" }
        ]
    })
}

fn graph() -> Graph {
    let config = PipelineConfig::from_value(&config()).expect("a good config");
    let plan = Plan::new(&config, &wavedeck::registry().expect("distinct names")).expect("a good pipeline");
    Graph::build(plan).expect("it builds")
}

/// What a process does in a while.
fn look(process: u32, but: &[u32], window: Duration) -> Vec<Thread> {
    let before = proc::threads(process, but);
    thread::sleep(window);
    proc::between(&before, &proc::threads(process, but))
}

fn percent_of_core(threads: &[Thread], window: Duration) -> f64 {
    let cpu_ns: u64 = threads.iter().map(|thread| thread.cpu_ns).sum();
    cpu_ns as f64 / window.as_nanos() as f64 * 100.0
}

fn wakes_per_s(threads: &[Thread], window: Duration) -> f64 {
    threads.iter().map(|thread| thread.waits).sum::<u64>() as f64 / window.as_secs_f64()
}

/// The program itself without a screen; ended at the latest when this is dropped.
struct Headless(Child);

impl Headless {
    fn start(folder: &std::path::Path) -> Self {
        let file = folder.join("rest.json");
        fs::write(&file, config().to_string()).expect("a file in a folder of ours");
        let command = Command::new(env!("CARGO_BIN_EXE_wavedeck"))
            .arg("run")
            .arg(file)
            .arg("--headless")
            .arg("--log")
            .arg(folder.join("log"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(command.expect("the program starts"))
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The whole program and the plane alone, while samples come.
pub(crate) fn running(options: &Options, report: &mut Report) {
    let (settle, window) = (options.length(SETTLE), options.length(WINDOW));
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Headless::start(folder.path());
    thread::sleep(settle);
    let whole = look(program.0.id(), &[], window);
    assert!(program.0.try_wait().expect("it can be asked").is_none(), "it runs until it is ended");
    drop(program);

    let others = proc::thread_ids();
    let started = pipeline::start(graph());
    started.runtime.go();
    thread::sleep(settle);
    let plane = look(process::id(), &others, window);
    started.stop();

    let name = "8 ch at 250 Hz, six stages";
    let mut add = |name: String, unit, ours, target| {
        report.row(Row { name, unit, ours: vec![ours], baseline: None, target });
    };
    let limit = Some(Target::AtMost(0.5));
    add(format!("{name}, program headless"), Unit::PercentOfCore, percent_of_core(&whole, window), limit);
    add(format!("{name}, program headless"), Unit::WakesPerSecond, wakes_per_s(&whole, window), None);
    add(format!("{name}, plane alone"), Unit::PercentOfCore, percent_of_core(&plane, window), None);
    add(format!("{name}, plane alone"), Unit::WakesPerSecond, wakes_per_s(&plane, window), None);
}

/// Wake-ups of each thread of the plane, running and paused.
pub(crate) fn paused(options: &Options, report: &mut Report) {
    let (settle, window) = (options.length(SETTLE), options.length(WINDOW / 2));
    let others = proc::thread_ids();
    let started = pipeline::start(graph());
    started.runtime.go();
    thread::sleep(settle);
    let running = look(process::id(), &others, window);
    started.runtime.pause();
    thread::sleep(settle / 10);
    let paused = look(process::id(), &others, window);
    started.stop();

    let lines = running.iter().zip(&paused).map(|(running, paused)| {
        let wakes = |thread: &Thread| format!("{:.1}", wakes_per_s(std::slice::from_ref(thread), window));
        vec![running.name.clone(), wakes(running), wakes(paused)]
    });
    report.grid(Grid {
        title: "Wake-ups per second of each thread, 8 ch at 250 Hz",
        columns: vec!["thread", "running", "paused"],
        lines: lines.collect(),
    });
    report.row(Row {
        name: "8 ch at 250 Hz, six stages, plane paused".into(),
        unit: Unit::WakesPerSecond,
        ours: vec![wakes_per_s(&paused, window)],
        baseline: None,
        target: None,
    });
}
