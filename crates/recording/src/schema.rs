//! Topics of a recording and the schemas that explain them to other programs.
use crate::proto::{length_field, varint_field};

/// Topic of marks.
pub(crate) const EVENTS: &str = "/events";
/// Topic of parameter changes.
pub(crate) const PARAMS: &str = "/params";
/// Topic of missing samples.
pub(crate) const GAPS: &str = "/gaps";
/// Topic of clock comparisons.
pub(crate) const CLOCK: &str = "/clock";
/// Topic of the pipeline as it is.
pub(crate) const SESSION: &str = "/session";
/// Topic of the running account.
pub(crate) const STATS: &str = "/stats";

/// Name of the protobuf message that carries samples.
pub(crate) const BATCH_MESSAGE: &str = "sig.SampleBatch";
/// Name of the protobuf message that carries previews.
pub(crate) const FRAME_MESSAGE: &str = "sig.Frame";

/// Topic of the samples of a stream.
pub(crate) fn data_topic(stream: &str) -> String {
    format!("/{stream}/data")
}

/// Topic of the preview of a stream.
pub(crate) fn preview_topic(stream: &str) -> String {
    format!("/{stream}/preview")
}

/// Name of the stream whose samples are under `topic`.
pub(crate) fn stream_of(topic: &str) -> Option<&str> {
    topic.strip_prefix('/')?.strip_suffix("/data").filter(|name| !name.is_empty())
}

/// The JSON topics, each with the schema of its messages.
pub(crate) const JSON_TOPICS: [(&str, &str, &str); 6] = [
    (
        EVENTS,
        "wavedeck.Event",
        r#"{"type":"object","properties":{"label":{"type":"string"},"source":{"type":"string"},"stream":{"type":"string"},"index":{"type":"integer"},"duration_s":{"type":"number"}}}"#,
    ),
    (
        PARAMS,
        "wavedeck.Param",
        r#"{"type":"object","properties":{"path":{"type":"string"},"old":{},"new":{},"at_sample":{"type":"integer"},"by":{"type":"string"},"outcome":{"type":"string"}}}"#,
    ),
    (
        GAPS,
        "wavedeck.Gap",
        r#"{"type":"object","properties":{"stream":{"type":"string"},"first_index":{"type":"integer"},"n":{"type":"integer"},"reason":{"type":"string"},"crc_errors":{"type":"integer"}}}"#,
    ),
    (
        CLOCK,
        "wavedeck.Clock",
        r#"{"type":"object","properties":{"host_mono_ns":{"type":"integer"},"host_unix_ns":{"type":"integer"},"device_ts":{"type":"integer"},"stream":{"type":"string"}}}"#,
    ),
    (SESSION, "wavedeck.Session", r#"{"type":"object"}"#),
    (STATS, "wavedeck.Stats", r#"{"type":"object"}"#),
];

/// The `FileDescriptorSet` of both protobuf messages, as `protoc` would write it.
pub(crate) fn file_descriptor_set() -> Vec<u8> {
    use Kind::{Bytes, Fixed64, Float, Sfixed32, Uint32, Uint64};
    let batch = message(
        "SampleBatch",
        &[
            field("t0_ns", 1, One, Fixed64),
            field("first_index", 2, One, Uint64),
            field("n_frames", 3, One, Uint32),
            field("counts", 4, Many, Sfixed32),
            field("values", 5, Many, Float),
            field("arrival_ns", 6, One, Fixed64),
            field("device_ts", 7, One, Uint64),
            field("flags", 8, One, Uint32),
            field("dropped_before", 9, One, Uint32),
            field("codec", 11, One, Uint32),
            field("data", 12, One, Bytes),
        ],
    );
    let frame = message("Frame", &[field("index", 1, One, Uint64), field("values", 2, Many, Float)]);

    let mut file = Vec::new();
    bytes(1, b"sig.proto", &mut file);
    bytes(2, b"sig", &mut file);
    bytes(4, &batch, &mut file);
    bytes(4, &frame, &mut file);
    bytes(12, b"proto3", &mut file);

    let mut set = Vec::new();
    bytes(1, &file, &mut set);
    set
}

use Label::{Many, One};

/// `FieldDescriptorProto.Label`.
#[derive(Clone, Copy)]
enum Label {
    One = 1,
    Many = 3,
}

/// `FieldDescriptorProto.Type`.
#[derive(Clone, Copy)]
enum Kind {
    Float = 2,
    Uint64 = 4,
    Fixed64 = 6,
    Bytes = 12,
    Uint32 = 13,
    Sfixed32 = 15,
}

fn message(name: &str, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(1, name.as_bytes(), &mut out);
    for field in fields {
        bytes(2, field, &mut out);
    }
    out
}

fn field(name: &str, number: u64, label: Label, kind: Kind) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(1, name.as_bytes(), &mut out);
    varint_field(3, number, &mut out);
    varint_field(4, label as u64, &mut out);
    varint_field(5, kind as u64, &mut out);
    out
}

fn bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
    length_field(field, content.len(), out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_json_schema_is_json() {
        for (topic, _, schema) in JSON_TOPICS {
            let parsed: serde_json::Value = serde_json::from_str(schema).expect(topic);
            assert_eq!(parsed["type"], "object");
        }
    }

    #[test]
    fn a_stream_is_found_by_its_topic() {
        assert_eq!(stream_of(&data_topic("eeg")), Some("eeg"));
        assert_eq!(stream_of(&preview_topic("eeg")), None);
        assert_eq!(stream_of(EVENTS), None);
        assert_eq!(stream_of("//data"), None);
    }

    #[test]
    fn the_descriptor_names_package_messages_and_syntax() {
        let set = file_descriptor_set();

        for name in ["sig.proto", "SampleBatch", "Frame", "dropped_before", "proto3"] {
            assert!(set.windows(name.len()).any(|w| w == name.as_bytes()), "{name}");
        }
    }
}
