//! `verify`: checks recordings to the last byte.
use std::{
    io::{IsTerminal, Write},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wavedeck_recording::{verify_with, with_causes};

use crate::{
    cli::VerifyArgs,
    exit::{Exit, Failure},
};

/// How often progress is shown.
const STEP: Duration = Duration::from_millis(200);

/// `verify`
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let mut is_whole = true;
    let mut reports = Vec::new();
    for path in &args.files {
        let mut progress = Progress::new(path);
        let result = verify_with(path, &mut |done, total| progress.show(done, total));
        progress.clear();
        match result {
            Ok(report) => {
                is_whole &= report.whole;
                if args.json {
                    reports.push(serde_json::to_value(&report).unwrap_or(Value::Null));
                } else {
                    super::print(&format!("{report}\n"))?;
                }
            }
            Err(error) => {
                is_whole = false;
                let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
                let text = format!("{}{hint}", with_causes(&error));
                if args.json {
                    reports.push(json!({ "path": path, "whole": false, "error": text }));
                } else {
                    super::print(&format!("not checked: {text}\n"))?;
                }
            }
        }
    }
    if args.json {
        super::print_json(&reports)?;
    }
    Ok(if is_whole { Exit::Ok } else { Exit::Failed })
}

/// A line on the terminal that is written over again and again.
struct Progress {
    name: String,
    next: Instant,
    is_wanted: bool,
    is_shown: bool,
}

impl Progress {
    fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().chars().take(50).collect();
        let is_wanted = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Self { name, next: Instant::now() + STEP, is_wanted, is_shown: false }
    }

    fn show(&mut self, done: u64, total: u64) {
        if self.is_wanted && Instant::now() >= self.next {
            self.next = Instant::now() + STEP;
            self.is_shown = true;
            let percent = done as f64 * 100.0 / total.max(1) as f64;
            let _ = write!(std::io::stderr(), "\r{}: {percent:.0} %", self.name);
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
