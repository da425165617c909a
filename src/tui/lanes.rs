//! How the channels are drawn: time base, chosen channel, and scale and centre of each lane.
use super::{
    history::{History, Numbers},
    lane_order::LaneOrder,
    scale,
};

/// Seconds per screen that can be chosen.
pub const TIME_BASES: [f64; 6] = [2.0, 5.0, 10.0, 20.0, 30.0, 60.0];
/// Seconds of signal after which scales are chosen from all there is so far. The last time is when filters have
/// settled; then scales stay.
const LOOKS_S: [f64; 3] = [0.02, 0.4, 4.0];
/// Seconds at the beginning that are not looked at any more once there is so much.
const SETTLING_S: f64 = 1.0;

/// Seconds of signal that a middle follows.
const FOLLOWED_S: f64 = 2.0;

/// Scale and centre of one lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// Height of the lane in the unit of its channel.
    pub scale: f64,
    /// Value in the middle of the lane.
    pub middle: f64,
    /// A person chose the scale: it is not changed any more.
    pub is_chosen: bool,
}

/// What the middle of a lane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Middle {
    /// The middle of what the channel did when it was last looked at; moves at the start of a pass only, and only if
    /// the wave would leave its lane.
    #[default]
    Recent,
    /// Zero.
    Zero,
}

/// The lanes of the output that is looked at.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// One per channel.
    pub all: Vec<Lane>,
    /// Channel that keys act on.
    pub chosen: usize,
    /// Index into [`TIME_BASES`].
    pub time_base: usize,
    /// What the middles are.
    pub middle: Middle,
    /// Which of them are shown, and where.
    pub order: LaneOrder,
    /// One row for each lane instead of two.
    pub is_dense: bool,
    /// Looks taken.
    looks: usize,
    fit_wanted: bool,
    restarts: u64,
    pass: f64,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            chosen: 0,
            time_base: 2,
            middle: Middle::Recent,
            order: LaneOrder::default(),
            is_dense: false,
            looks: 0,
            fit_wanted: false,
            restarts: 0,
            pass: 0.0,
        }
    }
}

impl Lanes {
    /// Seconds per screen.
    pub fn seconds(&self) -> f64 {
        TIME_BASES.get(self.time_base).copied().unwrap_or(10.0)
    }

    /// Begins anew for another stream of so many channels; time base and middle stay.
    pub fn reset(&mut self, channels: usize) {
        let lane = Lane { scale: 1.0, middle: 0.0, is_chosen: false };
        self.all = vec![lane; channels];
        self.order = LaneOrder::of(channels);
        self.chosen = self.chosen.min(channels.saturating_sub(1));
        self.looks = 0;
        self.fit_wanted = false;
        self.restarts = 0;
        self.pass = 0.0;
    }

    /// Channels with a lane, from top to bottom.
    pub fn shown(&self) -> Vec<usize> {
        self.order.shown(self.chosen)
    }

    /// Asks for all scales to be chosen anew when the next data is looked at.
    pub fn want_fit(&mut self) {
        self.fit_wanted = true;
    }

    /// Looks at the data: chooses scales when asked or when they were never chosen, and moves a middle at the start of
    /// a pass if the signal would leave its lane. True if all scales were chosen because someone asked.
    pub fn settle(&mut self, history: &History) -> bool {
        let seen = history.seen_s();
        if history.restarts() != self.restarts {
            self.restarts = history.restarts();
            self.pass = 0.0;
            if seen > 0.0 {
                self.centre_all(history);
            }
        }
        if seen < LOOKS_S[0] {
            return false;
        }
        let asked = std::mem::take(&mut self.fit_wanted);
        let due = LOOKS_S.iter().filter(|after| **after <= seen).count();
        if asked {
            self.fit(history, self.seconds().min(10.0), true);
            self.looks = LOOKS_S.len();
        } else if due > self.looks {
            let looked_at = if seen > 2.0 * SETTLING_S { seen - SETTLING_S } else { seen };
            self.fit(history, looked_at.min(10.0), false);
            self.looks = due;
        }
        let pass = (history.end() as f64 / (self.seconds() * history.rate_hz())).floor();
        if pass != self.pass {
            self.pass = pass;
            self.follow(history);
        }
        asked
    }

    fn fit(&mut self, history: &History, seconds: f64, even_chosen: bool) {
        for (channel, lane) in self.all.iter_mut().enumerate() {
            let Some(numbers) = history.numbers(channel, seconds) else { continue };
            if even_chosen || !lane.is_chosen {
                let swing = match self.middle {
                    Middle::Recent => numbers.max - numbers.min,
                    Middle::Zero => numbers.max.abs().max(numbers.min.abs()) * 2.0,
                };
                // A wave that touches the edges of its lane is easier to read than one that uses half of it.
                let wanted = if swing > 0.0 { swing * 0.95 } else { (numbers.mean.abs() * 0.01).max(1e-3) };
                lane.scale = scale::rung_above(wanted).clamp(*scale::SCALES.start(), *scale::SCALES.end());
                lane.is_chosen = false;
            }
            lane.middle = middle(self.middle, &numbers, lane.scale);
        }
    }

    fn centre_all(&mut self, history: &History) {
        for (channel, lane) in self.all.iter_mut().enumerate() {
            if let Some(numbers) = history.numbers(channel, 1.0) {
                lane.middle = middle(self.middle, &numbers, lane.scale);
            }
        }
    }

    fn follow(&mut self, history: &History) {
        for (channel, lane) in self.all.iter_mut().enumerate() {
            let Some(numbers) = history.numbers(channel, FOLLOWED_S) else { continue };
            let beyond = (numbers.min + numbers.max) / 2.0 - lane.middle;
            if self.middle == Middle::Recent && beyond.abs() > lane.scale / 4.0 {
                lane.middle = middle(self.middle, &numbers, lane.scale);
            }
        }
    }

    /// Changes the scale of the chosen lane by one rung; its new value.
    pub fn change_scale(&mut self, larger: Rung) -> Option<f64> {
        let lane = self.all.get_mut(self.chosen)?;
        let rung = match larger {
            Rung::Larger => scale::next_rung(lane.scale),
            Rung::Smaller => scale::previous_rung(lane.scale),
        };
        lane.scale = rung.clamp(*scale::SCALES.start(), *scale::SCALES.end());
        lane.is_chosen = true;
        Some(lane.scale)
    }

    /// Gives the scale of the chosen lane to every lane for which `same_unit` says so.
    pub fn share_scale(&mut self, same_unit: impl Fn(usize) -> bool) -> Option<f64> {
        let scale = self.all.get(self.chosen)?.scale;
        for (_, lane) in self.all.iter_mut().enumerate().filter(|(channel, _)| same_unit(*channel)) {
            lane.scale = scale;
            lane.is_chosen = true;
        }
        Some(scale)
    }

    /// Changes what the middles are; the next look at the data places them.
    pub fn toggle_middle(&mut self) -> Middle {
        self.middle = match self.middle {
            Middle::Recent => Middle::Zero,
            Middle::Zero => Middle::Recent,
        };
        if self.middle == Middle::Zero {
            self.all.iter_mut().for_each(|lane| lane.middle = 0.0);
        } else {
            // Looked at as if a pass had begun: whatever left its lane comes back.
            self.pass = -1.0;
        }
        self.middle
    }
}

/// Which way a scale goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// More units per lane: the wave gets smaller.
    Larger,
    /// Fewer units per lane: the wave gets larger.
    Smaller,
}

/// A round value near the middle of the range, so that the label is exact.
fn middle(what: Middle, numbers: &Numbers, scale: f64) -> f64 {
    match what {
        Middle::Zero => 0.0,
        Middle::Recent => {
            let step = scale / 20.0;
            (f64::midpoint(numbers.min, numbers.max) / step).round() * step
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    fn seen(seconds: f64, value: impl Fn(u64) -> f32) -> History {
        let mut history = History::new(&fixtures::stream(2, 250.0));
        fixtures::feed(&mut history, 0, (seconds * 250.0) as u64, |sample, channel| {
            value(sample) * (channel + 1) as f32
        });
        history
    }

    #[test]
    fn scales_are_chosen_from_the_first_data_and_then_kept() {
        let mut lanes = Lanes::default();
        lanes.reset(2);
        let wave = |sample: u64| 1000.0 + 40.0 * (sample as f32 * 0.3).sin();

        lanes.settle(&seen(4.0, wave));

        assert_eq!(lanes.all[0].scale, 100.0);
        assert!((lanes.all[0].middle - 1000.0).abs() <= 5.0, "{:?}", lanes.all[0]);
        let before = lanes.all.clone();
        lanes.settle(&seen(5.0, |sample| wave(sample) * 1.001));
        lanes.settle(&seen(9.0, |sample| 3.0 * (wave(sample) - 1000.0) + 1000.0));
        assert_eq!(lanes.all[0].scale, before[0].scale);
    }

    #[test]
    fn fitting_is_said_to_have_been_asked_for() {
        let mut lanes = Lanes::default();
        lanes.reset(2);
        let history = seen(4.0, |sample| (sample % 7) as f32);

        assert!(!lanes.settle(&history));
        lanes.change_scale(Rung::Larger);
        lanes.want_fit();

        assert!(lanes.settle(&history));
        assert_eq!(lanes.all[0].scale, 10.0);
        assert!(!lanes.settle(&history));
    }

    #[test]
    fn a_constant_channel_has_a_scale_too() {
        let mut lanes = Lanes::default();
        lanes.reset(2);
        lanes.settle(&seen(1.0, |_| 0.0));
        assert!(lanes.all.iter().all(|lane| lane.scale > 0.0));
    }

    #[test]
    fn a_middle_follows_a_drift_at_the_next_pass_only() {
        let mut lanes = Lanes::default();
        lanes.reset(2);
        let drift = |sample: u64| if sample < 1250 { (sample % 10) as f32 } else { 500.0 };
        lanes.settle(&seen(1.0, drift));
        lanes.settle(&seen(4.5, drift));
        let before = lanes.all[0].middle;

        lanes.settle(&seen(9.0, drift));
        assert_eq!(lanes.all[0].middle, before);
        lanes.settle(&seen(10.1, drift));

        assert!((lanes.all[0].middle - 500.0).abs() < 10.0);
    }
}
