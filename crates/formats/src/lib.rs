//! Files of samples behind one door, and the way out of them into the formats of other programs.
mod error;
mod export;
mod native;
mod read;
mod report;
mod source;
mod write;

pub use error::SourceError;
pub use export::{
    ExportError, ExportOptions, ExportSummary, Extent, Frames, Gap, Header, Mark, Notes, OnProgress, Progress, Sink,
    Survey, Values, export, export_csv, export_file,
};
pub use report::{GapSummary, MarkSummary, SourceReport, StreamSummary};
pub use source::{About, Annotation, Blocks, MissingRun, Source, SourceStream, open};
pub use write::Format;
