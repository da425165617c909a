//! Who may change what, and when; and what the edit journal says of it.
use serde_json::{Value, json};
use wavedeck::session::{ParamEdit, Request, Session};
use wavedeck_api::handle::RecordingState;

use crate::{
    common::wait_until,
    rig::{bench, close, code, edit, finish, open, post, record, request, short, update, update_request, wait_for},
};

/// Asks for the same change on each side. True if each made it, false if each was busy.
fn passes(session: &Session, edit: &ParamEdit) -> bool {
    let ParamEdit { stage, key, value } = edit.clone();
    let posted = post(session, edit.clone(), "posted");
    let updated = update(session, edit, "updated");
    let short = short(session, &update_request(&stage, &key, value), "short");
    match &posted {
        Ok(_) => {
            let updated = updated.expect("as the first");
            assert_eq!((&updated.value, &short["value"], &short["ok"]), (&edit.value, &edit.value, &json!(true)));
            true
        }
        Err(error) => {
            assert!(error.is_busy(), "{error}");
            assert!(updated.is_err_and(|error| error.is_busy()));
            assert_eq!(code(&short), "Busy");
            false
        }
    }
}

fn value_of(session: &Session, stage: &str, key: &str) -> Value {
    let config = session.running_config();
    let stage = config.stages.into_iter().find(|known| known.id == stage).expect("a stage");
    stage.params.get(key).cloned().unwrap_or_default()
}

#[test]
fn every_side_is_busy_while_recording_and_free_when_it_is_paused_or_over() {
    let home = tempfile::tempdir().expect("a folder");
    let session = bench(home.path(), "recording");
    let gain = |value: f64| edit("gain1", "gain", value);
    assert!(passes(&session, &gain(2.0)), "idle");

    record(&session);
    assert!(!passes(&session, &gain(3.0)), "recording");
    assert!(passes(&session, &edit("end", "label", "left")), "cosmetic");
    assert_eq!(value_of(&session, "gain1", "gain"), 2.0);

    request(&session, Request::RecordPause);
    assert!(passes(&session, &gain(4.0)), "paused");
    request(&session, Request::RecordResume);
    assert!(!passes(&session, &gain(5.0)), "recording again");

    let recording = finish(&session, home.path());
    assert!(passes(&session, &gain(6.0)), "finished");
    let told = recording.params().expect("a whole file");
    let told: Vec<Value> =
        told.into_iter().map(|edit| json!([edit.path, edit.old, edit.new, edit.by, edit.outcome])).collect();
    let rows = |path: &str, old: [Value; 3], new: Value, outcome: &str| {
        let clients = ["posted", "updated", "short"].into_iter().zip(old);
        clients.map(|(by, old)| json!([path, old, new, by, outcome])).collect::<Vec<_>>()
    };
    let same = |value: f64| [json!(value), json!(value), json!(value)];
    let expected = [
        // Right before the start.
        rows("gain1.gain", [json!(1.0), json!(2.0), json!(2.0)], json!(2.0), "applied"),
        rows("gain1.gain", same(2.0), json!(3.0), "refused"),
        rows("end.label", [json!(""), json!("left"), json!("left")], json!("left"), "applied"),
        rows("gain1.gain", [json!(2.0), json!(4.0), json!(4.0)], json!(4.0), "applied"),
        rows("gain1.gain", same(4.0), json!(5.0), "refused"),
    ];
    assert_eq!(told, expected.concat());
    close(&session);
}

#[test]
fn the_strict_lock_frees_every_side_only_while_the_pipeline_is_paused() {
    let home = tempfile::tempdir().expect("a folder");
    let session = bench(home.path(), "running");
    let gain = edit("gain1", "gain", 2.0);
    assert!(!passes(&session, &gain), "running");
    assert!(passes(&session, &edit("end", "label", "left")), "cosmetic");
    // A restart is no way around it.
    let channels = edit("board", "channels", 2);
    let both = Request::SetParams { changes: vec![channels.clone(), gain.clone()] };
    assert!(session.request(both, "test").is_err_and(|error| error.is_busy()));

    assert_eq!(short(&session, &json!({ "cmd": "Pause" }), "test"), json!({ "ok": true, "cmd": "Pause" }));
    assert!(passes(&session, &gain), "paused");
    // Both locks hold.
    record(&session);
    assert!(!passes(&session, &gain), "recording");
    request(&session, Request::RecordPause);
    assert!(passes(&session, &gain), "both are paused");

    assert_eq!(short(&session, &json!({ "cmd": "Resume" }), "test"), json!({ "ok": true, "cmd": "Resume" }));
    assert!(!passes(&session, &gain), "running again");
    finish(&session, home.path());
    close(&session);
}

#[test]
fn a_fixed_parameter_restarts_the_pipeline_for_the_screen_but_never_for_a_client() {
    let home = tempfile::tempdir().expect("a folder");
    let session = bench(home.path(), "recording");
    let generation = session.snapshot().generation;
    let channels = edit("board", "channels", 2);
    let answer = short(&session, &update_request("board", "channels", 2), "short");
    assert_eq!(code(&answer), "BadParameter");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("NotLive")), "{answer}");
    assert!(update(&session, &channels, "updated").is_err_and(|error| !error.is_busy()));
    assert_eq!(session.snapshot().generation, generation);

    record(&session);
    let by = "screen";
    assert!(post(&session, channels.clone(), by).is_err_and(|error| error.is_busy()), "recording");
    request(&session, Request::RecordPause);
    wait_for(&session, RecordingState::Paused);
    let open = post(&session, channels.clone(), by).expect_err("a recording is open");
    assert!(open.to_string().contains("finish it"), "{open}");
    let recording = finish(&session, home.path());
    assert_eq!(session.snapshot().generation, generation);
    let told: Vec<_> =
        recording.params().expect("a whole file").into_iter().map(|edit| (edit.by, edit.outcome)).collect();
    assert_eq!(told, vec![(by.to_owned(), "refused".to_owned()); 2]);

    post(&session, channels, by).expect("nothing is open");
    assert!(session.snapshot().generation > generation);
    assert_eq!(value_of(&session, "board", "channels"), 2);
    close(&session);
}

#[test]
fn an_edit_posted_right_before_a_recording_starts_is_in_its_journal_or_its_pipeline() {
    for round in 0..10 {
        let home = tempfile::tempdir().expect("a folder");
        let session = bench(home.path(), "recording");
        let gain = f64::from(round) + 2.0;
        post(&session, edit("gain1", "gain", gain), "test").expect("free");
        request(&session, Request::RecordStart { name: None });
        wait_for(&session, RecordingState::Recording);
        wait_until("the value", || value_of(&session, "gain1", "gain") == gain);
        let recording = finish(&session, home.path());
        let pipeline: Value = serde_json::from_str(&recording.pipeline_json().expect("it is there")).expect("JSON");
        let params = &pipeline["stages"].as_array().expect("a list")[2]["params"];
        let told = recording.params().expect("a whole file");
        let is_told = told.iter().any(|edit| edit.new == gain && edit.outcome == "applied");
        assert!(is_told || params["gain"] == gain, "{told:?} {pipeline}");
        close(&session);
    }
}

#[test]
fn of_several_edits_none_is_made_when_one_is_locked_and_all_are_journaled() {
    let home = tempfile::tempdir().expect("a folder");
    let session = bench(home.path(), "recording");
    record(&session);
    let changes = vec![edit("end", "label", "left"), edit("gain1", "gain", 2.0)];
    let error = session.request(Request::SetParams { changes }, "test").expect_err("one of them is locked");
    assert!(error.is_busy() && error.to_string().starts_with("`gain1.gain`: busy"), "{error}");
    let recording = finish(&session, home.path());
    let told: Vec<_> =
        recording.params().expect("a whole file").into_iter().map(|edit| (edit.path, edit.outcome)).collect();
    let refused = |path: &str| (path.to_owned(), "refused".to_owned());
    assert_eq!(told, [refused("end.label"), refused("gain1.gain")]);
    assert_eq!(value_of(&session, "end", "label"), Value::Null);
    close(&session);
}

#[test]
fn a_stage_that_has_ended_is_a_wrong_state() {
    let session = open(&json!({ "version": 1, "name": "short",
        "stages": [ { "id": "board", "type": "synthetic", "params": { "pace": "max", "samples": 10 } },
                    { "id": "volts", "type": "to_voltage" }, { "id": "end", "type": "null" } ],
        "connections": [ { "from": "board", "to": "volts" }, { "from": "volts", "to": "end" } ] }));
    wait_until("the end", || session.has_ended());
    let answer = short(&session, &update_request("volts", "gain", 2.0), "test");
    assert_eq!(code(&answer), "WrongState");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("`volts` has ended")), "{answer}");
    assert!(post(&session, edit("volts", "gain", 2.0), "test").is_err());
    for cmd in ["Pause", "Resume"] {
        assert_eq!(code(&short(&session, &json!({ "cmd": cmd }), "test")), "WrongState");
    }
    close(&session);
}
