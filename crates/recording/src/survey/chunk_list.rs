//! The index of all chunks of a file, packed: a recording of a week has millions.
use mcap::records::{ChunkIndex, Record, op};

use crate::{
    chunk::{self, HEAD_BYTES},
    tail,
};

/// Chunk index records one behind the other, as a summary has them.
#[derive(Default)]
pub(crate) struct ChunkList {
    records: Vec<u8>,
    len: u64,
    /// Times of the first and the last message of all.
    times: Option<(u64, u64)>,
}

impl ChunkList {
    /// Adds a chunk.
    pub(crate) fn push(&mut self, index: &ChunkIndex) {
        if !index.message_index_offsets.is_empty() {
            let (start, end) = self.times.unwrap_or((u64::MAX, 0));
            self.times = Some((start.min(index.message_start_time), end.max(index.message_end_time)));
        }
        tail::record(op::CHUNK_INDEX, &mut self.records, |out| tail::chunk_index(index, out));
        self.len += 1;
    }

    /// Number of chunks.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// True if there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Times of the first and the last message; 0 without any.
    pub(crate) fn times(&self) -> (u64, u64) {
        self.times.unwrap_or_default()
    }

    /// The records.
    pub(crate) fn records(&self) -> &[u8] {
        &self.records
    }

    /// The chunks, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ChunkIndex> {
        let mut rest = &self.records[..];
        std::iter::from_fn(move || {
            let length = rest.get(1..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
            let (record, after) = rest.split_at_checked((HEAD_BYTES + length) as usize)?;
            rest = after;
            match chunk::parse(record, 0) {
                Ok(Record::ChunkIndex(index)) => Some(index),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_as_they_were() {
        let mut list = ChunkList::default();
        let chunks: Vec<ChunkIndex> = (0..5u64)
            .map(|n| ChunkIndex {
                message_start_time: 100 - n,
                message_end_time: 200 + n,
                chunk_start_offset: n * 1000,
                chunk_length: 500,
                message_index_offsets: (0..n as u16).map(|channel| (channel, 7 * n)).collect(),
                message_index_length: 40 * n,
                compression: "zstd".into(),
                compressed_size: 447,
                uncompressed_size: 9000,
            })
            .collect();

        chunks.iter().for_each(|index| list.push(index));

        assert_eq!(list.iter().collect::<Vec<_>>(), chunks);
        // One without messages has no times.
        assert_eq!((list.len(), list.times()), (5, (96, 204)));
    }
}
