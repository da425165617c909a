//! The running pipeline saved as a file: the name that is typed, and what came of it.
use std::{io, path::Path};

use wavedeck_api::stage::Level;

use super::{
    app::{App, Layer},
    line_edit::LineEdit,
    update::Effect,
};
use crate::{config_file, snapshot::Snapshot, station::Station};

/// A name being typed.
#[derive(Clone, Debug)]
pub struct SaveAs {
    /// What was typed.
    pub line: LineEdit,
    /// The file is being written.
    pub is_busy: bool,
}

/// Asks for the name.
pub(super) fn ask(app: &mut App, snapshot: &Snapshot) {
    let line = LineEdit::new(&default_name(&snapshot.name));
    app.layers.push(Layer::SaveAs(SaveAs { line, is_busy: false }));
}

/// `bench-01-tuned.json`, in the current folder.
fn default_name(pipeline: &str) -> String {
    let stem: String = pipeline.chars().map(|c| if c == '/' || c.is_control() { '-' } else { c }).collect();
    format!("{}-tuned.json", stem.trim_start_matches('.'))
}

/// Takes the name. The question stays until the file is there, so that a name that is taken can be changed.
pub(super) fn accept(app: &mut App, mut save: SaveAs) -> Vec<Effect> {
    let name = save.line.text().trim().to_owned();
    let mut effects = Vec::new();
    if name.is_empty() {
        app.say(Level::Warn, "a file needs a name");
    } else if !save.is_busy {
        save.is_busy = true;
        effects.push(Effect::SaveConfig(name));
    }
    app.layers.push(Layer::SaveAs(save));
    effects
}

/// Writes what runs now under a new name.
///
/// # Errors
/// One sentence that names the file.
pub(super) fn save(station: &dyn Station, name: &str) -> Result<String, String> {
    let config = station.running_config().map_err(|error| error.to_string())?;
    match config_file::write_new(Path::new(name), &config) {
        Ok(()) => Ok(name.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(format!("`{name}` is there already and stays as it is: type another name"))
        }
        Err(error) => Err(format!("`{name}` was not written: {error}")),
    }
}

/// Takes the answer to [`Effect::SaveConfig`].
pub(super) fn saved(app: &mut App, answer: Result<String, String>) {
    match answer {
        Ok(name) => {
            app.layers.retain(|layer| !matches!(layer, Layer::SaveAs(_)));
            let without = match app.form.staged.len() {
                0 => String::new(),
                1 => "; 1 staged edit is not in it".to_owned(),
                n => format!("; {n} staged edits are not in it"),
            };
            app.say(Level::Info, format!("what runs now is saved in {name}{without}"));
        }
        Err(why) => {
            for layer in &mut app.layers {
                if let Layer::SaveAs(save) = layer {
                    save.is_busy = false;
                }
            }
            app.say(Level::Error, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{action::Places, app::View, fixtures, key::Key, update::press},
        *,
    };

    fn asked() -> (App, Snapshot) {
        let (mut app, snapshot) = (App::showing(View::Params), fixtures::snapshot());
        assert!(press(&mut app, &snapshot, Key::Char('w')).is_empty());
        assert_eq!(Places::now(&app), Places::TYPING);
        (app, snapshot)
    }

    #[test]
    fn the_name_of_the_pipeline_is_proposed() {
        let (mut app, snapshot) = asked();
        let effects = press(&mut app, &snapshot, Key::Enter);
        assert_eq!(effects, [Effect::SaveConfig("bench-01-tuned.json".into())]);
        // Once is enough.
        assert!(press(&mut app, &snapshot, Key::Enter).is_empty());
        assert_eq!(default_name("a/b"), "a-b-tuned.json");
    }

    #[test]
    fn a_name_that_is_taken_can_be_changed() {
        let (mut app, snapshot) = asked();
        press(&mut app, &snapshot, Key::Enter);
        saved(&mut app, Err("`x` is there already".into()));
        assert!(matches!(app.layers.last(), Some(Layer::SaveAs(save)) if save.line.text() == "bench-01-tuned.json"));
        press(&mut app, &snapshot, Key::Home);
        press(&mut app, &snapshot, Key::Char('2'));
        assert_eq!(press(&mut app, &snapshot, Key::Enter), [Effect::SaveConfig("2bench-01-tuned.json".into())]);
        saved(&mut app, Ok("2bench-01-tuned.json".into()));
        assert!(app.layers.is_empty());
        assert!(app.message.is_some_and(|message| message.text.contains("2bench-01-tuned.json")));
    }

    #[test]
    fn no_name_is_no_file_and_escape_leaves() {
        let (mut app, snapshot) = asked();
        press(&mut app, &snapshot, Key::Control('u'));
        assert!(press(&mut app, &snapshot, Key::Enter).is_empty());
        press(&mut app, &snapshot, Key::Escape);
        assert!(app.layers.is_empty());
    }
}
