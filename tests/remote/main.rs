//! The remote port from outside: real sockets, a real WebSocket client, a real pipeline behind it.
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod crowd;
mod data;
mod doors;
mod edits;
mod held;
mod http;
mod program;
mod protocol;
mod published;
mod rig;
