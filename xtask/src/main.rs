//! Developer tasks: `cargo xtask ci | test | lint | loom | mutants | miri | tsan | fuzz | new-stage NAME`.
mod mutants;
mod new_stage;

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};

const HELP: &str = "\
cargo xtask TASK

  ci              everything below but mutants, fuzz and new-stage, in the order in which it fails soonest
  test            cargo test --workspace
  lint            format, clippy and documentation, warnings are errors
  loom            every interleaving of the lock-free models in crates/api
  mutants         breaks what each model is about, and wants the model to fail
  miri            undefined behaviour in pools, links, ports and bells (nightly)
  tsan            data races in the same and in whole pipelines (nightly, builds std)
  fuzz [SECONDS]  messages of remote clients made up by libFuzzer; a minute if left out (nightly, a C++ compiler)
  new-stage NAME  a new stage in stages/NAME.rs, registered and tested";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => [test, lint, loom, miri, tsan].into_iter().try_for_each(|task| task()),
        ["test"] => test(),
        ["lint"] => lint(),
        ["loom"] => loom(),
        ["mutants"] => mutants::run(),
        ["miri"] => miri(),
        ["tsan"] => tsan(),
        ["fuzz"] => fuzz("60"),
        ["fuzz", seconds] => fuzz(seconds),
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
    // Once switching threads at random, once only where they wait, as a machine with nothing else to do does.
    for switching in ["", " -Zmiri-preemption-rate=0"] {
        let flags = format!("-Zmiri-strict-provenance{switching}");
        let settings = [("MIRIFLAGS", flags.as_str()), ("CARGO_TARGET_DIR", "target/miri")];
        run("cargo +nightly miri test -p wavedeck-api --lib -- pool:: free_list:: link:: port:: bell::", &settings)?;
    }
    Ok(())
}

fn tsan() -> anyhow::Result<()> {
    // Only a std that is instrumented as well has no races of its own to report, and it is built for a named target.
    let host = host()?;
    // Instrumented code is slow, and more cases of one property find no other races.
    let settings = [("RUSTFLAGS", "-Zsanitizer=thread"), ("CARGO_TARGET_DIR", "target/tsan"), ("PROPTEST_CASES", "8")];
    let cargo = format!("cargo +nightly test -Zbuild-std --target {host}");
    run(&format!("{cargo} -p wavedeck-api -p wavedeck-plane --lib"), &settings)
}

fn fuzz(seconds: &str) -> anyhow::Result<()> {
    seconds.parse::<u32>().with_context(|| format!("seconds are a whole number, got `{seconds}`"))?;
    // What cargo-fuzz does, without having to be installed: coverage for libFuzzer in every crate.
    let flags = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                 -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
    let settings = [("RUSTFLAGS", flags), ("CARGO_TARGET_DIR", "target/fuzz")];
    // With a target the flags are for it alone, not for build scripts.
    let host = host()?;
    run(&format!("cargo +nightly build --release --manifest-path fuzz/Cargo.toml --target {host}"), &settings)?;
    std::fs::create_dir_all("target/fuzz/corpus").context("target/fuzz/corpus")?;
    let limits = format!(
        "-max_total_time={seconds} -max_len=4096 -timeout=5 -verbosity=0 -print_final_stats=1 -artifact_prefix=target/fuzz/"
    );
    run(&format!("target/fuzz/{host}/release/messages {limits} target/fuzz/corpus fuzz/seeds"), &[])
}

/// The target this machine's compiler builds for.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("`rustc` cannot be started")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    Ok(host.to_owned())
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
