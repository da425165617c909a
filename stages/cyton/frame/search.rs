//! Finds frames in bytes: locks when several agree, lets go when one is damaged, counts what it throws away.
use std::collections::VecDeque;

use super::{Arrival, Aux, FRAME_CHANNELS, FRAME_LEN, FRAMES_PER_SECOND, HEADER, PUSH_LIMIT, int24, is_stop};

/// Frames whose counters must step by one before any of them is believed.
const PROOF_FRAMES: usize = 3;
/// Frames after which two equally good places for the frame border are not compared any longer.
const LONGEST_PROOF_FRAMES: usize = 8;
/// Counter jumps in a row, together longer than the counter, that no lossy radio makes.
const MOST_JUMPS: u32 = 4;
/// Bytes kept: one push, and what an undecided proof can hold back.
const CAPACITY: usize = PUSH_LIMIT + 2 * LONGEST_PROOF_FRAMES * FRAME_LEN;
/// Pushes whose times are told apart.
const MOST_MARKS: usize = 32;

/// A frame in its place, and when it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    bytes: [u8; FRAME_LEN],
    pub(super) arrival: Arrival,
}

impl Frame {
    pub(super) fn counter(&self) -> u8 {
        self.bytes[1]
    }

    pub(super) fn counts(&self) -> [i32; FRAME_CHANNELS] {
        std::array::from_fn(|channel| {
            let at = 2 + 3 * channel;
            int24([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]])
        })
    }

    pub(super) fn aux(&self) -> Aux {
        let mut aux = Aux { stop: self.bytes[FRAME_LEN - 1], ..Aux::default() };
        aux.bytes.copy_from_slice(&self.bytes[26..32]);
        aux
    }
}

/// The bytes not yet read as frames, and how far the search among them is.
#[derive(Debug)]
pub(super) struct Search {
    buffer: Vec<u8>,
    /// Bytes of `buffer` already consumed.
    start: usize,
    /// Position of `buffer[start]` in the whole stream.
    position: u64,
    /// Where each push ended in the whole stream, and when it came.
    marks: VecDeque<(u64, Arrival)>,
    lock: Option<Lock>,
    last_counter: Option<u8>,
    discarded: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lock {
    /// Frames ahead that were already compared with each other.
    proven: usize,
    /// Jumps without a plain step between them, and the frames they skipped.
    jumps: u32,
    jumped: u32,
}

/// What bytes say about a frame border at their first byte.
#[derive(PartialEq)]
enum Evidence {
    Against,
    TooShort,
    For,
}

enum Jump {
    Undecided,
    Loss,
    DamagedCounter,
    NoFrame,
}

impl Search {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(CAPACITY),
            start: 0,
            position: 0,
            marks: VecDeque::with_capacity(MOST_MARKS),
            lock: None,
            last_counter: None,
            discarded: 0,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], arrival: Arrival) -> usize {
        self.buffer.drain(..self.start);
        self.start = 0;
        let taken = bytes.len().min(CAPACITY - self.buffer.len());
        if taken == 0 {
            return 0;
        }
        self.buffer.extend_from_slice(&bytes[..taken]);
        let end = self.position + self.buffer.len() as u64;
        let must_merge = self.marks.len() == MOST_MARKS;
        match self.marks.back_mut() {
            Some(mark) if must_merge => *mark = (end, Arrival { empty_ns: mark.1.empty_ns, ..arrival }),
            _ => self.marks.push_back((end, arrival)),
        }
        taken
    }

    pub(super) fn reset(&mut self) {
        self.discarded += self.rest().len() as u64;
        self.position += self.rest().len() as u64;
        self.buffer.clear();
        self.start = 0;
        self.marks.clear();
        self.lock = None;
        self.last_counter = None;
    }

    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    pub(super) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// The next frame that can be believed, or `None` until more bytes come.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let Some(lock) = self.lock else {
                match evidence_of_lock(self.rest()) {
                    Evidence::TooShort => return None,
                    Evidence::Against => self.discard(1),
                    Evidence::For => self.lock = Some(Lock { proven: PROOF_FRAMES, jumps: 0, jumped: 0 }),
                }
                continue;
            };
            match evidence(self.rest(), 1) {
                Evidence::TooShort => return None,
                Evidence::Against => {
                    self.unlock();
                    continue;
                }
                Evidence::For => {}
            }
            let step = self.last_counter.map_or(1, |last| self.rest()[1].wrapping_sub(last));
            if step == 1 || lock.proven > 0 {
                return Some(self.take_frame(Lock { proven: lock.proven.saturating_sub(1), jumps: 0, jumped: 0 }));
            }
            match self.judge_jump(step) {
                Jump::Undecided => return None,
                Jump::DamagedCounter => self.discard(FRAME_LEN),
                Jump::NoFrame => self.unlock(),
                Jump::Loss => {
                    let jumped = lock.jumped + if step == 0 { 256 } else { u32::from(step) };
                    if lock.jumps + 1 < MOST_JUMPS || jumped <= 256 {
                        return Some(self.take_frame(Lock { proven: 0, jumps: lock.jumps + 1, jumped }));
                    }
                    self.unlock();
                }
            }
        }
    }

    /// Why the counter of a well-framed frame is not the last one plus one: the frame after it tells.
    fn judge_jump(&self, step: u8) -> Jump {
        let next = &self.rest()[FRAME_LEN..];
        match evidence(next, 1) {
            Evidence::TooShort => Jump::Undecided,
            Evidence::Against => Jump::NoFrame,
            Evidence::For if next[1] == self.rest()[1].wrapping_sub(step).wrapping_add(2) => Jump::DamagedCounter,
            Evidence::For => Jump::Loss,
        }
    }

    fn take_frame(&mut self, lock: Lock) -> Frame {
        let mut bytes = [0; FRAME_LEN];
        bytes.copy_from_slice(&self.rest()[..FRAME_LEN]);
        let arrival = self.arrival_at(self.position + FRAME_LEN as u64);
        self.consume(FRAME_LEN);
        self.lock = Some(lock);
        self.last_counter = Some(bytes[1]);
        Frame { bytes, arrival }
    }

    /// Arrival of the byte that ends at `end`. It came before those behind it in the same push, and these took time.
    fn arrival_at(&self, end: u64) -> Arrival {
        let mark = self.marks.iter().find(|mark| mark.0 >= end);
        let &(push_end, arrival) = mark.expect("every byte was pushed, and marks are kept until it is consumed");
        let frames_behind = (push_end - end) / FRAME_LEN as u64;
        let earlier_ns = frames_behind * (1_000_000_000 / FRAMES_PER_SECOND);
        let read_ns = arrival.read_ns.saturating_sub(earlier_ns).max(arrival.empty_ns.min(arrival.read_ns));
        Arrival { read_ns, ..arrival }
    }

    fn unlock(&mut self) {
        self.lock = None;
        // The next frame may begin inside what looked like one.
        self.discard(1);
    }

    fn discard(&mut self, bytes: usize) {
        self.discarded += bytes as u64;
        self.consume(bytes);
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
        while self.marks.front().is_some_and(|mark| mark.0 <= self.position) {
            self.marks.pop_front();
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// Whether `bytes` begin with `frames` frames whose counters step by one; says no as soon as a byte does.
fn evidence(bytes: &[u8], frames: usize) -> Evidence {
    for frame in 0..frames {
        let at = |offset: usize| bytes.get(frame * FRAME_LEN + offset).copied();
        let follows = |counter: u8| frame == 0 || counter == bytes[(frame - 1) * FRAME_LEN + 1].wrapping_add(1);
        if at(0).is_some_and(|byte| byte != HEADER)
            || at(1).is_some_and(|counter| !follows(counter))
            || at(FRAME_LEN - 1).is_some_and(|byte| !is_stop(byte))
        {
            return Evidence::Against;
        }
    }
    if bytes.len() < frames * FRAME_LEN { Evidence::TooShort } else { Evidence::For }
}

/// Whether the first byte begins frames, and no other place fits the same bytes as well.
fn evidence_of_lock(bytes: &[u8]) -> Evidence {
    for frames in PROOF_FRAMES..=LONGEST_PROOF_FRAMES {
        match evidence(bytes, frames) {
            Evidence::For => {}
            other => return other,
        }
        // Only bytes of the proof are looked at, so that it does not matter how the stream was cut into pushes.
        let proof = &bytes[..frames * FRAME_LEN];
        if (1..FRAME_LEN).all(|border| evidence(&proof[border..], frames) == Evidence::Against) {
            return Evidence::For;
        }
    }
    Evidence::For
}
