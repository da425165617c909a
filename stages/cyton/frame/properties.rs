//! What must hold for every stream, however it is damaged and cut: properties checked on generated ones.
use std::ops::Range;

use proptest::{collection::vec, prelude::*};

use super::*;

const FRAME_NS: u64 = 1_000_000_000 / FRAMES_PER_SECOND;

/// Bytes that reach the host at one time, the port having been watched all along.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    sample: u64,
    bytes: Vec<u8>,
}

impl Shot {
    /// Bytes that come when the frame of `sample` is due.
    pub(super) fn at(sample: u64, bytes: Vec<u8>) -> Self {
        Self { sample, bytes }
    }
}

#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) rows: Vec<Row>,
    pub(super) lost: u64,
    pub(super) discarded: u64,
}

impl PartialEq for Decoded {
    /// All but the times of the rows, which are known the better the finer the stream is cut.
    fn eq(&self, other: &Self) -> bool {
        let timeless = |rows: &[Row]| rows.iter().map(|row| Row { at_ns: 0, ..*row }).collect::<Vec<_>>();
        timeless(&self.rows) == timeless(&other.rows) && (self.lost, self.discarded) == (other.lost, other.discarded)
    }
}

/// All rows of the shots.
pub(super) fn decode(layout: Layout, shots: &[Shot]) -> Decoded {
    let mut decoder = Decoder::new(layout);
    let mut rows = Vec::new();
    let mut empty_ns = 0;
    for shot in shots {
        let read_ns = 1_000_000_000 + shot.sample * FRAME_NS;
        for piece in shot.bytes.chunks(PUSH_LIMIT) {
            let arrival = Arrival { empty_ns: empty_ns.max(read_ns - FRAME_NS), read_ns };
            assert_eq!(decoder.push(piece, arrival), piece.len(), "a fetched decoder has room");
            rows.extend(std::iter::from_fn(|| decoder.next_row()));
        }
        empty_ns = read_ns;
    }
    Decoded { rows, lost: decoder.lost_rows(), discarded: decoder.discarded_bytes() }
}

pub(super) fn frame_bytes(counter: u8, counts: &[i32; FRAME_CHANNELS]) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    (frame[0], frame[1], frame[FRAME_LEN - 1]) = (HEADER, counter, 0xC0);
    for (channel, count) in counts.iter().enumerate() {
        frame[2 + 3 * channel..5 + 3 * channel].copy_from_slice(&count.to_be_bytes()[1..]);
    }
    frame
}

/// Counts that differ from sample to sample and are as full of border bytes as counts can be.
fn counts_of(sample: u64) -> [i32; FRAME_CHANNELS] {
    std::array::from_fn(|channel| {
        let mut x = (sample * 8 + channel as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 31;
        let byte = |shift: u32| match (x >> shift) & 3 {
            0 => 0xA0,
            1 => 0xC0 | ((x >> (shift + 2)) & 0x0F) as u8,
            _ => (x >> (shift + 2)) as u8,
        };
        int24([byte(0), byte(16), byte(32)])
    })
}

pub(super) fn frames(samples: Range<u64>) -> Vec<u8> {
    samples.flat_map(|sample| frame_bytes(sample as u8, &counts_of(sample))).collect()
}

/// One shot a frame, as a live board sends them.
fn live(samples: Range<u64>) -> Vec<Shot> {
    samples.map(|sample| Shot::at(sample, frames(sample..sample + 1))).collect()
}

/// Checks that every row is the frame of `first + index` as it was sent.
fn assert_true_rows(rows: &[Row], first: u64) -> Result<(), TestCaseError> {
    let (mut next, mut last_ns) = (0, 0);
    for row in rows {
        prop_assert_eq!(row.index, next + row.lost_before);
        prop_assert!(row.at_ns >= last_ns, "rows come in the order of time");
        last_ns = row.at_ns;
        prop_assert_eq!(&row.counts[..FRAME_CHANNELS], &counts_of(first + row.index)[..], "row {}", row.index);
        next = row.index + 1;
    }
    Ok(())
}

/// True if three frames whose counters step by one are anywhere in `bytes`.
fn has_proof(bytes: &[u8]) -> bool {
    let is_frame = |frame: &[u8]| frame[0] == HEADER && is_stop(frame[FRAME_LEN - 1]);
    bytes.windows(3 * FRAME_LEN).any(|window| {
        window.chunks(FRAME_LEN).all(is_frame)
            && window[34] == window[1].wrapping_add(1)
            && window[67] == window[34].wrapping_add(1)
    })
}

/// Garbage made of border bytes for the most part, of zeros, or of anything.
fn garbage(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0xA0u8), 3 => 0xC0..=0xCFu8, 3 => any::<u8>(), 1 => Just(0u8)];
    vec(byte, 0..longest)
}

proptest! {
    #[test]
    fn garbage_makes_no_rows(bytes in garbage(3000), layout in prop_oneof![Just(Layout::Cyton), Just(Layout::Daisy)]) {
        let length = bytes.len() as u64;
        let is_provable = has_proof(&bytes);
        let decoded = decode(layout, &[Shot::at(0, bytes)]);
        prop_assert!(decoded.rows.is_empty() || is_provable);
        prop_assert!(decoded.discarded <= length);
    }

    #[test]
    fn a_stream_behind_garbage_is_found_whole(prefix in garbage(400), first in 0..300u64, cut in 0..FRAME_LEN) {
        let mut bytes = prefix.clone();
        // Joined in the middle of a frame.
        bytes.extend(&frames(first..first + 1)[cut..]);
        let noise = bytes.len() as u64;
        prop_assume!(!has_proof(&bytes));
        bytes.extend(frames(first + 1..first + 60));
        let decoded = decode(Layout::Cyton, &[Shot::at(first, bytes)]);

        // Garbage in front can at worst look like the frame before the first.
        prop_assert!(decoded.rows.len() >= 59 && decoded.rows.len() <= 60);
        let first = first + 60 - decoded.rows.len() as u64;
        if decoded.rows.len() == 59 {
            prop_assert_eq!(decoded.discarded, noise);
            assert_true_rows(&decoded.rows, first)?;
        }
    }

    #[test]
    fn how_the_stream_is_cut_changes_nothing(
        prefix in garbage(100),
        damage in vec((0usize..3000, any::<u8>()), 0..6),
        cuts in vec(1usize..100, 1..200),
        layout in prop_oneof![Just(Layout::Cyton), Just(Layout::Daisy)],
    ) {
        let mut bytes = prefix;
        bytes.extend(frames(5..90));
        for (at, byte) in damage {
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
        }
        let whole = decode(layout, &[Shot::at(0, bytes.clone())]);
        let single = decode(layout, &bytes.iter().map(|&byte| Shot::at(0, vec![byte])).collect::<Vec<_>>());
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(Shot::at(0, piece.to_vec()));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&decode(layout, &pieces), &whole);
        prop_assert_eq!(&single, &whole);
    }

    #[test]
    fn a_missing_byte_costs_one_row(at in 100 * FRAME_LEN..101 * FRAME_LEN) {
        let mut shots = live(0..200);
        shots[100].bytes.remove(at - 100 * FRAME_LEN);
        let decoded = decode(Layout::Cyton, &shots);
        prop_assert_eq!((decoded.rows.len(), decoded.lost), (199, 1));
        prop_assert_eq!(decoded.discarded, FRAME_LEN as u64 - 1);
        assert_true_rows(&decoded.rows, 0)?;
    }

    #[test]
    fn a_flipped_byte_costs_one_row_at_most(at in 0..FRAME_LEN, flip in 1..=255u8) {
        let mut shots = live(0..200);
        shots[100].bytes[at] ^= flip;
        let decoded = decode(Layout::Cyton, &shots);
        let is_counts = (2..26).contains(&at);
        let others: Vec<Row> = decoded.rows.iter().copied().filter(|row| row.index != 100).collect();
        prop_assert_eq!(others.len(), 199);
        prop_assert_eq!(decoded.lost, 200 - decoded.rows.len() as u64);
        for row in others {
            prop_assert_eq!(&row.counts[..FRAME_CHANNELS], &counts_of(row.index)[..]);
        }
        if is_counts {
            // No checksum: a wrong value cannot be seen, but it must not shake the framing.
            prop_assert_eq!((decoded.lost, decoded.discarded), (0, 0));
        }
    }

    #[test]
    fn dropped_frames_are_counted_exactly(losses in vec((3u64..40, 1u64..1500), 1..12)) {
        let mut shots = live(0..20);
        let mut next = 20;
        let mut lost = 0;
        for (kept, dropped) in losses {
            next += dropped;
            lost += dropped;
            shots.extend(live(next..next + kept));
            next += kept;
        }
        let decoded = decode(Layout::Cyton, &shots);
        prop_assert_eq!(decoded.lost, lost);
        prop_assert_eq!(decoded.rows.len() as u64, next - lost);
        prop_assert_eq!(decoded.discarded, 0);
        assert_true_rows(&decoded.rows, 0)?;
    }

    #[test]
    fn a_radio_that_loses_single_frames_loses_only_these(kept in vec(any::<bool>(), 50..400)) {
        let mut shots = live(0..3);
        let sent = |sample: u64| kept[sample as usize - 3];
        let end = 3 + kept.len() as u64;
        shots.extend((3..end).filter(|&sample| sent(sample)).flat_map(|sample| live(sample..sample + 1)));
        shots.extend(live(end..end + 3));
        let decoded = decode(Layout::Cyton, &shots);
        prop_assert_eq!(decoded.lost, kept.iter().filter(|kept| !**kept).count() as u64);
        prop_assert_eq!(decoded.discarded, 0);
        assert_true_rows(&decoded.rows, 0)?;
    }

    #[test]
    fn a_daisy_row_is_made_of_two_neighbours(kept in vec(prop::bool::weighted(0.8), 50..300)) {
        // Four frames to lock on, those that the radio keeps, and four to prove the last of them.
        let count = kept.len() as u64 / 2 * 2;
        let is_sent = |sample: u64| !(4..4 + count).contains(&sample) || kept[sample as usize - 4];
        let end = 4 + count + 4;
        let shots: Vec<Shot> = (0..end).filter(|&sample| is_sent(sample)).flat_map(|n| live(n..n + 1)).collect();
        let decoded = decode(Layout::Daisy, &shots);

        // Pair 0 is never a row: the very first frame is invalid.
        let whole: Vec<u64> = (1..end / 2).filter(|pair| is_sent(pair * 2) && is_sent(pair * 2 + 1)).collect();
        prop_assert_eq!(decoded.rows.len(), whole.len());
        for (row, pair) in decoded.rows.iter().zip(whole) {
            prop_assert_eq!(row.index, pair - 1);
            prop_assert_eq!(&row.counts[..FRAME_CHANNELS], &counts_of(pair * 2 + 1)[..]);
            prop_assert_eq!(&row.counts[FRAME_CHANNELS..], &counts_of(pair * 2)[..]);
        }
    }
}
