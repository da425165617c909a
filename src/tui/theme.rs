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
    /// Waves of quarter blocks, for fonts without braille dots.
    Block,
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
    /// Dark on light, not light on dark.
    pub is_light: bool,
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

/// Shades on a background.
struct Palette {
    grey: Shade,
    blue: Shade,
    red: Shade,
    amber: Shade,
    green: Shade,
    /// Waves of neighbours differ in brightness as well as in hue.
    lanes: [Shade; 6],
}

const ON_DARK: Palette = Palette {
    grey: (Color::DarkGray, 245, (138, 143, 152)),
    blue: (Color::Cyan, 81, (97, 206, 255)),
    red: (Color::LightRed, 203, (255, 99, 90)),
    amber: (Color::Yellow, 221, (255, 203, 92)),
    green: (Color::Green, 114, (126, 214, 128)),
    lanes: [
        (Color::Cyan, 80, (86, 214, 214)),
        (Color::Green, 114, (140, 214, 110)),
        (Color::Yellow, 222, (250, 210, 110)),
        (Color::LightMagenta, 176, (222, 140, 222)),
        (Color::LightBlue, 111, (130, 170, 255)),
        (Color::White, 253, (222, 222, 222)),
    ],
};
/// Yellow and white cannot be read there.
const ON_LIGHT: Palette = Palette {
    grey: (Color::DarkGray, 242, (100, 105, 112)),
    blue: (Color::Blue, 26, (0, 90, 190)),
    red: (Color::Red, 160, (200, 20, 20)),
    amber: (Color::Magenta, 130, (150, 85, 0)),
    green: (Color::Green, 28, (0, 120, 40)),
    lanes: [
        (Color::Blue, 30, (0, 115, 125)),
        (Color::Green, 28, (20, 120, 30)),
        (Color::Red, 130, (160, 95, 0)),
        (Color::Magenta, 127, (160, 40, 160)),
        (Color::Cyan, 26, (40, 80, 200)),
        (Color::Black, 236, (40, 40, 40)),
    ],
};

impl Theme {
    /// What the environment tells, unless chosen; `variable` reads the environment.
    pub fn detect(
        colour: Option<Colour>,
        glyphs: Option<Glyphs>,
        is_light: Option<bool>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
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
            is_light: is_light.unwrap_or_else(|| variable("COLORFGBG").is_some_and(|text| is_light_background(&text))),
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
        let of = if self.is_light { &ON_LIGHT } else { &ON_DARK };
        match role {
            Role::Text => plain,
            Role::Dim | Role::Locked => {
                if self.colour == Colour::None {
                    plain.add_modifier(Modifier::DIM)
                } else {
                    self.shade(plain, of.grey)
                }
            }
            Role::Title => plain.add_modifier(Modifier::BOLD),
            Role::Key => self.shade(plain, of.blue).add_modifier(Modifier::BOLD),
            Role::Recording | Role::Alarm => {
                self.shade(plain, of.red).add_modifier(Modifier::BOLD | Modifier::REVERSED)
            }
            Role::Held => self.shade(plain, of.amber).add_modifier(Modifier::REVERSED),
            Role::Good => self.shade(plain, of.green),
            Role::Warn => self.shade(plain, of.amber).add_modifier(Modifier::BOLD),
            Role::Bad => self.shade(plain, of.red).add_modifier(Modifier::BOLD),
            Role::Chosen => plain.add_modifier(Modifier::REVERSED),
            Role::Staged => self.shade(plain, of.amber).add_modifier(Modifier::BOLD),
            Role::Lane(channel) => self.shade(plain, of.lanes[channel % of.lanes.len()]),
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

/// Some terminals say `foreground;background` as numbers of the sixteen colours: 7 and from 9 on it is light.
fn is_light_background(text: &str) -> bool {
    let background = text.rsplit(';').next().and_then(|number| number.parse::<u8>().ok());
    background.is_some_and(|number| number == 7 || (9..=15).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(variables: &[(&str, &str)]) -> Theme {
        let value = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Theme::detect(None, None, None, value)
    }

    #[test]
    fn the_environment_says_what_a_terminal_can_do() {
        let rich = detected(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "de_CH.UTF-8")]);
        assert_eq!(rich, Theme { colour: Colour::True, glyphs: Glyphs::Braille, is_light: false });
        let console = detected(&[("TERM", "linux"), ("LANG", "C.UTF-8")]);
        assert_eq!(console, Theme { colour: Colour::Ansi16, glyphs: Glyphs::Ascii, is_light: false });
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
        let theme = Theme::detect(Some(Colour::True), Some(Glyphs::Ascii), Some(true), |_| None);
        assert_eq!(theme, Theme { colour: Colour::True, glyphs: Glyphs::Ascii, is_light: true });
    }

    #[test]
    fn without_colour_every_style_has_none() {
        let theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };
        for role in [Role::Recording, Role::Alarm, Role::Warn, Role::Lane(3), Role::Key, Role::Dim, Role::Held] {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
            assert!(matches!(role, Role::Lane(_) | Role::Held) || !style.add_modifier.is_empty(), "{role:?}");
        }
    }

    #[test]
    fn a_light_background_is_told_by_the_environment_and_has_no_white_or_yellow_on_it() {
        assert!(detected(&[("COLORFGBG", "0;15")]).is_light);
        assert!(!detected(&[("COLORFGBG", "15;0")]).is_light);
        assert!(!detected(&[("COLORFGBG", "default")]).is_light);
        let theme = Theme { colour: Colour::Ansi16, glyphs: Glyphs::Braille, is_light: true };
        for role in (0..6).map(Role::Lane).chain([Role::Warn, Role::Title, Role::Key, Role::Held]) {
            let colour = theme.style(role).fg;
            assert!(!matches!(colour, Some(Color::White | Color::Yellow | Color::LightYellow)), "{role:?}");
        }
    }

    #[test]
    fn plain_signs_are_ascii() {
        let text = format!("{PLAIN:?}");
        assert!(text.is_ascii(), "{text}");
    }
}
