//! Reads a recording, closed or not.
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use mcap::{MAGIC, records::Record};
use serde::de::DeserializeOwned;
use wavedeck_api::clock::Anchor;

use crate::{
    FORMAT_VERSION,
    batches::Batches,
    chunk::{self, Item, MAX_CHUNK_BYTES, MAX_RECORD_BYTES, RecordHead, Source},
    error::ReadError,
    index::{ChunkEntry, Index},
    ledger::Ledger,
    recount::Recount,
    repair::RepairNote,
    schema,
    stored::{self, StoredEdit, StoredEvent, StoredGap, StoredStream},
};

/// A recording open for reading. Clones share the file; each can go to a thread of its own.
#[derive(Clone, Debug)]
pub struct Recording {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    index: Index,
    streams: Vec<StoredStream>,
    /// Channel of the samples of each stream.
    data_channels: Vec<u16>,
    ledger: Ledger,
    anchor: Anchor,
}

impl Recording {
    /// Opens a recording. One that was closed opens at once; of one that was not, all complete chunks are
    /// read and checked, and the rest is left out.
    ///
    /// # Errors
    /// If there is no such file, or it is not a recording of this program.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let source = open_source(path.as_ref())?;
        let index = Index::of(&source)?;
        let path = || source.path().to_owned();
        let Some(about) = stored::description(&index.metadata) else {
            // A recording is saved with its metadata before its first sample is taken.
            let is_cut = !index.is_closed && index.chunks.is_empty() && index.damaged.is_empty();
            return Err(if is_cut {
                ReadError::NothingWhole { path: path() }
            } else {
                ReadError::Foreign { path: path() }
            });
        };
        let number = |key: &str| about.get(key).and_then(|text| text.parse::<u64>().ok());
        let version = number("format_version").map_or(0, |version| version.min(u64::from(u32::MAX)) as u32);
        if version > FORMAT_VERSION {
            return Err(ReadError::Newer { path: path(), version });
        }
        let anchor = Anchor {
            monotonic_ns: number("start_monotonic_ns").unwrap_or(0),
            unix_ns: number("start_unix_ns").unwrap_or(0),
        };
        let mut streams = Vec::new();
        let mut data_channels = Vec::new();
        for (id, channel) in &index.channels {
            let Some(name) = schema::stream_of(&channel.topic) else {
                continue;
            };
            let stream = stored::understand(name, &channel.metadata)
                .map_err(|what| ReadError::BadStream { stream: name.to_owned(), what })?;
            streams.push(stream);
            data_channels.push(*id);
        }
        if index.channels.is_empty() && index.damaged.is_empty() {
            return Err(ReadError::NothingWhole { path: path() });
        }
        if let (true, Some(offset)) = (index.channels.is_empty(), index.damaged.first()) {
            return Err(chunk::damaged(*offset, "the chunk that describes the streams".into()));
        }
        let ledger = stored::json_of(&index.metadata, "ledger");
        let mut inner = Inner { ledger: Ledger::default(), source, index, streams, data_channels, anchor };
        inner.ledger = match ledger.or_else(|| inner.index.recounted.clone()) {
            Some(ledger) => ledger,
            None => inner.recount()?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The streams, in the order they were declared in.
    pub fn streams(&self) -> &[StoredStream] {
        &self.inner.streams
    }

    /// Number of the stream of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn stream(&self, name: &str) -> Result<usize, ReadError> {
        let found = self.inner.streams.iter().position(|stream| stream.name == name);
        found.ok_or_else(|| self.no_such_stream(name))
    }

    /// The batches of a stream in order, from the one that holds sample `from_index` or, if that is missing,
    /// the next. No more than one chunk is in memory. An iterator goes on behind a damaged chunk.
    ///
    /// # Errors
    /// If the stream does not exist.
    pub fn batches(&self, stream: usize, from_index: u64) -> Result<Batches, ReadError> {
        self.check_stream(stream)?;
        let first_chunk = if from_index == 0 { 0 } else { self.chunk_of_index(stream, from_index) };
        Ok(Batches::new(self.clone(), stream, first_chunk, from_index, 0))
    }

    /// The batches of a stream from the one that holds the sample taken at `unix_ns`, or the next.
    ///
    /// # Errors
    /// If the stream does not exist.
    pub fn batches_from_time(&self, stream: usize, unix_ns: u64) -> Result<Batches, ReadError> {
        self.check_stream(stream)?;
        // The chunk before may hold a batch that reaches into this one.
        let first = self.inner.index.chunks.iter().position(|chunk| chunk.end_ns >= unix_ns);
        let first_chunk = first.unwrap_or(self.inner.index.chunks.len()).saturating_sub(1);
        Ok(Batches::new(self.clone(), stream, first_chunk, 0, unix_ns))
    }

    /// The pipeline the recording was made with, as its file said it.
    ///
    /// # Errors
    /// If it is not in the file or damaged.
    pub fn pipeline_json(&self) -> Result<String, ReadError> {
        let found = self.inner.index.attachments.iter().find(|(name, _)| name == "pipeline.json");
        let Some((_, head)) = found else {
            return Err(chunk::damaged(0, "the pipeline is missing".into()));
        };
        let mut buffer = Vec::new();
        self.inner.source.read_record(head, MAX_RECORD_BYTES, &mut buffer)?;
        match chunk::parse(&buffer, head.offset)? {
            Record::Attachment { data, .. } => String::from_utf8(data.into_owned())
                .map_err(|_| chunk::damaged(head.offset, "the pipeline is not text".into())),
            _ => Err(chunk::damaged(head.offset, "the pipeline is not where it should be".into())),
        }
    }

    /// Both clocks at the start of the recording.
    pub fn anchor(&self) -> Anchor {
        self.inner.anchor
    }

    /// Unix time of the start of the recording.
    pub fn start_unix_ns(&self) -> u64 {
        self.inner.anchor.unix_ns
    }

    /// An entry of the description made at the start: `session`, `operator`, `subject`, `notes`,
    /// `app_version`, ...
    pub fn about(&self, key: &str) -> Option<&str> {
        self.inner.index.metadata.get("recording")?.get(key).map(String::as_str)
    }

    /// All marks, in the order of the file.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn events(&self) -> Result<Vec<StoredEvent>, ReadError> {
        self.events_or(Err)
    }

    /// All runs of missing samples, in the order of the file.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn gaps(&self) -> Result<Vec<StoredGap>, ReadError> {
        self.gaps_or(Err)
    }

    /// All parameter changes, in the order of the file.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn params(&self) -> Result<Vec<StoredEdit>, ReadError> {
        self.params_or(Err)
    }

    /// What a repair noted in the file; `None` if there was none.
    pub fn repair_note(&self) -> Option<RepairNote> {
        stored::json_of(&self.inner.index.metadata, "repair")
    }

    /// True if the recording ended as it should; else it was cut and may be repaired.
    pub fn is_closed(&self) -> bool {
        self.inner.index.is_closed
    }

    /// What the file says it holds; counted anew if it was not closed.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// Counts all samples and gaps anew, which reads and checks every chunk.
    ///
    /// # Errors
    /// At the first chunk that is damaged.
    pub fn recount(&self) -> Result<Ledger, ReadError> {
        self.inner.recount()
    }

    /// Places of chunks that are damaged, as far as known: they are only looked for in files that were not
    /// closed.
    pub fn damaged(&self) -> &[u64] {
        &self.inner.index.damaged
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.inner.source.length
    }

    /// Length of the part that is whole: less than [`Recording::bytes`] if the file was cut.
    pub fn good_bytes(&self) -> u64 {
        self.inner.index.good_bytes
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.inner.source.path()
    }

    pub(crate) fn data_channel(&self, stream: usize) -> u16 {
        self.inner.data_channels[stream]
    }

    pub(crate) fn chunks(&self) -> &[ChunkEntry] {
        &self.inner.index.chunks
    }

    pub(crate) fn visit(
        &self,
        head: &RecordHead,
        buffer: &mut Vec<u8>,
        visit: impl FnMut(Item<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.inner.visit(head, buffer, visit)
    }

    fn check_stream(&self, stream: usize) -> Result<(), ReadError> {
        if stream < self.inner.streams.len() { Ok(()) } else { Err(self.no_such_stream(&format!("number {stream}"))) }
    }

    fn no_such_stream(&self, asked: &str) -> ReadError {
        ReadError::NoSuchStream { asked: asked.to_owned(), available: self.stream_names() }
    }

    pub(crate) fn stream_names(&self) -> String {
        let names: Vec<_> = self.inner.streams.iter().map(|stream| stream.name.as_str()).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }

    /// All marks; of each chunk that cannot be read `damage` is told, and returns the error or goes on.
    ///
    /// # Errors
    /// What `damage` returns, or if the file cannot be read at all.
    pub fn events_or(
        &self,
        damage: impl FnMut(ReadError) -> Result<(), ReadError>,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        self.messages(schema::EVENTS, |event: &mut StoredEvent, time_ns| event.time_ns = time_ns, damage)
    }

    /// All gaps; of each chunk that cannot be read `damage` is told, and returns the error or goes on.
    ///
    /// # Errors
    /// What `damage` returns, or if the file cannot be read at all.
    pub fn gaps_or(&self, damage: impl FnMut(ReadError) -> Result<(), ReadError>) -> Result<Vec<StoredGap>, ReadError> {
        self.messages(schema::GAPS, |gap: &mut StoredGap, time_ns| gap.time_ns = time_ns, damage)
    }

    /// All changes; of each chunk that cannot be read `damage` is told, and returns the error or goes on.
    ///
    /// # Errors
    /// What `damage` returns, or if the file cannot be read at all.
    pub fn params_or(
        &self,
        damage: impl FnMut(ReadError) -> Result<(), ReadError>,
    ) -> Result<Vec<StoredEdit>, ReadError> {
        self.messages(schema::PARAMS, |edit: &mut StoredEdit, time_ns| edit.time_ns = time_ns, damage)
    }

    fn messages<T: DeserializeOwned>(
        &self,
        topic: &str,
        set_time: impl Fn(&mut T, u64),
        mut damage: impl FnMut(ReadError) -> Result<(), ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let inner = &self.inner;
        let ids: Vec<u16> =
            inner.index.channels.values().filter(|channel| channel.topic == topic).map(|channel| channel.id).collect();
        let mut found = Vec::new();
        let mut buffer = Vec::new();
        for chunk in self.chunks().iter().filter(|chunk| ids.iter().any(|id| chunk.holds(*id))) {
            let visited = self.visit(&chunk.head, &mut buffer, |item| {
                if let Item::Message(header, payload) = item
                    && ids.contains(&header.channel_id)
                {
                    let mut message: T = serde_json::from_slice(payload)
                        .map_err(|error| chunk::damaged(chunk.head.offset, format!("{topic}: {error}")))?;
                    set_time(&mut message, header.log_time);
                    found.push(message);
                }
                Ok(())
            });
            match visited {
                Err(error @ ReadError::Damaged { .. }) => damage(error)?,
                other => other?,
            }
        }
        Ok(found)
    }
}

impl Inner {
    fn visit(
        &self,
        head: &RecordHead,
        buffer: &mut Vec<u8>,
        visit: impl FnMut(Item<'_>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        self.source.read_record(head, MAX_CHUNK_BYTES, buffer)?;
        chunk::visit_chunk(buffer, head.offset, visit)
    }

    fn recount(&self) -> Result<Ledger, ReadError> {
        let mut recount = Recount::default();
        for channel in self.index.channels.values() {
            recount.add_channel(channel);
        }
        let mut buffer = Vec::new();
        for chunk in &self.index.chunks {
            self.visit(&chunk.head, &mut buffer, |item| {
                if let Item::Message(header, payload) = item {
                    recount.add_message(header.channel_id, payload);
                }
                Ok(())
            })?;
        }
        Ok(recount.ledger())
    }
}

/// Opens a file for reading that begins as an MCAP file does.
pub(crate) fn open_source(path: &Path) -> Result<Source, ReadError> {
    let owned = || path.to_owned();
    // It may also vanish between two looks, when another program gives it its final name.
    let io_error = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => ReadError::Missing { path: owned() },
        _ => ReadError::Io { action: "open", path: owned(), source },
    };
    let about = fs::metadata(path).map_err(io_error)?;
    if about.is_dir() {
        return Err(ReadError::Directory { path: owned() });
    }
    if !about.is_file() {
        return Err(ReadError::NotMcap { path: owned() });
    }
    if about.len() == 0 {
        return Err(ReadError::Empty { path: owned() });
    }
    let mut file = File::open(path).map_err(io_error)?;
    let mut begin = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut begin).map_err(io_error)?;
    if begin.len() < MAGIC.len() && MAGIC.starts_with(&begin) {
        return Err(ReadError::NothingWhole { path: owned() });
    }
    if begin != MAGIC {
        return Err(ReadError::NotMcap { path: owned() });
    }
    Ok(Source { file, path: owned(), length: about.len() })
}
