//! The MCAP container, written into memory only: the library must never meet an I/O error, for it cannot go
//! on after one.
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use mcap::{
    Attachment, Compression, Summary, WriteOptions, Writer,
    records::{MessageHeader, Metadata},
    write::NoSeek,
};

use crate::error::WriteError;

/// Bytes a message takes in a chunk beside its payload.
const MESSAGE_OVERHEAD: usize = 31;

/// Where the library writes to, shared so that finished bytes can be taken away.
#[derive(Clone, Default)]
struct SharedBytes(Arc<Mutex<Vec<u8>>>);

impl SharedBytes {
    fn replace(&self, bytes: Vec<u8>) -> Vec<u8> {
        mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), bytes)
    }
}

impl Write for SharedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A schema and the encoding of the messages it explains.
#[derive(Clone, Copy)]
pub(crate) enum Schema<'a> {
    /// Name of a JSON schema and its text.
    Json(&'a str, &'a str),
    /// Name of a protobuf message and its descriptor set.
    Protobuf(&'a str, &'a [u8]),
}

/// An MCAP file in the making, of which only what is not yet taken away is in memory.
pub(crate) struct Container {
    writer: Writer<NoSeek<SharedBytes>>,
    bytes: SharedBytes,
    /// Messages per channel, by channel number.
    messages: Vec<u64>,
    open_bytes: usize,
}

impl Container {
    /// A file that holds nothing but its header.
    pub(crate) fn new(library: &str) -> Result<Self, WriteError> {
        let bytes = SharedBytes::default();
        let writer = WriteOptions::new()
            .library(library)
            .chunk_size(None)
            .disable_seeking(true)
            .compression(Some(Compression::Zstd))
            .compression_level(1)
            .compression_threads(0)
            .create(NoSeek::new(bytes.clone()))
            .map_err(WriteError::Encode)?;
        Ok(Self { writer, bytes, messages: Vec::new(), open_bytes: 0 })
    }

    /// Adds a channel and returns its number.
    pub(crate) fn add_channel(
        &mut self,
        topic: &str,
        schema: Schema<'_>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<u16, WriteError> {
        let (name, schema_encoding, data, encoding) = match schema {
            Schema::Json(name, text) => (name, "jsonschema", text.as_bytes(), "json"),
            Schema::Protobuf(name, set) => (name, "protobuf", set, "protobuf"),
        };
        let schema = self.writer.add_schema(name, schema_encoding, data).map_err(WriteError::Encode)?;
        let channel = self.writer.add_channel(schema, topic, encoding, metadata).map_err(WriteError::Encode)?;
        if self.messages.len() <= usize::from(channel) {
            self.messages.resize(usize::from(channel) + 1, 0);
        }
        Ok(channel)
    }

    /// Adds an attachment; closes the open chunk.
    pub(crate) fn attach(&mut self, name: &str, kind: &str, text: &str, unix_ns: u64) -> Result<(), WriteError> {
        let attachment = Attachment {
            log_time: unix_ns,
            create_time: unix_ns,
            name: name.to_owned(),
            media_type: kind.to_owned(),
            data: Cow::Borrowed(text.as_bytes()),
        };
        self.writer.attach(&attachment).map_err(WriteError::Encode)
    }

    /// Adds a metadata record; closes the open chunk.
    pub(crate) fn add_metadata(&mut self, name: &str, entries: &[(&str, &str)]) -> Result<(), WriteError> {
        let metadata = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.writer.write_metadata(&Metadata { name: name.to_owned(), metadata }).map_err(WriteError::Encode)
    }

    /// Adds a message to the open chunk.
    pub(crate) fn add_message(&mut self, channel: u16, unix_ns: u64, payload: &[u8]) -> Result<(), WriteError> {
        let count = &mut self.messages[usize::from(channel)];
        // The format counts in 32 bits, and wraps.
        let sequence = *count as u32;
        let header = MessageHeader { channel_id: channel, sequence, log_time: unix_ns, publish_time: unix_ns };
        self.writer.write_to_known_channel(&header, payload).map_err(WriteError::Encode)?;
        *count += 1;
        self.open_bytes += payload.len() + MESSAGE_OVERHEAD;
        Ok(())
    }

    /// Bytes in the open chunk before compression.
    pub(crate) fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Messages so far per channel, by channel number.
    pub(crate) fn messages(&self) -> &[u64] {
        &self.messages
    }

    /// Closes the open chunk and takes all finished bytes away; `buffer` takes the next ones.
    pub(crate) fn take_chunk(&mut self, buffer: Vec<u8>) -> Result<Vec<u8>, WriteError> {
        self.writer.flush().map_err(WriteError::Encode)?;
        self.open_bytes = 0;
        Ok(self.bytes.replace(buffer))
    }

    /// Closes the file; the bytes are those that were not yet taken away.
    pub(crate) fn finish(&mut self) -> Result<(Summary, Vec<u8>), WriteError> {
        let summary = self.writer.finish().map_err(WriteError::Encode)?;
        Ok((summary, self.bytes.replace(Vec::new())))
    }
}
