//! The short JSON form: one object asks, one object answers. For remote clients that want no more than to change a
//! parameter, or to pause and resume the pipeline.
//!
//! `{"stage_id": "gain1", "cmd": "UpdateParam", "key": "gain", "value": 1.5}` is answered by
//! `{"ok": true, "stage_id": "gain1", "key": "gain", "value": 1.5, "at_sample": 12345}`, `{"cmd": "Pause"}` by
//! `{"ok": true, "cmd": "Pause"}`, and what is refused by `{"ok": false, "error": {"code": "Busy", "message": "..."}}`.
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use wavedeck_api::{
    param::{ParamError, shown},
    stage::StageError,
};
use wavedeck_plane::GateError;

use crate::session::{ParamEdit, Request, Session, SessionError};

/// Longest request in bytes.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
/// How long a stage may take to answer a client.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// What every mistake of form is answered with.
const EXAMPLE: &str = r#"{"stage_id": "gain1", "cmd": "UpdateParam", "key": "gain", "value": 1.5}"#;

/// Why a request was refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Code {
    /// The parameters are locked; the same request may pass later.
    Busy,
    /// The pipeline has no such stage.
    UnknownStage,
    /// The stage has no such parameter, it does not take this value, or it cannot change while running.
    BadParameter,
    /// The request does not fit what is going on.
    WrongState,
    /// This is not the short form.
    BadRequest,
}

/// A request of which only the names of the fields have been looked at.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Fields {
    stage_id: Option<Value>,
    cmd: Option<Value>,
    key: Option<Value>,
    // Not an `Option`: `null` is a value, if never a right one.
    value: Given,
}

/// A value, if there was one.
#[derive(Default)]
struct Given(Option<Value>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from).map(|value| Self(Some(value)))
    }
}

/// Why a request was refused, for programs and for people.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// Carries out a request in the short form and answers it, waiting at most a few seconds. `by` names the client in logs
/// and in the edit journal.
pub fn answer(session: &Session, text: &str, by: &str) -> String {
    let answer = obey(session, text, by).unwrap_or_else(
        |Refusal { code, message }| json!({ "ok": false, "error": { "code": code, "message": message } }),
    );
    answer.to_string()
}

fn obey(session: &Session, text: &str, by: &str) -> Result<Value, Refusal> {
    let Fields { stage_id, cmd, key, value } = fields(text)?;
    let cmd = cmd.ok_or_else(|| malformed("`cmd` is missing"))?;
    match cmd.as_str() {
        Some("UpdateParam") => {
            let stage = name("stage_id", stage_id)?;
            let key = name("key", key)?;
            let value = value.0.ok_or_else(|| malformed("`value` is missing"))?;
            let applied = session.update_param(&ParamEdit { stage, key, value }, by, PATIENCE)?;
            Ok(json!({
                "ok": true, "stage_id": applied.stage, "key": applied.key, "value": applied.value,
                "at_sample": applied.at_sample,
            }))
        }
        Some(cmd @ ("Pause" | "Resume")) => {
            // It would be a surprise to stop a whole board for a client that meant one stage.
            if stage_id.is_some() || key.is_some() || value.0.is_some() {
                let message =
                    format!("`{cmd}` is for the whole pipeline and takes nothing else: send {{\"cmd\": \"{cmd}\"}}");
                return Err(Refusal { code: Code::BadRequest, message });
            }
            session.request(if cmd == "Pause" { Request::Pause } else { Request::Resume }, by)?;
            Ok(json!({ "ok": true, "cmd": cmd }))
        }
        _ => Err(malformed(format!("`cmd` must be UpdateParam, Pause or Resume, got {}", shown(&cmd)))),
    }
}

fn fields(text: &str) -> Result<Fields, Refusal> {
    if text.len() > MAX_REQUEST_BYTES {
        let message = format!("a request may have {MAX_REQUEST_BYTES} bytes, this one has {}", text.len());
        return Err(Refusal { code: Code::BadRequest, message });
    }
    // A list would be taken for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("a request is a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        let error = error.to_string();
        malformed(if error.chars().count() > 200 {
            format!("{}...", error.chars().take(197).collect::<String>())
        } else {
            error
        })
    })
}

fn name(field: &str, value: Option<Value>) -> Result<String, Refusal> {
    match value {
        Some(Value::String(name)) => Ok(name),
        Some(other) => Err(malformed(format!("`{field}` must be a text, got {}", shown(&other)))),
        None => Err(malformed(format!("`{field}` is missing"))),
    }
}

fn malformed(what: impl std::fmt::Display) -> Refusal {
    Refusal { code: Code::BadRequest, message: format!("{what}; a request looks like {EXAMPLE}") }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        let (code, message) = match error {
            SessionError::Param { source, .. } | SessionError::Gate(source) => match source {
                GateError::UnknownStage { .. } => (Code::UnknownStage, source.to_string()),
                GateError::Stage(StageError::Busy | StageError::BusyRunning) => (Code::Busy, text),
                GateError::Stage(StageError::Param(ParamError::Unknown { hint, .. })) => {
                    (Code::BadParameter, format!("{text}; {hint}"))
                }
                GateError::Stage(StageError::NotLive(_)) => {
                    (Code::BadParameter, format!("{text} (NotLive): it takes a restart, from the form on the screen"))
                }
                GateError::Stage(StageError::Param(_)) | GateError::Refused { .. } => (Code::BadParameter, text),
                _ => (Code::WrongState, text),
            },
            SessionError::Config(_) => (Code::BadParameter, text),
            _ => (Code::WrongState, text),
        };
        Self { code, message }
    }
}
