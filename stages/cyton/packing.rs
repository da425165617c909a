//! Packs rows into packets: unbroken runs of samples, full or not too old, with what was lost before them.
use std::time::{Duration, Instant};

use wavedeck_api::prelude::*;

use super::frame::Row;

/// Time that a packet waits for the rest of its samples beyond the time these take.
const GRACE: Duration = Duration::from_millis(40);

/// The output of a device and the packet that is being filled.
pub(super) struct Packing {
    output: Output<Counts>,
    state: State,
    /// A row that has to begin a new packet.
    held: Option<Row>,
    /// Index after the last row, and when that row came.
    last: Option<(u64, u64)>,
    marks: Flags,
}

enum State {
    Empty,
    Filling {
        packet: Packet<Counts>,
        rows: u32,
        began: Instant,
    },
    /// No buffer was free when the packet began: its rows are counted and let go.
    Skipping {
        rows: u32,
    },
}

impl Packing {
    pub(super) fn new(output: Output<Counts>) -> Self {
        Self { output, state: State::Empty, held: None, last: None, marks: Flags::NONE }
    }

    /// Adds a row. True if a packet was sent: the caller then lets others work before it adds more.
    pub(super) fn add(&mut self, row: Row) -> bool {
        let next_index = self.last.map_or(row.index, |(next_index, _)| next_index);
        let is_break = row.index != next_index || row.discarded_before > 0;
        if is_break && !matches!(self.state, State::Empty) {
            self.held = Some(row);
            return self.send();
        }
        self.output.lose(row.index.saturating_sub(next_index), Loss::Device);
        self.last = Some((row.index + 1, row.at_ns));
        self.begin(&row);
        let rows = match &mut self.state {
            State::Filling { packet, rows, .. } => {
                let channels = usize::from(packet.header().channels);
                let place = *rows as usize * channels;
                packet.samples_mut()[place..place + channels].copy_from_slice(&row.counts[..channels]);
                *rows += 1;
                *rows
            }
            State::Skipping { rows } => {
                *rows += 1;
                *rows
            }
            State::Empty => 0,
        };
        rows == self.output.spec().max_batch && self.send()
    }

    /// A row that did not fit the packet before it.
    pub(super) fn take_held(&mut self) -> Option<Row> {
        self.held.take()
    }

    /// Sends what there is; true if a packet was sent.
    pub(super) fn send(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Empty) {
            State::Empty => false,
            State::Skipping { rows } => {
                self.output.lose(u64::from(rows), Loss::Overrun);
                false
            }
            State::Filling { mut packet, rows, .. } => {
                packet.frames_mut(rows);
                self.output.send(packet);
                true
            }
        }
    }

    /// The next packet is the first after a reconnection.
    pub(super) fn mark_reconnected(&mut self) {
        self.marks = self.marks.with(Flags::RECONNECTED);
    }

    /// Time until the packet should be sent as it is; `None` if none is being filled.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let State::Filling { began, .. } = &self.state else {
            return None;
        };
        let limit = Duration::from_secs_f64(self.output.spec().batch_period_s()) + GRACE;
        Some(limit.saturating_sub(began.elapsed()))
    }

    /// Index of a row that would come at `now_ns`, by the host's clock; 0 before the first row.
    pub(super) fn index_at(&self, now_ns: u64) -> u64 {
        self.last.map_or(0, |(next_index, at_ns)| {
            next_index + self.output.spec().rate.samples_in(now_ns.saturating_sub(at_ns))
        })
    }

    fn begin(&mut self, row: &Row) {
        if !matches!(self.state, State::Empty) {
            return;
        }
        if row.discarded_before > 0 {
            self.marks = self.marks.with(Flags::RESYNC);
        }
        let Some(mut packet) = self.output.try_acquire() else {
            self.state = State::Skipping { rows: 0 };
            return;
        };
        packet.frames_mut(self.output.spec().max_batch);
        let header = packet.header_mut();
        header.first_sample = row.index;
        header.timestamp_ns = row.at_ns;
        header.flags = std::mem::replace(&mut self.marks, Flags::NONE);
        self.state = State::Filling { packet, rows: 0, began: Instant::now() };
    }
}
