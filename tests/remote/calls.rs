//! What the methods answer.
use serde_json::{Value, json};
use tungstenite::Message;
use wavedeck::{
    attach::{FarSession, Target},
    overview::Heights,
    station::Station,
};
use wavedeck_api::handle::{RecordingState, TransportStatus};

use crate::{common::wait_until, rig::Deck};

#[test]
fn every_method_is_told_and_answers_with_an_object_or_says_why_not() {
    let deck = Deck::start();
    let mut client = deck.client();
    let table = client.call("rpc.discover", json!({}));
    let methods = table["methods"].as_array().expect("a list").clone();
    assert!(methods.len() > 30, "{}", methods.len());
    for method in &methods {
        let name = method["name"].as_str().expect("a name");
        if name == "pipeline.stop" {
            continue;
        }
        let id = format!("{name}!");
        let answer = client.ask(json!({ "jsonrpc": "2.0", "method": name, "id": id }));
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(id)), "{answer}");
        let needs = method["params"].as_array().expect("a list").iter().any(|param| param["required"] == true);
        match &answer["error"] {
            Value::Null => assert!(answer["result"].is_object() && !needs, "{answer}"),
            error => assert!(needs == (error["code"] == -32602) || name == "param.set", "{answer}"),
        }
    }
    deck.close();
}

#[test]
fn the_pipeline_is_told_with_its_stages_outputs_and_plan() {
    let deck = Deck::start();
    let mut client = deck.client();
    let session = client.call("session.get", json!({}));
    assert_eq!((&session["name"], &session["pid"]), (&json!("wavedeck"), &json!(std::process::id())));
    let pipeline = client.call("pipeline.get", json!({}));
    assert_eq!(
        (&pipeline["name"], &pipeline["generation"], &pipeline["locked"]),
        (&json!("bench"), &json!(1), &Value::Null)
    );
    assert_eq!(pipeline["config"]["stages"][0]["id"], "board");
    assert_eq!(pipeline["stages"][2]["params"]["gain"], 1.0);
    let output = &pipeline["outputs"][0];
    assert_eq!(
        (&output["stream"], &output["kind"], &output["rate"]["hz"]),
        (&json!("board.out"), &json!("counts"), &json!(1000.0))
    );
    assert_eq!(output["channels"].as_array().map(Vec::len), Some(2));
    assert!(pipeline["plan"]["threads"].as_array().is_some_and(|threads| !threads.is_empty()));
    assert_eq!(client.call("stream.list", json!({}))["streams"], pipeline["outputs"]);
    assert_eq!(client.call("param.get", json!({ "stage_id": "gain1" }))["params"]["gain"], 1.0);
    deck.close();
}

#[test]
fn mistakes_are_told_with_what_would_be_right_and_cost_nothing() {
    let deck = Deck::start();
    let mut client = deck.client();
    for (method, params, code, part) in [
        ("param.gte", json!({}), -32601, "did you mean `param.get`?"),
        ("param.get", json!(["gain1"]), -32602, "by name"),
        ("param.get", json!({ "stage": "gain1" }), -32602, "did you mean `stage_id`?"),
        ("param.get", json!({ "stage_id": "gian1" }), -32002, "did you mean `gain1`?"),
        ("param.get", json!({ "stage_id": "gain1", "key": "gian" }), -32003, "did you mean `gain`?"),
        ("param.set", json!({ "stage_id": "gain1", "key": "gain" }), -32602, "`value` is missing"),
        ("param.set", json!({ "stage_id": "none", "key": "gain", "value": 1 }), -32002, "no stage `none`"),
        ("param.set", json!({ "stage_id": "gain1", "key": "gain", "value": "x" }), -32003, "`gain`"),
        ("param.set", json!({ "stage_id": "board", "key": "channels", "value": 3 }), -32003, "NotLive"),
        ("param.set", json!({ "changes": [] }), -32602, "at least one"),
        ("param.set", json!({ "changes": [1] }), -32602, "changes[0]"),
        ("marker.add", json!({ "label": "x" }), -32004, ""),
        ("record.pause", json!({}), -32004, ""),
        ("record.start", json!({ "name": "../x" }), -32003, "../x"),
        ("replay.open", json!({ "name": "../../etc/passwd" }), -32003, "recordings folder"),
        ("replay.seek", json!({ "at_s": -1 }), -32602, "within 0..=1e9"),
        ("replay.seek", json!({ "at_s": 1 }), -32004, "does not replay"),
        ("replay.loop", json!({ "from_s": 1 }), -32602, "to_s"),
        ("replay.speed", json!({ "times": 0.01 }), -32602, "0.1..=1000"),
        ("stream.subscribe", json!({ "stream": "board" }), -32602, "board.out"),
        ("stream.subscribe", json!({ "stream": "board.out", "columns": 1000 }), -32602, "below the rate"),
        ("stream.subscribe", json!({ "stream": "board.out", "max_hz": 0 }), -32602, "above 0"),
        ("stream.subscribe", json!({ "stream": "board.out", "max_age_s": 0 }), -32602, "within 0.1..=60 s"),
        ("stream.unsubscribe", json!({ "subscription": 9 }), -32602, "one of []"),
        ("telemetry.subscribe", json!({ "hz": 11 }), -32602, "0.1..=10"),
        ("client.name", json!({ "name": " \n" }), -32602, "printable"),
        ("client.name", json!({ "name": "Screen" }), -32602, "its own screen"),
    ] {
        let (got, message) = client.refused(method, params.clone());
        assert_eq!(got, code, "{method} {params}: {message}");
        assert!(message.contains(part), "{method} {params}: {message}");
    }
    client.socket.send(Message::binary(vec![1, 2, 3])).expect("connected");
    let answer = client.ask("{");
    assert_eq!(answer["error"]["code"], -32600, "the binary message: {answer}");
    assert_eq!(client.ask(json!({ "cmd": "Explode" }))["error"]["code"], -32700, "the half object");
    client.call("session.get", json!({}));
    deck.close();
}

#[test]
fn a_batch_is_answered_in_one_and_a_notification_not_at_all() {
    let deck = Deck::start();
    let mut client = deck.client();
    client.send(json!({ "jsonrpc": "2.0", "method": "client.name", "params": { "name": "lab" } }));
    client.send(json!([{ "jsonrpc": "2.0", "method": "pipeline.pause" }]));
    let answer = client.ask(json!([
        { "jsonrpc": "2.0", "method": "param.set", "params": { "stage_id": "gain1", "key": "gain", "value": 2.0 } },
        { "jsonrpc": "2.0", "method": "param.get", "params": { "stage_id": "gain1", "key": "gain" }, "id": "a" },
        { "jsonrpc": "2.0", "method": "pipeline.resume", "id": null },
        7
    ]));
    let answers = answer.as_array().expect("a list");
    assert_eq!(answers.len(), 3, "{answer}");
    assert_eq!((&answers[0]["id"], &answers[0]["result"]["value"]), (&json!("a"), &json!(2.0)));
    assert_eq!((&answers[1]["id"], answers[1]["result"].is_object()), (&Value::Null, true));
    assert_eq!(answers[2]["error"]["code"], -32600);
    deck.wait_for_log("(by lab)");
    deck.close();
}

#[test]
fn telemetry_comes_until_it_is_no_longer_wanted() {
    let deck = Deck::start();
    let mut client = deck.client();
    client.call("telemetry.subscribe", json!({ "hz": 10 }));
    let first = client.told("telemetry");
    assert_eq!((first["pipeline"].is_string(), first.get("log")), (true, None));
    assert_eq!(first["params"]["gain1"]["gain"], 1.0);
    assert!(first["log_end"].as_u64().is_some_and(|end| end > 0));
    let produced = |telemetry: &Value| telemetry["telemetry"]["stages"][0]["outputs"][0][1]["sent_samples"].as_u64();
    while produced(&client.told("telemetry")) <= produced(&first) {}
    client.call("telemetry.unsubscribe", json!({}));
    assert_eq!(client.call("telemetry.get", json!({}))["name"], "bench");
    deck.close();
}

#[test]
fn lines_of_the_log_are_told_from_the_one_that_is_wanted() {
    let deck = Deck::start();
    let mut client = deck.client();
    let end = client.call("events.subscribe", json!({ "since": 0 }))["end"].as_u64().expect("a number");
    for number in 0..end {
        assert_eq!(client.told("event")["number"], number);
    }
    client.call("client.name", json!({ "name": "lab\u{1b}[2J" }));
    let entry = client.told("event");
    assert_eq!((&entry["from"], &entry["level"]), (&json!("remote"), &json!("info")));
    assert!(entry["text"].as_str().is_some_and(|text| text.contains("is lab[2J from now on")), "{entry}");
    client.call("events.unsubscribe", json!({}));
    deck.close();
}

#[test]
fn a_recording_is_made_listed_and_replayed() {
    let deck = Deck::start();
    let mut client = deck.client();
    let session = deck.session.clone();
    let wait_for = |state| wait_until("a state", || session.recording_state() == state);
    client.call("record.start", json!({ "name": "first" }));
    wait_for(RecordingState::Recording);
    wait_until("a second", || session.snapshot().recorder.is_some_and(|recorder| recorder.recorded_s > 1.0));
    client.call("marker.add", json!({ "label": "here" }));
    client.call("record.pause", json!({}));
    wait_for(RecordingState::Paused);
    client.call("record.resume", json!({}));
    wait_for(RecordingState::Recording);
    assert_eq!(client.refused("replay.open", json!({ "name": "first.mcap.part" })).0, -32004);
    client.call("record.stop", json!({}));
    wait_for(RecordingState::Idle);
    for what in ["start", "pause", "resume", "finish"] {
        deck.wait_for_log(&format!("asked to {what} by remote 127.0.0.1"));
    }
    let list = client.call("recordings.list", json!({}));
    assert_eq!(
        (&list["recordings"][0]["name"], &list["recordings"][0]["remark"]),
        (&json!("first.mcap"), &json!("closed"))
    );

    client.call("replay.open", json!({ "name": "first.mcap" }));
    client.call("replay.pause", json!({}));
    client.call("replay.seek", json!({ "at_s": 0.5 }));
    let position = |client: &mut crate::rig::Client| client.call("telemetry.get", json!({}))["transport"].clone();
    wait_until("the moment", || position(&mut client)["position_s"] == 0.5);
    assert_eq!(position(&mut client)["playing"], false);
    let overview = |client: &mut crate::rig::Client| client.call("replay.overview", json!({}));
    wait_until("the overview", || overview(&mut client)["complete"] == true);
    let parts = overview(&mut client)["parts"].as_array().cloned().expect("a list");
    assert!(parts.len() == 240 && parts.iter().flat_map(|part| part.as_f64()).any(|height| height > 0.1), "{parts:?}");
    see_the_same_from_afar(&deck);
    client.call("replay.step", json!({ "frames": 10 }));
    wait_until("the step", || position(&mut client)["position_s"] == 0.51);
    client.call("replay.loop", json!({ "from_s": 0.1, "to_s": 0.2 }));
    wait_until("the loop", || position(&mut client)["loop_s"] == json!([0.1, 0.2]));
    client.call("replay.loop", json!({}));
    client.call("replay.speed", json!({ "times": 2 }));
    client.call("replay.play", json!({}));
    wait_until("the speed", || position(&mut client)["speed"] == 2.0);
    client.call("replay.live", json!({}));
    assert_eq!(client.call("session.get", json!({}))["generation"], 3);
    deck.close();
}

/// An attached screen draws the overview of a file that it cannot open.
fn see_the_same_from_afar(deck: &Deck) {
    let target = Target::Address { host: deck.address().to_string(), token: None };
    let far = FarSession::connect(target).expect("it listens");
    let transport = far.snapshot().transport.expect("a replay");
    wait_until("the overview from afar", || far.overview(&transport).is_complete);
    let (there, here) = (deck.session.overview(&transport), far.overview(&transport));
    let is_close = |(a, b): (&Option<f32>, &Option<f32>)| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-3,
        _ => a.is_none() && b.is_none(),
    };
    assert!(there.parts.len() == here.parts.len() && there.parts.iter().zip(&here.parts).all(is_close), "{here:?}");
    let other = TransportStatus { stream: "another".into(), ..transport };
    assert_eq!(far.overview(&other), Heights::default());
}

#[test]
fn a_client_can_ask_for_the_end() {
    let deck = Deck::start();
    assert!(!deck.port.wants_stop());
    deck.client().call("pipeline.stop", json!({}));
    assert!(deck.port.wants_stop());
    deck.close();
}

#[test]
fn whatever_is_given_to_whichever_method_is_answered() {
    let deck = Deck::start();
    let mut client = deck.client();
    let methods = client.call("rpc.discover", json!({}))["methods"].clone();
    let long = "x".repeat(5000);
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(-1e308),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(9e15),
        json!(""),
        json!("\0"),
        json!(".."),
        json!("board.out"),
        json!("board"),
        json!(long),
        json!([]),
        json!([[]]),
        json!({}),
        json!([{ "stage_id": 1 }]),
        json!([{ "stage_id": "gain1", "key": "gain", "value": [] }]),
    ];
    for method in methods.as_array().expect("a list") {
        let name = method["name"].as_str().expect("a name");
        let params = method["params"].as_array().expect("a list");
        for value in odd.iter().filter(|_| !params.is_empty() && !name.ends_with(".stop")) {
            let all: serde_json::Map<String, Value> = params
                .iter()
                .map(|param| (param["name"].as_str().unwrap_or_default().to_owned(), value.clone()))
                .collect();
            let answer = client.ask(json!({ "jsonrpc": "2.0", "method": name, "params": all, "id": 1 }));
            let code = answer["error"]["code"].as_i64();
            assert!(
                code != Some(-32603) && (code.is_some() || answer["result"].is_object()),
                "{name} {value}: {answer}"
            );
        }
    }
    for text in ["null", "[[]]", "{\"cmd\":null}", "{\"cmd\":\"UpdateParam\",\"stage_id\":{}}", "\"\"", "\u{feff}{}"] {
        client.ask(text);
    }
    assert_eq!(client.call("session.get", json!({}))["generation"], 1);
    deck.close();
}
