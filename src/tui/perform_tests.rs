use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::{PipelineConfig, PipelineState};
use wavedeck_recording::Recording;

use super::{
    super::{key::Key, update::press},
    *,
};
use crate::session::{FromStart, Session};

const GENEROUS: Duration = Duration::from_secs(60);

/// A screen in front of a pipeline that records into a folder.
struct Bench {
    session: Session,
    performer: Performer,
    app: App,
}

impl Bench {
    fn new(dir: &Path, lock: &str) -> Self {
        let config = json!({ "version": 1, "name": "screen", "lock": lock,
            "stages": [ { "id": "board", "type": "synthetic" }, { "id": "volts", "type": "to_voltage" },
                        { "id": "end", "type": "null" }, { "id": "rec", "type": "record", "params": { "dir": dir } } ],
            "connections": [ { "from": "board", "to": "volts" }, { "from": "volts", "to": "end" },
                             { "from": "board", "to": "rec" } ] });
        let config = PipelineConfig::from_value(&config).expect("no mistake of form");
        let registry = crate::registry().expect("distinct names");
        let session = Session::open(config, registry, FromStart::Nothing).expect("it starts");
        let station: Arc<dyn Station> = Arc::new(session.clone());
        let (performer, app) = (Performer::new(&station), App::showing(View::Params));
        Self { session, performer, app }
    }

    /// Presses keys and carries out what they ask for, as the screen does.
    fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            let effects = press(&mut self.app, &self.session.snapshot(), Key::Char(key));
            assert_eq!(self.performer.perform(&mut self.app, effects), Next::Continue);
        }
    }

    /// Chooses a field and stages the value one step on.
    fn stage(&mut self, stage: &str, key: &str) {
        let snapshot = self.session.snapshot();
        self.app.form.stage = snapshot.stages.iter().position(|known| &*known.id == stage).expect("a stage");
        let params = &snapshot.stages[self.app.form.stage].params;
        self.app.form.field = params.iter().position(|(spec, _)| spec.key == key).expect("a field");
        press(&mut self.app, &snapshot, Key::Right);
        assert!(self.app.form.staged_for(stage, key).is_some());
    }

    fn message(&mut self) -> String {
        self.app.message.take().map(|message| message.text).unwrap_or_default()
    }

    fn gain(&self) -> Value {
        let config = self.session.running_config();
        config.stages[1].params.get("gain").cloned().unwrap_or_default()
    }

    fn wait_for(&self, state: RecordingState) {
        wait_until("another state of the recording", || self.session.snapshot().recording == state);
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < GENEROUS, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The edit journal of the only recording of a folder.
fn journal(dir: &Path) -> Vec<Value> {
    let file = std::fs::read_dir(dir).expect("a folder").next().expect("a recording").expect("a file");
    let edits = Recording::open(file.path()).expect("a recording").params().expect("a whole file");
    edits.into_iter().map(|edit| json!([edit.path, edit.old, edit.new, edit.by, edit.outcome])).collect()
}

#[test]
fn an_edit_staged_before_a_recording_is_busy_until_it_is_paused_and_both_are_journaled() {
    let home = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new(home.path(), "recording");
    bench.stage("volts", "gain");
    bench.press("R");
    bench.wait_for(RecordingState::Recording);

    bench.press("a");
    assert_eq!(
        bench.message(),
        "edits stay staged: `volts.gain`: busy: parameters are locked while recording; R pauses it"
    );
    assert!(bench.app.form.staged.len() == 1 && bench.gain().is_null());

    bench.press("R");
    bench.wait_for(RecordingState::Paused);
    bench.press("a");
    assert_eq!(bench.message(), "volts.gain is being set to 25.0");
    assert!(bench.app.form.staged.is_empty());
    wait_until("the value", || bench.gain() == 25.0);

    bench.press("SS");
    bench.wait_for(RecordingState::Idle);
    let row = |outcome: &str| json!(["volts.gain", 24.0, 25.0, "screen", outcome]);
    assert_eq!(journal(home.path()), [row("refused"), row("applied")]);
}

#[test]
fn under_the_strict_lock_an_edit_is_busy_until_the_pipeline_is_paused() {
    let home = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new(home.path(), "running");
    bench.press("p");
    assert_eq!(bench.session.snapshot().pipeline, PipelineState::Paused);
    bench.stage("volts", "gain");
    bench.press("p");

    bench.press("a");
    let message = bench.message();
    assert!(
        message.starts_with("edits stay staged: `volts.gain`: busy") && message.ends_with("p pauses it"),
        "{message}"
    );
    assert!(bench.app.form.staged.len() == 1 && bench.gain().is_null());

    bench.press("pa");
    assert!(bench.app.form.staged.is_empty(), "{}", bench.message());
    wait_until("the value", || bench.gain() == 25.0);
}

#[test]
fn a_restart_staged_before_a_recording_is_refused_until_it_is_finished() {
    let home = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new(home.path(), "recording");
    bench.stage("board", "channels");
    bench.press("R");
    bench.wait_for(RecordingState::Recording);
    bench.press("a");
    let message = bench.message();
    assert!(message.contains("busy") && message.ends_with("a restart needs its end: S"), "{message}");

    bench.press("R");
    bench.wait_for(RecordingState::Paused);
    bench.press("a");
    assert_eq!(bench.message(), "edits stay staged: a recording is open: finish it with S first");
    assert!(bench.app.form.staged.len() == 1 && bench.session.snapshot().generation == 1);

    bench.press("SS");
    bench.wait_for(RecordingState::Idle);
    assert_eq!(journal(home.path()), vec![json!(["board.channels", 8, 9, "screen", "refused"]); 2]);
    bench.press("a");
    assert!(bench.app.form.staged.is_empty(), "{}", bench.message());
    assert_eq!(bench.session.snapshot().generation, 2);
}

#[test]
fn what_runs_is_saved_as_a_pipeline_with_the_same_parameters() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut bench = Bench::new(dir.path(), "recording");
    bench.stage("volts", "gain");
    bench.press("a");
    let begin = Instant::now();
    let gain = |config: &PipelineConfig| config.stages[1].params.get("gain").cloned();
    while gain(&bench.session.running_config()).is_none() {
        assert!(begin.elapsed() < GENEROUS, "the change was not applied");
        std::thread::sleep(Duration::from_millis(5));
    }
    let path = dir.path().join("tuned.json");
    let name = path.to_str().expect("UTF-8").to_owned();
    let save = |bench: &mut Bench| {
        bench.press("w");
        for key in name.chars().map(Key::Char).chain([Key::Enter]) {
            let effects = press(&mut bench.app, &bench.session.snapshot(), key);
            bench.performer.perform(&mut bench.app, effects);
        }
        while !bench.performer.take_answers(&mut bench.app) {
            assert!(begin.elapsed() < GENEROUS, "nothing was saved");
            std::thread::sleep(Duration::from_millis(5));
        }
        bench.message()
    };
    assert!(save(&mut bench).contains(&name));
    let read = crate::config_file::read_config(&path, &[]).expect("no mistake");
    assert_eq!(read.to_json(), bench.session.running_config().to_json());
    wavedeck_plane::Plan::new(&read, &crate::registry().expect("distinct names")).expect("a plan");
    // The name is taken now: the text stays for another one.
    assert!(save(&mut bench).contains("there already"));
    assert!(!bench.app.layers.is_empty());
    bench.session.close(Duration::from_secs(5));
}
