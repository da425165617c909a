//! What keys do to the spectrum: which window, which frequencies, and a cursor.
use wavedeck_api::stage::Level;

use super::{
    action::Action,
    app::App,
    form::Way,
    scale,
    spectrum::{SIZES, usual_size},
};
use crate::snapshot::Snapshot;

/// What is shown of the spectrum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpectrumChoice {
    /// Samples of a window; the usual if `None`.
    pub size: Option<usize>,
    /// Rungs below half the rate at which the frequencies end.
    pub zoom: usize,
    /// Cursor as a share of the frequencies shown.
    pub cursor: Option<f64>,
    /// Peak that the cursor was moved to last.
    pub peak: Option<usize>,
}

/// Lowest share of half the rate that can be all that is shown.
const MOST_ZOOM: usize = 7;
/// Part of the frequencies that the cursor moves by: about a column.
const CURSOR_STEP: f64 = 1.0 / 120.0;

impl SpectrumChoice {
    /// Highest frequency shown of a signal with frequencies up to `nyquist_hz`.
    pub fn top_hz(&self, nyquist_hz: f64) -> f64 {
        (0..self.zoom).fold(nyquist_hz, |hz, _| scale::previous_rung(hz))
    }
}

/// Does an action about the spectrum.
pub(super) fn act(app: &mut App, snapshot: &Snapshot, action: &Action) {
    let Some((rate_hz, channels)) = app.output(snapshot).map(|o| (o.spec.rate.hz(), o.spec.channels.len())) else {
        return;
    };
    let choice = &mut app.spectrum;
    match action {
        Action::Window(way) => {
            let now = choice.size.unwrap_or_else(|| usual_size(rate_hz, channels));
            let size = match way {
                Way::Back => (now / 2).max(*SIZES.start()),
                Way::On => (now * 2).min(*SIZES.end()),
            };
            choice.size = Some(size);
            let text = format!(
                "windows of {size} samples: {:.2} s, a bin each {}",
                size as f64 / rate_hz,
                scale::hertz(rate_hz / size as f64)
            );
            app.say(Level::Info, text);
        }
        Action::Frequencies(way) => {
            choice.zoom = match way {
                Way::Back => (choice.zoom + 1).min(MOST_ZOOM),
                Way::On => choice.zoom.saturating_sub(1),
            };
            let text = format!("0 to {}", scale::hertz(choice.top_hz(rate_hz / 2.0)));
            app.say(Level::Info, text);
        }
        Action::FrequencyCursor(steps) => {
            let from = choice.cursor.unwrap_or(0.5);
            choice.cursor = Some((from + f64::from(*steps) * CURSOR_STEP).clamp(0.0, 1.0));
            choice.peak = None;
        }
        Action::NextPeak => choice.peak = Some(choice.peak.map_or(0, |peak| peak + 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zooming_goes_down_the_ladder_from_half_the_rate() {
        let top = |zoom| SpectrumChoice { zoom, ..SpectrumChoice::default() }.top_hz(125.0);
        assert_eq!([0, 1, 2, 3].map(top), [125.0, 50.0, 20.0, 10.0]);
    }
}
