//! Makes the account of a recording anew from its samples and gaps.
use std::collections::{BTreeMap, BTreeSet};

use mcap::records::{Channel, MessageHeader};

use crate::{
    gap::GapReason,
    ledger::{Ledger, StreamLedger},
    proto, schema,
    stored::StoredGap,
    survey::{Place, Witness},
};

/// An account in the making.
#[derive(Debug, Default)]
pub(crate) struct Recount {
    roles: BTreeMap<u16, Role>,
    streams: Vec<StreamLedger>,
    /// Streams of which samples may be in a damaged part since their last ones.
    holes: BTreeSet<usize>,
}

#[derive(Debug)]
enum Role {
    /// Samples of the stream with this number.
    Samples(usize),
    Gaps,
}

impl Recount {
    /// Takes note of what the messages of a channel are.
    pub(crate) fn add_channel(&mut self, channel: &Channel) {
        if self.roles.contains_key(&channel.id) {
            return;
        }
        if channel.topic == schema::GAPS {
            self.roles.insert(channel.id, Role::Gaps);
        } else if let Some(name) = schema::stream_of(&channel.topic) {
            self.roles.insert(channel.id, Role::Samples(self.streams.len()));
            self.streams.push(StreamLedger::new(name));
        }
    }

    /// Counts a message; one that is not understood counts nothing.
    pub(crate) fn add_message(&mut self, channel: u16, payload: &[u8]) {
        match self.roles.get(&channel) {
            Some(Role::Samples(stream)) => {
                if let Ok(view) = proto::decode_batch(payload) {
                    let stream = *stream;
                    self.close_hole(stream, view.head.first_index);
                    self.streams[stream].record(view.head.first_index, u64::from(view.head.n_frames));
                }
            }
            Some(Role::Gaps) => {
                let Ok(gap) = serde_json::from_slice::<StoredGap>(payload) else {
                    return;
                };
                if let Some(stream) = self.streams.iter().position(|ledger| ledger.stream == gap.stream) {
                    self.close_hole(stream, gap.first_index);
                    self.streams[stream].miss(gap.first_index, gap.n, gap.reason);
                }
            }
            None => {}
        }
    }

    /// Accounts for what is missing before `index` if a damaged part lies there.
    fn close_hole(&mut self, stream: usize, index: u64) {
        let ledger = &mut self.streams[stream];
        if self.holes.remove(&stream)
            && ledger.first_index.is_some()
            && let Some(n) = index.checked_sub(ledger.next_index).filter(|n| *n > 0)
        {
            ledger.miss(ledger.next_index, n, GapReason::Damaged);
        }
    }

    /// The account of all that was counted.
    pub(crate) fn ledger(self) -> Ledger {
        Ledger { streams: self.streams, failed: None }
    }
}

impl Witness for Recount {
    fn channel(&mut self, _place: Place, channel: &Channel) {
        self.add_channel(channel);
    }

    fn message(&mut self, _place: Place, header: &MessageHeader, payload: &[u8]) {
        self.add_message(header.channel_id, payload);
    }

    fn damage(&mut self) {
        self.holes = (0..self.streams.len()).collect();
    }
}
