//! Two clients, one parameter, and recordings that start, pause and end meanwhile. What the files say is checked
//! against what the clients were told, and against the samples themselves.
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use serde_json::{Value, json};
use wavedeck::session::{Request, Session};
use wavedeck_api::handle::RecordingState;
use wavedeck_recording::{Recording, Samples, StoredEdit};

use crate::{
    common::wait_until,
    rig::{bench, close, code, edit, request, short, update, update_request, wait_for},
};

/// Answers that each client gets before the next thing happens to the recording.
const ANSWERS: u64 = 60;
/// Samples that the board sends meanwhile.
const SAMPLES: u64 = 300;
const RECORDINGS: usize = 4;

/// What became of a request, as its client was told.
enum Told {
    Applied { at_sample: u64 },
    Busy,
}

struct Seen {
    by: &'static str,
    value: f64,
    asked: Instant,
    answered: Instant,
    told: Told,
}

/// Asks for one change after the other, no two for the same value.
fn ask_on(
    by: &'static str,
    parity: u32,
    is_over: &AtomicBool,
    answers: &AtomicU64,
    ask: impl Fn(f64) -> Told,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    for n in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        // Exact in 32 bits as well.
        let value = f64::from(2 * n + parity) / 16384.0 + 1.0;
        let asked = Instant::now();
        let told = ask(value);
        seen.push(Seen { by, value, asked, answered: Instant::now(), told });
        answers.fetch_add(1, Ordering::Relaxed);
    }
    seen
}

/// Lets the clients end, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Moments between two changes of the lock.
#[derive(Default)]
struct Spans {
    locked: Vec<(Instant, Instant)>,
    free: Vec<(Instant, Instant)>,
    /// From the start of each recording until it is finished.
    files: Vec<(Instant, Instant)>,
}

fn hold(spans: &[(Instant, Instant)], seen: &Seen) -> bool {
    spans.iter().any(|(begin, end)| seen.asked > *begin && seen.answered < *end)
}

/// Waits until each client has had its answers and the board has sent some packets; gives the time from then to now.
fn let_pass(session: &Session, answers: &[AtomicU64; 2]) -> (Instant, Instant) {
    let sent = || session.snapshot().telemetry.stages[0].outputs[0].1.sent_samples;
    let (until, begin) = (sent() + SAMPLES, Instant::now());
    let goals = answers.each_ref().map(|count| count.load(Ordering::Relaxed) + ANSWERS);
    wait_until("answers", || answers.iter().zip(goals).all(|(count, goal)| count.load(Ordering::Relaxed) >= goal));
    wait_until("samples", || sent() >= until);
    (begin, Instant::now())
}

fn record_on_and_off(session: &Session, answers: &[AtomicU64; 2]) -> Spans {
    let recorded = || session.snapshot().recorder.expect("there is one").recorded_samples;
    let let_pass = || let_pass(session, answers);
    let mut spans = Spans::default();
    for number in 0..RECORDINGS {
        spans.free.push(let_pass());
        request(session, Request::RecordStart { name: Some(format!("take-{number}")) });
        let begin = Instant::now();
        spans.locked.push(let_pass());
        // A pause asks for a recording that has begun.
        wait_for(session, RecordingState::Recording);
        request(session, Request::RecordPause);
        spans.free.push(let_pass());
        wait_for(session, RecordingState::Paused);
        request(session, Request::RecordResume);
        spans.locked.push(let_pass());
        wait_for(session, RecordingState::Recording);
        wait_until("samples in the file", || recorded() > 2 * SAMPLES);
        spans.files.push((begin, Instant::now()));
        request(session, Request::RecordFinish);
        wait_for(session, RecordingState::Idle);
    }
    spans
}

fn race(dir: &Path) -> (Vec<Seen>, Spans) {
    let session = bench(dir, "recording");
    let (is_over, answers) = (AtomicBool::new(false), [AtomicU64::new(0), AtomicU64::new(0)]);
    let (seen, spans) = thread::scope(|scope| {
        let (session, is_over, answers) = (&session, &is_over, &answers);
        let by_short = |value: f64| {
            let answer = short(session, &update_request("gain1", "gain", value), "short");
            match answer["at_sample"].as_u64() {
                Some(at_sample) => {
                    let fields = [("ok", json!(true)), ("stage_id", json!("gain1")), ("value", json!(value))];
                    assert!(fields.iter().all(|(name, right)| answer[name] == *right), "{answer}");
                    Told::Applied { at_sample }
                }
                None => {
                    assert_eq!(code(&answer), "Busy", "{answer}");
                    Told::Busy
                }
            }
        };
        let by_session = |value: f64| match update(session, &edit("gain1", "gain", value), "session") {
            Ok(applied) => {
                assert_eq!(applied.value, value);
                Told::Applied { at_sample: applied.at_sample }
            }
            Err(error) => {
                assert!(error.is_busy(), "{error}");
                Told::Busy
            }
        };
        let short = scope.spawn(move || ask_on("short", 0, is_over, &answers[0], by_short));
        let other = scope.spawn(move || ask_on("session", 1, is_over, &answers[1], by_session));
        let over = Over(is_over);
        let spans = record_on_and_off(session, answers);
        drop(over);
        let mut seen = short.join().expect("no panic");
        seen.extend(other.join().expect("no panic"));
        (seen, spans)
    });
    let applied = |seen: &&Seen| matches!(seen.told, Told::Applied { .. });
    let last = seen.iter().filter(applied).max_by_key(|seen| seen.answered).expect("some passed");
    // The two clients' last changes may have been answered in the other order.
    let config = session.running_config();
    let in_force = config.stages[2].params["gain"].as_f64().expect("a number");
    let winner = seen.iter().filter(applied).find(|seen| seen.value == in_force).expect("the value of a client");
    assert!(winner.answered >= last.asked, "a later change was overwritten by an earlier one");
    close(&session);
    (seen, spans)
}

/// The gain of a recording's first sample: what the first change replaced. The pipeline that the file begins with is that
/// of the request, when packets made before the last change may still wait for the recorder.
fn gain_at_the_start(recording: &Recording, applied: &[&StoredEdit]) -> f64 {
    if let Some(first) = applied.first() {
        return first.old.as_f64().expect("a number");
    }
    let pipeline: Value = serde_json::from_str(&recording.pipeline_json().expect("it is there")).expect("JSON");
    pipeline["stages"][2]["params"]["gain"].as_f64().unwrap_or(1.0)
}

fn samples(recording: &Recording, stream: &str) -> BTreeMap<u64, Vec<f32>> {
    let stream = recording.stream(stream).expect("a stream");
    let batches = recording.batches(stream, 0).expect("a stream").map(|batch| batch.expect("a whole file"));
    let values = batches.map(|batch| match batch.samples {
        Samples::Values(values) => (batch.first_index, values),
        Samples::Counts(_) => panic!("these are volts"),
    });
    values.collect()
}

/// Computes each sample behind the gain from the one before it by what the file says of the gain; how many there are.
fn check_samples(recording: &Recording, applied: &[&StoredEdit]) -> usize {
    let flat = |stream: &str| -> BTreeMap<u64, f32> {
        let batches = samples(recording, stream).into_iter();
        batches.flat_map(|(first, values)| (first..).zip(values)).collect()
    };
    let (before, after) = (flat("volts"), flat("gain1"));
    let first = gain_at_the_start(recording, applied);
    assert!(applied.iter().map(|edit| edit.at_sample).is_sorted(), "in the order of epochs");
    let mut compared = 0;
    for (index, value) in &after {
        let Some(base) = before.get(index) else { continue };
        let changes = applied.partition_point(|edit| edit.at_sample <= Some(*index));
        let gain = changes.checked_sub(1).map_or(first, |last| applied[last].new.as_f64().expect("a number"));
        assert_eq!(*value, base * gain as f32, "sample {index}, whose gain should be {gain}");
        compared += 1;
    }
    compared
}

#[test]
fn two_clients_are_both_answered_and_the_files_say_the_same_as_the_answers() {
    let home = tempfile::tempdir().expect("a folder");
    let (seen, spans) = race(home.path());
    let passed = |seen: &Seen| matches!(seen.told, Told::Applied { .. });
    for one in &seen {
        assert!(!(passed(one) && hold(&spans.locked, one)), "{} by {} passed the lock", one.value, one.by);
        assert!(passed(one) || !hold(&spans.free, one), "{} by {} was refused for nothing", one.value, one.by);
    }
    for by in ["short", "session"] {
        let mine = |spans: &[(Instant, Instant)]| seen.iter().filter(|one| one.by == by && hold(spans, one)).count();
        assert!(mine(&spans.locked) > 100 && mine(&spans.free) > 100, "{by} met the lock and the open gate");
    }

    let asked: HashMap<u64, &Seen> = seen.iter().map(|one| (one.value.to_bits(), one)).collect();
    let at_sample = |one: &Seen| if let Told::Applied { at_sample } = one.told { Some(at_sample) } else { None };
    let mut journaled = 0;
    for (number, file) in spans.files.iter().enumerate() {
        let recording = Recording::open(home.path().join(format!("take-{number}.mcap"))).expect("a recording");
        let told = recording.params().expect("a whole file");
        let mut by_value = HashMap::new();
        for edit in &told {
            let value = edit.new.as_f64().expect("a number");
            assert!(by_value.insert(value.to_bits(), edit).is_none(), "{value} is in take {number} twice");
            // Nothing is in it that no client asked for.
            let told = asked[&value.to_bits()];
            assert_eq!((edit.by.as_str(), edit.at_sample), (told.by, at_sample(told)), "{value}");
            assert_eq!(passed(told), edit.outcome == "applied", "{value}");
        }
        // Each answer given while the file was open is in it.
        for one in seen.iter().filter(|one| hold(std::slice::from_ref(file), one)) {
            assert!(
                by_value.contains_key(&one.value.to_bits()),
                "{} by {} is missing in take {number}",
                one.value,
                one.by
            );
            journaled += 1;
        }
        let applied: Vec<&StoredEdit> = told.iter().filter(|edit| edit.outcome == "applied").collect();
        // Each change follows from the one before: none is missing in between.
        for pair in applied.windows(2) {
            assert_eq!(pair[1].old, pair[0].new, "take {number}");
        }
        let compared = check_samples(&recording, &applied);
        assert!(compared > 100, "{compared} samples in take {number}");
    }
    assert!(seen.len() > 1000 && journaled > 500, "{} answers, {journaled} in files", seen.len());
}
