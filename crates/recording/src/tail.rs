//! The end of a file whose writer could not make it: account, data end, summary and footer, appended to
//! what is whole.
use crc32fast::Hasher;
use mcap::{
    MAGIC, Summary,
    records::{ChunkIndex, op},
};

use crate::{commit::Ended, ledger::Ledger};

/// Closes a file behind its last good chunk; `summary` may tell of more than that.
pub(crate) fn close_behind_good_chunks(
    ended: &mut Ended,
    mut summary: mcap::Summary,
    ledger: &Ledger,
) -> Result<(), Box<dyn std::error::Error>> {
    let ledger = serde_json::to_string(ledger)?;
    cut_summary(&mut summary, ended.written, &ended.totals.messages);
    let end = DataSection { length: ended.written, checksum: None, message_indexes: &[], chunk_indexes: &[] };
    let bytes = closing_bytes(&summary, end, &[("ledger", &ledger)]);
    ended.disk.truncate(ended.written)?;
    ended.disk.append(&bytes)?;
    if ended.can_sync {
        ended.disk.sync()?;
    }
    ended.written += bytes.len() as u64;
    Ok(())
}

/// Drops from `summary` all that lies beyond the first `length` bytes, and sets its message counts.
fn cut_summary(summary: &mut Summary, length: u64, messages: &[u64]) {
    let is_inside = |start: u64, bytes: u64| start.checked_add(bytes).is_some_and(|end| end <= length);
    summary.chunk_indexes.retain(|index| {
        let bytes = index.chunk_length.checked_add(index.message_index_length);
        bytes.is_some_and(|bytes| is_inside(index.chunk_start_offset, bytes))
    });
    summary.attachment_indexes.retain(|index| is_inside(index.offset, index.length));
    summary.metadata_indexes.retain(|index| is_inside(index.offset, index.length));
    let bounds = |time: fn(&ChunkIndex) -> u64| summary.chunk_indexes.iter().map(time);
    let start_ns = bounds(|index| index.message_start_time).min().unwrap_or(0);
    let end_ns = bounds(|index| index.message_end_time).max().unwrap_or(0);
    if let Some(stats) = &mut summary.stats {
        stats.message_start_time = start_ns;
        stats.message_end_time = end_ns;
        stats.chunk_count = summary.chunk_indexes.len() as u32;
        stats.attachment_count = summary.attachment_indexes.len() as u32;
        stats.metadata_count = summary.metadata_indexes.len() as u32;
        stats.channel_message_counts = (0u16..).zip(messages.iter().copied()).filter(|(_, n)| *n > 0).collect();
        stats.message_count = messages.iter().sum();
    }
}

/// What is whole of a file that is to be closed.
pub(crate) struct DataSection<'a> {
    /// Its length.
    pub(crate) length: u64,
    /// Checksum of all of it; `None` if it was written too long ago to be computed now.
    pub(crate) checksum: Option<Hasher>,
    /// Message indexes of its last chunk that are to follow, where they are not there yet.
    pub(crate) message_indexes: &'a [u8],
    /// Chunk index records for the summary, beside those it lists itself.
    pub(crate) chunk_indexes: &'a [u8],
}

/// The bytes that close a file: message indexes, metadata records of one entry `json` each, the end of the data,
/// the summary and the footer. `summary` tells of all but the metadata given here.
pub(crate) fn closing_bytes(summary: &Summary, section: DataSection<'_>, metadata: &[(&str, &str)]) -> Vec<u8> {
    let DataSection { length, checksum, message_indexes, chunk_indexes } = section;
    let mut out = message_indexes.to_vec();
    let mut places = Vec::new();
    for (name, json) in metadata {
        let start = out.len();
        metadata_record(name, [("json", *json)], &mut out);
        places.push((*name, length + start as u64, (out.len() - start) as u64));
    }
    let checksum = checksum.map_or(0, |mut checksum| {
        checksum.update(&out);
        checksum.finalize()
    });
    record(op::DATA_END, &mut out, |out| out.extend(checksum.to_le_bytes()));

    let summary_place = out.len();
    let summary_start = length + summary_place as u64;
    write_summary(summary, metadata.len() as u32, chunk_indexes, &mut out);
    for (name, offset, length) in places {
        record(op::METADATA_INDEX, &mut out, |out| {
            put_u64s(&[offset, length], out);
            string(name, out);
        });
    }
    record(op::FOOTER, &mut out, |out| {
        put_u64s(&[summary_start, 0], out);
        out.extend([0; 4]);
    });
    // The checksum covers the footer too, up to the checksum itself.
    let crc_place = out.len() - 4;
    let crc = crc32fast::hash(&out[summary_place..crc_place]);
    out[crc_place..].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(MAGIC);
    out
}

fn write_summary(summary: &Summary, more_metadata: u32, more_chunks: &[u8], out: &mut Vec<u8>) {
    let mut schemas: Vec<_> = summary.schemas.values().collect();
    schemas.sort_by_key(|schema| schema.id);
    for schema in schemas {
        record(op::SCHEMA, out, |out| {
            out.extend(schema.id.to_le_bytes());
            string(&schema.name, out);
            string(&schema.encoding, out);
            sized(out, |out| out.extend_from_slice(&schema.data));
        });
    }
    let mut channels: Vec<_> = summary.channels.values().collect();
    channels.sort_by_key(|channel| channel.id);
    for channel in channels {
        record(op::CHANNEL, out, |out| {
            out.extend(channel.id.to_le_bytes());
            out.extend(channel.schema.as_ref().map_or(0, |schema| schema.id).to_le_bytes());
            string(&channel.topic, out);
            string(&channel.message_encoding, out);
            sized(out, |out| {
                for (key, value) in &channel.metadata {
                    string(key, out);
                    string(value, out);
                }
            });
        });
    }
    if let Some(stats) = &summary.stats {
        record(op::STATISTICS, out, |out| {
            put_u64s(&[stats.message_count], out);
            out.extend(stats.schema_count.to_le_bytes());
            let metadata_count = stats.metadata_count + more_metadata;
            for n in [stats.channel_count, stats.attachment_count, metadata_count, stats.chunk_count] {
                out.extend(n.to_le_bytes());
            }
            put_u64s(&[stats.message_start_time, stats.message_end_time], out);
            sized(out, |out| {
                for (channel, n) in &stats.channel_message_counts {
                    out.extend(channel.to_le_bytes());
                    put_u64s(&[*n], out);
                }
            });
        });
    }
    for index in &summary.chunk_indexes {
        record(op::CHUNK_INDEX, out, |out| chunk_index(index, out));
    }
    out.extend_from_slice(more_chunks);
    for index in &summary.attachment_indexes {
        record(op::ATTACHMENT_INDEX, out, |out| {
            put_u64s(&[index.offset, index.length, index.log_time, index.create_time, index.data_size], out);
            string(&index.name, out);
            string(&index.media_type, out);
        });
    }
    for index in &summary.metadata_indexes {
        record(op::METADATA_INDEX, out, |out| {
            put_u64s(&[index.offset, index.length], out);
            string(&index.name, out);
        });
    }
}

/// Appends the content of a chunk index record.
pub(crate) fn chunk_index(index: &ChunkIndex, out: &mut Vec<u8>) {
    let times = [index.message_start_time, index.message_end_time];
    put_u64s(&times, out);
    put_u64s(&[index.chunk_start_offset, index.chunk_length], out);
    sized(out, |out| {
        for (channel, offset) in &index.message_index_offsets {
            out.extend(channel.to_le_bytes());
            put_u64s(&[*offset], out);
        }
    });
    put_u64s(&[index.message_index_length], out);
    string(&index.compression, out);
    put_u64s(&[index.compressed_size, index.uncompressed_size], out);
}

/// Appends a metadata record.
pub(crate) fn metadata_record<'a>(
    name: &str,
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    out: &mut Vec<u8>,
) {
    record(op::METADATA, out, |out| {
        string(name, out);
        sized(out, |out| {
            for (key, value) in entries {
                string(key, out);
                string(value, out);
            }
        });
    });
}

/// Appends a record, head included.
pub(crate) fn record(opcode: u8, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    out.push(opcode);
    let start = out.len();
    out.extend([0; 8]);
    content(out);
    let length = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&length.to_le_bytes());
}

/// Appends the length of what `content` appends, in 32 bits, and that.
pub(crate) fn sized(out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    content(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn string(text: &str, out: &mut Vec<u8>) {
    sized(out, |out| out.extend_from_slice(text.as_bytes()));
}

/// Appends numbers as MCAP writes them.
pub(crate) fn put_u64s(numbers: &[u64], out: &mut Vec<u8>) {
    out.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
}
