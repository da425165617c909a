//! What is where in a file: from its summary if it was closed, else found by reading all of it.
use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Seek, SeekFrom},
};

use mcap::{
    MAGIC,
    records::{Channel, Record, op},
    sans_io::{LinearReadEvent, LinearReader, linear_reader::LinearReaderOptions},
};

use crate::{
    chunk::{self, HEAD_BYTES, Item, MAX_CHUNK_BYTES, MAX_RECORD_BYTES, RecordHead, Source},
    error::ReadError,
    ledger::Ledger,
    recount::Recount,
};

const DATA_END_BYTES: u64 = HEAD_BYTES + 4;
const FOOTER_BYTES: u64 = HEAD_BYTES + 20;

/// The places of everything in a file.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) channels: BTreeMap<u16, Channel>,
    pub(crate) chunks: Vec<ChunkEntry>,
    pub(crate) attachments: Vec<(String, RecordHead)>,
    pub(crate) metadata: BTreeMap<String, BTreeMap<String, String>>,
    /// The file ends as a closed file ends.
    pub(crate) is_closed: bool,
    /// Length of the part up to the last whole record.
    pub(crate) good_bytes: u64,
    /// Places of chunks that could not be read; known only after all was read.
    pub(crate) damaged: Vec<u64>,
    /// Account made while all was read.
    pub(crate) recounted: Option<Ledger>,
}

/// One chunk.
#[derive(Clone, Debug)]
pub(crate) struct ChunkEntry {
    pub(crate) head: RecordHead,
    /// Unix times of its first and last message.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Channels it has messages of, sorted.
    pub(crate) channels: Box<[u16]>,
}

impl ChunkEntry {
    /// True if the chunk has messages of `channel`.
    pub(crate) fn holds(&self, channel: u16) -> bool {
        self.channels.binary_search(&channel).is_ok()
    }
}

impl Index {
    /// Reads the summary, or all of the file if there is none that can be trusted.
    pub(crate) fn of(source: &Source) -> Result<Self, ReadError> {
        match Self::from_summary(source) {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Self::from_scan(source),
            Err(error @ ReadError::Io { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, path = %source.path().display(), "reading all of a recording: bad summary");
                Self::from_scan(source)
            }
        }
    }

    /// `None` if the file was not closed.
    pub(crate) fn from_summary(source: &Source) -> Result<Option<Self>, ReadError> {
        let Some(summary_start) = summary_start(source)? else {
            return Ok(None);
        };
        let mut file = &source.file;
        file.seek(SeekFrom::Start(summary_start - DATA_END_BYTES)).map_err(|error| source.io_error(error))?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_emit_chunks(true)
            .with_validate_summary_section_crc(true)
            .with_record_length_limit(MAX_RECORD_BYTES as usize);
        let mut reader = LinearReader::new_with_options(options);
        let mut index = Self { is_closed: true, good_bytes: source.length, ..Self::default() };
        let mut metadata = Vec::new();
        while let Some(event) = reader.next_event() {
            let bad = |error: mcap::McapError| chunk::damaged(summary_start, error.to_string());
            match event.map_err(bad)? {
                LinearReadEvent::ReadRequest(wanted) => {
                    let room = wanted.min(MAX_RECORD_BYTES as usize);
                    let n = file.read(reader.insert(room)).map_err(|error| source.io_error(error))?;
                    reader.notify_read(n);
                }
                LinearReadEvent::Record { opcode: op::ATTACHMENT | op::CHUNK, .. } => {
                    return Err(chunk::damaged(summary_start, "the summary holds data".into()));
                }
                LinearReadEvent::Record { opcode, data } => {
                    match mcap::read::parse_record(opcode, data).map_err(bad)? {
                        Record::Channel(channel) => drop(index.channels.insert(channel.id, channel)),
                        Record::ChunkIndex(entry) => index.chunks.push(ChunkEntry {
                            head: place(op::CHUNK, entry.chunk_start_offset, entry.chunk_length, summary_start)?,
                            start_ns: entry.message_start_time,
                            end_ns: entry.message_end_time,
                            channels: entry.message_index_offsets.into_keys().collect(),
                        }),
                        Record::AttachmentIndex(entry) => {
                            let head = place(op::ATTACHMENT, entry.offset, entry.length, summary_start)?;
                            index.attachments.push((entry.name, head));
                        }
                        Record::MetadataIndex(entry) => {
                            metadata.push(place(op::METADATA, entry.offset, entry.length, summary_start)?);
                        }
                        _ => {}
                    }
                }
            }
        }
        for head in metadata {
            index.add_metadata(source, &head)?;
        }
        Ok(Some(index))
    }

    fn from_scan(source: &Source) -> Result<Self, ReadError> {
        let mut index = Self { good_bytes: MAGIC.len() as u64, ..Self::default() };
        let mut recount = Recount::default();
        let mut buffer = Vec::new();
        while let Some(head) = source.head(index.good_bytes)? {
            match head.opcode {
                op::CHUNK => match index.scan_chunk(source, &head, &mut buffer, &mut recount) {
                    Ok(entry) => index.chunks.push(entry),
                    Err(error @ ReadError::Io { .. }) => return Err(error),
                    Err(_) => index.damaged.push(head.offset),
                },
                op::ATTACHMENT if head.length <= MAX_RECORD_BYTES => {
                    source.read_record(&head, MAX_RECORD_BYTES, &mut buffer)?;
                    if let Ok(Record::Attachment { header, .. }) = chunk::parse(&buffer, head.offset) {
                        index.attachments.push((header.name, head));
                    }
                }
                // Nothing depends on it that a second look could not find.
                op::METADATA => drop(index.add_metadata(source, &head)),
                // Beyond it only what a summary would hold.
                op::DATA_END => break,
                1..=0x0e | 0x80.. => {}
                _ => break,
            }
            index.good_bytes = head.end();
        }
        index.recounted = Some(recount.ledger());
        Ok(index)
    }

    fn scan_chunk(
        &mut self,
        source: &Source,
        head: &RecordHead,
        buffer: &mut Vec<u8>,
        recount: &mut Recount,
    ) -> Result<ChunkEntry, ReadError> {
        source.read_record(head, MAX_CHUNK_BYTES, buffer)?;
        let mut entry = ChunkEntry { head: *head, start_ns: u64::MAX, end_ns: 0, channels: Box::default() };
        let mut channels = Vec::new();
        chunk::visit_chunk(buffer, head.offset, |item| {
            match item {
                Item::Channel(channel) => {
                    recount.add_channel(&channel);
                    self.channels.insert(channel.id, channel);
                }
                Item::Message(header, payload) => {
                    entry.start_ns = entry.start_ns.min(header.log_time);
                    entry.end_ns = entry.end_ns.max(header.log_time);
                    if let Err(place) = channels.binary_search(&header.channel_id) {
                        channels.insert(place, header.channel_id);
                    }
                    recount.add_message(header.channel_id, payload);
                }
            }
            Ok(())
        })?;
        entry.start_ns = entry.start_ns.min(entry.end_ns);
        entry.channels = channels.into();
        Ok(entry)
    }

    fn add_metadata(&mut self, source: &Source, head: &RecordHead) -> Result<(), ReadError> {
        let mut buffer = Vec::new();
        source.read_record(head, MAX_RECORD_BYTES, &mut buffer)?;
        if let Record::Metadata(metadata) = chunk::parse(&buffer, head.offset)? {
            self.metadata.insert(metadata.name, metadata.metadata);
        }
        Ok(())
    }
}

/// Where the summary begins; `None` if the file does not end as a closed file with a summary does.
fn summary_start(source: &Source) -> Result<Option<u64>, ReadError> {
    let magic = MAGIC.len() as u64;
    let Some(footer) = source.length.checked_sub(FOOTER_BYTES + magic) else {
        return Ok(None);
    };
    let head = RecordHead { opcode: op::FOOTER, offset: footer, length: FOOTER_BYTES + magic };
    let mut buffer = Vec::new();
    source.read_record(&head, MAX_RECORD_BYTES, &mut buffer)?;
    let Some(record) = buffer.strip_suffix(MAGIC) else {
        return Ok(None);
    };
    let Ok(Record::Footer(record)) = chunk::parse(record, footer) else {
        return Ok(None);
    };
    let is_sound = (magic + DATA_END_BYTES..footer).contains(&record.summary_start);
    Ok(is_sound.then_some(record.summary_start))
}

fn place(opcode: u8, offset: u64, length: u64, end: u64) -> Result<RecordHead, ReadError> {
    if length < HEAD_BYTES || offset.checked_add(length).is_none_or(|record_end| record_end > end) {
        return Err(chunk::damaged(offset, "the summary points outside the file".into()));
    }
    Ok(RecordHead { opcode, offset, length })
}
