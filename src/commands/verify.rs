//! `verify`: checks recordings to the last byte.
use std::{io::IsTerminal, time::Duration};

use serde_json::{Value, json};
use wavedeck_recording::{verify_with, with_hint};

use super::progress::ProgressLine;
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
        let name: String = path.file_name().unwrap_or_default().to_string_lossy().chars().take(50).collect();
        let mut line = ProgressLine::new(std::io::stdout().is_terminal(), STEP);
        let result = verify_with(path, &mut |done, total| {
            line.show(|_| format!("{name}: {:.0} %", done as f64 * 100.0 / total.max(1) as f64));
        });
        drop(line);
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
                let text = with_hint(&error, error.hint());
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
