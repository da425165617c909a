//! What stands at the beginning of a recording: what explains it, its topics, its streams.
use std::sync::Arc;

use wavedeck_api::{
    clock::Anchor,
    signal::{ChannelSpec, Rate, SignalKind},
};

use crate::{
    FORMAT_VERSION,
    container::{Container, Schema},
    error::WriteError,
    options::{RecordingOptions, StreamInfo},
    schema,
    stored::{self, Codec},
};

const PREVIEW_NS: u64 = 100_000_000;

/// A stream as the writer keeps it.
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) kind: SignalKind,
    pub(crate) rate: Rate,
    pub(crate) channels: Arc<[ChannelSpec]>,
    pub(crate) data_topic: u16,
    pub(crate) preview_topic: u16,
    /// Index after the last batch; `None` before the first.
    pub(crate) batch_end: Option<u64>,
    pub(crate) next_preview: u64,
    pub(crate) preview_step: u64,
}

/// Channels of the topics that are no streams.
#[derive(Clone, Copy, Default)]
pub(crate) struct Topics {
    pub(crate) events: u16,
    pub(crate) params: u16,
    pub(crate) gaps: u16,
    pub(crate) clock: u16,
    pub(crate) session: u16,
    pub(crate) stats: u16,
}

/// Refuses what cannot be stored.
pub(crate) fn check_streams(streams: &[StreamInfo]) -> Result<(), WriteError> {
    for (n, stream) in streams.iter().enumerate() {
        let is_double = streams[..n].iter().any(|other| other.name == stream.name);
        let why = is_double.then(|| "another stream has its name".to_owned()).or_else(|| stored::objection(stream));
        if let Some(why) = why {
            return Err(WriteError::Unsupported { stream: stream.name.clone(), why });
        }
    }
    Ok(())
}

/// A container with metadata and attachments.
pub(crate) fn begin_container(options: &RecordingOptions, anchor: Anchor) -> Result<Container, WriteError> {
    let mut container = Container::new(&format!("wavedeck {}", options.app_version))?;
    let numbers = [anchor.unix_ns, anchor.monotonic_ns, u64::from(FORMAT_VERSION)].map(|n| n.to_string());
    let [start_unix_ns, start_monotonic_ns, format_version] = &numbers;
    let segment = options.segment.to_string();
    let mut about = vec![
        ("program", "wavedeck"),
        ("format_version", format_version),
        ("app_version", &options.app_version),
        ("start_unix_ns", start_unix_ns),
        ("start_monotonic_ns", start_monotonic_ns),
        ("session", &options.session_name),
        ("operator", &options.operator),
        ("subject", &options.subject),
        ("notes", &options.notes),
    ];
    if options.segment > 0 {
        about.push(("segment", &segment));
    }
    about.extend(options.about.iter().map(|(name, text)| (*name, text.as_str())));
    container.add_metadata("recording", &about)?;
    for (name, kind, text) in [
        ("pipeline.json", "application/json", options.pipeline_json.as_str()),
        ("README.txt", "text/plain", include_str!("attached/README.txt")),
        ("read_me.py", "text/x-python", include_str!("attached/read_me.py")),
    ] {
        container.attach(name, kind, text, anchor.unix_ns)?;
    }
    Ok(container)
}

/// Adds the topics that are no streams.
pub(crate) fn add_topics(container: &mut Container) -> Result<Topics, WriteError> {
    let mut topics = Topics::default();
    for (topic, name, text) in schema::JSON_TOPICS {
        let channel = container.add_channel(topic, Schema::Json(name, text), &Default::default())?;
        match topic {
            schema::EVENTS => topics.events = channel,
            schema::PARAMS => topics.params = channel,
            schema::GAPS => topics.gaps = channel,
            schema::CLOCK => topics.clock = channel,
            schema::SESSION => topics.session = channel,
            _ => topics.stats = channel,
        }
    }
    Ok(topics)
}

/// Adds the topics of a stream.
pub(crate) fn add_stream(
    container: &mut Container,
    stream: &StreamInfo,
    descriptors: &[u8],
    plain: bool,
) -> Result<Stream, WriteError> {
    let StreamInfo { name, spec, .. } = stream;
    let codec = if plain || spec.kind != SignalKind::Counts { Codec::Plain } else { Codec::Planar };
    let metadata = stored::describe(stream, codec)?;
    let batch = Schema::Protobuf(schema::BATCH_MESSAGE, descriptors);
    let frame = Schema::Protobuf(schema::FRAME_MESSAGE, descriptors);
    Ok(Stream {
        name: name.clone(),
        kind: spec.kind,
        rate: spec.rate,
        channels: Arc::clone(&spec.channels),
        data_topic: container.add_channel(&schema::data_topic(name), batch, &metadata)?,
        preview_topic: container.add_channel(&schema::preview_topic(name), frame, &Default::default())?,
        batch_end: None,
        next_preview: 0,
        preview_step: spec.rate.samples_in(PREVIEW_NS).max(1),
    })
}
