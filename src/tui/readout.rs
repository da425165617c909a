//! The numbers beside the waves, taken a few times a second so that they can be read.
use std::time::Duration;

use super::{
    app::App,
    history::{Flag, History, Numbers},
};

/// Time between two readings.
const APART: Duration = Duration::from_millis(250);

/// Numbers of the channels on the page.
#[derive(Clone, Debug, Default)]
pub struct Readout {
    taken: Option<Duration>,
    channels: Vec<usize>,
    values: Vec<Option<f64>>,
    flags: Vec<Option<Flag>>,
    beyond: Vec<bool>,
    /// Numbers of the chosen channel over the screen.
    pub chosen: Option<Numbers>,
}

impl Readout {
    /// Takes the numbers anew if it is time or another page is shown. True if it did.
    pub fn notice(&mut self, app: &App, history: &History) -> bool {
        let page = app.page().channels;
        let is_due = self.taken.is_none_or(|taken| app.now.saturating_sub(taken) >= APART);
        if !is_due && self.channels == page {
            return false;
        }
        self.taken = Some(app.now);
        self.values = page.iter().map(|channel| history.last(*channel)).collect();
        let seconds = app.lanes.seconds();
        self.beyond = page
            .iter()
            .map(|&channel| {
                let lane = app.lanes.all.get(channel);
                lane.zip(history.numbers(channel, seconds)).is_some_and(|(lane, n)| {
                    // A tenth of the lane may hang over before it is worth a sign.
                    let reach = lane.scale * 0.6;
                    n.max > lane.middle + reach || n.min < lane.middle - reach
                })
            })
            .collect();
        self.flags = page.iter().map(|channel| history.flag(*channel)).collect();
        self.channels = page;
        self.chosen = history.numbers(app.lanes.chosen, app.lanes.seconds());
        true
    }

    /// Takes the numbers anew at the next occasion.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Value of a channel.
    pub fn value(&self, channel: usize) -> Option<f64> {
        self.values.get(self.place(channel)?).copied().flatten()
    }

    /// True if the wave does not fit into its lane.
    pub fn is_beyond(&self, channel: usize) -> bool {
        self.place(channel).and_then(|at| self.beyond.get(at)).copied().unwrap_or(false)
    }

    /// What is wrong with the channel.
    pub fn flag(&self, channel: usize) -> Option<Flag> {
        self.flags.get(self.place(channel)?).copied().flatten()
    }

    fn place(&self, channel: usize) -> Option<usize> {
        self.channels.iter().position(|at| *at == channel)
    }
}
