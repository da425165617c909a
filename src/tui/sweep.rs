//! Where samples lie on a sweeping screen: a cursor that runs from left to right over what it drew before.
use std::ops::Range;

/// Cells that are kept empty before the cursor, the one with the cursor included.
pub const ERASED_CELLS: usize = 3;

/// What a channel was during the time of one dot column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// Nothing is known.
    Empty,
    /// Samples are missing here.
    Gap,
    /// Smallest and largest value.
    Range {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
    },
}

/// A screen full of columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// Resolution of the history that is drawn from.
    pub(super) level: usize,
    /// Columns of the screen.
    pub dots: usize,
    /// Column that the newest sample is in.
    pub cursor: usize,
    /// Index of the sample after the last one drawn.
    pub end: u64,
    /// Sample at the left edge of the running pass; a fraction where the time base is not a whole number of samples.
    pub start: f64,
    per_screen: f64,
}

impl Sweep {
    pub(super) fn new(level: usize, frames: u64, end: u64, per_screen: f64, dots: usize) -> Self {
        // A coarse level knows its last bin only when that is complete.
        let end = if level == 0 { end } else { end / frames * frames };
        let start = (end.saturating_sub(1) as f64 / per_screen).floor() * per_screen;
        let passed = (end.saturating_sub(1) as f64 - start) / per_screen;
        let cursor = ((passed * dots as f64) as usize).min(dots.saturating_sub(1));
        Self { level, dots, cursor, end, start, per_screen }
    }

    /// A screen that ends before `end`: no cursor, no pass before.
    pub(super) fn page(level: usize, frames: u64, end: u64, per_screen: f64, dots: usize) -> Self {
        // In whole columns, or a scrolling wave would shimmer.
        let per_dot = per_screen / dots.max(1) as f64;
        let end = if level == 0 { end } else { end / frames * frames };
        let start = (end as f64 / per_dot).floor() * per_dot - per_screen;
        Self { level, dots, cursor: dots.saturating_sub(1), end, start, per_screen }
    }

    /// First sample and samples of the screen if all columns are of one pass, else nothing.
    pub fn whole(&self) -> (f64, f64) {
        if self.cursor + 1 == self.dots { (self.start, self.per_screen) } else { (0.0, 0.0) }
    }

    /// Columns that stand still and are all of one pass.
    pub fn still(dots: usize) -> Self {
        Self { level: 0, dots, cursor: dots.saturating_sub(1), end: u64::MAX, start: 0.0, per_screen: 1.0 }
    }

    /// Samples of one column: of this pass up to the cursor, of the pass before it beyond.
    pub fn frames_of(&self, dot: usize) -> Range<u64> {
        let start = if dot <= self.cursor { self.start } else { self.start - self.per_screen };
        let per_dot = self.per_dot();
        let first = start + dot as f64 * per_dot;
        let sample = |at: f64| at.max(0.0).ceil() as u64;
        sample(first)..sample(first + per_dot).min(if dot <= self.cursor { self.end } else { u64::MAX })
    }

    /// Samples of one column.
    pub fn per_dot(&self) -> f64 {
        self.per_screen / self.dots.max(1) as f64
    }

    /// Cells that differ from those of an earlier screen, if only the cursor has run on since.
    pub fn cells_since(&self, earlier: &Self) -> Option<Range<usize>> {
        let is_same_pass = Self { end: earlier.end, cursor: earlier.cursor, ..*self } == *earlier;
        let begin = (earlier.cursor / 2).saturating_sub(1);
        let end = (self.cursor / 2 + ERASED_CELLS + 1).min(self.dots / 2);
        (is_same_pass && self.cursor >= earlier.cursor).then_some(begin..end)
    }

    /// Column that shows a sample, if it is on the screen.
    pub fn column_of(&self, sample: u64) -> Option<usize> {
        if sample >= self.end {
            return None;
        }
        let place = |start: f64| (sample as f64 - start) / self.per_screen * self.dots as f64;
        let here = place(self.start);
        if here >= 0.0 {
            return Some((here as usize).min(self.dots.saturating_sub(1)));
        }
        let before = place(self.start - self.per_screen);
        (before >= 0.0 && before as usize > self.cursor).then_some(before as usize)
    }

    /// True if the cell is kept empty before the cursor.
    pub fn is_erased(&self, cell: usize) -> bool {
        let cursor = self.cursor / 2;
        cell > cursor && cell <= cursor + ERASED_CELLS
    }
}
