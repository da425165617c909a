//! The thread that puts finished chunks on the disk and says what is saved.
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use wavedeck_api::clock;

use crate::{ledger::StreamLedger, spare::Spare};

/// Forced writes asked for by events, edits and gaps are this far apart or more.
pub(crate) const URGENT_INTERVAL: Duration = Duration::from_millis(100);
/// Chunks that may wait, whatever their size; the byte limit is the one that counts.
const QUEUE: usize = 1024;

/// What has become of a recording's bytes; readable from any thread while the recording runs.
///
/// Each figure is right at some moment during the call; they are not taken together.
#[derive(Debug, Default)]
pub struct CommitStatus {
    accepted_bytes: AtomicU64,
    written_bytes: AtomicU64,
    saved_bytes: AtomicU64,
    pending_bytes: AtomicU64,
    saved_samples: Vec<AtomicU64>,
    saved_until_ns: AtomicU64,
    last_sync_ns: AtomicU64,
    worst_sync_ns: AtomicU64,
    syncs: AtomicU64,
    /// Room on the disk when it last confirmed; `u64::MAX` while unknown.
    free_bytes: AtomicU64,
    failed: AtomicBool,
    full: AtomicBool,
    gone: AtomicBool,
    reason: Mutex<Option<String>>,
}

// Relaxed but for `failed`: every figure stands for itself, and no data is read on the strength of one.
impl CommitStatus {
    pub(crate) fn new(streams: usize) -> Self {
        let saved_samples = (0..streams).map(|_| AtomicU64::new(0)).collect();
        Self { saved_samples, free_bytes: AtomicU64::new(u64::MAX), ..Self::default() }
    }

    /// Bytes of finished chunks.
    pub fn accepted_bytes(&self) -> u64 {
        self.accepted_bytes.load(Relaxed)
    }

    /// Bytes given to the operating system: they survive a crash of the program.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Relaxed)
    }

    /// Bytes the disk has confirmed: they survive a power cut.
    pub fn saved_bytes(&self) -> u64 {
        self.saved_bytes.load(Relaxed)
    }

    /// Bytes that wait for the disk, those of the open chunk and of packets not yet in it included.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes.load(Relaxed)
    }

    /// Frames of a stream that the disk has confirmed; 0 for a stream that does not exist.
    pub fn saved_samples(&self, stream: usize) -> u64 {
        self.saved_samples.get(stream).map_or(0, |samples| samples.load(Relaxed))
    }

    /// Monotonic time of the newest sample that the disk has confirmed; 0 before any.
    pub fn saved_until_ns(&self) -> u64 {
        self.saved_until_ns.load(Relaxed)
    }

    /// How long the disk took to confirm the last time.
    pub fn last_sync_ns(&self) -> u64 {
        self.last_sync_ns.load(Relaxed)
    }

    /// How long the disk took to confirm at worst.
    pub fn worst_sync_ns(&self) -> u64 {
        self.worst_sync_ns.load(Relaxed)
    }

    /// How often the disk has confirmed.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Relaxed)
    }

    /// Bytes that can still be written, as of the last time the disk has confirmed; `None` if it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        Some(self.free_bytes.load(Relaxed)).filter(|bytes| *bytes != u64::MAX)
    }

    /// True once the disk has failed; nothing is written from then on.
    pub fn has_failed(&self) -> bool {
        // Acquire pairs with the Release in `fail`: who sees the flag sees the reason.
        self.failed.load(Acquire)
    }

    /// True once the disk is full: nothing more is taken, but all that was taken is still written.
    pub fn is_full(&self) -> bool {
        // Acquire pairs with the Release in `fill`: who sees the flag sees the reason.
        self.full.load(Acquire)
    }

    /// True once somebody has removed the file: it has no name any more, and would be gone with this program.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Why nothing more is recorded; `None` while something is.
    pub fn failure(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_open_bytes(&self, before: u64, now: u64) {
        self.pending_bytes.fetch_add(now, Relaxed);
        self.pending_bytes.fetch_sub(before, Relaxed);
    }

    fn fail(&self, reason: String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.failed.store(true, Release);
    }

    fn fill(&self, reason: String) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
        self.full.store(true, Release);
    }
}

/// The file a recording goes to, as far as committing needs it.
pub(crate) trait Disk: Send {
    /// Writes `bytes` after all that is there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once all that was written survives a power cut.
    fn sync(&mut self) -> io::Result<()>;
    /// Drops all but the first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// What the file system says of the file and the room it has; `None` if it says nothing.
    fn look(&self) -> Option<Look> {
        None
    }
    /// Copies the first `length` bytes into another file.
    fn copy_to(&mut self, other: &mut File, length: u64) -> io::Result<()>;
}

/// What the file system says of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Bytes that can still be written.
    pub(crate) free_bytes: u64,
    /// The file has no name any more.
    pub(crate) is_gone: bool,
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }

    fn look(&self) -> Option<Look> {
        let stats = rustix::fs::fstatvfs(self).ok()?;
        let is_gone = rustix::fs::fstat(self).is_ok_and(|about| about.st_nlink == 0);
        Some(Look { free_bytes: stats.f_bavail.saturating_mul(stats.f_frsize), is_gone })
    }

    fn copy_to(&mut self, other: &mut File, length: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut self.take(length), other)?;
        self.seek(SeekFrom::Start(length))?;
        if copied == length { other.sync_all() } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Where the account stands at the end of a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Account of each stream.
    pub(crate) ledgers: Vec<StreamLedger>,
    /// Messages per MCAP channel, by channel number.
    pub(crate) messages: Vec<u64>,
    /// Monotonic time after the newest sample.
    pub(crate) until_ns: u64,
}

/// A finished piece of the file.
pub(crate) struct Commit {
    pub(crate) bytes: Vec<u8>,
    pub(crate) totals: Totals,
    /// Ask the disk to confirm at once.
    pub(crate) is_urgent: bool,
}

/// What is left when the thread has ended.
pub(crate) struct Ended {
    pub(crate) disk: Box<dyn Disk>,
    /// Length of the file up to the last piece that was written whole.
    pub(crate) written: u64,
    /// The account at that place.
    pub(crate) totals: Totals,
    /// False once the disk has refused to confirm: it must not be asked again for this file.
    pub(crate) can_sync: bool,
    /// Room kept for the end of the file; given up when the disk is full.
    pub(crate) spare: Option<Spare>,
}

/// Handle of the thread. Dropping it waits until all that was sent is written.
pub(crate) struct Committer {
    outbox: Option<Sender<Commit>>,
    recycled: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<Ended>>,
    status: Arc<CommitStatus>,
}

impl Committer {
    /// Starts the thread on a disk whose first `start.written` bytes are saved.
    pub(crate) fn start(
        name: &str,
        start: Ended,
        sync_interval: Duration,
        status: Arc<CommitStatus>,
    ) -> io::Result<Self> {
        let (outbox, inbox) = channel::bounded(QUEUE);
        let (give_back, recycled) = channel::bounded(8);
        status.accepted_bytes.store(start.written, Relaxed);
        status.written_bytes.store(start.written, Relaxed);
        status.saved_bytes.store(start.written, Relaxed);
        let worker = Worker {
            state: start,
            status: Arc::clone(&status),
            sync_interval,
            last_sync: Instant::now(),
            is_dirty: false,
            is_urgent: false,
        };
        let thread =
            thread::Builder::new().name(format!("commit-{name}")).spawn(move || worker.run(&inbox, &give_back))?;
        Ok(Self { outbox: Some(outbox), recycled, thread: Some(thread), status })
    }

    /// True if a piece sent now is taken without waiting.
    pub(crate) fn has_room(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| !outbox.is_full())
    }

    /// Hands over a piece of the file; waits while the queue is full.
    pub(crate) fn send(&self, commit: Commit) {
        let bytes = commit.bytes.len() as u64;
        self.status.accepted_bytes.fetch_add(bytes, Relaxed);
        self.status.pending_bytes.fetch_add(bytes, Relaxed);
        let is_sent = self.outbox.as_ref().is_some_and(|outbox| outbox.send(commit).is_ok());
        if !is_sent {
            self.status.pending_bytes.fetch_sub(bytes, Relaxed);
            self.status.fail("the thread that writes the file has ended".into());
        }
    }

    /// An empty buffer, from a piece that is written if there is one.
    pub(crate) fn empty_buffer(&self) -> Vec<u8> {
        self.recycled.try_recv().unwrap_or_default()
    }

    /// Waits until all is written and confirmed; `None` if the thread panicked.
    pub(crate) fn end(mut self) -> Option<Ended> {
        self.outbox = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.outbox = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Worker {
    state: Ended,
    status: Arc<CommitStatus>,
    sync_interval: Duration,
    last_sync: Instant,
    /// Something was written that the disk has not confirmed.
    is_dirty: bool,
    is_urgent: bool,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Commit>, give_back: &Sender<Vec<u8>>) -> Ended {
        loop {
            let received = match self.sync_due() {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) if due <= Instant::now() => Err(RecvTimeoutError::Timeout),
                Some(due) => inbox.recv_deadline(due),
            };
            match received {
                Ok(commit) => {
                    let mut bytes = self.write(commit);
                    bytes.clear();
                    // A full return path only means that buffers are plenty.
                    drop(give_back.try_send(bytes));
                }
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.is_dirty {
            self.sync();
        }
        self.state
    }

    fn sync_due(&self) -> Option<Instant> {
        let interval = if self.is_urgent { URGENT_INTERVAL.min(self.sync_interval) } else { self.sync_interval };
        self.is_dirty.then(|| self.last_sync + interval)
    }

    fn write(&mut self, commit: Commit) -> Vec<u8> {
        let length = commit.bytes.len() as u64;
        // After a failure nothing more is written: what follows a hole could not be found again.
        if !self.status.has_failed() {
            match self.append(&commit.bytes) {
                Ok(()) => {
                    self.state.written += length;
                    self.state.totals = commit.totals;
                    self.is_dirty = true;
                    self.is_urgent |= commit.is_urgent;
                    self.status.written_bytes.store(self.state.written, Relaxed);
                }
                Err(error) => self.give_up("write to the recording", &error),
            }
        }
        self.status.pending_bytes.fetch_sub(length, Relaxed);
        commit.bytes
    }

    /// Writes a piece. On a disk that is full the spare room is given up for it: nothing more is taken from then on, but
    /// what was taken before is kept.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let error = match self.state.disk.append(bytes) {
            Err(error) if is_full(&error) => error,
            other => return other,
        };
        let Some(spare) = self.state.spare.take() else { return Err(error) };
        tracing::error!(%error, kept_bytes = self.state.written, "the disk is full");
        self.status.fill(format!("the disk is full: {error}"));
        drop(spare);
        self.state.disk.truncate(self.state.written)?;
        self.state.disk.append(bytes)
    }

    fn sync(&mut self) {
        let begin = Instant::now();
        let result = self.state.disk.sync();
        self.last_sync = Instant::now();
        // Never asked again after an error: the system may have dropped what it could not write.
        self.is_dirty = false;
        self.is_urgent = false;
        if let Err(error) = result {
            self.state.can_sync = false;
            self.give_up("save the recording", &error);
            return;
        }
        let took_ns = clock::nanoseconds(self.last_sync - begin);
        self.status.last_sync_ns.store(took_ns, Relaxed);
        self.status.worst_sync_ns.fetch_max(took_ns, Relaxed);
        self.status.saved_bytes.store(self.state.written, Relaxed);
        for (saved, ledger) in self.status.saved_samples.iter().zip(&self.state.totals.ledgers) {
            saved.store(ledger.recorded, Relaxed);
        }
        self.status.saved_until_ns.store(self.state.totals.until_ns, Relaxed);
        self.status.syncs.fetch_add(1, Relaxed);
        if let Some(look) = self.state.disk.look() {
            self.status.free_bytes.store(look.free_bytes, Relaxed);
            self.status.gone.store(look.is_gone, Relaxed);
        }
    }

    fn give_up(&mut self, action: &str, error: &io::Error) {
        tracing::error!(%error, kept_bytes = self.state.written, "cannot {action}");
        self.status.fail(format!("cannot {action}: {error}"));
        // A piece written in part must not stay behind the good ones.
        if let Err(error) = self.state.disk.truncate(self.state.written) {
            tracing::error!(%error, kept_bytes = self.state.written, "cannot cut the recording back");
        }
    }
}

/// True if there is no room, for everybody or for this user.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
