//! What a session holds of recorders and replays while they run: requests in, status out.
use std::{
    cell::Cell,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use serde::{Deserialize, Serialize};

use crate::bell::Bell;

/// State of a recording, beside the state of the pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// Nothing is recorded.
    #[default]
    Idle,
    /// Every sample that arrives is written.
    Recording,
    /// The file is open, samples are let go and the pause is marked.
    Paused,
    /// The file is being closed.
    Finishing,
    /// The file cannot be written any more; what was saved is kept.
    Failed,
}

/// What goes into the file about the session that records.
#[derive(Clone, Debug, Default)]
pub struct SessionInfo {
    /// Name of the pipeline; part of the file name.
    pub name: String,
    /// The pipeline as it runs, as JSON text.
    pub pipeline_json: String,
    /// Version of the program.
    pub app_version: String,
    /// File name without its ending; empty for one made from the local time.
    pub file_name: String,
}

/// A parameter change for the edit journal.
#[derive(Clone, Debug)]
pub struct ParamChange {
    /// `stage.key`.
    pub path: String,
    /// Value before.
    pub old: serde_json::Value,
    /// Value asked for.
    pub new: serde_json::Value,
    /// First sample that the new value applies to, in the stream of the stage.
    pub at_sample: u64,
    /// True if it was applied, false if it was refused.
    pub applied: bool,
    /// Who asked, such as `screen`.
    pub by: String,
    /// Monotonic time of the request.
    pub timestamp_ns: u64,
}

/// Asked of a recorder.
#[derive(Clone, Debug)]
pub enum RecordCommand {
    /// Opens a file and records.
    Start(Arc<SessionInfo>),
    /// Lets samples go until `Resume`.
    Pause,
    /// Records on in the same file.
    Resume,
    /// Closes the file.
    Finish,
    /// Puts a marker at the newest sample.
    Marker {
        /// What it says.
        label: String,
        /// Who set it.
        source: String,
        /// Monotonic time of the request.
        timestamp_ns: u64,
    },
    /// Writes a change into the edit journal.
    Param(ParamChange),
    /// Says that a person has seen what went wrong: the error of the status goes.
    Acknowledge,
}

/// Most names of closed files that are kept.
pub const MOST_CLOSED: usize = 1000;

/// What is known of a recording.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RecorderStatus {
    /// State of this recorder.
    pub state: RecordingState,
    /// File being written, or the last one that was finished.
    pub path: Option<PathBuf>,
    /// Monotonic time of the start.
    pub started_ns: u64,
    /// Seconds of signal in the file, pauses not counted.
    pub recorded_s: f64,
    /// Samples in the file, over all streams.
    pub recorded_samples: u64,
    /// Samples missing in the file between its first and last, pauses not counted.
    pub lost_samples: u64,
    /// Gaps in the file.
    pub gaps: u64,
    /// Markers in the file.
    pub markers: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Bytes that are safe on disk.
    pub saved_bytes: u64,
    /// Duration of the last and the worst sync to disk, in ms.
    pub last_sync_ms: f64,
    /// Worst sync to disk so far, in ms.
    pub worst_sync_ms: f64,
    /// Per stream: name and samples in the file.
    pub streams: Vec<(String, u64)>,
    /// Files of the recording so far.
    pub files: u32,
    /// Files that were closed since the pipeline started, the last [`MOST_CLOSED`] of them; also behind a full disk.
    #[serde(skip)]
    pub closed: Arc<Vec<PathBuf>>,
    /// Seconds before the start that are in the file.
    pub preroll_s: f64,
    /// What went wrong with the recording; stays until it is acknowledged or another one is started.
    pub error: Option<String>,
    /// Folder that recordings go to.
    pub dir: PathBuf,
}

/// Moves of a replay. Seconds count from the first sample of the recording, whichever stream has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportCommand {
    /// Goes on.
    Play,
    /// Stands still.
    Pause,
    /// To this moment.
    Seek(f64),
    /// To this moment, with what was before it: `before_s` seconds are sent in passing, in a fraction of a second.
    Show {
        /// The moment.
        at_s: f64,
        /// Seconds before it.
        before_s: f64,
    },
    /// Stands still so many frames further on, or back.
    Step(i64),
    /// Stands still so many packets further on, or back.
    StepPackets(i32),
    /// Plays from the first moment to the second one again and again; `None` plays on to the end.
    Loop(Option<(f64, f64)>),
    /// Times real time; 0 is as fast as possible.
    Speed(f64),
}

/// What is known of a replay. Seconds count from the first sample of the recording, whichever stream has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TransportStatus {
    /// The file.
    pub path: PathBuf,
    /// The stream of it that is played.
    pub stream: String,
    /// Seconds from the first sample to the next one to be sent.
    pub position_s: f64,
    /// Index of the next sample to be sent.
    pub sample: u64,
    /// Seconds from the first to the last sample.
    pub duration_s: f64,
    /// Times real time; 0 is as fast as possible.
    pub speed: f64,
    /// False while standing still.
    pub playing: bool,
    /// The last sample has been played.
    pub ended: bool,
    /// Where it begins again, and from where.
    pub loop_s: Option<(f64, f64)>,
    /// Seconds and label of each marker.
    pub markers: Arc<[(f64, String)]>,
    /// Seconds at which samples are missing, and how many seconds of them.
    pub gaps: Arc<[(f64, f64)]>,
}

/// What a stream came to, so that two runs can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamHash {
    /// Name of the stream.
    pub stream: String,
    /// Hash of all values and of the places where runs of them begin, in hexadecimal digits.
    pub hash: String,
    /// Samples of the stream; one of several channels counts once per channel.
    pub samples: u64,
    /// Runs without a gap.
    pub runs: u64,
}

/// Where a stage leaves the hashes of its streams when it ends.
#[derive(Clone, Debug, Default)]
pub struct Hashes(Arc<Mutex<Vec<StreamHash>>>);

impl Hashes {
    /// Leaves them.
    pub fn set(&self, hashes: Vec<StreamHash>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = hashes;
    }

    /// What was left so far.
    pub fn get(&self) -> Vec<StreamHash> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A recorder accepts no more requests: too many wait, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stage does not take requests: it has ended or is held up")]
pub struct NotTaken;

/// Requests to a stage and its status, for the session; the stage holds the other end.
pub struct Handle<C, T> {
    commands: Sender<C>,
    status: Arc<Mutex<T>>,
    bell: Bell,
    posted: AtomicU64,
    /// Requests that the stage has carried out; `u64::MAX` when it is gone.
    obeyed: Arc<AtomicU64>,
}

/// The stage's end of a [`Handle`].
pub struct HandleSeat<C, T> {
    commands: Receiver<C>,
    status: Arc<Mutex<T>>,
    taken: Cell<u64>,
    obeyed: Arc<AtomicU64>,
}

/// A recorder as the session sees it.
pub type RecorderHandle = Handle<RecordCommand, RecorderStatus>;
/// A recorder's own end.
pub type RecorderSeat = HandleSeat<RecordCommand, RecorderStatus>;
/// A replay as the session sees it.
pub type TransportHandle = Handle<TransportCommand, TransportStatus>;
/// A replay's own end.
pub type TransportSeat = HandleSeat<TransportCommand, TransportStatus>;

/// Requests that may wait for a stage.
pub const MAX_WAITING: u64 = 64;

/// Makes both ends; `bell` wakes the stage's worker.
pub fn handle<C, T: Default + Clone>(bell: Bell, first: T) -> (Handle<C, T>, HandleSeat<C, T>) {
    let (sender, receiver) = bounded(MAX_WAITING as usize);
    let status = Arc::new(Mutex::new(first));
    let obeyed = Arc::new(AtomicU64::new(0));
    let seat = HandleSeat { commands: receiver, status: status.clone(), taken: Cell::new(0), obeyed: obeyed.clone() };
    (Handle { commands: sender, status, bell, posted: AtomicU64::new(0), obeyed }, seat)
}

impl<C, T: Default + Clone> Handle<C, T> {
    /// Posts a request. Never waits.
    ///
    /// # Errors
    /// [`NotTaken`] when the stage has ended or does not keep up.
    pub fn request(&self, command: C) -> Result<(), NotTaken> {
        // Before the request is there, so that it is never taken for carried out too early.
        self.posted.fetch_add(1, Ordering::Relaxed);
        match self.commands.try_send(command) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.posted.fetch_sub(1, Ordering::Relaxed);
                Err(NotTaken)
            }
        }
    }

    /// True if every request of the calling thread has been carried out, or nobody is left to do it. The status read
    /// after this shows what has come of them.
    pub fn is_settled(&self) -> bool {
        // Acquire, pairs with the Release in `next_request`.
        self.obeyed.load(Ordering::Acquire) >= self.posted.load(Ordering::Relaxed)
    }

    /// How many requests wait for the stage or are being carried out; 0 if nobody is left to do it.
    pub fn waiting(&self) -> u64 {
        self.posted.load(Ordering::Relaxed).saturating_sub(self.obeyed.load(Ordering::Relaxed))
    }

    /// What the stage last published.
    pub fn status(&self) -> T {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RecorderHandle {
    /// For runtimes: the stage was disabled, so nothing will be recorded any more.
    pub fn fail(&self, why: &str) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.state = RecordingState::Failed;
        status.error.get_or_insert_with(|| why.to_owned());
    }
}

impl<C, T> HandleSeat<C, T> {
    /// The next request, if any. Never waits. To ask says that the one before has been carried out.
    pub fn next_request(&self) -> Option<C> {
        // Release, pairs with `is_settled`: what was published of the last request is seen with it.
        self.obeyed.store(self.taken.get(), Ordering::Release);
        let command = self.commands.try_recv().ok()?;
        self.taken.set(self.taken.get() + 1);
        Some(command)
    }

    /// Changes the published status. Takes a short lock: for sinks and transports, at most some ten times a second.
    pub fn publish(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<C, T> Drop for HandleSeat<C, T> {
    fn drop(&mut self) {
        self.obeyed.store(u64::MAX, Ordering::Release);
    }
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_settled_when_the_stage_asks_for_the_next_one() {
        let (ours, seat) = handle::<u32, u32>(Bell::new(), 0);
        assert!(ours.is_settled());
        ours.request(7).expect("there is room");
        assert!(!ours.is_settled());
        assert_eq!(seat.next_request(), Some(7));
        assert!(!ours.is_settled() && ours.waiting() == 1, "it is being carried out");
        assert_eq!(seat.next_request(), None);
        assert!(ours.is_settled() && ours.waiting() == 0);
    }

    #[test]
    fn nothing_is_waited_for_when_the_stage_is_gone() {
        let (ours, seat) = handle::<u32, u32>(Bell::new(), 0);
        ours.request(7).expect("there is room");
        drop(seat);
        assert!(ours.is_settled());
        assert_eq!(ours.request(8), Err(NotTaken));
        assert!(ours.is_settled() && ours.waiting() == 0);
    }
}
