//! Lines of a text file of any length, one at a time, and the fields of a line.
use std::{
    borrow::Cow,
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileExt,
};

use super::super::foreign::Shared;
use crate::error::SourceError;

/// Longest line in bytes.
const MOST_LINE: usize = 1 << 20;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 17;

/// What stands between fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimiter {
    /// One character.
    Byte(u8),
    /// Spaces and tabs, as many as there are.
    Whitespace,
}

/// A place at which a line begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Lines before it.
    pub(super) lines: u64,
}

/// A line, without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it begins.
    pub(super) place: Place,
    /// True if the end of the line is there.
    pub(super) is_ended: bool,
}

impl Line<'_> {
    /// Its number, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.place.lines + 1
    }
}

/// Reads lines.
pub(super) struct Lines {
    file: Shared,
    reader: BufReader<At>,
    /// Where the line in `bytes` begins.
    place: Place,
    next: Place,
    bytes: Vec<u8>,
    /// Fields in quotes go on over the end of a line.
    quoting: Option<Delimiter>,
}

impl Lines {
    /// Lines from a place on. Without a delimiter quotes mean nothing.
    pub(super) fn new(file: &Shared, from: Place, quoting: Option<Delimiter>) -> Self {
        let at = At { file: file.clone(), offset: from.offset };
        let reader = BufReader::with_capacity(READ_BYTES, at);
        Self { file: file.clone(), reader, place: from, next: from, bytes: Vec::new(), quoting }
    }

    /// The next line; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, SourceError> {
        Ok(self.advance()?.then(|| self.line()))
    }

    /// The next line that is a row: neither blank nor a comment.
    pub(super) fn next_row(&mut self) -> Result<Option<Line<'_>>, SourceError> {
        while self.advance()? {
            if is_row(self.line().bytes) {
                return Ok(Some(self.line()));
            }
        }
        Ok(None)
    }

    /// Reads a line; false at the end of the file.
    fn advance(&mut self) -> Result<bool, SourceError> {
        self.place = self.next;
        self.bytes.clear();
        loop {
            let most = (MOST_LINE + 3).saturating_sub(self.bytes.len()) as u64;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.bytes);
            let n = read.map_err(|source| SourceError::io("read", &self.file.path, source))?;
            self.next.offset += n as u64;
            self.next.lines += u64::from(n > 0);
            if self.bytes.len() > MOST_LINE + 2 {
                let found = String::from_utf8_lossy(&self.bytes[..100]).into_owned();
                let place = format!("line {}", self.place.lines + 1);
                return Err(self.file.bad(place, format!("at most {MOST_LINE} bytes long"), &found));
            }
            let is_open = |delimiter| n > 0 && self.bytes.contains(&b'"') && ends_in_quotes(&self.bytes, delimiter);
            if !self.quoting.is_some_and(is_open) {
                return Ok(!self.bytes.is_empty());
            }
        }
    }

    fn line(&self) -> Line<'_> {
        let mut bytes = &self.bytes[..];
        if self.place.offset == 0 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let is_ended = bytes.ends_with(b"\n");
        bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Line { bytes, place: self.place, is_ended }
    }
}

/// True unless the line is blank or a comment.
pub(super) fn is_row(line: &[u8]) -> bool {
    let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|byte| !matches!(byte, b'#' | b'%'))
}

/// A file read from a place on.
struct At {
    file: Shared,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = self.file.file.read_at(bytes, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

/// True if the last field begins with a quote that nothing closes.
fn ends_in_quotes(bytes: &[u8], delimiter: Delimiter) -> bool {
    let last = Fields::new(bytes, delimiter).last();
    last.is_some_and(|field| field.starts_with(b"\"") && quoted_length(field).is_none())
}

/// The fields of a line, quotes and all.
pub(super) struct Fields<'a> {
    rest: Option<&'a [u8]>,
    delimiter: Delimiter,
}

impl<'a> Fields<'a> {
    pub(super) fn new(line: &'a [u8], delimiter: Delimiter) -> Self {
        let line = if delimiter == Delimiter::Whitespace { line.trim_ascii() } else { line };
        Self { rest: Some(line), delimiter }
    }

    fn is_delimiter(&self, byte: u8) -> bool {
        match self.delimiter {
            Delimiter::Byte(delimiter) => byte == delimiter,
            Delimiter::Whitespace => matches!(byte, b' ' | b'\t'),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        // Within quotes a delimiter is text; a quote within is two of them.
        let quoted = if rest.first() == Some(&b'"') { quoted_length(rest).unwrap_or(rest.len()) } else { 0 };
        let end = rest[quoted..].iter().position(|byte| self.is_delimiter(*byte)).map(|end| end + quoted);
        let Some(end) = end else {
            return Some(rest);
        };
        let behind = &rest[end + 1..];
        self.rest = Some(if self.delimiter == Delimiter::Whitespace { behind.trim_ascii_start() } else { behind });
        Some(&rest[..end])
    }
}

/// Bytes from a quote to the one that closes it, both included; `None` if none does.
fn quoted_length(field: &[u8]) -> Option<usize> {
    let mut at = 1;
    while let Some(quote) = field[at..].iter().position(|byte| *byte == b'"') {
        at += quote + 1;
        if field.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// A field as text, without its quotes; bytes that are no UTF-8 are taken as Latin-1.
pub(super) fn text(field: &[u8]) -> Cow<'_, str> {
    let field = field.trim_ascii();
    let text = match std::str::from_utf8(field) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => field.iter().copied().map(char::from).collect::<String>().into(),
    };
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\"").into(),
        None => text,
    }
}
