//! How a terminal draws what is written next, and the shortest way to have it draw otherwise.
use std::io::Write;

use ratatui::style::{Color, Modifier};

/// Modifiers that show on a blank.
const ON_BLANKS: Modifier = Modifier::REVERSED
    .union(Modifier::UNDERLINED)
    .union(Modifier::SLOW_BLINK)
    .union(Modifier::RAPID_BLINK)
    .union(Modifier::CROSSED_OUT);
/// What switches each modifier on. Bold and dim have one switch for off, and so have both ways of blinking.
const SWITCHES: [(Modifier, u8, u8); 9] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

/// Colours and modifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ink {
    /// Colour of the sign.
    pub fg: Color,
    /// Colour behind it.
    pub bg: Color,
    /// Bold, reversed and the like.
    pub modifier: Modifier,
}

impl Ink {
    /// True if a blank looks the same whatever the colour of signs.
    pub(super) fn is_plain_on_blanks(self) -> bool {
        !self.modifier.intersects(ON_BLANKS)
    }

    /// The nearest ink that draws a plain blank before `bg`.
    pub(super) fn for_blank(self, bg: Color) -> Self {
        Self { bg, modifier: self.modifier - ON_BLANKS, ..self }
    }

    /// Writes what makes another ink of this one, if it is another.
    pub(super) fn change(self, to: Self, out: &mut Vec<u8>) {
        if self == to {
            return;
        }
        let begin = out.len();
        self.change_parts(to, out);
        let middle = out.len();
        out.extend_from_slice(b"\x1b[");
        if to != Self::default() {
            out.push(b'0');
            Self::default().add_parts(to, b";", out);
        }
        out.push(b'm');
        keep_shorter(out, begin, middle);
    }

    fn change_parts(self, to: Self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x1b[");
        let mut kept = self;
        let mut gap: &[u8] = b"";
        for (modifier, _, off) in SWITCHES {
            // What shares the switch goes off with it, and comes on again below.
            if (kept.modifier - to.modifier).intersects(modifier) {
                put(out, gap, off);
                gap = b";";
                SWITCHES.iter().filter(|switch| switch.2 == off).for_each(|switch| kept.modifier -= switch.0);
            }
        }
        kept.add_parts(to, gap, out);
        out.push(b'm');
    }

    /// Parameters that add what is missing; `gap` comes before the first.
    fn add_parts(self, to: Self, mut gap: &'static [u8], out: &mut Vec<u8>) {
        for (modifier, on, _) in SWITCHES {
            if (to.modifier - self.modifier).contains(modifier) {
                put(out, gap, on);
                gap = b";";
            }
        }
        for (from, to, base) in [(self.fg, to.fg, 30), (self.bg, to.bg, 40)] {
            if from != to {
                out.extend_from_slice(gap);
                gap = b";";
                colour(out, to, base);
            }
        }
    }
}

/// Of what was written from `begin` and from `middle` on, only the shorter stays.
pub(super) fn keep_shorter(out: &mut Vec<u8>, begin: usize, middle: usize) {
    if out.len() - middle < middle - begin {
        out.drain(begin..middle);
    } else {
        out.truncate(middle);
    }
}

fn put(out: &mut Vec<u8>, gap: &[u8], number: u8) {
    out.extend_from_slice(gap);
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}

/// `base` is 30 for the colour of signs and 40 for the one behind them.
fn colour(out: &mut Vec<u8>, colour: Color, base: u8) {
    let named = match colour {
        Color::Reset => base + 9,
        Color::Black => base,
        Color::Red => base + 1,
        Color::Green => base + 2,
        Color::Yellow => base + 3,
        Color::Blue => base + 4,
        Color::Magenta => base + 5,
        Color::Cyan => base + 6,
        Color::Gray => base + 7,
        Color::DarkGray => base + 60,
        Color::LightRed => base + 61,
        Color::LightGreen => base + 62,
        Color::LightYellow => base + 63,
        Color::LightBlue => base + 64,
        Color::LightMagenta => base + 65,
        Color::LightCyan => base + 66,
        Color::White => base + 67,
        // Writing to memory does not fail.
        Color::Indexed(index) => return write!(out, "{};5;{index}", base + 8).unwrap_or(()),
        Color::Rgb(red, green, blue) => return write!(out, "{};2;{red};{green};{blue}", base + 8).unwrap_or(()),
    };
    put(out, b"", named);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: Ink, to: Ink) -> String {
        let mut out = b"x".to_vec();
        from.change(to, &mut out);
        String::from_utf8(out).expect("ASCII").replace('\x1b', "")
    }

    #[test]
    fn only_what_changes_is_written() {
        let plain = Ink::default();
        let red = Ink { fg: Color::Red, ..plain };
        let bold = Ink { modifier: Modifier::BOLD, ..red };
        assert_eq!(change(plain, plain), "x");
        assert_eq!(change(plain, red), "x[31m");
        assert_eq!(change(red, bold), "x[1m");
        assert_eq!(change(bold, red), "x[22m");
        assert_eq!(change(bold, plain), "x[m");
        assert_eq!(change(bold, Ink { modifier: Modifier::DIM, ..red }), "x[22;2m");
        assert_eq!(change(red, Ink { fg: Color::Indexed(80), bg: Color::DarkGray, ..plain }), "x[38;5;80;100m");
    }

    #[test]
    fn beginning_anew_is_taken_where_it_is_shorter() {
        let loud = Ink {
            fg: Color::Indexed(203),
            bg: Color::Blue,
            modifier: Modifier::BOLD | Modifier::REVERSED | Modifier::ITALIC,
        };
        assert_eq!(change(loud, Ink { modifier: Modifier::ITALIC, ..Ink::default() }), "x[0;3m");
    }

    #[test]
    fn what_shares_a_switch_for_off_is_switched_on_again() {
        let both = Ink { modifier: Modifier::BOLD | Modifier::DIM, fg: Color::Rgb(1, 2, 3), bg: Color::Rgb(4, 5, 6) };
        assert_eq!(change(both, Ink { modifier: Modifier::BOLD, ..both }), "x[22;1m");
    }
}
