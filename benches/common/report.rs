//! What is printed when everything has been measured: grids of figures, then one table with ratios and targets.
#![allow(dead_code, reason = "each benchmark uses its own part")]
use std::fmt;

use crate::measure::{median, ratio};

/// What a figure counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Shown in ns, us or ms as it fits.
    Nanoseconds,
    /// Samples per second.
    SamplesPerSecond,
    /// CPU seconds per 1e9 samples.
    CpuPerSample,
    /// Part of a whole in percent.
    Percent,
    /// Part of one core in percent.
    PercentOfCore,
    /// Wake-ups per second.
    WakesPerSecond,
    /// Wake-ups per 1000 packets.
    WakesPerThousand,
    /// 1e6 bytes per second.
    MegabytesPerSecond,
    /// Bytes.
    Bytes,
    /// Bytes, shown in 1e6.
    Megabytes,
    /// 1e3 bytes per second.
    KilobytesPerSecond,
    /// How many a second.
    PerSecond,
    /// How many times as much, as long or as fast.
    Times,
    /// How many.
    Number,
}

impl Unit {
    /// The value as text with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => "none".into(),
            Self::Nanoseconds if value < 1e3 => format!("{value:.1} ns"),
            Self::Nanoseconds if value < 1e6 => format!("{:.1} us", value / 1e3),
            Self::Nanoseconds => format!("{:.1} ms", value / 1e6),
            Self::SamplesPerSecond => format!("{:.0} M/s", value / 1e6),
            Self::CpuPerSample => format!("{value:.3} CPU-s/1e9"),
            Self::Percent | Self::PercentOfCore => format!("{value:.2} %"),
            Self::WakesPerSecond => format!("{value:.1} /s"),
            Self::WakesPerThousand => format!("{value:.0} /1000"),
            Self::MegabytesPerSecond => format!("{value:.0} MB/s"),
            Self::Bytes => format!("{value:.0} B"),
            Self::Megabytes => format!("{:.1} MB", value / 1e6),
            Self::KilobytesPerSecond => format!("{value:.1} kB/s"),
            Self::PerSecond => format!("{value:.1} /s"),
            Self::Times => format!("{value:.2} x"),
            Self::Number => format!("{value:.0}"),
        }
    }
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Ours over the baseline's, not above this.
    RatioAtMost(f64),
    /// Ours over the baseline's, not below this.
    RatioAtLeast(f64),
    /// Our own figure, not above this.
    AtMost(f64),
    /// Our own figure, not below this.
    AtLeast(f64),
}

/// One line of the table.
pub(crate) struct Row {
    /// What was done.
    pub(crate) name: String,
    /// What the figures count.
    pub(crate) unit: Unit,
    /// Our figures by round.
    pub(crate) ours: Vec<f64>,
    /// What it is measured against, and its figures by round.
    pub(crate) baseline: Option<(&'static str, Vec<f64>)>,
    /// What is to be reached, where something is.
    pub(crate) target: Option<Target>,
}

/// Figures that are looked at side by side.
pub(crate) struct Grid {
    /// What it shows, and in what unit.
    pub(crate) title: &'static str,
    /// Names of the columns, the one of the lines' names included.
    pub(crate) columns: Vec<&'static str>,
    /// One text per column.
    pub(crate) lines: Vec<Vec<String>>,
}

/// Everything that was measured.
pub(crate) struct Report {
    grids: Vec<Grid>,
    rows: Vec<Row>,
    is_judged: bool,
}

impl Report {
    /// Without `is_judged` no target is said to be met or missed.
    pub(crate) fn new(is_judged: bool) -> Self {
        Self { grids: Vec::new(), rows: Vec::new(), is_judged }
    }

    /// Adds a line to the table.
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a line that compares two ways by round.
    pub(crate) fn compare(
        &mut self,
        name: impl Into<String>,
        unit: Unit,
        ours: Vec<f64>,
        baseline: (&'static str, Vec<f64>),
        target: Option<Target>,
    ) {
        self.row(Row { name: name.into(), unit, ours, baseline: Some(baseline), target });
    }

    /// Adds a grid, shown before the table.
    pub(crate) fn grid(&mut self, grid: Grid) {
        self.grids.push(grid);
    }

    fn cells(&self, row: &Row) -> Vec<String> {
        let ours = median(&row.ours);
        let share = row.baseline.as_ref().map(|(_, theirs)| ratio(&row.ours, theirs));
        let (target, is_met) = match row.target {
            None => (String::new(), None),
            Some(Target::RatioAtMost(limit)) => (format!("<= {limit} x"), share.map(|share| share <= limit)),
            Some(Target::RatioAtLeast(limit)) => (format!(">= {limit} x"), share.map(|share| share >= limit)),
            Some(Target::AtLeast(limit)) => (format!(">= {}", row.unit.show(limit)), Some(ours >= limit)),
            Some(Target::AtMost(limit)) => (format!("<= {}", row.unit.show(limit)), Some(ours <= limit)),
        };
        let verdict = match is_met {
            Some(true) if self.is_judged => "met",
            Some(false) if self.is_judged => "missed",
            _ => "",
        };
        vec![
            row.name.clone(),
            row.unit.show(ours),
            row.baseline.as_ref().map_or(String::new(), |(_, theirs)| row.unit.show(median(theirs))),
            row.baseline.as_ref().map_or(String::new(), |(name, _)| (*name).into()),
            share.map_or(String::new(), |share| format!("{share:.2} x")),
            target,
            verdict.into(),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for grid in &self.grids {
            writeln!(f, "\n{}\n", grid.title)?;
            write_table(f, &grid.columns, &grid.lines)?;
        }
        let lines: Vec<Vec<String>> = self.rows.iter().map(|row| self.cells(row)).collect();
        writeln!(f, "\nmedians of runs in turns; ratios are ours over the baseline's, round by round\n")?;
        write_table(f, &["what", "ours", "baseline", "of", "ratio", "target", ""], &lines)
    }
}

/// A table in Markdown, padded so that it reads well as it is.
fn write_table(f: &mut fmt::Formatter<'_>, columns: &[&str], lines: &[Vec<String>]) -> fmt::Result {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| lines.iter().map(|line| line[index].len()).chain([column.len()]).max().unwrap_or(0))
        .collect();
    let mut write = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(f, "| {} |", padded.collect::<Vec<_>>().join(" | "))
    };
    write(&mut columns.iter().copied())?;
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    write(&mut rules.iter().map(String::as_str))?;
    lines.iter().try_for_each(|line| write(&mut line.iter().map(String::as_str)))
}
