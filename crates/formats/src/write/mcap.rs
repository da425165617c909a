//! MCAP to plot: one message per frame, a field per channel.
mod descriptor;

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write},
};

use descriptor::{field_names, set_of_frame};
use mcap::{Compression, WriteOptions, Writer, records::MessageHeader, write::NoSeek};
use serde_json::json;
use wavedeck_api::signal::{ChannelSpec, Rate};

use crate::export::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Survey, Values, in_unit};

const MARK_SCHEMA: &str = r#"{"type":"object","properties":{"label":{"type":"string"},"source":{"type":"string"},"index":{"type":"integer"},"duration_s":{"type":"number"}}}"#;
const GAP_SCHEMA: &str = r#"{"type":"object","properties":{"first_index":{"type":"integer"},"n":{"type":"integer"},"reason":{"type":"string"}}}"#;

/// Writes protobuf messages `wavedeck.Frame { index, <channel>, ... }`, JSON messages for marks and gaps.
pub(crate) struct Mcap<W: Write> {
    /// Taken by `begin`.
    out: Option<W>,
    writer: Option<Open<W>>,
    every: u64,
    channels: Vec<ChannelSpec>,
    counts: bool,
    first_index: u64,
    /// Time of the next frame if none is missing.
    next_ns: u64,
    written: u64,
    payload: Vec<u8>,
}

struct Open<W: Write> {
    writer: Writer<NoSeek<BufWriter<W>>>,
    frames: u16,
    marks: u16,
    gaps: u16,
    rate: Rate,
    sequence: u32,
}

impl<W: Write> Open<W> {
    fn message(&mut self, channel: u16, time_ns: u64, payload: &[u8]) -> Result<(), ExportError> {
        self.sequence = self.sequence.wrapping_add(1);
        let (log_time, publish_time, sequence) = (time_ns, time_ns, self.sequence);
        let header = MessageHeader { channel_id: channel, sequence, log_time, publish_time };
        Ok(self.writer.write_to_known_channel(&header, payload)?)
    }
}

impl<W: Write> Mcap<W> {
    /// One frame of `every` is kept.
    pub(crate) fn new(out: W, every: u32) -> Self {
        Self {
            out: Some(out),
            writer: None,
            every: u64::from(every),
            channels: Vec::new(),
            counts: false,
            first_index: 0,
            next_ns: 0,
            written: 0,
            payload: Vec::new(),
        }
    }

    fn open(&mut self) -> Result<&mut Open<W>, ExportError> {
        let what = || "it was not begun".to_owned();
        self.writer.as_mut().ok_or_else(|| ExportError::Unfit { format: "MCAP", what: what() })
    }
}

impl<W: Write> Sink for Mcap<W> {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        let mut writer = WriteOptions::new()
            .library(concat!("wavedeck ", env!("CARGO_PKG_VERSION")))
            .compression(Some(Compression::Zstd))
            .compression_level(1)
            .compression_threads(0)
            .disable_seeking(true)
            .create(NoSeek::new(BufWriter::new(out)))?;
        let names = field_names(header.channels);
        let schema = writer.add_schema("wavedeck.Frame", "protobuf", &set_of_frame(&names, header.counts))?;
        let channels: Vec<_> = names
            .iter()
            .zip(header.channels)
            .map(|(field, channel)| {
                let ChannelSpec { name, unit, scale, offset, .. } = channel;
                json!({ "field": field, "name": name, "unit": unit, "scale": scale, "offset": offset })
            })
            .collect();
        let metadata = BTreeMap::from([
            ("channels".to_owned(), serde_json::Value::from(channels).to_string()),
            ("rate".to_owned(), header.rate.to_string()),
            ("values".to_owned(), if header.counts { "counts" } else { "physical" }.to_owned()),
            ("every".to_owned(), self.every.to_string()),
            ("device".to_owned(), header.stream.device.clone()),
        ]);
        let frames = writer.add_channel(schema, &format!("/{}", header.stream.name), "protobuf", &metadata)?;
        let mut json_topic = |topic: &str, name: &str, schema: &str| {
            let schema = writer.add_schema(name, "jsonschema", schema.as_bytes())?;
            writer.add_channel(schema, topic, "json", &BTreeMap::new())
        };
        let marks = json_topic("/markers", "wavedeck.Marker", MARK_SCHEMA)?;
        let gaps = json_topic("/gaps", "wavedeck.Gap", GAP_SCHEMA)?;
        self.writer = Some(Open { writer, frames, marks, gaps, rate: header.rate, sequence: 0 });
        self.channels = header.channels.to_vec();
        self.counts = header.counts;
        self.first_index = header.first_index;
        self.next_ns = header.start_ns;
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), ExportError> {
        let json = json!({ "first_index": gap.first_index, "n": gap.n, "reason": gap.reason }).to_string();
        let time_ns = self.next_ns;
        let open = self.open()?;
        open.message(open.gaps, time_ns, json.as_bytes())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        let mut json = json!({ "label": mark.label, "source": mark.source, "index": mark.index });
        if let Some(duration_s) = mark.duration_s {
            json["duration_s"] = duration_s.into();
        }
        let open = self.open()?;
        open.message(open.marks, mark.time_ns, json.to_string().as_bytes())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.channels.len();
        let n = frames.values.len() / width;
        let rate = self.open()?.rate;
        let mut payload = std::mem::take(&mut self.payload);
        for frame in 0..n {
            let index = frames.first_index + frame as u64;
            if !(index - self.first_index).is_multiple_of(self.every) {
                continue;
            }
            payload.clear();
            descriptor::varint(1 << 3, &mut payload);
            descriptor::varint(index, &mut payload);
            let at = frame * width;
            let mut number = 2;
            let mut value = |bytes: [u8; 4]| {
                descriptor::varint(number << 3 | descriptor::FIXED32, &mut payload);
                payload.extend_from_slice(&bytes);
                number += 1;
            };
            match frames.values {
                Values::Counts(counts) if self.counts => {
                    counts[at..at + width].iter().for_each(|count| value(count.to_le_bytes()));
                }
                Values::Counts(counts) => {
                    for (count, channel) in counts[at..at + width].iter().zip(&self.channels) {
                        value((in_unit(*count, channel) as f32).to_le_bytes());
                    }
                }
                Values::Physical(values) => {
                    values[at..at + width].iter().for_each(|physical| value(physical.to_le_bytes()));
                }
            }
            self.written += 1;
            let time_ns = frames.t0_ns.saturating_add(rate.nanoseconds_at(frame as u64));
            let open = self.open()?;
            open.message(open.frames, time_ns, &payload)?;
        }
        self.payload = payload;
        self.next_ns = frames.t0_ns.saturating_add(rate.nanoseconds_at(n as u64));
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        if let Some(mut open) = self.writer.take() {
            open.writer.finish()?;
            open.writer.into_inner().into_inner().flush()?;
        }
        let mut notes = Notes::default();
        if self.every > 1 {
            notes.remarks.push(format!("{} frames are kept, one of {}, without a filter", self.written, self.every));
        }
        Ok(notes)
    }
}
