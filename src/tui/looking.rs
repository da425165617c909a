//! Which moment the waves show: the present as a sweep or a scroll, or what was a while ago, and cursors to measure it.
use wavedeck_api::stage::Level;

use super::{action::Action, app::App, history::History, sweep::Sweep};

/// How the waves are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looking {
    /// The waves run from right to left instead of under a cursor.
    pub is_scrolling: bool,
    /// Seconds before the newest sample at which the screen ends, while the view is frozen.
    pub back_s: f64,
    /// Two moments to measure between, while there are cursors.
    pub cursors: Option<Cursors>,
}

/// Moments by their samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cursors {
    /// The one that moves.
    pub at: f64,
    /// The one that it is measured from.
    pub from: Option<f64>,
}

impl Looking {
    /// Where the columns lie.
    pub fn window(&self, app: &App, history: &History, dots: usize) -> Sweep {
        let seconds = app.lanes.seconds();
        if self.back_s > 0.0 && app.is_frozen {
            let back = (self.back_s * history.rate_hz()) as u64;
            history.page(seconds, dots, history.end().saturating_sub(back))
        } else if self.is_scrolling {
            history.page(seconds, dots, history.end())
        } else {
            history.sweep(seconds, dots)
        }
    }

    /// True if the screen has no cursor that runs.
    pub fn is_page(&self, app: &App) -> bool {
        self.is_scrolling || (self.back_s > 0.0 && app.is_frozen)
    }
}

/// Part of a screen that one press looks further back.
const PART: f64 = 0.1;
/// Part of a screen that one press moves a cursor.
const STEP: f64 = 1.0 / 200.0;

/// Does an action about the moment that is shown.
pub(super) fn act(app: &mut App, action: &Action) {
    match action {
        Action::ToggleScroll => {
            app.looking.is_scrolling = !app.looking.is_scrolling;
            let text = if app.looking.is_scrolling {
                "waves run from right to left: many times the bytes of a sweep"
            } else {
                "waves stay where they are, the cursor runs"
            };
            app.say(Level::Info, text);
        }
        Action::LookBack(parts) if app.looking.cursors.is_none() => look_back(app, f64::from(*parts) * PART),
        Action::LookBack(parts) | Action::MoveCursor(parts) => {
            let step = f64::from(*parts) * STEP * app.lanes.seconds() * app.shown.rate_hz;
            let (first, end) = (app.shown.first as f64, app.shown.end.saturating_sub(1) as f64);
            if let Some(cursors) = &mut app.looking.cursors {
                cursors.at = (cursors.at + step).clamp(first.min(end), end);
            }
        }
        Action::ToggleCursors => {
            app.looking.cursors = match app.looking.cursors {
                Some(_) => None,
                None => {
                    app.is_frozen = true;
                    let screen = app.lanes.seconds() * app.shown.rate_hz;
                    let end = app.shown.end as f64 - app.looking.back_s * app.shown.rate_hz;
                    Some(Cursors { at: (end - screen / 2.0).max(app.shown.first as f64), from: None })
                }
            };
        }
        Action::AnchorCursor => {
            if let Some(cursors) = &mut app.looking.cursors {
                cursors.from = Some(cursors.at);
            }
        }
        _ => {}
    }
}

fn look_back(app: &mut App, screens: f64) {
    let seconds = app.lanes.seconds();
    let most = ((app.shown.end - app.shown.first) as f64 / app.shown.rate_hz.max(1e-9) - seconds).max(0.0);
    let was = app.looking.back_s;
    if screens > 0.0 {
        app.is_frozen = true;
    }
    app.looking.back_s = (was + screens * seconds).clamp(0.0, most);
    let text = match app.looking.back_s {
        0.0 => "the newest there was when the view was frozen".to_owned(),
        back if back == most && screens > 0.0 => format!("{back:.1} s back: no more is kept"),
        back => format!("{back:.1} s back"),
    };
    app.say(Level::Info, text);
}
