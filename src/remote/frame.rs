//! Data as it goes over the wire: a head of 40 bytes and values, little-endian.
//!
//! `"WD"`, `u8` version, `u8` kind, `u16` stream (the number of the subscription), `u16` channels, `u32` frames, `u64` seq,
//! `u64` first_sample, `u64` unix_ns, `u32` dropped; then the values frame by frame. `seq` counts the frames sent to this
//! client from 0 on, over all its subscriptions, and `dropped` the samples of its streams that it has missed in all.
use bytes::Bytes;
use wavedeck_api::signal::SignalKind;

/// Bytes before the values.
pub const HEAD_BYTES: usize = 40;
/// Version of the format.
const VERSION: u8 = 1;
/// Bits that stand beside the kind for subscribers who asked for `flags`: a replay has jumped right before this frame.
pub const SEEKED: u8 = 0x80;
/// The same: the pipeline was paused right before this frame.
pub const RESUMED: u8 = 0x40;

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `i32` counts.
    Counts = 1,
    /// `f32` in the unit of the channel.
    Physical = 2,
    /// `f32` power spectral density; a frame has `channels * bins` values.
    Spectrum = 3,
}

impl From<SignalKind> for Kind {
    fn from(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Counts => Self::Counts,
            SignalKind::Physical => Self::Physical,
            SignalKind::Spectrum => Self::Spectrum,
        }
    }
}

/// Values that go to every client that asked for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the values are.
    pub kind: Kind,
    /// [`SEEKED`], [`RESUMED`].
    pub flags: u8,
    /// Channels of a frame; two for each channel of the stream where minima and maxima are sent.
    pub channels: u16,
    /// Frames.
    pub frames: u32,
    /// Index of the first sample in its stream.
    pub first_sample: u64,
    /// Wall time of that sample.
    pub unix_ns: u64,
    /// Samples of the stream that this stands for; what is missed with it.
    pub samples: u64,
    /// The values.
    pub body: Box<[u8]>,
}

impl Frame {
    /// Bytes of the whole message.
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + self.body.len()
    }

    /// The message to one client.
    pub fn message(&self, subscription: u16, has_flags: bool, seq: u64, missed: u64) -> Bytes {
        let mut message = Vec::with_capacity(self.bytes());
        message.extend_from_slice(b"WD");
        message.extend_from_slice(&[VERSION, self.kind as u8 | if has_flags { self.flags } else { 0 }]);
        message.extend_from_slice(&subscription.to_le_bytes());
        message.extend_from_slice(&self.channels.to_le_bytes());
        message.extend_from_slice(&self.frames.to_le_bytes());
        message.extend_from_slice(&seq.to_le_bytes());
        message.extend_from_slice(&self.first_sample.to_le_bytes());
        message.extend_from_slice(&self.unix_ns.to_le_bytes());
        message.extend_from_slice(&u32::try_from(missed).unwrap_or(u32::MAX).to_le_bytes());
        message.extend_from_slice(&self.body);
        message.into()
    }
}

/// Appends a value of that kind.
pub(super) fn put(body: &mut Vec<u8>, kind: Kind, value: f64) {
    body.extend_from_slice(&match kind {
        Kind::Counts => (value as i32).to_le_bytes(),
        Kind::Physical | Kind::Spectrum => (value as f32).to_le_bytes(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_byte_by_byte() {
        let mut body = Vec::new();
        put(&mut body, Kind::Counts, -2.0);
        put(&mut body, Kind::Counts, 8_388_607.0);
        let frame = Frame {
            kind: Kind::Counts,
            flags: RESUMED,
            channels: 2,
            frames: 1,
            first_sample: 0x0102,
            unix_ns: 3,
            samples: 1,
            body: body.into(),
        };
        let expected = [
            b'W', b'D', 1, 1, 5, 0, 2, 0, 1, 0, 0, 0, // stream 5, two channels, one frame
            7, 0, 0, 0, 0, 0, 0, 0, // seq
            2, 1, 0, 0, 0, 0, 0, 0, // first_sample
            3, 0, 0, 0, 0, 0, 0, 0, // unix_ns
            255, 255, 255, 255, // dropped, more than fits
            254, 255, 255, 255, 255, 255, 127, 0,
        ];
        assert_eq!(frame.message(5, false, 7, u64::MAX).as_ref(), expected);
        assert_eq!(frame.message(5, true, 7, 0)[3], 0x41);
        assert_eq!(frame.bytes(), expected.len());
    }
}
