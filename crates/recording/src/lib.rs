//! Recordings: written so that what is called saved survives, read back sample for sample.
mod batches;
mod chunk;
mod codec;
mod commit;
mod container;
mod error;
mod fault;
mod gap;
mod index;
mod info;
mod layout;
mod ledger;
mod naming;
mod options;
mod proto;
mod reader;
mod recount;
mod repair;
mod schema;
mod seek;
mod spare;
mod stamp;
mod stored;
mod survey;
mod tail;
mod verify;
mod writer;

pub use batches::{Batches, DecodedBatch, Samples};
pub use commit::CommitStatus;
pub use error::{ReadError, WriteError, with_causes, with_hint};
pub use fault::{Fault, Faults};
pub use gap::{Gap, GapReason, GapTracker};
pub use info::{EditReport, GapReport, MarkerReport, RecordingInfo, StreamReport};
pub use ledger::{Ledger, StreamLedger};
pub use naming::{free_bytes, rename_to_free};
pub use options::{Edit, Event, Finished, RecordingOptions, StreamInfo};
pub use reader::Recording;
pub use repair::{DamagedPart, Outcome, RepairError, RepairNote, RepairOptions, Repaired, has_end_mark, repair};
pub use stamp::LocalTime;
pub use stored::{Codec, StoredEdit, StoredEvent, StoredGap, StoredStream};
pub use verify::{VerifyReport, verify, verify_with};
pub use writer::RecordingWriter;

/// Version of the layout of topics, metadata and payloads; a reader refuses a newer one.
pub const FORMAT_VERSION: u32 = 1;
