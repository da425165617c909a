//! The rows of a table, from the nearest place that is remembered.
use std::sync::Arc;

use wavedeck_recording::{DecodedBatch, Samples};

use super::{
    super::{
        foreign::{BLOCK_VALUES, Reader, Shared},
        runs::{Clock, Runs, Walk},
    },
    dialect::{Cell, Dialect},
    layout::not_a_number,
    lines::{Lines, Place},
};
use crate::{error::SourceError, source::Blocks};

/// Where the rows are.
pub(super) struct Rows {
    pub(super) file: Shared,
    pub(super) dialect: Dialect,
    pub(super) runs: Arc<Runs>,
    pub(super) clock: Clock,
    /// Row and place, every so many rows.
    pub(super) places: Vec<(u64, Place)>,
    /// Column and name of the channels of each stream, columns ascending.
    pub(super) streams: Vec<Arc<[(usize, String)]>>,
}

impl Reader for Rows {
    fn blocks(&self, stream: usize, from_index: u64) -> Result<Blocks, SourceError> {
        let walk = Walk::new(Arc::clone(&self.runs), from_index);
        let first = walk.peek().map_or(0, |run| run.frame);
        let known = self.places.partition_point(|(row, _)| *row <= first);
        let (row, place) = known.checked_sub(1).map_or((0, Place::default()), |known| self.places[known]);
        Ok(Box::new(Reading {
            lines: Lines::new(&self.file, place, Some(self.dialect.delimiter)),
            file: self.file.clone(),
            dialect: self.dialect,
            clock: self.clock,
            channels: Arc::clone(&self.streams[stream]),
            walk,
            row,
        }))
    }
}

/// An iteration over a stream.
struct Reading {
    lines: Lines,
    file: Shared,
    dialect: Dialect,
    clock: Clock,
    channels: Arc<[(usize, String)]>,
    walk: Walk,
    /// The next row in `lines`.
    row: u64,
}

impl Reading {
    fn values(&mut self, first: u64, n: u64) -> Result<Vec<f32>, SourceError> {
        let mut values = Vec::with_capacity(n as usize * self.channels.len());
        while self.row < first + n {
            let Some(line) = self.lines.next_row()? else {
                return Err(self.file.bad("table", "as long as when it was opened", "its end"));
            };
            self.row += 1;
            if self.row <= first {
                continue;
            }
            let known = values.len();
            let mut fields = self.dialect.fields(line.bytes).enumerate();
            for (column, name) in self.channels.iter() {
                let field = fields.find(|(place, _)| place == column).map(|(_, field)| field).unwrap_or_default();
                values.push(match self.dialect.cell(field) {
                    Cell::Number(number) => number,
                    Cell::Empty => f32::NAN,
                    Cell::Text => return Err(not_a_number(&self.file, line.number(), *column, name, field)),
                });
            }
            debug_assert_eq!(values.len(), known + self.channels.len());
        }
        Ok(values)
    }
}

impl Iterator for Reading {
    type Item = Result<DecodedBatch, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let most = BLOCK_VALUES / self.channels.len() as u64;
        let piece = self.walk.piece(|_| most)?;
        Some(match self.values(piece.run.frame, piece.run.n) {
            Ok(values) => Ok(self.clock.block(&piece, Samples::Values(values))),
            Err(error) => {
                // What follows has no place of its own any more.
                self.walk = Walk::new(Arc::default(), 0);
                Err(error)
            }
        })
    }
}
