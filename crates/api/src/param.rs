//! Parameters, described by constant tables: one source for config checks, forms, remote requests and docs.
use std::{fmt, ops::RangeInclusive, sync::Arc};

use serde_json::Value;

/// A checked value of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// A finite number.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// On or off.
    Bool(bool),
    /// Index into the labels of the parameter.
    Choice(u16),
    /// Any text of at most [`MAX_TEXT`] bytes.
    Text(Arc<str>),
}

/// Longest accepted text value in bytes.
pub const MAX_TEXT: usize = 4096;

/// Type, default and limits of a parameter.
#[derive(Clone, Debug)]
pub enum ParamKind {
    /// A finite number within `range`.
    Float {
        /// Value when the config says nothing.
        default: f64,
        /// Both ends included.
        range: RangeInclusive<f64>,
        /// Change per key press in a form; also tells how many digits to show.
        step: f64,
    },
    /// A whole number within `range`.
    Int {
        /// Value when the config says nothing.
        default: i64,
        /// Both ends included.
        range: RangeInclusive<i64>,
    },
    /// On or off.
    Bool {
        /// Value when the config says nothing.
        default: bool,
    },
    /// One of `labels`.
    Choice {
        /// Index of the label when the config says nothing.
        default: u16,
        /// What may be written.
        labels: &'static [&'static str],
    },
    /// Any text.
    Text {
        /// Value when the config says nothing.
        default: &'static str,
    },
}

/// When a change may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mutability {
    /// When the pipeline is built; a change needs a restart.
    Fixed,
    /// Between two packets, but not while recording.
    Live,
    /// At any time: it changes how things look, not the data.
    Cosmetic,
}

/// One row of a stage's parameter table.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Name in JSON, in lower case with the unit at its end.
    pub key: &'static str,
    /// One sentence for the person in front of the form.
    pub help: &'static str,
    /// Unit of the value, or empty.
    pub unit: &'static str,
    /// Type, default and limits.
    pub kind: ParamKind,
    /// When it may change.
    pub mutability: Mutability,
}

impl ParamSpec {
    const fn new(key: &'static str, kind: ParamKind) -> Self {
        Self { key, help: "", unit: "", kind, mutability: Mutability::Fixed }
    }

    /// A number; the form steps by a thousandth of the range unless [`step`](Self::step) says otherwise.
    pub const fn float(key: &'static str, default: f64, range: RangeInclusive<f64>) -> Self {
        let step = (*range.end() - *range.start()) / 1000.0;
        Self::new(key, ParamKind::Float { default, range, step })
    }

    /// A whole number.
    pub const fn int(key: &'static str, default: i64, range: RangeInclusive<i64>) -> Self {
        Self::new(key, ParamKind::Int { default, range })
    }

    /// On or off.
    pub const fn bool(key: &'static str, default: bool) -> Self {
        Self::new(key, ParamKind::Bool { default })
    }

    /// One of `labels`.
    pub const fn choice(key: &'static str, default: u16, labels: &'static [&'static str]) -> Self {
        Self::new(key, ParamKind::Choice { default, labels })
    }

    /// Any text.
    pub const fn text(key: &'static str, default: &'static str) -> Self {
        Self::new(key, ParamKind::Text { default })
    }

    /// Sets the unit.
    pub const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Sets the help sentence.
    pub const fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// Sets the step of a number in the form.
    pub const fn step(mut self, by: f64) -> Self {
        if let ParamKind::Float { ref mut step, .. } = self.kind {
            *step = by;
        }
        self
    }

    /// May change between two packets, but not while recording.
    pub const fn live(mut self) -> Self {
        self.mutability = Mutability::Live;
        self
    }

    /// May change at any time.
    pub const fn cosmetic(mut self) -> Self {
        self.mutability = Mutability::Cosmetic;
        self
    }

    /// Value when the config says nothing.
    pub fn default(&self) -> ParamValue {
        match &self.kind {
            ParamKind::Float { default, .. } => ParamValue::Float(*default),
            ParamKind::Int { default, .. } => ParamValue::Int(*default),
            ParamKind::Bool { default } => ParamValue::Bool(*default),
            ParamKind::Choice { default, .. } => ParamValue::Choice(*default),
            ParamKind::Text { default } => ParamValue::Text(Arc::from(*default)),
        }
    }

    /// What may be written, in words: `0.1..=250 Hz`, `one of 1, 2, 4`.
    pub fn limits(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match &self.kind {
            ParamKind::Float { range, .. } => format!("{}..={}{unit}", range.start(), range.end()),
            ParamKind::Int { range, .. } => format!("{}..={}{unit}", range.start(), range.end()),
            ParamKind::Bool { .. } => "true or false".into(),
            ParamKind::Choice { labels, .. } => format!("one of {}", labels.join(", ")),
            ParamKind::Text { .. } => format!("a text of at most {MAX_TEXT} bytes"),
        }
    }

    /// Name of the type as `wavedeck stages` prints it.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            ParamKind::Float { .. } => "number",
            ParamKind::Int { .. } => "whole number",
            ParamKind::Bool { .. } => "true/false",
            ParamKind::Choice { .. } => "choice",
            ParamKind::Text { .. } => "text",
        }
    }

    /// Turns JSON into a value of this parameter.
    ///
    /// # Errors
    /// [`ParamError::WrongType`] or [`ParamError::OutOfRange`], with the value and what would be right.
    pub fn check(&self, json: &Value) -> Result<ParamValue, ParamError> {
        let wrong_type = |expected| ParamError::WrongType { key: self.key, expected, got: shown(json) };
        let out_of_range = || ParamError::OutOfRange { key: self.key, range: self.limits(), got: shown(json) };
        match &self.kind {
            ParamKind::Float { range, .. } => {
                let value = json.as_f64().ok_or_else(|| wrong_type("a number"))?;
                if range.contains(&value) { Ok(ParamValue::Float(value)) } else { Err(out_of_range()) }
            }
            ParamKind::Int { range, .. } => {
                let whole = |v: f64| (v.fract() == 0.0 && v.abs() < 9e15).then_some(v as i64);
                let value = json
                    .as_i64()
                    .or_else(|| json.as_f64().and_then(whole))
                    .ok_or_else(|| wrong_type("a whole number"))?;
                if range.contains(&value) { Ok(ParamValue::Int(value)) } else { Err(out_of_range()) }
            }
            ParamKind::Bool { .. } => json.as_bool().map(ParamValue::Bool).ok_or_else(|| wrong_type("true or false")),
            ParamKind::Choice { labels, .. } => {
                let text = match json {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => return Err(wrong_type("one of its choices")),
                };
                let index = labels.iter().position(|label| *label == text).ok_or_else(out_of_range)?;
                Ok(ParamValue::Choice(u16::try_from(index).map_err(|_| out_of_range())?))
            }
            ParamKind::Text { .. } => {
                let text = json.as_str().ok_or_else(|| wrong_type("a text"))?;
                if text.len() > MAX_TEXT { Err(out_of_range()) } else { Ok(ParamValue::Text(Arc::from(text))) }
            }
        }
    }

    /// The JSON that [`check`](Self::check) turns into `value`.
    pub fn to_json(&self, value: &ParamValue) -> Value {
        match (value, &self.kind) {
            (ParamValue::Float(v), _) => Value::from(*v),
            (ParamValue::Int(v), _) => Value::from(*v),
            (ParamValue::Bool(v), _) => Value::from(*v),
            (ParamValue::Text(v), _) => Value::from(&**v),
            (ParamValue::Choice(v), ParamKind::Choice { labels, .. }) => {
                labels.get(usize::from(*v)).map_or(Value::Null, |label| Value::from(*label))
            }
            (ParamValue::Choice(v), _) => Value::from(*v),
        }
    }
}

/// A JSON value short enough for a message.
pub fn shown(json: &Value) -> String {
    let text = json.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let head: String = text.chars().take(57).collect();
    format!("{head}...")
}

/// Why a value was refused. The text does not name the stage: the caller adds the place.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum ParamError {
    /// The value is of the right type but not allowed.
    #[error("`{key}` must be {}{range}, got {got}", if range.contains("..=") { "within " } else { "" })]
    OutOfRange {
        /// Name of the parameter.
        key: &'static str,
        /// What is allowed.
        range: String,
        /// What was given.
        got: String,
    },
    /// The value is of another type.
    #[error("`{key}` expects {expected}, got {got}")]
    WrongType {
        /// Name of the parameter.
        key: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// The stage has no such parameter.
    #[error("no parameter `{key}`")]
    Unknown {
        /// What was asked for.
        key: String,
        /// What may have been meant, or what there is.
        hint: String,
    },
}

/// Checked values of one stage, defaults filled in.
#[derive(Clone, Debug)]
pub struct ParamSet {
    specs: &'static [ParamSpec],
    values: Vec<ParamValue>,
}

impl ParamSet {
    /// Every parameter at its default.
    pub fn defaults(specs: &'static [ParamSpec]) -> Self {
        Self { specs, values: specs.iter().map(ParamSpec::default).collect() }
    }

    /// Finds a parameter of a table by name.
    ///
    /// # Errors
    /// [`ParamError::Unknown`] with the closest name.
    pub fn spec<'a>(specs: &'a [ParamSpec], key: &str) -> Result<(usize, &'a ParamSpec), ParamError> {
        specs.iter().enumerate().find(|(_, spec)| spec.key == key).ok_or_else(|| ParamError::Unknown {
            key: key.chars().take(60).collect(),
            hint: suggestion(key, specs.iter().map(|spec| spec.key)),
        })
    }

    /// Takes one value from JSON.
    ///
    /// # Errors
    /// As [`ParamSpec::check`], or [`ParamError::Unknown`]; the set is then unchanged.
    pub fn set(&mut self, key: &str, json: &Value) -> Result<(), ParamError> {
        let (index, spec) = Self::spec(self.specs, key)?;
        self.values[index] = spec.check(json)?;
        Ok(())
    }

    /// Puts a value that was checked before.
    pub fn put(&mut self, key: &str, value: ParamValue) {
        if let Some(index) = self.specs.iter().position(|spec| spec.key == key) {
            self.values[index] = value;
        }
    }

    /// Each parameter with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static ParamSpec, &ParamValue)> {
        self.specs.iter().zip(&self.values)
    }

    /// The value of `key`.
    ///
    /// # Panics
    /// If `key` is not in the stage's own table.
    pub fn get(&self, key: &str) -> &ParamValue {
        let index = self.specs.iter().position(|spec| spec.key == key);
        &self.values[index.expect("a stage asks for keys of its own table")]
    }

    /// A number.
    ///
    /// # Panics
    /// If `key` is not a number of the stage's own table.
    pub fn float(&self, key: &str) -> f64 {
        let ParamValue::Float(value) = self.get(key) else { panic!("`{key}` is not a number") };
        *value
    }

    /// A whole number.
    ///
    /// # Panics
    /// If `key` is not a whole number of the stage's own table.
    pub fn int(&self, key: &str) -> i64 {
        let ParamValue::Int(value) = self.get(key) else { panic!("`{key}` is not a whole number") };
        *value
    }

    /// On or off.
    ///
    /// # Panics
    /// If `key` is not a switch of the stage's own table.
    pub fn bool(&self, key: &str) -> bool {
        let ParamValue::Bool(value) = self.get(key) else { panic!("`{key}` is not true or false") };
        *value
    }

    /// Index of the chosen label.
    ///
    /// # Panics
    /// If `key` is not a choice of the stage's own table.
    pub fn choice(&self, key: &str) -> usize {
        let ParamValue::Choice(value) = self.get(key) else { panic!("`{key}` is not a choice") };
        usize::from(*value)
    }

    /// A text.
    ///
    /// # Panics
    /// If `key` is not a text of the stage's own table.
    pub fn text(&self, key: &str) -> &str {
        let ParamValue::Text(value) = self.get(key) else { panic!("`{key}` is not a text") };
        value
    }
}

/// `did you mean ...?` for a near miss, else the list of what there is.
pub fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let near = known
        .iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), *name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there are none".into(),
        None => format!("there are: {}", known.join(", ")),
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Choice(v) => write!(f, "choice {v}"),
            Self::Text(v) => write!(f, "{v}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static TABLE: &[ParamSpec] = &[
        ParamSpec::float("cutoff_hz", 40.0, 0.1..=250.0).unit("Hz").live(),
        ParamSpec::int("order", 2, 1..=8),
        ParamSpec::bool("on", true),
        ParamSpec::choice("gain", 6, &["1", "2", "4", "6", "8", "12", "24"]),
        ParamSpec::text("port", ""),
    ];

    #[test]
    fn a_value_out_of_range_names_key_range_and_value() {
        let error = TABLE[0].check(&json!(400)).expect_err("out of range");
        assert_eq!(error.to_string(), "`cutoff_hz` must be within 0.1..=250 Hz, got 400");
        let error = TABLE[3].check(&json!(3)).expect_err("not a choice");
        assert_eq!(error.to_string(), "`gain` must be one of 1, 2, 4, 6, 8, 12, 24, got 3");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let error = TABLE[1].check(&json!("two")).expect_err("a text");
        assert_eq!(error.to_string(), "`order` expects a whole number, got \"two\"");
        assert!(TABLE[1].check(&json!(2.5)).is_err());
        assert!(TABLE[2].check(&json!(1)).is_err());
        assert!(TABLE[0].check(&json!(null)).is_err());
    }

    #[test]
    fn a_choice_is_written_as_text_or_number() {
        assert_eq!(TABLE[3].check(&json!(24)), Ok(ParamValue::Choice(6)));
        assert_eq!(TABLE[3].check(&json!("24")), Ok(ParamValue::Choice(6)));
    }

    #[test]
    fn a_near_miss_is_suggested() {
        let error = ParamSet::defaults(TABLE).set("cutof_hz", &json!(1)).expect_err("unknown");
        let ParamError::Unknown { hint, .. } = error else { panic!("{error}") };
        assert_eq!(hint, "did you mean `cutoff_hz`?");
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for spec in TABLE {
            assert_eq!(spec.check(&spec.to_json(&spec.default())), Ok(spec.default()));
        }
    }

    #[test]
    fn a_refused_value_leaves_the_set_as_it_was() {
        let mut set = ParamSet::defaults(TABLE);
        assert!(set.set("order", &json!(99)).is_err());
        assert_eq!(set.int("order"), 2);
    }
}
