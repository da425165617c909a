//! The file of all rows that an emulated board really sent, as the host must see them.
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::board::{BoardFrame, FRAME_CHANNELS};

/// CSV of `sample,counter,CH1,...` in counts. `sample` is the index that a host counts which missed nothing: frames
/// from 0 at the first after `b`; with a Daisy pairs of frames, from 0 at the first valid one (counters 2 and 3).
/// Another `b` begins again at 0.
pub(super) struct Truth {
    out: BufWriter<File>,
    path: PathBuf,
    is_daisy: bool,
    daisy_half: Option<(u64, [i32; FRAME_CHANNELS])>,
}

impl Truth {
    /// Creates the file and writes its heading.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn create(path: &Path, is_daisy: bool) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("the truth file {} cannot be made", path.display()))?;
        let mut truth = Self { out: BufWriter::new(file), path: path.to_path_buf(), is_daisy, daisy_half: None };
        let channels = if is_daisy { 2 * FRAME_CHANNELS } else { FRAME_CHANNELS };
        let names: Vec<String> = (1..=channels).map(|channel| format!(",CH{channel}")).collect();
        truth.write(&format!("sample,counter{}\n", names.concat()))?;
        truth.flush()?;
        Ok(truth)
    }

    /// A new stream begins.
    pub(super) fn begin(&mut self) {
        self.daisy_half = None;
    }

    /// Takes a frame that was sent.
    pub(super) fn sent(&mut self, frame: &BoardFrame) -> anyhow::Result<()> {
        if !self.is_daisy {
            return self.row(frame.sample, frame, &[]);
        }
        if frame.sample.is_multiple_of(2) {
            // The very first is the mean of one sample with none.
            self.daisy_half = (frame.sample > 0).then_some((frame.sample, frame.counts));
            return Ok(());
        }
        match self.daisy_half.take() {
            Some((sample, counts)) if sample + 1 == frame.sample => self.row(frame.sample / 2 - 1, frame, &counts),
            _ => Ok(()),
        }
    }

    /// Makes what was written visible to others.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.out.flush().with_context(|| self.problem())
    }

    fn row(&mut self, sample: u64, frame: &BoardFrame, daisy: &[i32]) -> anyhow::Result<()> {
        let mut line = format!("{sample},{}", frame.counter());
        for count in frame.counts.iter().chain(daisy) {
            line.push_str(&format!(",{count}"));
        }
        line.push('\n');
        self.write(&line)
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write_all(text.as_bytes()).with_context(|| self.problem())
    }

    fn problem(&self) -> String {
        format!("the truth file {} cannot be written", self.path.display())
    }
}
