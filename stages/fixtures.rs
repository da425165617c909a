//! Stream shapes for tests.
use wavedeck_api::prelude::*;

/// Physical channels `a0`, `a1`, ... in volts at 250 Hz.
pub(crate) fn physical(channels: usize, max_batch: u32) -> StreamSpec {
    StreamSpec {
        kind: SignalKind::Physical,
        channels: (0..channels).map(|c| ChannelSpec::physical(format!("a{c}"), "V")).collect(),
        rate: Rate::new(250, 1).expect("positive"),
        max_batch,
        spectrum: None,
    }
}

/// As [`physical`], in counts of which each is worth one microvolt.
pub(crate) fn counts(channels: usize, max_batch: u32) -> StreamSpec {
    StreamSpec {
        kind: SignalKind::Counts,
        channels: (0..channels).map(|c| ChannelSpec::counts(format!("a{c}"), "uV", 1.0)).collect(),
        ..physical(channels, max_batch)
    }
}
