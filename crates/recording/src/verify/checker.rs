//! Checks what messages say, one after the other.
use std::collections::BTreeMap;

use mcap::records::{Channel, MessageHeader};
use serde::de::{DeserializeOwned, IgnoredAny};
use wavedeck_api::signal::{SignalKind, StreamSpec};

use crate::{
    fault::Faults,
    ledger::StreamLedger,
    proto::{self, BatchView},
    recount::Recount,
    schema,
    stored::{self, StoredEdit, StoredEvent, StoredGap},
    survey::{Place, Witness},
};

/// Marks that are looked at again at the end, because their samples had not come yet.
const MARKS: usize = 10_000;
/// A mark is set for a sample that may still be on its way, so it may lie this far outside.
const MARK_SLACK_NS: u64 = 2_000_000_000;

/// What is known of the messages so far.
pub(super) struct Checker<'a> {
    progress: &'a mut dyn FnMut(u64),
    faults: Faults,
    roles: BTreeMap<u16, Role>,
    streams: Vec<StreamCheck>,
    /// Number that the next message of each channel has; none right behind a damaged part.
    sequences: BTreeMap<u16, u32>,
    marks: Vec<(Place, StoredEvent)>,
    recount: Recount,
}

#[derive(Clone, Copy)]
enum Role {
    /// Samples of the stream with this number.
    Samples(usize),
    /// Previews of the stream with this number.
    Preview(usize),
    Gaps,
    Events,
    Params,
    OtherJson,
}

struct StreamCheck {
    name: String,
    spec: Option<StreamSpec>,
    /// Index after the last sample that is stored or noted as missing.
    next: Option<u64>,
    /// Index after the last sample that is stored.
    batch_end: Option<u64>,
    is_after_damage: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(progress: &'a mut dyn FnMut(u64)) -> Self {
        Self {
            progress,
            faults: Faults::default(),
            roles: BTreeMap::new(),
            streams: Vec::new(),
            sequences: BTreeMap::new(),
            marks: Vec::new(),
            recount: Recount::default(),
        }
    }

    /// The account as counted, and what is wrong.
    pub(super) fn end(mut self) -> (Vec<StreamLedger>, Faults) {
        let streams = self.recount.ledger().streams;
        for (place, event) in &self.marks {
            let named = event.stream.as_ref().and_then(|name| {
                let ledger = streams.iter().find(|ledger| ledger.stream == *name)?;
                Some((ledger, self.streams.iter().find(|stream| stream.name == *name)?.spec.as_ref()?))
            });
            let (Some((ledger, spec)), Some(index)) = (named, event.index) else { continue };
            let slack = spec.rate.samples_in(MARK_SLACK_NS).max(1);
            let first = ledger.first_index.unwrap_or(0);
            if index < first.saturating_sub(slack) || index > ledger.next_index.saturating_add(slack) {
                let what = format!("mark `{}` is at sample {index} of stream `{}`", event.label, ledger.stream);
                let expected = format!("{first} to {}", ledger.next_index);
                self.faults.add(place.offset, Some(place.chunk), what, expected);
            }
        }
        (streams, self.faults)
    }

    fn samples(&mut self, stream: usize, place: Place, header: &MessageHeader, payload: &[u8]) {
        let Self { streams, faults, .. } = self;
        let stream = &mut streams[stream];
        let mut fault = |what: String, expected: String| {
            faults.add(place.offset, Some(place.chunk), format!("stream `{}`: {what}", stream.name), expected);
        };
        let view = match proto::decode_batch(payload) {
            Ok(view) => view,
            Err(what) => return fault(format!("a batch cannot be read: {what}"), String::new()),
        };
        let (first, frames) = (view.head.first_index, u64::from(view.head.n_frames));
        if view.head.t0_ns != header.log_time {
            fault(format!("the batch at sample {first} begins at {} ns", view.head.t0_ns), header.log_time.to_string());
        }
        if let Some(spec) = &stream.spec
            && let Some((got, wanted)) = wrong_length(&view, spec)
        {
            fault(format!("the batch at sample {first} has {got} bytes of samples"), wanted);
        }
        match stream.next {
            Some(next) if first < next => {
                fault(
                    format!("a batch begins at sample {first}, before the end of the last"),
                    format!("{next} or later"),
                );
            }
            Some(next) if first > next && stream.is_after_damage => {
                fault(format!("samples {next} to {} are in the damaged part", first - 1), String::new());
            }
            Some(next) if first > next => fault(
                format!("samples {next} to {} are neither stored nor noted as missing", first - 1),
                format!("a batch or a gap at {next}"),
            ),
            _ => {}
        }
        let dropped = stream.batch_end.map_or(0, |end| first.saturating_sub(end));
        let dropped = u32::try_from(dropped).unwrap_or(u32::MAX);
        if dropped != view.head.dropped_before && !stream.is_after_damage {
            let what = format!("the batch at sample {first} says that {} are missing before", view.head.dropped_before);
            fault(what, dropped.to_string());
        }
        stream.next = stream.next.max(Some(first + frames));
        stream.batch_end = stream.batch_end.max(Some(first + frames));
        stream.is_after_damage = false;
    }

    fn gap(&mut self, place: Place, payload: &[u8]) {
        let Some(gap) = self.json::<StoredGap>(schema::GAPS, place, payload) else { return };
        let mut fault = |what: String, expected: String| {
            self.faults.add(place.offset, Some(place.chunk), format!("stream `{}`: {what}", gap.stream), expected);
        };
        let Some(stream) = self.streams.iter_mut().find(|stream| stream.name == gap.stream) else {
            return fault("a gap is in a stream that is not there".into(), String::new());
        };
        let end = gap.first_index.saturating_add(gap.n);
        match stream.next {
            Some(next) if next != gap.first_index && !stream.is_after_damage => {
                fault(format!("a gap of {} samples begins at {}", gap.n, gap.first_index), next.to_string());
            }
            _ => {}
        }
        stream.next = stream.next.max(Some(end));
    }

    fn json<T: DeserializeOwned>(&mut self, topic: &str, place: Place, payload: &[u8]) -> Option<T> {
        match serde_json::from_slice(payload) {
            Ok(message) => Some(message),
            Err(error) => {
                let what = format!("a message of {topic} is not understood: {error}");
                self.faults.add(place.offset, Some(place.chunk), what, "");
                None
            }
        }
    }

    fn sequence(&mut self, place: Place, header: &MessageHeader) {
        let expected = self.sequences.insert(header.channel_id, header.sequence.wrapping_add(1));
        if let Some(expected) = expected
            && expected != header.sequence
        {
            let what = format!("a message of channel {} has number {}", header.channel_id, header.sequence);
            self.faults.add(place.offset, Some(place.chunk), what, expected.to_string());
        }
    }
}

impl Witness for Checker<'_> {
    fn channel(&mut self, place: Place, channel: &Channel) {
        self.recount.add_channel(channel);
        if self.roles.contains_key(&channel.id) {
            return;
        }
        self.sequences.insert(channel.id, 0);
        let role = match channel.topic.as_str() {
            schema::GAPS => Role::Gaps,
            schema::EVENTS => Role::Events,
            schema::PARAMS => Role::Params,
            topic => {
                if let Some(name) = schema::stream_of(topic) {
                    let spec = stored::understand(name, &channel.metadata);
                    if let Err(what) = &spec {
                        let what = format!("stream `{name}` has a bad description: {what}");
                        self.faults.add(place.offset, Some(place.chunk), what, "");
                    }
                    self.streams.push(StreamCheck {
                        name: name.to_owned(),
                        spec: spec.ok().map(|stream| stream.spec),
                        next: None,
                        batch_end: None,
                        is_after_damage: false,
                    });
                    Role::Samples(self.streams.len() - 1)
                } else if let Some(stream) =
                    self.streams.iter().position(|stream| schema::preview_topic(&stream.name) == topic)
                {
                    Role::Preview(stream)
                } else {
                    Role::OtherJson
                }
            }
        };
        self.roles.insert(channel.id, role);
    }

    fn message(&mut self, place: Place, header: &MessageHeader, payload: &[u8]) {
        let Some(role) = self.roles.get(&header.channel_id) else {
            let what = format!("a message is of channel {}, which is not described", header.channel_id);
            return self.faults.add(place.offset, Some(place.chunk), what, "");
        };
        let role = *role;
        self.sequence(place, header);
        if header.publish_time != header.log_time {
            let what = format!("a message was published at {} ns", header.publish_time);
            self.faults.add(place.offset, Some(place.chunk), what, header.log_time.to_string());
        }
        self.recount.add_message(header.channel_id, payload);
        match role {
            Role::Samples(stream) => self.samples(stream, place, header, payload),
            Role::Preview(stream) => {
                let channels = self.streams[stream].spec.as_ref().map(|spec| spec.channels.len());
                let is_right = proto::decode_frame(payload)
                    .is_ok_and(|(_, values)| channels.is_none_or(|channels| values.len() == channels * 4));
                if !is_right {
                    let what = format!("a preview of stream `{}` cannot be read", self.streams[stream].name);
                    self.faults.add(place.offset, Some(place.chunk), what, "");
                }
            }
            Role::Gaps => self.gap(place, payload),
            Role::Events => {
                if let Some(event) = self.json::<StoredEvent>(schema::EVENTS, place, payload)
                    && event.index.is_some()
                    && self.marks.len() < MARKS
                {
                    self.marks.push((place, event));
                }
            }
            Role::Params => drop(self.json::<StoredEdit>(schema::PARAMS, place, payload)),
            Role::OtherJson => drop(self.json::<IgnoredAny>("a JSON topic", place, payload)),
        }
    }

    fn damage(&mut self) {
        self.sequences.clear();
        self.recount.damage();
        for stream in &mut self.streams {
            stream.is_after_damage = true;
        }
    }

    fn progress(&mut self, bytes: u64) {
        (self.progress)(bytes);
    }
}

/// Length of a batch's samples and what it must be, if that is something else.
fn wrong_length(view: &BatchView<'_>, spec: &StreamSpec) -> Option<(usize, String)> {
    let samples = match (spec.kind, view.codec) {
        (SignalKind::Counts, proto::CODEC_PLAIN) => view.counts,
        (SignalKind::Counts, proto::CODEC_PLANAR) => view.data,
        (SignalKind::Physical, proto::CODEC_PLAIN) => view.values,
        (kind, codec) => return Some((0, format!("a codec for {kind}, not {codec}"))),
    };
    let wanted = (view.head.n_frames as usize).checked_mul(spec.channels.len()).and_then(|n| n.checked_mul(4));
    (wanted != Some(samples.len()) || samples.is_empty())
        .then(|| (samples.len(), wanted.map_or_else(|| "less".into(), |wanted| wanted.to_string())))
}
