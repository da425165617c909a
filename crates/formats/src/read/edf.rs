//! EDF, EDF+, BDF and BDF+.
mod about;
mod header;
mod records;
mod tal;
mod timeline;

use std::{path::Path, sync::Arc};

use header::Header;
use records::{Records, Stream};
use timeline::Timeline;
use wavedeck_api::signal::{Rate, SignalKind, StreamSpec};

use super::{
    foreign::{BLOCK_VALUES, Contents, Foreign, Shared, free_name, stream_parts},
    number::nearest_index,
    runs::{Clock, Run, Runs},
};
use crate::{
    error::SourceError,
    source::{Annotation, SourceStream},
    write::{PADDING, SKIP},
};

/// A time in the file may be rounded by so much.
const ROUNDING_NS: i64 = 1000;

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// EDF.
    Bits16,
    /// BDF.
    Bits24,
}

impl Width {
    fn bytes(self) -> usize {
        if self == Self::Bits16 { 2 } else { 3 }
    }
}

/// Signals of one rate.
struct Group {
    rate: Rate,
    samples: usize,
    signals: Vec<usize>,
}

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<Foreign, SourceError> {
    let (file, length) = Shared::open(path)?;
    let mut header = Header::read(&file, length)?;
    let mut contents = Contents::default();
    contents.about.path = path.to_owned();
    contents.about.format = header.format();
    contents.about.warnings = std::mem::take(&mut header.warnings);
    let (device, start) = about::describe(&header, &mut contents.about);
    let groups = groups(&file, &header)?;
    let records = whole_records(&header, length, &mut contents.about.warnings);

    let fastest = groups.iter().map(|group| group.rate).max_by(|a, b| a.hz().total_cmp(&b.hz()));
    let half_sample_ns = fastest.map_or(0, |rate| (0.5e9 / rate.hz()) as i64);
    let timeline = Timeline::read(&file, &header, records, half_sample_ns)?;
    contents.about.warnings.extend_from_slice(&timeline.warnings);
    let base_ns = start.unwrap_or(0).saturating_add_signed(timeline.first_ns);
    contents.about.start_unix_ns = start.map(|_| base_ns);

    let mut streams = Vec::new();
    for group in &groups {
        let real = real_frames(&timeline, group, records, &mut contents.about.warnings);
        let runs = real.without(made_up(&timeline, group.rate, real.span().1));
        for part in stream_parts(&group.signals) {
            let name = if groups.len() == 1 {
                "signals".into()
            } else {
                format!("signals_{}hz", (group.rate.hz() * 1e3).round() / 1e3)
            };
            let name = free_name(name, |name| contents.streams.iter().any(|stream| stream.name == name));
            let number = contents.streams.len();
            let reason = if header.is_discontinuous() { "discontinuous" } else { "skipped" };
            contents.missing.extend(runs.missing(number, reason));
            let channels = part.iter().map(|signal| header.signals[*signal].channel.clone()).collect();
            let max_batch = (BLOCK_VALUES as usize / part.len()).max(1) as u32;
            let spec = StreamSpec { kind: SignalKind::Counts, channels, rate: group.rate, max_batch, spectrum: None };
            let (first_index, end_index) = runs.span();
            contents.streams.push(SourceStream { name, spec, device: device.clone(), first_index, end_index });
            streams.push(Stream {
                offsets: part.iter().map(|signal| header.signals[*signal].offset).collect(),
                samples: group.samples,
                runs: Arc::new(runs.clone()),
                clock: Clock { start_ns: base_ns, rate: group.rate },
            });
        }
    }
    contents.annotations = annotations(&timeline, base_ns, fastest);
    let (header_bytes, record_bytes) = (header.bytes, header.record_bytes);
    Ok(Foreign::new(contents, Records { file, width: header.width, header_bytes, record_bytes, records, streams }))
}

/// Signals by their rate, in the order of the file.
fn groups(file: &Shared, header: &Header) -> Result<Vec<Group>, SourceError> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, signal) in header.signals.iter().enumerate() {
        if signal.is_annotations || signal.samples == 0 {
            continue;
        }
        if let Some(group) = groups.iter_mut().find(|group| group.samples == signal.samples) {
            group.signals.push(number);
            continue;
        }
        let samples = signal.samples;
        let rate = header.duration.rate_of(samples as u64).ok_or_else(|| {
            let found = format!("{}e{}", header.duration.digits, header.duration.exponent);
            file.bad("duration of a record at byte 244", "a positive number of seconds", &found)
        })?;
        groups.push(Group { rate, samples, signals: vec![number] });
    }
    Ok(groups)
}

/// Number of whole records.
fn whole_records(header: &Header, length: u64, warnings: &mut Vec<String>) -> u64 {
    if header.record_bytes == 0 {
        return 0;
    }
    let bytes = length.saturating_sub(header.bytes);
    let (whole, rest) = (bytes / header.record_bytes as u64, bytes % header.record_bytes as u64);
    match header.records {
        Some(said) if said > whole => {
            warnings.push(format!("header counts {said} records, the file was cut after {whole}"));
            whole
        }
        Some(said) => {
            let behind = bytes - said * header.record_bytes as u64;
            if behind > 0 {
                warnings.push(format!("{behind} bytes behind the last of {said} records are left out"));
            }
            said
        }
        None => {
            let part = if rest > 0 { " and a part of one, which is left out" } else { "" };
            warnings.push(format!("file was not closed, it holds {whole} records{part}"));
            whole
        }
    }
}

/// The frames of the file, with what lies between records.
fn real_frames(timeline: &Timeline, group: &Group, records: u64, warnings: &mut Vec<String>) -> Runs {
    let mut runs = Runs::default();
    let ends = timeline.segments.iter().skip(1).map(|segment| segment.record).chain([records]);
    let mut far = 0;
    for (segment, end) in timeline.segments.iter().zip(ends) {
        let samples = group.samples as u64;
        let least = runs.span().1;
        let index = nearest_index(segment.start_ns, group.rate).unwrap_or_else(|| {
            far += 1;
            least
        });
        let n = end.saturating_sub(segment.record) * samples;
        runs.push(Run { index: index.max(least), frame: segment.record * samples, n });
    }
    if far > 0 {
        warnings.push(format!("{far} records are too far in the future, the gaps before them are closed"));
    }
    runs
}

/// Samples that annotations say are no data: indices of the first and after the last, in ascending order.
fn made_up(timeline: &Timeline, rate: Rate, end: u64) -> Vec<(u64, u64)> {
    let span = |note: &tal::Note| {
        let duration_ns = note.duration_s.map(|seconds| (seconds * 1e9).round() as i64)?;
        let first_ns = note.onset_ns.checked_sub(timeline.first_ns)?;
        Some((nearest_index(first_ns.max(0), rate)?, nearest_index(first_ns.checked_add(duration_ns)?, rate)?))
    };
    let spans = timeline.notes.iter().filter_map(|note| match &*note.text {
        SKIP => span(note),
        // Only at the end it can be what it says.
        PADDING => span(note).filter(|(_, last)| *last >= end),
        _ => None,
    });
    let mut spans: Vec<(u64, u64)> = spans.collect();
    spans.sort_unstable();
    spans
}

/// All that is annotated but for what has become gaps.
fn annotations(timeline: &Timeline, base_ns: u64, fastest: Option<Rate>) -> Vec<Annotation> {
    let is_gap = |note: &tal::Note| note.duration_s.is_some() && (note.text == SKIP || note.text == PADDING);
    let time_of = |note: &tal::Note| {
        let since = note.onset_ns.saturating_sub(timeline.first_ns);
        let sample = fastest.and_then(|rate| {
            let at = i64::try_from(rate.nanoseconds_at(nearest_index(since, rate)?)).ok()?;
            // A rounded time must not fall behind the sample it means.
            (at.abs_diff(since) <= ROUNDING_NS as u64 && rate.hz() < 1e5).then_some(at)
        });
        base_ns.saturating_add_signed(sample.unwrap_or(since))
    };
    let kept = timeline.notes.iter().filter(|note| !is_gap(note));
    kept.map(|note| Annotation {
        label: note.text.clone(),
        source: String::new(),
        time_ns: time_of(note),
        sample: None,
        duration_s: note.duration_s,
    })
    .collect()
}
