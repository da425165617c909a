//! The protobuf messages `sig.SampleBatch` and `sig.Frame`, by hand: two messages need no code generator.
use crate::codec;

/// Samples are missing before this batch.
pub(crate) const GAP_BEFORE: u32 = 1;
/// The device's data had to be searched for its next frame before this batch.
pub(crate) const RESYNC: u32 = 1 << 2;
/// The device came back before this batch.
pub(crate) const RECONNECTED: u32 = 1 << 3;
/// The pipeline was paused before this batch.
pub(crate) const RESUMED: u32 = 1 << 4;
/// The replayed recording was moved before this batch.
pub(crate) const SEEKED: u32 = 1 << 5;

/// `codec` of a batch whose samples are plain numbers.
pub(crate) const CODEC_PLAIN: u32 = 0;
/// `codec` of a batch whose samples are in `data`, see [`codec`].
pub(crate) const CODEC_PLANAR: u32 = 1;

/// The scalar fields of a `sig.SampleBatch`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchHead {
    /// Unix time of the first frame.
    pub(crate) t0_ns: u64,
    /// Index of the first frame.
    pub(crate) first_index: u64,
    /// Number of frames.
    pub(crate) n_frames: u32,
    /// Unix time at which the batch came to the recording.
    pub(crate) arrival_ns: u64,
    /// Time by the device's own clock; 0 if it has none.
    pub(crate) device_ts: u64,
    /// The constants above.
    pub(crate) flags: u32,
    /// Frames missing before this batch.
    pub(crate) dropped_before: u32,
}

/// The samples of a batch to write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body<'a> {
    /// Plain counts.
    Counts(&'a [i32]),
    /// Plain values.
    Values(&'a [f32]),
    /// Counts to be encoded, with the number of channels.
    Planar(&'a [i32], usize),
}

/// A batch as it stands in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchView<'a> {
    pub(crate) head: BatchHead,
    pub(crate) codec: u32,
    /// Little-endian `i32`.
    pub(crate) counts: &'a [u8],
    /// Little-endian `f32`.
    pub(crate) values: &'a [u8],
    pub(crate) data: &'a [u8],
}

/// Appends a `sig.SampleBatch` to `out`.
pub(crate) fn encode_batch(head: &BatchHead, body: Body<'_>, out: &mut Vec<u8>) {
    fixed64(1, head.t0_ns, out);
    varint_field(2, head.first_index, out);
    varint_field(3, u64::from(head.n_frames), out);
    match body {
        Body::Counts(counts) => {
            length_field(4, counts.len() * 4, out);
            out.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        }
        Body::Values(values) => floats(5, values, out),
        Body::Planar(..) => {}
    }
    fixed64(6, head.arrival_ns, out);
    varint_field(7, head.device_ts, out);
    varint_field(8, u64::from(head.flags), out);
    varint_field(9, u64::from(head.dropped_before), out);
    if let Body::Planar(counts, channels) = body {
        varint_field(11, u64::from(CODEC_PLANAR), out);
        length_field(12, counts.len() * 4, out);
        codec::encode_planar(counts, channels, out);
    }
}

/// Appends a `sig.Frame` to `out`.
pub(crate) fn encode_frame(index: u64, values: &[f32], out: &mut Vec<u8>) {
    varint_field(1, index, out);
    floats(2, values, out);
}

/// The batch in `message`, or what does not fit.
pub(crate) fn decode_batch(message: &[u8]) -> Result<BatchView<'_>, &'static str> {
    let mut view = BatchView::default();
    let mut rest = message;
    while !rest.is_empty() {
        let tag = take_varint(&mut rest)?;
        let (field, wire) = (tag >> 3, tag & 7);
        match (field, wire) {
            (1, FIXED64) => view.head.t0_ns = take_fixed64(&mut rest)?,
            (2, VARINT) => view.head.first_index = take_varint(&mut rest)?,
            (3, VARINT) => view.head.n_frames = take_u32(&mut rest)?,
            (4, LENGTH) => view.counts = take_once(view.counts, &mut rest)?,
            (5, LENGTH) => view.values = take_once(view.values, &mut rest)?,
            (6, FIXED64) => view.head.arrival_ns = take_fixed64(&mut rest)?,
            (7, VARINT) => view.head.device_ts = take_varint(&mut rest)?,
            (8, VARINT) => view.head.flags = take_u32(&mut rest)?,
            (9, VARINT) => view.head.dropped_before = take_u32(&mut rest)?,
            (11, VARINT) => view.codec = take_u32(&mut rest)?,
            (12, LENGTH) => view.data = take_once(view.data, &mut rest)?,
            (1..=12, _) => return Err("a field has the wrong type"),
            (0, _) => return Err("a field has number 0"),
            // A newer writer may add fields; protobuf readers pass over what they do not know.
            (_, VARINT) => drop(take_varint(&mut rest)?),
            (_, FIXED64) => drop(take(8, &mut rest)?),
            (_, LENGTH) => drop(take_length(&mut rest)?),
            (_, FIXED32) => drop(take(4, &mut rest)?),
            _ => return Err("a field has an unknown type"),
        }
    }
    if view.head.first_index.checked_add(u64::from(view.head.n_frames)).is_none() {
        return Err("its indices are beyond any count");
    }
    Ok(view)
}

/// Index and little-endian values of the `sig.Frame` in `message`, or what does not fit.
pub(crate) fn decode_frame(message: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let (mut index, mut values) = (0, &[][..]);
    let mut rest = message;
    while !rest.is_empty() {
        match take_varint(&mut rest)? {
            0x08 => index = take_varint(&mut rest)?,
            0x12 => values = take_once(values, &mut rest)?,
            _ => return Err("it has an unknown field"),
        }
    }
    Ok((index, values))
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Appends `value` as a varint.
pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of type varint; nothing for 0, which is what a missing field means.
pub(crate) fn varint_field(field: u64, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        varint(field << 3 | VARINT, out);
        varint(value, out);
    }
}

/// Appends the head of a field of `length` bytes, which must follow.
pub(crate) fn length_field(field: u64, length: usize, out: &mut Vec<u8>) {
    varint(field << 3 | LENGTH, out);
    varint(length as u64, out);
}

fn fixed64(field: u64, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        varint(field << 3 | FIXED64, out);
        out.extend(value.to_le_bytes());
    }
}

fn floats(field: u64, values: &[f32], out: &mut Vec<u8>) {
    length_field(field, values.len() * 4, out);
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

const CUT: &str = "it ends within a field";

fn take<'a>(n: usize, rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let (head, tail) = rest.split_at_checked(n).ok_or(CUT)?;
    *rest = tail;
    Ok(head)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(CUT)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err("a number is too large");
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too long")
}

fn take_u32(rest: &mut &[u8]) -> Result<u32, &'static str> {
    u32::try_from(take_varint(rest)?).map_err(|_| "a number is too large")
}

fn take_fixed64(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let bytes = take(8, rest)?.try_into().map_err(|_| CUT)?;
    Ok(u64::from_le_bytes(bytes))
}

fn take_length<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    let length = usize::try_from(take_varint(rest)?).map_err(|_| CUT)?;
    take(length, rest)
}

fn take_once<'a>(before: &[u8], rest: &mut &'a [u8]) -> Result<&'a [u8], &'static str> {
    if !before.is_empty() {
        return Err("its samples stand in two places");
    }
    take_length(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads() -> impl Strategy<Value = BatchHead> {
        (any::<u64>(), 0..u64::MAX / 2, any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
            |(t0_ns, first_index, n_frames, arrival_ns, device_ts, flags, dropped_before)| BatchHead {
                t0_ns,
                first_index,
                n_frames,
                arrival_ns,
                device_ts,
                flags,
                dropped_before,
            },
        )
    }

    fn encoded(head: &BatchHead, body: Body<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode_batch(head, body, &mut out);
        out
    }

    #[test]
    fn a_batch_is_what_protobuf_says_it_is() {
        let head = BatchHead { t0_ns: 1, first_index: 300, n_frames: 2, ..BatchHead::default() };

        let out = encoded(&head, Body::Counts(&[-1, 2]));

        let expected = [
            &[0x09, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[0x10, 0xac, 0x02],
            &[0x18, 2],
            &[0x22, 8, 255, 255, 255, 255, 2, 0, 0, 0],
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn unknown_fields_are_passed_over() {
        let mut out = encoded(&BatchHead { first_index: 7, ..BatchHead::default() }, Body::Values(&[1.5]));
        varint_field(40, 3, &mut out);
        length_field(41, 2, &mut out);
        out.extend([9, 9]);

        let view = decode_batch(&out).expect("a batch");

        assert_eq!((view.head.first_index, view.values), (7, &1.5f32.to_le_bytes()[..]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let twice = [&[0x22, 1, 0][..], &[0x22, 1, 0]].concat();
        let overflow = [&[0x10][..], &[0xff; 9], &[1, 0x18, 1]].concat();
        for bad in [&[0x09, 1][..], &[0x10], &[0x18, 0xff, 0xff, 0xff, 0xff, 0x7f], &[0x22, 5, 1], &[0], &[0x0f]]
            .into_iter()
            .chain([&twice[..], &overflow, &[0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]])
        {
            assert!(decode_batch(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn plain_counts_come_back(head in heads(), counts in prop::collection::vec(any::<i32>(), 0..300)) {
            let out = encoded(&head, Body::Counts(&counts));

            let view = decode_batch(&out).expect("a batch");

            let back: Vec<i32> = view.counts.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
            prop_assert_eq!((view.head, view.codec, back), (head, CODEC_PLAIN, counts));
        }

        #[test]
        fn encoded_counts_come_back(head in heads(), counts in prop::collection::vec(any::<i32>(), 0..300)) {
            let out = encoded(&head, Body::Planar(&counts, 1));

            let view = decode_batch(&out).expect("a batch");

            prop_assert_eq!((view.head, view.codec), (head, CODEC_PLANAR));
            prop_assert_eq!(codec::decode_planar(view.data, 1, counts.len()), Some(counts));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(view) = decode_batch(&bytes) {
                prop_assert!(view.data.len() <= bytes.len());
            }
        }

        #[test]
        fn a_cut_batch_is_never_longer_than_it_was(cut in 0usize..100, counts in prop::collection::vec(any::<i32>(), 20)) {
            let out = encoded(&BatchHead { t0_ns: 5, n_frames: 20, ..BatchHead::default() }, Body::Counts(&counts));
            let cut = cut.min(out.len() - 1);

            if let Ok(view) = decode_batch(&out[..cut]) {
                prop_assert!(view.counts.is_empty());
            }
        }
    }
}
