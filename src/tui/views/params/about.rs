//! All there is to say about the chosen field, where there is room for it.
use ratatui::{Frame, layout::Rect, text::Line};
use wavedeck_api::param::{Mutability, ParamKind, ParamSpec};

use super::super::super::{
    form::written,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};

/// Columns of the names at the left.
const NAME: usize = 12;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let form = &scene.app.form;
    let Some((stage, spec, in_force)) = form.field(scene.snapshot) else {
        pen::boxed(frame, area, "Field", theme);
        return;
    };
    let inner = pen::boxed(frame, area, &format!("{}.{}", stage.id, spec.key), theme);
    let width = usize::from(inner.width).saturating_sub(2);
    let mut lines = Vec::new();
    let help = if spec.help.is_empty() { "(no help)" } else { spec.help };
    for piece in pen::wrapped(&pen::plain(help, theme), width) {
        lines.push(Line::from(span(format!(" {piece}"), Role::Text, theme)));
    }
    lines.push(Line::default());
    let mut say = |name: &str, text: &str, role: Role| {
        let pieces = pen::wrapped(&pen::plain(text, theme), width.saturating_sub(NAME));
        for (row, piece) in pieces.into_iter().enumerate() {
            let name = if row == 0 { name } else { "" };
            let name = span(format!(" {}", pen::left(name, NAME, theme)), Role::Dim, theme);
            lines.push(Line::from(vec![name, span(piece, role, theme)]));
        }
    };
    let with_unit = |text: String| format!("{text} {}", spec.unit).trim_end().to_owned();
    let shown = |text: String| if text.is_empty() { "(empty)".to_owned() } else { with_unit(text) };
    say("now", &shown(written(spec, in_force)), Role::Title);
    if let Some(edit) = form.staged_for(&stage.id, spec.key) {
        say("staged", &format!("{}, not in force yet", shown(written(spec, &edit.value))), Role::Staged);
    }
    say("default", &shown(written(spec, &spec.default())), Role::Text);
    say("kind", spec.type_name(), Role::Text);
    say("unit", if spec.unit.is_empty() { "none" } else { spec.unit }, Role::Text);
    let (name, range) = range(spec);
    say(name, &range, Role::Text);
    if let ParamKind::Float { step, .. } = spec.kind {
        say("arrow keys", &format!("{} each", with_unit(step.to_string())), Role::Text);
    }
    say("changes", when(spec.mutability), Role::Text);
    let (text, role) = match scene.snapshot.why_locked(spec) {
        Some(why) => (format!("{} {why}", theme.signs().locked), Role::Warn),
        None => ("can be changed".to_owned(), Role::Good),
    };
    say("right now", &text, role);
    for (row, line) in (0_u16..).zip(lines) {
        pen::line(frame, inner, row, line);
    }
}

fn range(spec: &ParamSpec) -> (&'static str, String) {
    match &spec.kind {
        ParamKind::Float { range, .. } => ("range", format!("{} to {} {}", range.start(), range.end(), spec.unit)),
        ParamKind::Int { range, .. } => ("range", format!("{} to {} {}", range.start(), range.end(), spec.unit)),
        ParamKind::Bool { .. } => ("values", "on, off".to_owned()),
        ParamKind::Choice { labels, .. } => ("values", labels.join(", ")),
        ParamKind::Text { .. } => ("values", "any text".to_owned()),
    }
}

/// When a value of this kind may change.
fn when(mutability: Mutability) -> &'static str {
    match mutability {
        Mutability::Cosmetic => "at any time, also while recording: it changes how things look, not the data",
        Mutability::Live => {
            "while the pipeline runs, between two packets; not while recording, but while a recording is paused"
        }
        Mutability::Fixed => "by a restart of the pipeline, so not while a recording is open",
    }
}
