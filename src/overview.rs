//! How much a stream moves from one end of its file to the other, for a bar that shows the whole file.
//!
//! Read beside everything else by a thread that rests as long as it works. It reads one block of each part of the file
//! first, so that there is something to see at once however large the file is, and then more of each: of a large file a
//! part is an estimate from some blocks of it.
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use wavedeck_formats::{Source, SourceError};
use wavedeck_recording::{DecodedBatch, Samples};

/// Parts of the file.
const PARTS: usize = 240;
/// Places read in each part, one after the other.
const ROUNDS: u64 = 8;
/// Blocks read at a place; they mostly come out of one piece of the file.
const BLOCKS: usize = 4;

/// What is known of a stream so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heights {
    /// Of each part of the file, how much the channels move on average, beside the most each of them does: 0 to 1. `None`
    /// where nothing is known yet, or nothing is there.
    pub parts: Vec<Option<f32>>,
    /// Nothing more will be known.
    #[serde(rename = "complete")]
    pub is_complete: bool,
}

/// A stream of a file, being looked through.
#[derive(Debug)]
pub struct Overview {
    path: PathBuf,
    stream: String,
    heights: Arc<Mutex<Heights>>,
    is_over: Arc<AtomicBool>,
}

impl Overview {
    /// Begins to look through a stream.
    pub fn begin(path: &Path, stream: &str) -> Self {
        let heights = Arc::new(Mutex::new(Heights { parts: vec![None; PARTS], is_complete: false }));
        let is_over = Arc::new(AtomicBool::new(false));
        let overview = Self { path: path.to_owned(), stream: stream.to_owned(), heights, is_over };
        let (path, stream) = (overview.path.clone(), overview.stream.clone());
        let (heights, is_over) = (Arc::clone(&overview.heights), Arc::clone(&overview.is_over));
        let run = move || {
            if let Err(error) = look_through(&path, &stream, &heights, &is_over) {
                tracing::warn!(%error, path = %path.display(), "no overview of the whole file");
            }
            heights.lock().unwrap_or_else(PoisonError::into_inner).is_complete = true;
        };
        if let Err(error) = thread::Builder::new().name("overview".into()).spawn(run) {
            tracing::warn!(%error, "no thread for the overview of the file");
        }
        overview
    }

    /// True if this is about that stream.
    pub fn is_of(&self, path: &Path, stream: &str) -> bool {
        self.path == path && self.stream == stream
    }

    /// What is known by now.
    pub fn heights(&self) -> Heights {
        self.heights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Overview {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn look_through(path: &Path, stream: &str, heights: &Mutex<Heights>, is_over: &AtomicBool) -> Result<(), SourceError> {
    let source = wavedeck_formats::open(path)?;
    let Some(number) = source.streams().iter().position(|of| of.name == stream) else { return Ok(()) };
    let of = &source.streams()[number];
    let (first, length) = (of.first_index, of.end_index.saturating_sub(of.first_index));
    let channels = of.spec.frame_len();
    let place = |part: usize, round: u64| {
        let at = (part as u128 * u128::from(ROUNDS) + u128::from(round)) * u128::from(length);
        first + u64::try_from(at / (PARTS as u128 * u128::from(ROUNDS))).unwrap_or(length)
    };
    let mut parts = vec![vec![Extent::NONE; channels]; PARTS];
    // Rounds that lie far apart come first.
    for round in [0, 4, 2, 6, 1, 5, 3, 7] {
        for (part, extents) in parts.iter_mut().enumerate() {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let (begin, end) = (place(part, round), place(part, round + 1).max(place(part, round) + 1));
            let began = Instant::now();
            read(&*source, number, (begin, end), extents)?;
            thread::sleep(began.elapsed());
        }
        heights.lock().unwrap_or_else(PoisonError::into_inner).parts = measure(&parts, channels);
    }
    Ok(())
}

/// Takes some blocks from `begin` on into account, as far as they lie before `end`.
fn read(
    source: &dyn Source,
    stream: usize,
    (begin, end): (u64, u64),
    extents: &mut [Extent],
) -> Result<(), SourceError> {
    for block in source.blocks(stream, begin)?.take(BLOCKS).flatten() {
        if block.first_index >= end {
            break;
        }
        let within = |index: u64| usize::try_from(index.saturating_sub(block.first_index)).unwrap_or(usize::MAX);
        let frames = within(begin)..within(end).min(block.n_frames as usize);
        take(&block, frames, extents);
    }
    Ok(())
}

fn take(block: &DecodedBatch, frames: std::ops::Range<usize>, extents: &mut [Extent]) {
    let channels = extents.len();
    let range = frames.start.min(frames.end) * channels..frames.end * channels;
    match &block.samples {
        Samples::Counts(counts) => {
            for frame in counts.get(range).unwrap_or_default().chunks_exact(channels) {
                extents.iter_mut().zip(frame).for_each(|(extent, count)| extent.add(*count as f32));
            }
        }
        Samples::Values(values) => {
            for frame in values.get(range).unwrap_or_default().chunks_exact(channels) {
                extents.iter_mut().zip(frame).for_each(|(extent, value)| extent.add(*value));
            }
        }
    }
}

/// Smallest and largest value.
#[derive(Clone, Copy)]
struct Extent(f32, f32);

impl Extent {
    const NONE: Self = Self(f32::INFINITY, f32::NEG_INFINITY);

    fn add(&mut self, value: f32) {
        // Not a number is neither smaller nor larger.
        if value < self.0 {
            self.0 = value;
        }
        if value > self.1 {
            self.1 = value;
        }
    }

    fn height(self) -> Option<f32> {
        (self.1 >= self.0).then_some(self.1 - self.0).filter(|height| height.is_finite())
    }
}

fn measure(parts: &[Vec<Extent>], channels: usize) -> Vec<Option<f32>> {
    let most = |channel: usize| parts.iter().filter_map(|part| part[channel].height()).fold(0.0, f32::max);
    let most: Vec<f32> = (0..channels).map(most).collect();
    let of_part = |part: &Vec<Extent>| {
        let shares = part.iter().zip(&most).filter_map(|(extent, most)| Some((extent.height()?, *most)));
        let shares: Vec<f32> = shares.map(|(height, most)| if most > 0.0 { height / most } else { 0.0 }).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f32>() / shares.len() as f32)
    };
    parts.iter().map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_sample_recording_is_seen_with_its_gap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/sample.mcap");
        let overview = Overview::begin(&path, "board");
        let began = Instant::now();
        while !overview.heights().is_complete {
            assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
        let heights = overview.heights().parts;
        // 6180 samples, of which 1050 from the 2320th on are missing.
        let part = |sample: usize| sample * PARTS / 6180;
        let (before, gap, after) =
            (&heights[..part(2320)], &heights[part(2320) + 1..part(3370)], &heights[part(3370) + 1..]);
        assert!(before.iter().chain(after).all(Option::is_some), "{heights:?}");
        assert!(gap.iter().all(Option::is_none), "{heights:?}");
        assert!(heights.iter().flatten().all(|height| (0.0..=1.0).contains(height)));
        assert!(heights.iter().flatten().any(|height| *height > 0.5));
    }

    #[test]
    fn each_channel_is_measured_by_its_own_largest_move() {
        let parts = vec![
            vec![Extent(0.0, 10.0), Extent(-1.0, 1.0)],
            vec![Extent(0.0, 5.0), Extent(-2.0, 2.0)],
            vec![Extent::NONE, Extent::NONE],
        ];
        assert_eq!(measure(&parts, 2), [Some(0.75), Some(0.75), None]);
    }

    #[test]
    fn a_file_that_cannot_be_read_has_no_heights() {
        let overview = Overview::begin(Path::new("/nowhere/at/all.mcap"), "board");
        while !overview.heights().is_complete {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(overview.heights().parts.iter().all(Option::is_none));
        assert!(overview.is_of(Path::new("/nowhere/at/all.mcap"), "board") && !overview.is_of(Path::new("/"), "board"));
    }
}
