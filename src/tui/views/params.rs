//! The parameter form, made from the tables of the stages.
mod about;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_api::param::{Mutability, ParamKind, ParamSpec, ParamValue};

use super::{
    super::{
        app::Layer,
        finding::Finder,
        form::{FieldEdit, written},
        pen::{self, span},
        scene::Scene,
        theme::{Role, Theme},
        update::describe,
    },
    popups,
};

/// Rows below the fields for help, limits, problems and staged edits.
const NOTES: u16 = 6;
/// Columns of the value.
const VALUE: usize = 16;

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let list_width = if area.width >= 120 { 32 } else { 20 };
    let list = Rect { width: list_width, ..area };
    let rest = area.width - list_width;
    // Where there is room, all about the chosen field stands at the right.
    let about = if area.width >= 160 { rest / 2 - 4 } else { 0 };
    let form = Rect { x: area.x + list_width, width: rest - about, ..area };
    if about > 0 {
        about::render(frame, Rect { x: form.right(), width: about, ..area }, scene, theme);
    }
    stages(frame, list, scene, theme);
    let Some(stage) = scene.app.form.stage(scene.snapshot) else {
        pen::boxed(frame, form, "Parameters", theme);
        return;
    };
    let inner = pen::boxed(frame, form, &format!("{} ({})", stage.id, stage.kind), theme);
    if stage.params.is_empty() {
        pen::line(frame, inner, 1, Line::from(span("  this stage has no parameters", Role::Dim, theme)));
        return;
    }
    let rows = usize::from(inner.height.saturating_sub(NOTES + 1));
    let first = pen::first_visible(scene.app.form.field, stage.params.len(), rows);
    let summary = pen::plain(&format!("  {}", stage.summary), theme);
    let mut head = span(pen::fit(&summary, usize::from(inner.width), theme), Role::Dim, theme);
    if let Some(why) = scene.snapshot.locked {
        head = span(format!("  {} {why}", theme.signs().locked), Role::Warn, theme);
    }
    pen::line(frame, inner, 0, Line::from(head));
    for (at, (spec, value)) in stage.params.iter().enumerate().skip(first).take(rows) {
        let line = field(at, spec, value, scene, usize::from(inner.width), theme);
        pen::line(frame, inner, (at - first) as u16 + 1, line);
    }
    let notes = Rect { y: inner.bottom().saturating_sub(NOTES), height: NOTES.min(inner.height), ..inner };
    self::notes(frame, notes, scene, theme);
}

fn stages(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let inner = pen::boxed(frame, area, "Stages", theme);
    let form = &scene.app.form;
    let rows = usize::from(inner.height);
    let first = pen::first_visible(form.stage, scene.snapshot.stages.len(), rows);
    for (at, stage) in scene.snapshot.stages.iter().enumerate().skip(first).take(rows) {
        let is_chosen = at == form.stage;
        let mark = if is_chosen { theme.signs().chosen } else { " " };
        let staged = if form.staged.iter().any(|edit| edit.stage == stage.id) { "*" } else { " " };
        let width = usize::from(inner.width).saturating_sub(4);
        let role = match (is_chosen, stage.params.is_empty()) {
            (true, _) => Role::Chosen,
            (false, true) => Role::Dim,
            (false, false) => Role::Text,
        };
        let name = pen::left(&pen::plain(&stage.id, theme), width, theme);
        let line = Line::from(vec![span(format!(" {mark} {name}"), role, theme), span(staged, Role::Staged, theme)]);
        pen::line(frame, inner, (at - first) as u16, line);
    }
}

fn field(
    at: usize,
    spec: &'static ParamSpec,
    in_force: &ParamValue,
    scene: &Scene<'_>,
    width: usize,
    theme: &Theme,
) -> Line<'static> {
    let form = &scene.app.form;
    let is_chosen = at == form.field;
    let lock = scene.snapshot.why_locked(spec);
    let stage = form.stage(scene.snapshot).map_or("", |stage| &*stage.id);
    let staged = form.staged_for(stage, spec.key);
    let mark = match (is_chosen, lock) {
        (true, _) => theme.signs().chosen,
        (false, Some(_)) => theme.signs().locked,
        (false, None) => " ",
    };
    let base = if lock.is_some() { Role::Locked } else { Role::Text };
    let name_role = if is_chosen { Role::Title } else { base };
    let mut spans = vec![span(format!(" {mark} {} ", pen::left(spec.key, 15, theme)), name_role, theme)];
    let edit = match scene.app.layers.last() {
        Some(Layer::Field(edit)) if is_chosen => Some(edit),
        _ => None,
    };
    let value = staged.map_or(in_force, |edit| &edit.value);
    spans.extend(value_box(spec, value, edit, if staged.is_some() { Role::Staged } else { base }, theme));
    spans.push(span(format!(" {}", pen::left(&pen::plain(spec.unit, theme), 5, theme)), base, theme));
    let aside = match (staged, lock, spec.mutability) {
        (Some(_), ..) => (format!("* was {}", pen::fit(&written(spec, in_force), 14, theme)), Role::Staged),
        (None, Some(_), _) => (format!("{} locked", theme.signs().locked), Role::Locked),
        (None, None, Mutability::Cosmetic) => (format!("{}  any time", range(spec)), Role::Dim),
        (None, None, Mutability::Fixed) => (format!("restarts  {}", range(spec)), Role::Dim),
        (None, None, Mutability::Live) => (range(spec), Role::Dim),
    };
    let used: usize = spans.iter().map(|span| span.content.chars().count()).sum();
    let room = width.saturating_sub(used + 1);
    spans.push(span(pen::fit(&pen::plain(aside.0.trim(), theme), room, theme), aside.1, theme));
    Line::from(spans)
}

fn value_box(
    spec: &ParamSpec,
    value: &ParamValue,
    edit: Option<&FieldEdit>,
    role: Role,
    theme: &Theme,
) -> Vec<Span<'static>> {
    if let Some(edit) = edit {
        let role = if edit.problem.is_some() { Role::Bad } else { Role::Staged };
        let inner = VALUE - 2;
        let mut spans = vec![span("[", role, theme)];
        spans.extend(popups::typed(&edit.line, inner, theme));
        let used: usize = spans.iter().map(|span| span.content.chars().count()).sum();
        spans.push(Span::raw(" ".repeat((inner + 1).saturating_sub(used))));
        spans.push(span("]", role, theme));
        return spans;
    }
    let text = pen::plain(&written(spec, value), theme);
    let (open, close) = if theme.is_plain() { ("<", ">") } else { ("‹", "›") };
    let shown = match (&spec.kind, value) {
        (ParamKind::Bool { .. }, ParamValue::Bool(on)) => {
            pen::left(if *on { "[x] on" } else { "[ ] off" }, VALUE, theme)
        }
        (ParamKind::Choice { .. }, _) => {
            format!("{open} {} {close}", pen::left(&text, VALUE - 4, theme))
        }
        (ParamKind::Text { .. }, _) => format!("[{}]", pen::left(&text, VALUE - 2, theme)),
        _ => format!("[{} ]", pen::right(&text, VALUE - 3, theme)),
    };
    vec![span(shown, role, theme)]
}

/// What may be written, as short as a form needs it; the unit stands beside the value already.
fn range(spec: &ParamSpec) -> String {
    match &spec.kind {
        ParamKind::Float { range, step, .. } => format!("{}..{} step {step}", range.start(), range.end()),
        ParamKind::Int { range, .. } => format!("{}..{}", range.start(), range.end()),
        ParamKind::Bool { .. } => String::new(),
        ParamKind::Choice { labels, .. } => labels.join(" | "),
        ParamKind::Text { .. } => "text".to_owned(),
    }
}

fn notes(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let app = scene.app;
    let width = usize::from(area.width);
    let Some((_, spec, _)) = app.form.field(scene.snapshot) else { return };
    let mut lines = vec![Line::from(span(theme.signs().line.repeat(width), Role::Dim, theme))];
    let mut say = |text: String, role: Role| {
        lines.push(Line::from(span(pen::fit(&pen::plain(&format!(" {text}"), theme), width, theme), role, theme)));
    };
    say(format!("{}: {}", spec.key, if spec.help.is_empty() { "(no help)" } else { spec.help }), Role::Text);
    let default = written(spec, &spec.default());
    let default = if default.is_empty() { "empty".to_owned() } else { default };
    say(format!("{} {}, default {default}", spec.type_name(), limits(spec)), Role::Dim);
    let typing = match app.layers.last() {
        Some(Layer::Field(edit)) => Some(edit),
        _ => None,
    };
    if let Some(problem) = typing.and_then(|edit| edit.problem.as_ref()) {
        say(format!("{} {problem}", theme.signs().wrong), Role::Bad);
    } else if let Some(why) = scene.snapshot.why_locked(spec) {
        say(format!("{} {why}", theme.signs().locked), Role::Warn);
    } else if app.form.staged.is_empty() {
        say("edits are staged and take effect together when you apply them (a)".into(), Role::Dim);
    } else {
        let count = app.form.staged.len();
        say(
            if app.form.restarts(scene.snapshot) {
                format!("{count} staged: a restarts the pipeline with it, u takes back")
            } else {
                format!("{count} staged, not in force yet: a applies, u takes back")
            },
            Role::Staged,
        );
    }
    for edit in app.form.staged.iter().rev().take(2) {
        say(format!("  {}", describe(edit, scene.snapshot, theme.signs().arrow)), Role::Staged);
    }
    for (row, line) in (0_u16..).zip(lines) {
        pen::line(frame, area, row, line);
    }
}

fn limits(spec: &ParamSpec) -> String {
    match spec.kind {
        ParamKind::Bool { .. } | ParamKind::Text { .. } => String::new(),
        _ => spec.limits().replace("..=", " to "),
    }
}

/// What is looked for, and how much fits.
pub(in super::super) fn find_line(finder: &Finder, width: usize, theme: &Theme) -> Line<'static> {
    let mut spans = vec![span(" Find field: ", Role::Title, theme)];
    spans.extend(popups::typed(&finder.line, (width / 2).saturating_sub(13), theme));
    let (text, role) = match finder.found {
        0 if finder.line.text().trim().is_empty() => ("type a part of a stage or of a name".into(), Role::Dim),
        0 => ("nothing fits".into(), Role::Warn),
        1 => ("1 fits".into(), Role::Text),
        n => (format!("{} of {n}, up and down for the others", finder.nth + 1), Role::Text),
    };
    spans.push(span(format!("  {text}"), role, theme));
    Line::from(spans)
}

#[cfg(test)]
#[path = "params/tests.rs"]
mod tests;
