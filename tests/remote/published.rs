//! Streams that a stage publishes under a name, and flags of frames.
use serde_json::json;

use crate::rig::Deck;

#[test]
fn a_stream_that_a_stage_publishes_has_a_name_and_exact_counts() {
    let deck = Deck::of(&json!({ "version": 1, "name": "bench",
        "stages": [
            { "id": "board", "type": "synthetic", "params":
                { "channels": 2, "rate_hz": 1000, "signal": "ramp", "batch": 20 } },
            { "id": "share", "type": "websocket_sink", "params": { "name": "raw counts", "capacity": 50 } } ],
        "connections": [ { "from": "board", "to": "share" } ] }));
    let mut client = deck.client();
    let streams = client.call("stream.list", json!({}));
    let known = streams["streams"].as_array().expect("a list").iter().find(|stream| stream["stream"] == "raw counts");
    let known = known.unwrap_or_else(|| panic!("{streams}"));
    assert_eq!((&known["stage"], known["port"].is_null(), &known["kind"]), (&json!("share"), true, &json!("counts")));

    let answer = client.call("stream.subscribe", json!({ "stream": "raw counts" }));
    assert_eq!(answer["description"]["values_per_frame"], 2);
    let mut next = None;
    for _ in 0..20 {
        let data = client.data();
        assert!(next.is_none_or(|next| next == data.first_sample), "{next:?} {}", data.first_sample);
        for (index, frame) in (data.first_sample..).zip(data.counts().chunks(2)) {
            assert_eq!(frame, [index as i32; 2]);
        }
        next = Some(data.first_sample + u64::from(data.frames));
    }
    // The output can be looked at beside it.
    client.call("stream.subscribe", json!({ "stream": "board.out" }));
    deck.close();
}

#[test]
fn a_pause_is_told_to_those_who_asked_for_flags() {
    let deck = Deck::start();
    let (mut one, mut other) = (deck.client(), deck.client());
    one.call("stream.subscribe", json!({ "stream": "volts.out", "flags": true }));
    other.call("stream.subscribe", json!({ "stream": "volts.out" }));
    let (before, _) = (one.data(), other.data());
    assert_eq!(before.kind, 2);
    one.call("pipeline.pause", json!({}));
    // Long enough for samples to be let go.
    std::thread::sleep(std::time::Duration::from_millis(300));
    one.call("pipeline.resume", json!({}));
    let resumed = std::iter::repeat_with(|| one.data()).take(500).find(|data| data.kind != 2).expect("a flag");
    assert_eq!(resumed.kind, 0x42);
    assert!(std::iter::repeat_with(|| other.data()).take(50).all(|data| data.kind == 2));
    let number = one.refused("stream.subscribe", json!({ "stream": "volts.out", "flags": 1 }));
    assert!(number.1.contains("true or false"), "{number:?}");
    deck.close();
}
