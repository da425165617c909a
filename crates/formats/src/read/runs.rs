//! Which frames of a file have which index.
use std::sync::Arc;

use wavedeck_api::{packet::Flags, signal::Rate};
use wavedeck_recording::{DecodedBatch, Samples};

use crate::source::MissingRun;

/// Frames that stand one behind the other in a file, with indices that count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of the first.
    pub(super) index: u64,
    /// Its place among the frames of the file.
    pub(super) frame: u64,
    /// Number of frames, 1 or more.
    pub(super) n: u64,
}

impl Run {
    fn end(&self) -> u64 {
        self.index + self.n
    }
}

/// All frames of a stream; indices rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    /// Adds frames behind all others, unless there are none.
    pub(super) fn push(&mut self, run: Run) {
        match self.0.last_mut() {
            _ if run.n == 0 => {}
            Some(last) if last.end() == run.index && last.frame + last.n == run.frame => last.n += run.n,
            _ => self.0.push(run),
        }
    }

    /// Without the frames of `first..end`, given in ascending order: they are made up.
    pub(super) fn without(&self, made_up: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut kept = Self::default();
        let mut made_up = made_up.into_iter().filter(|(first, end)| first < end).peekable();
        for run in &self.0 {
            let mut from = run.index;
            while let Some((first, end)) = made_up.peek().copied().filter(|(first, _)| *first < run.end()) {
                let cut = first.max(from);
                kept.push(Run { index: from, frame: run.frame + (from - run.index), n: cut - from });
                from = end.clamp(from, run.end());
                if end > run.end() {
                    break;
                }
                made_up.next();
            }
            kept.push(Run { index: from, frame: run.frame + (from - run.index), n: run.end() - from });
        }
        kept
    }

    /// Index of the first frame and after the last.
    pub(super) fn span(&self) -> (u64, u64) {
        (self.0.first().map_or(0, |run| run.index), self.0.last().map_or(0, Run::end))
    }

    /// What is missing between the frames.
    pub(super) fn missing(&self, stream: usize, reason: &str) -> Vec<MissingRun> {
        let gap = |pair: &[Run]| {
            let first_index = pair[0].end();
            MissingRun { stream, first_index, n: pair[1].index - first_index, reason: reason.to_owned() }
        };
        self.0.windows(2).map(gap).filter(|run| run.n > 0).collect()
    }
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) run: Run,
    /// Frames missing since the piece before.
    pub(super) gap: u64,
}

/// Goes through runs piece by piece.
pub(super) struct Walk {
    runs: Arc<Runs>,
    number: usize,
    /// Index of the next frame.
    index: u64,
    /// Index after the last frame; `None` before the first.
    end: Option<u64>,
}

impl Walk {
    pub(super) fn new(runs: Arc<Runs>, from_index: u64) -> Self {
        let number = runs.0.partition_point(|run| run.end() <= from_index);
        Self { runs, number, index: from_index, end: None }
    }

    /// The run that holds the next frame.
    pub(super) fn peek(&self) -> Option<Run> {
        let run = *self.runs.0.get(self.number)?;
        let index = self.index.max(run.index);
        Some(Run { index, frame: run.frame + (index - run.index), n: run.end() - index })
    }

    /// The next piece, of at most as many frames as `most` gives for the place of its first.
    pub(super) fn piece(&mut self, most: impl FnOnce(u64) -> u64) -> Option<Piece> {
        let Run { index, frame, n: left } = self.peek()?;
        let n = left.min(most(frame).max(1));
        let gap = self.end.map_or(0, |end| index.saturating_sub(end));
        self.index = index + n;
        self.end = Some(self.index);
        self.number += usize::from(n == left);
        Some(Piece { run: Run { index, frame, n }, gap })
    }
}

/// The clock of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Unix time of index 0.
    pub(super) start_ns: u64,
    pub(super) rate: Rate,
}

impl Clock {
    pub(super) fn at(&self, index: u64) -> u64 {
        self.start_ns.saturating_add(self.rate.nanoseconds_at(index))
    }

    /// The frames of a piece as a block.
    pub(super) fn block(&self, piece: &Piece, samples: Samples) -> DecodedBatch {
        let t0_ns = self.at(piece.run.index);
        DecodedBatch {
            t0_ns,
            first_index: piece.run.index,
            n_frames: u32::try_from(piece.run.n).unwrap_or(u32::MAX),
            arrival_ns: t0_ns,
            device_ts: 0,
            flags: if piece.gap > 0 { Flags::GAP } else { Flags::NONE },
            dropped_before: u32::try_from(piece.gap).unwrap_or(u32::MAX),
            samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(index: u64, frame: u64, n: u64) -> Run {
        Run { index, frame, n }
    }

    #[test]
    fn made_up_frames_are_gaps_even_over_the_ends_of_runs() {
        let mut runs = Runs::default();
        runs.push(run(0, 0, 10));
        runs.push(run(10, 10, 10));
        runs.push(run(30, 20, 10));

        let kept = runs.without([(5, 8), (18, 32), (38, 99)]);

        assert_eq!(kept.0, [run(0, 0, 5), run(8, 8, 10), run(32, 22, 6)]);
        let missing: Vec<_> = kept.missing(0, "x").iter().map(|run| (run.first_index, run.n)).collect();
        assert_eq!((missing, kept.span()), (vec![(5, 3), (18, 14)], (0, 38)));
    }

    #[test]
    fn a_walk_starts_anywhere_and_says_what_is_missing() {
        let runs = Arc::new(Runs(vec![run(0, 0, 10), run(20, 10, 5)]));
        let mut walk = Walk::new(Arc::clone(&runs), 7);
        let pieces: Vec<_> = std::iter::from_fn(|| walk.piece(|_| 4)).collect();

        let expected = [(run(7, 7, 3), 0), (run(20, 10, 4), 10), (run(24, 14, 1), 0)];
        assert_eq!(pieces, expected.map(|(run, gap)| Piece { run, gap }));
        assert_eq!(Walk::new(Arc::clone(&runs), 15).piece(|_| 1).map(|piece| piece.run.index), Some(20));
        assert_eq!(Walk::new(runs, 25).piece(|_| 1), None);
    }
}
