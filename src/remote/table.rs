//! The methods of the port with their parameters: one table that checks calls and describes them.
use serde_json::{Map, Value, json};
use wavedeck_api::param::{shown, suggestion};

use super::rpc::{self, METHOD_NOT_FOUND, RpcError};

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) params: &'static [Param],
    /// True if it may wait for a stage, a disk or another pipeline.
    pub(super) waits: bool,
}

/// A parameter of a method.
#[derive(Debug)]
pub(super) struct Param {
    name: &'static str,
    kind: Kind,
    is_required: bool,
    help: &'static str,
}

/// Type of a parameter.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Number,
    Whole,
    List,
    Yes,
    Any,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::List => "a list",
            Self::Yes => "true or false",
            Self::Any => "any value",
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::Text => json!({ "type": "string" }),
            Self::Number => json!({ "type": "number" }),
            Self::Whole => json!({ "type": "integer" }),
            Self::List => json!({ "type": "array" }),
            Self::Yes => json!({ "type": "boolean" }),
            Self::Any => json!({}),
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Whole => value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() < 9e15),
            Self::List => value.is_array(),
            Self::Yes => value.is_boolean(),
            Self::Any => true,
        }
    }
}

const fn must(name: &'static str, kind: Kind, help: &'static str) -> Param {
    Param { name, kind, is_required: true, help }
}

const fn may(name: &'static str, kind: Kind, help: &'static str) -> Param {
    Param { name, kind, is_required: false, help }
}

const fn quick(name: &'static str, summary: &'static str, params: &'static [Param]) -> Method {
    Method { name, summary, params, waits: false }
}

const fn slow(name: &'static str, summary: &'static str, params: &'static [Param]) -> Method {
    Method { name, summary, params, waits: true }
}

/// All of them.
pub(super) const METHODS: &[Method] = &[
    quick("rpc.discover", "this list", &[]),
    quick("session.get", "name and version of the program, and which pipeline is open", &[]),
    quick(
        "client.name",
        "names this client in logs and edit journals",
        &[must("name", Kind::Text, "1 to 40 characters")],
    ),
    quick("pipeline.get", "the pipeline as it runs: config, stages with their values, outputs, plan", &[]),
    quick("pipeline.pause", "sources hold back", &[]),
    quick("pipeline.resume", "sources send again", &[]),
    quick("pipeline.stop", "ends the run: everything drains, recordings are finished, the program ends", &[]),
    quick(
        "param.get",
        "the value of a parameter, or all of a stage",
        &[must("stage_id", Kind::Text, "id of the stage"), may("key", Kind::Text, "name of the parameter")],
    ),
    slow(
        "param.set",
        "changes one parameter and waits until it is in force; or, with `changes`, several or none",
        &[
            may("stage_id", Kind::Text, "id of the stage"),
            may("key", Kind::Text, "name of the parameter"),
            may("value", Kind::Any, "the value"),
            may("changes", Kind::List, "instead of the others: objects of stage_id, key and value"),
        ],
    ),
    slow(
        "record.start",
        "opens a file and records",
        &[may("name", Kind::Text, "file name without ending; made of time and pipeline if left out")],
    ),
    slow("record.pause", "lets samples go, marked in the file", &[]),
    slow("record.resume", "records on in the same file", &[]),
    slow("record.stop", "closes the file", &[]),
    slow("record.acknowledge", "takes note of what went wrong with a recording", &[]),
    quick(
        "marker.add",
        "puts a marker at the newest sample of the recording",
        &[must("label", Kind::Text, "what it says")],
    ),
    slow("recordings.list", "what is in the recordings folder, newest first", &[]),
    slow(
        "replay.open",
        "opens a recording in place of the running pipeline",
        &[must("name", Kind::Text, "name of a file in the recordings folder")],
    ),
    slow("replay.live", "goes back to the pipeline that was open before", &[]),
    quick("replay.play", "goes on", &[]),
    quick("replay.pause", "stands still", &[]),
    quick(
        "replay.seek",
        "to a moment",
        &[must("at_s", Kind::Number, "seconds from the first sample of the recording")],
    ),
    quick(
        "replay.show",
        "to a moment, with what was before it",
        &[
            must("at_s", Kind::Number, "seconds from the first sample of the recording"),
            must("before_s", Kind::Number, "seconds before it that are sent in passing"),
        ],
    ),
    quick(
        "replay.step",
        "stands still so many frames further on, or back",
        &[must("frames", Kind::Whole, "number of frames")],
    ),
    quick(
        "replay.step_packets",
        "stands still so many packets further on, or back",
        &[must("packets", Kind::Whole, "number of packets")],
    ),
    quick(
        "replay.loop",
        "plays from one moment to another again and again; without moments to the end",
        &[
            may("from_s", Kind::Number, "first moment in seconds"),
            may("to_s", Kind::Number, "second moment in seconds"),
        ],
    ),
    quick(
        "replay.speed",
        "plays so many times as fast as it was recorded",
        &[must("times", Kind::Number, "0.1 to 1000, or 0 for as fast as possible")],
    ),
    quick("replay.overview", "how much moves in each part of the file, as far as it is known by now", &[]),
    quick("stream.list", "the outputs that can be subscribed to", &[]),
    quick(
        "stream.subscribe",
        "sends an output as binary frames",
        &[
            must("stream", Kind::Text, "`stage.port`, or the name of one that a stage publishes"),
            may("max_hz", Kind::Number, "at most so many frames a second: of k samples only one is sent"),
            may("columns", Kind::Whole, "so many columns a second instead: of each channel minimum and maximum"),
            may(
                "max_age_s",
                Kind::Number,
                "what has waited longer is left out, counted; 0.1 to 60, without end if left out",
            ),
            may("flags", Kind::Yes, "true: the kind of a frame has bit 7 after a jump and bit 6 after a pause"),
        ],
    ),
    quick(
        "stream.unsubscribe",
        "ends a subscription",
        &[must("subscription", Kind::Whole, "its number, as stream.subscribe gave it")],
    ),
    quick("telemetry.get", "all counters and states, once", &[]),
    quick(
        "telemetry.subscribe",
        "sends them again and again as notifications `telemetry`",
        &[may("hz", Kind::Number, "so many times a second: 0.1 to 10, 1 if left out")],
    ),
    quick("telemetry.unsubscribe", "ends that", &[]),
    quick(
        "events.subscribe",
        "sends the lines of the log as notifications `event`",
        &[may("since", Kind::Whole, "number of the first line wanted; those to come if left out")],
    ),
    quick("events.unsubscribe", "ends that", &[]),
];

/// The method of that name.
///
/// # Errors
/// With the closest name.
pub(super) fn method(name: &str) -> Result<&'static Method, RpcError> {
    METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
        let hint = suggestion(name, METHODS.iter().map(|method| method.name));
        let name: String = name.chars().take(60).collect();
        RpcError::new(METHOD_NOT_FOUND, format!("no method `{name}`; {hint}"))
    })
}

/// True if it may wait. `cmd` stands for the short form.
pub(super) fn waits(name: &str) -> bool {
    name == "cmd" || METHODS.iter().any(|method| method.name == name && method.waits)
}

impl Method {
    /// The parameters of a call, once their names and types are right.
    ///
    /// # Errors
    /// What is wrong with them, and what would be right.
    pub(super) fn checked(&self, params: Option<Value>) -> Result<Map<String, Value>, RpcError> {
        let given = match params {
            Some(Value::Object(given)) => given,
            Some(Value::Array(list)) if !list.is_empty() => {
                return Err(RpcError::params(format!(
                    "`{}` takes its parameters by name: {}",
                    self.name,
                    self.usage()
                )));
            }
            _ => Map::new(),
        };
        for (name, value) in &given {
            let param = self.params.iter().find(|param| param.name == name).ok_or_else(|| {
                let hint = suggestion(name, self.params.iter().map(|param| param.name));
                let name: String = name.chars().take(60).collect();
                RpcError::params(format!("`{}` has no parameter `{name}`; {hint}", self.name))
            })?;
            if !param.kind.takes(value) {
                let (kind, got) = (param.kind.words(), shown(value));
                return Err(RpcError::params(format!("`{name}` must be {kind} ({}), got {got}", param.help)));
            }
        }
        match self.params.iter().find(|param| param.is_required && !given.contains_key(param.name)) {
            Some(missing) => Err(RpcError::params(format!("`{}` is missing: {}", missing.name, self.usage()))),
            None => Ok(given),
        }
    }

    /// `{"stage_id": a text, "key"?: a text}`
    fn usage(&self) -> String {
        let param = |param: &Param| {
            let mark = if param.is_required { "" } else { "?" };
            format!("\"{}\"{mark}: {}", param.name, param.kind.words())
        };
        format!("{{{}}}", self.params.iter().map(param).collect::<Vec<_>>().join(", "))
    }
}

/// The table as JSON, in the manner of OpenRPC.
pub(super) fn discover() -> Value {
    let param = |param: &Param| json!({ "name": param.name, "required": param.is_required, "summary": param.help, "schema": param.kind.schema() });
    let methods = METHODS.iter().map(|method| {
        let params: Vec<Value> = method.params.iter().map(param).collect();
        json!({ "name": method.name, "summary": method.summary, "paramStructure": "by-name", "params": params,
                "result": { "name": "result", "schema": { "type": "object" } } })
    });
    let errors = [
        (rpc::BUSY, "Busy", "locked now; the same request may pass later"),
        (rpc::UNKNOWN_STAGE, "UnknownStage", "the pipeline has no such stage"),
        (rpc::BAD_PARAMETER, "BadParameter", "no such parameter, a value that is not allowed, or one that is fixed"),
        (rpc::WRONG_STATE, "WrongState", "it does not fit what is going on"),
        (rpc::UNAUTHORISED, "Unauthorised", "a token is needed"),
    ];
    let errors =
        errors.map(|(code, name, message)| json!({ "code": code, "message": message, "data": { "code": name } }));
    let notifications = [
        ("telemetry", "as telemetry.get answers"),
        ("event", "a line of the log: number, unix_ns, level, from, text"),
        ("stream.description", "the shape of a subscription, when it begins and whenever it changes"),
        ("stream.end", "a subscription that has ended, and why"),
    ];
    let notifications = notifications.map(|(name, summary)| json!({ "name": name, "summary": summary }));
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "Wavedeck", "version": crate::VERSION },
        "methods": methods.collect::<Vec<_>>(),
        "components": { "errors": errors },
        "x-notifications": notifications,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_checked_by_the_table() {
        let seek = method("replay.seek").expect("known");
        assert!(seek.checked(Some(json!({ "at_s": 1.5 }))).is_ok());
        let why = |params: Value| seek.checked(Some(params)).expect_err("wrong").message;
        assert_eq!(why(json!([1.5])), "`replay.seek` takes its parameters by name: {\"at_s\": a number}");
        assert_eq!(why(json!({})), "`at_s` is missing: {\"at_s\": a number}");
        assert_eq!(why(json!({ "at": 1 })), "`replay.seek` has no parameter `at`; did you mean `at_s`?");
        assert!(why(json!({ "at_s": "1" })).ends_with("got \"1\""));
        let live = method("replay.live").expect("known");
        assert!(live.checked(None).is_ok() && live.checked(Some(json!([]))).is_ok());
    }

    #[test]
    fn a_near_miss_of_a_method_is_suggested() {
        let error = method("param.gte").expect_err("unknown");
        assert_eq!((error.code, error.message.contains("did you mean `param.get`?")), (METHOD_NOT_FOUND, true));
    }

    #[test]
    fn every_method_is_told_once_with_all_its_parameters() {
        let mut names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(METHODS.iter().all(|method| !method.summary.is_empty()));
        assert!(METHODS.iter().flat_map(|method| method.params).all(|param| !param.help.is_empty()));
        assert_eq!(discover()["methods"].as_array().map(Vec::len), Some(all));
    }
}
