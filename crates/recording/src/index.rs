//! What is where in a file: from its summary if it was closed, else found by reading all of it.
use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Seek, SeekFrom},
};

use mcap::{
    MAGIC,
    records::{Channel, ChunkIndex, Record, op},
    sans_io::{LinearReadEvent, LinearReader, linear_reader::LinearReaderOptions},
};

use crate::{
    chunk::{self, HEAD_BYTES, MAX_RECORD_BYTES, RecordHead, Source},
    error::ReadError,
    ledger::Ledger,
    recount::Recount,
    survey::{self, Survey},
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
    /// Unix time of its first message.
    pub(crate) start_ns: u64,
    /// Unix time of its last message.
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

impl From<ChunkIndex> for ChunkEntry {
    fn from(index: ChunkIndex) -> Self {
        Self {
            head: RecordHead { opcode: op::CHUNK, offset: index.chunk_start_offset, length: index.chunk_length },
            start_ns: index.message_start_time,
            end_ns: index.message_end_time,
            channels: index.message_index_offsets.into_keys().collect(),
        }
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
                        Record::ChunkIndex(entry) => {
                            place(op::CHUNK, entry.chunk_start_offset, entry.chunk_length, summary_start)?;
                            index.chunks.push(entry.into());
                        }
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
        let mut recount = Recount::default();
        let Survey { summary, chunks, entries, damage, whole_bytes, .. } = survey::survey(source, &mut recount)?;
        let channels = summary.channels.values().map(|channel| {
            let channel = Channel {
                id: channel.id,
                schema_id: channel.schema.as_ref().map_or(0, |schema| schema.id),
                topic: channel.topic.clone(),
                message_encoding: channel.message_encoding.clone(),
                metadata: channel.metadata.clone(),
            };
            (channel.id, channel)
        });
        let attachments = summary.attachment_indexes.into_iter().map(|index| {
            (index.name, RecordHead { opcode: op::ATTACHMENT, offset: index.offset, length: index.length })
        });
        Ok(Self {
            channels: channels.collect(),
            chunks: chunks.iter().map(ChunkEntry::from).collect(),
            attachments: attachments.collect(),
            metadata: entries,
            is_closed: false,
            good_bytes: whole_bytes,
            damaged: damage.iter().map(|damage| damage.offset).filter(|offset| *offset < whole_bytes).collect(),
            recounted: Some(recount.ledger()),
        })
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
