//! The terminal front end: one loop, one vocabulary. What a person does becomes an action, an action changes the
//! state of the front end and asks effects of the session, and each frame is drawn from that state and a snapshot.
pub mod action;
pub mod advance;
pub mod app;
mod backend;
pub mod bindings;
pub mod cost;
mod feed;
pub mod finding;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod form;
pub mod history;
mod ink;
pub mod input;
pub mod key;
mod lane_keys;
pub mod lane_order;
pub mod lanes;
pub mod layout;
pub mod line_edit;
pub mod log_line;
pub mod looking;
pub mod mouse;
mod pace;
pub mod painter;
pub mod palette;
mod pen;
mod perform;
pub mod rates;
pub mod readout;
mod replaying;
mod run;
pub mod saving;
pub mod scale;
pub mod scene;
pub mod screen;
pub mod silence;
pub mod spectrum;
pub mod spectrum_keys;
pub mod sweep;
mod terminal;
pub mod theme;
pub mod trends;
pub mod update;
mod views;
pub mod wave;

use std::{sync::Arc, time::Instant};

use anyhow::Context;

pub use theme::{Colour, Glyphs};

use crate::{signals::Signals, station::Station};

/// How the screen is shown.
#[derive(Clone, Copy, Debug)]
pub struct ScreenOptions {
    /// Signs; found out from the environment if `None`.
    pub glyphs: Option<Glyphs>,
    /// Colours; found out from the environment if `None`.
    pub colour: Option<Colour>,
    /// Dark signs on a light background; found out from the environment if `None`.
    pub is_light: Option<bool>,
    /// Clicks and the wheel are heard; the terminal's own selection then needs shift.
    pub has_mouse: bool,
    /// Frames per second at most, 1 to 240.
    pub fps: u32,
    /// When to end by itself.
    pub deadline: Option<Instant>,
}

impl Default for ScreenOptions {
    fn default() -> Self {
        Self { glyphs: None, colour: None, is_light: None, has_mouse: true, fps: 30, deadline: None }
    }
}

/// Why the screen ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A person quit; a recording that was open has been asked to finish.
    Quit,
    /// The deadline came.
    TimeIsUp,
    /// A signal asked the program to end.
    Terminated,
    /// A person left the screen; the recording goes on without one.
    Detached,
    /// The terminal is gone.
    HungUp,
}

/// Shows a session until a person quits, a signal comes, the deadline passes or the terminal vanishes. The terminal
/// is given back in every case. Never ends the session and never stops a recording by itself.
///
/// # Errors
/// If the terminal cannot be taken over.
pub fn run(station: Arc<dyn Station>, options: &ScreenOptions, signals: &Signals) -> anyhow::Result<Outcome> {
    let mut terminal = terminal::Terminal::enter().context("the terminal cannot be used")?;
    run::Desk::new(station, options, &terminal).work(&mut terminal, signals)
}
