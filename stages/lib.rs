//! The built-in stages, one file each. Adding one is a new file and one `mod` line here.

pub mod cyton;
pub mod downsample;
pub mod dsp;
pub mod fft;
pub mod filter;
#[cfg(test)]
mod fixtures;
pub mod gain;
pub mod hash;
pub mod null;
pub mod record;
pub mod replay;
pub mod synthetic;
pub mod to_voltage;
pub mod websocket_sink;

/// Called by the program so that the linker keeps this crate: a library that nobody names is left out, and its
/// registrations with it.
pub fn link() {}
