//! JSON-RPC 2.0: a text in, a text out or none. Knows nothing of sockets nor of what the methods do.
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value, json};
use wavedeck_api::param::shown;

use crate::short_form::{Code, Refusal};

/// This is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// This is JSON, but not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// Something here is wrong.
pub const INTERNAL_ERROR: i64 = -32603;
/// The parameters are locked; the same request may pass later.
pub const BUSY: i64 = -32001;
/// The pipeline has no such stage.
pub const UNKNOWN_STAGE: i64 = -32002;
/// The stage has no such parameter, it does not take this value, or it cannot change while running.
pub const BAD_PARAMETER: i64 = -32003;
/// The request does not fit what is going on.
pub const WRONG_STATE: i64 = -32004;
/// A token is needed.
pub const UNAUTHORISED: i64 = -32005;
/// Most calls of one batch.
pub const MAX_BATCH: usize = 100;

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// Number of the error, for programs.
    pub code: i64,
    /// One sentence for people.
    pub message: String,
    /// The name of the error, where it is one of our own.
    pub name: Option<&'static str>,
}

impl RpcError {
    /// One of the errors that JSON-RPC itself defines.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), name: None }
    }

    /// The parameters do not fit the method.
    pub fn params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// The request does not fit what is going on.
    pub fn state(message: impl Into<String>) -> Self {
        Refusal { code: Code::WrongState, message: message.into() }.into()
    }

    /// The same request may pass later.
    pub fn busy(message: impl Into<String>) -> Self {
        Refusal { code: Code::Busy, message: message.into() }.into()
    }

    fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(name) = self.name {
            error["data"] = json!({ "code": name });
        }
        error
    }
}

impl From<Refusal> for RpcError {
    fn from(Refusal { code, message }: Refusal) -> Self {
        let (code, name) = match code {
            Code::Busy => (BUSY, "Busy"),
            Code::UnknownStage => (UNKNOWN_STAGE, "UnknownStage"),
            Code::BadParameter => (BAD_PARAMETER, "BadParameter"),
            Code::WrongState => (WRONG_STATE, "WrongState"),
            Code::BadRequest => (INVALID_PARAMS, "BadRequest"),
        };
        Self { code, message, name: Some(name) }
    }
}

/// What the calls of a client do.
pub trait Calls {
    /// Carries out a call. `params` is an object or a list, if there is one.
    ///
    /// # Errors
    /// Why it was refused.
    fn call(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError>;

    /// Answers an object in the short form.
    fn short(&self, text: &str) -> String;
}

/// A message that was read.
#[derive(Debug)]
pub enum Message {
    /// The short form, verbatim.
    Short(String),
    /// One request, whatever it is.
    Single(Value),
    /// Several requests, at least one.
    Batch(Vec<Value>),
    /// Not a message; the answer is this error.
    Broken(RpcError),
}

impl Message {
    /// Reads a text. Never fails: what is wrong with it becomes the answer.
    pub fn read(text: &str) -> Self {
        match serde_json::from_str(text) {
            Err(error) => Self::Broken(RpcError::new(PARSE_ERROR, format!("this is not JSON: {error}"))),
            Ok(Value::Array(list)) if list.is_empty() => {
                Self::Broken(RpcError::new(INVALID_REQUEST, "a batch holds at least one request, this one is empty"))
            }
            Ok(Value::Array(list)) if list.len() > MAX_BATCH => {
                let message = format!("a batch may hold {MAX_BATCH} requests, this one has {}", list.len());
                Self::Broken(RpcError::new(INVALID_REQUEST, message))
            }
            Ok(Value::Array(list)) => Self::Batch(list),
            Ok(Value::Object(object)) if !object.contains_key("jsonrpc") && object.contains_key("cmd") => {
                Self::Short(text.to_owned())
            }
            Ok(request) => Self::Single(request),
        }
    }

    /// Names of the methods that are called; `cmd` for the short form.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        let requests = match self {
            Self::Single(request) => std::slice::from_ref(request),
            Self::Batch(requests) => requests,
            Self::Short(_) | Self::Broken(_) => &[],
        };
        let names = requests.iter().filter_map(|request| request.get("method")?.as_str());
        names.chain(matches!(self, Self::Short(_)).then_some("cmd"))
    }

    /// Carries out the calls in their order. `None` if nothing is to be answered.
    pub fn answer(self, calls: &dyn Calls) -> Option<String> {
        match self {
            Self::Short(text) => Some(calls.short(&text)),
            Self::Broken(error) => Some(refusal(&error)),
            Self::Single(request) => obey(request, calls).map(|answer| answer.to_string()),
            Self::Batch(requests) => {
                let answers: Vec<Value> = requests.into_iter().filter_map(|request| obey(request, calls)).collect();
                (!answers.is_empty()).then(|| Value::Array(answers).to_string())
            }
        }
    }
}

/// Reads and answers a text.
pub fn answer(text: &str, calls: &dyn Calls) -> Option<String> {
    Message::read(text).answer(calls)
}

/// The answer to what could not be read, as text.
pub fn refusal(error: &RpcError) -> String {
    response(Value::Null, Err(error.clone())).to_string()
}

/// A notification to a client, as text.
pub fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

/// A request of which the form is right.
struct Request {
    method: String,
    params: Option<Value>,
    /// `None` for a notification.
    id: Option<Value>,
}

fn obey(request: Value, calls: &dyn Calls) -> Option<Value> {
    let Request { method, params, id } = match checked(request) {
        Ok(request) => request,
        Err((id, message)) => return Some(response(id, Err(RpcError::new(INVALID_REQUEST, message)))),
    };
    // A mistake of ours must not cost a client its connection.
    let outcome = catch_unwind(AssertUnwindSafe(|| calls.call(&method, params))).unwrap_or_else(|_| {
        Err(RpcError::new(INTERNAL_ERROR, format!("`{method}` failed in a way that it should not; see the log")))
    });
    id.map(|id| response(id, outcome))
}

/// The parts of a request, or the id to answer with and what is wrong.
fn checked(request: Value) -> Result<Request, (Value, String)> {
    let Value::Object(mut request) = request else {
        return Err((Value::Null, format!("a request is an object, got {}", shown(&request))));
    };
    let id = request.remove("id");
    if let Some(id @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) = &id {
        return Err((Value::Null, format!("`id` must be a text, a number or null, got {}", shown(id))));
    }
    let wrong = |message: String| (id.clone().unwrap_or_default(), message);
    match request.get("jsonrpc") {
        Some(version) if version == "2.0" => {}
        Some(version) => return Err(wrong(format!("`jsonrpc` must be \"2.0\", got {}", shown(version)))),
        None => return Err(wrong("`jsonrpc` is missing: it must be \"2.0\"".into())),
    }
    let method = match request.remove("method") {
        Some(Value::String(method)) => method,
        Some(other) => return Err(wrong(format!("`method` must be a text, got {}", shown(&other)))),
        None => return Err(wrong("`method` is missing".into())),
    };
    let params = request.remove("params");
    if let Some(params) = params.as_ref().filter(|params| !params.is_object() && !params.is_array()) {
        return Err(wrong(format!("`params` must be an object, got {}", shown(params))));
    }
    Ok(Request { method, params, id })
}

fn response(id: Value, outcome: Result<Value, RpcError>) -> Value {
    let mut response = Map::new();
    response.insert("jsonrpc".into(), "2.0".into());
    match outcome {
        Ok(result) => response.insert("result".into(), result),
        Err(error) => response.insert("error".into(), error.to_json()),
    };
    response.insert("id".into(), id);
    Value::Object(response)
}

#[cfg(test)]
#[path = "rpc_tests.rs"]
mod tests;
