//! Turns frames into the bytes that change the screen from the last frame: one write, and none if nothing changed.
use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
};

use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::{Backend, CrosstermBackend},
    layout::Rect,
};

use super::layout::Size;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J\x1b[H";

/// Keeps what is on the screen.
pub(super) struct Painter {
    terminal: Terminal<CrosstermBackend<Collector>>,
    bytes: Rc<RefCell<Vec<u8>>>,
    /// What the backend writes for a frame in which nothing changed.
    idle: Vec<u8>,
    size: Size,
    is_fresh: bool,
}

/// Collects what the backend writes.
struct Collector(Rc<RefCell<Vec<u8>>>);

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Painter {
    /// Begins with an empty screen.
    ///
    /// # Errors
    /// None in practice: nothing is written to anything but memory.
    pub(super) fn new(size: Size) -> io::Result<Self> {
        // Colours are the theme's business, NO_COLOR included; crossterm's way of it would drop bold and reverse.
        crossterm::style::force_color_output(true);
        let bytes = Rc::new(RefCell::new(Vec::new()));
        let mut backend = CrosstermBackend::new(Collector(bytes.clone()));
        backend.draw(std::iter::empty())?;
        let idle = bytes.take();
        let area = Rect::new(0, 0, size.width, size.height);
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport: Viewport::Fixed(area) })?;
        Ok(Self { terminal, bytes, idle, size, is_fresh: true })
    }

    /// Makes the next frame a whole one, of this size.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub(super) fn begin_anew(&mut self, size: Size) -> io::Result<()> {
        *self = Self::new(size)?;
        Ok(())
    }

    /// Size of the frames.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Draws a frame; the bytes that show it, or nothing if it equals the last.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub(super) fn paint(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<Vec<u8>> {
        let mut frame = self.terminal.get_frame();
        draw(&mut frame);
        self.terminal.flush()?;
        self.terminal.swap_buffers();
        let changes = self.bytes.take();
        let is_fresh = std::mem::replace(&mut self.is_fresh, false);
        if changes == self.idle && !is_fresh {
            return Ok(Vec::new());
        }
        let clear = if is_fresh { CLEAR } else { b"" };
        Ok([BEGIN, clear, &changes, END].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_changes_nothing_costs_no_bytes() {
        let mut painter = Painter::new(Size { width: 20, height: 2 }).expect("memory");
        let first = painter.paint(|frame| frame.render_widget("hello", frame.area())).expect("memory");
        let same = painter.paint(|frame| frame.render_widget("hello", frame.area())).expect("memory");
        let other = painter.paint(|frame| frame.render_widget("hullo", frame.area())).expect("memory");

        assert!(first.starts_with(BEGIN) && first.ends_with(END));
        assert!(same.is_empty());
        assert!(!other.is_empty() && other.len() < first.len());
    }

    #[test]
    fn another_size_clears_the_screen() {
        let mut painter = Painter::new(Size { width: 20, height: 2 }).expect("memory");
        painter.paint(|_| {}).expect("memory");
        painter.begin_anew(Size { width: 30, height: 3 }).expect("memory");
        let bytes = painter.paint(|frame| assert_eq!(frame.area().width, 30)).expect("memory");
        assert!(bytes.windows(CLEAR.len()).any(|window| window == CLEAR));
    }
}
