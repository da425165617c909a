//! What each subcommand does.
mod attach;
mod describe;
mod devices;
mod export;
mod progress;
mod recordings;
mod repair;
mod run;
mod verify;

use std::io::{ErrorKind, Write};

use anyhow::Context;

use crate::{
    cli::{Cli, Command, EmulateArgs, EmulatedDevice, RunOptions},
    emulate::{self, EmulateOptions},
    exit::{Exit, Failure},
    signals::Signals,
};

/// Carries out a command line.
///
/// # Errors
/// Why the program ends early, with its exit code.
pub fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        None => run::demo(&RunOptions::default()),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Replay(args)) => run::replay(&args),
        Some(Command::Check(args)) => describe::check(&args),
        Some(Command::Stages(args)) => describe::stages(&args),
        Some(Command::Devices(args)) => devices::list(&args),
        Some(Command::Info(args)) => recordings::info(&args),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Repair(args)) => repair::repair(&args),
        Some(Command::Verify(args)) => verify::verify(&args),
        Some(Command::Emulate(args)) => play(&args),
        Some(Command::Sessions(args)) => attach::list(&args),
        Some(Command::Attach(args)) => attach::attach(&args),
        Some(Command::Stop(args)) => attach::stop(&args),
    }
}

fn play(args: &EmulateArgs) -> Result<Exit, Failure> {
    let EmulatedDevice::Cyton(args) = &args.device;
    let signals = Signals::watch().context("signals cannot be watched")?;
    let options = EmulateOptions {
        daisy: args.daisy,
        gaps: args.gap_at.clone(),
        seconds: args.seconds,
        truth: args.truth.clone(),
        ..EmulateOptions::new(&args.link)
    };
    emulate::run(&options, signals.stop_flag())?;
    Ok(Exit::Ok)
}

/// Prints text. A reader that went away is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("standard output").into())
        }
        _ => Ok(()),
    }
}

/// Prints JSON, indented.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).context("JSON")?;
    print(&format!("{text}\n"))
}

/// The error, its causes and what a person can do about it.
fn explained(error: &dyn std::error::Error, hint: Option<&str>) -> Failure {
    anyhow::anyhow!(wavedeck_recording::with_hint(error, hint)).into()
}
