//! The examples of the specification, and what else may come.
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

/// The methods that the examples of the specification call.
#[derive(Default)]
struct Examples {
    called: Mutex<Vec<String>>,
}

impl Calls for Examples {
    fn call(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        self.called.lock().expect("no panic").push(method.to_owned());
        let number = |value: &Value| value.as_i64().unwrap_or_default();
        let params = params.unwrap_or_default();
        match method {
            "subtract" if params.is_array() => Ok(json!(number(&params[0]) - number(&params[1]))),
            "subtract" => Ok(json!(number(&params["minuend"]) - number(&params["subtrahend"]))),
            "sum" => Ok(json!(params.as_array().into_iter().flatten().map(number).sum::<i64>())),
            "get_data" => Ok(json!(["hello", 5])),
            "update" | "notify_hello" | "notify_sum" => Ok(Value::Null),
            "broken" => panic!("on purpose"),
            _ => Err(RpcError::new(METHOD_NOT_FOUND, "Method not found")),
        }
    }

    fn short(&self, text: &str) -> String {
        format!("short {text}")
    }
}

fn answered(text: &str) -> Option<Value> {
    answer(text, &Examples::default()).map(|text| serde_json::from_str(&text).expect("JSON"))
}

/// Number and id of the only error.
fn error(text: &str) -> (i64, Value) {
    let answer = answered(text).expect("an answer");
    assert_eq!(answer["jsonrpc"], "2.0");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{answer}");
    assert!(answer.get("result").is_none(), "{answer}");
    (answer["error"]["code"].as_i64().expect("a number"), answer["id"].clone())
}

#[test]
fn calls_are_answered_as_in_the_specification() {
    let cases = [
        (r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#, json!(19), json!(1)),
        (r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#, json!(-19), json!(2)),
        (
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
            json!(19),
            json!(3),
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
            json!(19),
            json!(4),
        ),
    ];
    for (text, result, id) in cases {
        assert_eq!(answered(text), Some(json!({ "jsonrpc": "2.0", "result": result, "id": id })), "{text}");
    }
}

#[test]
fn notifications_are_carried_out_and_never_answered() {
    let examples = Examples::default();
    for text in [
        r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#,
        r#"{"jsonrpc": "2.0", "method": "foobar"}"#,
        r#"[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]"#,
    ] {
        assert_eq!(answer(text, &examples), None, "{text}");
    }
    assert_eq!(*examples.called.lock().expect("no panic"), ["update", "foobar", "notify_sum", "notify_hello"]);
}

#[test]
fn mistakes_are_answered_as_in_the_specification() {
    let cases = [
        (r#"{"jsonrpc": "2.0", "method": "foobar", "id": "1"}"#, METHOD_NOT_FOUND, json!("1")),
        (r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#, PARSE_ERROR, Value::Null),
        (r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#, INVALID_REQUEST, Value::Null),
        (
            r#"[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method" ]"#,
            PARSE_ERROR,
            Value::Null,
        ),
        ("[]", INVALID_REQUEST, Value::Null),
        ("", PARSE_ERROR, Value::Null),
        ("1", INVALID_REQUEST, Value::Null),
        (r#"{"jsonrpc": "1.0", "method": "sum", "id": 4}"#, INVALID_REQUEST, json!(4)),
        (r#"{"method": "sum", "id": 4}"#, INVALID_REQUEST, json!(4)),
        (r#"{"jsonrpc": "2.0", "method": "sum", "id": {}}"#, INVALID_REQUEST, Value::Null),
        (r#"{"jsonrpc": "2.0", "method": "sum", "params": 3, "id": 4}"#, INVALID_REQUEST, json!(4)),
        (r#"{"jsonrpc": "2.0", "id": 4}"#, INVALID_REQUEST, json!(4)),
        (r#"{"jsonrpc": "2.0", "method": "broken", "id": 4}"#, INTERNAL_ERROR, json!(4)),
    ];
    for (text, code, id) in cases {
        assert_eq!(error(text), (code, id), "{text}");
    }
}

#[test]
fn an_id_comes_back_as_it_was_and_null_is_one() {
    for id in [json!("a"), json!(""), json!(7), json!(-7), json!(1.5), Value::Null] {
        let text = json!({ "jsonrpc": "2.0", "method": "get_data", "id": id }).to_string();
        assert_eq!(answered(&text).map(|answer| answer["id"].clone()), Some(id));
    }
}

#[test]
fn a_batch_is_answered_as_in_the_specification() {
    let invalid = || json!({ "code": INVALID_REQUEST });
    let batch = |text: &str| {
        let answers = answered(text).expect("an answer");
        let short = |answer: &Value| match answer.get("result") {
            Some(result) => (result.clone(), answer["id"].clone()),
            None => (json!({ "code": answer["error"]["code"] }), answer["id"].clone()),
        };
        answers.as_array().expect("a list").iter().map(short).collect::<Vec<_>>()
    };
    assert_eq!(batch("[1]"), [(invalid(), Value::Null)]);
    assert_eq!(batch("[1,2,3]"), vec![(invalid(), Value::Null); 3]);
    let mixed = r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"} ]"#;
    let expected = [
        (json!(7), json!("1")),
        (json!(19), json!("2")),
        (invalid(), Value::Null),
        (json!({ "code": METHOD_NOT_FOUND }), json!("5")),
        (json!(["hello", 5]), json!("9")),
    ];
    assert_eq!(batch(mixed), expected);
}

#[test]
fn a_batch_beyond_its_limit_is_one_mistake() {
    let request = r#"{"jsonrpc":"2.0","method":"get_data","id":1}"#;
    let text = |n: usize| format!("[{}]", vec![request; n].join(","));
    assert_eq!(answered(&text(MAX_BATCH)).expect("answers").as_array().map(Vec::len), Some(MAX_BATCH));
    assert_eq!(error(&text(MAX_BATCH + 1)), (INVALID_REQUEST, Value::Null));
}

#[test]
fn the_short_form_is_told_by_its_cmd() {
    let text = r#"{"cmd": "Pause"}"#;
    assert_eq!(answer(text, &Examples::default()), Some(format!("short {text}")));
    assert_eq!(error(r#"{"jsonrpc": "2.0", "cmd": "Pause", "id": 1}"#), (INVALID_REQUEST, json!(1)));
}

#[test]
fn nesting_beyond_all_reason_is_no_json() {
    assert_eq!(error(&"[".repeat(60_000)).0, PARSE_ERROR);
    assert_eq!(error(&r#"{"a":"#.repeat(10_000)).0, PARSE_ERROR);
}

proptest! {
    #[test]
    fn any_text_is_answered_with_json_or_not_at_all(text in r#"(\{|\[|\}|\]|"jsonrpc"|"2\.0"|"method"|"sum"|"params"|"id"|:|,|1|null|"[a-z]*"| |.){0,40}"#) {
        if let Some(answer) = answer(&text, &Examples::default())
            && !answer.starts_with("short")
        {
            prop_assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{}", answer);
        }
    }
}
