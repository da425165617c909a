//! `wavedeck`: see the library.
use std::{io::Write, process::ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    match wavedeck::run(wavedeck::cli::Cli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Standard error may be gone with its terminal.
            let _ = writeln!(std::io::stderr(), "wavedeck: {failure}");
            failure.exit.into()
        }
    }
}
