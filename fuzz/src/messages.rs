//! Whatever a client sends as a text: it is answered with JSON that is JSON-RPC, or the short form, or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wavedeck::remote::rpc::{Calls, Message, RpcError};

/// Answers every call with what it got.
struct Echo;

impl Calls for Echo {
    fn call(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        if method.starts_with("param") { Err(RpcError::busy("locked")) } else { Ok(json!({ "params": params })) }
    }

    fn short(&self, text: &str) -> String {
        assert!(serde_json::from_str::<Value>(text).is_ok_and(|value| value.get("cmd").is_some()));
        r#"{"ok":true}"#.to_owned()
    }
}

fuzz_target!(|text: &str| {
    let message = Message::read(text);
    let asked = serde_json::from_str::<Value>(text);
    let Some(answer) = message.answer(&Echo) else {
        // Only what was understood, and wants no answer, gets none.
        assert!(asked.is_ok());
        return;
    };
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    let answers = answer.as_array().map_or(std::slice::from_ref(&answer), Vec::as_slice);
    assert!(!answers.is_empty());
    for answer in answers {
        if answer.get("ok").is_some() {
            continue;
        }
        assert_eq!(answer["jsonrpc"], "2.0");
        assert!(answer.get("id").is_some());
        assert!(answer.get("result").is_some() != answer.get("error").is_some(), "{answer}");
        if let Some(error) = answer.get("error") {
            assert!(error["code"].is_i64() && error["message"].is_string(), "{error}");
        }
    }
});
