//! Keys as the front end knows them, whatever a terminal sends for them.

/// One press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A printable character, shift already applied.
    Char(char),
    /// A letter with the control key.
    Control(char),
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Arrow with shift.
    ShiftLeft,
    /// Arrow with shift.
    ShiftRight,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// Return or enter.
    Enter,
    /// Escape.
    Escape,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Function key, from 1 on.
    F(u8),
    /// Rubs out to the left.
    Backspace,
    /// Rubs out to the right.
    Delete,
}

impl Key {
    /// What the key is called on the screen; `plain` avoids signs outside ASCII.
    pub fn label(self, plain: bool) -> String {
        let pick = |sign: &str, word: &str| if plain { word.to_owned() } else { sign.to_owned() };
        match self {
            Self::Char(' ') => "Space".into(),
            Self::Char(c) => c.to_string(),
            Self::Control(c) => format!("Ctrl-{}", c.to_ascii_uppercase()),
            Self::Up => pick("↑", "Up"),
            Self::Down => pick("↓", "Down"),
            Self::Left => pick("←", "Left"),
            Self::Right => pick("→", "Right"),
            Self::ShiftLeft => pick("⇧←", "Shift-Left"),
            Self::ShiftRight => pick("⇧→", "Shift-Right"),
            Self::PageUp => "PgUp".into(),
            Self::PageDown => "PgDn".into(),
            Self::Home => "Home".into(),
            Self::End => "End".into(),
            Self::Enter => "Enter".into(),
            Self::Escape => "Esc".into(),
            Self::Tab => "Tab".into(),
            Self::BackTab => pick("⇧Tab", "Shift-Tab"),
            Self::F(number) => format!("F{number}"),
            Self::Backspace => "Backspace".into(),
            Self::Delete => "Del".into(),
        }
    }
}
