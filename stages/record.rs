//! `record`: writes every stream that arrives into a recording, from request to request.
mod disk_watch;
mod file;
mod preroll;
mod settings;
mod take;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use wavedeck_api::{
    clock::{self, Anchor},
    handle::{MOST_CLOSED, ParamChange, RecordCommand, RecorderSeat, RecorderStatus, RecordingState, SessionInfo},
    prelude::*,
};
use wavedeck_recording::{Edit, Event, GapReason, RecordingOptions, StreamInfo, WriteError, free_bytes, with_hint};

use self::{
    disk_watch::{Limits, Verdict, megabytes},
    file::{Payload, Seen},
    preroll::PreRoll,
    settings::{PARAMS, Settings},
    take::{SegmentLimits, Take},
};

/// Changes that are remembered for a recording that has not begun.
const MOST_EDITS: usize = 4000;

inventory::submit! { StageDescriptor {
    id: "record",
    version: 1,
    summary: "Writes streams into a recording that survives crashes and accounts for every sample",
    inputs: &[PortSpec { name: "raw", accepts: &[SignalKind::Counts, SignalKind::Physical] }],
    outputs: &[],
    params: PARAMS,
    realtime: false,
    in_place: false,
    blocking: true,
    max_latency_ms: 1000.0,
    build: Record::build,
} }

/// How often the file is looked after while recording.
const TICK: Duration = Duration::from_millis(50);
/// Most packets received before they are taken.
const MOST_WAITING: usize = 32;
/// Most packets passed over before a start: more than a queue holds, but not without end.
const MOST_BEFORE: usize = 1 << 16;
/// Changes so long before the first sample are written too: a packet may have been on its way for a while.
const EDITS_BEFORE: u64 = 1_000_000_000;

struct Record {
    input: AnyInput,
    seat: RecorderSeat,
    streams: Vec<StreamInfo>,
    /// One per stream; they watch while nothing is recorded too.
    seen: Vec<Seen>,
    options: RecordingOptions,
    segments: SegmentLimits,
    limits: Limits,
    take: Option<Take>,
    is_paused: bool,
    next_tick: Instant,
    /// Packets that were received before the requests were read.
    waiting: VecDeque<(usize, AnyPacket)>,
    preroll: PreRoll,
    /// Room for less pre-roll than was asked for: so many seconds.
    short_preroll: Option<f64>,
    /// The last changes of parameters while nothing was recorded.
    edits: VecDeque<ParamChange>,
}

impl Record {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let params = ctx.params();
        let input = ctx.any_input("raw", &[SignalKind::Counts, SignalKind::Physical])?;
        let sources = input.sources();
        let streams: Vec<StreamInfo> = sources
            .map(|source| StreamInfo {
                name: source.stream_name(),
                spec: source.spec.clone(),
                device: source.device.to_string(),
            })
            .collect();
        let Settings { options, segments, limits, preroll_s, preroll_bytes } = Settings::of(params);
        let seat = ctx.recorder(RecorderStatus { dir: options.dir.clone(), ..RecorderStatus::default() });
        let (preroll, seconds) = PreRoll::new(&streams, preroll_s, preroll_bytes);
        let short_preroll = Some(seconds).filter(|seconds| *seconds < preroll_s);
        // Written every tick while recording, and of no use before.
        ctx.set_unhurried();
        let seen = streams.iter().map(|_| Seen::default()).collect();
        Ok(Box::new(Self {
            input,
            seat,
            streams,
            seen,
            options,
            segments,
            limits,
            take: None,
            is_paused: false,
            next_tick: Instant::now(),
            waiting: VecDeque::with_capacity(MOST_WAITING),
            preroll,
            short_preroll,
            edits: VecDeque::new(),
        }))
    }

    fn obey(&mut self, command: RecordCommand, ctx: &mut StageContext) {
        if matches!(command, RecordCommand::Start(_) | RecordCommand::Resume) {
            // What came before it is not meant, however much it is.
            for _ in 0..MOST_BEFORE {
                self.take_waiting(ctx);
                let Recv::Packet(packet) = self.input.recv() else { break };
                self.waiting.push_back(packet);
            }
        }
        if matches!(command, RecordCommand::Pause | RecordCommand::Finish) {
            self.take_made_before(ctx);
        }
        match command {
            RecordCommand::Start(session) if self.take.is_none() => self.begin(&session, ctx),
            RecordCommand::Finish => self.close(None, ctx),
            RecordCommand::Pause | RecordCommand::Resume if self.take.is_some() => {
                let was_paused = std::mem::replace(&mut self.is_paused, matches!(command, RecordCommand::Pause));
                if self.is_paused != was_paused {
                    let text = if self.is_paused { "paused; the file stays open" } else { "writing again" };
                    ctx.note(Level::Info, text);
                }
                let paused = self.take.as_mut().filter(|_| self.is_paused).map(|take| take.file.pause(&self.seen));
                match paused {
                    Some(Err(error)) => self.failed(error, ctx),
                    _ => self.publish(),
                }
            }
            RecordCommand::Marker { label, source, timestamp_ns } => self.mark(label, source, timestamp_ns, ctx),
            RecordCommand::Param(change) => match &mut self.take {
                Some(take) => {
                    if change.applied {
                        take.note_edit(&change.path, &change.new);
                    }
                    let (edit, timestamp_ns) = edit(change);
                    if let Err(error) = take.file.writer.param(&edit, timestamp_ns) {
                        self.failed(error, ctx);
                    }
                }
                // What was refused before a recording changed nothing of what is in it.
                None if !change.applied => {}
                None => {
                    if self.edits.len() == MOST_EDITS {
                        // Samples from before a change that is forgotten could not be explained.
                        let forgotten = self.edits.pop_front();
                        self.preroll.forget_until(forgotten.map_or(0, |change| change.timestamp_ns));
                    }
                    self.edits.push_back(change);
                }
            },
            RecordCommand::Acknowledge => self.seat.publish(|status| {
                status.error = None;
                if status.state == RecordingState::Failed {
                    status.state = RecordingState::Idle;
                }
            }),
            RecordCommand::Start(_) | RecordCommand::Pause | RecordCommand::Resume => {}
        }
    }

    fn begin(&mut self, session: &SessionInfo, ctx: &mut StageContext) {
        let free = free_bytes(&self.options.dir).unwrap_or(u64::MAX);
        if free < self.limits.stop_bytes {
            let (free, least) = (megabytes(free), megabytes(self.limits.stop_bytes));
            let dir = self.options.dir.display();
            return self.refuse(
                format!(
                    "no recording in {dir}: {free} are free, and it needs {least} (`disk_stop_mb`); make room first"
                ),
                ctx,
            );
        }
        let (anchor, begin_ns) = (Anchor::now(), self.preroll.begin_ns());
        let preroll_s = begin_ns.map_or(0.0, |begin| anchor.monotonic_ns.saturating_sub(begin) as f64 / 1e9);
        let options = RecordingOptions {
            name: (!session.file_name.is_empty()).then(|| session.file_name.clone()),
            session_name: session.name.clone(),
            pipeline_json: session.pipeline_json.clone(),
            app_version: session.app_version.clone(),
            about: vec![("preroll_s", format!("{preroll_s:.3}"))],
            ..self.options.clone()
        };
        let mut take = match Take::begin(options, &self.streams, anchor, self.segments, self.limits) {
            Ok(take) => take,
            Err(error) => return self.refuse(explained(&error), ctx),
        };
        // The pipeline in the file is that of the request: what was changed since the first sample is found in the journal.
        let oldest_ns = begin_ns.unwrap_or(anchor.monotonic_ns).saturating_sub(EDITS_BEFORE);
        let mut edits = self.edits.drain(..).filter(|change| change.timestamp_ns >= oldest_ns).map(edit);
        let written = edits.try_for_each(|(edit, timestamp_ns)| take.file.writer.param(&edit, timestamp_ns));
        drop(edits);
        let written = written.and_then(|()| {
            self.preroll.hand_out(|stream, kept, samples| {
                take.file.write(stream, &kept.header, samples, kept.gap, kept.arrival_ns)
            })
        });
        if let Some(seconds) = self.short_preroll.take() {
            let text =
                format!("`preroll_mb` has room for {seconds:.1} s before a recording, not for all of `preroll_s`");
            ctx.note(Level::Warn, text);
        }
        let (path, dir) = (take.file.writer.path().to_owned(), self.options.dir.clone());
        ctx.note(Level::Info, format!("writing {}", path.display()));
        self.take = Some(take);
        self.is_paused = false;
        self.next_tick = Instant::now() + TICK;
        self.seat.publish(|status| {
            *status = RecorderStatus {
                state: RecordingState::Recording,
                path: Some(path),
                started_ns: anchor.monotonic_ns,
                dir,
                files: 1,
                closed: status.closed.clone(),
                preroll_s,
                ..RecorderStatus::default()
            };
        });
        match written {
            Ok(()) => self.publish(),
            Err(error) => self.failed(error, ctx),
        }
    }

    /// Says that there is no recording, and why.
    fn refuse(&mut self, text: String, ctx: &mut StageContext) {
        ctx.note(Level::Error, text.as_str());
        self.seat.publish(|status| {
            status.state = RecordingState::Failed;
            status.error = Some(text);
        });
    }

    /// After an error: goes on in another file, or closes the one there is behind what is good. Either is said.
    fn failed(&mut self, error: WriteError, ctx: &mut StageContext) {
        let Some(take) = &mut self.take else { return self.refuse(explained(&error), ctx) };
        let text = explained(&error);
        // A full disk has no room for another file either.
        if !take.file.status.has_failed() || take.file.status.is_full() {
            return self.close(Some(text), ctx);
        }
        match take.go_on_after_failure(error) {
            Ok(finished) => {
                let path = take.file.writer.path().to_owned();
                note_closed(&self.seat, finished.path);
                ctx.note(Level::Error, format!("{text}; the recording goes on in {}", path.display()));
                self.seat.publish(|status| {
                    status.files += 1;
                    status.path = Some(path);
                    status.error = Some(text);
                });
            }
            Err(again) => self.close(Some(format!("{text}; {}", explained(&again))), ctx),
        }
    }

    /// Closes the recording: as a person asked, or for the reason given.
    fn close(&mut self, why: Option<String>, ctx: &mut StageContext) {
        let Some(mut take) = self.take.take() else { return };
        // It can only fail after the disk has, and then `finish` says so.
        drop(take.file.note_refused(&self.seen));
        self.figures(&take);
        self.seat.publish(|status| status.state = RecordingState::Finishing);
        self.is_paused = false;
        let (lost, is_confirmed) = (take.sums().lost, !take.file.status.has_failed());
        let (mut last, mut failure) = (None, why);
        for finished in take.finish() {
            match finished {
                Ok(finished) => {
                    failure = failure.or_else(|| finished.ledger.failed.clone());
                    note_closed(&self.seat, finished.path.clone());
                    last = Some(finished);
                }
                Err(error) => {
                    let text = explained(&error);
                    failure = Some(failure.map_or(text.clone(), |why| format!("{why}; {text}")));
                }
            }
        }
        match (last.as_ref().map(|last| last.path.display()), &failure) {
            (Some(path), None) => ctx.note(Level::Info, format!("finished {path}")),
            (Some(path), Some(why)) if is_confirmed => {
                ctx.note(Level::Error, format!("{why}; what was recorded is whole: {path}"));
            }
            (Some(path), Some(why)) => {
                let what = "copy it to another while it is there";
                ctx.note(Level::Error, format!("{why}; the disk has not confirmed the end of {path}: {what}"));
            }
            (None, Some(why)) => ctx.note(Level::Error, why.as_str()),
            (None, None) => {}
        }
        if lost > 0 {
            ctx.note(Level::Warn, format!("the recording lacks {lost} samples; its ledger says where"));
        }
        self.seat.publish(|status| {
            if let Some(finished) = last {
                if status.files <= 1 {
                    (status.saved_bytes, status.written_bytes) = (finished.bytes, finished.bytes);
                } else {
                    status.saved_bytes = status.written_bytes;
                }
                status.path = Some(finished.path);
            }
            status.state = if failure.is_some() { RecordingState::Failed } else { RecordingState::Idle };
            status.error = failure.or(status.error.take());
        });
    }

    fn mark(&mut self, label: String, source: String, timestamp_ns: u64, ctx: &mut StageContext) {
        let Some(take) = &mut self.take else { return };
        // The sample of that moment, by the first stream; packets arrive in batches, so it may still be on its way.
        let rate = self.streams.first().map(|stream| stream.spec.rate);
        let waiting = self.waiting.iter().filter(|(stream, _)| *stream == 0).map(|(_, packet)| *packet.header());
        let last = waiting.take_while(|header| header.timestamp_ns <= timestamp_ns).last();
        let last = last.or_else(|| self.seen.first().and_then(|seen| seen.last));
        let index = rate.zip(last).map(|(rate, last)| {
            let since = rate.samples_in(timestamp_ns.saturating_sub(last.timestamp_ns));
            last.first_sample + since.min(2 * u64::from(last.batch_size))
        });
        let event = Event { label, source, stream: index.map(|_| 0), index, duration_s: None };
        match take.file.writer.event(&event, timestamp_ns) {
            Ok(()) => {
                take.file.markers += 1;
                self.publish();
            }
            Err(error) => self.failed(error, ctx),
        }
    }

    fn take_waiting(&mut self, ctx: &mut StageContext) {
        while let Some((index, packet)) = self.waiting.pop_front() {
            self.take(index, &packet, ctx);
        }
    }

    /// Takes what waits before a request that frees the parameters, but for what was made with values from after it.
    fn take_made_before(&mut self, ctx: &mut StageContext) {
        let epochs: Vec<_> = self.seen.iter().map(|seen| seen.last.map(|last| last.param_epoch)).collect();
        let mut later = VecDeque::new();
        for _ in 0..self.waiting.len() + self.input.depth() {
            let next = self.waiting.pop_front().or_else(|| match self.input.recv() {
                Recv::Packet(packet) => Some(packet),
                Recv::Empty | Recv::Closed => None,
            });
            let Some((index, packet)) = next else { break };
            if epochs[index] == Some(packet.header().param_epoch) {
                self.take(index, &packet, ctx);
                continue;
            }
            later.push_back((index, packet));
            if later.len() == MOST_WAITING {
                break;
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
    }

    /// Takes one packet: into the file while recording, else it is kept for a while.
    fn take(&mut self, index: usize, packet: &AnyPacket, ctx: &mut StageContext) {
        let header = *packet.header();
        let seen = &mut self.seen[index];
        let gap = seen.tracker.observe(&header).map(|gap| gap.reason);
        seen.last = Some(header);
        let Some(take) = &mut self.take else { return self.preroll.keep(index, packet, gap) };
        let Some(samples) = Payload::of(packet).filter(|_| !self.is_paused) else { return };
        if let Err(error) = take.file.write(index, &header, samples, gap, clock::now_ns()) {
            match error {
                // The packet was not taken; what is missing is written before the next one that is.
                WriteError::Overflow { .. } => {
                    if take.file.streams[index].excuse.replace(GapReason::Overrun).is_none() {
                        ctx.note(Level::Error, format!("{}; samples are being lost", explained(&error)));
                    }
                }
                // A replay that was moved back: the file has these samples already.
                WriteError::OutOfOrder { .. } => take.file.streams[index].excuse = Some(GapReason::Seek),
                error => self.failed(error, ctx),
            }
        }
    }

    fn tick(&mut self, ctx: &mut StageContext) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let Some(take) = &mut self.take else { return };
        let now_ns = clock::now_ns();
        if let Err(error) = take.file.writer.tick(now_ns) {
            return self.failed(error, ctx);
        }
        // A packet can make it due earlier, but never before the tick after this one.
        let due = Duration::from_nanos(take.file.writer.due_ns().saturating_sub(now_ns));
        self.next_tick = now + due.min(TICK);
        for finished in take.closed() {
            match finished {
                Ok(finished) => {
                    ctx.note(Level::Info, format!("finished {}", finished.path.display()));
                    note_closed(&self.seat, finished.path);
                }
                Err(error) => {
                    let text = explained(&error);
                    ctx.note(Level::Error, text.as_str());
                    self.seat.publish(|status| status.error = Some(text));
                }
            }
        }
        let (written, free) = (take.sums().written_bytes, take.file.status.free_bytes());
        match take.disk.look(now, written, free) {
            Verdict::Fine => {}
            Verdict::Warn(text) => ctx.note(Level::Warn, text),
            Verdict::Stop(text) => return self.close(Some(text), ctx),
        }
        let is_gone = take.file.status.is_gone();
        if is_gone || take.is_due(now) {
            self.begin_next_file(is_gone, ctx);
        }
        self.publish();
    }

    fn begin_next_file(&mut self, is_gone: bool, ctx: &mut StageContext) {
        let Some(take) = &mut self.take else { return };
        match take.rotate() {
            Ok(()) => {
                let path = take.file.writer.path().to_owned();
                let text = format!("the recording goes on in {}", path.display());
                let removed =
                    is_gone.then(|| format!("the file of the recording was removed: it is written anew, and {text}"));
                match &removed {
                    Some(removed) => ctx.note(Level::Error, removed.as_str()),
                    None => ctx.note(Level::Info, text),
                }
                self.seat.publish(|status| {
                    status.files += 1;
                    status.path = Some(path);
                    status.error = removed.or(status.error.take());
                });
            }
            Err(error) => self.close(Some(format!("no other file can be begun: {}", explained(&error))), ctx),
        }
    }

    fn publish(&self) {
        let Some(take) = &self.take else { return };
        self.figures(take);
        let state = if self.is_paused { RecordingState::Paused } else { RecordingState::Recording };
        self.seat.publish(|status| status.state = state);
    }

    fn figures(&self, take: &Take) {
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        let sums = take.sums();
        let file = &take.file;
        self.seat.publish(|status| {
            let first = self.streams.first().zip(sums.recorded.first());
            status.recorded_s = first.map_or(0.0, |(stream, n)| *n as f64 / stream.spec.rate.hz());
            status.recorded_samples = sums.recorded.iter().sum();
            // What is being refused now has no gap in the file yet, but must be on screen.
            status.lost_samples = sums.lost + file.refused(&self.seen).map(|(_, n)| n).sum::<u64>();
            (status.gaps, status.markers) = (sums.gaps, sums.markers);
            (status.written_bytes, status.saved_bytes) = (sums.written_bytes, sums.saved_bytes);
            status.last_sync_ms = milliseconds(file.status.last_sync_ns());
            status.worst_sync_ms = status.worst_sync_ms.max(milliseconds(file.status.worst_sync_ns()));
            if status.streams.len() != self.streams.len() {
                status.streams = self.streams.iter().map(|stream| (stream.name.clone(), 0)).collect();
            }
            for ((_, samples), recorded) in status.streams.iter_mut().zip(&sums.recorded) {
                *samples = *recorded;
            }
        });
    }
}

impl Stage for Record {
    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        // Before the requests: parameters are free from a pause or a finish on, and a packet that was made with another
        // value must find that request carried out, see `take_made_before`.
        let end = loop {
            match self.input.recv() {
                Recv::Packet(packet) => self.waiting.push_back(packet),
                end => break end,
            }
            if self.waiting.len() == MOST_WAITING {
                break Recv::Empty;
            }
        };
        let has_work = !self.waiting.is_empty();
        while let Some(command) = self.seat.next_request() {
            self.obey(command, ctx);
        }
        self.take_waiting(ctx);
        if self.take.is_some() {
            self.tick(ctx);
        }
        Ok(match end {
            Recv::Closed => Flow::Done,
            _ if has_work => Flow::Again,
            _ if self.take.is_some() => Flow::Until(self.next_tick),
            _ => Flow::Idle,
        })
    }

    fn finish(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        while let Some(command) = self.seat.next_request() {
            self.obey(command, ctx);
        }
        self.close(None, ctx);
        Ok(())
    }
}

fn note_closed(seat: &RecorderSeat, path: PathBuf) {
    seat.publish(|status| {
        let closed = Arc::make_mut(&mut status.closed);
        if closed.len() == MOST_CLOSED {
            closed.remove(0);
        }
        closed.push(path);
    });
}

fn edit(change: ParamChange) -> (Edit, u64) {
    let outcome = if change.applied { "applied" } else { "refused" };
    let ParamChange { path, old, new, at_sample, by, timestamp_ns, applied } = change;
    let at_sample = applied.then_some(at_sample);
    (Edit { path, old, new, at_sample, by, outcome: outcome.into() }, timestamp_ns)
}

/// An error with its cure.
fn explained(error: &WriteError) -> String {
    with_hint(error, error.hint())
}

#[cfg(test)]
mod tests;
