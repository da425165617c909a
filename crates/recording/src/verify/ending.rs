//! Checks what comes behind the data of a closed file, against what the data are.
use std::iter::Peekable;

use mcap::{
    MAGIC, Summary,
    records::{ChunkIndex, Footer, Record, SummaryOffset, op},
};

use crate::{
    chunk::{self, HEAD_BYTES, MAX_RECORD_BYTES, Source},
    error::ReadError,
    fault::Faults,
    survey::{self, ChunkList, DATA_END_BYTES, Survey},
};

const FOOTER_BYTES: u64 = HEAD_BYTES + 20;

/// The summary as it stands in the file.
#[derive(Default)]
struct Ending {
    summary: Summary,
    /// Number of entries of the chunk index.
    chunks: u64,
    groups: Vec<(u64, SummaryOffset)>,
    /// Position and content of the footer.
    footer: Option<(u64, Footer)>,
    /// Where the walk over it ended.
    end: u64,
}

/// Checks it all; false if the file does not end as a closed one does.
pub(super) fn check(source: &Source, survey: &Survey, faults: &mut Faults) -> Result<bool, ReadError> {
    let Some(data_end) = survey.data_end else {
        let rest = source.length.saturating_sub(survey.whole_bytes);
        let what = format!("the recording was not closed; {rest} bytes behind its last whole chunk");
        faults.add(survey.whole_bytes, None, what, "the end of a closed file: `wavedeck repair` makes it");
        return Ok(false);
    };
    if data_end.stored != 0 && data_end.stored != data_end.computed {
        let what = format!("the checksum of all data is {:08x}", data_end.computed);
        faults.add(data_end.offset, None, what, format!("{:08x}", data_end.stored));
    }
    let start = data_end.offset + DATA_END_BYTES;
    let (ending, checksum) = read(source, start, &survey.chunks, faults)?;
    let Some((at, footer)) = &ending.footer else {
        faults.add(ending.end, None, "the summary has no whole footer", "a footer");
        return Ok(false);
    };
    if footer.summary_start != start {
        faults.add(*at, None, format!("the footer puts the summary at {}", footer.summary_start), start.to_string());
    }
    if footer.summary_crc != checksum {
        let what = format!("the checksum of the summary is {checksum:08x}");
        faults.add(*at, None, what, format!("{:08x}", footer.summary_crc));
    }
    let first_group = ending.groups.first().map_or(0, |(offset, _)| *offset);
    if footer.summary_offset_start != first_group {
        let what = format!("the footer puts the summary offsets at {}", footer.summary_offset_start);
        faults.add(*at, None, what, first_group.to_string());
    }
    compare(survey, &ending, start, faults);
    let mut magic = Vec::new();
    let rest = source.length - ending.end;
    source.read_at(ending.end, rest.min(64) as usize, &mut magic)?;
    if magic != MAGIC {
        faults.add(ending.end, None, format!("{rest} bytes behind the footer are not its end mark"), "the mark alone");
    }
    Ok(true)
}

/// Reads the summary, and computes its checksum.
fn read(source: &Source, start: u64, chunks: &ChunkList, faults: &mut Faults) -> Result<(Ending, u32), ReadError> {
    let mut ending = Ending { end: start, ..Ending::default() };
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = Vec::new();
    let mut channels = Vec::new();
    let mut chunks = Chunks { found: chunks.iter().peekable(), number: 0 };
    while let Some(head) = source.head(ending.end)? {
        let is_known = matches!(
            head.opcode,
            op::SCHEMA
                | op::CHANNEL
                | op::STATISTICS
                | op::CHUNK_INDEX
                | op::ATTACHMENT_INDEX
                | op::METADATA_INDEX
                | op::SUMMARY_OFFSET
                | op::FOOTER
        );
        if !is_known || head.length > MAX_RECORD_BYTES {
            let what = format!("a record of type {:#04x} with {} bytes is in the summary", head.opcode, head.length);
            faults.add(head.offset, None, what, "a record that belongs there");
            break;
        }
        source.read_record(&head, MAX_RECORD_BYTES, &mut buffer)?;
        let record = match chunk::parse(&buffer, head.offset) {
            Ok(record) => record,
            Err(error) => {
                faults.add(head.offset, None, format!("the summary cannot be read: {error}"), "");
                break;
            }
        };
        ending.end = head.end();
        if head.opcode == op::FOOTER {
            // Its checksum is of all before itself.
            hasher.update(&buffer[..buffer.len().min((FOOTER_BYTES - 4) as usize)]);
        } else {
            hasher.update(&buffer);
        }
        let summary = &mut ending.summary;
        match record {
            Record::Schema { header, data } => survey::add_schema(summary, &header, &data),
            Record::Channel(channel) => channels.push(channel),
            Record::Statistics(stats) => summary.stats = Some(stats),
            Record::ChunkIndex(index) => {
                ending.chunks += 1;
                chunks.compare(head.offset, &index, faults);
            }
            Record::AttachmentIndex(index) => summary.attachment_indexes.push(index),
            Record::MetadataIndex(index) => summary.metadata_indexes.push(index),
            Record::SummaryOffset(group) => ending.groups.push((head.offset, group)),
            Record::Footer(footer) => {
                ending.footer = Some((head.offset, footer));
                break;
            }
            _ => {}
        }
    }
    chunks.pass(u64::MAX, faults);
    for channel in &channels {
        survey::add_channel(&mut ending.summary, channel);
    }
    Ok((ending, hasher.finalize()))
}

/// Compares what the summary says with what was found.
fn compare(survey: &Survey, ending: &Ending, start: u64, faults: &mut Faults) {
    let (found, says) = (&survey.summary, &ending.summary);
    let mut fault = |what: String, expected: String| faults.add(start, None, what, expected);
    for (id, schema) in &found.schemas {
        if says.schemas.get(id) != Some(schema) {
            fault(format!("the summary's schema {id} is not that of the data"), format!("`{}`", schema.name));
        }
    }
    for (id, channel) in &found.channels {
        if says.channels.get(id) != Some(channel) {
            fault(format!("the summary's channel {id} is not that of the data"), format!("`{}`", channel.topic));
        }
    }
    for (what, said, there) in [
        ("schemas", says.schemas.len(), found.schemas.len()),
        ("channels", says.channels.len(), found.channels.len()),
        ("attachments", says.attachment_indexes.len(), found.attachment_indexes.len()),
        ("metadata records", says.metadata_indexes.len(), found.metadata_indexes.len()),
        ("chunks", ending.chunks as usize, survey.chunks.len() as usize),
    ] {
        if said != there {
            fault(format!("the summary tells of {said} {what}"), there.to_string());
        }
    }
    for index in found.attachment_indexes.iter().filter(|index| !says.attachment_indexes.contains(index)) {
        fault(format!("attachment `{}` at byte {} is not in the summary", index.name, index.offset), String::new());
    }
    for index in found.metadata_indexes.iter().filter(|index| !says.metadata_indexes.contains(index)) {
        fault(format!("metadata `{}` at byte {} are not in the summary", index.name, index.offset), String::new());
    }
    // A writer without messages of a channel may count it or not.
    let counted = |summary: &Summary| {
        summary.stats.clone().map(|mut stats| {
            stats.channel_message_counts.retain(|_, n| *n > 0);
            stats
        })
    };
    let (said, there) = (counted(says), counted(found));
    if said != there {
        fault(format!("the statistics are {said:?}"), format!("{there:?}"));
    }
}

/// The chunks that were found and the index in the file, side by side; both are in the order of the file.
struct Chunks<I: Iterator<Item = ChunkIndex>> {
    found: Peekable<I>,
    number: u64,
}

impl<I: Iterator<Item = ChunkIndex>> Chunks<I> {
    /// Compares an entry, which stands at `at`, with the chunk it tells of.
    fn compare(&mut self, at: u64, entry: &ChunkIndex, faults: &mut Faults) {
        let place = entry.chunk_start_offset;
        self.pass(place, faults);
        match self.found.next_if(|index| index.chunk_start_offset == place) {
            Some(index) => {
                if index != *entry {
                    let what = format!("the index tells of a chunk at byte {place}: {entry:?}");
                    faults.add(at, Some(self.number), what, format!("{index:?}"));
                }
                self.number += 1;
            }
            None => faults.add(at, None, format!("the index tells of a chunk at byte {place}"), "a whole chunk there"),
        }
    }

    /// Passes over the chunks before `place`, which have no entry.
    fn pass(&mut self, place: u64, faults: &mut Faults) {
        while let Some(index) = self.found.next_if(|index| index.chunk_start_offset < place) {
            let what = "the chunk is not in the index";
            faults.add(index.chunk_start_offset, Some(self.number), what, "an entry of it");
            self.number += 1;
        }
    }
}
