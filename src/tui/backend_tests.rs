use proptest::{collection::vec, prelude::*};
use ratatui::{layout::Rect, style::Modifier};

use super::*;

/// A terminal and what is on it.
struct Stand {
    backend: Backend,
    shown: Buffer,
    terminal: vt100::Parser,
}

impl Stand {
    fn new(width: u16, height: u16) -> Self {
        let shown = Buffer::empty(Rect::new(0, 0, width, height));
        Self { backend: Backend::default(), shown, terminal: vt100::Parser::new(height, width, 0) }
    }

    fn show(&mut self, wanted: &Buffer) -> Vec<u8> {
        let mut out = Vec::new();
        self.backend.encode(&self.shown, wanted, &mut out);
        self.shown = wanted.clone();
        self.terminal.process(&out);
        out
    }

    /// Shows lines of plain text.
    fn text(&mut self, lines: &[&str]) -> String {
        let mut wanted = Buffer::empty(self.shown.area);
        for (y, line) in (0..).zip(lines) {
            wanted.set_string(0, y, *line, Ink::default());
        }
        String::from_utf8(self.show(&wanted)).expect("UTF-8").replace('\x1b', "^")
    }
}

impl From<Ink> for ratatui::style::Style {
    fn from(ink: Ink) -> Self {
        Self::new().fg(ink.fg).bg(ink.bg).add_modifier(ink.modifier)
    }
}

/// What is seen of one cell: sign, colours, and bold, dim, italic, underlined and reversed.
#[derive(Debug, PartialEq)]
struct Seen {
    symbol: String,
    fg: vt100::Color,
    bg: vt100::Color,
    modifiers: [bool; 5],
}

fn seen_on(terminal: &vt100::Parser, x: u16, y: u16) -> Option<Seen> {
    let cell = terminal.screen().cell(y, x).expect("a cell");
    let modifiers = [cell.bold(), cell.dim(), cell.italic(), cell.underline(), cell.inverse()];
    let symbol = if cell.has_contents() { cell.contents() } else { " " };
    let seen = Seen { symbol: symbol.to_owned(), fg: cell.fgcolor(), bg: cell.bgcolor(), modifiers };
    (!cell.is_wide_continuation()).then(|| as_visible(seen))
}

/// Nothing of a blank is seen but what is behind it, unless it is underlined or reversed.
fn as_visible(mut seen: Seen) -> Seen {
    if seen.symbol == " " && !seen.modifiers[3] && !seen.modifiers[4] {
        (seen.fg, seen.modifiers) = (vt100::Color::Default, [false; 5]);
    }
    seen
}

fn wanted_at(buffer: &Buffer, x: u16, y: u16) -> Seen {
    let cell = &buffer[(x, y)];
    let has = |modifier| cell.modifier.contains(modifier);
    let is_cut = x + cell.cell_width() > buffer.area.width;
    as_visible(Seen {
        symbol: if is_cut { " ".into() } else { cell.symbol().into() },
        fg: colour_of(cell.fg),
        bg: colour_of(cell.bg),
        modifiers: [Modifier::BOLD, Modifier::DIM, Modifier::ITALIC, Modifier::UNDERLINED, Modifier::REVERSED].map(has),
    })
}

fn colour_of(colour: Color) -> vt100::Color {
    const NAMED: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    match colour {
        Color::Reset => vt100::Color::Default,
        Color::Indexed(index) => vt100::Color::Idx(index),
        Color::Rgb(red, green, blue) => vt100::Color::Rgb(red, green, blue),
        named => vt100::Color::Idx(NAMED.iter().position(|other| *other == named).expect("a name") as u8),
    }
}

fn assert_shown(stand: &Stand) {
    for y in 0..stand.shown.area.height {
        let mut x = 0;
        while x < stand.shown.area.width {
            let wanted = wanted_at(&stand.shown, x, y);
            let columns = wanted.symbol.cell_width();
            assert_eq!(seen_on(&stand.terminal, x, y), Some(wanted), "column {x} of row {y}");
            x += columns;
        }
    }
}

/// A run of equal cells, as most of a screen is.
#[derive(Clone, Debug)]
struct Stroke {
    place: prop::sample::Index,
    length: usize,
    cell: Cell,
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let symbol = prop::sample::select(vec![" ", " ", "a", "b", "⣿", "⡇", "─", "µ", "コ", "漢", "e\u{301}", "█"]);
    let colour = || {
        prop_oneof![
            4 => Just(Color::Reset),
            1 => Just(Color::Red),
            1 => Just(Color::Gray),
            1 => Just(Color::White),
            1 => Just(Color::LightBlue),
            1 => Just(Color::Indexed(80)),
            1 => Just(Color::Rgb(97, 206, 255)),
        ]
    };
    // What stands for the terminal here knows bold or dim, not both.
    let modifier = prop::sample::select(vec![
        Modifier::empty(),
        Modifier::empty(),
        Modifier::BOLD,
        Modifier::DIM,
        Modifier::ITALIC | Modifier::BOLD,
        Modifier::UNDERLINED,
        Modifier::REVERSED,
        Modifier::REVERSED | Modifier::DIM,
    ]);
    (symbol, colour(), colour(), modifier).prop_map(|(symbol, fg, bg, modifier)| {
        let mut cell = Cell::default();
        cell.set_symbol(symbol).set_fg(fg).set_bg(bg).modifier = modifier;
        cell
    })
}

fn any_stroke() -> impl Strategy<Value = Stroke> {
    (any::<prop::sample::Index>(), prop_oneof![3 => 1..4_usize, 1 => 1..60_usize], any_cell())
        .prop_map(|(place, length, cell)| Stroke { place, length, cell })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Frame by frame, and from a fresh screen again after each change of size.
    #[test]
    fn whatever_is_drawn_is_what_the_terminal_shows(
        screens in vec(((1..40_u16, 1..9_u16), vec(vec(any_stroke(), 0..12), 1..8)), 1..4),
    ) {
        for ((width, height), frames) in screens {
            let mut stand = Stand::new(width, height);
            let mut wanted = stand.shown.clone();
            for strokes in frames {
                for Stroke { place, length, cell } in strokes {
                    let place = place.index(wanted.content.len());
                    wanted.content.iter_mut().skip(place).take(length).for_each(|target| target.clone_from(&cell));
                }
                stand.show(&wanted);
                assert_shown(&stand);
                prop_assert!(stand.show(&wanted).is_empty());
            }
        }
    }
}

#[test]
fn a_frame_of_what_is_shown_is_empty() {
    let mut stand = Stand::new(20, 3);
    assert_eq!(stand.text(&["hello", "", "world"]), "^[Hhello\n\n\rworld");
    assert_eq!(stand.text(&["hello", "", "world"]), "");
}

#[test]
fn the_shortest_move_is_taken() {
    let mut stand = Stand::new(40, 9);
    stand.text(&["................................."; 9]);
    let line = |places: &[usize]| -> String { (0..33).map(|x| if places.contains(&x) { 'x' } else { '.' }).collect() };

    let near = line(&[3, 6, 12]);
    assert_eq!(stand.text(&[&near]).split("^[").count(), 2 + 1 + 8, "one move, one rewrite, one step, eight lines");
    stand.text(&["................................."; 9]);
    let mut lines = vec![".................................".to_owned(); 9];
    (lines[2], lines[3], lines[8]) = (line(&[20]), line(&[19]), line(&[30]));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(stand.text(&lines), "^[3;21Hx\n\x08\x08x^[9;31Hx");
}

#[test]
fn a_line_that_ends_earlier_is_erased_to_its_end() {
    let mut stand = Stand::new(40, 2);
    stand.text(&["a long line of text", "ab"]);
    assert_eq!(stand.text(&["a long", "a"]), "^[1;8H^[K\n^[2G ");
}

#[test]
fn plain_signs_between_coloured_ones_are_written_last() {
    let mut stand = Stand::new(9, 3);
    let mut wanted = stand.shown.clone();
    for y in 0..3 {
        wanted[(4, y)].set_symbol("~").fg = Color::Red;
        wanted[(5, y)].set_symbol("|");
    }
    let bytes = String::from_utf8(stand.show(&wanted)).expect("UTF-8").replace('\x1b', "^");
    assert_eq!(bytes, "^[1;5H^[31m~\n\x08~\n\x08~^[1;6H^[m|\n\x08|\n\x08|");
    assert_shown(&stand);
}

#[test]
fn nothing_in_a_cell_can_steer_the_terminal() {
    let mut stand = Stand::new(3, 1);
    let mut wanted = stand.shown.clone();
    wanted[(0, 0)].set_symbol("\x1b");
    wanted[(1, 0)].set_symbol("\u{301}");
    wanted[(2, 0)].set_symbol("コ").fg = Color::Red;
    stand.show(&wanted);
    assert_eq!(stand.terminal.screen().contents(), "");
}
