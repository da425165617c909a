//! Small pieces that every pane is made of: fitted text, gauges, boxes.
use ratatui::{
    Frame,
    layout::Rect,
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Clear},
};

use super::theme::{Role, Theme};

/// The text cut to `width` characters, with a sign where something is missing.
pub(super) fn fit(text: &str, width: usize, theme: &Theme) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    if width == 0 {
        return String::new();
    }
    let mut cut: String = text.chars().take(width - 1).collect();
    cut.push_str(theme.signs().more);
    cut
}

/// The text in exactly `width` characters, at the left.
pub(super) fn left(text: &str, width: usize, theme: &Theme) -> String {
    format!("{:<width$}", fit(text, width, theme))
}

/// The text in exactly `width` characters, at the right.
pub(super) fn right(text: &str, width: usize, theme: &Theme) -> String {
    format!("{:>width$}", fit(text, width, theme))
}

/// The text in pieces of at most `width` characters, broken at blanks where there are any.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut pieces = vec![String::new()];
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        while let Some(piece) = pieces.last_mut() {
            let used = piece.chars().count();
            let blank = usize::from(used > 0);
            if used + blank + rest.len() <= width {
                piece.extend(std::iter::repeat_n(' ', blank).chain(rest.drain(..)));
                break;
            }
            if used == 0 {
                // A word longer than a line, such as a path.
                piece.extend(rest.drain(..width));
            }
            pieces.push(String::new());
        }
    }
    pieces
}

/// Text without the characters that a terminal of few signs cannot show.
pub(super) fn plain(text: &str, theme: &Theme) -> String {
    if !theme.is_plain() {
        return text.to_owned();
    }
    let sign = |c: char| match c {
        'µ' | 'μ' => 'u',
        '–' | '—' => '-',
        '…' => '~',
        c if c.is_ascii() => c,
        _ => '?',
    };
    text.chars().map(sign).collect()
}

/// A gauge of `width` characters, both ends included: what is full has the role, the rest is dim.
pub(super) fn gauge(share: f64, width: usize, role: Role, theme: &Theme) -> [Span<'static>; 4] {
    let inner = width.saturating_sub(2);
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    // What is not empty shows, and only what is full is full.
    let mut full = (share * inner as f64).floor() as usize;
    if share > 0.0 && full == 0 {
        full = 1;
    }
    let full = full.min(inner);
    let signs = theme.signs();
    [
        span(signs.gauge_ends.0, Role::Dim, theme),
        span(signs.gauge.0.repeat(full), role, theme),
        span(signs.gauge.1.repeat(inner - full), Role::Dim, theme),
        span(signs.gauge_ends.1, Role::Dim, theme),
    ]
}

/// A share as a whole percentage; anything above nothing is at least 1.
pub(super) fn percent(share: f64) -> String {
    let whole = (share * 100.0).floor();
    format!("{}%", if share > 0.0 && whole < 1.0 { 1.0 } else { whole })
}

/// How alarming a fill is.
pub(super) fn fill_role(share: f64) -> Role {
    match share {
        _ if share >= 0.9 => Role::Bad,
        _ if share >= 0.5 => Role::Warn,
        _ => Role::Good,
    }
}

/// Writes one line; what does not fit is cut off.
pub(super) fn line(frame: &mut Frame<'_>, area: Rect, row: u16, line: Line<'_>) {
    if row < area.height {
        let target = Rect::new(area.x, area.y + row, area.width, 1).intersection(frame.area());
        frame.render_widget(line, target);
    }
}

/// Writes one sign to a cell, each with a meaning; what does not fit is cut off.
pub(super) fn cells(frame: &mut Frame<'_>, area: Rect, cells: &[(char, Role)], theme: &Theme) {
    for (x, (sign, role)) in (area.x..area.right()).zip(cells) {
        if let Some(cell) = frame.buffer_mut().cell_mut((x, area.y)).filter(|_| area.height > 0) {
            cell.set_char(*sign).set_style(theme.style(*role));
        }
    }
}

/// A piece of text with a meaning.
pub(super) fn span(text: impl Into<String>, role: Role, theme: &Theme) -> Span<'static> {
    Span::styled(text.into(), theme.style(role))
}

/// Draws a box with a title and gives what is inside.
pub(super) fn boxed(frame: &mut Frame<'_>, area: Rect, title: &str, theme: &Theme) -> Rect {
    let set = if theme.is_plain() { ASCII_BORDER } else { border::PLAIN };
    let title = span(format!(" {} ", plain(title, theme)), Role::Title, theme);
    let block = Block::bordered().border_set(set).border_style(theme.style(Role::Dim)).title(title);
    let area = area.intersection(frame.area());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// Clears a place in the middle of the screen for something that lies on top.
pub(super) fn popup(frame: &mut Frame<'_>, width: u16, height: u16, title: &str, theme: &Theme) -> Rect {
    let screen = frame.area();
    // The state line stays visible whatever lies on top.
    let below = Rect { y: screen.y + 1.min(screen.height), height: screen.height.saturating_sub(1), ..screen };
    let (width, height) = (width.min(below.width), height.min(below.height));
    let area = Rect::new(below.x + (below.width - width) / 2, below.y + (below.height - height) / 2, width, height);
    frame.render_widget(Clear, area);
    boxed(frame, area, title, theme)
}

/// First line to show so that the chosen one is visible.
pub(super) fn first_visible(chosen: usize, count: usize, rows: usize) -> usize {
    let rows = rows.max(1);
    (chosen + 1).saturating_sub(rows).min(count.saturating_sub(rows))
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

#[cfg(test)]
mod tests {
    use super::{
        super::theme::{Colour, Glyphs},
        *,
    };

    const THEME: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Ascii, is_light: false };

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(fit("abcdef", 4, &THEME), "abc~");
        assert_eq!(fit("abcd", 4, &THEME), "abcd");
        assert_eq!(fit("abcd", 0, &THEME), "");
        assert_eq!(right("12", 4, &THEME), "  12");
    }

    #[test]
    fn a_long_text_is_broken_at_blanks_and_loses_nothing() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a/long/path x", 4), ["a/lo", "ng/p", "ath", "x"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
    }

    #[test]
    fn a_gauge_is_full_only_when_it_is_and_empty_only_when_it_is() {
        let gauge = |share, width| -> String {
            super::gauge(share, width, Role::Good, &THEME).iter().map(|span| span.content.to_string()).collect()
        };
        assert_eq!(gauge(0.0, 6), "[....]");
        assert_eq!(gauge(0.01, 6), "[#...]");
        assert_eq!(gauge(0.99, 6), "[###.]");
        assert_eq!(gauge(7.0, 6), "[####]");
        assert_eq!(gauge(f64::NAN, 1), "[]");
        assert_eq!(percent(0.001), "1%");
        assert_eq!(percent(0.999), "99%");
    }

    #[test]
    fn the_chosen_line_is_visible() {
        assert_eq!(first_visible(0, 10, 4), 0);
        assert_eq!(first_visible(5, 10, 4), 2);
        assert_eq!(first_visible(9, 10, 4), 6);
        assert_eq!(first_visible(0, 0, 0), 0);
    }
}
