//! The last minute as a row of signs.
use super::super::super::{theme::Theme, trends::SECONDS};

/// Values of one per second, the newest at the right, within `width` characters; `most` is as high as a sign gets. Where
/// a minute does not fit, a sign is the highest of several seconds. What is not known is blank, and only nothing is
/// lowest.
pub(super) fn spark(values: impl DoubleEndedIterator<Item = f64>, most: f64, width: usize, theme: &Theme) -> String {
    let heights = theme.signs().heights;
    let wide = (width / SECONDS).max(1);
    let joined = SECONDS.div_ceil(width.max(1));
    let count = SECONDS / joined;
    let sign = |value: f64| {
        let top = heights.len() - 1;
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        let step = (share * top as f64).floor() as usize;
        heights[if value > 0.0 { step.max(1) } else { 0 }]
    };
    let newest_first: Vec<f64> = values.rev().take(SECONDS).collect();
    let highest = |group: &[f64]| group.iter().copied().fold(0.0, f64::max);
    let mut signs: Vec<&str> = newest_first.chunks(joined).map(|group| sign(highest(group))).take(count).collect();
    signs.resize(count, " ");
    signs.iter().rev().map(|sign| sign.repeat(wide)).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::super::theme::{Colour, Glyphs},
        *,
    };

    const PLAIN: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii };

    #[test]
    fn the_newest_is_at_the_right_and_only_nothing_is_lowest() {
        let row = spark([0.0, 0.1, 4.0, 8.0].into_iter(), 8.0, 60, &PLAIN);
        assert_eq!((row.len(), row.trim_start()), (60, ".:=@"));
        assert_eq!(spark(std::iter::empty(), 8.0, 60, &PLAIN), " ".repeat(60));
        assert_eq!(spark([3.0].into_iter(), 0.0, 60, &PLAIN).trim_start(), ":");
        assert_eq!(spark([8.0, 0.0].into_iter(), 8.0, 1, &PLAIN), "@");
    }

    #[test]
    fn a_minute_fits_every_width() {
        let values = || (0..60).map(|second| f64::from(u8::from(second == 31)));
        for (width, used) in [(130, 120), (60, 60), (59, 30), (36, 30), (20, 20), (7, 6)] {
            let row = spark(values(), 1.0, width, &PLAIN);
            assert_eq!(row.len(), used, "{width}");
            assert_eq!(row.matches('@').count(), (width / 60).max(1), "{width}: {row}");
        }
    }
}
