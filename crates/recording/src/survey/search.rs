//! Finds where a file goes on behind a damaged part.
use mcap::{MAGIC, records::op};

use super::DATA_END_BYTES;
use crate::{
    chunk::{self, CHUNK_FRAME_BYTES, HEAD_BYTES, MAX_CHUNK_BYTES, RecordHead, Source},
    error::ReadError,
};

/// What stands in the head of every chunk, and how far from its begin.
const MARK: &[u8] = b"\x04\0\0\0zstd";
const MARK_OFFSET: u64 = HEAD_BYTES + 28;
const WINDOW: usize = 1 << 20;

/// What is known of the places behind damaged parts. Its work is bounded: each part of a file is searched once, and no
/// more than twice the file is read in vain.
pub(super) struct Search {
    /// Begin of the last search, and the whole chunk it found.
    last: Option<(u64, Option<u64>)>,
    /// Up to there lengths were found to lead from record to record.
    trusted_until: u64,
    /// Bytes that may still be read of chunks that turn out to be none.
    budget: u64,
}

impl Search {
    pub(super) fn new(file_bytes: u64) -> Self {
        Self { last: None, trusted_until: 0, budget: file_bytes.saturating_mul(2) }
    }

    /// Where to go on behind the damaged record at `at`: where it ends by its own account, if the records from there
    /// lead to a whole chunk or the end of the data, else the next whole chunk. `None` if nothing whole comes.
    pub(super) fn behind(&mut self, source: &Source, at: u64, end: Option<u64>) -> Result<Option<u64>, ReadError> {
        let chunk = self.next_chunk(source, at + 1)?;
        let Some(end) = end else { return Ok(chunk) };
        if end <= self.trusted_until || self.leads(source, end, chunk)? { Ok(Some(end)) } else { Ok(chunk) }
    }

    /// True if a record may begin at `at`.
    pub(super) fn is_head(&self, source: &Source, at: u64) -> Result<bool, ReadError> {
        Ok(source.head(at)?.is_some_and(|head| (op::HEADER..=op::DATA_END).contains(&head.opcode)))
    }

    /// True if the records from `at` on lead to `chunk`, or without one to the end of the data.
    fn leads(&mut self, source: &Source, mut at: u64, chunk: Option<u64>) -> Result<bool, ReadError> {
        loop {
            match chunk {
                Some(chunk) if at == chunk => break,
                Some(chunk) if at > chunk => return Ok(false),
                _ => {}
            }
            let Some(head) = source.head(at)? else { return Ok(false) };
            if !(op::HEADER..=op::DATA_END).contains(&head.opcode) {
                return Ok(false);
            }
            if head.opcode == op::DATA_END {
                if chunk.is_none() && head.length == DATA_END_BYTES {
                    break;
                }
                return Ok(false);
            }
            at = head.end();
        }
        self.trusted_until = at;
        Ok(true)
    }

    fn next_chunk(&mut self, source: &Source, from: u64) -> Result<Option<u64>, ReadError> {
        if let Some((begin, found)) = self.last
            && begin <= from
            && found.is_none_or(|found| found >= from)
        {
            return Ok(found);
        }
        let found = self.search(source, from)?;
        self.last = Some((from, found));
        Ok(found)
    }

    fn search(&mut self, source: &Source, from: u64) -> Result<Option<u64>, ReadError> {
        let mut at = from.max(MAGIC.len() as u64);
        let mut window = Vec::new();
        loop {
            let n = (source.length - at.min(source.length)).min(WINDOW as u64) as usize;
            if (n as u64) < CHUNK_FRAME_BYTES {
                return Ok(None);
            }
            source.read_at(at, n, &mut window)?;
            let mut begin = MARK_OFFSET as usize;
            while let Some(found) = find(&window, begin) {
                let start = found - MARK_OFFSET as usize;
                begin = found + 1;
                if window[start] == op::CHUNK && self.is_chunk(source, at + start as u64)? {
                    return Ok(Some(at + start as u64));
                }
            }
            // A mark may lie across the edge of two windows.
            at += (n - (CHUNK_FRAME_BYTES as usize - 1)) as u64;
        }
    }

    fn is_chunk(&mut self, source: &Source, at: u64) -> Result<bool, ReadError> {
        let Some(head) = source.head(at)? else { return Ok(false) };
        let RecordHead { length, .. } = head;
        if !(CHUNK_FRAME_BYTES..=MAX_CHUNK_BYTES).contains(&length) || length > self.budget {
            return Ok(false);
        }
        let mut record = Vec::new();
        source.read_at(at, CHUNK_FRAME_BYTES as usize, &mut record)?;
        let compressed = record.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if compressed != length - CHUNK_FRAME_BYTES {
            return Ok(false);
        }
        source.read_record(&head, MAX_CHUNK_BYTES, &mut record)?;
        match chunk::each_record(&record, at, |_, _| Ok(())) {
            Ok(_) => Ok(true),
            Err(error @ ReadError::Io { .. }) => Err(error),
            Err(_) => {
                self.budget -= length;
                Ok(false)
            }
        }
    }
}

/// The first mark in `window` from `begin` on.
fn find(window: &[u8], begin: usize) -> Option<usize> {
    let rest = window.get(begin..)?;
    let mut from = 0;
    loop {
        // `z` is rarer in what is not text than a zero.
        let z = rest.get(from..)?.iter().position(|byte| *byte == b'z')? + from;
        if z >= 4 && rest.get(z - 4..z + 4) == Some(MARK) {
            return Some(begin + z - 4);
        }
        from = z + 1;
    }
}
