//! What a frame is drawn from.
use super::{
    app::App, cost::Cost, history::History, mouse::Regions, rates::Rates, readout::Readout, spectrum::Spectrum,
};
use crate::{overview::Heights, snapshot::Snapshot};

/// All that a frame is drawn from.
pub struct Scene<'a> {
    /// State of the front end.
    pub app: &'a App,
    /// State of the session.
    pub snapshot: &'a Snapshot,
    /// Waves of the watched output.
    pub history: Option<&'a History>,
    /// Spectrum of the chosen channel.
    pub spectrum: Option<&'a Spectrum>,
    /// The whole file that is replayed.
    pub overview: Option<&'a Heights>,
    /// Numbers beside the waves.
    pub readout: &'a Readout,
    /// What moves per second.
    pub rates: &'a Rates,
    /// What the screen itself costs.
    pub cost: Cost,
    /// Takes down where clicks mean something.
    pub regions: &'a Regions,
}
