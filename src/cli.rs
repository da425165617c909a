//! The command line: what may be written, and which exit code it ends with.
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A terminal acquisition workstation: live waveforms, recordings that survive, every lost sample accounted for.
#[derive(Debug, Parser)]
#[command(name = "wavedeck", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do; without it, the built-in demo runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  wavedeck                                                  live waveforms of a built-in synthetic board
  wavedeck run configs/cyton.json --set board.port=/dev/ttyUSB0
  wavedeck run configs/cyton.json --headless --record --duration 10m
  wavedeck attach                                           the screen of a session that runs already
  wavedeck replay recordings/sample.mcap
  wavedeck export recordings/sample.mcap -o sample.bdf

Exit codes: 0 ok, 1 the job failed, 2 bad usage or config, 3 finished, but samples were lost or a stage was disabled.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a pipeline: on the screen, or without one
    Run(RunArgs),
    /// Replays a recording through its pipeline
    Replay(ReplayArgs),
    /// Checks a pipeline file: all its mistakes, or the plan of threads, queues and pools
    Check(CheckArgs),
    /// Lists the stage types, or one with its parameters
    Stages(StagesArgs),
    /// Lists serial ports
    Devices(DevicesArgs),
    /// Says what is in a recording: streams, gaps, markers, edits
    Info(InfoArgs),
    /// Writes a recording in another format
    Export(ExportArgs),
    /// Closes recordings that a crash left open, in place; every whole chunk is kept
    Repair(RepairArgs),
    /// Checks recordings to the last byte: checksums, messages, indexes, and the account of every sample
    Verify(VerifyArgs),
    /// Plays a device on a pseudo-terminal, to rehearse and to test with
    Emulate(EmulateArgs),
    /// Lists the sessions of this user that run on this machine
    Sessions(SessionsArgs),
    /// Opens the screen of a session that runs: headless, on another terminal, or left behind by one that is gone
    Attach(AttachArgs),
    /// Ends a session: everything drains, the recording is finished
    Stop(StopArgs),
}

/// Options of everything that runs a pipeline.
#[derive(Args, Clone, Debug, Default)]
pub struct RunOptions {
    /// Runs without a screen: one status line per second, a summary at the end
    #[arg(long)]
    pub headless: bool,
    /// Writes numbers as plain lines instead of a screen, for screen readers and logs; commands are words, see `help`
    #[arg(long, conflicts_with = "headless")]
    pub plain: bool,
    /// With --plain: time between two status lines, such as 5s; a second if left out
    #[arg(long, value_name = "TIME", requires = "plain", value_parser = duration)]
    pub plain_every: Option<std::time::Duration>,
    /// Records from the first sample on
    #[arg(long)]
    pub record: bool,
    /// With --record: name of the recording; the local time and the pipeline's name if left out
    #[arg(long, requires = "record")]
    pub name: Option<String>,
    /// Ends after this time, such as 500ms, 30s, 10m, 2h
    #[arg(long, value_parser = duration)]
    pub duration: Option<std::time::Duration>,
    /// With --headless: one JSON object per line, the summary last
    #[arg(long, requires = "headless")]
    pub json: bool,
    /// With --headless: time between two status lines, such as 1m; a second if left out
    #[arg(long, value_name = "TIME", requires = "headless", value_parser = duration)]
    pub status_every: Option<std::time::Duration>,
    /// Changes a parameter of the pipeline file
    #[arg(long = "set", value_name = "STAGE.KEY=VALUE")]
    pub set: Vec<String>,
    /// Log file; a daily file in the state folder of the user if left out
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Name of the session, for `wavedeck attach`; that of the pipeline if left out
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// How it is drawn
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// Where remote clients are listened for
    #[command(flatten)]
    pub remote: crate::remote::RemoteArgs,
}

/// How a screen is drawn.
#[derive(Args, Clone, Debug)]
pub struct ScreenArgs {
    /// Draws with ASCII characters only, as `--glyphs ascii` does
    #[arg(long, conflicts_with = "glyphs")]
    pub ascii: bool,
    /// Signs that waves are drawn with; found out from the terminal if left out
    #[arg(long, value_enum)]
    pub glyphs: Option<GlyphsArg>,
    /// Background of the terminal; found out from COLORFGBG, else dark
    #[arg(long, value_enum)]
    pub background: Option<BackgroundArg>,
    /// Colours of the screen; found out from the terminal if left out
    #[arg(long, value_enum)]
    pub color: Option<ColorArg>,
    /// Leaves the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
    /// Most pictures per second
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub fps: u32,
}

impl Default for ScreenArgs {
    fn default() -> Self {
        Self { ascii: false, glyphs: None, background: None, color: None, no_mouse: false, fps: 30 }
    }
}

/// Number of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// No colour: signs, words and reverse video say it all
    None,
    /// The terminal's own 16 colours
    #[value(name = "16")]
    Ansi,
    /// 256 colours
    #[value(name = "256")]
    Indexed,
    /// 24-bit colours
    #[value(name = "true")]
    True,
}

/// What waves are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GlyphsArg {
    /// Dots, eight to a cell
    Braille,
    /// Quarters of a cell, for fonts without braille
    Block,
    /// ASCII characters only, all over the screen
    Ascii,
}

/// What is behind the signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackgroundArg {
    /// Light signs on dark
    Dark,
    /// Dark signs on light
    Light,
}

/// `run`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Pipeline file
    pub config: PathBuf,
    /// How to run it
    #[command(flatten)]
    pub options: RunOptions,
}

/// `replay`
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The recording, or a file of another program
    pub recording: PathBuf,
    /// Another pipeline than the one the recording was made with
    #[arg(long, value_name = "CONFIG")]
    pub config: Option<PathBuf>,
    /// Times real time, 0.1 to 1000, or `max`
    #[arg(long, default_value = "1", value_parser = speed)]
    pub speed: f64,
    /// Begins this long after the first sample, such as 12.5s
    #[arg(long, value_parser = duration)]
    pub from: Option<std::time::Duration>,
    /// Ends this long after the first sample
    #[arg(long, value_parser = duration)]
    pub to: Option<std::time::Duration>,
    /// Begins again at the end
    #[arg(long = "loop")]
    pub repeat: bool,
    /// Shows the streams as they are, without the recording's pipeline
    #[arg(long, conflicts_with = "config")]
    pub view_only: bool,
    /// Says at the end what every output has come to, to compare runs bit for bit; needs --headless
    #[arg(long, requires = "headless", conflicts_with = "repeat")]
    pub hash: bool,
    /// How to run it
    #[command(flatten)]
    pub options: RunOptions,
}

/// `check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Pipeline file
    pub config: PathBuf,
    /// Changes a parameter of the pipeline file
    #[arg(long = "set", value_name = "STAGE.KEY=VALUE")]
    pub set: Vec<String>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// `stages`
#[derive(Args, Debug)]
pub struct StagesArgs {
    /// A stage type; all if left out
    pub id: Option<String>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// `devices`
#[derive(Args, Debug)]
pub struct DevicesArgs {
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// `info`
#[derive(Args, Debug)]
pub struct InfoArgs {
    /// The recording
    pub recording: PathBuf,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// `repair`
#[derive(Args, Debug)]
#[command(after_help = REPAIR_HELP)]
pub struct RepairArgs {
    /// Recordings, or folders of them
    #[arg(value_name = "FILE|FOLDER", default_value = "recordings")]
    pub paths: Vec<PathBuf>,
    /// Says what would be done, and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

const REPAIR_HELP: &str = "A recording that another process writes is left alone. Nothing is copied: the part that is not \
whole is cut from the end, the account and the index are appended, and `.part` goes from the name. `wavedeck run` does the \
same for the folder it records to.

Exit codes: 0 all is fine now, 1 something could not be repaired.";

/// `verify`
#[derive(Args, Debug)]
#[command(after_help = VERIFY_HELP)]
pub struct VerifyArgs {
    /// Recordings
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

const VERIFY_HELP: &str =
    "Each fault is told with its byte and chunk, and with what was expected. `degraded` means that \
samples were lost while recording, and that the file says so itself: that is no fault.

Exit codes: 0 all are whole, 1 there are faults.";

/// `export`
#[derive(Args, Debug)]
#[command(after_help = EXPORT_NOTES)]
pub struct ExportArgs {
    /// The recording
    pub recording: PathBuf,
    /// Format; the extension of the output tells it if left out
    #[arg(long = "to", value_enum, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// File to write; `-` for standard output, csv only
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Stream, where there are several
    #[arg(long)]
    pub stream: Option<String>,
    /// Raw ADC counts instead of physical units; bdf and edf hold both in any case
    #[arg(long)]
    pub counts: bool,
    /// Begins this long after the first sample, such as 12.5s
    #[arg(long, value_parser = duration)]
    pub from: Option<std::time::Duration>,
    /// Ends this long after the first sample
    #[arg(long, value_parser = duration)]
    pub to_time: Option<std::time::Duration>,
    /// Channels by number from 1, in the order wanted, such as 1,3-8
    #[arg(long, value_parser = channels)]
    pub channels: Option<Channels>,
    /// Keeps one frame of N, without a filter; mcap only
    #[arg(long, value_name = "N")]
    pub every: Option<std::num::NonZeroU32>,
    /// Replaces the file if it is there
    #[arg(long)]
    pub overwrite: bool,
}

const EXPORT_NOTES: &str = "Missing samples: csv, npy, parquet and mcap make up no rows, the sample index jumps (npy: see \
FILE.json beside it); wav has zeros; bdf and edf repeat the last value and mark the place BAD_ACQ_SKIP.";

/// Formats to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A table: sample, time, channels, marker
    Csv,
    /// BDF+: 24 bits, with annotations
    Bdf,
    /// EDF+: 16 bits, with annotations; says what is rounded
    Edf,
    /// WAV: 24 or 32 bits with --counts, else floating point; FILE.json beside it
    Wav,
    /// A NumPy array of frames and channels; FILE.json beside it
    Npy,
    /// A table in columns
    Parquet,
    /// One message per frame, to plot in Foxglove or PlotJuggler
    Mcap,
}

/// Channel numbers from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels(pub Vec<usize>);

/// `sessions`
#[derive(Args, Debug)]
pub struct SessionsArgs {
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// `attach`
#[derive(Args, Debug)]
pub struct AttachArgs {
    /// Name of a session of this machine, or the address of a port, such as ws://127.0.0.1:9300; the only session if left
    /// out
    #[arg(value_name = "NAME|ws://HOST:PORT")]
    pub session: Option<String>,
    /// With an address: the token in this file; without it, the one in WAVEDECK_TOKEN, if any
    #[arg(long, value_name = "FILE", requires = "session")]
    pub token_file: Option<PathBuf>,
    /// Log file of this screen; a daily file in the state folder of the user if left out
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How it is drawn
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// `stop`
#[derive(Args, Debug)]
pub struct StopArgs {
    /// Name of the session, see `wavedeck sessions`
    pub name: String,
}

/// `emulate`
#[derive(Args, Debug)]
pub struct EmulateArgs {
    /// The device
    #[command(subcommand)]
    pub device: EmulatedDevice,
}

/// Devices that can be played.
#[derive(Debug, Subcommand)]
pub enum EmulatedDevice {
    /// An OpenBCI Cyton, with or without Daisy
    Cyton(CytonArgs),
}

/// `emulate cyton`
#[derive(Args, Debug)]
pub struct CytonArgs {
    /// Symbolic link to make, under which the host opens the port
    #[arg(long, value_name = "PATH")]
    pub link: PathBuf,
    /// With a Daisy: sixteen channels at 125 Hz
    #[arg(long)]
    pub daisy: bool,
    /// At sample N, K samples are lost by the radio; may be given several times
    #[arg(long, value_name = "N:K")]
    pub gap_at: Vec<crate::emulate::Gap>,
    /// Streams this long, then ends
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
    /// Writes every row that was sent into this CSV file
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
}

/// Reads `500ms`, `30s`, `1.5m`, `2h` or plain seconds.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("a time is written such as 500ms, 30s, 1.5m or 2h, got `{text}`");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * factor;
    std::time::Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= 1e9).ok_or_else(wrong)
}

/// Reads a speed: 0.1 to 1000, or `max`, which is 0.
fn speed(text: &str) -> Result<f64, String> {
    if text == "max" {
        return Ok(0.0);
    }
    let number = text.trim_end_matches('x').parse::<f64>().ok().filter(|speed| (0.1..=1000.0).contains(speed));
    number.ok_or_else(|| format!("a speed is 0.1 to 1000, or max, got `{text}`"))
}

/// Reads `1,3-8`.
fn channels(text: &str) -> Result<Channels, String> {
    let wrong = || format!("channels are written such as 1,3-8, counted from 1 to 256, got `{text}`");
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| (1..=256).contains(n)).ok_or_else(wrong);
    let mut list = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(wrong());
                }
                list.extend(first - 1..last);
            }
            None => list.push(number(part)? - 1),
        }
    }
    Ok(Channels(list))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        for text in ["", "s", "-1s", "5 parsecs", "1e9h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn channels_are_counted_from_one() {
        assert_eq!(channels("1,3-5"), Ok(Channels(vec![0, 2, 3, 4])));
        for text in ["0", "5-3", "a", "1,", "257"] {
            assert!(channels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_speed_is_a_number_or_max() {
        assert_eq!((speed("max"), speed("2x"), speed("0.25")), (Ok(0.0), Ok(2.0), Ok(0.25)));
        assert!(speed("0").is_err() && speed("fast").is_err());
    }
}
