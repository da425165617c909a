//! The bytes that turn what is on a terminal into what should be there: the shortest moves, and of colours only what
//! changes.
use std::{io::Write, ops::Range};

use ratatui::{
    buffer::{Buffer, Cell, CellWidth},
    layout::Rect,
    style::Color,
};

use super::ink::{Ink, keep_shorter};

/// Rest of a line that is worth erasing instead of overwriting, in cells, if the ink must be changed for it.
const WORTH_ERASING: usize = 6;
/// Unchanged cells that are looked at to see if writing them again is shorter than a move.
const WORTH_REWRITING: usize = 3;

/// Writes differences, and knows where the terminal then stands.
#[derive(Debug, Default)]
pub(super) struct Backend {
    ink: Ink,
    /// Column and row of the cursor, where they are known.
    at: Option<(usize, usize)>,
}

/// What is seen of a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look<'a> {
    symbol: &'a str,
    columns: usize,
    ink: Ink,
    /// A blank on which the colour of signs does not show.
    is_plain_blank: bool,
}

/// A sign that is written when the coloured ones have been.
struct Later<'a> {
    x: usize,
    y: usize,
    look: Look<'a>,
    line: &'a [Cell],
}

impl Backend {
    /// Appends what makes `wanted` of `shown`, which is as large.
    pub(super) fn encode(&mut self, shown: &Buffer, wanted: &Buffer, out: &mut Vec<u8>) {
        self.encode_part(shown, wanted, wanted.area, out);
    }

    /// As [`encode`](Self::encode), but looks only at a part, which cuts no wide character.
    pub(super) fn encode_part(&mut self, shown: &Buffer, wanted: &Buffer, part: Rect, out: &mut Vec<u8>) {
        // Whoever else wrote to the terminal may have moved the cursor.
        self.at = None;
        let width = usize::from(wanted.area.width).max(1);
        let mut later = Vec::new();
        let (part, columns) = (part.intersection(wanted.area), usize::from(part.left())..usize::from(part.right()));
        let lines = shown.content.chunks(width).zip(wanted.content.chunks(width)).enumerate();
        for (y, (old, new)) in lines.skip(usize::from(part.y)).take(usize::from(part.height)) {
            self.line(y, old, new, columns.clone(), &mut later, out);
        }
        for Later { x, y, look, line } in later {
            self.put(x, y, look, line, out);
        }
    }

    fn line<'a>(
        &mut self,
        y: usize,
        old: &[Cell],
        new: &'a [Cell],
        part: Range<usize>,
        later: &mut Vec<Later<'a>>,
        out: &mut Vec<u8>,
    ) {
        let mut tail = None;
        // Columns at which the next character begins: a wide one covers the cell after its own.
        let (mut old_next, mut new_next) = (part.start, part.start);
        let is_whole = part == (0..new.len());
        for x in part {
            let (old_begins, new_begins) = (x == old_next, x == new_next);
            if old_begins && new_begins && is_same(&old[x], &new[x]) {
                old_next += room(new, x).1;
                new_next = old_next;
                continue;
            }
            let before = old_begins.then(|| Look::of(old, x));
            old_next += before.map_or(0, |look| look.columns);
            if !new_begins {
                continue;
            }
            let look = Look::of(new, x);
            new_next += look.columns;
            if before == Some(look) {
                continue;
            }
            let tail = *tail.get_or_insert_with(|| if is_whole { blank_tail(new) } else { usize::MAX });
            if x >= tail && self.erases(&old[x..]) {
                self.go(x, y, new, out);
                self.ink.change(Ink::default(), out);
                self.ink = Ink::default();
                out.extend_from_slice(b"\x1b[K");
                return;
            }
            // Lone plain signs between coloured ones, as the cursor of a sweep is in every line of it, would change the
            // ink there and back.
            if look.is_plain_sign() && self.ink != Ink::default() && !has_plain_sign(new, new_next) {
                later.push(Later { x, y, look, line: new });
            } else {
                self.put(x, y, look, new, out);
            }
        }
    }

    /// Writes a sign of a line where it belongs.
    fn put(&mut self, x: usize, y: usize, look: Look<'_>, line: &[Cell], out: &mut Vec<u8>) {
        self.go(x, y, line, out);
        self.write(look, out);
        // At the edge some terminals stand on the last column and some behind it, and how far a composed sign moves them
        // is not certain either.
        let next = x + look.columns;
        let is_certain = next < line.len() && look.symbol.chars().nth(1).is_none();
        self.at = is_certain.then_some((next, y));
    }

    /// True if the rest of a line that is to be blank takes fewer bytes to erase than to overwrite.
    fn erases(&self, old: &[Cell]) -> bool {
        let stale = old.iter().filter(|cell| **cell != Cell::EMPTY).count();
        stale > if self.ink == Ink::default() { WORTH_ERASING / 2 } else { WORTH_ERASING }
    }

    fn write(&mut self, look: Look<'_>, out: &mut Vec<u8>) {
        if !look.suits(self.ink) {
            let begin = out.len();
            let wanted = if look.is_plain_blank { self.ink.for_blank(look.ink.bg) } else { look.ink };
            self.ink.change(wanted, out);
            let middle = out.len();
            self.ink.change(look.ink, out);
            self.ink = if out.len() - middle < middle - begin { look.ink } else { wanted };
            keep_shorter(out, begin, middle);
        }
        out.extend_from_slice(look.symbol.as_bytes());
    }

    /// Moves the cursor, by what takes the fewest bytes.
    fn go(&mut self, x: usize, y: usize, new: &[Cell], out: &mut Vec<u8>) {
        if self.at == Some((x, y)) {
            return;
        }
        let begin = out.len();
        if x > 0 {
            // Writing to memory does not fail.
            let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
        } else {
            control(out, y + 1, b'H');
        }
        let Some((from_x, from_y)) = self.at.replace((x, y)).filter(|(_, from_y)| *from_y <= y) else { return };
        let middle = out.len();
        if from_y == y && from_x < x && self.rewrite(&new[..x], from_x, out) {
            keep_shorter(out, begin, middle);
            return;
        }
        down(out, y - from_y);
        sideways(out, from_x, x);
        keep_shorter(out, begin, middle);
    }

    /// Writes unchanged cells again up to the end of `new` if that is shorter than any move.
    fn rewrite(&self, new: &[Cell], from: usize, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let shortest_move = if new.len() - from == 1 { 3 } else { 4 };
        let mut x = from;
        while x < new.len() && x - from < WORTH_REWRITING {
            let look = Look::of(new, x);
            if !look.suits(self.ink) {
                break;
            }
            out.extend_from_slice(look.symbol.as_bytes());
            x += look.columns;
        }
        if x == new.len() && out.len() - begin < shortest_move {
            return true;
        }
        out.truncate(begin);
        false
    }
}

impl<'a> Look<'a> {
    fn of(line: &'a [Cell], x: usize) -> Self {
        let cell = &line[x];
        let (symbol, columns) = room(line, x);
        let ink = Ink { fg: cell.fg, bg: cell.bg, modifier: cell.modifier };
        let is_plain_blank = symbol == " " && ink.is_plain_on_blanks();
        let ink = if is_plain_blank { Ink { bg: ink.bg, ..Ink::default() } } else { ink };
        Self { symbol, columns, ink, is_plain_blank }
    }

    /// True if it is a sign in the terminal's own colours.
    fn is_plain_sign(&self) -> bool {
        self.ink == Ink::default() && !self.is_plain_blank
    }

    /// True if it looks as it should when written with this ink.
    fn suits(&self, ink: Ink) -> bool {
        if self.is_plain_blank { ink.bg == self.ink.bg && ink.is_plain_on_blanks() } else { ink == self.ink }
    }
}

/// What is written for a cell, and how many columns it takes.
fn room(line: &[Cell], x: usize) -> (&str, usize) {
    let symbol = line[x].symbol();
    match columns(symbol) {
        // What has no width or no room would shift all that follows.
        0 => (" ", 1),
        columns if x + columns > line.len() => (" ", 1),
        columns => (symbol, columns),
    }
}

/// As `==`, but quick for what most of a screen is made of: it is asked for every cell of every frame.
fn is_same(old: &Cell, new: &Cell) -> bool {
    let is_same_symbol = match (old.symbol().as_bytes(), new.symbol().as_bytes()) {
        ([old], [new]) => old == new,
        ([a, b, c], [x, y, z]) => [a, b, c] == [x, y, z],
        (old, new) => old == new,
    };
    is_same_symbol && old.fg == new.fg && old.bg == new.bg && old.modifier == new.modifier
}

fn has_plain_sign(line: &[Cell], x: usize) -> bool {
    x < line.len() && Look::of(line, x).is_plain_sign()
}

/// Columns that a character takes; none if it is not to be sent to a terminal.
fn columns(symbol: &str) -> usize {
    match symbol.as_bytes() {
        [0x20..0x7f] => 1,
        [0x00..0x20 | 0x7f] => 0,
        // Lines and braille, which most of a screen is made of.
        [0xe2, 0x94 | 0x95 | 0xa0..0xa4, _] => 1,
        _ => usize::from(symbol.cell_width()),
    }
}

/// Where the blanks at the end of a line begin.
fn blank_tail(line: &[Cell]) -> usize {
    let is_blank = |cell: &Cell| {
        cell.symbol() == " " && cell.bg == Color::Reset && Look::of(std::slice::from_ref(cell), 0).is_plain_blank
    };
    let last = line.iter().rposition(|cell| !is_blank(cell));
    // Behind a wide character is a cell that does not count.
    last.map_or(0, |last| last + Look::of(line, last).columns)
}

fn down(out: &mut Vec<u8>, rows: usize) {
    // A line feed keeps the column: the terminal is raw.
    if rows <= 4 {
        out.extend(std::iter::repeat_n(b'\n', rows));
    } else {
        control(out, rows, b'B');
    }
}

fn sideways(out: &mut Vec<u8>, from: usize, to: usize) {
    let begin = out.len();
    if to == 0 {
        out.push(b'\r');
    } else {
        control(out, to + 1, b'G');
    }
    let middle = out.len();
    if to > from {
        control(out, to - from, b'C');
    } else {
        out.extend(std::iter::repeat_n(b'\x08', from - to));
    }
    keep_shorter(out, begin, middle);
}

/// A control sequence of one number, which is left out where it is 1.
fn control(out: &mut Vec<u8>, number: usize, last: u8) {
    out.extend_from_slice(b"\x1b[");
    if number != 1 {
        // Writing to memory does not fail.
        let _ = write!(out, "{number}");
    }
    out.push(last);
}

#[cfg(test)]
#[path = "backend_tests.rs"]
mod tests;
