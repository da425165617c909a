//! Shows that each loom model fails when an ordering it is about is weakened: breaks the code in a copy of the workspace,
//! one place at a time, and runs the model.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// A way to break the code, and the model that must notice.
struct Mutant {
    /// Below `crates/api/src`.
    file: &'static str,
    from: &'static str,
    to: &'static str,
    model: &'static str,
}

const fn mutant(file: &'static str, from: &'static str, to: &'static str, model: &'static str) -> Mutant {
    Mutant { file, from, to, model }
}

const MUTANTS: &[Mutant] = &[
    mutant(
        "bell.rs",
        "self.inner.armed.swap(true, Ordering::AcqRel);",
        "self.inner.armed.store(true, Ordering::Relaxed);",
        "a_sleeper_never_misses_work",
    ),
    mutant(
        "bell.rs",
        "self.inner.armed.swap(false, Ordering::Relaxed);",
        "self.inner.armed.store(false, Ordering::Relaxed);",
        "a_sleeper_that_wakes_does_not_miss",
    ),
    mutant(
        "bell.rs",
        "if self.inner.armed.swap(false, Ordering::AcqRel)",
        "if self.inner.armed.load(Ordering::Acquire) && self.inner.armed.swap(false, Ordering::AcqRel)",
        "two_ringers_wake",
    ),
    mutant(
        "free_list.rs",
        "more & CLOSED != 0 && count(more) == buffers",
        "self.stack.load(Ordering::Acquire) & CLOSED != 0 && count(self.stack.load(Ordering::Acquire)) == buffers",
        "of_two_holders_and_an_owner",
    ),
    mutant(
        "free_list.rs",
        "loop {\n            self.next[index as usize].store(word as u32, Ordering::Relaxed);",
        "self.next[index as usize].store(word as u32, Ordering::Relaxed);\n        loop {",
        "what_two_threads_give_back",
    ),
    mutant(
        "free_list.rs",
        "compare_exchange_weak(word, more, Ordering::AcqRel",
        "compare_exchange_weak(word, more, Ordering::Relaxed",
        "a_buffer_that_came_back",
    ),
    mutant(
        "free_list.rs",
        "self.stack.swap(0, Ordering::Acquire)",
        "self.stack.swap(0, Ordering::Relaxed)",
        "a_buffer_that_came_back",
    ),
    mutant(
        "free_list.rs",
        "more & CLOSED != 0 && count(more) == buffers",
        "word & CLOSED != 0",
        "the_last_of_two_holders",
    ),
    mutant(
        "free_list.rs",
        "count(before) + held == self.buffers()",
        "held == self.buffers()",
        "the_last_of_two_holders",
    ),
    mutant(
        "pool.rs",
        "refs.load(Ordering::Acquire) == 1 || refs.fetch_sub",
        "refs.load(Ordering::Relaxed) == 1 || refs.fetch_sub",
        "the_last_of_two_readers",
    ),
    mutant(
        "pool.rs",
        "refs.fetch_sub(1, Ordering::AcqRel)",
        "refs.fetch_sub(1, Ordering::Relaxed)",
        "the_last_of_two_readers",
    ),
    mutant(
        "pool.rs",
        "if self.handle.slot().refs.load(Ordering::Acquire) == 1",
        "if self.handle.slot().refs.load(Ordering::Relaxed) == 1",
        "a_buffer_written_in_place",
    ),
    mutant(
        "link.rs",
        "stats.ends.closed.store(true, Ordering::Release)",
        "stats.ends.closed.store(true, Ordering::Relaxed)",
        "the_last_packet_is_found",
    ),
    mutant(
        "link.rs",
        "let closed = self.stats.ends.closed.load(Ordering::Acquire);\n        match self.pop() {",
        "let popped = self.pop();\n        let closed = self.stats.ends.closed.load(Ordering::Acquire);\n        match popped {",
        "the_last_packet_is_found",
    ),
    mutant(
        "link.rs",
        "if stats.ends.one_left.swap(true, Ordering::AcqRel)",
        "if stats.ends.one_left.swap(true, Ordering::Relaxed)",
        "a_consumer_that_leaves_early",
    ),
    mutant(
        "link.rs",
        "if self.stats.ends.one_left.swap(true, Ordering::AcqRel)",
        "if self.stats.ends.one_left.swap(true, Ordering::AcqRel) && false",
        "a_consumer_that_leaves_early",
    ),
    mutant(
        "link.rs",
        "stats.producer.dropped.add(rest.in_flight_packets, rest.in_flight_samples);",
        "let _ = rest;",
        "a_consumer_that_leaves_early",
    ),
    mutant(
        "link.rs",
        "stats.producer.dropped.add(rest.in_flight_packets, rest.in_flight_samples);",
        "let _ = rest;",
        "a_link_that_is_closed_and_abandoned",
    ),
    mutant(
        "link.rs",
        "consumer.consumed_packets.store(packets, Ordering::Release)",
        "consumer.consumed_packets.store(packets, Ordering::Relaxed)",
        "a_producer_that_waits_for_room_is_woken",
    ),
    mutant(
        "link.rs",
        "self.consumer.consumed_packets.load(Ordering::Acquire) + self",
        "self.consumer.consumed_packets.load(Ordering::Relaxed) + self",
        "a_producer_that_waits_for_room_is_woken",
    ),
    mutant(
        "link/models.rs",
        "producer.ring();\n                sleeper.after",
        "sleeper.after",
        "a_producer_that_waits_for_room_is_woken",
    ),
    mutant(
        "link/models.rs",
        "drop(receiver);\n        bell.ring();",
        "bell.ring();\n        drop(receiver);",
        "goes_on_when_the_consumer_leaves",
    ),
    mutant(
        "link/models.rs",
        "stop.store(true, Ordering::Release);\n        bell.ring();",
        "bell.ring();\n        stop.store(true, Ordering::Release);",
        "sees_a_stop",
    ),
];

/// Breaks the code in each way in turn.
pub(crate) fn run() -> anyhow::Result<()> {
    let copy = Path::new("target/mutants/workspace");
    let _ = fs::remove_dir_all(copy);
    for part in ["Cargo.toml", "Cargo.lock", "benches", "crates", "src", "stages", "tests", "xtask"] {
        copy_all(Path::new(part), &copy.join(part))?;
    }
    let mut survivors = Vec::new();
    for Mutant { file, from, to, model } in MUTANTS {
        let path = copy.join("crates/api/src").join(file);
        let whole = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        if whole.matches(from).count() != 1 {
            bail!("`{from}` is not in {file} exactly once: the list of mutants is behind the code");
        }
        fs::write(&path, whole.replace(from, to))?;
        let is_caught = fails(copy, model)?;
        fs::write(&path, whole)?;
        println!("{} {model}: {}", if is_caught { "caught  " } else { "SURVIVED" }, to.trim());
        survivors.extend((!is_caught).then_some(*model));
    }
    if !survivors.is_empty() {
        bail!("not noticed by {}", survivors.join(", "));
    }
    Ok(())
}

/// True if the model fails; an error if it cannot be built.
fn fails(workspace: &Path, model: &str) -> anyhow::Result<bool> {
    let command = || {
        let mut command = Command::new("cargo");
        command.args(["test", "--quiet", "--release", "-p", "wavedeck-api", "--lib", model]);
        command.current_dir(workspace).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
        command.env("RUSTFLAGS", "--cfg wavedeck_loom").env("LOOM_MAX_PREEMPTIONS", "3").env("RUST_BACKTRACE", "0");
        command.env("CARGO_TARGET_DIR", std::env::current_dir().unwrap_or_default().join("target/mutants/target"));
        command
    };
    let built = command().arg("--no-run").output()?;
    if !built.status.success() {
        bail!("a mutant for {model} does not compile:\n{}", String::from_utf8_lossy(&built.stderr));
    }
    let output = command().output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if printed.contains("running 0 tests") {
        bail!("there is no model {model}");
    }
    Ok(!output.status.success())
}

fn copy_all(from: &Path, to: &PathBuf) -> anyhow::Result<()> {
    if from.is_file() {
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::copy(from, to)?;
        return Ok(());
    }
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let name = entry?.file_name();
        if name != "target" {
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}
