//! WAV: 24- or 32-bit counts, or 32-bit floating point; RF64 beyond 4 GiB.
use std::io::{Seek, SeekFrom, Write};

use wavedeck_api::signal::{ChannelSpec, Rate};

use super::sidecar::Sidecar;
use crate::export::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Survey, Values};

/// Bytes before the first sample: RIFF, `JUNK` to become `ds64`, `fmt `, `fact`, `data`.
const HEADER: u64 = 12 + 36 + 48 + 12 + 8;
/// The end of both identifiers of a format within `fmt `.
pub(crate) const GUID: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// Largest file of plain WAV.
const LARGEST: u64 = u32::MAX as u64;

/// Writes WAV. Missing frames are zeros, so that time runs on; marks are cue points with labels.
pub(crate) struct Wav<W: Write + Seek> {
    out: W,
    counts: bool,
    element: Element,
    channels: Vec<ChannelSpec>,
    rate_hz: u32,
    first_index: u64,
    frames: u64,
    filled: u64,
    gaps: u64,
    cues: Vec<(u64, String)>,
    sidecar: Sidecar,
    warnings: Vec<String>,
    bytes: Vec<u8>,
    values: Vec<f32>,
    /// Beyond this size the file is RF64.
    largest: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Element {
    Int24,
    Int32,
    Float32,
}

impl Element {
    fn bytes(self) -> u64 {
        if self == Self::Int24 { 3 } else { 4 }
    }
}

impl<W: Write + Seek> Wav<W> {
    /// `counts` if they are wanted as they are.
    pub(crate) fn new(out: W, counts: bool) -> Self {
        Self {
            out,
            counts,
            element: Element::Float32,
            channels: Vec::new(),
            rate_hz: 0,
            first_index: 0,
            frames: 0,
            filled: 0,
            gaps: 0,
            cues: Vec::new(),
            sidecar: Sidecar::default(),
            warnings: Vec::new(),
            bytes: Vec::new(),
            values: Vec::new(),
            largest: LARGEST,
        }
    }

    fn frame_bytes(&self) -> u64 {
        self.element.bytes() * self.channels.len() as u64
    }

    /// The header of a file with so many bytes behind the samples.
    fn header(&self, tail: u64) -> Vec<u8> {
        let data = self.frames * self.frame_bytes();
        let riff = HEADER - 8 + data + data % 2 + tail;
        let is_large = riff > self.largest;
        let short = |n: u64| if is_large { u32::MAX } else { n as u32 };
        let mut out = Vec::new();
        out.extend(if is_large { b"RF64" } else { b"RIFF" });
        out.extend(short(riff).to_le_bytes());
        out.extend(b"WAVE");
        out.extend(if is_large { b"ds64" } else { b"JUNK" });
        out.extend(28u32.to_le_bytes());
        for n in if is_large { [riff, data, self.frames] } else { [0; 3] } {
            out.extend(n.to_le_bytes());
        }
        out.extend(0u32.to_le_bytes());
        out.extend(b"fmt ");
        out.extend(40u32.to_le_bytes());
        out.extend(0xfffeu16.to_le_bytes());
        out.extend((self.channels.len() as u16).to_le_bytes());
        out.extend(self.rate_hz.to_le_bytes());
        let per_second = u64::from(self.rate_hz) * self.frame_bytes();
        out.extend(u32::try_from(per_second).unwrap_or(u32::MAX).to_le_bytes());
        out.extend((self.frame_bytes() as u16).to_le_bytes());
        let bits = 8 * self.element.bytes() as u16;
        out.extend(bits.to_le_bytes());
        out.extend(22u16.to_le_bytes());
        out.extend(bits.to_le_bytes());
        // No loudspeaker is meant.
        out.extend(0u32.to_le_bytes());
        out.extend(if self.element == Element::Float32 { 3u16 } else { 1 }.to_le_bytes());
        out.extend(GUID);
        out.extend(b"fact");
        out.extend(4u32.to_le_bytes());
        out.extend(short(self.frames).to_le_bytes());
        out.extend(b"data");
        out.extend(short(data).to_le_bytes());
        out
    }

    /// The cue points and their labels.
    fn tail(&mut self) -> Vec<u8> {
        let all = self.cues.len();
        self.cues.retain(|(frame, _)| u32::try_from(*frame).is_ok());
        if self.cues.len() < all {
            let lost = all - self.cues.len();
            self.warnings.push(format!("{lost} markers beyond frame {} stand in the sidecar only", u32::MAX));
        }
        let mut out = Vec::new();
        if self.cues.is_empty() {
            return out;
        }
        out.extend(b"cue ");
        out.extend((4 + 24 * self.cues.len() as u32).to_le_bytes());
        out.extend((self.cues.len() as u32).to_le_bytes());
        let mut list = b"adtl".to_vec();
        for (id, (frame, label)) in (1u32..).zip(&self.cues) {
            out.extend(id.to_le_bytes());
            out.extend((*frame as u32).to_le_bytes());
            out.extend(b"data");
            out.extend([0; 8]);
            out.extend((*frame as u32).to_le_bytes());
            let label = label.replace('\0', " ");
            list.extend(b"labl");
            list.extend((label.len() as u32 + 5).to_le_bytes());
            list.extend(id.to_le_bytes());
            list.extend(label.bytes());
            // The end of the text, and an even length.
            list.resize(list.len() + 2 - label.len() % 2, 0);
        }
        out.extend(b"LIST");
        out.extend((list.len() as u32).to_le_bytes());
        out.extend(list);
        out
    }
}

impl<W: Write + Seek> Sink for Wav<W> {
    /// Whether counts fit 24 bits shows the last of them only.
    fn needs_survey(&self) -> bool {
        self.counts
    }

    fn begin(&mut self, header: &Header<'_>, survey: Option<&Survey>) -> Result<(), ExportError> {
        let fits = |extent: &crate::export::Extent| extent.min >= -8_388_608.0 && extent.max <= 8_388_607.0;
        self.element = match survey {
            _ if !header.counts => Element::Float32,
            Some(survey) if survey.extents.iter().all(fits) => Element::Int24,
            _ => Element::Int32,
        };
        self.channels = header.channels.to_vec();
        self.first_index = header.first_index;
        self.rate_hz = whole_hz(header.rate, &mut self.warnings)?;
        let element = match self.element {
            Element::Int24 => "int24",
            Element::Int32 => "int32",
            Element::Float32 => "float32",
        };
        self.sidecar.begin(header, element);
        Ok(self.out.write_all(&self.header(0))?)
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), ExportError> {
        self.sidecar.gap(gap, self.frames);
        let mut left = super::fill_bytes("WAV", gap, self.frame_bytes())?;
        self.gaps += 1;
        self.filled += gap.n;
        self.frames += gap.n;
        self.bytes.clear();
        self.bytes.resize(left.min(1 << 20) as usize, 0);
        while left > 0 {
            let n = left.min(self.bytes.len() as u64);
            self.out.write_all(&self.bytes[..n as usize])?;
            left -= n;
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        let frame = mark.index - self.first_index;
        self.cues.push((frame, mark.label.clone()));
        self.sidecar.mark(mark, frame);
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        self.bytes.clear();
        match (frames.values, self.element) {
            (Values::Counts(counts), Element::Int24) => {
                for count in counts {
                    self.bytes.extend_from_slice(&count.to_le_bytes()[..3]);
                }
            }
            (Values::Counts(counts), Element::Int32) => {
                self.bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
            }
            (values, _) => {
                self.values.clear();
                values.to_units(&self.channels, &mut self.values);
                self.bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        self.frames += (frames.values.len() / self.channels.len()) as u64;
        Ok(self.out.write_all(&self.bytes)?)
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        let tail = self.tail();
        if self.frames * self.frame_bytes() % 2 == 1 {
            self.out.write_all(&[0])?;
        }
        self.out.write_all(&tail)?;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&self.header(tail.len() as u64))?;
        self.out.flush()?;
        let mut remarks = Vec::new();
        if self.filled > 0 {
            remarks.push(format!("{} missing frames in {} gaps are zeros", self.filled, self.gaps));
        }
        let sidecar = Some(self.sidecar.finish(self.frames, "zeros"));
        Ok(Notes { remarks, warnings: std::mem::take(&mut self.warnings), sidecar })
    }
}

/// The rate as WAV can say it.
fn whole_hz(rate: Rate, warnings: &mut Vec<String>) -> Result<u32, ExportError> {
    let rounded = rate.hz().round().max(1.0);
    if rounded > f64::from(u32::MAX) {
        let what = format!("its rate must be at most {} Hz, got {} Hz", u32::MAX, rate.hz());
        return Err(ExportError::Unfit { format: "WAV", what });
    }
    if rate.denominator() != 1 {
        warnings.push(format!(
            "WAV knows whole rates only: {rounded} Hz is said, {} Hz ({rate}) is in the sidecar",
            rate.hz()
        ));
    }
    Ok(rounded as u32)
}

#[cfg(test)]
mod tests;
