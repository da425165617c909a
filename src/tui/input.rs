//! Turns the bytes that a terminal sends into keys and pasted text.
//!
//! Written here and not taken from crossterm, whose reader never returns once the terminal is gone.
use super::{
    key::Key,
    mouse::{Mouse, What},
};

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Pressed a key.
    Key(Key),
    /// Pasted text.
    Paste(String),
    /// Clicked, or turned the wheel.
    Mouse(Mouse),
}

/// Longest paste that is kept, in bytes.
const MAX_PASTE: usize = 16 << 10;
/// Longest escape sequence that is waited for, in bytes.
const MAX_SEQUENCE: usize = 32;
const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// Keeps what is not complete yet.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    paste: Option<Vec<u8>>,
    reports: usize,
}

/// What the head of the pending bytes is.
enum Head {
    /// These many bytes are one key.
    Key(usize, Key),
    /// These many bytes tell of the mouse.
    Mouse(usize, Mouse),
    /// These many bytes mean nothing here.
    Skip(usize),
    /// These many bytes start a paste.
    Paste(usize),
    /// These many bytes are the terminal's answer to the question where the cursor is.
    Report(usize),
    /// More bytes are needed.
    Incomplete,
}

impl Decoder {
    /// Takes what was read and gives what is complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.pending.extend_from_slice(bytes);
        let mut inputs = Vec::new();
        loop {
            if self.paste.is_some() {
                if !self.take_paste(&mut inputs) {
                    return inputs;
                }
                continue;
            }
            match head(&self.pending) {
                Head::Key(length, key) => {
                    self.pending.drain(..length);
                    inputs.push(Input::Key(key));
                }
                Head::Mouse(length, mouse) => {
                    self.pending.drain(..length);
                    inputs.push(Input::Mouse(mouse));
                }
                Head::Skip(length) => {
                    self.pending.drain(..length);
                }
                Head::Paste(length) => {
                    self.pending.drain(..length);
                    self.paste = Some(Vec::new());
                }
                Head::Report(length) => {
                    self.pending.drain(..length);
                    self.reports += 1;
                }
                Head::Incomplete => return inputs,
            }
        }
    }

    /// True while an escape byte waits for what might follow it.
    pub fn is_waiting(&self) -> bool {
        self.paste.is_none() && !self.pending.is_empty() && !self.is_in_sequence()
    }

    /// True while the end of a paste is waited for.
    pub fn is_in_paste(&self) -> bool {
        self.paste.is_some()
    }

    /// How many times the terminal told where its cursor is since the last call.
    pub fn take_reports(&mut self) -> usize {
        std::mem::take(&mut self.reports)
    }

    /// A sequence that has come as far as its numbers was typed by nobody: its end, an `R` perhaps, is no key however
    /// late it comes.
    fn is_in_sequence(&self) -> bool {
        matches!(self.pending[..], [0x1b, b'[', b'0'..=b'9', ..])
    }

    /// Nothing followed: a lone escape byte was the key.
    pub fn give_up_waiting(&mut self) -> Vec<Input> {
        if !self.is_waiting() {
            return Vec::new();
        }
        if self.pending.first() != Some(&0x1b) {
            self.pending.clear();
            return Vec::new();
        }
        self.pending.remove(0);
        let mut inputs = vec![Input::Key(Key::Escape)];
        if self.pending == b"[" || self.pending == b"O" {
            self.pending.clear();
        }
        inputs.extend(self.feed(&[]));
        inputs
    }

    /// True if the paste has ended.
    fn take_paste(&mut self, inputs: &mut Vec<Input>) -> bool {
        let Some(paste) = &mut self.paste else { return true };
        let end = self.pending.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        // Without an end in sight the last bytes may be the beginning of it.
        let sure = end.unwrap_or(self.pending.len().saturating_sub(PASTE_END.len() - 1));
        let room = MAX_PASTE.saturating_sub(paste.len());
        paste.extend(self.pending.drain(..sure).take(room));
        if end.is_none() {
            return false;
        }
        self.pending.drain(..PASTE_END.len());
        let text = String::from_utf8_lossy(paste).chars().filter(|c| !c.is_control()).collect();
        inputs.push(Input::Paste(text));
        self.paste = None;
        true
    }
}

fn head(bytes: &[u8]) -> Head {
    let Some(&first) = bytes.first() else { return Head::Incomplete };
    match first {
        0x1b => escape(bytes),
        b'\r' | b'\n' => Head::Key(1, Key::Enter),
        b'\t' => Head::Key(1, Key::Tab),
        0x7f | 0x08 => Head::Key(1, Key::Backspace),
        0x01..=0x1a => Head::Key(1, Key::Control(char::from(first - 1 + b'a'))),
        0x00..0x20 => Head::Skip(1),
        _ => character(bytes),
    }
}

fn character(bytes: &[u8]) -> Head {
    let length = match bytes[0] {
        0x00..0x80 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        _ => return Head::Skip(1),
    };
    let Some(encoded) = bytes.get(..length) else { return Head::Incomplete };
    match std::str::from_utf8(encoded).ok().and_then(|text| text.chars().next()) {
        Some(c) => Head::Key(length, Key::Char(c)),
        None => Head::Skip(1),
    }
}

fn escape(bytes: &[u8]) -> Head {
    match bytes.get(1) {
        None => Head::Incomplete,
        Some(b'[') => control_sequence(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Head::Incomplete,
            Some(last @ b'P'..=b'S') => Head::Key(3, Key::F(last - b'P' + 1)),
            Some(last) => cursor_key(*last, false).map_or(Head::Skip(3), |key| Head::Key(3, key)),
        },
        // A string (DCS, OSC, ...) is an answer of the terminal: up to its end.
        Some(b'P' | b']' | b'^' | b'_') => string(bytes),
        // Escape, then another key quickly after it.
        Some(_) => Head::Key(1, Key::Escape),
    }
}

fn string(bytes: &[u8]) -> Head {
    let end = bytes.iter().skip(2).position(|byte| *byte == 0x07 || *byte == b'\\');
    match end {
        Some(at) => Head::Skip(at + 3),
        None if bytes.len() > 4096 => Head::Skip(bytes.len()),
        None => Head::Incomplete,
    }
}

fn control_sequence(bytes: &[u8]) -> Head {
    let body = &bytes[2..];
    // The first function keys of a Linux console.
    if body.first() == Some(&b'[') {
        return match body.get(1) {
            None => Head::Incomplete,
            Some(last @ b'A'..=b'E') => Head::Key(4, Key::F(last - b'A' + 1)),
            Some(_) => Head::Skip(4),
        };
    }
    let Some(end) = body.iter().position(|byte| (0x40..0x7f).contains(byte)) else {
        return if bytes.len() > MAX_SEQUENCE { Head::Skip(bytes.len()) } else { Head::Incomplete };
    };
    let length = end + 3;
    if &bytes[..length] == PASTE_BEGIN {
        return Head::Paste(length);
    }
    let arguments = std::str::from_utf8(&body[..end]).unwrap_or("");
    if let Some(report) = arguments.strip_prefix('<') {
        let mouse = if body[end] == b'M' { mouse(report) } else { None };
        return mouse.map_or(Head::Skip(length), |mouse| Head::Mouse(length, mouse));
    }
    if body[end] == b'R' && is_position(arguments) {
        return Head::Report(length);
    }
    let mut numbers = arguments.split(';').map(|text| text.parse::<u32>().unwrap_or(1));
    let first = numbers.next().unwrap_or(1);
    let shifted = numbers.next().is_some_and(|modifier| modifier.saturating_sub(1) & 1 == 1);
    let key = match body[end] {
        b'~' => match first {
            1 | 7 => Some(Key::Home),
            4 | 8 => Some(Key::End),
            3 => Some(Key::Delete),
            5 => Some(Key::PageUp),
            6 => Some(Key::PageDown),
            // Function keys by the numbers of a VT220, which leave some out.
            11..=15 => Some(Key::F(first as u8 - 10)),
            17..=21 => Some(Key::F(first as u8 - 11)),
            23 | 24 => Some(Key::F(first as u8 - 12)),
            _ => None,
        },
        last => cursor_key(last, shifted),
    };
    key.map_or(Head::Skip(length), |key| Head::Key(length, key))
}

/// `button;column;row`, counted from 1, as terminals send it in their mode 1006.
fn mouse(report: &str) -> Option<Mouse> {
    let mut numbers = report.split(';').map(|text| text.parse::<u16>().ok());
    let (button, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let what = match button {
        0 => What::Press,
        64 => What::WheelUp,
        65 => What::WheelDown,
        _ => return None,
    };
    Some(Mouse { what, x: x.checked_sub(1)?, y: y.checked_sub(1)? })
}

/// True for a row and a column, unless they are what F3 with a modifier sends.
fn is_position(arguments: &str) -> bool {
    let parsed = arguments.split_once(';').map(|(row, column)| (row.parse::<u16>(), column.parse::<u16>()));
    matches!(parsed, Some((Ok(row), Ok(column))) if row != 1 || !(2..=16).contains(&column))
}

fn cursor_key(last: u8, shifted: bool) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if shifted => Key::ShiftRight,
        b'D' if shifted => Key::ShiftLeft,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        b'Z' => Key::BackTab,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_and_the_wheel_are_read_and_releases_are_not() {
        let mouse = |what, x, y| Input::Mouse(Mouse { what, x, y });
        assert_eq!(keys(b"\x1b[<0;12;3M\x1b[<0;12;3m"), [mouse(What::Press, 11, 2)]);
        assert_eq!(keys(b"\x1b[<64;1;1Mx"), [mouse(What::WheelUp, 0, 0), Input::Key(Key::Char('x'))]);
        assert_eq!(keys(b"\x1b[<0;0;3M\x1b[<;;M\x1b[<0;99999;1M"), []);
    }

    fn keys(bytes: &[u8]) -> Vec<Input> {
        Decoder::default().feed(bytes)
    }

    #[test]
    fn letters_arrows_and_pages_are_keys() {
        let expected = [
            Key::Char('R'),
            Key::Up,
            Key::ShiftRight,
            Key::PageDown,
            Key::Home,
            Key::BackTab,
            Key::Char('µ'),
            Key::Control('c'),
        ];
        let got = keys("R\x1b[A\x1b[1;2C\x1b[6~\x1bOH\x1b[Zµ\x03".as_bytes());
        assert_eq!(got, expected.map(Input::Key));
    }

    #[test]
    fn function_keys_come_in_both_ways_of_writing() {
        let expected = [1, 4, 5, 1, 5, 6, 10, 11, 12].map(|number| Input::Key(Key::F(number)));
        assert_eq!(keys(b"\x1bOP\x1bOS\x1b[[E\x1b[11~\x1b[15~\x1b[17~\x1b[21~\x1b[23~\x1b[24~"), expected);
    }

    #[test]
    fn a_sequence_may_come_in_pieces() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b").is_empty());
        assert!(decoder.feed(b"[1;").is_empty());
        assert_eq!(decoder.feed(b"2D"), [Input::Key(Key::ShiftLeft)]);
        assert!(!decoder.is_waiting());
    }

    #[test]
    fn a_lone_escape_is_a_key_once_nothing_follows() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b").is_empty());
        assert!(decoder.is_waiting());
        assert_eq!(decoder.give_up_waiting(), [Input::Key(Key::Escape)]);
        assert!(!decoder.is_waiting());
    }

    #[test]
    fn a_paste_is_text_and_never_keys() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b[200~R S\x1b[20").is_empty());
        assert_eq!(decoder.feed(b"1~q"), [Input::Paste("R S".into()), Input::Key(Key::Char('q'))]);
    }

    #[test]
    fn answers_of_the_terminal_are_not_keys() {
        assert_eq!(keys(b"\x1b[12;40R\x1b[?2026;2$y\x1bP1$r\x1b\\x"), [Input::Key(Key::Char('x'))]);
    }

    #[test]
    fn a_cursor_position_is_counted_and_a_modified_f3_is_not() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b[2;1R\x1b[1;2R\x1b[R\x1b[?2;1R\x1b[1;1R").is_empty());
        assert_eq!((decoder.take_reports(), decoder.take_reports()), (2, 0));
    }

    #[test]
    fn the_end_of_an_answer_is_no_key_however_late_it_comes() {
        let mut decoder = Decoder::default();
        assert!(decoder.feed(b"\x1b[2;1").is_empty());
        assert!(!decoder.is_waiting() && decoder.give_up_waiting().is_empty());
        assert_eq!(decoder.feed(b"RR"), [Input::Key(Key::Char('R'))]);
        assert_eq!(decoder.take_reports(), 1);
    }

    #[test]
    fn any_bytes_are_swallowed_without_a_panic() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let mut decoder = Decoder::default();
                decoder.feed(&[0x1b, a, b]);
                decoder.give_up_waiting();
                decoder.feed(&[a, b, 0x80]);
            }
        }
    }
}
