//! Finds the chunk that holds a sample, without a table of samples: the index of the file knows the times of its
//! chunks, the rate says which sample belongs to which time, and what a look into a chunk shows corrects the guess.
use std::ops::Range;

use crate::{chunk::Item, index::ChunkEntry, proto, reader::Recording};

impl Recording {
    /// Number of the last chunk that begins at or before sample `index` of a stream; 0 if none does.
    pub(crate) fn chunk_of_index(&self, stream: usize, index: u64) -> usize {
        let channel = self.data_channel(stream);
        let holders: Vec<(usize, &ChunkEntry)> =
            self.chunks().iter().enumerate().filter(|(_, chunk)| chunk.holds(channel)).collect();
        let rate = self.streams()[stream].spec.rate;
        // The place of the chunk that begins at the time of the sample, if `known_index` was taken at `known_ns`.
        let guess = |known_ns: u64, known_index: u64| {
            let ahead = rate.nanoseconds_at(index.saturating_sub(known_index));
            let behind = rate.nanoseconds_at(known_index.saturating_sub(index));
            let time_ns = known_ns.saturating_add(ahead).saturating_sub(behind);
            holders.partition_point(|(_, chunk)| chunk.start_ns <= time_ns).saturating_sub(1)
        };
        // All chunks before `low` begin at or before the sample, all from `high` on begin behind it.
        let (mut low, mut high) = (0, holders.len());
        let mut next = holders.first().map_or(0, |(_, first)| guess(first.start_ns, 0));
        let mut buffer = Vec::new();
        for look in 0.. {
            if low == high {
                break;
            }
            let place = next.clamp(low, high - 1);
            let (number, chunk) = holders[place];
            // A damaged chunk says nothing; looking before it is always right, only slower.
            let span = self.span_in_chunk(chunk, channel, &mut buffer);
            match &span {
                Some(span) if span.contains(&index) => return number,
                Some(span) if span.start <= index => low = place + 1,
                _ => high = place,
            }
            // Where times do not say where samples are, halves do.
            let middle = low + (high - low) / 2;
            next = span.filter(|_| look % 2 == 0).map_or(middle, |span| guess(chunk.start_ns, span.start));
        }
        low.checked_sub(1).map_or(0, |place| holders[place].0)
    }

    /// From the first sample of a stream in a chunk to the one after its last; `None` if it cannot be read.
    fn span_in_chunk(&self, chunk: &ChunkEntry, channel: u16, buffer: &mut Vec<u8>) -> Option<Range<u64>> {
        let mut span: Option<Range<u64>> = None;
        let visited = self.visit(&chunk.head, buffer, |item| {
            if let Item::Message(header, payload) = item
                && header.channel_id == channel
                && let Ok(view) = proto::decode_batch(payload)
            {
                let first = view.head.first_index;
                let end = first.saturating_add(u64::from(view.head.n_frames));
                span = Some(span.as_ref().map_or(first..end, |span| span.start..end));
            }
            Ok(())
        });
        visited.ok().and(span)
    }
}
