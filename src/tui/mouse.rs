//! What a click means: regions of the screen, told by what drew them, so that a click never does what is not shown.
use std::cell::{Cell, RefCell};

use ratatui::layout::Rect;

use super::{
    action::{Action, Entry},
    app::{App, View},
    key::Key,
    replaying,
    sweep::Sweep,
    update::{self, Effect},
};
use crate::snapshot::Snapshot;

/// What was done with a mouse at a cell, counted from 0 at the upper left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// What was done.
    pub what: What,
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
}

/// What can be done with a mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The left button was pressed.
    Press,
    /// The wheel was turned away from the person.
    WheelUp,
    /// The wheel was turned towards the person.
    WheelDown,
}

/// What a click on a region does.
#[derive(Clone, Copy)]
pub enum Click {
    /// What a key would do.
    Entry(&'static Entry),
    /// Shows a view.
    Show(View),
    /// Chooses a channel; a cursor that is there goes to the place.
    Channel(usize, Span),
    /// Moves the replay to this part of it.
    Scrub,
}

/// Samples that a lane shows from its left edge to its right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The wave begins so many columns right of the region's edge.
    pub left: u16,
    /// Columns of the wave.
    pub width: u16,
    /// First sample, if all columns are of one pass.
    pub first: f64,
    /// Samples of the whole width; 0 where a column has no one sample.
    pub samples: f64,
}

/// Where clicks mean something, as of the last frame; what was drawn later lies on top.
#[derive(Default)]
pub struct Regions {
    all: RefCell<Vec<(Rect, Click)>>,
    /// What the lanes show.
    sweep: Cell<Option<Sweep>>,
}

impl Regions {
    /// Adds a region.
    pub fn add(&self, area: Rect, click: Click) {
        self.all.borrow_mut().push((area, click));
    }

    /// Takes note of what the lanes show.
    pub fn set_sweep(&self, sweep: Sweep) {
        self.sweep.set(Some(sweep));
    }

    /// What the lanes show, if there are any.
    pub fn sweep(&self) -> Option<Sweep> {
        self.sweep.get()
    }

    /// Channels that have a lane, and where its wave is.
    pub fn waves(&self) -> Vec<(usize, Rect)> {
        let wave = |(area, click): &(Rect, Click)| match click {
            Click::Channel(channel, span) => {
                let rest = area.width.saturating_sub(span.left);
                Some((*channel, Rect { x: area.x + span.left.min(area.width), width: span.width.min(rest), ..*area }))
            }
            _ => None,
        };
        self.all.borrow().iter().filter_map(wave).collect()
    }

    fn find(&self, x: u16, y: u16) -> Option<(Rect, Click)> {
        self.all.borrow().iter().rev().find(|(area, _)| area.contains((x, y).into())).copied()
    }
}

/// Does what a click or a turn of the wheel means.
pub fn mouse(app: &mut App, snapshot: &Snapshot, regions: &Regions, mouse: Mouse) -> Vec<Effect> {
    match mouse.what {
        What::WheelUp => return update::press(app, snapshot, Key::Up),
        What::WheelDown => return update::press(app, snapshot, Key::Down),
        What::Press => {}
    }
    let Some((area, click)) = regions.find(mouse.x, mouse.y) else { return Vec::new() };
    match click {
        Click::Entry(entry) => return update::act(app, snapshot, entry),
        // What lies on top is answered first.
        _ if !app.layers.is_empty() => {}
        Click::Show(view) => return update::update(app, snapshot, Action::Show(view)),
        Click::Channel(channel, span) => {
            app.lanes.chosen = channel;
            let column = f64::from(mouse.x.saturating_sub(area.x + span.left));
            if let Some(cursors) = app.looking.cursors.as_mut().filter(|_| span.samples > 0.0) {
                cursors.at = span.first + (column + 0.5) / f64::from(span.width.max(1)) * span.samples;
            }
        }
        Click::Scrub => {
            let share = f64::from(mouse.x - area.x) / f64::from(area.width.saturating_sub(1).max(1));
            if let Some(transport) = &snapshot.transport {
                return replaying::go_to(app, transport, share * transport.duration_s);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use wavedeck_api::handle::TransportCommand;

    use super::{super::fixtures, *};

    fn press(x: u16, y: u16) -> Mouse {
        Mouse { what: What::Press, x, y }
    }

    #[test]
    fn a_click_does_what_was_drawn_there_last() {
        let (mut app, snapshot) = (App::default(), fixtures::replay());
        app.notice(&snapshot);
        let regions = Regions::default();
        regions.add(Rect::new(0, 0, 80, 24), Click::Show(View::Log));
        regions.add(Rect::new(0, 5, 101, 1), Click::Scrub);

        let effects = mouse(&mut app, &snapshot, &regions, press(50, 5));
        let at_s = snapshot.transport.as_ref().map_or(0.0, |transport| transport.duration_s) / 2.0;
        let is_there = |effect: &Effect| {
            matches!(effect, Effect::Transport(TransportCommand::Show { at_s: at, .. } | TransportCommand::Seek(at))
                if (at - at_s).abs() < 1e-6)
        };
        assert!(effects.iter().any(is_there), "{effects:?}");
        mouse(&mut app, &snapshot, &regions, press(1, 1));
        assert_eq!(app.view, View::Log);
        assert_eq!(mouse(&mut app, &snapshot, &regions, press(200, 1)), []);
    }

    #[test]
    fn what_lies_on_top_keeps_clicks_from_what_is_below() {
        let (mut app, snapshot) = (App::default(), fixtures::recording());
        app.notice(&snapshot);
        update::press(&mut app, &snapshot, Key::Char('q'));
        let regions = Regions::default();
        regions.add(Rect::new(0, 0, 80, 24), Click::Show(View::Log));
        mouse(&mut app, &snapshot, &regions, press(1, 1));
        assert_eq!((app.view, app.layers.len()), (View::Monitor, 1));
    }
}
