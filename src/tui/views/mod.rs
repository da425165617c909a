//! One file per pane; each only draws.
pub(super) mod cursors;
pub(super) mod header;
pub(super) mod help;
pub(super) mod keys;
pub(super) mod log;
pub(super) mod monitor;
pub(super) mod palette;
pub(super) mod params;
pub(super) mod pipeline;
pub(super) mod popups;
pub(super) mod recordings;
pub(super) mod scrub;
pub(super) mod side;
pub(super) mod spectrum;
