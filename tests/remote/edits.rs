//! Edits by remote clients pass the same gate as all others, and are written down with the client's name.
use serde_json::json;
use wavedeck_api::handle::RecordingState;
use wavedeck_recording::Recording;

use crate::{
    common::{only_recording, wait_until},
    rig::Deck,
};

#[test]
fn while_recording_an_edit_is_busy_and_in_the_journal_with_the_name_of_the_client() {
    let deck = Deck::start();
    let mut client = deck.client();
    client.call("client.name", json!({ "name": "lab" }));
    let mut other = deck.client();
    let gain = |value: f64| json!({ "stage_id": "gain1", "key": "gain", "value": value });
    let applied = client.call("param.set", gain(2.0));
    assert_eq!((&applied["value"], &applied["epoch"]), (&json!(2.0), &json!(1)));
    assert!(applied["at_sample"].is_u64());

    client.call("record.start", json!({}));
    wait_until("a recording", || deck.session.recording_state() == RecordingState::Recording);
    let answer = client.ask(json!({ "jsonrpc": "2.0", "method": "param.set", "params": gain(3.0), "id": 7 }));
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["code"]), (&json!(-32001), &json!("Busy")));
    let short = json!({ "stage_id": "gain1", "cmd": "UpdateParam", "key": "gain", "value": 4.0 });
    let answer = other.ask(&short);
    assert_eq!((&answer["ok"], &answer["error"]["code"]), (&json!(false), &json!("Busy")), "{answer}");
    let all = json!({ "changes": [gain(5.0)] });
    assert_eq!(client.refused("param.set", all.clone()).0, -32001);
    assert_eq!(client.call("telemetry.get", json!({}))["params"]["gain1"]["gain"], 2.0);

    client.call("record.stop", json!({}));
    wait_until("the end", || deck.session.recording_state() == RecordingState::Idle);
    let answer = other.ask(&short);
    assert_eq!((&answer["ok"], &answer["value"]), (&json!(true), &json!(4.0)), "{answer}");
    assert_eq!(client.call("param.set", all)["posted"], 1);

    let home = deck.close();
    let recording = Recording::open(only_recording(home.path())).expect("a recording");
    let told = recording.params().expect("a whole file");
    let refused: Vec<_> = told.iter().filter(|edit| edit.outcome == "refused").collect();
    let refused: Vec<_> =
        refused.iter().map(|edit| (edit.by.split(':').next().unwrap_or(""), edit.new.clone())).collect();
    assert_eq!(refused, [("lab", json!(3.0)), ("remote 127.0.0.1", json!(4.0)), ("lab", json!(5.0))]);
}

#[test]
fn a_fixed_parameter_restarts_the_pipeline_only_among_changes() {
    let deck = Deck::start();
    let mut client = deck.client();
    let channels = json!({ "stage_id": "board", "key": "channels", "value": 3 });
    assert_eq!(client.refused("param.set", channels.clone()).0, -32003);
    // What fits each by itself, and not together.
    let huge = [("channels", 256), ("batch", 8192)]
        .map(|(key, value)| json!({ "stage_id": "board", "key": key, "value": value }));
    let (code, why) = client.refused("param.set", json!({ "changes": huge }));
    assert!(code == -32003 && why.contains("lower the capacity"), "{code} {why}");
    let done = client.call("param.set", json!({ "changes": [channels] }));
    assert_eq!(done, json!({ "posted": 1, "restarted": true }));
    let pipeline = client.call("pipeline.get", json!({}));
    assert_eq!(
        (&pipeline["generation"], pipeline["outputs"][0]["channels"].as_array().map(Vec::len)),
        (&json!(2), Some(3))
    );
    deck.close();
}

#[test]
fn answers_come_in_the_order_of_requests_though_some_wait_for_a_stage() {
    let deck = Deck::start();
    let mut client = deck.client();
    for id in 0..20 {
        let edit = json!({ "stage_id": "gain1", "key": "gain", "value": id });
        let (method, params) = if id % 2 == 0 { ("param.set", edit) } else { ("session.get", json!({})) };
        client.send(json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id }));
    }
    for id in 0..20 {
        let answer = client.next_text();
        assert_eq!((&answer["id"], answer["result"].is_object()), (&json!(id), true), "{answer}");
    }
    deck.close();
}
