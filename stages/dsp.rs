//! Signal processing without ports or packets: what the stages compute with.
pub mod biquad;
pub mod cascade;
pub mod density;
pub mod fir;
pub mod generator;
pub mod lines;
pub mod waveform;
pub mod wide;
