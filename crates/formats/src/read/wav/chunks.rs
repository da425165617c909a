//! The parts of a WAV file: format, samples, cue points and their labels.
use std::collections::HashMap;

use super::super::foreign::{MOST_ANNOTATIONS, Shared};
use crate::{error::SourceError, write::WAV_GUID};

/// Most parts of a file, and most bytes of one that is kept in memory.
const MOST_CHUNKS: usize = 10_000;
const MOST_BYTES: u64 = 32 << 20;
/// A size that is said elsewhere, or not known yet.
const OPEN: u64 = u32::MAX as u64;
/// What may follow samples of which there are none.
const FOLLOWERS: [&[u8; 4]; 7] = [b"LIST", b"cue ", b"fact", b"bext", b"JUNK", b"id3 ", b"PEAK"];

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// Integers of so many bytes, those of one byte without a sign.
    Int(usize),
    Float32,
    Float64,
}

impl Element {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Int(bytes) => bytes,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }
}

/// What the `fmt ` chunk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) element: Element,
    pub(super) channels: usize,
    pub(super) rate_hz: u32,
}

impl Format {
    /// Bytes of a frame.
    pub(super) fn frame_bytes(&self) -> usize {
        self.channels * self.element.bytes()
    }
}

/// A cue point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    pub(super) frame: u64,
    pub(super) label: String,
    /// Frames it covers; 0 for a moment.
    pub(super) frames: u64,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Chunks {
    pub(super) format: Format,
    /// Place of the first sample, in bytes.
    pub(super) data: u64,
    /// Whole frames.
    pub(super) frames: u64,
    pub(super) cues: Vec<Cue>,
    /// True for RF64.
    pub(super) is_large: bool,
    pub(super) warnings: Vec<String>,
}

/// A chunk and where its bytes are.
#[derive(Clone, Copy)]
struct Chunk {
    id: [u8; 4],
    at: u64,
    size: u64,
}

/// What is gathered on the way.
#[derive(Default)]
struct Found {
    format: Option<Format>,
    /// Size of the samples by `ds64`.
    large: Option<u64>,
    data: Option<(u64, u64)>,
    points: Vec<(u32, u64)>,
    labels: HashMap<u32, String>,
    lengths: HashMap<u32, u64>,
    warnings: Vec<String>,
}

impl Chunks {
    /// Reads all chunks of a file of `length` bytes.
    pub(super) fn read(file: &Shared, length: u64) -> Result<Self, SourceError> {
        let mut head = [0; 12];
        if length < 12 {
            let (path, within, needed) = (file.path.to_path_buf(), "its header", 12);
            return Err(SourceError::Cut { path, within, length, needed });
        }
        file.read(0, &mut head)?;
        let is_large = !head.starts_with(b"RIFF");
        let mut found = Found::default();
        let mut at = 12;
        for _ in 0..MOST_CHUNKS {
            let Some(chunk) = chunk_at(file, at, length)? else {
                break;
            };
            let end = found.take(file, chunk, is_large, length)?;
            at = end + end % 2;
        }
        let format = found.format.ok_or_else(|| file.bad("WAV", "a file with a chunk `fmt `", "none"))?;
        let (data, bytes) = found.data.ok_or_else(|| file.bad("WAV", "a file with a chunk `data`", "none"))?;
        let cues = found.points.iter().map(|(id, frame)| Cue {
            frame: *frame,
            label: found.labels.get(id).cloned().unwrap_or_else(|| format!("cue {id}")),
            frames: found.lengths.get(id).copied().unwrap_or(0),
        });
        let (cues, frames) = (cues.collect(), bytes / format.frame_bytes() as u64);
        let rest = bytes % format.frame_bytes() as u64;
        if rest > 0 {
            found.warnings.push(format!("the last {rest} bytes are no whole frame, they are left out"));
        }
        Ok(Self { format, data, frames, cues, is_large, warnings: found.warnings })
    }
}

fn chunk_at(file: &Shared, at: u64, length: u64) -> Result<Option<Chunk>, SourceError> {
    if at.saturating_add(8) > length {
        return Ok(None);
    }
    let mut head = [0; 8];
    file.read(at, &mut head)?;
    let [a, b, c, d, size @ ..] = head;
    Ok(Some(Chunk { id: [a, b, c, d], at: at + 8, size: u32::from_le_bytes(size).into() }))
}

impl Found {
    /// Takes a chunk; returns where it ends.
    fn take(&mut self, file: &Shared, chunk: Chunk, is_large: bool, length: u64) -> Result<u64, SourceError> {
        let left = length - chunk.at;
        if &chunk.id == b"data" && self.data.is_none() {
            let size = self.data_size(file, chunk, is_large, left)?;
            self.data = Some((chunk.at, size));
            return Ok(chunk.at + size);
        }
        if matches!(&chunk.id, b"ds64" | b"fmt " | b"cue " | b"LIST") {
            let mut bytes = vec![0; chunk.size.min(left).min(MOST_BYTES) as usize];
            file.read(chunk.at, &mut bytes)?;
            match &chunk.id {
                b"ds64" => self.large = bytes.get(8..16).map(number),
                b"fmt " => self.format = Some(format(file, &bytes)?),
                b"cue " => self.take_points(&bytes),
                _ => self.take_labels(&bytes),
            }
        }
        Ok(chunk.at.saturating_add(chunk.size).min(length))
    }

    fn data_size(&mut self, file: &Shared, chunk: Chunk, is_large: bool, left: u64) -> Result<u64, SourceError> {
        let said = match self.large.filter(|_| is_large && chunk.size == OPEN) {
            Some(large) => large,
            None if chunk.size == OPEN => u64::MAX,
            None => chunk.size,
        };
        let is_empty = said == 0 && {
            let next = chunk_at(file, chunk.at, chunk.at + left)?;
            next.is_none_or(|next| FOLLOWERS.contains(&&next.id) && next.size <= left)
        };
        if said == u64::MAX || said == 0 && !is_empty {
            self.warnings.push("file was not closed, it is read to its end".into());
            return Ok(left);
        }
        if said > left {
            self.warnings.push(format!("header counts {said} bytes of samples, the file was cut after {left}"));
        }
        Ok(said.min(left))
    }

    fn take_points(&mut self, bytes: &[u8]) {
        let points = bytes.get(4..).unwrap_or_default().chunks_exact(24);
        let room = MOST_ANNOTATIONS.saturating_sub(self.points.len());
        let points = points.take(room).map(|point| (number(&point[..4]) as u32, number(&point[20..24])));
        self.points.extend(points);
    }

    fn take_labels(&mut self, bytes: &[u8]) {
        let Some(mut rest) = bytes.strip_prefix(b"adtl") else {
            return;
        };
        while let Some((head, behind)) = rest.split_at_checked(8) {
            let size = (number(&head[4..8]) as usize).min(behind.len());
            let (body, next) = behind.split_at(size);
            if let Some((id, body)) = body.split_at_checked(4) {
                let id = number(id) as u32;
                match &head[..4] {
                    b"labl" => {
                        let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
                        self.labels.insert(id, String::from_utf8_lossy(text).into_owned());
                    }
                    b"ltxt" if body.len() >= 4 => {
                        self.lengths.insert(id, number(&body[..4]));
                    }
                    _ => {}
                }
            }
            rest = next.get(size % 2..).unwrap_or_default();
        }
    }
}

/// The little-endian number in up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn format(file: &Shared, bytes: &[u8]) -> Result<Format, SourceError> {
    let field = |range: std::ops::Range<usize>| {
        let end = range.end;
        let field = bytes.get(range).map(number);
        field.ok_or_else(|| file.bad("chunk `fmt `", format!("at least {end} bytes long"), &bytes.len().to_string()))
    };
    let (tag, channels, rate_hz) = (field(0..2)?, field(2..4)?, field(4..8)?);
    let (frame_bytes, bits) = (field(12..14)?, field(14..16)?);
    let wrong = |place: &str, expected: &str, found: u64| {
        Err(file.bad(format!("{place} in chunk `fmt `"), expected, &found.to_string()))
    };
    let kind = if tag == 0xfffe {
        if bytes.get(26..40) != Some(&WAV_GUID[..]) {
            return Err(file.bad("format in chunk `fmt `", "PCM or floating point", "an identifier of another format"));
        }
        field(24..26)?
    } else {
        tag
    };
    if channels == 0 {
        return wrong("number of channels", "at least 1", channels);
    }
    if rate_hz == 0 {
        return wrong("rate", "at least 1 Hz", rate_hz);
    }
    if frame_bytes % channels != 0 || frame_bytes == 0 || bits.div_ceil(8) != frame_bytes / channels {
        return wrong("bytes of a frame", &format!("those of {channels} samples of {bits} bits"), frame_bytes);
    }
    let element = match (kind, frame_bytes / channels) {
        (1, bytes @ 1..=4) => Element::Int(bytes as usize),
        (1, _) => return wrong("bits of a sample", "8, 16, 24 or 32", bits),
        (3, 4) => Element::Float32,
        (3, 8) => Element::Float64,
        (3, _) => return wrong("bits of a sample", "32 or 64 for floating point", bits),
        (other, _) => return wrong("format", "1 (PCM) or 3 (floating point)", other),
    };
    Ok(Format { element, channels: channels as usize, rate_hz: rate_hz as u32 })
}
