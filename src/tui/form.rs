//! The parameter form: which field is chosen and which edits wait to be applied together.
use std::sync::Arc;

use serde_json::Value;
use wavedeck_api::param::{Mutability, ParamKind, ParamSpec, ParamValue};

use super::line_edit::LineEdit;
use crate::snapshot::{Snapshot, StageParams};

/// Which field is chosen, and what was changed but not applied.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Index of the stage in the snapshot.
    pub stage: usize,
    /// Index of the field in its table.
    pub field: usize,
    /// Edits in the order they were made; at most one per field.
    pub staged: Vec<Staged>,
}

/// An edit that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Staged {
    /// Id of the stage.
    pub stage: Arc<str>,
    /// Name of the parameter.
    pub key: &'static str,
    /// Checked value.
    pub value: ParamValue,
    /// The same as JSON.
    pub json: Value,
}

/// A field whose value is being typed.
#[derive(Clone, Debug)]
pub struct FieldEdit {
    /// Table row.
    pub spec: &'static ParamSpec,
    /// What was typed.
    pub line: LineEdit,
    /// What it began with.
    pub before: String,
    /// Why it cannot be taken, checked at every key.
    pub problem: Option<String>,
}

/// Which way a value or a choice moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Up, left, smaller.
    Back,
    /// Down, right, larger.
    On,
}

impl Way {
    /// -1 or 1.
    pub fn sign(self) -> isize {
        match self {
            Self::Back => -1,
            Self::On => 1,
        }
    }

    /// `at` moved by `by`, within `0..count`.
    pub fn moved(self, at: usize, by: usize, count: usize) -> usize {
        let moved = match self {
            Self::Back => at.saturating_sub(by),
            Self::On => at.saturating_add(by),
        };
        moved.min(count.saturating_sub(1))
    }
}

impl Form {
    /// The chosen stage.
    pub fn stage<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a StageParams> {
        snapshot.stages.get(self.stage)
    }

    /// The chosen stage, table row and value in force.
    pub fn field<'a>(&self, snapshot: &'a Snapshot) -> Option<(&'a StageParams, &'static ParamSpec, &'a ParamValue)> {
        let stage = self.stage(snapshot)?;
        let (spec, value) = stage.params.get(self.field)?;
        Some((stage, spec, value))
    }

    /// The edit that waits for a field.
    pub fn staged_for(&self, stage: &str, key: &str) -> Option<&Staged> {
        self.staged.iter().find(|edit| &*edit.stage == stage && edit.key == key)
    }

    /// True if applying what is staged restarts the pipeline.
    pub fn restarts(&self, snapshot: &Snapshot) -> bool {
        self.staged.iter().any(|edit| {
            let stage = snapshot.stages.iter().find(|stage| stage.id == edit.stage);
            let specs = stage.into_iter().flat_map(|stage| stage.params.iter().map(|(spec, _)| spec));
            specs.into_iter().any(|spec| spec.key == edit.key && spec.mutability == Mutability::Fixed)
        })
    }

    /// Forgets edits of fields that are gone, and moves the choice to a field that exists; how many edits went.
    pub fn fit_to(&mut self, snapshot: &Snapshot) -> usize {
        let before = self.staged.len();
        self.staged.retain(|edit| {
            let stage = snapshot.stages.iter().find(|stage| stage.id == edit.stage);
            stage.is_some_and(|stage| stage.params.iter().any(|(spec, _)| spec.key == edit.key))
        });
        self.stage = self.stage.min(snapshot.stages.len().saturating_sub(1));
        let fields = self.stage(snapshot).map_or(0, |stage| stage.params.len());
        self.field = self.field.min(fields.saturating_sub(1));
        before - self.staged.len()
    }

    /// Stages a value for the chosen field; one that equals the value in force takes the edit back.
    pub fn stage_value(&mut self, snapshot: &Snapshot, value: ParamValue) {
        let Some((stage, spec, in_force)) = self.field(snapshot) else { return };
        let same = value == *in_force;
        let edit = Staged { stage: stage.id.clone(), key: spec.key, json: spec.to_json(&value), value };
        match self.staged.iter().position(|old| old.stage == edit.stage && old.key == edit.key) {
            Some(at) if same => {
                self.staged.remove(at);
            }
            Some(at) => self.staged[at] = edit,
            None if same => {}
            None => self.staged.push(edit),
        }
    }

    /// The value that the chosen field would have: staged, else in force.
    pub fn wanted(&self, snapshot: &Snapshot) -> Option<ParamValue> {
        let (stage, spec, in_force) = self.field(snapshot)?;
        Some(self.staged_for(&stage.id, spec.key).map_or_else(|| in_force.clone(), |edit| edit.value.clone()))
    }

    /// Takes back the edit of the chosen field, or else the last one made.
    pub fn undo(&mut self, snapshot: &Snapshot) -> Option<Staged> {
        let here = self.field(snapshot).map(|(stage, spec, _)| (stage.id.clone(), spec.key));
        let at = here.and_then(|(stage, key)| self.staged.iter().position(|e| e.stage == stage && e.key == key));
        match at {
            Some(at) => Some(self.staged.remove(at)),
            None => self.staged.pop(),
        }
    }

    /// Opens the chosen field for typing.
    pub fn edit(&self, snapshot: &Snapshot) -> Option<FieldEdit> {
        let (_, spec, _) = self.field(snapshot)?;
        let before = written(spec, &self.wanted(snapshot)?);
        let line = LineEdit::new(&before);
        Some(FieldEdit { spec, line, before, problem: None })
    }
}

impl FieldEdit {
    /// Checks what was typed by the table that the pipeline itself uses.
    ///
    /// # Errors
    /// One sentence with the range.
    pub fn value(&self) -> Result<ParamValue, String> {
        let text = self.line.text();
        self.spec.check(&typed(self.spec, text.trim())).map_err(|error| error.to_string())
    }

    /// Checks again after a key.
    pub fn check(&mut self) {
        self.problem = self.value().err();
    }
}

/// The value one step away, within the limits.
pub fn stepped(spec: &ParamSpec, value: &ParamValue, way: Way) -> ParamValue {
    match (&spec.kind, value) {
        (ParamKind::Float { range, step, .. }, ParamValue::Float(v)) => {
            // On the grid of the step, so that many steps do not add up rounding errors.
            let decimals = 10_f64.powi(i32::try_from(decimals(*step)).unwrap_or(6));
            let next = ((v + step * way.sign() as f64) * decimals).round() / decimals;
            ParamValue::Float(next.clamp(*range.start(), *range.end()))
        }
        (ParamKind::Int { range, .. }, ParamValue::Int(v)) => {
            ParamValue::Int(v.saturating_add(way.sign() as i64).clamp(*range.start(), *range.end()))
        }
        (ParamKind::Bool { .. }, ParamValue::Bool(v)) => ParamValue::Bool(!v),
        (ParamKind::Choice { labels, .. }, ParamValue::Choice(v)) => {
            let next = way.moved(usize::from(*v), 1, labels.len());
            ParamValue::Choice(u16::try_from(next).unwrap_or(*v))
        }
        _ => value.clone(),
    }
}

/// A value as the form shows it and takes it back.
pub fn written(spec: &ParamSpec, value: &ParamValue) -> String {
    match (&spec.kind, value) {
        (ParamKind::Float { step, .. }, ParamValue::Float(v)) => {
            let shortest = v.to_string();
            let padded = format!("{v:.*}", decimals(*step).min(6));
            // Padding with zeros is for the eye; never at the price of a digit.
            if padded.parse::<f64>().is_ok_and(|back| back == *v) { padded } else { shortest }
        }
        (ParamKind::Choice { labels, .. }, ParamValue::Choice(v)) => {
            labels.get(usize::from(*v)).map_or_else(|| v.to_string(), |label| (*label).to_owned())
        }
        (_, ParamValue::Bool(v)) => if *v { "on" } else { "off" }.to_owned(),
        (_, value) => value.to_string(),
    }
}

/// What was typed, as JSON of the kind that the table wants.
pub(crate) fn typed(spec: &ParamSpec, text: &str) -> Value {
    let as_text = || Value::from(text);
    match spec.kind {
        ParamKind::Int { .. } => {
            let whole = text.parse::<i64>().map(Value::from);
            whole.or_else(|_| text.parse::<f64>().map(Value::from)).unwrap_or_else(|_| as_text())
        }
        ParamKind::Float { .. } => text.parse::<f64>().map_or_else(|_| as_text(), Value::from),
        ParamKind::Bool { .. } => match text {
            "on" | "true" | "yes" | "1" => Value::Bool(true),
            "off" | "false" | "no" | "0" => Value::Bool(false),
            _ => as_text(),
        },
        ParamKind::Choice { .. } | ParamKind::Text { .. } => as_text(),
    }
}

/// Digits behind the point that a step needs, at most 9.
fn decimals(step: f64) -> usize {
    (0..9)
        .find(|n| {
            let scaled = step * 10_f64.powi(*n);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(9) as usize
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    #[test]
    fn a_step_stays_on_its_grid_and_in_its_range() {
        let spec = ParamSpec::float("x", 0.0, -1.0..=1.0).step(0.1);
        let mut value = ParamValue::Float(0.0);
        for _ in 0..7 {
            value = stepped(&spec, &value, Way::On);
        }
        assert_eq!(value, ParamValue::Float(0.7));
        for _ in 0..7 {
            value = stepped(&spec, &value, Way::On);
        }
        assert_eq!(value, ParamValue::Float(1.0));
    }

    #[test]
    fn a_shown_value_is_never_rounded() {
        let spec = ParamSpec::float("x", 0.0, -1.0..=1.0).step(0.1);
        assert_eq!(written(&spec, &ParamValue::Float(0.5)), "0.5");
        assert_eq!(written(&spec, &ParamValue::Float(0.0)), "0.0");
        assert_eq!(written(&spec, &ParamValue::Float(0.123)), "0.123");
    }

    #[test]
    fn what_is_shown_can_be_typed_back_for_every_kind() {
        for spec in fixtures::PARAMS {
            let value = spec.default();
            let back = spec.check(&typed(spec, &written(spec, &value))).expect("a valid value");
            assert_eq!(back, value, "{}", spec.key);
        }
    }

    #[test]
    fn a_typed_value_is_checked_by_the_table() {
        let snapshot = fixtures::snapshot();
        let form = Form { stage: 1, ..Form::default() };
        let mut edit = form.edit(&snapshot).expect("a field");
        edit.line = LineEdit::new("400");
        edit.check();
        assert_eq!(edit.problem.as_deref(), Some("`cutoff_hz` must be within 0.1..=250 Hz, got 400.0"));
    }

    #[test]
    fn staging_the_value_in_force_takes_the_edit_back() {
        let snapshot = fixtures::snapshot();
        let mut form = Form { stage: 1, ..Form::default() };
        form.stage_value(&snapshot, ParamValue::Float(50.0));
        form.stage_value(&snapshot, ParamValue::Float(60.0));
        assert_eq!(form.staged.len(), 1);
        form.stage_value(&snapshot, ParamValue::Float(40.0));
        assert!(form.staged.is_empty());
    }
}
