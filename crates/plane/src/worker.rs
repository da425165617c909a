//! A thread that runs one or more stages: calls those with work, sleeps when none has any.
//!
//! A stage is called several times in a row while its packets are small and quick: what is done once per burst (the
//! clock, the guard against panics, the bells of the neighbours) then costs next to nothing per packet.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender};
use wavedeck_api::{
    bell::{Bell, Sleeper},
    clock,
    param::{ParamSpec, ParamValue},
    stage::{Flow, Stage, StageContext, StageError},
};

use crate::{
    config::OnFault,
    control::Control,
    event::Event,
    graph::NodeView,
    neighbours::Neighbours,
    notes::NoteLimit,
    patience::Patience,
    telemetry::StageState,
    ticket::Outcome,
    watch::{Call, Post, Watch},
};

/// Most packets of one burst.
const MAX_BURST: u32 = 32;
/// Most bytes of one burst: what one stage has written is still in the nearest cache when the next one reads it.
const BURST_BYTES: usize = 16 << 10;
/// A stage that takes longer for a packet is called once at a time.
const QUICK: Duration = Duration::from_micros(20);
/// How soon a stage looks again for a free buffer. By the arithmetic of the plan there is always one where there is room
/// in the queues, but for a stage downstream that keeps more packets than it should.
const NAP: Duration = Duration::from_millis(1);

/// A change on its way to a stage.
pub(crate) struct Mail {
    pub(crate) spec: &'static ParamSpec,
    pub(crate) value: ParamValue,
    pub(crate) by: Arc<str>,
    /// Takes one answer; nobody may be waiting for it.
    pub(crate) answer: Sender<Outcome>,
}

/// The posting end of a stage's mailbox.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) sender: Sender<Mail>,
    /// Set after a post, so that a worker without mail reads one flag and no queue.
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) bell: Bell,
}

/// A stage in the hands of its worker.
pub(crate) struct Seat {
    pub(crate) stage: Box<dyn Stage>,
    pub(crate) view: NodeView,
    pub(crate) ctx: StageContext,
    pub(crate) mail: Receiver<Mail>,
    pub(crate) mail_flag: Arc<AtomicBool>,
    pub(crate) values: Vec<(&'static ParamSpec, ParamValue)>,
    pub(crate) on_fault: OnFault,
    pub(crate) is_source: bool,
    pub(crate) is_started: bool,
    pub(crate) neighbours: Neighbours,
    /// Most packets in a row whose samples stay in the nearest cache.
    pub(crate) burst: u32,
    /// Less time than any stage takes that looks at all samples of a packet.
    pub(crate) glance: Duration,
    /// The last packets were handled in less than that: they were passed on unread.
    pub(crate) is_blind: bool,
    /// The last packets were quick.
    pub(crate) is_quick: bool,
    pub(crate) post: Post,
    pub(crate) notes: NoteLimit,
    /// Packets sent, and the next sample to be taken, when the stage last had nothing more to do.
    pub(crate) moved: (u64, u64),
}

/// Time in which not even the nearest cache gives all of a packet, at 40 bytes per nanosecond.
pub(crate) fn glance_at(packet_bytes: usize) -> Duration {
    Duration::from_nanos(packet_bytes as u64 / 40)
}

/// Most packets of this size that a stage handles in a row.
pub(crate) fn burst_of(packet_bytes: usize) -> u32 {
    u32::try_from(BURST_BYTES / packet_bytes.max(1)).unwrap_or(u32::MAX).clamp(1, MAX_BURST)
}

pub(crate) struct Worker {
    pub(crate) name: Arc<str>,
    pub(crate) cpu: Option<u32>,
    pub(crate) bell: Bell,
    pub(crate) seats: Vec<Option<Seat>>,
    pub(crate) control: Arc<Control>,
    /// Says which seat is being called, for naming a stage that is stuck.
    pub(crate) watch: Arc<Watch>,
    pub(crate) patience: Patience,
}

/// Outcome of one turn of a seat.
enum Turn {
    Worked,
    Idle,
    Until(Instant),
    Ended,
}

impl Worker {
    /// Runs until every stage has ended.
    pub(crate) fn run(mut self) {
        let mut sleeper = Sleeper::new(self.bell.clone());
        self.pin();
        let (mut now, mut has_worked) = (Instant::now(), false);
        while self.seats.iter().any(Option::is_some) {
            // The end of the last work is the beginning of the next.
            if !std::mem::take(&mut has_worked) {
                now = Instant::now();
            }
            let mut deadline = None::<Instant>;
            for index in 0..self.seats.len() {
                let Some(seat) = &mut self.seats[index] else { continue };
                let turn = seat.turn(&self.control, &mut now);
                // Some send a packet and say in the same call when the next one is due.
                if matches!(turn, Turn::Idle | Turn::Until(_)) && seat.has_moved_packets() {
                    seat.neighbours.wake();
                }
                match turn {
                    Turn::Worked => {
                        has_worked = true;
                        if seat.view.realtime || !seat.is_quick {
                            seat.neighbours.wake();
                        } else {
                            seat.neighbours.wake_for_many();
                        }
                    }
                    Turn::Idle => {}
                    Turn::Until(moment) => deadline = Some(deadline.map_or(moment, |other| other.min(moment))),
                    Turn::Ended => {
                        has_worked = true;
                        drop_seat(&mut self.seats[index], &self.control);
                    }
                }
            }
            if !has_worked {
                self.seats.iter_mut().flatten().for_each(|seat| seat.neighbours.wake_owed());
            }
            if !self.patience.is_worth_a_look(has_worked) {
                self.watch.leave();
                sleeper.after_look(has_worked, deadline);
            }
        }
    }

    fn pin(&self) {
        let Some(cpu) = self.cpu else { return };
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu as usize);
        if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
            tracing::warn!(thread = &*self.name, cpu, %error, "the thread could not be pinned");
        }
    }
}

impl Seat {
    /// Sources open their devices only when the rest is ready, and not at all if the pipeline is stopped before that.
    fn begin(&mut self, control: &Control) -> Turn {
        if self.is_source && control.is_stopping() {
            self.view.stats.set_state(StageState::Done);
            return Turn::Ended;
        }
        if self.is_source && !control.may_go() {
            return Turn::Idle;
        }
        self.is_started = true;
        if self.start(control) { Turn::Worked } else { Turn::Ended }
    }

    /// False if the stage failed to start.
    fn start(&mut self, control: &Control) -> bool {
        self.view.stats.set_state(StageState::Starting);
        self.post.enter(Call::Start, Instant::now());
        let (stage, ctx) = (&mut self.stage, &mut self.ctx);
        let outcome = guarded(|| stage.start(ctx));
        self.pass_notes(control);
        match outcome {
            Ok(()) => {
                self.view.stats.set_state(StageState::Running);
                true
            }
            Err(error) => {
                self.fail(error, control);
                false
            }
        }
    }

    /// Gives the stage its turn. `now` is the end of the turn before, and afterwards of this one, if it did work.
    fn turn(&mut self, control: &Control, now: &mut Instant) -> Turn {
        if !self.is_started {
            return self.begin(control);
        }
        if self.mail_flag.load(Ordering::Relaxed) && !self.read_mail(control) {
            return Turn::Ended;
        }
        // A source in real time cannot wait: what finds no room is counted by its output.
        let calls = if self.view.realtime { 1 } else { self.calls() };
        if calls == 0 {
            return if self.lacks_a_buffer() { Turn::Until(*now + NAP) } else { Turn::Idle };
        }
        if self.is_source && control.is_stopping() {
            return self.finish(control);
        }
        if self.is_source && !self.view.realtime && control.is_paused() {
            return Turn::Idle;
        }
        let mut worked = 0;
        self.post.enter(Call::Process, *now);
        let (stage, ctx) = (&mut *self.stage, &mut self.ctx);
        let outcome = guarded(|| burst(stage, ctx, calls, &mut worked));
        self.pass_notes(control);
        if worked > 0 {
            let began = std::mem::replace(now, Instant::now());
            self.count(worked, *now - began);
        }
        match outcome {
            Ok(Flow::Done) => self.finish(control),
            Ok(_) if worked > 0 => Turn::Worked,
            Ok(Flow::Until(moment)) => Turn::Until(moment),
            Ok(_) => Turn::Idle,
            Err(error) => {
                self.fail(error, control);
                Turn::Ended
            }
        }
    }

    /// How often the stage may be called so that whatever it sends finds a buffer and room. Only the stage itself takes
    /// buffers and fills its links, so it stays true until then.
    fn calls(&self) -> u32 {
        let most = match (self.is_quick, self.is_blind) {
            (false, _) => 1,
            (true, false) => self.burst,
            (true, true) => MAX_BURST,
        };
        self.view.outputs.iter().fold(most, |calls, output| {
            let room = output.links.iter().map(|link| link.room()).min().unwrap_or(u32::MAX);
            calls.min(output.pool.free()).min(room)
        })
    }

    /// True if a packet was sent or taken since this was asked last.
    fn has_moved_packets(&mut self) -> bool {
        let sent: u64 = self.view.outputs.iter().map(|output| output.stats.counts().sent_packets).sum();
        let moved = (sent, self.view.next_input_sample.load(Ordering::Relaxed));
        moved != std::mem::replace(&mut self.moved, moved)
    }

    fn lacks_a_buffer(&self) -> bool {
        self.view.outputs.iter().any(|output| output.pool.free() == 0)
    }

    fn count(&mut self, calls: u32, took: Duration) {
        let mean = took / calls;
        (self.is_quick, self.is_blind) = (mean < QUICK, mean < self.glance);
        // Of several calls in a row one may have taken nearly all of the time.
        self.view.stats.worked(calls, took, mean, if self.is_quick { mean } else { took });
    }

    /// False if the stage panicked over a change: it is in no state to go on.
    fn read_mail(&mut self, control: &Control) -> bool {
        // Acquire, pairs with the Release of the post: mail posted before the flag is in the queue.
        self.mail_flag.swap(false, Ordering::Acquire);
        while let Ok(Mail { spec, value, by, answer }) = self.mail.try_recv() {
            let old = self.values.iter().find(|(known, _)| known.key == spec.key).map(|(_, value)| spec.to_json(value));
            let (old, new) = (old.unwrap_or_default(), spec.to_json(&value));
            self.post.enter(Call::SetParam, Instant::now());
            let stage = &mut self.stage;
            let outcome = guarded(|| stage.set_param(spec.key, &value));
            let (stage, key, timestamp_ns) = (self.view.id.clone(), spec.key, clock::now_ns());
            let at_sample = self.next_sample();
            let outcome = match outcome {
                Ok(()) => {
                    if let Some(slot) = self.values.iter_mut().find(|(known, _)| known.key == key) {
                        slot.1 = value;
                    }
                    let epoch = self.view.epoch.fetch_add(1, Ordering::Relaxed) + 1;
                    control.tell(Event::ParamApplied { stage, key, old, new, at_sample, epoch, by, timestamp_ns });
                    Outcome::Applied { at_sample, epoch }
                }
                Err(error) => {
                    let has_panicked = matches!(error, StageError::Panicked(_));
                    let text = in_words(error);
                    let why: Arc<str> = text.as_str().into();
                    let event =
                        Event::ParamRefused { stage, key, old, new, at_sample, why: why.clone(), by, timestamp_ns };
                    control.tell(event);
                    if has_panicked {
                        let _ = answer.try_send(Outcome::Refused { why });
                        self.fail(StageError::Failed(text), control);
                        return false;
                    }
                    Outcome::Refused { why }
                }
            };
            let _ = answer.try_send(outcome);
        }
        true
    }

    /// First sample that a change made now applies to.
    fn next_sample(&self) -> u64 {
        if self.is_source {
            self.view.outputs.first().map_or(0, |output| output.stats.counts().next_sample)
        } else {
            self.view.next_input_sample.load(Ordering::Relaxed)
        }
    }

    fn finish(&mut self, control: &Control) -> Turn {
        self.view.stats.set_state(StageState::Finishing);
        self.post.enter(Call::Finish, Instant::now());
        let (stage, ctx) = (&mut self.stage, &mut self.ctx);
        let outcome = guarded(|| stage.finish(ctx));
        self.pass_notes(control);
        match outcome {
            Ok(()) => {
                self.view.stats.set_state(StageState::Done);
                control.tell(Event::StageDone { stage: self.view.id.clone() });
            }
            Err(error) => self.fail(error, control),
        }
        Turn::Ended
    }

    fn fail(&mut self, error: StageError, control: &Control) {
        let error = in_words(error);
        if let Some(recorder) = &self.view.recorder {
            recorder.fail(&error);
        }
        tell_fault(&self.view, self.on_fault, error, control);
    }

    fn pass_notes(&mut self, control: &Control) {
        let stage = &self.view.id;
        self.notes.pass(&mut self.ctx, |note| control.tell_note(Event::Note { stage: stage.clone(), note }));
    }
}

/// Calls a stage until it has nothing more to do, at most `calls` times. `worked` counts the calls that did work.
fn burst(stage: &mut dyn Stage, ctx: &mut StageContext, calls: u32, worked: &mut u32) -> Result<Flow, StageError> {
    loop {
        let flow = stage.process(ctx)?;
        if flow != Flow::Again {
            return Ok(flow);
        }
        *worked += 1;
        if *worked == calls {
            return Ok(flow);
        }
    }
}

/// Drops a stage; its ports close, and its neighbours are woken to see it. A panic in its `Drop` harms nobody else, and
/// is told.
fn drop_seat(seat: &mut Option<Seat>, control: &Control) {
    let Some(Seat { stage, view, on_fault, neighbours, post, mut notes, .. }) = seat.take() else { return };
    notes.end(|note| control.tell_note(Event::Note { stage: view.id.clone(), note }));
    post.enter(Call::Drop, Instant::now());
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(stage))) {
        // Not told to a recorder's handle: whether its file was closed was decided in `finish`.
        tell_fault(&view, on_fault, format!("panicked in drop: {}", panic_text(panic)), control);
    }
    neighbours.wake_all();
}

/// Tells that a stage is disabled. A stage counts as one fault, whatever else goes wrong while it is taken down.
fn tell_fault(view: &NodeView, on_fault: OnFault, error: String, control: &Control) {
    let is_first = view.stats.state() != StageState::Failed;
    view.stats.set_state(StageState::Failed);
    let stops = on_fault == OnFault::Stop;
    control.tell(Event::StageFailed { stage: view.id.clone(), error: error.into(), stops });
    if is_first {
        control.count_fault(stops);
    }
}

/// Calls into a stage; a panic becomes an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, StageError>) -> Result<T, StageError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(StageError::Panicked(panic_text(panic))))
}

/// What a panic said. What it threw is a stage's own type, whose `Drop` may panic in turn outside every guard; so
/// anything but a text is leaked.
pub(crate) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    panic.downcast::<String>().map(|text| *text).unwrap_or_else(|panic| {
        panic.downcast::<&str>().map(|text| (*text).to_owned()).unwrap_or_else(|panic| {
            std::mem::forget(panic);
            "no message".into()
        })
    })
}

/// An error and what caused it. A cause is a stage's own type and may panic while it is read or dropped.
fn in_words(error: StageError) -> String {
    let read = AssertUnwindSafe(|| {
        let text = with_causes(&error);
        drop(error);
        text
    });
    catch_unwind(read).unwrap_or_else(|panic| format!("an error that panicked when read: {}", panic_text(panic)))
}

/// An error and what caused it, in one line.
fn with_causes(error: &StageError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let what = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&what) {
            text.push_str(": ");
            text.push_str(&what);
        }
        cause = error.source();
    }
    text
}
