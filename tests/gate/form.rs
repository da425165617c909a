//! The short JSON form: its answers, its mistakes, and that nothing makes it fall over.
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wavedeck::{session::Session, short_form};

use crate::rig::{code, open, read, short, update_request};

/// One pipeline for all: none of these tests minds what the others do to it.
static SESSION: LazyLock<Session> = LazyLock::new(|| {
    open(&json!({ "version": 1, "name": "form",
        "stages": [
            { "id": "board", "type": "synthetic" }, { "id": "volts", "type": "to_voltage" },
            { "id": "gain1", "type": "gain" }, { "id": "end", "type": "keep" } ],
        "connections": [
            { "from": "board", "to": "volts" }, { "from": "volts", "to": "gain1" }, { "from": "gain1", "to": "end" } ] }))
});

fn refused(text: &str, expected: &str, part: &str) {
    let answer = read(&short_form::answer(&SESSION, text, "test"));
    assert_eq!(code(&answer), expected, "{text} -> {answer}");
    let message = answer["error"]["message"].as_str().expect("a text");
    assert!(message.contains(part), "{text} -> {message}");
}

#[test]
fn a_change_is_answered_in_kind() {
    let text = r#"{"stage_id": "gain1", "cmd": "UpdateParam", "key": "gain", "value": 1.5}"#;
    let answer = short_form::answer(&SESSION, text, "test");
    let at_sample = read(&answer)["at_sample"].as_u64().expect("a number");
    let expected = format!(r#"{{"ok":true,"stage_id":"gain1","key":"gain","value":1.5,"at_sample":{at_sample}}}"#);
    assert_eq!(answer, expected);
    // The value is told as it is in force, and a choice may be asked for by its number.
    assert_eq!(short(&SESSION, &update_request("gain1", "gain", 3), "test")["value"], 3.0);
}

#[test]
fn every_mistake_of_form_says_what_would_be_right() {
    let example = r#"a request looks like {"stage_id": "gain1", "cmd": "UpdateParam""#;
    for (text, part) in [
        ("", "a request is a JSON object"),
        ("nonsense", example),
        ("[1, 2]", "a request is a JSON object"),
        (r#"["gain1", "UpdateParam", "gain", 1.5]"#, "a request is a JSON object"),
        (r#"{"cmd": "Pause""#, "EOF while parsing"),
        (r#"{"cmd": "Pause"} {"cmd": "Resume"}"#, "trailing characters"),
        (r#"{"cmd": "Pause", "cmd": "Resume"}"#, "duplicate field `cmd`"),
        ("{}", "`cmd` is missing"),
        (r#"{"cmd": "Stop"}"#, r#"`cmd` must be UpdateParam, Pause or Resume, got "Stop""#),
        (r#"{"cmd": 5}"#, "`cmd` must be UpdateParam, Pause or Resume, got 5"),
        (r#"{"cmd": "UpdateParam", "key": "gain", "value": 1}"#, "`stage_id` is missing"),
        (r#"{"cmd": "UpdateParam", "stage_id": "gain1", "value": 1}"#, "`key` is missing"),
        (r#"{"cmd": "UpdateParam", "stage_id": "gain1", "key": "gain"}"#, "`value` is missing"),
        (r#"{"cmd": "UpdateParam", "stage_id": 7, "key": "gain", "value": 1}"#, "`stage_id` must be a text, got 7"),
        (r#"{"cmd": "UpdateParam", "stage_id": "gain1", "key": [], "value": 1}"#, "`key` must be a text, got []"),
        (
            r#"{"cmd": "UpdateParam", "stage_id": "gain1", "key": "gain", "valeu": 1}"#,
            "unknown field `valeu`, expected one of `stage_id`, `cmd`, `key`, `value`",
        ),
        (r#"{"cmd": "Pause", "stage_id": "gain1"}"#, r#"send {"cmd": "Pause"}"#),
    ] {
        refused(text, "BadRequest", part);
    }
}

#[test]
fn wrong_names_and_values_are_told_apart() {
    let update = |stage: &str, key: &str, value: Value| update_request(stage, key, value).to_string();
    refused(&update("gain2", "gain", json!(1)), "UnknownStage", "did you mean `gain1`?");
    refused(&update("gain1", "gian", json!(1)), "BadParameter", "did you mean `gain`?");
    refused(&update("gain1", "gain", json!(1e6)), "BadParameter", "must be within -1000..=1000 x, got 1000000.0");
    refused(&update("gain1", "gain", json!("1")), "BadParameter", "expects a number, got \"1\"");
    refused(&update("gain1", "gain", Value::Null), "BadParameter", "expects a number, got null");
    refused(&update("volts", "vref", json!(2.5)), "BadParameter", "(NotLive): it takes a restart");
}

#[test]
fn a_request_may_have_64_kib_and_its_answer_stays_short() {
    let request = |label: &str| update_request("end", "label", label).to_string();
    let room = short_form::MAX_REQUEST_BYTES - request("").len();
    refused(&request(&"x".repeat(room + 1)), "BadRequest", "may have 65536 bytes, this one has 65537");
    refused(&request(&"x".repeat(room)), "BadParameter", "a text of at most 4096 bytes");
    assert_eq!(short(&SESSION, &update_request("end", "label", "x".repeat(4096)), "test")["ok"], true);
    let long = "\u{1f600}".repeat(10_000);
    for text in [
        update_request(&long, "gain", 1).to_string(),
        update_request("gain1", &long, 1).to_string(),
        json!({ "cmd": long }).to_string(),
        json!({ long.clone(): 1 }).to_string(),
        json!({ "cmd": "UpdateParam", "stage_id": [long] }).to_string(),
    ] {
        assert!(short_form::answer(&SESSION, &text, "test").len() < 4096, "{text}");
    }
    // Deeper than any request needs to be.
    refused(&format!("{{\"cmd\": {}", "[".repeat(60_000)), "BadRequest", "recursion limit");
}

/// Any JSON.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        known_name().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".*", inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn known_name() -> impl Strategy<Value = &'static str> {
    const NAMES: &[&str] =
        &["board", "volts", "gain1", "end", "gain", "label", "vref", "UpdateParam", "Pause", "Resume", "seed"];
    prop::sample::select(NAMES)
}

/// An object that is nearly a request.
fn nearly() -> impl Strategy<Value = Value> {
    let field = prop_oneof![8 => prop::sample::select(&["stage_id", "cmd", "key", "value"][..]).prop_map(str::to_owned), 1 => ".*"];
    let value =
        prop_oneof![6 => known_name().prop_map(Value::from), 1 => (-2e3..2e3).prop_map(Value::from), 1 => any_json()];
    prop::collection::vec((field, value), 0..6)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

/// What every answer must be; true if the request was carried out.
fn is_well_formed(answer: &str) -> bool {
    let answer = read(answer);
    match answer["ok"].as_bool() {
        Some(true) => answer["at_sample"].is_u64() || answer["cmd"] == "Pause" || answer["cmd"] == "Resume",
        Some(false) => ["Busy", "UnknownStage", "BadParameter", "WrongState", "BadRequest"].contains(&code(&answer)),
        None => panic!("{answer}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "(?s).*") {
        prop_assert!(is_well_formed(&short_form::answer(&SESSION, &text, "test")));
    }

    #[test]
    fn any_json_is_answered(request in any_json()) {
        prop_assert!(is_well_formed(&short_form::answer(&SESSION, &request.to_string(), "test")));
    }

    #[test]
    fn anything_that_is_nearly_a_request_is_answered(request in nearly()) {
        prop_assert!(is_well_formed(&short_form::answer(&SESSION, &request.to_string(), "test")));
    }

    #[test]
    fn a_request_cut_off_anywhere_is_answered(at in 0usize..80, value in any_json()) {
        let text = update_request("gain1", "gain", value).to_string();
        let cut: String = text.chars().take(at).collect();
        prop_assert!(is_well_formed(&short_form::answer(&SESSION, &cut, "test")));
    }

    #[test]
    fn every_value_in_range_is_taken_and_every_other_refused(gain in prop_oneof![-1000.0..=1000.0, any::<f64>()]) {
        let answer = short(&SESSION, &update_request("gain1", "gain", gain), "test");
        if (-1000.0..=1000.0).contains(&gain) {
            prop_assert_eq!(&answer["value"], &json!(gain));
        } else {
            prop_assert_eq!(code(&answer), "BadParameter");
        }
    }
}
