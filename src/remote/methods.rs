//! What each method does: requests of the session, and what this client wants to be told.
use std::{ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use wavedeck_api::{
    handle::{RecordingState, TransportCommand},
    param::shown,
};

use super::{
    client::{Client, LONGEST_NAME, Rhythm, printable_name},
    download,
    hub::{Hub, LOG_FROM},
    rpc::{Calls, RpcError},
    source,
    streams::{Terms, Wish},
    table, views,
};
use crate::{
    session::{OWN_NAMES, ParamEdit, Request, Response, Session, SessionError},
    short_form::{self, Code, PATIENCE, Refusal},
    snapshot::Snapshot,
};

/// Time that a recorder may take to open, pause or finish its file; after that the answer says how far it is.
const RECORDER_PATIENCE: Duration = Duration::from_secs(5);
/// How often telemetry may be sent, in Hz.
const TELEMETRY_HZ: RangeInclusive<f64> = 0.1..=10.0;

/// For how long data may wait for a client that wants it to be new, in seconds.
const MAX_AGE_S: RangeInclusive<f64> = 0.1..=60.0;

/// A client that calls.
pub(super) struct Caller<'a> {
    pub(super) hub: &'a Hub,
    pub(super) client: &'a Arc<Client>,
}

type Params = Map<String, Value>;
type Answer = Result<Value, RpcError>;

impl From<SessionError> for RpcError {
    fn from(error: SessionError) -> Self {
        Refusal::from(error).into()
    }
}

impl Calls for Caller<'_> {
    fn call(&self, method: &str, params: Option<Value>) -> Answer {
        let method = table::method(method)?;
        let params = method.checked(params)?;
        let (floor, name) = method.name.split_once('.').unwrap_or((method.name, ""));
        match floor {
            "pipeline" => self.pipeline(name),
            "param" => self.param(name, &params),
            "record" => self.record(name, &params),
            "replay" => self.replay(name, &params),
            "stream" => self.stream(name, &params),
            "telemetry" => self.telemetry(name, &params),
            "events" => self.events(name, &params),
            _ => self.other(method.name, &params),
        }
    }

    fn short(&self, text: &str) -> String {
        short_form::answer(self.session(), text, &self.client.name())
    }
}

impl Caller<'_> {
    fn session(&self) -> &Session {
        &self.hub.session
    }

    fn request(&self, request: Request) -> Answer {
        self.session().request(request, &self.client.name())?;
        Ok(json!({ "done": true }))
    }

    fn other(&self, method: &str, params: &Params) -> Answer {
        match method {
            "rpc.discover" => Ok(table::discover()),
            "session.get" => Ok(views::session(self.hub)),
            "client.name" => self.rename(&text(params, "name")),
            "marker.add" => self.request(Request::Marker { label: text(params, "label") }),
            "recordings.list" => Ok(json!({ "recordings": download::list(self.session()) })),
            _ => Err(unknown(method)),
        }
    }

    fn rename(&self, name: &str) -> Answer {
        let new = printable_name(name).ok_or_else(|| {
            RpcError::params(format!(
                "`name` must have 1 to {LONGEST_NAME} printable characters, got {}",
                shown(&name.into())
            ))
        })?;
        if OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(&new)) {
            let message = format!("`name` must be another: `{new}` is what the program calls its own screen");
            return Err(RpcError::params(message));
        }
        let old = std::mem::replace(&mut self.client.wishes().name, new.clone());
        if old != new {
            let text = format!("{old} is {new} from now on ({})", self.client.address);
            self.session().note(wavedeck_api::stage::Level::Info, LOG_FROM, text);
        }
        Ok(json!({ "name": new }))
    }

    fn pipeline(&self, name: &str) -> Answer {
        match name {
            "get" => Ok(views::pipeline(self.session())),
            "pause" => self.request(Request::Pause),
            "resume" => self.request(Request::Resume),
            "stop" => {
                let text = format!("{} ends the run", self.client.name());
                self.session().note(wavedeck_api::stage::Level::Info, LOG_FROM, text);
                (self.hub.on_stop)();
                Ok(json!({ "done": true }))
            }
            _ => Err(unknown(name)),
        }
    }

    fn param(&self, name: &str, params: &Params) -> Answer {
        match name {
            "get" => param_get(&self.session().snapshot(), &text(params, "stage_id"), params.get("key")),
            _ if params.contains_key("changes") => self.param_set_all(params),
            _ => {
                let edit = edit(params, "")?;
                let applied = self.session().update_param(&edit, &self.client.name(), PATIENCE)?;
                Ok(json!({
                    "stage_id": applied.stage, "key": applied.key, "value": applied.value,
                    "at_sample": applied.at_sample, "epoch": applied.epoch,
                }))
            }
        }
    }

    fn param_set_all(&self, params: &Params) -> Answer {
        if params.len() > 1 {
            return Err(RpcError::params("`changes` stands alone: each change has its own stage_id, key and value"));
        }
        let listed = params.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let changes = listed.iter().enumerate().map(|(at, change)| match change {
            Value::Object(change) => edit(change, &format!("changes[{at}].")),
            other => Err(RpcError::params(format!("`changes[{at}]` must be an object, got {}", shown(other)))),
        });
        let changes: Vec<ParamEdit> = changes.collect::<Result<_, _>>()?;
        if changes.is_empty() {
            return Err(RpcError::params("`changes` must hold at least one change, got none"));
        }
        let number = changes.len();
        let response = self.session().request(Request::SetParams { changes }, &self.client.name())?;
        Ok(json!({ "posted": number, "restarted": response == Response::Done }))
    }

    fn record(&self, name: &str, params: &Params) -> Answer {
        self.request(match name {
            "start" => Request::RecordStart { name: recording_name(params)? },
            "pause" => Request::RecordPause,
            "resume" => Request::RecordResume,
            "stop" => Request::RecordFinish,
            "acknowledge" => Request::Acknowledge,
            _ => return Err(unknown(name)),
        })?;
        // Whoever asks for two things one after the other is to find the first one done.
        self.session().settle_recording(RECORDER_PATIENCE);
        let recorder = self.session().snapshot().recorder.unwrap_or_default();
        match recorder.error {
            Some(why) if recorder.state == RecordingState::Failed => Err(RpcError::state(why)),
            _ => Ok(json!({ "done": true, "state": recorder.state, "file": recorder.path })),
        }
    }

    fn replay(&self, name: &str, params: &Params) -> Answer {
        self.request(match name {
            "overview" => return views::overview(self.session()),
            "open" => Request::Replay { path: self.recording(&text(params, "name"))? },
            "live" => Request::Live,
            _ => Request::Transport(match name {
                "play" => TransportCommand::Play,
                "pause" => TransportCommand::Pause,
                "seek" => TransportCommand::Seek(not_negative(params, "at_s")?),
                "show" => TransportCommand::Show {
                    at_s: not_negative(params, "at_s")?,
                    before_s: not_negative(params, "before_s")?,
                },
                "step" => TransportCommand::Step(whole(params, "frames", -1_000_000_000..=1_000_000_000)?),
                "step_packets" => {
                    let packets = whole(params, "packets", -1_000_000..=1_000_000)?;
                    TransportCommand::StepPackets(i32::try_from(packets).unwrap_or_default())
                }
                "loop" => TransportCommand::Loop(loop_of(params)?),
                "speed" => match number(params, "times") {
                    times if times == 0.0 || (0.1..=1000.0).contains(&times) => TransportCommand::Speed(times),
                    times => {
                        let what =
                            format!("`times` must be within 0.1..=1000, or 0 for as fast as possible, got {times}");
                        return Err(RpcError::params(what));
                    }
                },
                _ => return Err(unknown(name)),
            }),
        })
    }

    /// The file of a recording.
    fn recording(&self, name: &str) -> Result<PathBuf, RpcError> {
        let dir = self.session().recordings_dir();
        download::path_of(&dir, name).map_err(|why| {
            Refusal { code: Code::BadParameter, message: format!("`name` {why}, got {}", shown(&name.into())) }.into()
        })
    }

    fn stream(&self, name: &str, params: &Params) -> Answer {
        match name {
            "list" => {
                let (generation, sources) = source::all(self.session());
                let streams: Vec<Value> = sources.iter().map(views::stream).collect();
                Ok(json!({ "generation": generation, "streams": streams }))
            }
            "subscribe" => self.subscribe(params),
            _ => {
                let number = whole(params, "subscription", 0..=i64::from(u16::MAX))?;
                let number = u16::try_from(number).unwrap_or_default();
                if self.hub.streams().unsubscribe(self.client, number) {
                    return Ok(json!({ "done": true }));
                }
                let own = self.hub.streams().numbers_of(self.client);
                Err(RpcError::params(format!("`subscription` must be one of {own:?}, got {number}")))
            }
        }
    }

    fn subscribe(&self, params: &Params) -> Answer {
        let stream = text(params, "stream");
        let wish = match (params.get("max_hz"), params.get("columns")) {
            (Some(_), Some(_)) => return Err(RpcError::params("ask for `max_hz` or for `columns`, not for both")),
            (Some(_), None) => Wish::MaxHz(number(params, "max_hz")),
            (None, Some(_)) => Wish::Columns(whole(params, "columns", 1..=1_000_000)?.unsigned_abs()),
            (None, None) => Wish::Everything,
        };
        let max_age = within(params, "max_age_s", &MAX_AGE_S, "s")?.map(Duration::from_secs_f64);
        let mut streams = self.hub.streams();
        let most = self.hub.limits.subscriptions;
        if streams.numbers_of(self.client).len() >= most {
            return Err(RpcError::state(format!("a client may have {most} subscriptions, and you have them all")));
        }
        let has_flags = params.get("flags") == Some(&Value::Bool(true));
        let terms = Terms { wish, max_age, has_flags };
        let (subscription, description) = streams.subscribe(self.session(), self.client, &stream, terms)?;
        drop(streams);
        self.hub.wake();
        Ok(json!({ "subscription": subscription, "stream": stream, "description": description }))
    }

    fn telemetry(&self, name: &str, params: &Params) -> Answer {
        match name {
            "get" => return Ok(views::telemetry(self.session())),
            "subscribe" => {
                let hz = within(params, "hz", &TELEMETRY_HZ, "Hz")?.unwrap_or(1.0);
                self.client.wishes().telemetry = Some(Rhythm::of_hz(hz));
            }
            _ => self.client.wishes().telemetry = None,
        }
        self.hub.wake();
        Ok(json!({ "done": true }))
    }

    fn events(&self, name: &str, params: &Params) -> Answer {
        let log = self.session().log();
        let end = log.last().map_or(0, |entry| entry.number + 1);
        let next = match (name, params.get("since")) {
            ("subscribe", None) => Some(end),
            ("subscribe", Some(_)) => Some(whole(params, "since", 0..=i64::MAX)?.unsigned_abs()),
            _ => None,
        };
        self.client.wishes().next_event = next;
        self.hub.wake();
        Ok(json!({ "first": log.first().map(|entry| entry.number), "end": end }))
    }
}

fn param_get(snapshot: &Snapshot, stage: &str, key: Option<&Value>) -> Answer {
    let refused = |code, message| RpcError::from(Refusal { code, message });
    let found = snapshot.stages.iter().find(|known| *known.id == *stage).ok_or_else(|| {
        let hint = wavedeck_api::param::suggestion(stage, snapshot.stages.iter().map(|stage| &*stage.id));
        let stage: String = stage.chars().take(60).collect();
        refused(Code::UnknownStage, format!("no stage `{stage}` in this pipeline; {hint}"))
    })?;
    let Some(key) = key.and_then(Value::as_str) else {
        return Ok(json!({ "stage_id": stage, "params": views::values_of(found) }));
    };
    let (spec, value) = found.params.iter().find(|(spec, _)| spec.key == key).ok_or_else(|| {
        let hint = wavedeck_api::param::suggestion(key, found.params.iter().map(|(spec, _)| spec.key));
        let key: String = key.chars().take(60).collect();
        refused(Code::BadParameter, format!("`{stage}` has no parameter `{key}`; {hint}"))
    })?;
    Ok(json!({
        "stage_id": stage, "key": key, "value": spec.to_json(value), "unit": spec.unit, "limits": spec.limits(),
        "mutability": spec.mutability, "locked": snapshot.why_locked(spec),
    }))
}

/// A change out of an object; `place` is before the names of its fields in what is said of them.
fn edit(fields: &Params, place: &str) -> Result<ParamEdit, RpcError> {
    if let Some(other) = fields.keys().find(|name| !["stage_id", "key", "value"].contains(&name.as_str())) {
        let other: String = other.chars().take(60).collect();
        return Err(RpcError::params(format!("`{place}{other}` is unknown: a change has stage_id, key and value")));
    }
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(RpcError::params(format!("`{place}{name}` must be a text, got {}", shown(other)))),
        None => Err(RpcError::params(format!("`{place}{name}` is missing: a change has stage_id, key and value"))),
    };
    let value = fields.get("value").cloned();
    let value = value.ok_or_else(|| RpcError::params(format!("`{place}value` is missing")))?;
    Ok(ParamEdit { stage: text("stage_id")?, key: text("key")?, value })
}

/// A name for a new recording that stays in its folder. The recorder checks it too, but only when it comes to it.
fn recording_name(params: &Params) -> Result<Option<String>, RpcError> {
    if !params.contains_key("name") {
        return Ok(None);
    }
    let name = text(params, "name");
    let is_fine = !name.is_empty() && !name.starts_with('.') && name.len() <= 200;
    if is_fine && !name.contains(['/', '\\']) && !name.chars().any(char::is_control) {
        return Ok(Some(name));
    }
    let what = "must be a file name of 1 to 200 bytes without `/`, `\\` or a leading `.`";
    let message = format!("`name` {what}, got {}", shown(&name.into()));
    Err(Refusal { code: Code::BadParameter, message }.into())
}

fn loop_of(params: &Params) -> Result<Option<(f64, f64)>, RpcError> {
    if params.is_empty() {
        return Ok(None);
    }
    if params.len() == 1 {
        return Err(RpcError::params("a loop needs `from_s` and `to_s`; without both of them it ends"));
    }
    let (from, to) = (not_negative(params, "from_s")?, not_negative(params, "to_s")?);
    if from < to {
        return Ok(Some((from, to)));
    }
    Err(RpcError::params(format!("`to_s` must be above `from_s`, got {from} and {to}")))
}

/// A text that the table has checked; empty if it was left out.
fn text(params: &Params, name: &str) -> String {
    params.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A number that the table has checked; 0 if it was left out.
fn number(params: &Params, name: &str) -> f64 {
    params.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// A number in that range; `None` if it was left out.
fn within(params: &Params, name: &str, range: &RangeInclusive<f64>, unit: &str) -> Result<Option<f64>, RpcError> {
    match params.get(name).map(|_| number(params, name)) {
        Some(number) if !range.contains(&number) => {
            let (low, high) = (range.start(), range.end());
            Err(RpcError::params(format!("`{name}` must be within {low}..={high} {unit}, got {number}")))
        }
        number => Ok(number),
    }
}

fn not_negative(params: &Params, name: &str) -> Result<f64, RpcError> {
    match number(params, name) {
        number if (0.0..=1e9).contains(&number) => Ok(number),
        number => Err(RpcError::params(format!("`{name}` must be within 0..=1e9 s, got {number}"))),
    }
}

fn whole(params: &Params, name: &str, range: RangeInclusive<i64>) -> Result<i64, RpcError> {
    let number = number(params, name);
    let whole = number as i64;
    if range.contains(&whole) {
        return Ok(whole);
    }
    Err(RpcError::params(format!("`{name}` must be within {}..={}, got {number}", range.start(), range.end())))
}

fn unknown(method: &str) -> RpcError {
    RpcError::new(super::rpc::METHOD_NOT_FOUND, format!("no method `{method}`"))
}
