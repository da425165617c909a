//! The protobuf message of a frame, with the names of its channels.
use std::collections::HashSet;

use wavedeck_api::signal::ChannelSpec;

use crate::write::edf::ascii;

/// Wire type of four bytes.
pub(super) const FIXED32: u64 = 5;
const LENGTH: u64 = 2;

/// `FieldDescriptorProto.Type`.
const FLOAT: u64 = 2;
const UINT64: u64 = 4;
const SFIXED32: u64 = 15;

/// A name for the field of each channel, each its own.
pub(super) fn field_names(channels: &[ChannelSpec]) -> Vec<String> {
    let plain = |name: &str| {
        let name = ascii(name.trim()).replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("channel_{name}") }
    };
    // What protobuf takes for the same in JSON is the same here.
    let key = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let mut used = HashSet::from(["index".to_owned()]);
    let name_of = |channel: &ChannelSpec| {
        let name = plain(&channel.name);
        let numbered = (2u32..).map(|n| format!("{name}_n{n}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| used.insert(key(name))).unwrap_or_default()
    };
    channels.iter().map(name_of).collect()
}

/// The `FileDescriptorSet` of `wavedeck.Frame`, as `protoc` would write it.
pub(super) fn set_of_frame(names: &[String], counts: bool) -> Vec<u8> {
    let mut message = Vec::new();
    bytes(1, b"Frame", &mut message);
    bytes(2, &field("index", 1, UINT64), &mut message);
    for (number, name) in (2..).zip(names) {
        bytes(2, &field(name, number, if counts { SFIXED32 } else { FLOAT }), &mut message);
    }
    let mut file = Vec::new();
    bytes(1, b"wavedeck_frame.proto", &mut file);
    bytes(2, b"wavedeck", &mut file);
    bytes(4, &message, &mut file);
    bytes(12, b"proto3", &mut file);
    let mut set = Vec::new();
    bytes(1, &file, &mut set);
    set
}

/// Appends a varint.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(name: &str, number: u64, kind: u64) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(1, name.as_bytes(), &mut out);
    // Number, label `optional`, type.
    for (tag, value) in [(3, number), (4, 1), (5, kind)] {
        varint(tag << 3, &mut out);
        varint(value, &mut out);
    }
    out
}

fn bytes(number: u64, content: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | LENGTH, out);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_plain_names_each_its_own() {
        let names = ["CH1", "ch_1", "Größe [m]", "3", "index"].map(|name| ChannelSpec::physical(name, ""));

        assert_eq!(field_names(&names), ["CH1", "ch_1_n2", "Groesse__m_", "channel_3", "index_n2"]);
    }
}
