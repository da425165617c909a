//! How far a long job is, on one line of the terminal.
use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use wavedeck_formats::Progress;

/// Time between two pictures.
const PERIOD: Duration = Duration::from_millis(100);

/// A line on standard error, if that is a terminal; gone when dropped.
pub(super) struct ProgressLine {
    begin: Instant,
    /// When it was last drawn; `None` before the first time.
    drawn: Option<Instant>,
    is_shown: bool,
}

impl ProgressLine {
    pub(super) fn new(wanted: bool) -> Self {
        Self { begin: Instant::now(), drawn: None, is_shown: wanted && std::io::stderr().is_terminal() }
    }

    /// Draws it unless it was drawn just now.
    pub(super) fn show(&mut self, progress: &Progress) {
        let now = Instant::now();
        let is_due = now.duration_since(self.drawn.unwrap_or(self.begin)) >= PERIOD;
        if self.is_shown && is_due {
            self.drawn = Some(now);
            self.print(&line(progress, now.duration_since(self.begin).as_secs_f64()));
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

fn line(progress: &Progress, seconds: f64) -> String {
    let Progress { done, total, frame_bytes } = *progress;
    let part = done as f64 / total.max(1) as f64;
    let speed = done as f64 * frame_bytes as f64 / seconds.max(1e-3) / 1e6;
    let left = if part > 0.0 { (seconds / part * (1.0 - part)).ceil() } else { 0.0 };
    format!("{:3.0}%  {speed:.1} MB/s  {left:.0} s left", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_part_speed_and_time_left() {
        let progress = Progress { done: 250_000, total: 1_000_000, frame_bytes: 32 };
        assert_eq!(line(&progress, 2.0), " 25%  4.0 MB/s  6 s left");
        assert_eq!(line(&Progress { done: 0, total: 0, frame_bytes: 4 }, 0.0), "  0%  0.0 MB/s  0 s left");
    }
}
