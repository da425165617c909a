//! `info`: what is in a recording.
use wavedeck_recording::{ReadError, Recording, RecordingInfo};

use crate::{
    cli::InfoArgs,
    exit::{Exit, Failure},
};

/// `info`
pub(super) fn info(args: &InfoArgs) -> Result<Exit, Failure> {
    let explained = |error: ReadError| super::explained(&error, error.hint());
    let info =
        Recording::open(&args.recording).and_then(|recording| RecordingInfo::of(&recording)).map_err(explained)?;
    if args.json {
        super::print_json(&info)?
    } else {
        super::print(&format!("{info}\n"))?
    }
    Ok(Exit::Ok)
}
