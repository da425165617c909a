//! `record`: writes every stream that arrives into one recording, from request to request.
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use wavedeck_api::{
    clock::{self, Anchor},
    handle::{ParamChange, RecordCommand, RecorderSeat, RecorderStatus, RecordingState, SessionInfo},
    prelude::*,
};
use wavedeck_recording::{
    CommitStatus, Edit, Event, Gap, GapReason, GapTracker, RecordingOptions, RecordingWriter, StreamInfo, WriteError,
    with_hint,
};

static PARAMS: &[ParamSpec] = &[
    ParamSpec::text("dir", "recordings").help("Folder for recordings; it is made when needed."),
    ParamSpec::text("operator", "").help("Who records; kept in the file."),
    ParamSpec::text("subject", "").help("Who or what is recorded; kept in the file."),
    ParamSpec::text("notes", "").help("Anything else worth keeping in the file."),
    ParamSpec::bool("plain", false).help("Store plain numbers: larger, but any MCAP tool can read them."),
    ParamSpec::int("max_pending_mb", 64, 1..=4096)
        .unit("MB")
        .help("Most data that may wait in memory for a slow disk; beyond it samples are lost and the file says so."),
];

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

struct Record {
    input: AnyInput,
    seat: RecorderSeat,
    streams: Vec<StreamInfo>,
    /// One per stream; they watch while nothing is recorded too.
    seen: Vec<Seen>,
    options: RecordingOptions,
    file: Option<OpenFile>,
    is_paused: bool,
    next_tick: Instant,
    /// Packets that were received before the requests were read.
    waiting: VecDeque<(usize, AnyPacket)>,
}

/// What is known of a stream as it arrives.
#[derive(Default)]
struct Seen {
    tracker: GapTracker,
    last: Option<PacketHeader>,
}

/// The recording that is open.
struct OpenFile {
    writer: RecordingWriter,
    status: Arc<CommitStatus>,
    streams: Vec<InFile>,
    gaps: u64,
    markers: u64,
    /// Samples of the gaps noted that nobody asked for.
    lost: u64,
}

/// Where a stream stands in the file.
#[derive(Clone, Copy, Default)]
struct InFile {
    /// Index after the last sample that the file accounts for; `None` before its first.
    next: Option<u64>,
    /// Why the samples since then are missing, when it was our doing.
    excuse: Option<GapReason>,
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
        let dir = PathBuf::from(params.text("dir"));
        let seat = ctx.recorder(RecorderStatus { dir: dir.clone(), ..RecorderStatus::default() });
        let options = RecordingOptions {
            dir,
            operator: params.text("operator").into(),
            subject: params.text("subject").into(),
            notes: params.text("notes").into(),
            plain: params.bool("plain"),
            max_pending_bytes: usize::try_from(params.int("max_pending_mb")).unwrap_or(64) << 20,
            ..RecordingOptions::default()
        };
        // Written every tick while recording, and of no use before.
        ctx.set_unhurried();
        let seen = streams.iter().map(|_| Seen::default()).collect();
        let (next_tick, waiting) = (Instant::now(), VecDeque::with_capacity(MOST_WAITING));
        Ok(Box::new(Self { input, seat, streams, seen, options, file: None, is_paused: false, next_tick, waiting }))
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
        match command {
            RecordCommand::Start(session) if self.file.is_none() => self.begin(&session, ctx),
            RecordCommand::Finish => self.close(ctx),
            RecordCommand::Pause | RecordCommand::Resume if self.file.is_some() => {
                self.is_paused = matches!(command, RecordCommand::Pause);
                let paused = self.file.as_mut().filter(|_| self.is_paused).map(|file| file.pause(&self.seen));
                match paused {
                    Some(Err(error)) => self.failed(&error, ctx),
                    _ => self.publish(),
                }
            }
            RecordCommand::Marker { label, source, timestamp_ns } => self.mark(label, source, timestamp_ns, ctx),
            RecordCommand::Param(change) => {
                let Some(file) = &mut self.file else { return };
                let (edit, timestamp_ns) = edit(change);
                if let Err(error) = file.writer.param(&edit, timestamp_ns) {
                    self.failed(&error, ctx);
                }
            }
            RecordCommand::Start(_) | RecordCommand::Pause | RecordCommand::Resume => {}
        }
    }

    fn begin(&mut self, session: &SessionInfo, ctx: &mut StageContext) {
        let options = RecordingOptions {
            name: (!session.file_name.is_empty()).then(|| session.file_name.clone()),
            session_name: session.name.clone(),
            pipeline_json: session.pipeline_json.clone(),
            app_version: session.app_version.clone(),
            ..self.options.clone()
        };
        let anchor = Anchor::now();
        match RecordingWriter::create(options, self.streams.clone(), anchor) {
            Ok(writer) => {
                let (status, path) = (writer.status(), writer.path().to_owned());
                let streams = vec![InFile::default(); self.streams.len()];
                self.file = Some(OpenFile { writer, status, streams, gaps: 0, markers: 0, lost: 0 });
                self.is_paused = false;
                self.next_tick = Instant::now() + TICK;
                let dir = self.options.dir.clone();
                self.seat.publish(|status| {
                    *status = RecorderStatus {
                        state: RecordingState::Recording,
                        path: Some(path),
                        started_ns: anchor.monotonic_ns,
                        dir,
                        ..RecorderStatus::default()
                    };
                });
            }
            Err(error) => self.refuse(&error, ctx),
        }
    }

    /// Says that there is no recording, and why.
    fn refuse(&mut self, error: &WriteError, ctx: &mut StageContext) {
        let text = explained(error);
        ctx.note(Level::Error, text.as_str());
        self.seat.publish(|status| {
            status.state = RecordingState::Failed;
            status.error = Some(text);
        });
    }

    /// Closes the file behind what is good after an error, and says so.
    fn failed(&mut self, error: &WriteError, ctx: &mut StageContext) {
        self.refuse(error, ctx);
        if let Some(file) = self.file.take() {
            self.is_paused = false;
            match file.writer.finish() {
                Ok(finished) => {
                    ctx.note(Level::Warn, format!("what was saved is whole: {}", finished.path.display()));
                    self.seat.publish(|status| status.path = Some(finished.path));
                }
                Err(error) => ctx.note(Level::Error, explained(&error)),
            }
        }
    }

    fn close(&mut self, ctx: &mut StageContext) {
        let Some(mut file) = self.file.take() else { return };
        // It can only fail after the disk has, and then `finish` says so.
        drop(file.note_refused(&self.seen));
        self.file_figures(&file);
        self.seat.publish(|status| status.state = RecordingState::Finishing);
        self.is_paused = false;
        let lost = file.lost;
        match file.writer.finish() {
            Ok(finished) => {
                let failure = finished.ledger.failed.clone();
                self.seat.publish(|status| {
                    status.saved_bytes = finished.bytes;
                    status.written_bytes = finished.bytes;
                    status.path = Some(finished.path);
                    status.state = if failure.is_some() { RecordingState::Failed } else { RecordingState::Idle };
                    status.error = failure;
                });
                if lost > 0 {
                    ctx.note(Level::Warn, format!("the recording lacks {lost} samples; its ledger says where"));
                }
            }
            Err(error) => self.refuse(&error, ctx),
        }
    }

    fn mark(&mut self, label: String, source: String, timestamp_ns: u64, ctx: &mut StageContext) {
        let Some(file) = &mut self.file else { return };
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
        match file.writer.event(&event, timestamp_ns) {
            Ok(()) => {
                file.markers += 1;
                self.publish();
            }
            Err(error) => self.failed(&error, ctx),
        }
    }

    fn take_waiting(&mut self, ctx: &mut StageContext) {
        while let Some((index, packet)) = self.waiting.pop_front() {
            self.take(index, &packet, ctx);
        }
    }

    /// Takes one packet: into the file while recording, else only its place is remembered.
    fn take(&mut self, index: usize, packet: &AnyPacket, ctx: &mut StageContext) {
        let header = *packet.header();
        let seen = &mut self.seen[index];
        let gap = seen.tracker.observe(&header);
        seen.last = Some(header);
        let Some(file) = self.file.as_mut().filter(|_| !self.is_paused) else { return };
        if let Err(error) = file.write(index, packet, gap.map(|gap| gap.reason)) {
            match error {
                // The packet was not taken; what is missing is written before the next one that is.
                WriteError::Overflow { .. } => {
                    if file.streams[index].excuse.replace(GapReason::Overrun).is_none() {
                        ctx.note(Level::Error, format!("{}; samples are being lost", explained(&error)));
                    }
                }
                // A replay that was moved back: the file has these samples already.
                WriteError::OutOfOrder { .. } => file.streams[index].excuse = Some(GapReason::Seek),
                error => self.failed(&error, ctx),
            }
        }
    }

    fn tick(&mut self, ctx: &mut StageContext) {
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        let Some(file) = &mut self.file else { return };
        match file.writer.tick(clock::now_ns()) {
            Ok(()) => self.publish(),
            Err(error) => self.failed(&error, ctx),
        }
    }

    fn publish(&self) {
        let Some(file) = &self.file else { return };
        self.file_figures(file);
        let state = if self.is_paused { RecordingState::Paused } else { RecordingState::Recording };
        self.seat.publish(|status| status.state = state);
    }

    fn file_figures(&self, file: &OpenFile) {
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        let recorded = |index: usize| file.writer.recorded(index);
        self.seat.publish(|status| {
            status.recorded_s = self.streams.first().map_or(0.0, |stream| recorded(0) as f64 / stream.spec.rate.hz());
            status.recorded_samples = (0..self.streams.len()).map(recorded).sum();
            // What is being refused now has no gap in the file yet, but must be on screen.
            status.lost_samples = file.lost + file.refused(&self.seen).map(|(_, n)| n).sum::<u64>();
            (status.gaps, status.markers) = (file.gaps, file.markers);
            status.written_bytes = file.status.written_bytes();
            status.saved_bytes = file.status.saved_bytes();
            status.last_sync_ms = milliseconds(file.status.last_sync_ns());
            status.worst_sync_ms = milliseconds(file.status.worst_sync_ns());
            if status.streams.len() != self.streams.len() {
                status.streams = self.streams.iter().map(|stream| (stream.name.clone(), 0)).collect();
            }
            for (index, (_, samples)) in status.streams.iter_mut().enumerate() {
                *samples = recorded(index);
            }
        });
    }
}

impl OpenFile {
    /// Writes what is missing before the packet, then the packet.
    fn write(&mut self, index: usize, packet: &AnyPacket, seen_gap: Option<GapReason>) -> Result<(), WriteError> {
        let header = packet.header();
        let stream = &mut self.streams[index];
        stream.next.get_or_insert(header.first_sample);
        let reason = stream.excuse.or(seen_gap).unwrap_or(GapReason::Device);
        // What a person left out is told apart from the packets that are refused after it.
        if !reason.is_loss() {
            self.note_gap(index, header.first_sample, reason, header.timestamp_ns)?;
            self.streams[index].excuse = None;
        }
        // Before the gap: a disk that stands still must not be given one for each packet that is refused.
        self.writer.check_room(usize::from(header.channels) * header.batch_size as usize)?;
        self.note_gap(index, header.first_sample, reason, header.timestamp_ns)?;
        let arrival_ns = clock::now_ns();
        match packet {
            AnyPacket::Counts(packet) => self.writer.batch_counts(index, header, packet.samples(), arrival_ns)?,
            AnyPacket::Physical(packet) => self.writer.batch_values(index, header, packet.samples(), arrival_ns)?,
            AnyPacket::Spectrum(_) => {}
        }
        self.streams[index] = InFile { next: Some(header.end_sample()), excuse: None };
        Ok(())
    }

    /// Accounts for the samples missing of a stream before sample `until`, if any.
    fn note_gap(&mut self, index: usize, until: u64, reason: GapReason, at_ns: u64) -> Result<(), WriteError> {
        let stream = &mut self.streams[index];
        let Some(first_index) = stream.next.filter(|next| *next < until) else { return Ok(()) };
        let gap = Gap { first_index, n: until - first_index, reason };
        self.writer.gap(index, &gap, at_ns)?;
        stream.next = Some(until);
        self.gaps += 1;
        if reason.is_loss() {
            self.lost += gap.n;
        }
        Ok(())
    }

    /// Streams of which the last packets were refused, and how many samples that is so far.
    fn refused(&self, seen: &[Seen]) -> impl Iterator<Item = (usize, u64)> {
        let streams = self.streams.iter().zip(seen).enumerate();
        streams.filter(|(_, (stream, _))| stream.excuse == Some(GapReason::Overrun)).map(|(index, (stream, seen))| {
            let end = seen.last.map_or(0, |last| last.end_sample());
            (index, end.saturating_sub(stream.next.unwrap_or(end)))
        })
    }

    /// Accounts for packets that were refused when none comes after them to show it.
    fn note_refused(&mut self, seen: &[Seen]) -> Result<(), WriteError> {
        let refused: Vec<_> = self.refused(seen).collect();
        for (index, n) in refused {
            let until = self.streams[index].next.map_or(0, |next| next + n);
            self.note_gap(index, until, GapReason::Overrun, clock::now_ns())?;
        }
        Ok(())
    }

    /// From now on samples are missing because a person wants it; what was lost before stays lost.
    fn pause(&mut self, seen: &[Seen]) -> Result<(), WriteError> {
        self.note_refused(seen)?;
        self.streams.iter_mut().for_each(|stream| stream.excuse = Some(GapReason::Paused));
        Ok(())
    }
}

impl Stage for Record {
    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        // Before the requests: parameters are free from a pause or a finish on, and a packet that was made with another
        // value must find that request carried out.
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
        if self.file.is_some() {
            self.tick(ctx);
        }
        Ok(match end {
            Recv::Closed => Flow::Done,
            _ if has_work => Flow::Again,
            _ if self.file.is_some() => Flow::Until(self.next_tick),
            _ => Flow::Idle,
        })
    }

    fn finish(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        while let Some(command) = self.seat.next_request() {
            self.obey(command, ctx);
        }
        self.close(ctx);
        Ok(())
    }
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
