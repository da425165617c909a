//! One line of text being typed.
use super::key::Key;

/// Text and the place of the next character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEdit {
    text: Vec<char>,
    cursor: usize,
    /// Nothing was done yet: the first character typed takes the place of the text.
    is_untouched: bool,
}

/// Longest line.
const MAX_CHARS: usize = 200;

impl LineEdit {
    /// Begins with a text and the cursor at its end; typing at once takes its place, any other key keeps it.
    pub fn new(text: &str) -> Self {
        let text: Vec<char> = text.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
        Self { cursor: text.len(), is_untouched: true, text }
    }

    /// What was typed.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// The text before the cursor, the character under it and the text behind.
    pub fn parts(&self) -> (String, char, String) {
        let under = self.text.get(self.cursor).copied().unwrap_or(' ');
        let behind = self.text.iter().skip(self.cursor + 1).collect();
        (self.text[..self.cursor].iter().collect(), under, behind)
    }

    /// Inserts a text at the cursor.
    pub fn insert(&mut self, text: &str) {
        if std::mem::take(&mut self.is_untouched) {
            *self = Self::default();
        }
        for c in text.chars().filter(|c| !c.is_control()) {
            if self.text.len() < MAX_CHARS {
                self.text.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
    }

    /// Takes a key; other keys than those of an editor change nothing.
    pub fn press(&mut self, key: Key) {
        if !matches!(key, Key::Char(_)) {
            self.is_untouched = false;
        }
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            Key::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            Key::Left => self.cursor = self.cursor.saturating_sub(1),
            Key::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            Key::Home | Key::Control('a') => self.cursor = 0,
            Key::End | Key::Control('e') => self.cursor = self.text.len(),
            Key::Control('u') => *self = Self::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_at_the_cursor() {
        let mut line = LineEdit::new("40.5");
        for key in [Key::Backspace, Key::Backspace, Key::Home, Key::Delete, Key::Char('5'), Key::End, Key::Char('µ')] {
            line.press(key);
        }
        assert_eq!(line.text(), "50µ");
        assert_eq!(line.parts(), ("50µ".into(), ' ', String::new()));
    }

    #[test]
    fn the_first_character_takes_the_place_of_the_old_value() {
        let mut line = LineEdit::new("40.5");
        line.press(Key::Char('7'));
        line.press(Key::Char('0'));
        assert_eq!(line.text(), "70");
    }

    #[test]
    fn a_paste_has_an_end() {
        let mut line = LineEdit::default();
        line.insert(&"x".repeat(10_000));
        assert_eq!(line.text().len(), MAX_CHARS);
    }
}
