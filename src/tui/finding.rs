//! A field of the form found by typing a part of its name.
use super::{form::Form, key::Key, line_edit::LineEdit};
use crate::snapshot::Snapshot;

/// What is being looked for.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    /// What was typed.
    pub line: LineEdit,
    /// Fields that fit.
    pub found: usize,
    /// Which of them is chosen.
    pub nth: usize,
    /// Stage and field at which it began.
    from: (usize, usize),
}

impl Finder {
    /// Begins at the chosen field.
    pub(super) fn at(form: &Form) -> Self {
        Self { from: (form.stage, form.field), ..Self::default() }
    }

    /// Takes a key: up and down go through what fits, all others edit.
    pub(super) fn press(&mut self, key: Key) {
        match key {
            Key::Down | Key::Tab => self.nth += 1,
            Key::Up | Key::BackTab => self.nth = (self.nth + self.found.max(1) - 1) % self.found.max(1),
            key => {
                self.line.press(key);
                self.nth = 0;
            }
        }
    }

    /// Moves the choice to what fits, or back to where it began.
    pub(super) fn seek(&mut self, form: &mut Form, snapshot: &Snapshot) {
        let places = places(&self.line.text(), snapshot);
        self.found = places.len();
        self.nth = if places.is_empty() { 0 } else { self.nth % places.len() };
        (form.stage, form.field) = places.get(self.nth).copied().unwrap_or(self.from);
    }

    /// Puts the choice back.
    pub(super) fn give_up(&self, form: &mut Form) {
        (form.stage, form.field) = self.from;
    }
}

/// Fields with the text in their name, best first: names that begin with it, names that hold it, then stages that do.
fn places(text: &str, snapshot: &Snapshot) -> Vec<(usize, usize)> {
    let text = text.trim().to_lowercase().replace(' ', "_");
    if text.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (stage, params) in snapshot.stages.iter().enumerate() {
        let id = params.id.to_lowercase();
        for (field, (spec, _)) in params.params.iter().enumerate() {
            let rank = match spec.key {
                key if key.starts_with(&text) => 0,
                key if key.contains(&text) => 1,
                key if format!("{id}.{key}").contains(&text) => 2,
                _ => continue,
            };
            found.push((rank, stage, field));
        }
        if params.params.is_empty() && id.contains(&text) {
            found.push((2, stage, 0));
        }
    }
    // Stable: those of a rank stay in the order of the form.
    found.sort_by_key(|(rank, ..)| *rank);
    found.into_iter().map(|(_, stage, field)| (stage, field)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            app::{App, Layer, View},
            fixtures,
            update::press,
        },
        *,
    };

    fn typing(keys: &str) -> (App, Snapshot) {
        let (mut app, snapshot) = (App::showing(View::Params), fixtures::snapshot());
        (app.form.stage, app.form.field) = (1, 2);
        press(&mut app, &snapshot, Key::Char('/'));
        for key in keys.chars() {
            press(&mut app, &snapshot, Key::Char(key));
        }
        (app, snapshot)
    }

    fn chosen(app: &App, snapshot: &Snapshot) -> String {
        app.form.field(snapshot).map_or_else(String::new, |(stage, spec, _)| format!("{}.{}", stage.id, spec.key))
    }

    #[test]
    fn the_choice_moves_while_a_name_is_typed() {
        for (keys, field) in [
            ("g", "clean.gain"),
            ("cut", "clean.cutoff_hz"),
            ("HZ", "clean.cutoff_hz"),
            ("ch", "board.channels"),
            ("clean.ch", "clean.channels"),
            ("nothing", "clean.notch"),
            ("", "clean.notch"),
        ] {
            let (app, snapshot) = typing(keys);
            assert_eq!(chosen(&app, &snapshot), field, "{keys}");
        }
    }

    #[test]
    fn enter_keeps_the_choice_and_escape_goes_back() {
        let (mut app, snapshot) = typing("gain");
        press(&mut app, &snapshot, Key::Enter);
        assert!(app.layers.is_empty());
        assert_eq!(chosen(&app, &snapshot), "clean.gain");
        let (mut app, snapshot) = typing("gain");
        press(&mut app, &snapshot, Key::Escape);
        assert!(app.layers.is_empty());
        assert_eq!(chosen(&app, &snapshot), "clean.notch");
    }

    #[test]
    fn down_goes_through_what_fits() {
        let (mut app, snapshot) = typing("channels");
        assert!(matches!(app.layers.last(), Some(Layer::Find(find)) if find.found == 2));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(chosen(&app, &snapshot));
            press(&mut app, &snapshot, Key::Down);
        }
        assert_eq!(seen, ["board.channels", "clean.channels", "board.channels"]);
        press(&mut app, &snapshot, Key::Up);
        press(&mut app, &snapshot, Key::Up);
        assert_eq!(chosen(&app, &snapshot), "clean.channels");
    }

    #[test]
    fn a_stage_without_fields_is_found_too() {
        let (app, _) = typing("psd");
        assert_eq!(app.form.stage, 2);
    }
}
