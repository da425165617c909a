//! `info` and `export`: what is in a recording, and the way out of it.
use std::{io::BufWriter, path::Path};

use wavedeck_recording::{
    CsvOptions, CsvSummary, ExportError, ReadError, Recording, RecordingInfo, export_csv, export_csv_file, with_causes,
};

use crate::{
    cli::{ExportArgs, ExportFormat, InfoArgs},
    exit::{Exit, Failure},
};

/// `info`
pub(super) fn info(args: &InfoArgs) -> Result<Exit, Failure> {
    let info = open(&args.recording)
        .and_then(|recording| RecordingInfo::of(&recording).map_err(|error| read_failure(&error)))?;
    if args.json {
        super::print_json(&info)?
    } else {
        super::print(&format!("{info}\n"))?
    }
    Ok(Exit::Ok)
}

/// `export`
pub(super) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let recording = open(&args.recording)?;
    let ExportFormat::Csv = args.format;
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    let options = CsvOptions {
        stream: args.stream.clone(),
        counts: args.counts,
        from_s: seconds(args.from),
        to_s: seconds(args.to_time),
        channels: args.channels.clone().map(|channels| channels.0),
    };
    let to_stdout = args.output.as_os_str() == "-";
    let summary = if to_stdout {
        export_csv(&recording, &options, &mut BufWriter::new(std::io::stdout().lock()))
    } else {
        export_csv_file(&recording, &options, &args.output, args.overwrite)
    };
    let summary = summary.map_err(|error| export_failure(&error))?;
    if !to_stdout {
        super::print(&format!("{}: {}\n", args.output.display(), in_words(&summary)))?;
    }
    Ok(if summary.damaged_chunks > 0 { Exit::Degraded } else { Exit::Ok })
}

fn in_words(summary: &CsvSummary) -> String {
    let mut text = format!("{} rows", summary.rows);
    if summary.gaps > 0 {
        text.push_str(&format!(", {} gaps with {} samples missing", summary.gaps, summary.missing));
    }
    if summary.markers > 0 {
        text.push_str(&format!(", {} markers", summary.markers));
    }
    if summary.damaged_chunks > 0 {
        text.push_str(&format!(", {} damaged parts left out", summary.damaged_chunks));
    }
    text
}

fn open(path: &Path) -> Result<Recording, Failure> {
    Recording::open(path).map_err(|error| read_failure(&error))
}

fn read_failure(error: &ReadError) -> Failure {
    explained(error, error.hint())
}

fn export_failure(error: &ExportError) -> Failure {
    explained(error, None)
}

fn explained(error: &dyn std::error::Error, hint: Option<&str>) -> Failure {
    let mut text = with_causes(error);
    if let Some(hint) = hint {
        text.push_str(&format!("; {hint}"));
    }
    anyhow::anyhow!(text).into()
}
