//! The workstation: command line, session, recordings, screens.
//!
//! A [`session::Session`] is the one façade over the data plane; the screens in `tui`, [`headless`] runs and
//! remote clients use it and nothing else.
pub mod attach;
pub mod cli;
mod commands;
pub mod config_file;
mod described;
pub mod disk;
mod edit_journal;
pub mod emulate;
pub mod exit;
pub mod headless;
pub mod journal;
pub mod library;
pub mod logging;
mod mending;
pub mod overview;
pub mod plain;
mod pump;
pub mod remote;
pub mod service;
pub mod session;
pub mod sessions;
pub mod short_form;
pub mod signals;
pub mod snapshot;
pub mod station;
pub mod summary;
pub mod tui;

pub use commands::run;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every stage type there is.
///
/// # Errors
/// When two have one name.
pub fn registry() -> Result<wavedeck_plane::StageRegistry, wavedeck_plane::DuplicateId> {
    wavedeck_stages::link();
    wavedeck_plane::StageRegistry::linked()
}
