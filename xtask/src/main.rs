//! Developer tasks: `cargo xtask ci | test | lint | loom | miri | new-stage NAME`.
mod new_stage;

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};

const HELP: &str = "\
cargo xtask TASK

  ci              everything below but new-stage, in the order in which it fails soonest
  test            cargo test --workspace
  lint            format, clippy and documentation, warnings are errors
  loom            every interleaving of the lock-free models in crates/api
  miri            undefined behaviour in the pool, the links and the bell (nightly)
  new-stage NAME  a new stage in stages/NAME.rs, registered and tested";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => test().and_then(|()| lint()).and_then(|()| loom()).and_then(|()| miri()),
        ["test"] => test(),
        ["lint"] => lint(),
        ["loom"] => loom(),
        ["miri"] => miri(),
        ["new-stage", name] => new_stage::create(name),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> anyhow::Result<()> {
    run("cargo test --workspace", &[])
}

fn lint() -> anyhow::Result<()> {
    run("cargo fmt --all --check", &[])?;
    run("cargo clippy --workspace --all-targets -- -D warnings", &[])?;
    run("cargo doc --workspace --no-deps --document-private-items", &[("RUSTDOCFLAGS", "-D warnings")])
}

fn loom() -> anyhow::Result<()> {
    // The flag changes every crate, so the build has a folder of its own.
    let settings =
        [("RUSTFLAGS", "--cfg wavedeck_loom"), ("CARGO_TARGET_DIR", "target/loom"), ("LOOM_MAX_PREEMPTIONS", "3")];
    run("cargo test --release -p wavedeck-api --lib models", &settings)
}

fn miri() -> anyhow::Result<()> {
    let settings = [("MIRIFLAGS", "-Zmiri-strict-provenance"), ("CARGO_TARGET_DIR", "target/miri")];
    for part in ["pool::", "link::"] {
        run(&format!("cargo +nightly miri test -p wavedeck-api --lib {part}"), &settings)?;
    }
    Ok(())
}

fn run(line: &str, settings: &[(&str, &str)]) -> anyhow::Result<()> {
    eprintln!("$ {line}");
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().context("a command")?);
    // A cargo that runs xtask sets its own toolchain, which `+nightly` must be able to replace.
    command.args(words).envs(settings.iter().copied()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    let status = command.status().with_context(|| format!("`{line}` cannot be started"))?;
    if !status.success() {
        bail!("`{line}` failed");
    }
    Ok(())
}
