//! Checks a recording from its first to its last byte, and its account against its samples.
mod checker;
mod ending;

use std::{fmt, path::Path};

use mcap::MAGIC;
use serde::Serialize;

use self::checker::Checker;
use crate::{
    error::ReadError,
    fault::Faults,
    ledger::{Ledger, StreamLedger},
    reader,
    repair::RepairNote,
    stored,
    survey::{self, Survey},
};

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// The file.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// True if the file is as it was written, to the last byte that can be known.
    pub whole: bool,
    /// True if samples went missing against everybody's will, which a whole file says of itself.
    pub degraded: bool,
    /// Samples that went missing.
    pub lost: u64,
    /// True if it ends as a closed file does.
    pub closed: bool,
    /// Chunks that are whole.
    pub chunks: u64,
    /// Messages in them.
    pub messages: u64,
    /// The account of each stream, counted anew.
    pub streams: Vec<StreamLedger>,
    /// Why the recording stopped before its user asked.
    pub failed: Option<String>,
    /// What an earlier repair has noted.
    pub repair: Option<RepairNote>,
    /// What is wrong.
    pub faults: Faults,
}

/// Checks all of the recording at `path`.
///
/// # Errors
/// If it is no MCAP file, or it cannot be read. What is wrong within is in the report.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport, ReadError> {
    verify_with(path, &mut |_, _| {})
}

/// Checks as [`verify()`] does, and tells `progress` now and then how many bytes are done, and of how many.
///
/// # Errors
/// As [`verify()`].
pub fn verify_with(path: impl AsRef<Path>, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, ReadError> {
    let source = reader::open_source(path.as_ref())?;
    let total = source.length;
    let mut tell = |done| progress(done, total);
    let mut checker = Checker::new(&mut tell);
    let mut survey = survey::survey(&source, &mut checker)?;
    let (streams, mut faults) = checker.end();
    for damage in &survey.damage {
        faults.add(damage.offset, None, format!("{} bytes cannot be read: {}", damage.bytes, damage.what), "");
    }
    faults.merge(std::mem::take(&mut survey.faults));
    let closed = ending::check(&source, &survey, &mut faults)?;
    let stored = check_ledger(&survey, &streams, &mut faults);
    faults.sort();

    let ledger = Ledger { streams, failed: stored.and_then(|ledger| ledger.failed) };
    Ok(VerifyReport {
        path: path.as_ref().display().to_string(),
        bytes: source.length,
        whole: faults.is_empty(),
        degraded: ledger.is_degraded(),
        lost: ledger.streams.iter().map(StreamLedger::lost).sum(),
        closed,
        chunks: survey.chunks.len(),
        messages: survey.summary.stats.as_ref().map_or(0, |stats| stats.message_count),
        streams: ledger.streams,
        failed: ledger.failed,
        repair: stored::json_of(&survey.entries, "repair"),
        faults,
    })
}

/// Compares the account in the file with `counted`, and returns it.
fn check_ledger(survey: &Survey, counted: &[StreamLedger], faults: &mut Faults) -> Option<Ledger> {
    let place = |name: &str| survey.summary.metadata_indexes.iter().rev().find(|index| index.name == name);
    let offset = place("ledger").map_or(survey.whole_bytes, |index| index.offset);
    if stored::description(&survey.entries).is_none() {
        faults.add(MAGIC.len() as u64, None, "the description of the recording is missing", "metadata `recording`");
    }
    for stream in counted.iter().filter(|stream| !stream.is_balanced()) {
        let produced = stream.first_index.map_or(0, |first| stream.next_index.saturating_sub(first));
        let missing: u64 = stream.missing.values().fold(0, |sum, n| sum.saturating_add(*n));
        let what = format!(
            "the account of stream `{}` does not add up: {} samples stored and {missing} noted as missing",
            stream.stream, stream.recorded
        );
        faults.add(offset, None, what, format!("{produced} samples in all"));
    }
    let Some(ledger) = stored::json_of::<Ledger>(&survey.entries, "ledger") else {
        // Of an unclosed file nothing else can be expected, and that is said elsewhere.
        if survey.data_end.is_some() {
            faults.add(offset, None, "the account of the recording is missing", "metadata `ledger`");
        }
        return None;
    };
    for stream in counted {
        let stored = ledger.streams.iter().find(|stored| stored.stream == stream.stream);
        if stored != Some(stream) {
            let what = format!("the ledger says of stream `{}`: {}", stream.stream, in_words(stored));
            faults.add(offset, None, what, in_words(Some(stream)));
        }
    }
    for stored in &ledger.streams {
        if !counted.iter().any(|stream| stream.stream == stored.stream) {
            faults.add(offset, None, format!("the ledger has a stream `{}`", stored.stream), "no such stream");
        }
    }
    Some(ledger)
}

fn in_words(ledger: Option<&StreamLedger>) -> String {
    let Some(ledger) = ledger else { return "nothing".into() };
    let first = ledger.first_index.unwrap_or(0);
    let missing: Vec<String> = ledger.missing.iter().map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
    let missing = if missing.is_empty() { "none".into() } else { missing.join(", ") };
    format!("samples {first} to {}, {} stored, missing {missing}", ledger.next_index, ledger.recorded)
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        match self.faults.count() {
            0 => write!(f, "whole")?,
            1 => write!(f, "1 FAULT")?,
            n => write!(f, "{n} FAULTS")?,
        }
        if self.degraded {
            write!(f, ", degraded: {} samples lost", self.lost)?;
        }
        if let Some(reason) = &self.failed {
            write!(f, ", stopped early: {reason}")?;
        }
        if let Some(note) = &self.repair {
            write!(f, ", {note}")?;
        }
        write!(f, "; {} chunks, {} messages, {} bytes", self.chunks, self.messages, self.bytes)?;
        for stream in &self.streams {
            let paused = stream.paused();
            write!(f, "\n  stream `{}`: {} recorded, {} lost", stream.stream, stream.recorded, stream.lost())?;
            if paused > 0 {
                write!(f, ", {paused} paused")?;
            }
        }
        for fault in &self.faults.listed {
            write!(f, "\n  {fault}")?;
        }
        if self.faults.more > 0 {
            write!(f, "\n  and {} more", self.faults.more)?;
        }
        Ok(())
    }
}
