//! How a table is written: what stands between fields, and what a number looks like.
use std::collections::BTreeMap;

use super::{
    MOST_COLUMNS,
    lines::{Delimiter, Fields, text},
};

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: Delimiter,
    /// `1,5` is one and a half.
    pub(super) decimal_comma: bool,
    /// Fields of a row.
    pub(super) columns: usize,
}

/// Texts that stand for a number that is not known.
const UNKNOWN: [&str; 6] = ["na", "n/a", "null", "none", "-", "?"];

/// What is in a cell that must hold a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    Number(f32),
    /// Nothing, or a word for it.
    Empty,
    /// Something else.
    Text,
}

impl Dialect {
    /// The dialect in which the most cells of some lines are numbers; the one with more columns if several are as good.
    pub(super) fn guess(lines: &[Vec<u8>]) -> Self {
        // The first line may hold names, which may hold anything.
        let body = if lines.len() > 1 { &lines[1..] } else { lines };
        let delimiters = [b'\t', b';', b','].map(Delimiter::Byte).into_iter().chain([Delimiter::Whitespace]);
        let mut best: Option<(f64, Self)> = None;
        for delimiter in delimiters {
            let has_end = |line: &Vec<u8>| matches!(delimiter, Delimiter::Byte(byte) if line.ends_with(&[byte]));
            let columns = columns(body, delimiter) - usize::from(lines.iter().all(has_end));
            for decimal_comma in [false, true] {
                let dialect = Self { delimiter, decimal_comma, columns };
                let is_possible = columns > 1 && !(decimal_comma && delimiter == Delimiter::Byte(b','));
                let score = if is_possible { dialect.score(body) } else { 0.0 };
                if score > best.map_or(0.0, |(score, _)| score) {
                    best = Some((score, dialect));
                }
            }
        }
        // No number at all: names, perhaps.
        let parts =
            [b'\t', b';', b','].map(Delimiter::Byte).into_iter().find(|delimiter| columns(lines, *delimiter) > 1);
        let delimiter = parts.unwrap_or(Delimiter::Byte(b'\t'));
        let names = Self { delimiter, decimal_comma: false, columns: columns(lines, delimiter) };
        best.map_or(names, |(_, dialect)| dialect)
    }

    /// Part of the cells that are numbers, over the lines of the right length.
    fn score(&self, lines: &[Vec<u8>]) -> f64 {
        let (mut cells, mut numbers) = (0u64, 0u64);
        for line in lines {
            let count = self.fields(line).count();
            for field in self.fields(line) {
                cells += 1;
                numbers += u64::from(count == self.columns && matches!(self.cell(field), Cell::Number(_)));
            }
        }
        numbers as f64 / cells.max(1) as f64
    }

    /// The fields of a line; an empty one behind the last delimiter is none.
    pub(super) fn fields<'a>(&self, line: &'a [u8]) -> Fields<'a> {
        Fields::new(trimmed(line, self.delimiter, self.columns), self.delimiter)
    }

    /// Reads a cell that must hold a number.
    pub(super) fn cell(&self, field: &[u8]) -> Cell {
        let field = field.trim_ascii();
        let field = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field);
        let Ok(text) = std::str::from_utf8(field) else {
            return Cell::Text;
        };
        let parsed = if self.decimal_comma && text.contains(',') {
            if text.contains('.') { None } else { text.replace(',', ".").parse().ok() }
        } else {
            text.parse().ok()
        };
        match parsed {
            Some(number) => Cell::Number(number),
            None if text.is_empty() || UNKNOWN.iter().any(|word| word.eq_ignore_ascii_case(text)) => Cell::Empty,
            None => Cell::Text,
        }
    }

    /// A cell as the text of a number with a point.
    pub(super) fn number_text(&self, field: &[u8]) -> String {
        let text = text(field);
        if self.decimal_comma { text.replace(',', ".") } else { text.into_owned() }
    }
}

/// The line without the delimiter that some programs write behind the last field.
fn trimmed(line: &[u8], delimiter: Delimiter, columns: usize) -> &[u8] {
    let Delimiter::Byte(byte) = delimiter else {
        return line;
    };
    match line.strip_suffix(&[byte]) {
        Some(shorter) if Fields::new(shorter, delimiter).count() == columns => shorter,
        _ => line,
    }
}

/// The most frequent number of fields.
fn columns(lines: &[Vec<u8>], delimiter: Delimiter) -> usize {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(Fields::new(line, delimiter).take(MOST_COLUMNS + 2).count()).or_insert(0u32) += 1;
    }
    counts.into_iter().max_by_key(|(_, lines)| *lines).map_or(1, |(count, _)| count)
}
