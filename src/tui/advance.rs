//! Frames in which nothing moved but the waves: of each lane only the strip is drawn that the cursor ran over.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{app::App, history::History, mouse::Regions, theme::Theme, wave::Pen};

/// Draws what the waves became since the frame that left these regions, on blank cells; where that is. Nothing if more
/// than a strip has changed.
pub fn draw(buffer: &mut Buffer, regions: &Regions, app: &App, history: &History, theme: &Theme) -> Option<Rect> {
    let drawn = regions.sweep()?;
    if !app.layers.is_empty() || app.is_frozen || app.looking.is_page(app) {
        return None;
    }
    let sweep = app.looking.window(app, history, drawn.dots);
    let cells = sweep.cells_since(&drawn).filter(|_| history.fills(&sweep))?;
    let waves = regions.waves();
    let channels: Vec<usize> = waves.iter().map(|(channel, _)| *channel).collect();
    // The column before joins the first one.
    let first = cells.start.saturating_sub(1);
    let columns = history.columns_of(&channels, &sweep, first * 2..cells.end * 2);
    let mut strip: Option<Rect> = None;
    for ((channel, wave), columns) in waves.iter().zip(&columns) {
        Pen::of(*channel, app, &sweep, theme)?.draw_cells(buffer, *wave, columns, first, cells.clone());
        let x = wave.x + cells.start as u16;
        let part = Rect { x, width: cells.len() as u16, ..*wave }.intersection(*wave);
        strip = Some(strip.map_or(part, |strip| strip.union(part)));
    }
    regions.set_sweep(sweep);
    strip
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            fixtures,
            history::Why,
            layout::Size,
            mouse::{Click, Span},
            painter::Painter,
            theme::{Colour, Glyphs},
        },
        *,
    };

    const SIZE: Size = Size { width: 50, height: 10 };
    const THEME: Theme = Theme { colour: Colour::Indexed256, glyphs: Glyphs::Braille, is_light: false };

    /// Waves of three channels on a terminal.
    struct Stand {
        app: App,
        history: History,
        regions: Regions,
        painter: Painter,
        terminal: vt100::Parser,
    }

    impl Stand {
        fn new(rate_hz: f64) -> Self {
            let mut app = App::default();
            app.lanes.reset(3);
            for lane in &mut app.lanes.all {
                (lane.scale, lane.middle) = (2.0, 0.0);
            }
            Self {
                app,
                history: History::new(&fixtures::stream(3, rate_hz)),
                regions: Regions::default(),
                painter: Painter::new(SIZE),
                terminal: vt100::Parser::new(SIZE.height, SIZE.width, 0),
            }
        }

        fn feed(&mut self, samples: u64) {
            let first = self.history.end();
            fixtures::feed(&mut self.history, first, first + samples, |sample, channel| {
                (sample as f32 * 0.07 * (channel + 1) as f32).sin() * 1.2
            });
        }

        fn draw_whole(&mut self) {
            let Self { app, history, regions, painter, terminal, .. } = self;
            *regions = Regions::default();
            let sweep = app.looking.window(app, history, 80);
            let bytes = painter.paint(|frame| {
                for (channel, y) in [(0, 1), (1, 4), (2, 7)] {
                    let lane = Rect::new(2, y, 48, 3);
                    regions.add(lane, Click::Channel(channel, Span { left: 5, width: 40, ..Span::default() }));
                    let columns = history.columns(&[channel], &sweep).remove(0);
                    let pen = Pen::of(channel, app, &sweep, &THEME).expect("a lane");
                    pen.draw(frame.buffer_mut(), Rect { x: 7, width: 40, ..lane }, &columns);
                }
            });
            regions.set_sweep(sweep);
            terminal.process(&bytes);
        }

        /// Draws a strip; how many bytes that took, if it could be done.
        fn draw_strip(&mut self) -> Option<usize> {
            let Self { app, history, regions, painter, terminal, .. } = self;
            let bytes = painter.paint_part(|buffer| draw(buffer, regions, app, history, &THEME))?;
            terminal.process(&bytes);
            Some(bytes.len())
        }

        fn seen(&self) -> String {
            self.terminal.screen().contents()
        }
    }

    #[test]
    fn strips_leave_the_same_screen_as_whole_frames() {
        for rate_hz in [20.0, 250.0, 1000.0, 30_000.0] {
            let mut strips = Stand::new(rate_hz);
            let mut whole = Stand::new(rate_hz);
            let (mut drawn, mut missed) = (0, 0);
            for step in 1..200 {
                let samples = (rate_hz * f64::from(step % 7) / 40.0) as u64;
                for stand in [&mut strips, &mut whole] {
                    stand.feed(samples);
                }
                if step % 50 == 0 {
                    // What is missing is hatched in both.
                    for stand in [&mut strips, &mut whole] {
                        let header = fixtures::header(stand.history.end() + samples, 1, 3);
                        stand.history.ingest(&header, &[0.0; 3], Why::Lost);
                    }
                }
                whole.draw_whole();
                if strips.draw_strip().is_some() {
                    drawn += 1;
                } else {
                    missed += 1;
                    strips.draw_whole();
                }
                assert_eq!(strips.seen(), whole.seen(), "{rate_hz} Hz, step {step}");
            }
            // A pass takes ten seconds, and each begins with a whole frame.
            assert!(drawn > missed * 10 || rate_hz < 50.0, "{rate_hz} Hz: {drawn} strips, {missed} whole frames");
        }
    }

    #[test]
    fn a_strip_is_not_enough_once_anything_else_is_shown() {
        let mut stand = Stand::new(250.0);
        stand.feed(1000);
        assert_eq!(stand.draw_strip(), None, "nothing is on the screen yet");
        stand.draw_whole();
        stand.feed(50);
        assert!(stand.draw_strip().is_some_and(|bytes| bytes > 0));
        assert_eq!(stand.draw_strip(), Some(0), "nothing has come since");
        stand.app.is_frozen = true;
        assert_eq!(stand.draw_strip(), None);
        stand.app.is_frozen = false;
        stand.app.looking.is_scrolling = true;
        assert_eq!(stand.draw_strip(), None);
        stand.app.looking.is_scrolling = false;
        stand.feed(2000);
        assert_eq!(stand.draw_strip(), None, "another pass has begun");
    }
}
