//! The last minute as rows of signs.
use super::super::super::{theme::Theme, trends::SECONDS};

/// Values of one per second, the newest at the right, within `width` characters and so many rows, the top one first;
/// `most` is as high as they get. Where a minute does not fit, a column is the highest of several seconds. What is not
/// known is blank, and only nothing is lowest.
pub(super) fn spark(
    values: impl DoubleEndedIterator<Item = f64>,
    most: f64,
    (width, rows): (usize, usize),
    theme: &Theme,
) -> Vec<String> {
    let heights = theme.signs().heights;
    let wide = (width / SECONDS).max(1);
    let joined = SECONDS.div_ceil(width.max(1));
    let count = SECONDS / joined;
    let top = heights.len() * rows - 1;
    let step = |value: f64| {
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        let step = (share * top as f64).floor() as usize;
        if value > 0.0 { step.max(1) } else { 0 }
    };
    let newest_first: Vec<f64> = values.rev().take(SECONDS).collect();
    let highest = |group: &[f64]| group.iter().copied().fold(0.0, f64::max);
    let steps: Vec<usize> = newest_first.chunks(joined).map(|group| step(highest(group))).take(count).collect();
    let row = |row: usize| -> String {
        let below = row * heights.len();
        let sign = |step: &usize| match step.checked_sub(below) {
            Some(above) => heights[above.min(heights.len() - 1)],
            None => " ",
        };
        let blank = " ".repeat(wide * (count - steps.len()));
        blank + &steps.iter().rev().map(|step| sign(step).repeat(wide)).collect::<String>()
    };
    (0..rows).rev().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::super::theme::{Colour, Glyphs},
        *,
    };

    const PLAIN: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

    fn row(values: &[f64], most: f64, width: usize) -> String {
        spark(values.iter().copied(), most, (width, 1), &PLAIN).concat()
    }

    #[test]
    fn the_newest_is_at_the_right_and_only_nothing_is_lowest() {
        let row_of_four = row(&[0.0, 0.1, 4.0, 8.0], 8.0, 60);
        assert_eq!((row_of_four.len(), row_of_four.trim_start()), (60, ".:=@"));
        assert_eq!(row(&[], 8.0, 60), " ".repeat(60));
        assert_eq!(row(&[3.0], 0.0, 60).trim_start(), ":");
        assert_eq!(row(&[8.0, 0.0], 8.0, 1), "@");
    }

    #[test]
    fn a_minute_fits_every_width() {
        let values: Vec<f64> = (0..60).map(|second| f64::from(u8::from(second == 31))).collect();
        for (width, used) in [(130, 120), (60, 60), (59, 30), (36, 30), (20, 20), (7, 6)] {
            let row = row(&values, 1.0, width);
            assert_eq!(row.len(), used, "{width}");
            assert_eq!(row.matches('@').count(), (width / 60).max(1), "{width}: {row}");
        }
    }

    #[test]
    fn more_rows_show_more_steps() {
        let rows = spark([0.0, 1.0, 9.0, 16.0].into_iter(), 16.0, (60, 2), &PLAIN);
        assert_eq!(rows[0].trim_start(), ".@");
        assert_eq!(rows[1].trim_start(), ".:@@");
    }
}
