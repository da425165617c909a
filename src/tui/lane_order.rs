//! Which channels have a lane, in which order, and what they are called on the screen.

/// The order of lanes. The recording knows nothing of it: there every channel is in its place under its own name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneOrder {
    /// All channels.
    order: Vec<usize>,
    /// By channel.
    hidden: Vec<bool>,
    names: Vec<Option<String>>,
    /// Only one lane.
    is_solo: bool,
}

impl LaneOrder {
    /// All channels as they come.
    pub fn of(channels: usize) -> Self {
        Self {
            order: (0..channels).collect(),
            hidden: vec![false; channels],
            names: vec![None; channels],
            is_solo: false,
        }
    }

    /// Channels with a lane from top to bottom; `chosen` alone if one is to be alone.
    pub fn shown(&self, chosen: usize) -> Vec<usize> {
        if self.is_solo {
            return self.order.iter().copied().filter(|channel| *channel == chosen).collect();
        }
        self.order.iter().copied().filter(|channel| !self.hidden[*channel]).collect()
    }

    /// Channels without a lane.
    pub fn hidden(&self) -> usize {
        self.hidden.iter().filter(|hidden| **hidden).count()
    }

    /// True if one lane has all the room.
    pub fn is_solo(&self) -> bool {
        self.is_solo
    }

    /// Gives one lane all the room, or the others theirs back.
    pub fn toggle_solo(&mut self) -> bool {
        self.is_solo = !self.is_solo;
        self.is_solo
    }

    /// Takes the lane of a channel away; the channel to be chosen then, or `None` if it is the last one.
    pub fn hide(&mut self, channel: usize) -> Option<usize> {
        let shown: Vec<usize> = self.order.iter().copied().filter(|at| !self.hidden[*at]).collect();
        let place = shown.iter().position(|at| *at == channel)?;
        let next = shown.get(place + 1).or_else(|| shown.get(place.checked_sub(1)?))?;
        self.hidden[channel] = true;
        Some(*next)
    }

    /// Gives every channel a lane, in the order of the device.
    pub fn show_all(&mut self) {
        let names = std::mem::take(&mut self.names);
        *self = Self { names, ..Self::of(self.order.len()) };
    }

    /// Moves a lane past the one shown above or below it.
    pub fn shift(&mut self, channel: usize, down: bool) {
        let shown: Vec<usize> = self.order.iter().copied().filter(|at| !self.hidden[*at]).collect();
        let Some(place) = shown.iter().position(|at| *at == channel) else { return };
        let other = if down { shown.get(place + 1) } else { place.checked_sub(1).and_then(|above| shown.get(above)) };
        let at = |channel: usize| self.order.iter().position(|at| *at == channel);
        if let (Some(here), Some(there)) = (at(channel), other.and_then(|other| at(*other))) {
            let moved = self.order.remove(here);
            self.order.insert(there, moved);
        }
    }

    /// Calls a channel something else on this screen, or by its own name again if the text is empty.
    pub fn rename(&mut self, channel: usize, name: &str) {
        if let Some(slot) = self.names.get_mut(channel) {
            *slot = (!name.is_empty()).then(|| name.to_owned());
        }
    }

    /// What a channel is called here.
    pub fn name<'a>(&'a self, channel: usize, own: &'a str) -> &'a str {
        self.names.get(channel).and_then(Option::as_deref).unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_lanes_leave_their_room_and_the_last_one_stays() {
        let mut order = LaneOrder::of(3);
        assert_eq!(order.hide(1), Some(2));
        assert_eq!(order.shown(2), [0, 2]);
        assert_eq!(order.hide(2), Some(0));
        assert_eq!(order.hide(0), None);
        assert_eq!((order.shown(0), order.hidden()), (vec![0], 2));
        order.show_all();
        assert_eq!(order.shown(0), [0, 1, 2]);
    }

    #[test]
    fn a_lane_moves_past_what_is_shown() {
        let mut order = LaneOrder::of(4);
        order.hide(1);
        order.shift(0, true);
        assert_eq!(order.shown(0), [2, 0, 3]);
        order.shift(0, true);
        order.shift(0, true);
        assert_eq!(order.shown(0), [2, 3, 0]);
        order.shift(2, false);
        assert_eq!(order.shown(0), [2, 3, 0]);
        order.shift(0, false);
        assert_eq!(order.shown(0), [2, 0, 3]);
    }

    #[test]
    fn one_lane_alone_is_the_chosen_one() {
        let mut order = LaneOrder::of(3);
        assert!(order.toggle_solo());
        assert_eq!(order.shown(2), [2]);
        assert!(!order.toggle_solo());
        assert_eq!(order.shown(2).len(), 3);
    }

    #[test]
    fn a_name_is_only_another_one_until_it_is_empty() {
        let mut order = LaneOrder::of(1);
        order.rename(0, "left ear");
        assert_eq!(order.name(0, "CH1"), "left ear");
        order.rename(0, "");
        assert_eq!(order.name(0, "CH1"), "CH1");
    }
}
