//! Everything that can be done now, found by typing a part of what it is called.
use super::{
    action::{Entry, Places},
    app::App,
    bindings::table,
    key::Key,
    line_edit::LineEdit,
};
use crate::snapshot::Snapshot;

/// What is typed, and which of the lines found is chosen.
#[derive(Clone, Debug, Default)]
pub struct Palette {
    /// What is looked for.
    pub line: LineEdit,
    /// Counts from the best.
    pub chosen: usize,
}

impl Palette {
    /// The lines of the table that can mean something in the view below and hold every word typed; those whose name
    /// begins so come first.
    pub fn found(&self, app: &App, snapshot: &Snapshot) -> Vec<&'static Entry> {
        let place = Places::below(app);
        let is_replay = snapshot.transport.is_some();
        let text = self.line.text().to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut found: Vec<(bool, &'static Entry)> = Vec::new();
        for entry in table().iter().filter(|e| e.places.meets(place) && e.when.fits(is_replay)) {
            let name = (entry.name)(app, snapshot);
            let all = format!("{name} {}", entry.help).to_lowercase();
            let is_known = found.iter().any(|(_, other)| other.action == entry.action);
            if !is_known && words.iter().all(|word| all.contains(word)) {
                let begins = words.first().is_some_and(|word| name.starts_with(word));
                found.push((!begins, entry));
            }
        }
        found.sort_by_key(|(is_later, _)| *is_later);
        found.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Takes a key that is no end of typing.
    pub fn press(&mut self, key: Key, found: usize) {
        match key {
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::Down => self.chosen = (self.chosen + 1).min(found.saturating_sub(1)),
            key => {
                self.line.press(key);
                self.chosen = 0;
            }
        }
    }
}
