//! One export: which samples, and the walk over them.
use std::{borrow::Cow, ops::Range};

use wavedeck_api::signal::{ChannelSpec, Rate, SignalKind};
use wavedeck_recording::{DecodedBatch, Samples};

use super::{
    ExportError, ExportOptions, ExportSummary, Frames, Gap, Header, OnProgress, Progress, Sink, Survey, Values,
    marks::Marks,
};
use crate::source::{Source, SourceStream};

/// What to export, found in the file.
pub(crate) struct Job<'a> {
    source: &'a dyn Source,
    stream: usize,
    /// Numbers of the channels wanted.
    numbers: Vec<usize>,
    channels: Vec<ChannelSpec>,
    counts: bool,
    from_s: f64,
    to_s: f64,
}

/// Sample indices.
struct Span {
    origin: u64,
    /// The range wanted.
    wanted: Range<u64>,
    /// Index and Unix time of the first frame in it; `None` if there is none.
    first: Option<(u64, u64)>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(source: &'a dyn Source, options: &ExportOptions) -> Result<Self, ExportError> {
        let stream = choose_stream(source.streams(), options)?;
        let SourceStream { name, spec, .. } = &source.streams()[stream];
        let numbers = choose_channels(options, spec.channels.len())?;
        if options.counts && spec.kind != SignalKind::Counts {
            return Err(ExportError::NoCounts { stream: name.clone() });
        }
        let (from_s, to_s) = (options.from_s.unwrap_or(0.0), options.to_s.unwrap_or(f64::INFINITY));
        if from_s.is_nan() || to_s.is_nan() || to_s <= from_s {
            return Err(ExportError::Range { from_s, to_s });
        }
        let channels = numbers.iter().map(|number| spec.channels[*number].clone()).collect();
        Ok(Self { source, stream, numbers, channels, counts: options.counts, from_s, to_s })
    }

    /// Feeds a writer; returns the summary and what belongs beside the output.
    pub(crate) fn run(
        &self,
        sink: &mut dyn Sink,
        progress: &mut OnProgress<'_>,
    ) -> Result<(ExportSummary, Option<serde_json::Value>), ExportError> {
        let span = self.span()?;
        let (origin, (first_index, start_ns)) = (span.origin, span.first.unwrap_or((span.origin, 0)));
        let stream = &self.source.streams()[self.stream];
        let header = Header {
            about: self.source.about(),
            stream,
            channels: &self.channels,
            rate: stream.spec.rate,
            counts: self.counts,
            origin,
            first_index,
            start_ns,
        };
        let end_index = stream.end_index.min(span.wanted.end).max(first_index);
        let length = end_index - first_index;
        let passes = if sink.needs_survey() { 2 } else { 1 };
        let frame_bytes = 4 * self.channels.len() as u64;
        let total = passes * length;
        let mut tell = |before: u64, end: u64| {
            let done = (before + end.saturating_sub(first_index)).min(total);
            let flow = progress(Progress { done, total, frame_bytes });
            if flow.is_break() { Err(ExportError::Stopped) } else { Ok(()) }
        };
        let mut survey = None;
        if sink.needs_survey() {
            let mut found = Survey::default();
            found.begin(&header, None)?;
            self.walk(&span, &mut found, &mut |end| tell(0, end))?;
            survey = Some(found);
        }
        sink.begin(&header, survey.as_ref())?;
        let mut summary = self.walk(&span, sink, &mut |end| tell(total - length, end))?;
        let notes = sink.finish()?;
        summary.remarks = notes.remarks;
        summary.warnings = notes.warnings;
        Ok((summary, notes.sidecar))
    }

    fn span(&self) -> Result<Span, ExportError> {
        let rate = self.rate();
        let first_from = |index: u64| {
            let blocks = self.source.blocks(self.stream, index)?;
            Ok::<_, ExportError>(blocks.filter_map(Result::ok).find(|block| block.end_index() > index))
        };
        // A damaged first part must not move the origin of time without need, but nothing better is left.
        let Some(block) = first_from(0)? else {
            return Ok(Span { origin: 0, wanted: 0..0, first: None });
        };
        let origin = block.first_index;
        let at = |seconds| origin.saturating_add(index_at(rate, seconds));
        let wanted = at(self.from_s)..at(self.to_s);
        let first = first_from(wanted.start)?.map(|block| {
            let index = wanted.start.max(block.first_index);
            (index, time_of(&block, index, rate))
        });
        Ok(Span { origin, first: first.filter(|(index, _)| *index < wanted.end), wanted })
    }

    fn rate(&self) -> Rate {
        self.source.streams()[self.stream].spec.rate
    }

    /// One pass over the samples; `tell` gets the index after each block.
    fn walk(
        &self,
        span: &Span,
        sink: &mut dyn Sink,
        tell: &mut dyn FnMut(u64) -> Result<(), ExportError>,
    ) -> Result<ExportSummary, ExportError> {
        let mut summary = ExportSummary::default();
        let Some(first) = span.first else {
            return Ok(summary);
        };
        let (rate, wanted) = (self.rate(), &span.wanted);
        let mut marks = Marks::of(self.source, self.stream, wanted, span.origin, first);
        let mut next_index = first.0;
        let mut picked = Picked::default();
        for block in self.source.blocks(self.stream, wanted.start)? {
            let block = match block {
                Ok(block) => block,
                Err(error) if error.can_go_on() => {
                    summary.damaged_parts += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if block.first_index >= wanted.end {
                break;
            }
            let kept = block.first_index.max(next_index)..block.end_index().min(wanted.end);
            if kept.is_empty() {
                continue;
            }
            if kept.start > next_index {
                let gap = self.gap(next_index, kept.start - next_index);
                summary.gaps += 1;
                summary.missing += gap.n;
                sink.gap(&gap)?;
            }
            let t0_ns = time_of(&block, kept.start, rate);
            for mark in marks.up_to(kept.start, kept.end, t0_ns) {
                summary.markers += 1;
                sink.mark(&mark)?;
            }
            let values = picked.of(&block, &kept, &self.numbers);
            sink.frames(&Frames { first_index: kept.start, t0_ns, values })?;
            summary.rows += kept.end - kept.start;
            next_index = kept.end;
            tell(next_index)?;
        }
        for mark in marks.rest(next_index.saturating_sub(1)) {
            if summary.rows > 0 {
                summary.markers += 1;
                sink.mark(&mark)?;
            }
        }
        Ok(summary)
    }

    fn gap(&self, first_index: u64, n: u64) -> Gap {
        let overlaps = |run: &&crate::source::MissingRun| {
            run.stream == self.stream
                && run.first_index < first_index + n
                && run.first_index.saturating_add(run.n) > first_index
        };
        let reason = self.source.missing().iter().find(overlaps).map(|run| run.reason.clone()).unwrap_or_default();
        Gap { first_index, n, reason }
    }
}

/// Room for the values of the channels wanted.
#[derive(Default)]
struct Picked {
    counts: Vec<i32>,
    values: Vec<f32>,
}

impl Picked {
    fn of<'b>(&'b mut self, block: &'b DecodedBatch, kept: &Range<u64>, numbers: &[usize]) -> Values<'b> {
        let begin = (kept.start - block.first_index) as usize;
        let frames = begin..begin + (kept.end - kept.start) as usize;
        let n_frames = block.n_frames as usize;
        match &block.samples {
            Samples::Counts(all) => Values::Counts(pick(all, n_frames, frames, numbers, &mut self.counts)),
            Samples::Values(all) => Values::Physical(pick(all, n_frames, frames, numbers, &mut self.values)),
        }
    }
}

fn pick<'b, T: Copy>(
    all: &'b [T],
    n_frames: usize,
    frames: Range<usize>,
    numbers: &[usize],
    room: &'b mut Vec<T>,
) -> &'b [T] {
    let width = all.len() / n_frames;
    let all = &all[frames.start * width..frames.end * width];
    if numbers.iter().copied().eq(0..width) {
        return all;
    }
    room.clear();
    for frame in all.chunks_exact(width) {
        room.extend(numbers.iter().map(|number| frame[*number]));
    }
    room
}

fn time_of(block: &DecodedBatch, index: u64, rate: Rate) -> u64 {
    block.t0_ns.saturating_add(rate.nanoseconds_at(index.saturating_sub(block.first_index)))
}

fn choose_stream(streams: &[SourceStream], options: &ExportOptions) -> Result<usize, ExportError> {
    let available = || streams.iter().map(|stream| &*stream.name).collect::<Vec<_>>().join(", ");
    match &options.stream {
        Some(name) => streams
            .iter()
            .position(|stream| stream.name == *name)
            .ok_or_else(|| ExportError::NoSuchStream { asked: name.clone(), available: available() }),
        None if streams.len() == 1 => Ok(0),
        None => Err(ExportError::WhichStream { available: available() }),
    }
}

fn choose_channels(options: &ExportOptions, count: usize) -> Result<Vec<usize>, ExportError> {
    let wanted: Cow<'_, [usize]> = match &options.channels {
        Some(channels) => channels.into(),
        None => (0..count).collect(),
    };
    match wanted.iter().find(|channel| **channel >= count) {
        Some(channel) => Err(ExportError::NoSuchChannel { channel: *channel, count }),
        None => Ok(wanted.into_owned()),
    }
}

/// Samples from the first one to the first at or after `seconds`.
fn index_at(rate: Rate, seconds: f64) -> u64 {
    // The nanosecond takes back what seconds in binary lose.
    let index = (seconds * rate.hz() - 1e-9 * rate.hz()).ceil();
    // The cast saturates: before the first sample is 0, and without end is the largest.
    index.max(0.0) as u64
}
