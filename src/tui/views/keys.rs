//! The key line: what can be pressed now, from the action table.
use ratatui::{Frame, layout::Rect, text::Line};

use super::super::{
    action::{Entry, Places},
    bindings::{find, table},
    mouse::Click,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
};

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let mut spans = Vec::new();
    let mut room = usize::from(area.width);
    let hints = hints(scene, theme);
    // Help and quit are the way out of not knowing: they keep their place at the right.
    let last: usize = hints.iter().filter(|hint| hint.is_last).map(Hint::width).sum();
    let (last_hints, hints): (Vec<Hint>, Vec<Hint>) = hints.into_iter().partition(|hint| hint.is_last);
    for hint in hints {
        if hint.width() + last <= room {
            add_region(scene, area, room, &hint);
            room -= hint.width();
            spans.extend(hint.spans(theme));
        }
    }
    for hint in last_hints {
        if hint.width() <= room {
            add_region(scene, area, room, &hint);
            room -= hint.width();
            spans.extend(hint.spans(theme));
        }
    }
    pen::line(frame, area, 0, Line::from(spans));
}

/// A click on a hint is what its last key is: of `+-` the left half is the first.
fn add_region(scene: &Scene<'_>, area: Rect, room: usize, hint: &Hint) {
    let cells = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let (x, width) = (area.right() - cells(room), cells(hint.width()));
    let each = (width / cells(hint.entries.len().max(1))).max(1);
    for (at, entry) in (0_u16..).zip(&hint.entries) {
        let is_last = usize::from(at) + 1 == hint.entries.len();
        let place = Rect { x: x + at * each, width: if is_last { width - at * each } else { each }, ..area };
        scene.regions.add(place, Click::Entry(entry));
    }
}

struct Hint {
    keys: String,
    entries: Vec<&'static Entry>,
    name: &'static str,
    is_last: bool,
}

impl Hint {
    fn width(&self) -> usize {
        1 + self.keys.chars().count() + 1 + self.name.chars().count() + 1
    }

    fn spans(&self, theme: &Theme) -> [ratatui::text::Span<'static>; 2] {
        [span(format!(" {}", self.keys), Role::Key, theme), span(format!(" {} ", self.name), Role::Text, theme)]
    }
}

fn hints(scene: &Scene<'_>, theme: &Theme) -> Vec<Hint> {
    let (app, snapshot) = (scene.app, scene.snapshot);
    let place = Places::now(app);
    if place == Places::TYPING {
        let hint = |keys: &str, name| Hint { keys: keys.to_owned(), entries: Vec::new(), name, is_last: false };
        return vec![hint("Enter", "take"), hint("Ctrl-U", "clear"), hint("Esc", "leave")];
    }
    let mut hints: Vec<Hint> = Vec::new();
    let is_replay = snapshot.transport.is_some();
    let possible = table().iter().filter(|e| e.places.meets(place) && e.when.fits(is_replay) && !e.is_quiet);
    // A key that means something else here is no hint.
    let is_meant = |entry: &&Entry| {
        let meant = entry.keys.first().and_then(|key| find(*key, place, is_replay));
        meant.is_some_and(|meant| std::ptr::eq(meant, *entry))
    };
    for entry in possible.filter(is_meant).filter(|entry| (entry.enabled)(app, snapshot).is_ok()) {
        let name = (entry.name)(app, snapshot);
        let key = entry.keys.first().map_or_else(String::new, |key| key.label(theme.is_plain()));
        match hints.last_mut() {
            Some(before) if before.name == name => {
                let joint = if key.chars().count() > 1 || before.keys.chars().count() > 1 { "/" } else { "" };
                before.keys = format!("{}{joint}{key}", before.keys);
                before.entries.push(entry);
            }
            _ => hints.push(Hint { keys: key, entries: vec![entry], name, is_last: matches!(name, "help" | "quit") }),
        }
    }
    hints
}
