//! Counts as bytes that compress well: per channel the zig-zag difference to the sample before, all
//! lowest bytes first, then all second bytes, and so on.
//!
//! A batch decodes alone. With `total = channels * frames`, byte `b` of the value of channel `c` at frame
//! `f` stands at `b * total + c * frames + f`.

/// Frames that are turned over at a time: those of 256 channels stay in the first cache.
const RUN: usize = 32;

/// Appends the encoding of `samples` (frame by frame, `channels` each) to `out`: four bytes per sample.
///
/// # Panics
/// If `samples` is not a whole number of frames.
pub(crate) fn encode_planar(samples: &[i32], channels: usize, out: &mut Vec<u8>) {
    assert!(channels > 0 && samples.len().is_multiple_of(channels), "samples must be whole frames");
    let total = samples.len();
    if total == 0 {
        return;
    }
    let frames = total / channels;
    let start = out.len();
    out.resize(start + total * 4, 0);
    let (low, high) = out[start..].split_at_mut(total * 2);
    let ((b0, b1), (b2, b3)) = (low.split_at_mut(total), high.split_at_mut(total));
    let mut planes = [b0, b1, b2, b3];
    for first in (0..frames).step_by(RUN) {
        let n = RUN.min(frames - first);
        let (done, rows) = samples.split_at(first * channels);
        for channel in 0..channels {
            let mut column = [0; RUN];
            column.iter_mut().zip(rows[channel..].iter().step_by(channels)).for_each(|(to, from)| *to = *from);
            let before = done.get((done.len() + channel).wrapping_sub(channels)).copied().unwrap_or(0);
            let values = differences(&column, before);
            let begin = channel * frames + first;
            for (byte, plane) in planes.iter_mut().enumerate() {
                let mut bytes = [0; RUN];
                bytes.iter_mut().zip(&values).for_each(|(to, value)| *to = (value >> (8 * byte)) as u8);
                plane[begin..begin + n].copy_from_slice(&bytes[..n]);
            }
        }
    }
}

/// Of each sample to the one before it, without a sign.
fn differences(column: &[i32; RUN], before: i32) -> [u32; RUN] {
    let mut values = [zigzag(column[0].wrapping_sub(before)); RUN];
    for (value, (before, sample)) in values[1..].iter_mut().zip(column.iter().zip(&column[1..])) {
        *value = zigzag(sample.wrapping_sub(*before));
    }
    values
}

/// The samples, frame by frame, or `None` if `data` is not `channels * frames` samples long.
pub(crate) fn decode_planar(data: &[u8], channels: usize, frames: usize) -> Option<Vec<i32>> {
    let total = channels.checked_mul(frames)?;
    if total.checked_mul(4)? != data.len() {
        return None;
    }
    let mut samples = vec![0; total];
    if total == 0 {
        return Some(samples);
    }
    let (low, high) = data.split_at(total * 2);
    let ((b0, b1), (b2, b3)) = (low.split_at(total), high.split_at(total));
    for channel in 0..channels {
        let plane = channel * frames..(channel + 1) * frames;
        let sources = b0[plane.clone()].iter().zip(&b1[plane.clone()]).zip(&b2[plane.clone()]).zip(&b3[plane]);
        let mut before = 0i32;
        for (sample, (((b0, b1), b2), b3)) in samples[channel..].iter_mut().step_by(channels).zip(sources) {
            before = before.wrapping_add(unzigzag(u32::from_le_bytes([*b0, *b1, *b2, *b3])));
            *sample = before;
        }
    }
    Some(samples)
}

const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

const fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(samples: &[i32], channels: usize) -> Vec<u8> {
        let mut out = Vec::new();
        encode_planar(samples, channels, &mut out);
        out
    }

    #[test]
    fn the_layout_is_as_documented() {
        // Channel 0: 1, 3 is +1, +2; channel 1: -1, 255 is -1, +256.
        let out = encoded(&[1, -1, 3, 255], 2);

        assert_eq!(out, [2, 4, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_ends_of_the_range_survive() {
        let samples = [i32::MIN, i32::MAX, 0, -1, 1, i32::MAX, i32::MIN, i32::MIN];

        for channels in [1, 2, 4, 8] {
            let back = decode_planar(&encoded(&samples, channels), channels, samples.len() / channels);
            assert_eq!(back.as_deref(), Some(&samples[..]), "{channels} channels");
        }
    }

    #[test]
    fn no_frames_are_no_bytes() {
        assert!(encoded(&[], 2).is_empty());
        assert_eq!(decode_planar(&[], 2, 0), Some(Vec::new()));
    }

    #[test]
    fn a_length_that_does_not_fit_is_refused() {
        let data = encoded(&[1, 2, 3, 4], 2);

        assert!(decode_planar(&data, 2, 3).is_none());
        assert!(decode_planar(&data[1..], 2, 2).is_none());
        assert!(decode_planar(&data, usize::MAX, 2).is_none());
    }

    proptest! {
        #[test]
        fn every_batch_comes_back(
            (channels, samples) in (1usize..=256, 1usize..=3 * RUN).prop_flat_map(|(channels, frames)| {
                (Just(channels), prop::collection::vec(any::<i32>(), channels * frames))
            })
        ) {
            let frames = samples.len() / channels;
            prop_assert_eq!(decode_planar(&encoded(&samples, channels), channels, frames), Some(samples));
        }
    }
}
