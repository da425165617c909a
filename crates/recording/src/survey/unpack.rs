//! What is in one chunk, taken out whole or not at all.
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use mcap::{
    Summary,
    records::{self, ChunkHeader, MessageHeader, Record, SchemaHeader, op},
};

use super::{Place, Witness, channel_of, no_statistics};
use crate::{
    chunk::{self, HEAD_BYTES},
    error::ReadError,
    tail::{self, put_u64s},
};

/// Fields of a message before its payload.
const MESSAGE_HEAD_BYTES: usize = 22;

/// The records of a chunk as they stood before compression.
#[derive(Default)]
pub(super) struct Unpacked {
    bytes: Vec<u8>,
    /// Per channel, time and place of each message.
    indexes: BTreeMap<u16, Vec<(u64, u64)>>,
}

impl Unpacked {
    /// Takes a chunk record apart, head included; every record in it is whole if this succeeds.
    pub(super) fn fill(&mut self, record: &[u8], offset: u64) -> Result<ChunkHeader, ReadError> {
        let Self { bytes, indexes } = self;
        bytes.clear();
        for list in indexes.values_mut() {
            list.clear();
        }
        let header = chunk::each_record(record, offset, |opcode, data| {
            let bad = |what: &str| chunk::damaged(offset, what.to_owned());
            match opcode {
                op::MESSAGE => {
                    let header = message_header(data).ok_or_else(|| bad("a message is cut"))?;
                    indexes.entry(header.channel_id).or_default().push((header.log_time, bytes.len() as u64));
                }
                op::SCHEMA | op::CHANNEL => {
                    mcap::read::parse_record(opcode, data).map_err(|error| bad(&error.to_string()))?;
                }
                _ => return Err(bad("a chunk holds something that is no schema, channel or message")),
            }
            bytes.push(opcode);
            bytes.extend((data.len() as u64).to_le_bytes());
            bytes.extend_from_slice(data);
            Ok(())
        })?;
        indexes.retain(|_, list| !list.is_empty());
        if bytes.len() as u64 != header.uncompressed_size {
            return Err(chunk::damaged(offset, "the records of a chunk are shorter than it says".into()));
        }
        Ok(header)
    }

    /// Times of the first and the last message; 0 without any.
    pub(super) fn times(&self) -> (u64, u64) {
        let times = || self.indexes.values().flatten().map(|(time, _)| *time);
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }

    /// Tells `summary` and `witness` of all records.
    pub(super) fn tell(&self, place: Place, summary: &mut Summary, witness: &mut impl Witness) {
        let mut rest = &self.bytes[..];
        while let Some((head, after)) = rest.split_at_checked(HEAD_BYTES as usize) {
            let length = head[1..].iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            let Some((data, after)) = after.split_at_checked(length) else { return };
            rest = after;
            if head[0] == op::MESSAGE {
                if let Some(header) = message_header(data) {
                    witness.message(place, &header, &data[MESSAGE_HEAD_BYTES..]);
                }
                continue;
            }
            match mcap::read::parse_record(head[0], data) {
                Ok(Record::Schema { header, data }) => add_schema(summary, &header, &data),
                Ok(Record::Channel(channel)) => {
                    add_channel(summary, &channel);
                    witness.channel(place, &channel);
                }
                _ => {}
            }
        }
        let stats = summary.stats.get_or_insert_with(no_statistics);
        for (channel, list) in &self.indexes {
            *stats.channel_message_counts.entry(*channel).or_default() += list.len() as u64;
        }
    }

    /// The message index records that follow the chunk, which ends at `at`, and the place of each.
    pub(super) fn message_indexes(&self, at: u64) -> (Vec<u8>, BTreeMap<u16, u64>) {
        let mut out = Vec::new();
        let mut offsets = BTreeMap::new();
        for (channel, list) in &self.indexes {
            offsets.insert(*channel, at + out.len() as u64);
            tail::record(op::MESSAGE_INDEX, &mut out, |out| {
                out.extend(channel.to_le_bytes());
                tail::sized(out, |out| list.iter().for_each(|(time, place)| put_u64s(&[*time, *place], out)));
            });
        }
        (out, offsets)
    }
}

fn message_header(data: &[u8]) -> Option<MessageHeader> {
    let (channel_id, rest) = data.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    let (log_time, rest) = rest.split_first_chunk()?;
    let (publish_time, _) = rest.split_first_chunk()?;
    Some(MessageHeader {
        channel_id: u16::from_le_bytes(*channel_id),
        sequence: u32::from_le_bytes(*sequence),
        log_time: u64::from_le_bytes(*log_time),
        publish_time: u64::from_le_bytes(*publish_time),
    })
}

/// Adds a schema to a summary.
pub(crate) fn add_schema(summary: &mut Summary, header: &SchemaHeader, data: &[u8]) {
    let schema = mcap::Schema {
        id: header.id,
        name: header.name.clone(),
        encoding: header.encoding.clone(),
        data: Cow::Owned(data.to_vec()),
    };
    summary.schemas.insert(header.id, Arc::new(schema));
}

/// Adds a channel to a summary.
pub(crate) fn add_channel(summary: &mut Summary, channel: &records::Channel) {
    let channel = channel_of(summary, channel);
    summary.channels.insert(channel.id, channel);
}
