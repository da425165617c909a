//! `info`: what is in a recording, or a file of another program.
use wavedeck_formats::{SourceError, SourceReport, open};
use wavedeck_recording::{ReadError, Recording, RecordingInfo};

use crate::{
    cli::InfoArgs,
    exit::{Exit, Failure},
};

/// `info`
pub(super) fn info(args: &InfoArgs) -> Result<Exit, Failure> {
    let explained = |error: ReadError| super::explained(&error, error.hint());
    match Recording::open(&args.recording) {
        Err(ReadError::NotMcap { .. }) => of_another_program(args),
        recording => {
            let info = recording.and_then(|recording| RecordingInfo::of(&recording)).map_err(explained)?;
            if args.json {
                super::print_json(&info)?
            } else {
                super::print(&format!("{info}\n"))?
            }
            Ok(Exit::Ok)
        }
    }
}

fn of_another_program(args: &InfoArgs) -> Result<Exit, Failure> {
    let explained = |error: SourceError| super::explained(&error, error.hint());
    let source = open(&args.recording).map_err(explained)?;
    let report = SourceReport::of(&*source).map_err(explained)?;
    if args.json {
        super::print_json(&report)?
    } else {
        super::print(&format!("{report}\n"))?
    }
    Ok(Exit::Ok)
}
