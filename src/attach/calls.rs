//! Requests of a session as calls of its port, and answers as errors of a session.
use serde_json::{Value, json};
use wavedeck_api::handle::TransportCommand;

use crate::session::{Request, SessionError};

/// Code of what is refused while parameters are locked.
const BUSY: i64 = -32001;

/// A method with its parameters.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
}

/// The call that asks for the same.
///
/// # Errors
/// If the name of a recording cannot be told.
pub(super) fn of(request: Request) -> Result<Call, SessionError> {
    let call = |method, params| Ok(Call { method, params });
    match request {
        Request::Pause => call("pipeline.pause", Value::Null),
        Request::Resume => call("pipeline.resume", Value::Null),
        Request::RecordStart { name: Some(name) } => call("record.start", json!({ "name": name })),
        Request::RecordStart { name: None } => call("record.start", Value::Null),
        Request::RecordPause => call("record.pause", Value::Null),
        Request::RecordResume => call("record.resume", Value::Null),
        Request::RecordFinish => call("record.stop", Value::Null),
        Request::Marker { label } => call("marker.add", json!({ "label": label })),
        Request::Acknowledge => call("record.acknowledge", Value::Null),
        Request::SetParams { changes } => {
            let change = |edit: &crate::session::ParamEdit| json!({ "stage_id": edit.stage, "key": edit.key, "value": edit.value });
            call("param.set", json!({ "changes": changes.iter().map(change).collect::<Vec<_>>() }))
        }
        Request::Transport(command) => Ok(transport(command)),
        Request::Replay { path } => match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => call("replay.open", json!({ "name": name })),
            None => Err(far(format!("`{}` has no name that can be told", path.display()))),
        },
        Request::Live => call("replay.live", Value::Null),
    }
}

fn transport(command: TransportCommand) -> Call {
    let (method, params) = match command {
        TransportCommand::Play => ("replay.play", Value::Null),
        TransportCommand::Pause => ("replay.pause", Value::Null),
        TransportCommand::Seek(at_s) => ("replay.seek", json!({ "at_s": at_s })),
        TransportCommand::Show { at_s, before_s } => ("replay.show", json!({ "at_s": at_s, "before_s": before_s })),
        TransportCommand::Step(frames) => ("replay.step", json!({ "frames": frames })),
        TransportCommand::StepPackets(packets) => ("replay.step_packets", json!({ "packets": packets })),
        TransportCommand::Loop(Some((from_s, to_s))) => ("replay.loop", json!({ "from_s": from_s, "to_s": to_s })),
        TransportCommand::Loop(None) => ("replay.loop", Value::Null),
        TransportCommand::Speed(times) => ("replay.speed", json!({ "times": times })),
    };
    Call { method, params }
}

/// The message of a call.
pub(super) fn message(call: &Call, id: u64) -> String {
    let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": call.method });
    if !call.params.is_null() {
        message["params"] = call.params.clone();
    }
    message.to_string()
}

/// What an answer came to.
pub(super) fn outcome(answer: &mut Value) -> Result<Value, SessionError> {
    let Some(error) = answer.get("error") else { return Ok(answer["result"].take()) };
    let message = error["message"].as_str().unwrap_or("refused without a word").to_owned();
    Err(SessionError::Far { is_busy: error["code"] == json!(BUSY), message })
}

/// An error of the connection.
pub(super) fn far(message: String) -> SessionError {
    SessionError::Far { is_busy: false, message }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::session::ParamEdit;

    #[test]
    fn requests_become_calls_by_name() {
        let edit = ParamEdit { stage: "clean".into(), key: "order".into(), value: json!(4) };
        let call = of(Request::SetParams { changes: vec![edit] }).expect("a call");
        assert_eq!(call.method, "param.set");
        assert_eq!(call.params, json!({ "changes": [{ "stage_id": "clean", "key": "order", "value": 4 }] }));
        let call = of(Request::Replay { path: PathBuf::from("/rec/a b.mcap") }).expect("a call");
        assert_eq!(
            message(&call, 7),
            r#"{"jsonrpc":"2.0","id":7,"method":"replay.open","params":{"name":"a b.mcap"}}"#
        );
        let call = of(Request::RecordPause).expect("a call");
        assert_eq!(message(&call, 8), r#"{"jsonrpc":"2.0","id":8,"method":"record.pause"}"#);
        assert!(of(Request::Replay { path: PathBuf::from("/") }).is_err());
    }

    #[test]
    fn what_is_locked_may_pass_later_and_the_rest_is_said_as_it_was() {
        let mut busy = json!({ "id": 1, "error": { "code": -32001, "message": "locked while recording" } });
        let error = outcome(&mut busy).expect_err("refused");
        assert!(error.is_busy() && error.to_string() == "locked while recording");
        let mut other = json!({ "id": 1, "error": { "code": -32602, "message": "no" } });
        assert!(!outcome(&mut other).expect_err("refused").is_busy());
        assert_eq!(outcome(&mut json!({ "id": 1, "result": { "done": true } })).ok(), Some(json!({ "done": true })));
    }
}
