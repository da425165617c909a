//! The numbers beside the waves, taken a few times a second so that they can be read.
use std::time::Duration;

use super::{
    app::App,
    history::{History, Numbers},
};

/// Time between two readings.
const APART: Duration = Duration::from_millis(250);

/// Numbers of the channels on the page.
#[derive(Clone, Debug, Default)]
pub struct Readout {
    taken: Option<Duration>,
    first: usize,
    values: Vec<Option<f64>>,
    clipped: Vec<bool>,
    beyond: Vec<bool>,
    /// Numbers of the chosen channel over the screen.
    pub chosen: Option<Numbers>,
}

impl Readout {
    /// Takes the numbers anew if it is time or another page is shown. True if it did.
    pub fn notice(&mut self, app: &App, history: &History) -> bool {
        let page = app.page();
        let is_due = self.taken.is_none_or(|taken| app.now.saturating_sub(taken) >= APART);
        if !is_due && self.first == page.start && self.values.len() == page.len() {
            return false;
        }
        self.taken = Some(app.now);
        self.first = page.start;
        self.values = page.clone().map(|channel| history.last(channel)).collect();
        let seconds = app.lanes.seconds();
        self.beyond = page
            .clone()
            .map(|channel| {
                let lane = app.lanes.all.get(channel);
                lane.zip(history.numbers(channel, seconds)).is_some_and(|(lane, n)| {
                    // A tenth of the lane may hang over before it is worth a sign.
                    let reach = lane.scale * 0.6;
                    n.max > lane.middle + reach || n.min < lane.middle - reach
                })
            })
            .collect();
        self.clipped = page.map(|channel| history.is_clipped(channel)).collect();
        self.chosen = history.numbers(app.lanes.chosen, app.lanes.seconds());
        true
    }

    /// Takes the numbers anew at the next occasion.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Value of a channel.
    pub fn value(&self, channel: usize) -> Option<f64> {
        self.values.get(channel.checked_sub(self.first)?).copied().flatten()
    }

    /// True if the wave does not fit into its lane.
    pub fn is_beyond(&self, channel: usize) -> bool {
        channel.checked_sub(self.first).and_then(|at| self.beyond.get(at)).copied().unwrap_or(false)
    }

    /// True if the channel reached the end of its range.
    pub fn is_clipped(&self, channel: usize) -> bool {
        channel.checked_sub(self.first).and_then(|at| self.clipped.get(at)).copied().unwrap_or(false)
    }
}
