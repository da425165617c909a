//! Reads pieces of a file that may be cut or damaged: every length is checked before it is believed.
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use mcap::{
    McapError,
    read::parse_record,
    records::{ChunkHeader, MessageHeader, Record, op},
    sans_io::{LinearReadEvent, LinearReader, linear_reader::LinearReaderOptions},
};

use crate::error::ReadError;

/// Opcode and length before each record.
pub(crate) const HEAD_BYTES: u64 = 9;
/// Bytes of a chunk record, head included, beside its compressed data.
pub(crate) const CHUNK_FRAME_BYTES: u64 = HEAD_BYTES + 44;
/// Largest chunk that is read, before and after decompression; a writer makes them half that size at most.
pub(crate) const MAX_CHUNK_BYTES: u64 = 160 << 20;
/// Largest record outside chunks that is read.
pub(crate) const MAX_RECORD_BYTES: u64 = 32 << 20;

/// A file to read from at any place.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// Length when it was opened.
    pub(crate) length: u64,
}

/// Opcode and place of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    pub(crate) opcode: u8,
    pub(crate) offset: u64,
    /// Length with opcode and length field.
    pub(crate) length: u64,
}

impl RecordHead {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

impl Source {
    /// The head of the record at `offset`; `None` if the file ends before the record does.
    pub(crate) fn head(&self, offset: u64) -> Result<Option<RecordHead>, ReadError> {
        if self.length.checked_sub(offset).is_none_or(|rest| rest < HEAD_BYTES) {
            return Ok(None);
        }
        let mut head = [0; HEAD_BYTES as usize];
        self.file.read_exact_at(&mut head, offset).map_err(|source| self.io_error(source))?;
        let [opcode, length @ ..] = head;
        let end = u64::from_le_bytes(length).checked_add(HEAD_BYTES).and_then(|length| offset.checked_add(length));
        let head = end.filter(|end| *end <= self.length);
        Ok(head.map(|end| RecordHead { opcode, offset, length: end - offset }))
    }

    /// Reads a whole record, head included, into `buffer`.
    pub(crate) fn read_record(&self, head: &RecordHead, limit: u64, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
        if head.length > limit || head.offset.checked_add(head.length).is_none_or(|end| end > self.length) {
            return Err(damaged(head.offset, format!("a record has {} bytes", head.length)));
        }
        buffer.clear();
        buffer.resize(head.length as usize, 0);
        self.file.read_exact_at(buffer, head.offset).map_err(|source| self.io_error(source))
    }

    /// Reads `n` bytes, which must be there, into `buffer`.
    pub(crate) fn read_at(&self, offset: u64, n: usize, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
        buffer.clear();
        buffer.resize(n, 0);
        self.file.read_exact_at(buffer, offset).map_err(|source| self.io_error(source))
    }

    pub(crate) fn io_error(&self, source: std::io::Error) -> ReadError {
        ReadError::Io { action: "read", path: self.path.clone(), source }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The record in `bytes`, head included; `offset` is its place in the file.
pub(crate) fn parse(bytes: &[u8], offset: u64) -> Result<Record<'_>, ReadError> {
    let bad = |what: &str| damaged(offset, what.to_owned());
    let (&opcode, rest) = bytes.split_first().ok_or_else(|| bad("a record is empty"))?;
    let body = rest.get(8..).ok_or_else(|| bad("a record is cut"))?;
    if opcode == op::ATTACHMENT && !is_attachment(body) {
        return Err(bad("an attachment has wrong lengths"));
    }
    parse_record(opcode, body).map_err(|error| damaged(offset, error.to_string()))
}

/// Calls `visit` with each channel and message of a chunk record, head included, after its checksum has been
/// found right.
pub(crate) fn visit_chunk(
    bytes: &[u8],
    offset: u64,
    mut visit: impl FnMut(Item<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let bad = |error: McapError| damaged(offset, error.to_string());
    each_record(bytes, offset, |opcode, data| match opcode {
        op::CHANNEL | op::MESSAGE => match parse_record(opcode, data).map_err(bad)? {
            Record::Channel(_) => visit(Item::Channel),
            Record::Message { header, data } => visit(Item::Message(header, &data)),
            _ => Ok(()),
        },
        _ => Ok(()),
    })
    .map(drop)
}

/// Calls `visit` with opcode and content of each record of a chunk record, head included, after its checksum has
/// been found right.
pub(crate) fn each_record(
    bytes: &[u8],
    offset: u64,
    mut visit: impl FnMut(u8, &[u8]) -> Result<(), ReadError>,
) -> Result<ChunkHeader, ReadError> {
    let bad = |error: McapError| damaged(offset, error.to_string());
    let Record::Chunk { header, .. } = parse(bytes, offset)? else {
        return Err(damaged(offset, "a chunk is not where it should be".into()));
    };
    // Others are legal, but not written by this program, and would not be verified on reading.
    if header.compression != "zstd" || header.uncompressed_crc == 0 {
        return Err(damaged(offset, "a chunk is not zstd with a checksum".into()));
    }
    if bytes.len() as u64 != CHUNK_FRAME_BYTES + header.compressed_size || header.uncompressed_size > MAX_CHUNK_BYTES {
        return Err(damaged(offset, "a chunk has wrong lengths".into()));
    }
    let options = LinearReaderOptions::default()
        .with_skip_start_magic(true)
        .with_skip_end_magic(true)
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_CHUNK_BYTES as usize);
    let mut reader = LinearReader::new_with_options(options);
    let mut rest = bytes;
    while let Some(event) = reader.next_event() {
        match event.map_err(bad)? {
            LinearReadEvent::ReadRequest(wanted) => {
                let (piece, after) = rest.split_at(wanted.min(rest.len()));
                reader.insert(piece.len()).copy_from_slice(piece);
                reader.notify_read(piece.len());
                rest = after;
            }
            LinearReadEvent::Record { opcode, data } => visit(opcode, data)?,
        }
    }
    Ok(header)
}

/// What a chunk holds.
pub(crate) enum Item<'a> {
    /// Tells what the messages of a channel are, as the index does.
    Channel,
    /// A message and its payload.
    Message(MessageHeader, &'a [u8]),
}

/// An error at a place of the file.
pub(crate) fn damaged(offset: u64, what: String) -> ReadError {
    ReadError::Damaged { offset, what }
}

/// True if the lengths within an attachment add up; the library takes that for granted.
fn is_attachment(body: &[u8]) -> bool {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let skip = |at: u64, width: u64| -> Option<u64> {
        let field = body.get(usize::try_from(at).ok()?..)?.get(..width as usize)?;
        at.checked_add(width)?.checked_add(number(field))
    };
    let data_end = skip(16, 4).and_then(|at| skip(at, 4)).and_then(|at| skip(at, 8));
    data_end.and_then(|end| end.checked_add(4)) == Some(body.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment() -> Vec<u8> {
        let mut body = vec![0; 16];
        body.extend([1, 0, 0, 0, b'n', 1, 0, 0, 0, b't', 2, 0, 0, 0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0]);
        body
    }

    #[test]
    fn an_attachment_with_wrong_lengths_is_noticed() {
        assert!(is_attachment(&attachment()));
        for length in 0..attachment().len() {
            assert!(!is_attachment(&attachment()[..length]), "{length}");
        }
        let mut long = attachment();
        long[33] = 255;
        assert!(!is_attachment(&long));
    }

    #[test]
    fn an_empty_or_cut_record_is_an_error_and_no_panic() {
        for bytes in [&[][..], &[op::CHUNK], &[op::ATTACHMENT, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(parse(bytes, 0).is_err());
        }
    }
}
