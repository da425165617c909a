//! Draws the columns of one lane straight into cells: braille dots, or ASCII that can be read as a wave.
use std::ops::Range;

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    app::App,
    lanes::Lane,
    sweep::{Column, Sweep},
    theme::{Glyphs, Role, Theme},
};

/// Dots in a cell from top to bottom; ASCII signs tell as many heights apart.
const ROWS: usize = 4;
/// Bits of a braille cell for each set of heights at its left and at its right; bit 0 is the top.
const BRAILLE: [[u8; 16]; 2] = [braille([0x01, 0x02, 0x04, 0x40]), braille([0x08, 0x10, 0x20, 0x80])];
/// Sign for each set of heights that a wave has within a cell; bit 0 is the top.
const ASCII: [char; 16] = [' ', '\'', '-', '^', '.', ':', ':', '|', '_', '|', ':', '|', ',', '|', '|', '|'];

/// Sign for each set of quarters of a cell: upper left, upper right, lower left, lower right.
const QUARTERS: [char; 16] = [' ', '▘', '▝', '▀', '▖', '▌', '▞', '▛', '▗', '▚', '▐', '▜', '▄', '▙', '▟', '█'];

const fn braille(dots: [u8; ROWS]) -> [u8; 16] {
    let (mut all, mut set) = ([0; 16], 0);
    while set < all.len() {
        let mut row = 0;
        while row < ROWS {
            all[set] |= if set >> row & 1 == 1 { dots[row] } else { 0 };
            row += 1;
        }
        set += 1;
    }
    all
}

/// What a lane is drawn with.
pub struct Pen<'a> {
    /// Where time runs.
    pub sweep: &'a Sweep,
    /// Scale and middle.
    pub lane: Lane,
    /// Colour of the wave.
    pub style: Style,
    /// Signs and colours of the rest.
    pub theme: &'a Theme,
    /// The sweep stands still: no cursor runs.
    pub is_frozen: bool,
}

/// Dots that a column covers, both ends included, counted from the top.
type Span = (usize, usize);

impl<'a> Pen<'a> {
    /// For a channel's lane, as it is set.
    pub fn of(channel: usize, app: &App, sweep: &'a Sweep, theme: &'a Theme) -> Option<Self> {
        let lane = *app.lanes.all.get(channel)?;
        Some(Self { sweep, lane, style: theme.style(Role::Lane(channel)), theme, is_frozen: app.is_frozen })
    }

    /// Draws `columns`, two per cell, over the whole of `area`.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, columns: &[Column]) {
        self.draw_cells(buffer, area, columns, 0, 0..usize::from(area.width));
    }

    /// Draws some of the cells of each row; `columns` begin at the cell `first`, which is left of them for what joins a
    /// column to the one before it.
    pub fn draw_cells(&self, buffer: &mut Buffer, area: Rect, columns: &[Column], first: usize, cells: Range<usize>) {
        let area = area.intersection(buffer.area);
        let dots = usize::from(area.height) * ROWS;
        if dots == 0 {
            return;
        }
        let spans = self.spans(columns, first * 2, dots);
        let mut masks = vec![[0_u8; 2]; usize::from(area.height)];
        for cell in cells.start..cells.end.min(usize::from(area.width)) {
            let (x, at) = (area.x + cell as u16, cell.saturating_sub(first) * 2);
            if self.sweep.is_erased(cell) && !self.is_frozen {
                self.erase(buffer, x, area, cell);
                continue;
            }
            masks.fill([0; 2]);
            for (side, span) in spans.iter().skip(at).take(2).enumerate() {
                let Some((top, bottom)) = *span else { continue };
                for dot in top..=bottom {
                    masks[dot / ROWS][side] |= 1 << (dot % ROWS);
                }
            }
            let is_gap = columns.iter().skip(at).take(2).any(|column| *column == Column::Gap);
            for (row, mask) in masks.iter().enumerate() {
                let is_hatched = is_gap && row == masks.len() / 2;
                if *mask == [0; 2] && !is_hatched {
                    continue;
                }
                let Some(target) = buffer.cell_mut((x, area.y + row as u16)) else { continue };
                if *mask != [0; 2] {
                    target.set_char(self.sign(*mask)).set_style(self.style);
                } else {
                    target.set_symbol(self.theme.signs().hatch).set_style(self.theme.style(Role::Bad));
                }
            }
        }
    }

    fn erase(&self, buffer: &mut Buffer, x: u16, area: Rect, cell: usize) {
        if cell != self.sweep.cursor / 2 + 1 {
            return;
        }
        for y in area.y..area.bottom() {
            if let Some(target) = buffer.cell_mut((x, y)) {
                target.set_symbol(self.theme.signs().cursor).set_style(self.theme.style(Role::Text));
            }
        }
    }

    fn sign(&self, [left, right]: [u8; 2]) -> char {
        match self.theme.glyphs {
            Glyphs::Block => {
                let quarter = |mask: u8, rows: u8, bit: usize| if mask & rows != 0 { 1 << bit } else { 0 };
                let (top, bottom) = (0b0011, 0b1100);
                let bits = quarter(left, top, 0) | quarter(right, top, 1);
                QUARTERS[bits | quarter(left, bottom, 2) | quarter(right, bottom, 3)]
            }
            Glyphs::Ascii => ASCII[usize::from((left | right) & 0xf)],
            Glyphs::Braille => {
                let bits = BRAILLE[0][usize::from(left & 0xf)] | BRAILLE[1][usize::from(right & 0xf)];
                char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ')
            }
        }
    }

    /// Dots of each column, drawn together with its neighbour so that the wave is one line.
    fn spans(&self, columns: &[Column], first: usize, dots: usize) -> Vec<Option<Span>> {
        let mut before: Option<Span> = None;
        let mut spans = Vec::with_capacity(columns.len());
        for (dot, column) in (first..).zip(columns) {
            // Right of the cursor another pass begins.
            if dot == self.sweep.cursor + 1 {
                before = None;
            }
            let own = match *column {
                Column::Range { min, max } => Some((self.height(max, dots), self.height(min, dots))),
                Column::Empty | Column::Gap => None,
            };
            spans.push(own.map(|(top, bottom)| match before {
                Some((_, low)) if top > low + 1 => (low + 1, bottom),
                Some((high, _)) if bottom + 1 < high => (top, high - 1),
                _ => (top, bottom),
            }));
            before = own;
        }
        spans
    }

    /// Dot of a value, counted from the top; what is beyond the lane stays at its edge.
    fn height(&self, value: f32, dots: usize) -> usize {
        let top = self.lane.middle + self.lane.scale / 2.0;
        let place = (top - f64::from(value)) / self.lane.scale * dots as f64;
        (place.max(0.0) as usize).min(dots - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{fixtures, history::History, theme::Colour},
        *,
    };

    fn drawn(glyphs: Glyphs, width: u16, height: u16, seconds: f64, value: impl Fn(u64) -> f32) -> Vec<String> {
        let mut history = History::new(&fixtures::stream(1, 100.0));
        fixtures::feed(&mut history, 0, (seconds * 100.0) as u64, |sample, _| value(sample));
        let sweep = history.sweep(2.0, usize::from(width) * 2);
        let columns = history.columns(&[0], &sweep).remove(0);
        let theme = Theme { colour: Colour::None, glyphs, is_light: false };
        let lane = Lane { scale: 2.0, middle: 0.0, is_chosen: false };
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let pen = Pen { sweep: &sweep, lane, style: Style::new(), theme: &theme, is_frozen: false };
        pen.draw(&mut buffer, area, &columns);
        (0..height).map(|y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect()
    }

    #[test]
    fn a_steady_value_is_a_line_at_its_height() {
        assert_eq!(drawn(Glyphs::Braille, 8, 1, 2.0, |_| 0.9), ["⠉⠉⠉⠉⠉⠉⠉⠉"]);
        assert_eq!(drawn(Glyphs::Braille, 8, 1, 2.0, |_| -0.9), ["⣀⣀⣀⣀⣀⣀⣀⣀"]);
        assert_eq!(drawn(Glyphs::Ascii, 8, 2, 2.0, |_| -0.9), ["        ", "________"]);
    }

    #[test]
    fn quarter_blocks_stand_for_two_dots_each() {
        assert_eq!(drawn(Glyphs::Block, 4, 1, 2.0, |_| 0.9), ["▀▀▀▀"]);
        assert_eq!(drawn(Glyphs::Block, 4, 1, 2.0, |_| -0.1), ["▄▄▄▄"]);
        let rows = drawn(Glyphs::Block, 4, 2, 2.0, |sample| if sample < 100 { -0.9 } else { 0.9 });
        assert_eq!(rows, ["  ▛▀", "▄▄▌ "]);
    }

    #[test]
    fn a_value_beyond_the_scale_stays_at_the_edge() {
        assert_eq!(drawn(Glyphs::Braille, 4, 1, 2.0, |_| 50.0), ["⠉⠉⠉⠉"]);
        assert_eq!(drawn(Glyphs::Braille, 4, 1, 2.0, |_| f32::NAN)[0].chars().count(), 4);
    }

    #[test]
    fn the_cursor_runs_before_an_erased_strip() {
        let row = &drawn(Glyphs::Braille, 10, 1, 3.0, |_| 0.9)[0];
        assert_eq!(row, "⠉⠉⠉⠉⠉▏  ⠉⠉");
    }

    #[test]
    fn a_jump_is_one_line_from_bottom_to_top() {
        let rows = drawn(Glyphs::Braille, 4, 2, 2.0, |sample| if sample < 100 { -0.9 } else { 0.9 });
        assert_eq!(rows, ["  ⡏⠉", "⣀⣀⠇ "]);
    }

    #[test]
    fn missing_samples_are_hatched() {
        let mut history = History::new(&fixtures::stream(1, 100.0));
        fixtures::feed(&mut history, 0, 50, |_, _| 0.0);
        fixtures::feed(&mut history, 150, 200, |_, _| 0.0);
        let sweep = history.sweep(2.0, 16);
        let columns = history.columns(&[0], &sweep).remove(0);
        let theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };
        let lane = Lane { scale: 2.0, middle: 0.0, is_chosen: false };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        let pen = Pen { sweep: &sweep, lane, style: Style::new(), theme: &theme, is_frozen: false };
        pen.draw(&mut buffer, Rect::new(0, 0, 8, 1), &columns);
        let row: String = (0..8).map(|x| buffer[(x, 0)].symbol().to_owned()).collect();
        assert_eq!(row, "..xxxx..");
    }
}
