//! Files of samples behind one door: Wavedeck's recordings and those of other programs.
mod error;
mod native;
mod source;

pub use error::SourceError;
pub use source::{About, Annotation, Blocks, MissingRun, Source, SourceStream, open};
