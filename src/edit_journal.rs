//! Writes edits, applied and refused, into the journal of the recording that is open or comes next.
use std::{
    thread,
    time::{Duration, Instant},
};

use wavedeck_api::handle::{MAX_WAITING, ParamChange, RecordCommand, RecorderHandle, RecordingState};
use wavedeck_plane::Runtime;

/// How often a recorder that has no room is asked again.
const AGAIN: Duration = Duration::from_millis(1);
/// Requests that may wait for a recorder when an edit joins them. The rest of the room is for whoever wants to pause or
/// finish the recording while others ask for edits without end.
const MOST_WAITING: u64 = MAX_WAITING / 2;

/// An edit is missing in the journal of a recording.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: this edit could not be written into the recording's journal: the recorder is held up")]
pub(crate) struct NotWritten {
    path: String,
}

/// Passes an edit to every recorder; one without a file keeps it for a while, since a recording begins with what was
/// before it. One that has no room is waited for.
pub(crate) fn write_down(runtime: &Runtime, change: &ParamChange, until: Instant) -> Result<(), NotWritten> {
    // Each is asked, also behind one that does not take it.
    let missing = runtime.recorders().filter(|recorder| !is_handed_over(recorder, change, until)).count();
    if missing == 0 { Ok(()) } else { Err(NotWritten { path: change.path.clone() }) }
}

fn is_handed_over(recorder: &RecorderHandle, change: &ParamChange, until: Instant) -> bool {
    loop {
        if recorder.waiting() < MOST_WAITING && recorder.request(RecordCommand::Param(change.clone())).is_ok() {
            return true;
        }
        // Without a file there is no journal, and one that has ended will not open a file any more.
        let has_none = matches!(recorder.status().state, RecordingState::Idle | RecordingState::Failed);
        if has_none && recorder.is_settled() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(AGAIN);
    }
}
