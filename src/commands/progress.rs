//! How far a long job is, on one line of the terminal.
use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

/// A line on standard error, if that is a terminal; gone when dropped.
pub(super) struct ProgressLine {
    begin: Instant,
    /// When it was last drawn; `None` before the first time.
    drawn: Option<Instant>,
    /// Time between two pictures.
    period: Duration,
    is_shown: bool,
}

impl ProgressLine {
    pub(super) fn new(wanted: bool, period: Duration) -> Self {
        let is_shown = wanted && std::io::stderr().is_terminal();
        Self { begin: Instant::now(), drawn: None, period, is_shown }
    }

    /// Draws it unless it was drawn just now. `text` is told the seconds since the beginning.
    pub(super) fn show(&mut self, text: impl FnOnce(f64) -> String) {
        if !self.is_shown {
            return;
        }
        let now = Instant::now();
        if now.duration_since(self.drawn.unwrap_or(self.begin)) >= self.period {
            self.drawn = Some(now);
            self.print(&text(now.duration_since(self.begin).as_secs_f64()));
        }
    }

    fn print(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        // A terminal that is gone is told elsewhere.
        drop(write!(out, "\r{text}\x1b[K").and_then(|()| out.flush()));
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            self.print("");
        }
    }
}
