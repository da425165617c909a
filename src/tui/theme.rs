//! How things look: two small tables, colours and signs, chosen by what the terminal can do.
use ratatui::style::{Color, Modifier, Style};

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None: meaning is carried by words, signs, bold and reverse.
    None,
    /// The sixteen that a person has chosen for the terminal.
    Ansi16,
    /// The fixed palette of 256.
    Indexed256,
    /// Any.
    True,
}

/// Which signs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Braille dots, lines and blocks.
    Braille,
    /// ASCII only.
    Ascii,
}

/// What something means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plain text.
    Text,
    /// Less important.
    Dim,
    /// Names of panes and columns.
    Title,
    /// A key that can be pressed.
    Key,
    /// A recording is open.
    Recording,
    /// Something stands still by a person's wish.
    Held,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Data lost, or a person must act.
    Bad,
    /// Bad, and meant to be seen from across the room.
    Alarm,
    /// Cannot be changed now.
    Locked,
    /// The line that keys act on.
    Chosen,
    /// Changed but not applied.
    Staged,
    /// The wave and the numbers of a channel.
    Lane(usize),
}

/// Colours and signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub colour: Colour,
    /// Which signs there are.
    pub glyphs: Glyphs,
}

/// Signs that mean something.
#[derive(Clone, Copy, Debug)]
pub struct Signs {
    /// Recording.
    pub record: &'static str,
    /// Standing still.
    pub paused: &'static str,
    /// Ready.
    pub ready: &'static str,
    /// Playing.
    pub play: &'static str,
    /// Stopped.
    pub stopped: &'static str,
    /// Locked.
    pub locked: &'static str,
    /// The chosen line.
    pub chosen: &'static str,
    /// The chosen lane.
    pub lane: &'static str,
    /// The cursor of the sweep, which stands for the present.
    pub cursor: &'static str,
    /// A marker.
    pub marker: &'static str,
    /// Missing samples.
    pub gap: &'static str,
    /// Missing samples within a lane.
    pub hatch: &'static str,
    /// Becomes.
    pub arrow: &'static str,
    /// Not known.
    pub unknown: &'static str,
    /// A full and an empty piece of a gauge.
    pub gauge: (&'static str, &'static str),
    /// Both ends of a gauge.
    pub gauge_ends: (&'static str, &'static str),
    /// A horizontal line.
    pub line: &'static str,
    /// How much something moves, from hardly to most.
    pub heights: &'static [&'static str],
    /// The left, right and position of a scrub bar.
    pub scrub: (&'static str, &'static str, &'static str),
    /// Something was left out.
    pub more: &'static str,
    /// Wrong.
    pub wrong: &'static str,
}

const UNICODE: Signs = Signs {
    record: "●",
    paused: "‖",
    ready: "○",
    play: "▶",
    stopped: "■",
    locked: "⊘",
    chosen: "▸",
    lane: "▌",
    cursor: "▏",
    marker: "◆",
    gap: "✗",
    hatch: "╳",
    arrow: "→",
    unknown: "—",
    gauge: ("█", "·"),
    gauge_ends: ("▕", "▏"),
    line: "─",
    heights: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    scrub: ("├", "┤", "┃"),
    more: "…",
    wrong: "✗",
};

const PLAIN: Signs = Signs {
    record: "(*)",
    paused: "||",
    ready: "( )",
    play: "|>",
    stopped: "[]",
    locked: "#",
    chosen: ">",
    lane: ">",
    cursor: "|",
    marker: "^",
    gap: "x",
    hatch: "x",
    arrow: "->",
    unknown: "-",
    gauge: ("#", "."),
    gauge_ends: ("[", "]"),
    line: "-",
    heights: &[".", ":", "-", "=", "+", "*", "%", "@"],
    scrub: ("|", "|", "#"),
    more: "~",
    wrong: "!",
};

/// Shades of a cell from nothing to most.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];
const PLAIN_SHADES: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];
/// Colours from little to much, index into 256 and red, green, blue; brighter as well as warmer.
const HEATS: [(u8, (u8, u8, u8)); 8] = [
    (17, (20, 24, 82)),
    (18, (42, 38, 130)),
    (54, (92, 42, 140)),
    (90, (140, 46, 126)),
    (161, (196, 62, 90)),
    (203, (236, 104, 72)),
    (215, (250, 170, 88)),
    (229, (252, 238, 170)),
];

/// One row of the colour table: sixteen colours, index into 256, and red, green, blue.
type Shade = (Color, u8, (u8, u8, u8));

const GREY: Shade = (Color::DarkGray, 245, (138, 143, 152));
const WHITE: Shade = (Color::White, 255, (238, 238, 238));
const BLUE: Shade = (Color::Cyan, 81, (97, 206, 255));
const RED: Shade = (Color::LightRed, 203, (255, 99, 90));
const AMBER: Shade = (Color::Yellow, 221, (255, 203, 92));
const GREEN: Shade = (Color::Green, 114, (126, 214, 128));
/// Waves of neighbours differ in brightness as well as in hue.
const LANES: [Shade; 6] = [
    (Color::Cyan, 80, (86, 214, 214)),
    (Color::Green, 114, (140, 214, 110)),
    (Color::Yellow, 222, (250, 210, 110)),
    (Color::LightMagenta, 176, (222, 140, 222)),
    (Color::LightBlue, 111, (130, 170, 255)),
    (Color::White, 253, (222, 222, 222)),
];

impl Theme {
    /// What the environment tells, unless chosen; `variable` reads the environment.
    pub fn detect(colour: Option<Colour>, glyphs: Option<Glyphs>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let term = variable("TERM").unwrap_or_default();
        let found = || {
            if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) || term == "dumb" {
                Colour::None
            } else if matches!(variable("COLORTERM").as_deref(), Some("truecolor" | "24bit")) {
                Colour::True
            } else if term.contains("256color") || term.contains("direct") {
                Colour::Indexed256
            } else {
                Colour::Ansi16
            }
        };
        // The first of these that is set and not empty decides, as in the C library.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
        let is_unicode = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        // The console of Linux has no braille in its font.
        let has_braille = is_unicode && term != "linux" && term != "dumb";
        Self {
            colour: colour.unwrap_or_else(found),
            glyphs: glyphs.unwrap_or(if has_braille { Glyphs::Braille } else { Glyphs::Ascii }),
        }
    }

    /// True if nothing outside ASCII may be shown.
    pub fn is_plain(&self) -> bool {
        self.glyphs == Glyphs::Ascii
    }

    /// The signs.
    pub fn signs(&self) -> &'static Signs {
        if self.is_plain() { &PLAIN } else { &UNICODE }
    }

    /// How something with a meaning looks.
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        match role {
            Role::Text => plain,
            Role::Dim | Role::Locked => {
                if self.colour == Colour::None {
                    plain.add_modifier(Modifier::DIM)
                } else {
                    self.shade(plain, GREY)
                }
            }
            Role::Title => self.shade(plain, WHITE).add_modifier(Modifier::BOLD),
            Role::Key => self.shade(plain, BLUE).add_modifier(Modifier::BOLD),
            Role::Recording | Role::Alarm => self.shade(plain, RED).add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Role::Held => self.shade(plain, AMBER).add_modifier(Modifier::REVERSED),
            Role::Good => self.shade(plain, GREEN),
            Role::Warn => self.shade(plain, AMBER).add_modifier(Modifier::BOLD),
            Role::Bad => self.shade(plain, RED).add_modifier(Modifier::BOLD),
            Role::Chosen => plain.add_modifier(Modifier::REVERSED),
            Role::Staged => self.shade(plain, AMBER).add_modifier(Modifier::BOLD),
            Role::Lane(channel) => self.shade(plain, LANES[channel % LANES.len()]),
        }
    }

    /// How much of something there is, from 0 to 1, as one of 16 levels at most: a sign that fills a cell more and more,
    /// and a colour where there are many.
    pub fn heat(&self, share: f64) -> (&'static str, Style) {
        let share = if share.is_finite() { share.clamp(0.0, 0.999) } else { 0.0 };
        let shades: &[&str] = if self.is_plain() { &PLAIN_SHADES } else { &SHADES };
        let pick = |count: usize| (share * count as f64) as usize;
        let (index, (red, green, blue)) = HEATS[pick(HEATS.len())];
        let style = match self.colour {
            Colour::None | Colour::Ansi16 => Style::new(),
            Colour::Indexed256 => Style::new().fg(Color::Indexed(index)),
            Colour::True => Style::new().fg(Color::Rgb(red, green, blue)),
        };
        (shades[pick(shades.len())], style)
    }

    fn shade(&self, style: Style, (ansi, index, (red, green, blue)): Shade) -> Style {
        match self.colour {
            Colour::None => style,
            Colour::Ansi16 => style.fg(ansi),
            Colour::Indexed256 => style.fg(Color::Indexed(index)),
            Colour::True => style.fg(Color::Rgb(red, green, blue)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)]) -> Theme {
        let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Theme::detect(None, None, value)
    }

    #[test]
    fn the_environment_says_what_a_terminal_can_do() {
        let rich = detected(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "de_CH.UTF-8")]);
        assert_eq!(rich, Theme { colour: Colour::True, glyphs: Glyphs::Braille });
        let console = detected(&[("TERM", "linux"), ("LANG", "C.UTF-8")]);
        assert_eq!(console, Theme { colour: Colour::Ansi16, glyphs: Glyphs::Ascii });
        assert_eq!(detected(&[("TERM", "tmux-256color")]).colour, Colour::Indexed256);
        assert_eq!(detected(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]).glyphs, Glyphs::Ascii);
    }

    #[test]
    fn a_wish_for_no_colour_is_heard_but_an_empty_one_is_none() {
        assert_eq!(detected(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]).colour, Colour::None);
        assert_eq!(detected(&[("NO_COLOR", ""), ("TERM", "xterm-256color")]).colour, Colour::Indexed256);
    }

    #[test]
    fn what_is_asked_for_overrides_what_is_found() {
        let theme = Theme::detect(Some(Colour::True), Some(Glyphs::Ascii), |_| None);
        assert_eq!(theme, Theme { colour: Colour::True, glyphs: Glyphs::Ascii });
    }

    #[test]
    fn without_colour_every_style_has_none() {
        let theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii };
        for role in [Role::Recording, Role::Alarm, Role::Warn, Role::Lane(3), Role::Key, Role::Dim, Role::Held] {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
            assert!(matches!(role, Role::Lane(_) | Role::Held) || !style.add_modifier.is_empty(), "{role:?}");
        }
    }

    #[test]
    fn plain_signs_are_ascii() {
        let text = format!("{PLAIN:?}");
        assert!(text.is_ascii(), "{text}");
    }
}
