//! Frames as bytes: what changed since the last, between two marks so that no half frame is seen, and none if
//! nothing changed.
use ratatui::{Frame, Terminal, TerminalOptions, Viewport, backend::TestBackend, buffer::Buffer, layout::Rect};

use super::{backend::Backend, layout::Size};

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J\x1b[H";

/// Keeps what is on the screen.
pub struct Painter {
    /// Frames are borrowed from here; what goes to the terminal does not pass through it.
    frames: Terminal<TestBackend>,
    shown: Buffer,
    backend: Backend,
    size: Size,
    is_fresh: bool,
}

impl Painter {
    /// Begins with an empty screen.
    pub fn new(size: Size) -> Self {
        let area = Rect::new(0, 0, size.width, size.height);
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let Ok(frames) = Terminal::with_options(TestBackend::new(0, 0), options);
        Self { frames, shown: Buffer::empty(area), backend: Backend::default(), size, is_fresh: true }
    }

    /// Makes the next frame a whole one, of this size.
    pub fn begin_anew(&mut self, size: Size) {
        *self = Self::new(size);
    }

    /// Size of the frames.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Draws a frame; the bytes that show it, or nothing if it equals the last.
    pub fn paint(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Vec<u8> {
        draw(&mut self.frames.get_frame());
        let drawn = self.frames.current_buffer_mut();
        let mut bytes = BEGIN.to_vec();
        let is_fresh = std::mem::take(&mut self.is_fresh);
        if is_fresh {
            bytes.extend_from_slice(CLEAR);
        }
        let before = bytes.len();
        self.backend.encode(&self.shown, drawn, &mut bytes);
        std::mem::swap(&mut self.shown, drawn);
        drawn.reset();
        if bytes.len() == before && !is_fresh {
            return Vec::new();
        }
        bytes.extend_from_slice(END);
        bytes
    }

    /// Draws a part of a frame on blank cells and says which it is: all else stays as it is. Nothing if a whole frame is
    /// wanted instead.
    pub fn paint_part(&mut self, draw: impl FnOnce(&mut Buffer) -> Option<Rect>) -> Option<Vec<u8>> {
        let drawn = self.frames.current_buffer_mut();
        let part = if self.is_fresh { None } else { draw(drawn) };
        let Some(part) = part else {
            drawn.reset();
            return None;
        };
        let mut bytes = BEGIN.to_vec();
        let before = bytes.len();
        self.backend.encode_part(&self.shown, drawn, part, &mut bytes);
        for place in part.intersection(drawn.area).positions() {
            self.shown[place] = std::mem::take(&mut drawn[place]);
        }
        if bytes.len() == before {
            return Some(Vec::new());
        }
        bytes.extend_from_slice(END);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_changes_nothing_costs_no_bytes() {
        let mut painter = Painter::new(Size { width: 20, height: 2 });
        let first = painter.paint(|frame| frame.render_widget("hello", frame.area()));
        let same = painter.paint(|frame| frame.render_widget("hello", frame.area()));
        let other = painter.paint(|frame| frame.render_widget("hullo", frame.area()));

        assert!(first.starts_with(BEGIN) && first.ends_with(END));
        assert!(same.is_empty());
        assert!(!other.is_empty() && other.len() < first.len());
    }

    #[test]
    fn another_size_clears_the_screen() {
        let mut painter = Painter::new(Size { width: 20, height: 2 });
        painter.paint(|_| {});
        painter.begin_anew(Size { width: 30, height: 3 });
        let bytes = painter.paint(|frame| assert_eq!(frame.area().width, 30));
        assert!(bytes.windows(CLEAR.len()).any(|window| window == CLEAR));
    }
}
