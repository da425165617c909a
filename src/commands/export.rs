//! `export`: the way out of a recording.
use std::{
    error::Error,
    io::{self, BufWriter},
    ops::ControlFlow,
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use wavedeck_formats::{ExportError, ExportOptions, ExportSummary, Format, Progress, export_csv, export_file, open};

use super::progress::ProgressLine;
use crate::{
    cli::ExportArgs,
    exit::{Exit, Failure},
    signals::Signals,
};

/// Time between two pictures of the progress.
const PERIOD: Duration = Duration::from_millis(100);

/// `export`
pub(super) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let to_stdout = args.output.as_os_str() == "-";
    let format = format_of(args)?;
    if to_stdout && format != Format::Csv {
        return Err(Failure::usage(anyhow!("{} goes to a file, not to standard output", format.name())));
    }
    if args.every.is_some() && format != Format::Mcap {
        return Err(Failure::usage(anyhow!("--every is for mcap, not for {}", format.name())));
    }
    let source = open(&args.recording).map_err(|error| super::explained(&error, error.hint()))?;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let options = ExportOptions {
        stream: args.stream.clone(),
        counts: args.counts,
        from_s: seconds(args.from),
        to_s: seconds(args.to_time),
        channels: args.channels.clone().map(|channels| channels.0),
        every: args.every,
    };
    let signals = Signals::watch().context("signals cannot be watched")?;
    let mut line = ProgressLine::new(!to_stdout, PERIOD);
    let mut on_progress = |progress: Progress| {
        line.show(|seconds| in_line(&progress, seconds));
        let is_over = signals.wants_stop() || signals.has_hung_up();
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let summary = if to_stdout {
        export_csv(&*source, &options, &mut BufWriter::new(std::io::stdout().lock()), &mut on_progress)
    } else {
        export_file(&*source, format, &options, &args.output, args.overwrite, &mut on_progress)
    };
    drop(line);
    let summary = match summary {
        // As with all that is printed: a reader that went away is no failure.
        Err(error) if to_stdout && is_broken_pipe(&error) => return Ok(Exit::Ok),
        summary => summary,
    };
    let summary = summary.map_err(|error: ExportError| super::explained(&error, error.hint()))?;
    for warning in source.about().warnings.iter().chain(&summary.warnings) {
        eprintln!("wavedeck: warning: {warning}");
    }
    if !to_stdout {
        super::print(&format!("{}: {}\n", args.output.display(), in_words(&summary)))?;
    }
    Ok(if summary.damaged_parts > 0 { Exit::Degraded } else { Exit::Ok })
}

fn is_broken_pipe(error: &dyn Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn format_of(args: &ExportArgs) -> Result<Format, Failure> {
    let asked = args.format.and_then(|format| format.to_possible_value());
    let extension = || args.output.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = asked.as_ref().map_or_else(extension, |value| value.get_name());
    if let Some(format) = Format::of_name(name) {
        return Ok(format);
    }
    let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    let known = known.join(", ");
    Err(Failure::usage(if name.eq_ignore_ascii_case("parquet") {
        anyhow!("this build cannot write parquet; build it with the feature `parquet`, or choose one of {known}")
    } else {
        let output = args.output.display();
        anyhow!("the name {output} does not tell the format; end it in one of {known}, or give --to")
    }))
}

fn in_words(summary: &ExportSummary) -> String {
    let mut text = format!("{} rows", summary.rows);
    if summary.gaps > 0 {
        text.push_str(&format!(", {} gaps with {} samples missing", summary.gaps, summary.missing));
    }
    if summary.markers > 0 {
        text.push_str(&format!(", {} markers", summary.markers));
    }
    if summary.damaged_parts > 0 {
        text.push_str(&format!(", {} damaged parts left out", summary.damaged_parts));
    }
    if !summary.warnings.is_empty() {
        text.push_str(&format!(", {} warnings", summary.warnings.len()));
    }
    for remark in &summary.remarks {
        text.push_str(&format!("\n  {remark}"));
    }
    text
}

/// How far it is: part, speed, time left.
fn in_line(progress: &Progress, seconds: f64) -> String {
    let Progress { done, total, frame_bytes } = *progress;
    let part = done as f64 / total.max(1) as f64;
    let speed = done as f64 * frame_bytes as f64 / seconds.max(1e-3) / 1e6;
    let left = if part > 0.0 { (seconds / part * (1.0 - part)).ceil() } else { 0.0 };
    format!("{:3.0}%  {speed:.1} MB/s  {left:.0} s left", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_part_speed_and_time_left() {
        let progress = Progress { done: 250_000, total: 1_000_000, frame_bytes: 32 };
        assert_eq!(in_line(&progress, 2.0), " 25%  4.0 MB/s  6 s left");
        assert_eq!(in_line(&Progress { done: 0, total: 0, frame_bytes: 4 }, 0.0), "  0%  0.0 MB/s  0 s left");
    }
}
