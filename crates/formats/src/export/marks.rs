//! Marks, each at its place among the samples.
use std::{collections::VecDeque, ops::Range};

use wavedeck_api::signal::Rate;

use super::Mark;
use crate::source::{Annotation, Source};

/// Marks not yet written: those with an index of this stream, and those with a time only.
pub(crate) struct Marks {
    by_index: VecDeque<(u64, Annotation)>,
    by_time: VecDeque<(u64, Annotation)>,
    rate: Rate,
    /// Index and time of a frame seen before, from which the place of a mark within a gap follows.
    before: Option<(u64, u64)>,
    /// Index of the first frame wanted.
    first_index: u64,
    /// Index after the last frame wanted.
    end_index: u64,
}

impl Marks {
    /// The marks of a stream within `wanted`, whose first frame, index and time, is `first`; those before as well if
    /// the range begins with the stream.
    pub(crate) fn of(source: &dyn Source, stream: usize, wanted: &Range<u64>, origin: u64, first: (u64, u64)) -> Self {
        let rate = source.streams()[stream].spec.rate;
        let (mut by_index, mut by_time) = (Vec::new(), Vec::new());
        for annotation in source.annotations() {
            match annotation.sample {
                Some((of, index)) if of == stream => by_index.push((index, annotation.clone())),
                _ => by_time.push((annotation.time_ns, annotation.clone())),
            }
        }
        by_index.sort_by_key(|(index, _)| *index);
        by_time.sort_by_key(|(time_ns, _)| *time_ns);
        let (first_index, first_ns) = first;
        if wanted.start > origin {
            by_index.retain(|(index, _)| *index >= wanted.start);
            by_time.retain(|(time_ns, _)| *time_ns >= first_ns);
        }
        let (by_index, by_time) = (by_index.into(), by_time.into());
        Self { by_index, by_time, rate, before: None, first_index, end_index: wanted.end }
    }

    /// Takes the marks that belong to a row from `first` to before `end` or, their own sample being missing, before
    /// these; frame `first` was taken at `first_ns`.
    pub(crate) fn up_to(&mut self, first: u64, end: u64, first_ns: u64) -> Vec<Mark> {
        let mut marks = Vec::new();
        while let Some((index, annotation)) = pop_if(&mut self.by_index, |index| index < end) {
            marks.push(self.mark(index, index.max(first), annotation));
        }
        let rate = self.rate;
        let index_at = |time_ns: u64| first.saturating_add(frames_until(rate, time_ns.saturating_sub(first_ns)));
        while let Some((time_ns, annotation)) = pop_if(&mut self.by_time, |time_ns| index_at(time_ns) < end) {
            let row = index_at(time_ns);
            let index = match self.before {
                Some((index, at_ns)) if time_ns < first_ns => {
                    index.saturating_add(frames_until(rate, time_ns.saturating_sub(at_ns))).min(first)
                }
                _ => row,
            };
            marks.push(self.mark(index, row, annotation));
        }
        self.before = Some((first, first_ns));
        marks.sort_by_key(|mark| mark.row);
        marks
    }

    /// Takes the marks beyond the last row that still belong to the range.
    pub(crate) fn rest(mut self, last_row: u64) -> Vec<Mark> {
        let (by_index, by_time) = (std::mem::take(&mut self.by_index), std::mem::take(&mut self.by_time));
        let is_cut = self.end_index != u64::MAX;
        let by_index = by_index.into_iter().filter(|(index, _)| *index < self.end_index);
        let by_time = by_time.into_iter().filter(|_| !is_cut);
        by_index.chain(by_time).map(|(_, annotation)| self.mark(last_row, last_row, annotation)).collect()
    }

    fn mark(&self, index: u64, row: u64, annotation: Annotation) -> Mark {
        let Annotation { label, source, time_ns, duration_s, .. } = annotation;
        Mark { index: index.max(self.first_index), row, time_ns, label, source, duration_s }
    }
}

fn pop_if(marks: &mut VecDeque<(u64, Annotation)>, is_due: impl Fn(u64) -> bool) -> Option<(u64, Annotation)> {
    if marks.front().is_some_and(|(at, _)| is_due(*at)) { marks.pop_front() } else { None }
}

/// Frames to the first one at or after a time.
fn frames_until(rate: Rate, ns: u64) -> u64 {
    let whole = rate.samples_in(ns);
    if rate.nanoseconds_at(whole) >= ns { whole } else { whole.saturating_add(1) }
}
