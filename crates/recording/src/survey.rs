//! Walks over all of a file and says what is whole. It believes no index and no length that is not borne out, so
//! that repair and verification can.
mod chunk_list;
mod search;
mod unpack;

use std::{collections::BTreeMap, sync::Arc};

use crc32fast::Hasher;
use mcap::{
    MAGIC, Summary,
    records::{self, AttachmentIndex, ChunkIndex, MessageHeader, MetadataIndex, Record, Statistics, op},
};

pub(crate) use self::{
    chunk_list::ChunkList,
    unpack::{add_channel, add_schema},
};
use self::{search::Search, unpack::Unpacked};
use crate::{
    chunk::{self, HEAD_BYTES, MAX_CHUNK_BYTES, MAX_RECORD_BYTES, RecordHead, Source},
    error::ReadError,
    fault::Faults,
    stored::Entries,
    tail,
};

/// Length of a data end record.
pub(crate) const DATA_END_BYTES: u64 = HEAD_BYTES + 4;

/// Where a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Position of its chunk in the file.
    pub(crate) offset: u64,
    /// Number of its chunk, from 0, damaged ones not counted.
    pub(crate) chunk: u64,
}

/// Sees what whole chunks hold, in the order of the file.
pub(crate) trait Witness {
    /// A channel is described.
    fn channel(&mut self, place: Place, channel: &records::Channel);
    /// A message.
    fn message(&mut self, place: Place, header: &MessageHeader, payload: &[u8]);
    /// What stood here is damaged.
    fn damage(&mut self) {}
    /// So many bytes of the file are done.
    fn progress(&mut self, _bytes: u64) {}
}

/// A part of a file that is not what was written.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) what: String,
}

/// The end of the data of a closed file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataEnd {
    pub(crate) offset: u64,
    /// Checksum of all before it as it is written; 0 if there is none.
    pub(crate) stored: u32,
    /// The same as it is.
    pub(crate) computed: u32,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Survey {
    /// All that is whole but the chunks, as a summary tells it.
    pub(crate) summary: Summary,
    pub(crate) chunks: ChunkList,
    /// Contents of the metadata records.
    pub(crate) entries: Entries,
    /// Parts that are damaged, in the order of the file; the last one may be a cut.
    pub(crate) damage: Vec<Damage>,
    /// What is wrong without making anything unreadable.
    pub(crate) faults: Faults,
    /// Length up to the end of the last whole chunk or attachment, the end of a closed file left out.
    pub(crate) whole_bytes: u64,
    /// Checksum of all up to there.
    pub(crate) whole_checksum: Hasher,
    /// Message indexes that belong there and are cut.
    pub(crate) missing_indexes: Vec<u8>,
    /// Where the records begin that close a file, whole or not.
    pub(crate) closing_start: Option<u64>,
    pub(crate) data_end: Option<DataEnd>,
}

/// Walks over all of `source`.
pub(crate) fn survey(source: &Source, witness: &mut impl Witness) -> Result<Survey, ReadError> {
    let begin = MAGIC.len() as u64;
    let mut walk = Walk {
        search: Search::new(source.length),
        source,
        witness,
        survey: Survey { whole_bytes: begin, ..Survey::default() },
        buffer: Vec::new(),
        unpacked: Unpacked::default(),
        checksum: Hasher::new(),
        is_after_damage: false,
    };
    walk.checksum.update(MAGIC);
    walk.survey.whole_checksum = walk.checksum.clone();
    walk.run(begin)?;
    let mut survey = walk.survey;
    survey.count();
    Ok(survey)
}

impl Survey {
    /// Sets the counts of the summary to what the summary lists.
    pub(crate) fn count(&mut self) {
        let Summary { stats, channels, schemas, attachment_indexes, metadata_indexes, .. } = &mut self.summary;
        let stats = stats.get_or_insert_with(no_statistics);
        stats.message_count = stats.channel_message_counts.values().sum();
        stats.schema_count = schemas.len() as u16;
        stats.channel_count = channels.len() as u32;
        stats.attachment_count = attachment_indexes.len() as u32;
        stats.metadata_count = metadata_indexes.len() as u32;
        stats.chunk_count = self.chunks.len() as u32;
        (stats.message_start_time, stats.message_end_time) = self.chunks.times();
    }
}

fn no_statistics() -> Statistics {
    Statistics {
        message_count: 0,
        schema_count: 0,
        channel_count: 0,
        attachment_count: 0,
        metadata_count: 0,
        chunk_count: 0,
        message_start_time: 0,
        message_end_time: 0,
        channel_message_counts: BTreeMap::new(),
    }
}

enum Step {
    /// Go on there.
    Next(u64),
    /// Nothing more of the data comes.
    End,
    /// What begins there is not what it should be; with the end that it claims.
    Bad(u64, String, Option<u64>),
}

struct Walk<'a, W> {
    source: &'a Source,
    witness: &'a mut W,
    survey: Survey,
    search: Search,
    buffer: Vec<u8>,
    unpacked: Unpacked,
    /// Of all bytes before the place where the walk is.
    checksum: Hasher,
    /// True until the next whole chunk.
    is_after_damage: bool,
}

impl<W: Witness> Walk<'_, W> {
    fn run(&mut self, mut at: u64) -> Result<(), ReadError> {
        while at < self.source.length {
            match self.step(at)? {
                Step::Next(next) => at = next,
                Step::End => break,
                Step::Bad(bad, what, end) => {
                    at = bad;
                    let next = self.search.behind(self.source, at, end)?;
                    let bytes = next.unwrap_or(self.source.length) - at;
                    self.survey.damage.push(Damage { offset: at, bytes, what });
                    self.is_after_damage = true;
                    self.witness.damage();
                    let Some(next) = next else { break };
                    self.hash(at, next)?;
                    at = next;
                }
            }
            self.witness.progress(at);
        }
        Ok(())
    }

    fn step(&mut self, at: u64) -> Result<Step, ReadError> {
        let rest = self.source.length - at;
        let Some(head) = self.source.head(at)? else {
            return Ok(Step::Bad(at, format!("a record does not fit into the {rest} bytes that are left"), None));
        };
        let end = Some(head.end());
        let limit = if head.opcode == op::CHUNK { MAX_CHUNK_BYTES } else { MAX_RECORD_BYTES };
        if head.length > limit {
            return Ok(Step::Bad(at, format!("a record claims {} bytes, more than {limit}", head.length), end));
        }
        self.source.read_record(&head, limit, &mut self.buffer)?;
        match head.opcode {
            op::CHUNK => return self.chunk(&head),
            op::DATA_END if head.length == DATA_END_BYTES => {
                let stored = self.buffer.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                let computed = self.checksum.clone().finalize();
                self.survey.data_end = Some(DataEnd { offset: at, stored, computed });
                self.survey.closing_start.get_or_insert(at);
                return Ok(Step::End);
            }
            // Of a chunk that could not be read.
            op::MESSAGE_INDEX if self.is_after_damage => {}
            _ => {
                if let Err(what) = self.record(&head) {
                    return Ok(Step::Bad(at, what, end));
                }
            }
        }
        self.checksum.update(&self.buffer);
        if matches!(head.opcode, op::HEADER | op::SCHEMA | op::CHANNEL | op::ATTACHMENT | op::METADATA)
            && self.survey.closing_start.is_none()
        {
            self.is_whole_to(head.end());
        }
        Ok(Step::Next(head.end()))
    }

    /// Takes note of a record outside chunks, or says what is wrong with it.
    fn record(&mut self, head: &RecordHead) -> Result<(), String> {
        let what = |error: ReadError| match error {
            ReadError::Damaged { what, .. } => what,
            other => other.to_string(),
        };
        let record = chunk::parse(&self.buffer, head.offset).map_err(what)?;
        let summary = &mut self.survey.summary;
        match record {
            Record::Header(_) if head.offset == MAGIC.len() as u64 => {}
            Record::Schema { header, data } => add_schema(summary, &header, &data),
            Record::Channel(channel) => add_channel(summary, &channel),
            Record::Attachment { header, data, .. } => summary.attachment_indexes.push(AttachmentIndex {
                offset: head.offset,
                length: head.length,
                log_time: header.log_time,
                create_time: header.create_time,
                data_size: data.len() as u64,
                name: header.name,
                media_type: header.media_type,
            }),
            Record::Metadata(metadata) => {
                let mut again = Vec::new();
                let entries = metadata.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                tail::metadata_record(&metadata.name, entries, &mut again);
                if again != self.buffer {
                    return Err("a metadata record has wrong lengths".into());
                }
                if matches!(metadata.name.as_str(), "ledger" | "repair") && !self.survey.chunks.is_empty() {
                    self.survey.closing_start.get_or_insert(head.offset);
                }
                summary.metadata_indexes.push(MetadataIndex {
                    offset: head.offset,
                    length: head.length,
                    name: metadata.name.clone(),
                });
                self.survey.entries.insert(metadata.name, metadata.metadata);
            }
            _ => return Err(format!("a record of type {:#04x} does not belong here", head.opcode)),
        }
        Ok(())
    }

    fn chunk(&mut self, head: &RecordHead) -> Result<Step, ReadError> {
        let header = match self.unpacked.fill(&self.buffer, head.offset) {
            Ok(header) => header,
            Err(ReadError::Damaged { what, .. }) => return Ok(Step::Bad(head.offset, what, Some(head.end()))),
            Err(error) => return Err(error),
        };
        self.checksum.update(&self.buffer);
        let place = Place { offset: head.offset, chunk: self.survey.chunks.len() };
        let (start_ns, end_ns) = self.unpacked.times();
        if (header.message_start_time, header.message_end_time) != (start_ns, end_ns) {
            let says = format!("the chunk says {} to {} ns", header.message_start_time, header.message_end_time);
            self.survey.faults.add(head.offset, Some(place.chunk), says, format!("{start_ns} to {end_ns} ns"));
        }
        self.unpacked.tell(place, &mut self.survey.summary, self.witness);
        let (indexes, offsets) = self.unpacked.message_indexes(head.end());
        self.survey.chunks.push(&ChunkIndex {
            message_start_time: start_ns,
            message_end_time: end_ns,
            chunk_start_offset: head.offset,
            chunk_length: head.length,
            message_index_offsets: offsets,
            message_index_length: indexes.len() as u64,
            compression: header.compression,
            compressed_size: header.compressed_size,
            uncompressed_size: header.uncompressed_size,
        });
        self.survey.closing_start = None;
        self.is_after_damage = false;
        self.is_whole_to(head.end());
        self.behind_chunk(head.end(), indexes, place.chunk)
    }

    /// Compares the message indexes behind a chunk, which have no checksum, with what they must be.
    fn behind_chunk(&mut self, at: u64, indexes: Vec<u8>, chunk: u64) -> Result<Step, ReadError> {
        let there = (self.source.length - at).min(indexes.len() as u64);
        self.source.read_at(at, there as usize, &mut self.buffer)?;
        let same = self.buffer.iter().zip(&indexes).take_while(|(a, b)| a == b).count();
        if same == indexes.len() {
            self.checksum.update(&indexes);
            self.is_whole_to(at + there);
            return Ok(Step::Next(at + there));
        }
        let end = at + indexes.len() as u64;
        let is_cut = same as u64 == there;
        let what = if is_cut { "the message index is cut" } else { "the message index does not tell of its messages" };
        self.survey.faults.add(at + same as u64, Some(chunk), what, format!("{} bytes of it", indexes.len()));
        // If the record behind it is where it must be, only bytes within are wrong.
        if !is_cut && self.search.is_head(self.source, end)? {
            self.checksum.update(&self.buffer);
            self.is_whole_to(end);
            return Ok(Step::Next(end));
        }
        self.survey.missing_indexes = indexes;
        Ok(if is_cut { Step::End } else { Step::Bad(at, "no record begins behind the chunk".into(), None) })
    }

    fn is_whole_to(&mut self, end: u64) {
        self.survey.whole_bytes = end;
        self.survey.whole_checksum = self.checksum.clone();
        self.survey.missing_indexes.clear();
    }

    /// Adds the bytes of a damaged part to the checksum.
    fn hash(&mut self, mut from: u64, to: u64) -> Result<(), ReadError> {
        while from < to {
            let n = (to - from).min(1 << 20);
            self.source.read_at(from, n as usize, &mut self.buffer)?;
            self.checksum.update(&self.buffer);
            from += n;
        }
        Ok(())
    }
}

/// A summary's channel from its record.
pub(crate) fn channel_of(summary: &Summary, channel: &records::Channel) -> Arc<mcap::Channel<'static>> {
    Arc::new(mcap::Channel {
        id: channel.id,
        topic: channel.topic.clone(),
        schema: summary.schemas.get(&channel.schema_id).cloned(),
        message_encoding: channel.message_encoding.clone(),
        metadata: channel.metadata.clone(),
    })
}
