//! `repair`: closes recordings that a crash left open.
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wavedeck_recording::{Outcome, ReadError, RepairError, RepairOptions, Repaired, repair as repair_file, with_hint};

use crate::{
    cli::RepairArgs,
    exit::{Exit, Failure},
    library, mending,
};

/// What is told, line by line.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    json: Vec<Value>,
    has_failed: bool,
}

/// `repair`
pub(super) fn repair(args: &RepairArgs) -> Result<Exit, Failure> {
    let options = RepairOptions { dry_run: args.dry_run };
    let mut told = Told::default();
    for path in &args.paths {
        if path.is_dir() {
            told.folder(path, &options);
        } else if path.as_path() == Path::new(library::DEFAULT_DIR) && !path.exists() {
            told.lines.push(format!("{}: no such folder, nothing to do", path.display()));
        } else {
            told.add(path, repair_file(path, &options));
        }
    }
    if args.json {
        super::print_json(&told.json)?;
    } else {
        if args.dry_run {
            told.lines.push("nothing was changed".into());
        }
        super::print(&format!("{}\n", told.lines.join("\n")))?;
    }
    Ok(if told.has_failed { Exit::Failed } else { Exit::Ok })
}

impl Told {
    /// Repairs what needs it in a folder; of the rest only the number is told.
    fn folder(&mut self, folder: &Path, options: &RepairOptions) {
        let paths = match mending::recordings_of(folder) {
            Ok(paths) => paths,
            Err(error) => {
                self.has_failed = true;
                let text = format!("folder {} cannot be looked through: {error}", folder.display());
                self.json.push(json!({ "file": folder, "error": text }));
                return self.lines.push(text);
            }
        };
        let (mut closed, mut foreign) = (0, 0);
        for path in &paths {
            match repair_file(path, options) {
                Ok(done) if done.outcome == Outcome::Closed => {
                    closed += 1;
                    self.json.push(as_json(&done));
                }
                Err(RepairError::Read(ReadError::Foreign { .. } | ReadError::NotMcap { .. })) => foreign += 1,
                // In a folder it is nobody's fault that a recording is on.
                Err(error @ RepairError::Locked { .. }) => {
                    self.json.push(json!({ "file": path, "outcome": "locked" }));
                    self.lines.push(format!("{error}: left alone"));
                }
                result => self.add(path, result),
            }
        }
        let n = paths.len() - foreign;
        let recordings = if n == 1 { "recording" } else { "recordings" };
        let mut text = format!("{}: {n} {recordings}, {closed} closed already", folder.display());
        if foreign > 0 {
            text.push_str(&format!(", {foreign} files of other programs left alone"));
        }
        self.lines.push(text);
    }

    fn add(&mut self, path: &PathBuf, result: Result<Repaired, RepairError>) {
        match result {
            Ok(done) => {
                self.json.push(as_json(&done));
                self.lines.push(mending::in_words(&done));
            }
            Err(error) => {
                self.has_failed = true;
                let text = with_hint(&error, error.hint());
                self.json.push(json!({ "file": path, "error": text }));
                self.lines.push(format!("not repaired: {text}"));
            }
        }
    }
}

fn as_json(done: &Repaired) -> Value {
    // All its parts are plain numbers and texts.
    serde_json::to_value(done).unwrap_or_else(|error| json!({ "file": done.file, "error": error.to_string() }))
}
