//! A pipeline as it is written: read from JSON with every mistake found at once, not yet checked against stages.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;
use serde_json::{Map, Value};
use wavedeck_api::{
    link::Overflow,
    param::{shown, suggestion},
};

use crate::problem::{Problem, Problems};

/// Most bytes of a config file.
pub const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// Most stages, connections or pools.
const MAX_ITEMS: usize = 1024;
/// Largest capacity of a connection, in packets.
pub const MAX_CAPACITY: u32 = 65_536;

/// A whole pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineConfig {
    /// Version of the format: 1.
    pub version: u32,
    /// Name of the pipeline; part of the names of its recordings.
    pub name: String,
    /// When parameters are locked.
    pub lock: LockRule,
    /// Stages, in any order.
    pub stages: Vec<StageConfig>,
    /// Connections between their ports.
    pub connections: Vec<ConnectionConfig>,
    /// Pools that should be larger than computed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolConfig>,
    /// Where remote clients are listened for while it runs; a replay of its recordings does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<SocketAddr>,
}

/// When parameters are locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LockRule {
    /// While a recording is running (not while it is paused).
    #[default]
    Recording,
    /// While a recording is running, and while the pipeline is not paused.
    Running,
}

/// What happens when a stage fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFault {
    /// The stage is disabled, the others go on.
    #[default]
    Disable,
    /// The pipeline stops; recordings are finished.
    Stop,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageConfig {
    /// Its name in this pipeline.
    pub id: String,
    /// Its stage type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its parameters.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// What happens when it fails.
    #[serde(skip_serializing_if = "is_default")]
    pub on_fault: OnFault,
    /// Name of the thread it shall run on; stages with the same name share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// Processor its thread is pinned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionConfig {
    /// `stage.port`, or `stage` where it has one output.
    pub from: String,
    /// `stage.port`, or `stage` where it has one input.
    pub to: String,
    /// Packets that fit; 16 when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// What happens when they do not.
    #[serde(skip_serializing_if = "is_default")]
    pub overflow: Overflow,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolConfig {
    /// `stage.port`.
    pub name: String,
    /// Buffers; at least what the plan computes.
    pub packets: u32,
}

/// What an address looks like.
pub const ADDRESSES: &str = "an address is written such as 127.0.0.1:9300, [::1]:9300 or 9300";

/// Reads `127.0.0.1:9300`, `[::1]:9300`, `localhost:9300`, or `9300` for this machine only.
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().ok(),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PipelineConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// Every unknown key, missing value and wrong type at once; a text that is not JSON with line and column.
    pub fn from_json(text: &str) -> Result<Self, Problems> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Problems::one(Problem::new("", format!("not valid JSON: {error}"), format!("look at {place}")))
        })?;
        Self::from_value(&value)
    }

    /// Reads a config that is JSON already.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_value(value: &Value) -> Result<Self, Problems> {
        let mut reader = Reader { found: Vec::new() };
        let config = reader.pipeline(value);
        Problems::unless_none(reader.found)?;
        Ok(config)
    }

    /// The config as JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Sets one parameter from `stage.key=value`; the value is JSON, or else a text.
    ///
    /// # Errors
    /// When the text has another form or names no stage of this pipeline.
    pub fn set(&mut self, assignment: &str) -> Result<(), Problem> {
        let at = format!("--set {assignment}");
        let form =
            || Problem::new(at.clone(), "not of the form stage.key=value", "such as --set board.port=/dev/ttyUSB0");
        let (path, text) = assignment.split_once('=').ok_or_else(form)?;
        let (stage, key) = path.split_once('.').ok_or_else(form)?;
        let ids: Vec<String> = self.stages.iter().map(|stage| stage.id.clone()).collect();
        let Some(stage) = self.stages.iter_mut().find(|candidate| candidate.id == stage) else {
            let hint = suggestion(stage, ids.iter().map(String::as_str));
            return Err(Problem::new(at, format!("no stage `{stage}` in this pipeline"), hint));
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        stage.params.insert(key.to_owned(), value);
        Ok(())
    }
}

/// Walks the JSON and notes what is wrong on the way.
struct Reader {
    found: Vec<Problem>,
}

impl Reader {
    fn pipeline(&mut self, value: &Value) -> PipelineConfig {
        const KEYS: &[&str] = &["version", "name", "lock", "stages", "connections", "pools", "listen"];
        let empty = Map::new();
        let map = self.object("", value, KEYS).unwrap_or(&empty);
        let version = self.whole("/version", map.get("version"), 1, 1).unwrap_or_else(|| {
            if !map.contains_key("version") {
                self.missing("", "version", "add \"version\": 1");
            }
            1
        });
        let name = self.text("", map, "name").unwrap_or_default();
        let stages = self.items("/stages", map.get("stages"), Self::stage);
        if !map.contains_key("stages") {
            self.missing(
                "",
                "stages",
                "a pipeline has at least one stage, such as { \"id\": \"board\", \"type\": \"synthetic\" }",
            );
        }
        let lock = [("recording", LockRule::Recording), ("running", LockRule::Running)];
        PipelineConfig {
            version,
            name,
            lock: self.choice("/lock", map.get("lock"), &lock),
            stages,
            connections: self.items("/connections", map.get("connections"), Self::connection),
            pools: self.items("/pools", map.get("pools"), Self::pool),
            listen: match map.get("listen") {
                Some(one @ Value::String(_)) => self.listen("/listen", one).into_iter().collect(),
                some => self.items("/listen", some, Self::listen),
            },
        }
    }

    fn listen(&mut self, at: &str, value: &Value) -> Option<SocketAddr> {
        let Value::String(text) = value else {
            self.wrong_type(at, "an address as a text", value);
            return None;
        };
        let address = listen_address(text);
        if address.is_none() {
            self.found.push(Problem::new(at, format!("`{text}` is no address"), ADDRESSES));
        }
        address
    }

    fn stage(&mut self, at: &str, value: &Value) -> Option<StageConfig> {
        let map = self.object(at, value, &["id", "type", "params", "on_fault", "thread", "cpu"])?;
        let params = match map.get("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params.clone(),
            Some(other) => {
                self.wrong_type(&format!("{at}/params"), "an object of parameters", other);
                Map::new()
            }
        };
        let faults = [("disable", OnFault::Disable), ("stop", OnFault::Stop)];
        Some(StageConfig {
            id: self.text(at, map, "id").unwrap_or_default(),
            kind: self.text(at, map, "type").unwrap_or_default(),
            params,
            on_fault: self.choice(&format!("{at}/on_fault"), map.get("on_fault"), &faults),
            thread: map.contains_key("thread").then(|| self.text(at, map, "thread")).flatten(),
            cpu: self.whole(&format!("{at}/cpu"), map.get("cpu"), 0, 1023),
        })
    }

    fn connection(&mut self, at: &str, value: &Value) -> Option<ConnectionConfig> {
        let map = self.object(at, value, &["from", "to", "capacity", "overflow"])?;
        let policies =
            [("block", Overflow::Block), ("drop_oldest", Overflow::DropOldest), ("drop_newest", Overflow::DropNewest)];
        Some(ConnectionConfig {
            from: self.text(at, map, "from").unwrap_or_default(),
            to: self.text(at, map, "to").unwrap_or_default(),
            capacity: self.whole(&format!("{at}/capacity"), map.get("capacity"), 1, MAX_CAPACITY),
            overflow: self.choice(&format!("{at}/overflow"), map.get("overflow"), &policies),
        })
    }

    fn pool(&mut self, at: &str, value: &Value) -> Option<PoolConfig> {
        let map = self.object(at, value, &["name", "packets"])?;
        let packets = self.whole(&format!("{at}/packets"), map.get("packets"), 1, 4 * MAX_CAPACITY);
        if !map.contains_key("packets") {
            self.missing(at, "packets", "the number of buffers");
        }
        Some(PoolConfig { name: self.text(at, map, "name").unwrap_or_default(), packets: packets.unwrap_or(1) })
    }

    fn items<T>(&mut self, at: &str, value: Option<&Value>, read: fn(&mut Self, &str, &Value) -> Option<T>) -> Vec<T> {
        match value {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() <= MAX_ITEMS => {
                let numbered = items.iter().enumerate();
                numbered.filter_map(|(index, item)| read(self, &format!("{at}/{index}"), item)).collect()
            }
            Some(Value::Array(items)) => {
                let what = format!("at most {MAX_ITEMS} entries are allowed, got {}", items.len());
                self.found.push(Problem::new(at, what, "split the pipeline"));
                Vec::new()
            }
            Some(other) => {
                self.wrong_type(at, "a list", other);
                Vec::new()
            }
        }
    }

    fn object<'v>(&mut self, at: &str, value: &'v Value, keys: &[&str]) -> Option<&'v Map<String, Value>> {
        let Value::Object(map) = value else {
            self.wrong_type(at, "an object", value);
            return None;
        };
        for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
            let what = format!("unknown key `{key}`");
            self.found.push(Problem::new(format!("{at}/{key}"), what, suggestion(key, keys.iter().copied())));
        }
        Some(map)
    }

    fn text(&mut self, at: &str, map: &Map<String, Value>, key: &str) -> Option<String> {
        match map.get(key) {
            Some(Value::String(text)) if !text.is_empty() && text.len() <= 200 => Some(text.clone()),
            Some(Value::String(text)) => {
                let what = format!("`{key}` has 1..=200 bytes, got {}", text.len());
                self.found.push(Problem::new(format!("{at}/{key}"), what, ""));
                None
            }
            Some(other) => {
                self.wrong_type(&format!("{at}/{key}"), "a text", other);
                None
            }
            None => {
                self.missing(at, key, "");
                None
            }
        }
    }

    fn whole(&mut self, at: &str, value: Option<&Value>, least: u32, most: u32) -> Option<u32> {
        let value = value?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => {
                let what = format!("expects a whole number within {least}..={most}, got {}", shown(value));
                self.found.push(Problem::new(at, what, ""));
                None
            }
        }
    }

    fn choice<T: Copy + Default>(&mut self, at: &str, value: Option<&Value>, choices: &[(&str, T)]) -> T {
        let Some(value) = value else { return T::default() };
        if let Some((_, choice)) = choices.iter().find(|(label, _)| value.as_str() == Some(label)) {
            return *choice;
        }
        let labels: Vec<&str> = choices.iter().map(|(label, _)| *label).collect();
        let what = format!("expects one of {}, got {}", labels.join(", "), shown(value));
        let hint = value.as_str().map(|text| suggestion(text, labels)).filter(|hint| hint.starts_with("did"));
        self.found.push(Problem::new(at, what, hint.unwrap_or_default()));
        T::default()
    }

    fn wrong_type(&mut self, at: &str, expected: &str, got: &Value) {
        self.found.push(Problem::new(at, format!("expects {expected}, got {}", shown(got)), ""));
    }

    fn missing(&mut self, at: &str, key: &str, hint: &str) {
        self.found.push(Problem::new(at, format!("`{key}` is missing"), hint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<(String, String, Option<String>)> {
        let problems = PipelineConfig::from_json(text).expect_err("a config with mistakes");
        problems.list().iter().map(|p| (p.at.clone(), p.what.clone(), p.hint.clone())).collect()
    }

    #[test]
    fn every_mistake_is_found_at_once_with_its_place() {
        let found = problems(
            r#"{ "version": 2, "naem": "x", "stages": [ { "id": 5, "type": "gain", "parms": {} } ],
                 "connections": [ { "from": "a", "to": "b", "capacity": 0, "overflow": "drop_oldst" } ] }"#,
        );
        let places: Vec<&str> = found.iter().map(|(at, _, _)| at.as_str()).collect();
        let expected = [
            "",
            "/connections/0/capacity",
            "/connections/0/overflow",
            "/naem",
            "/stages/0/id",
            "/stages/0/parms",
            "/version",
        ];
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        let overflow = found.iter().find(|(at, _, _)| at == "/connections/0/overflow").expect("found");
        assert_eq!(overflow.2.as_deref(), Some("did you mean `drop_oldest`?"));
    }

    #[test]
    fn text_that_is_not_json_says_where() {
        let found = problems("{ \"version\": 1,\n  oops }");
        assert!(found[0].2.as_deref().is_some_and(|hint| hint.contains("line 2")), "{found:?}");
    }

    #[test]
    fn a_config_survives_the_way_to_json_and_back() {
        let text = r#"{ "version": 1, "name": "x", "lock": "running",
            "stages": [ { "id": "a", "type": "synthetic", "params": { "channels": 2 }, "on_fault": "stop", "cpu": 1 } ],
            "connections": [ { "from": "a.out", "to": "b.in", "capacity": 4, "overflow": "drop_newest" } ],
            "pools": [ { "name": "a.out", "packets": 64 } ] }"#;
        let config = PipelineConfig::from_json(text).expect("no mistake");
        assert_eq!(PipelineConfig::from_json(&config.to_json()), Ok(config));
    }

    #[test]
    fn a_parameter_is_set_from_the_command_line() {
        let text = r#"{ "version": 1, "name": "x", "stages": [ { "id": "board", "type": "cyton" } ] }"#;
        let mut config = PipelineConfig::from_json(text).expect("no mistake");
        config.set("board.port=/dev/ttyUSB0").expect("a stage of the pipeline");
        config.set("board.gain=12").expect("a stage of the pipeline");
        assert_eq!(config.stages[0].params["port"], "/dev/ttyUSB0");
        assert_eq!(config.stages[0].params["gain"], 12);
        let problem = config.set("bord.gain=12").expect_err("no such stage");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `board`?"));
        assert!(config.set("board").is_err());
    }
}
