//! The readers of what other programs write, and of what this one exports.
mod clock;
mod csv;
mod edf;
mod foreign;
mod kind;
mod number;
mod runs;
mod wav;

use std::path::Path;

pub(crate) use kind::Kind;

use crate::{error::SourceError, source::Source};

/// Opens a file of another program.
pub(crate) fn open(path: &Path, kind: Kind) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(match kind {
        Kind::Edf => edf::open(path)?,
        Kind::Text => csv::open(path)?,
        Kind::Wav => wav::open(path)?,
    }))
}
