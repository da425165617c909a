//! WAV and RF64, with the file beside it if this program wrote them.
mod chunks;
mod frames;
mod sidecar;

use std::{ops::Range, path::Path, sync::Arc};

use chunks::{Chunks, Element};
use frames::Frames;
use sidecar::Sidecar;
use wavedeck_api::signal::{ChannelSpec, Rate, SignalKind, StreamSpec};

use super::{
    foreign::{BLOCK_VALUES, Contents, Foreign, Shared, free_name, stream_parts},
    runs::{Clock, Run, Runs},
};
use crate::{
    error::SourceError,
    source::{About, Annotation, SourceStream},
};

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<Foreign, SourceError> {
    let (file, length) = Shared::open(path)?;
    let mut chunks = Chunks::read(&file, length)?;
    let mut warnings = std::mem::take(&mut chunks.warnings);
    let sidecar = Sidecar::beside(path, &chunks).unwrap_or_else(|warning| {
        warnings.push(warning);
        None
    });
    let format = if chunks.is_large { "RF64" } else { "WAV" }.to_owned();
    let mut contents =
        Contents { about: About { path: path.to_owned(), format, ..About::default() }, ..Contents::default() };
    let whole = Rate::new(chunks.format.rate_hz.into(), 1);
    let rate = sidecar.as_ref().map(|sidecar| sidecar.rate).or(whole);
    let rate = rate.ok_or_else(|| file.bad("rate in chunk `fmt `", "at least 1 Hz", "0"))?;
    let first_index = sidecar.as_ref().map_or(0, |sidecar| sidecar.first_index);
    let start_ns = sidecar.as_ref().and_then(|sidecar| sidecar.start_unix_ns);
    let origin_ns = start_ns.map_or(0, |ns| ns.saturating_sub(rate.nanoseconds_at(first_index)));
    let clock = Clock { start_ns: origin_ns, rate };
    contents.about.start_unix_ns = start_ns;

    let mut runs = Runs::default();
    runs.push(Run { index: first_index, frame: 0, n: chunks.frames });
    let specs: Vec<ChannelSpec>;
    let (mut name, mut device) = ("signals".to_owned(), String::new());
    if let Some(sidecar) = sidecar {
        runs = runs.without(sidecar.gaps.iter().map(|(first, n, _)| (*first, first + n)));
        let mut missing = runs.missing(0, "");
        for run in &mut missing {
            let gap = sidecar.gaps.iter().find(|(first, n, _)| (*first..first + n).contains(&run.first_index));
            run.reason = gap.map(|(_, _, reason)| reason.clone()).unwrap_or_default();
        }
        contents.missing = missing;
        contents.annotations.extend(sidecar.marks.into_iter().map(|mark| Annotation {
            label: mark.label,
            source: mark.source,
            time_ns: clock.at(mark.index),
            sample: Some((0, mark.index)),
            duration_s: mark.duration_s,
        }));
        specs = sidecar.channels;
        name = if sidecar.stream.is_empty() { name } else { sidecar.stream };
        device = sidecar.device;
        contents.about.subject = sidecar.subject;
        contents.about.operator = sidecar.operator;
        contents.about.session = sidecar.session;
    } else {
        specs = (1..=chunks.format.channels).map(|number| full_scale(number, chunks.format.element)).collect();
        contents.annotations.extend(chunks.cues.iter().map(|cue| Annotation {
            label: cue.label.clone(),
            source: String::new(),
            time_ns: clock.at(cue.frame),
            sample: Some((0, cue.frame)),
            duration_s: (cue.frames > 0).then(|| cue.frames as f64 / rate.hz()),
        }));
    }
    contents.about.warnings = warnings;

    let kind = if matches!(chunks.format.element, Element::Int(_)) { SignalKind::Counts } else { SignalKind::Physical };
    let first_missing = contents.missing.clone();
    let mut streams: Vec<Range<usize>> = Vec::new();
    let (first_index, end_index) = runs.span();
    let numbers: Vec<usize> = (0..specs.len()).collect();
    for part in stream_parts(&numbers) {
        let channels = part[0]..part[0] + part.len();
        let max_batch = (BLOCK_VALUES as usize / part.len()) as u32;
        let spec = StreamSpec { kind, channels: specs[channels.clone()].into(), rate, max_batch, spectrum: None };
        let name = free_name(name.clone(), |name| contents.streams.iter().any(|stream| stream.name == name));
        if !streams.is_empty() {
            let stream = streams.len();
            contents
                .missing
                .extend(first_missing.iter().cloned().map(|run| crate::source::MissingRun { stream, ..run }));
        }
        contents.streams.push(SourceStream { name, spec, device: device.clone(), first_index, end_index });
        streams.push(channels);
    }
    let (format, data, runs) = (chunks.format, chunks.data, Arc::new(runs));
    Ok(Foreign::new(contents, Frames { file, format, data, runs, clock, streams: streams.into() }))
}

/// A channel of which all that is known is how large a sample can be.
fn full_scale(number: usize, element: Element) -> ChannelSpec {
    let name = format!("CH{number}");
    match element {
        Element::Int(bytes) => {
            let scale = 2f64.powi(1 - 8 * bytes as i32);
            ChannelSpec { range: Some((-1.0, 1.0)), ..ChannelSpec::counts(name, "FS", scale) }
        }
        Element::Float32 | Element::Float64 => ChannelSpec::physical(name, "FS"),
    }
}
