//! What a Wavedeck stage is written against: signals, packets, pools, links, ports, parameters.
//!
//! A stage is one file: a parameter table, a `build` function that takes typed ports, a `process` function that
//! handles one packet, and an `inventory::submit!` that registers it. `stages/gain.rs` is the one to copy.
//!
//! This crate knows nothing of the runtime: a stage that cannot name it cannot misuse it. The only `unsafe` is in
//! [`pool`].
pub mod bell;
pub mod build;
pub mod clock;
pub mod count;
mod free_list;
pub mod handle;
pub mod link;
pub mod names;
pub mod packet;
pub mod param;
pub mod pool;
pub mod port;
pub mod publication;
mod queue;
pub mod signal;
pub mod stage;
mod sync;
pub mod tap;
pub mod testing;

pub use inventory;

/// What most stages need.
pub mod prelude {
    pub use crate::{
        build::{BuildContext, BuildError},
        link::Recv,
        packet::{Flags, PacketHeader},
        param::{ParamSpec, ParamValue},
        pool::{Packet, Shared},
        port::{AnyInput, AnyPacket, Input, Loss, Output},
        signal::{ChannelSpec, Counts, Physical, Rate, Signal, SignalKind, Spectrum, SpectrumSpec, StreamSpec},
        stage::{Flow, Level, PortSpec, Stage, StageContext, StageDescriptor, StageError},
    };
}
