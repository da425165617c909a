//! A Cyton on a pseudo-terminal, to rehearse and to test with: it speaks the board's protocol at the board's pace.
//!
//! Written from the board's documentation and not from our decoder, so that the two can contradict each other.
mod board;
mod pty;
mod signal;
mod truth;

use std::{
    fmt,
    io::Write,
    path::PathBuf,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use board::{Board, BoardFrame};
use pty::{Pty, Sent};
use truth::Truth;

/// Frames a second of a board whose clock is exact.
pub const FRAMES_PER_SECOND: u64 = 250;
/// Longest wait, so that a stop is noticed soon.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// Time that the pty stays after the last frame, so that the host can fetch it.
const LINGER: Duration = Duration::from_secs(1);
/// The same for a host that is slow to fetch what is there.
const LONGEST_LINGER: Duration = Duration::from_secs(5);

/// What to emulate, and for how long.
#[derive(Clone, Debug)]
pub struct EmulateOptions {
    /// Symbolic link to make, under which the host opens the pty.
    pub link: PathBuf,
    /// With a Daisy: sixteen channels.
    pub daisy: bool,
    /// Stretches that the radio loses, in any order.
    pub gaps: Vec<Gap>,
    /// Streaming time after which the emulator ends; `None` to go on until stopped.
    pub seconds: Option<f64>,
    /// Where to write every row that was really sent, as CSV.
    pub truth: Option<PathBuf>,
    /// Speed of the board's clock over the host's; 1 is exact.
    pub rate_factor: f64,
}

impl EmulateOptions {
    /// A board of eight channels without losses that runs until stopped.
    pub fn new(link: impl Into<PathBuf>) -> Self {
        Self { link: link.into(), daisy: false, gaps: Vec::new(), seconds: None, truth: None, rate_factor: 1.0 }
    }
}

/// Frames that are made but not sent: the counter runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First frame lost, counted from 0 at the first after `b`.
    pub at: u64,
    /// Frames lost.
    pub frames: u64,
}

impl FromStr for Gap {
    type Err = anyhow::Error;

    /// Reads `N:K`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let wrong = || format!("a gap is written N:K (at sample N, K samples are lost), got `{text}`");
        let (at, frames) = text.split_once(':').with_context(wrong)?;
        let gap = Self { at: at.parse().with_context(wrong)?, frames: frames.parse().with_context(wrong)? };
        ensure!(gap.frames > 0 && gap.at.checked_add(gap.frames).is_some(), wrong());
        Ok(gap)
    }
}

/// What was done with the frames: `made = sent + lost in gaps + dropped + unfinished`, where at most one is unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmulateReport {
    /// Frames the board made, over all its streams.
    pub made: u64,
    /// Frames written to the pty whole.
    pub sent: u64,
    /// Frames not sent because a gap was asked for.
    pub lost_in_gaps: u64,
    /// Frames not sent because the host did not read.
    pub dropped: u64,
    /// Times that the host sent `b`.
    pub streams: u64,
}

impl fmt::Display for EmulateReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { made, sent, lost_in_gaps, dropped, streams } = self;
        let plural = if *streams == 1 { "" } else { "s" };
        write!(
            f,
            "made {made} frames in {streams} stream{plural}: {sent} sent, {lost_in_gaps} lost in gaps, \
             {dropped} dropped because the host did not read"
        )
    }
}

/// Runs a board until its time is over or `stop` is set, and removes the link. Says on stdout where it listens and,
/// at the end, what it did.
///
/// # Errors
/// When the link or the truth file cannot be made, or the pty fails.
pub fn run(options: &EmulateOptions, stop: &AtomicBool) -> anyhow::Result<EmulateReport> {
    let factor = options.rate_factor;
    ensure!((0.01..=100.0).contains(&factor), "the rate factor must be within 0.01..=100, got {factor}");
    if let Some(seconds) = options.seconds {
        ensure!((0.0..=1e9).contains(&seconds), "the seconds to stream must be within 0..=1e9, got {seconds}");
    }
    let truth = options.truth.as_deref().map(|path| Truth::create(path, options.daisy)).transpose()?;
    let pty = Pty::open(&options.link)?;
    let name = if options.daisy { "Cyton with Daisy" } else { "Cyton" };
    say(format_args!("{name} on {} -> {}", options.link.display(), pty.name()));
    let mut emulator = Emulator {
        board: Board::new(options.daisy),
        pty,
        truth,
        gaps: options.gaps.clone(),
        frame_ns: 1e9 / FRAMES_PER_SECOND as f64 / factor,
        frames_left: options.seconds.map(|seconds| (seconds * FRAMES_PER_SECOND as f64).round() as u64),
        stream_began: None,
        unfinished: None,
        is_dropping: false,
        report: EmulateReport::default(),
    };
    emulator.run(stop)?;
    say(format_args!("{}", emulator.report));
    Ok(emulator.report)
}

fn say(text: fmt::Arguments<'_>) {
    // A closed stdout is no reason to stop being a board.
    let _ = writeln!(std::io::stdout(), "{text}");
}

struct Emulator {
    board: Board,
    pty: Pty,
    truth: Option<Truth>,
    gaps: Vec<Gap>,
    frame_ns: f64,
    frames_left: Option<u64>,
    /// When frame 0 of the present stream was due.
    stream_began: Option<Instant>,
    /// A frame of which only a part could be written yet.
    unfinished: Option<BoardFrame>,
    is_dropping: bool,
    report: EmulateReport,
}

impl Emulator {
    fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        while !stop.load(Ordering::Relaxed) && self.frames_left != Some(0) {
            self.serve()?;
            let wait = self.send_due_frames()?;
            self.flush_truth()?;
            self.pty.wait(wait.min(LONGEST_WAIT))?;
        }
        self.linger(stop)?;
        self.flush_truth()
    }

    /// Leaves the last frames to the host.
    fn linger(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        self.board.stop();
        let ended = Instant::now();
        let mut was_fetched = false;
        while !stop.load(Ordering::Relaxed) && ended.elapsed() < LONGEST_LINGER {
            let is_fetched = self.pty.is_fetched()?;
            if is_fetched && was_fetched && ended.elapsed() >= LINGER {
                break;
            }
            was_fetched = is_fetched;
            self.serve()?;
            self.flush_truth()?;
            self.pty.wait(LONGEST_WAIT)?;
        }
        Ok(())
    }

    /// Writes what is left over, reads commands and answers them.
    fn serve(&mut self) -> anyhow::Result<()> {
        self.finish_frame()?;
        let mut commands = [0; 256];
        let mut reply = Vec::new();
        let count = self.pty.read(&mut commands)?;
        for &command in &commands[..count] {
            let was_streaming = self.board.is_streaming();
            self.board.command(command, &mut reply);
            if self.board.is_streaming() && !was_streaming && self.frames_left != Some(0) {
                tracing::info!("stream started");
                self.report.streams += 1;
                self.stream_began = Some(Instant::now());
                if let Some(truth) = &mut self.truth {
                    truth.begin();
                }
            } else if was_streaming && !self.board.is_streaming() {
                tracing::info!("stream stopped");
            }
        }
        self.pty.reply(&reply)
    }

    /// Sends every frame that is due and returns the time until the next.
    fn send_due_frames(&mut self) -> anyhow::Result<Duration> {
        while let Some(began) = self.stream_began.filter(|_| self.board.is_streaming() && self.frames_left != Some(0)) {
            // From the frame's number, so that errors do not add up.
            let due = Duration::from_nanos((self.board.next_sample() as f64 * self.frame_ns) as u64);
            let now = began.elapsed();
            if due > now {
                return Ok(due - now);
            }
            let frame = self.board.make_frame();
            self.frames_left = self.frames_left.map(|frames| frames - 1);
            self.report.made += 1;
            if self.gaps.iter().any(|gap| (gap.at..gap.at + gap.frames).contains(&frame.sample)) {
                self.report.lost_in_gaps += 1;
                continue;
            }
            self.send(frame)?;
        }
        Ok(LONGEST_WAIT)
    }

    fn send(&mut self, frame: BoardFrame) -> anyhow::Result<()> {
        self.finish_frame()?;
        let sent = self.pty.send(&frame.bytes)?;
        match sent {
            Sent::Whole => self.count_sent(&frame)?,
            Sent::Part => self.unfinished = Some(frame),
            Sent::Nothing => self.report.dropped += 1,
        }
        if (sent == Sent::Nothing) != self.is_dropping {
            self.is_dropping = !self.is_dropping;
            let (sample, dropped) = (frame.sample, self.report.dropped);
            if self.is_dropping {
                tracing::warn!(sample, "the host does not read: frames are dropped");
            } else {
                tracing::warn!(sample, dropped, "the host reads again");
            }
        }
        Ok(())
    }

    fn finish_frame(&mut self) -> anyhow::Result<()> {
        if self.pty.flush()?
            && let Some(frame) = self.unfinished.take()
        {
            self.count_sent(&frame)?;
        }
        Ok(())
    }

    fn count_sent(&mut self, frame: &BoardFrame) -> anyhow::Result<()> {
        self.report.sent += 1;
        self.truth.as_mut().map_or(Ok(()), |truth| truth.sent(frame))
    }

    fn flush_truth(&mut self) -> anyhow::Result<()> {
        self.truth.as_mut().map_or(Ok(()), Truth::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_read_from_its_two_numbers() {
        assert_eq!("1000:37".parse::<Gap>().expect("a gap"), Gap { at: 1000, frames: 37 });
        for text in ["", "1000", "1000:", ":3", "a:b", "5:0", "-1:3", "18446744073709551615:1"] {
            let error = text.parse::<Gap>().expect_err(text);
            assert!(error.to_string().starts_with("a gap is written N:K"), "{error}");
        }
    }

    #[test]
    fn a_rate_that_is_none_is_refused_before_anything_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("cyton");
        for rate_factor in [0.0, f64::NAN, -1.0, 1e6] {
            let options = EmulateOptions { rate_factor, ..EmulateOptions::new(&link) };
            let error = run(&options, &AtomicBool::new(true)).expect_err("refused");
            assert!(error.to_string().contains("rate factor must be within"), "{error}");
        }
        assert!(!link.exists());
    }
}
