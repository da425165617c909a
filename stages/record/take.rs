//! A recording from its start to its finish: one file, or several that follow each other without a hole.
use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;
use wavedeck_api::clock::{self, Anchor};
use wavedeck_recording::{
    CommitStatus, Finished, GapReason, RecordingOptions, RecordingWriter, StreamInfo, WriteError,
};

use super::{
    disk_watch::{DiskWatch, Limits},
    file::{InFile, OpenFile},
};

/// After a disk that fails again and again no more files are begun.
const MOST_FAILURES: u32 = 5;

/// When a file is closed and the next one begun; 0 for never.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentLimits {
    pub(super) duration: Duration,
    pub(super) bytes: u64,
}

impl SegmentLimits {
    fn is_set(&self) -> bool {
        !self.duration.is_zero() || self.bytes > 0
    }
}

/// A recording that runs.
pub(super) struct Take {
    /// Of the file that comes next.
    options: RecordingOptions,
    streams: Vec<StreamInfo>,
    /// Where both clocks stood at the start: times go on from file to file though the wall clock may have been set.
    anchor: Anchor,
    limits: SegmentLimits,
    pub(super) file: OpenFile,
    pub(super) disk: DiskWatch,
    began: Instant,
    /// Sums over the files before.
    past: Sums,
    /// Of the files that are being closed, which waits for the disk.
    closing: Vec<Closing>,
    failures: u32,
}

struct Closing {
    thread: JoinHandle<Result<Finished, WriteError>>,
    status: Arc<CommitStatus>,
}

/// Sums over files.
#[derive(Clone, Default)]
pub(super) struct Sums {
    /// Frames of each stream.
    pub(super) recorded: Vec<u64>,
    pub(super) gaps: u64,
    pub(super) markers: u64,
    pub(super) lost: u64,
    pub(super) written_bytes: u64,
    pub(super) saved_bytes: u64,
}

impl Take {
    pub(super) fn begin(
        mut options: RecordingOptions,
        streams: &[StreamInfo],
        anchor: Anchor,
        segments: SegmentLimits,
        disk: Limits,
    ) -> Result<Self, WriteError> {
        options.segment = u32::from(segments.is_set());
        let writer = RecordingWriter::create(options.clone(), streams.to_vec(), anchor)?;
        // The other files are named after the first, whatever the time is then.
        options.name = Some(writer.stem().to_owned());
        let now = Instant::now();
        Ok(Self {
            options,
            streams: streams.to_vec(),
            anchor,
            limits: segments,
            file: OpenFile::new(writer, vec![InFile::default(); streams.len()]),
            disk: DiskWatch::new(disk, now),
            began: now,
            past: Sums { recorded: vec![0; streams.len()], ..Sums::default() },
            closing: Vec::new(),
            failures: 0,
        })
    }

    /// Keeps the pipeline that the next file begins with up to date.
    pub(super) fn note_edit(&mut self, path: &str, value: &Value) {
        let Some((stage, key)) = path.split_once('.') else { return };
        let Ok(mut pipeline) = serde_json::from_str::<Value>(&self.options.pipeline_json) else { return };
        let stages = pipeline.get_mut("stages").and_then(Value::as_array_mut);
        let found = stages.and_then(|stages| stages.iter_mut().find(|of| of.get("id").is_some_and(|id| id == stage)));
        let Some(found) = found else { return };
        found["params"][key] = value.clone();
        self.options.pipeline_json = pipeline.to_string();
    }

    /// True if it is time for the next file.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let SegmentLimits { duration, bytes } = self.limits;
        (!duration.is_zero() && now - self.began >= duration)
            || (bytes > 0 && self.file.status.accepted_bytes() >= bytes)
    }

    /// Begins the next file; the old one is closed by a thread of its own.
    pub(super) fn rotate(&mut self) -> Result<(), WriteError> {
        let old = self.file.streams.clone();
        let previous = self.replace_file(old)?;
        let (status, path) = (previous.status.clone(), previous.writer.path().to_owned());
        let thread = thread::Builder::new().name("close".into()).spawn(move || previous.writer.finish());
        // Without a thread the writer is gone, but what it had taken is saved under its `.part` name.
        let thread = thread.map_err(|source| WriteError::Io { action: "start a thread to close", path, source })?;
        self.closing.push(Closing { thread, status });
        Ok(())
    }

    /// Goes on in another file after the disk has failed; the old one. What it lacks is a gap in the new one.
    pub(super) fn go_on_after_failure(&mut self, error: WriteError) -> Result<Finished, WriteError> {
        self.failures += 1;
        if self.failures > MOST_FAILURES {
            return Err(error);
        }
        let streams = self.file.streams.iter().map(|stream| InFile { excuse: Some(GapReason::Disk), ..*stream });
        let previous = self.replace_file(streams.collect())?;
        let counted: Vec<u64> = (0..self.streams.len()).map(|stream| previous.writer.recorded(stream)).collect();
        // Behind its last whole chunk; that waits for nothing, since the disk is not asked again.
        let finished = previous.writer.finish()?;
        for (index, account) in finished.ledger.streams.iter().enumerate() {
            self.file.streams[index].next = account.first_index.map(|_| account.next_index);
            self.past.recorded[index] -= counted[index].saturating_sub(account.recorded);
        }
        Ok(finished)
    }

    /// Puts a new file in the place of the one that is open, which is returned and counted as past.
    fn replace_file(&mut self, streams: Vec<InFile>) -> Result<OpenFile, WriteError> {
        let previous =
            self.file.writer.path().with_extension("").file_name().map(|name| name.to_string_lossy().into_owned());
        let mut options = self.options.clone();
        options.segment = self.options.segment.max(1) + 1;
        options.about.push(("previous", previous.unwrap_or_default()));
        let monotonic_ns = clock::now_ns();
        let now = Anchor { monotonic_ns, unix_ns: self.anchor.unix_ns_at(monotonic_ns) };
        let writer = RecordingWriter::create(options, self.streams.clone(), now)?;
        self.options.segment = self.options.segment.max(1) + 1;
        self.began = Instant::now();
        let previous = std::mem::replace(&mut self.file, OpenFile::new(writer, streams));
        add(&mut self.past, &previous);
        // What is not saved yet is told apart while the file is being closed.
        self.past.saved_bytes = self.past.written_bytes;
        Ok(previous)
    }

    /// Files that were closed since the last call, and errors.
    pub(super) fn closed(&mut self) -> Vec<Result<Finished, WriteError>> {
        let mut ended = Vec::new();
        let mut index = 0;
        while index < self.closing.len() {
            if self.closing[index].thread.is_finished() {
                ended.extend(self.closing.swap_remove(index).thread.join());
            } else {
                index += 1;
            }
        }
        ended
    }

    /// Closes all files; the last one is the last of the list.
    pub(super) fn finish(self) -> Vec<Result<Finished, WriteError>> {
        let last = self.file.writer.finish();
        let closing = self.closing.into_iter().filter_map(|closing| closing.thread.join().ok());
        closing.chain([last]).collect()
    }

    /// Sums over all files of the recording.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = self.past.clone();
        add(&mut sums, &self.file);
        for closing in &self.closing {
            let unsaved = closing.status.written_bytes().saturating_sub(closing.status.saved_bytes());
            sums.saved_bytes = sums.saved_bytes.saturating_sub(unsaved);
        }
        sums
    }
}

fn add(sums: &mut Sums, file: &OpenFile) {
    for (stream, sum) in sums.recorded.iter_mut().enumerate() {
        *sum += file.writer.recorded(stream);
    }
    sums.gaps += file.gaps;
    sums.markers += file.markers;
    sums.lost += file.lost;
    sums.written_bytes += file.status.written_bytes();
    sums.saved_bytes += file.status.saved_bytes();
}
