//! Writes a recording: packets and records become chunks, chunks go to the committing thread.
#[cfg(test)]
mod disk_tests;
mod packets;
mod repeats;
mod run;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;
use wavedeck_api::clock::{self, Anchor};

use crate::{
    commit::{Commit, CommitStatus, Committer, Disk, Ended, Totals, URGENT_INTERVAL},
    container::Container,
    error::WriteError,
    gap::Gap,
    layout::{self, Stream, Topics},
    ledger::{Ledger, StreamLedger},
    naming::{self, Part},
    options::{Edit, Event, Finished, RecordingOptions, StreamInfo},
    schema,
    spare::Spare,
    stored::{StoredEdit, StoredEvent, StoredGap},
    tail,
};

use self::{repeats::Repeats, run::Run};

/// Most that an open chunk grows to while the disk is behind; a reader takes more than twice this.
const MAX_CHUNK_BYTES: usize = 64 << 20;

/// Writes one recording. Everything it is given is in the file, or it returns an error that says it is not.
///
/// No call waits for the disk, except [`RecordingWriter::create`], [`RecordingWriter::finish`] and drop.
pub struct RecordingWriter {
    container: Container,
    streams: Vec<Stream>,
    /// Packets of each stream that are accounted for but not in the container yet.
    runs: Vec<Run>,
    ledgers: Vec<StreamLedger>,
    topics: Topics,
    anchor: Anchor,
    options: RecordingOptions,
    committer: Option<Committer>,
    status: Arc<CommitStatus>,
    names: Names,
    pipeline: Value,
    caller_stats: Value,
    /// When a chunk was last closed, as of the last tick before it.
    last_commit_ns: u64,
    last_tick_ns: u64,
    /// Time of the oldest sample that is in no finished chunk.
    oldest_open_ns: Option<u64>,
    repeats: Repeats,
    counted: Counted,
    until_ns: u64,
    is_urgent: bool,
    scratch: Vec<u8>,
    preview: Vec<f32>,
}

/// What the file is called.
struct Names {
    /// Name of the recording, without the number of a file and without ending.
    stem: String,
    /// While it is written.
    part: PathBuf,
    /// When it is whole.
    target: PathBuf,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    gaps: u64,
    events: u64,
}

impl RecordingWriter {
    /// Creates the file under its `.part` name, locks it, and saves all that explains it.
    ///
    /// # Errors
    /// If a stream or the name cannot be used, or the file cannot be made. Nothing is left behind then.
    pub fn create(options: RecordingOptions, streams: Vec<StreamInfo>, anchor: Anchor) -> Result<Self, WriteError> {
        Self::create_on(options, &streams, anchor, |file| Box::new(file))
    }

    fn create_on(
        options: RecordingOptions,
        streams: &[StreamInfo],
        anchor: Anchor,
        disk: impl FnOnce(File) -> Box<dyn Disk>,
    ) -> Result<Self, WriteError> {
        layout::check_streams(streams)?;
        let stem = naming::stem(options.name.as_deref(), &options.session_name, anchor.unix_ns)?;
        let segment = naming::segment_stem(&stem, options.segment);
        let Part { file, path, target } = naming::create_part(&options.dir, &segment)?;
        let begun = Self::begin(options, streams, anchor, disk(file), Names { stem, part: path.clone(), target });
        if begun.is_err()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(%error, path = %path.display(), "cannot remove a recording that did not begin");
        }
        begun
    }

    fn begin(
        options: RecordingOptions,
        streams: &[StreamInfo],
        anchor: Anchor,
        mut disk: Box<dyn Disk>,
        names: Names,
    ) -> Result<Self, WriteError> {
        let mut container = layout::begin_container(&options, anchor)?;
        let topics = layout::add_topics(&mut container)?;
        let descriptors = schema::file_descriptor_set();
        let runs = streams.iter().map(|stream| Run::new(&stream.spec, options.chunk_bytes)).collect();
        let streams: Vec<Stream> = streams
            .iter()
            .map(|stream| layout::add_stream(&mut container, stream, &descriptors, options.plain))
            .collect::<Result<_, _>>()?;
        let status = Arc::new(CommitStatus::new(streams.len()));
        let now_ns = anchor.monotonic_ns;
        let mut writer = Self {
            ledgers: streams.iter().map(|stream| StreamLedger::new(&stream.name)).collect(),
            container,
            streams,
            runs,
            topics,
            anchor,
            committer: None,
            status: Arc::clone(&status),
            names,
            pipeline: parsed_or_text(&options.pipeline_json),
            options,
            caller_stats: Value::Null,
            last_commit_ns: now_ns,
            last_tick_ns: now_ns,
            oldest_open_ns: None,
            repeats: Repeats::from(now_ns),
            counted: Counted::default(),
            until_ns: now_ns,
            is_urgent: false,
            scratch: Vec::new(),
            preview: Vec::new(),
        };
        writer.write_session(now_ns)?;
        writer.write_clock(now_ns, anchor)?;

        writer.status.note_open_bytes(writer.container.open_bytes() as u64, 0);
        let bytes = writer.container.take_chunk(Vec::new())?;
        disk.append(&bytes).map_err(naming::io_error("write", &writer.names.part))?;
        disk.sync().map_err(naming::io_error("save", &writer.names.part))?;
        naming::sync_directory_of(&writer.names.part)?;
        // After the file itself: its beginning must find room first.
        let spare = Some(writer.options.spare_bytes).filter(|bytes| *bytes > 0);
        let spare = spare.and_then(|bytes| Spare::beside(&writer.names.target, bytes));
        let start = Ended { disk, written: bytes.len() as u64, totals: writer.totals(), can_sync: true, spare };
        let name = &writer.options.session_name.replace('\0', "_");
        let committer = Committer::start(name, start, writer.options.sync_interval, status)
            .map_err(naming::io_error("start a thread for", &writer.names.part))?;
        writer.committer = Some(committer);
        tracing::info!(path = %writer.names.part.display(), streams = writer.streams.len(), "recording");
        Ok(writer)
    }

    /// Notes missing samples, which [`crate::GapTracker`] finds. They must follow what was accounted for before.
    ///
    /// # Errors
    /// If the gap begins before the end of the last batch or gap, or the recording has failed.
    pub fn gap(&mut self, stream: usize, gap: &Gap, timestamp_ns: u64) -> Result<(), WriteError> {
        self.check_open()?;
        let ledger = self.ledger_of(stream)?;
        if ledger.first_index.is_some() && gap.first_index < ledger.next_index {
            return Err(out_of_order(ledger, gap.first_index));
        }
        if gap.n == 0 {
            return Ok(());
        }
        let stored = StoredGap {
            time_ns: 0,
            stream: ledger.stream.clone(),
            first_index: gap.first_index,
            n: gap.n,
            reason: gap.reason,
            crc_errors: 0,
        };
        self.write_run(stream)?;
        self.write_json(self.topics.gaps, &stored, timestamp_ns)?;
        self.ledgers[stream].miss(gap.first_index, gap.n, gap.reason);
        self.counted.gaps += 1;
        self.is_urgent = true;
        Ok(())
    }

    /// Notes a mark.
    ///
    /// # Errors
    /// If its stream does not exist, or the recording has failed.
    pub fn event(&mut self, event: &Event, timestamp_ns: u64) -> Result<(), WriteError> {
        self.check_open()?;
        let stream = event.stream.map(|stream| self.ledger_of(stream).map(|ledger| ledger.stream.clone()));
        let stored = StoredEvent {
            time_ns: 0,
            label: event.label.clone(),
            source: event.source.clone(),
            stream: stream.transpose()?,
            index: event.index,
            duration_s: event.duration_s,
        };
        self.write_json(self.topics.events, &stored, timestamp_ns)?;
        self.counted.events += 1;
        self.is_urgent = true;
        Ok(())
    }

    /// Notes a parameter change.
    ///
    /// # Errors
    /// If the recording has failed.
    pub fn param(&mut self, edit: &Edit, timestamp_ns: u64) -> Result<(), WriteError> {
        self.check_open()?;
        let Edit { path, old, new, at_sample, by, outcome } = edit.clone();
        let stored = StoredEdit { time_ns: 0, path, old, new, at_sample, by, outcome };
        self.write_json(self.topics.params, &stored, timestamp_ns)?;
        self.is_urgent = true;
        Ok(())
    }

    /// Notes the pipeline as it is now; it is repeated once a minute from then on.
    ///
    /// # Errors
    /// If the recording has failed.
    pub fn session(&mut self, pipeline: &Value, timestamp_ns: u64) -> Result<(), WriteError> {
        self.check_open()?;
        self.pipeline = pipeline.clone();
        self.is_urgent = true;
        self.write_session(timestamp_ns)
    }

    /// Sets what the running account says beside the recording's own figures, from the next second on.
    pub fn stats(&mut self, stats: &Value) {
        self.caller_stats.clone_from(stats);
    }

    /// Does what is due at `now_ns`: closes the chunk, writes what repeats. To be called every 50 ms or so, and at
    /// [`RecordingWriter::due_ns`] with all packets that have come by then: that is how late the chunk may be.
    ///
    /// # Errors
    /// If the recording has failed; it must then be finished.
    pub fn tick(&mut self, now_ns: u64) -> Result<(), WriteError> {
        self.check_open()?;
        // Nothing that repeats may pile up before a disk that stands still.
        if !self.is_full(0) {
            self.write_what_repeats(now_ns)?;
        }
        self.last_tick_ns = now_ns;
        if now_ns >= self.due_ns() {
            self.commit()?;
            self.last_commit_ns = now_ns;
        }
        Ok(())
    }

    /// Monotonic time at which a tick closes the open chunk: when its oldest sample is as old as the options say, but a
    /// tenth of a second after the chunk before. Packets, marks and gaps can make it earlier.
    pub fn due_ns(&self) -> u64 {
        let soonest_ns = self.last_commit_ns.saturating_add(clock::nanoseconds(URGENT_INTERVAL));
        if self.is_urgent {
            return soonest_ns;
        }
        // Without a sample it is the time of the chunk before that counts.
        let oldest_ns = self.oldest_open_ns.map_or(self.last_commit_ns, |oldest_ns| oldest_ns.min(self.last_commit_ns));
        oldest_ns.saturating_add(clock::nanoseconds(self.options.commit_interval)).max(soonest_ns)
    }

    /// Closes the open chunk and hands it to the disk; does nothing while too many chunks wait.
    ///
    /// # Errors
    /// If the recording has failed.
    pub fn commit(&mut self) -> Result<(), WriteError> {
        self.check_open()?;
        let has_room = self.committer.as_ref().is_some_and(Committer::has_room);
        if has_room { self.send_chunk() } else { Ok(()) }
    }

    /// What has become of the bytes; stays readable after the recording has ended.
    pub fn status(&self) -> Arc<CommitStatus> {
        Arc::clone(&self.status)
    }

    /// Name of the recording without the number of a file and without ending: other files of the same recording take it
    /// as [`RecordingOptions::name`].
    pub fn stem(&self) -> &str {
        &self.names.stem
    }

    /// The file as it is named now, with `.part`.
    pub fn path(&self) -> &Path {
        &self.names.part
    }

    /// Frames of a stream taken so far; 0 for a stream that does not exist.
    pub fn recorded(&self, stream: usize) -> u64 {
        self.ledgers.get(stream).map_or(0, |ledger| ledger.recorded)
    }

    /// What was taken so far and what is missing.
    pub fn ledger(&self) -> Ledger {
        Ledger { streams: self.ledgers.clone(), failed: self.status.failure() }
    }

    /// Closes the file, saves it and gives it its final name. Waits for the disk.
    ///
    /// After a failure of the disk the file is closed behind its last good chunk; the ledger says so.
    ///
    /// # Errors
    /// [`WriteError::NotClosed`] if the disk refuses that too. All good chunks stay in the `.part` file.
    pub fn finish(mut self) -> Result<Finished, WriteError> {
        let not_closed = |kept_bytes, reason: String, path: &Path| WriteError::NotClosed {
            path: path.to_owned(),
            kept_bytes,
            reason,
        };
        if !self.status.has_failed() {
            self.write_stats(self.until_ns)?;
            self.send_chunk()?;
        }
        let ledger = serde_json::to_string(&self.ledger())?;
        self.container.add_metadata("ledger", &[("json", &ledger)])?;
        let (summary, bytes) = self.container.finish()?;
        let committer = self.committer.take();
        let ended = committer.map(|committer| {
            committer.send(Commit { bytes, totals: self.totals(), is_urgent: false });
            committer.end()
        });
        let Some(mut ended) = ended.flatten() else {
            let kept_bytes = self.status.written_bytes();
            return Err(not_closed(kept_bytes, "the thread that writes it has ended".into(), &self.names.part));
        };
        // What is left of the spare room is for what was just written.
        ended.spare = None;
        if self.status.has_failed() {
            let reason = self.status.failure().unwrap_or_default();
            let ledger = Ledger { streams: ended.totals.ledgers.clone(), failed: Some(reason.clone()) };
            if let Err(error) = tail::close_behind_good_chunks(&mut ended, summary, &ledger) {
                // The good chunks only, again: the end may have been written in part.
                drop(ended.disk.truncate(ended.written));
                return Err(not_closed(ended.written, format!("{reason}; then {error}"), &self.names.part));
            }
        }
        let is_gone = ended.disk.look().is_some_and(|look| look.is_gone);
        if is_gone {
            self.save_from_removal(&mut ended)?;
        }
        let path = naming::publish(&self.names.part, &self.names.target)?;
        naming::sync_directory_of(&path)?;
        let ledger = Ledger { streams: ended.totals.ledgers, failed: self.status.failure() };
        tracing::info!(path = %path.display(), bytes = ended.written, degraded = ledger.is_degraded(), "recorded");
        let Counted { gaps, events } = self.counted;
        Ok(Finished { path, bytes: ended.written, ledger, gaps, events })
    }

    /// The file was removed while it was written: what it holds goes into a new one.
    fn save_from_removal(&mut self, ended: &mut Ended) -> Result<(), WriteError> {
        let stem = naming::segment_stem(&self.names.stem, self.options.segment);
        let Part { mut file, path, target } = naming::create_part(&self.options.dir, &stem)?;
        ended
            .disk
            .copy_to(&mut file, ended.written)
            .map_err(naming::io_error("copy the removed recording to", &path))?;
        tracing::warn!(path = %path.display(), "the recording was removed while it was written; it is here again");
        (self.names.part, self.names.target) = (path, target);
        Ok(())
    }

    fn check_open(&self) -> Result<(), WriteError> {
        if !self.status.has_failed() && !self.status.is_full() {
            return Ok(());
        }
        Err(WriteError::Failed { reason: self.status.failure().unwrap_or_else(|| "the disk failed".into()) })
    }

    fn is_full(&self, more_bytes: u64) -> bool {
        let bytes = self.status.pending_bytes().saturating_add(more_bytes);
        bytes > self.options.max_pending_bytes as u64 || self.container.open_bytes() > MAX_CHUNK_BYTES
    }

    fn ledger_of(&self, stream: usize) -> Result<&StreamLedger, WriteError> {
        let count = self.ledgers.len();
        self.ledgers.get(stream).ok_or(WriteError::NoSuchStream { stream, count })
    }

    fn write_json(&mut self, topic: u16, value: &impl Serialize, timestamp_ns: u64) -> Result<(), WriteError> {
        self.scratch.clear();
        serde_json::to_writer(&mut self.scratch, value)?;
        self.add_scratch(topic, self.anchor.unix_ns_at(timestamp_ns))
    }

    fn add_scratch(&mut self, topic: u16, time_ns: u64) -> Result<(), WriteError> {
        let before = self.container.open_bytes() as u64;
        self.container.add_message(topic, time_ns, &self.scratch)?;
        self.status.note_open_bytes(before, self.container.open_bytes() as u64);
        Ok(())
    }

    fn send_chunk(&mut self) -> Result<(), WriteError> {
        for stream in 0..self.runs.len() {
            self.write_run(stream)?;
        }
        let Some(committer) = &self.committer else {
            return Ok(());
        };
        let open_bytes = self.container.open_bytes() as u64;
        if open_bytes == 0 {
            return Ok(());
        }
        let bytes = self.container.take_chunk(committer.empty_buffer())?;
        committer.send(Commit { bytes, totals: self.totals(), is_urgent: self.is_urgent });
        // After sending, so that the bytes are counted as waiting all the time.
        self.status.note_open_bytes(open_bytes, 0);
        self.is_urgent = false;
        self.oldest_open_ns = None;
        self.last_commit_ns = self.last_tick_ns;
        Ok(())
    }

    fn totals(&self) -> Totals {
        Totals { ledgers: self.ledgers.clone(), messages: self.container.messages().to_vec(), until_ns: self.until_ns }
    }
}

impl Drop for RecordingWriter {
    /// Hands over what is open and waits until it is saved; the file keeps its `.part` name.
    fn drop(&mut self) {
        if self.committer.is_some()
            && !self.status.has_failed()
            && let Err(error) = self.send_chunk()
        {
            tracing::error!(%error, path = %self.names.part.display(), "the last chunk of a recording is lost");
        }
        self.committer = None;
    }
}

fn out_of_order(ledger: &StreamLedger, got: u64) -> WriteError {
    WriteError::OutOfOrder { stream: ledger.stream.clone(), expected: ledger.next_index, got }
}

fn parsed_or_text(pipeline_json: &str) -> Value {
    serde_json::from_str(pipeline_json).unwrap_or_else(|_| Value::from(pipeline_json))
}
