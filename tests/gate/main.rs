//! The lock and the gate from the side of its clients: `Session` and the short JSON form, with real stages and files.
#[path = "../common/mod.rs"]
mod common;
mod form;
mod landing;
mod lock;
mod race;
mod rig;
