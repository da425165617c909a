//! How the rows and columns of the screen are shared out, in plain numbers.

/// Size of the screen in cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A screen as the waves see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneRoom {
    /// Rows for lanes.
    pub rows: u16,
    /// Rows below the lanes: time axis, marks, and what is going on.
    pub below: u16,
}

/// Smallest screen that is worth dividing.
pub const SMALLEST: Size = Size { width: 60, height: 16 };
/// Rows of a lane at least, unless lanes are dense.
pub const LANE_ROWS: u16 = 2;
/// Columns at the left of a lane, for its name and scale.
pub const LANE_LEFT: u16 = 9;
/// Columns at the right of a lane, for its value.
pub const LANE_RIGHT: u16 = 10;
/// Columns of the side panel.
pub const SIDE_COLUMNS: u16 = 42;
/// Rows of the log panel, its frame included.
pub const LOG_ROWS: u16 = 8;

impl Size {
    /// Too small for more than the state line.
    pub fn is_too_small(self) -> bool {
        self.width < SMALLEST.width || self.height < SMALLEST.height
    }

    /// Wide enough for a side panel.
    pub fn has_side_panel(self) -> bool {
        self.width >= 120
    }

    /// High enough for a log panel.
    pub fn has_log_panel(self) -> bool {
        self.height >= 40
    }

    /// Frames around the panes: there is room to spare.
    pub fn has_frames(self) -> bool {
        self.has_side_panel() && self.has_log_panel()
    }

    /// Rows between the tabs and the message line, the log panel not counted.
    pub fn body_rows(self) -> u16 {
        let log = if self.has_log_panel() { LOG_ROWS } else { 0 };
        self.height.saturating_sub(4 + log)
    }

    /// Columns of the waves, two dots each.
    pub fn wave_columns(self) -> u16 {
        let side = if self.has_side_panel() { SIDE_COLUMNS } else { 0 };
        let frame = if self.has_frames() { 2 } else { 0 };
        self.width.saturating_sub(side + frame + LANE_LEFT + LANE_RIGHT)
    }

    /// Rows for lanes and below them.
    pub fn lane_room(self, is_replay: bool) -> LaneRoom {
        let frame = if self.has_frames() { 2 } else { 0 };
        // A replay has its bar there; where there is a side panel it tells the rest.
        let below = match (self.body_rows() < 18, self.has_frames(), is_replay) {
            (true, _, _) | (_, true, false) => 2,
            // With an overview of the file over the bar.
            (_, true, true) => 5,
            (_, false, _) => 4,
        };
        LaneRoom { rows: self.body_rows().saturating_sub(frame + below), below }
    }
}

impl LaneRoom {
    /// Lanes that fit on a page, of one row each if they are dense.
    pub fn lanes(self, is_dense: bool) -> usize {
        let rows = if is_dense { 1 } else { LANE_ROWS };
        usize::from((self.rows / rows).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_lanes_of_two_rows_fit_on_the_smallest_common_terminal() {
        let lanes = |width, height| Size { width, height }.lane_room(false).lanes(false);
        assert_eq!(lanes(80, 24), 8);
        assert_eq!(lanes(160, 48), 16);
        assert_eq!(lanes(1, 1), 1);
    }
}
