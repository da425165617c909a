//! A running pipeline: its threads, the one gate for every change, and its end.
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, bounded};
use serde::{Deserialize, Serialize};
use wavedeck_api::{
    clock,
    handle::{RecordCommand, RecorderHandle, RecorderStatus, RecordingState, SessionInfo, StreamHash, TransportHandle},
    link::LinkStats,
    param::ParamSet,
    publication::Publication,
    signal::StreamSpec,
    stage::{StageContext, StageError},
    tap::Tap,
};

use crate::{
    config::PipelineConfig,
    control::Control,
    event::Event,
    gate::{Gate, GateError, RecordingLock},
    graph::{Graph, NodeView},
    neighbours::Neighbours,
    notes::NoteLimit,
    patience::Patience,
    plan::{Plan, RECORDER},
    sizing,
    telemetry::{EdgeTelemetry, PoolTelemetry, StageState, StageTelemetry, Telemetry},
    watch::{Lookout, Ongoing, Post, Watch},
    worker::{Mailbox, Seat, Worker, burst_of, glance_at},
};

/// Longest time that one call into a stage may wait.
const TICK: Duration = Duration::from_millis(20);
/// Changes that may wait for one stage.
pub(crate) const MAILBOX: usize = 64;
/// Events that may wait for the session.
const MAX_EVENTS: usize = 4096;

/// State of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// Not begun, or everything has ended.
    Stopped,
    /// Sources send.
    Running,
    /// Sources hold back.
    Paused,
    /// Sources have ended, what is in flight is being processed.
    Draining,
    /// A stage failed whose `on_fault` is `stop`, or every source has failed: nothing new will come.
    Failed,
}

/// A running pipeline.
pub struct Runtime {
    pub(crate) plan: Plan,
    pub(crate) control: Arc<Control>,
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) links: Vec<Arc<LinkStats>>,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// In the order of the plan's workers.
    pub(crate) workers: Mutex<Vec<Running>>,
    /// Values in force, as far as the session has seen them applied.
    values: Mutex<Vec<ParamSet>>,
    pub(crate) gate: Arc<Mutex<Gate>>,
    held: Mutex<Option<RecordingLock>>,
    /// What a recording is to be once the last pause or resume has been carried out.
    asked: Mutex<Option<RecordingState>>,
}

/// A thread that was started.
pub(crate) struct Running {
    pub(crate) thread: Option<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    watch: Arc<Watch>,
    lookout: Lookout,
}

impl Running {
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The call it is in.
    pub(crate) fn ongoing(&self) -> Option<Ongoing> {
        if self.has_ended() { None } else { self.watch.ongoing() }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of the largest packet that a stage reads or writes.
fn packet_bytes(plan: &Plan, nodes: &[NodeView], stage: usize) -> usize {
    // What a source has written leaves the cache of its thread in any case.
    if plan.is_source(stage) {
        return 0;
    }
    let edges = plan.edges.iter().filter(|edge| edge.to.0 == stage || edge.from.0 == stage);
    let outputs = edges.flat_map(|edge| nodes[edge.from.0].outputs.iter().filter(|output| output.port == edge.from.1));
    outputs.map(|output| output.spec.packet_bytes()).max().unwrap_or(0)
}

impl Runtime {
    /// Starts the threads of a graph. Sinks and stages in between get ready; sources wait for [`go`](Self::go).
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn launch(graph: Graph) -> Result<(Self, Receiver<Event>), StageError> {
        let (sender, events) = bounded(MAX_EVENTS);
        let Graph { plan, nodes, links, bells } = graph;
        let control = Arc::new(Control::new(sender, bells.clone()));
        let watches: Vec<Arc<Watch>> = plan.workers.iter().map(|_| Arc::default()).collect();
        let views: Vec<NodeView> = nodes.iter().map(|node| node.view.clone()).collect();
        let mut mailboxes = Vec::new();
        let mut seats: Vec<Option<Seat>> = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let (sender, mail) = bounded(MAILBOX);
            let full = Arc::new(AtomicBool::new(false));
            let worker = plan.worker_of(index);
            let packet_bytes = packet_bytes(&plan, &views, index);
            let seat = plan.workers[worker].stages.iter().position(|stage| *stage == index).unwrap_or(0);
            let bell = bells[worker].clone();
            mailboxes.push(Mailbox { sender, full: full.clone(), bell });
            seats.push(Some(Seat {
                stage: node.stage,
                view: node.view,
                ctx: StageContext::new(TICK, control.stopping.clone()),
                mail,
                mail_flag: full,
                values: plan.stages[index].params.iter().map(|(spec, value)| (spec, value.clone())).collect(),
                on_fault: plan.stages[index].on_fault,
                is_source: plan.is_source(index),
                is_started: false,
                neighbours: Neighbours::of(index, &plan, &views, &links, &bells),
                burst: burst_of(packet_bytes),
                glance: glance_at(packet_bytes),
                is_blind: false,
                is_quick: true,
                post: Post { watch: watches[worker].clone(), seat },
                notes: NoteLimit::new(),
                moved: (0, 0),
            }));
        }
        let runtime = Self {
            values: Mutex::new(plan.stages.iter().map(|stage| stage.params.clone()).collect()),
            plan,
            control,
            nodes: views,
            links,
            mailboxes,
            workers: Mutex::new(Vec::new()),
            gate: Arc::default(),
            held: Mutex::new(None),
            asked: Mutex::new(None),
        };
        for ((planned, bell), watch) in runtime.plan.workers.iter().zip(bells).zip(watches) {
            let ended = Arc::new(AtomicBool::new(false));
            let worker = Worker {
                name: planned.name.clone(),
                cpu: planned.cpu,
                bell,
                seats: planned.stages.iter().map(|stage| seats[*stage].take()).collect(),
                control: runtime.control.clone(),
                patience: Patience::new(runtime.plan.workers.len()),
                watch: watch.clone(),
            };
            let flag = ended.clone();
            let spawned = thread::Builder::new().name(planned.name.to_string()).spawn(move || {
                worker.run();
                flag.store(true, Ordering::Release);
            });
            let thread = match spawned {
                Ok(thread) => thread,
                Err(source) => {
                    runtime.stop(Duration::from_secs(1));
                    return Err(StageError::Io { what: format!("no thread for `{}`", planned.name), source });
                }
            };
            let running = Running { thread: Some(thread), ended, watch, lookout: Lookout::default() };
            locked(&runtime.workers).push(running);
        }
        Ok((runtime, events))
    }

    /// Lets the sources open their devices and begin.
    pub fn go(&self) {
        self.control.let_go();
        self.control.ring_all();
    }

    /// State of the pipeline.
    pub fn state(&self) -> PipelineState {
        let has_ended = self.has_ended();
        let has_failed = self.control.has_failed() || self.every_source_is(&[StageState::Failed]);
        match (has_failed, self.control.is_stopping()) {
            (true, _) => PipelineState::Failed,
            _ if has_ended => PipelineState::Stopped,
            (_, true) => PipelineState::Draining,
            _ if !self.control.may_go() => PipelineState::Stopped,
            _ if self.control.is_paused() => PipelineState::Paused,
            _ => PipelineState::Running,
        }
    }

    /// True once every thread has ended.
    pub fn has_ended(&self) -> bool {
        locked(&self.workers).iter().all(Running::has_ended)
    }

    fn every_source_is(&self, states: &[StageState]) -> bool {
        let mut sources = (0..self.nodes.len()).filter(|index| self.plan.is_source(*index)).peekable();
        sources.peek().is_some() && sources.all(|index| states.contains(&self.nodes[index].stats.state()))
    }

    /// Stages that were disabled by an error or a panic.
    pub fn faults(&self) -> u32 {
        self.control.faults()
    }

    /// Sources hold back until [`resume`](Self::resume); samples go on being counted.
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// Sources send again.
    pub fn resume(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, paused: bool) {
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| self.plan.is_source(*index)) {
            debug_assert!(self.plan.is_source(index));
            // A source that can wait is not called at all while paused; its counters stand still.
            for output in node.outputs.iter().filter(|_| node.realtime) {
                output.stats.set_paused(paused);
            }
        }
        self.control.pause(paused);
        self.control.ring_all();
    }

    /// Passes a request to every recorder, and locks or frees the parameters with it.
    ///
    /// # Errors
    /// When there is no recorder, it does not take requests, or the request does not fit its state.
    pub fn record(&self, command: &RecordCommand) -> Result<(), GateError> {
        self.pass_on(&mut locked(&self.held), command)
    }

    /// Starts a recording. `session` is asked when no other request can come in between: a change that is not in what
    /// it says is applied after the start, and [`is_recording_open`](Self::is_recording_open) by the time it is told.
    ///
    /// # Errors
    /// As for [`record`](Self::record).
    pub fn start_recording(&self, session: impl FnOnce() -> SessionInfo) -> Result<(), GateError> {
        let mut held = locked(&self.held);
        self.pass_on(&mut held, &RecordCommand::Start(Arc::new(session())))
    }

    fn pass_on(&self, held: &mut Option<RecordingLock>, command: &RecordCommand) -> Result<(), GateError> {
        use RecordingState::{Finishing, Paused, Recording};
        let recorders: Vec<&Arc<RecorderHandle>> = self.recorders().collect();
        if recorders.is_empty() {
            return Err(GateError::Impossible("this pipeline has no source to record"));
        }
        self.free_if_over(held);
        // Recorders take requests in order: what has been asked of them and waits counts as done.
        let mut asked = locked(&self.asked);
        let waits = |state| *asked == Some(state) && !self.is_recording_settled();
        let fits = match command {
            RecordCommand::Start(_) => held.is_none() && !self.some_recorder_is(&[Recording, Paused, Finishing]),
            RecordCommand::Pause => self.some_recorder_is(&[Recording]) || waits(Recording),
            RecordCommand::Resume => self.some_recorder_is(&[Paused]) || waits(Paused),
            RecordCommand::Finish | RecordCommand::Marker { .. } => self.some_recorder_is(&[Recording, Paused]),
            RecordCommand::Param(_) | RecordCommand::Acknowledge => true,
        };
        if !fits {
            return Err(GateError::Impossible(match (command, self.recording_state()) {
                (RecordCommand::Start(_), _) => "a recording is open already",
                (_, Finishing) => "the recording is being finished",
                (_, RecordingState::Idle | RecordingState::Failed) if held.is_some() => {
                    "the recording is being opened: ask again in a moment"
                }
                _ => "nothing is being recorded: start a recording first",
            }));
        }
        if matches!(command, RecordCommand::Start(_) | RecordCommand::Resume) && held.is_none() {
            *held = Some(self.lock_for_recording());
        }
        let mut outcome = Ok(());
        for recorder in recorders {
            if recorder.request(command.clone()).is_err() {
                outcome =
                    Err(GateError::Impossible("the recorder takes no requests: it has ended or the disk is stuck"));
            }
        }
        if matches!(command, RecordCommand::Pause | RecordCommand::Finish) && outcome.is_ok() {
            *held = None;
        }
        match command {
            RecordCommand::Pause if outcome.is_ok() => *asked = Some(Paused),
            RecordCommand::Resume if outcome.is_ok() => *asked = Some(Recording),
            RecordCommand::Start(_) | RecordCommand::Finish => *asked = None,
            _ => {}
        }
        // A request that was not taken changes nothing: what records goes on recording, under the lock.
        self.free_if_over(held);
        outcome
    }

    /// Frees the parameters when no recorder records and none has a request before it that could make it.
    fn free_if_over(&self, held: &mut Option<RecordingLock>) {
        let is_over = || {
            self.recorders().all(|recorder| recorder.is_settled())
                && !self.some_recorder_is(&[RecordingState::Recording])
        };
        if held.is_some() && is_over() {
            *held = None;
        }
    }

    fn some_recorder_is(&self, states: &[RecordingState]) -> bool {
        self.recorders().any(|recorder| states.contains(&recorder.status().state))
    }

    /// True from the request that starts a recording until its file is closed.
    pub fn is_recording_open(&self) -> bool {
        use RecordingState::{Finishing, Paused, Recording};
        let mut held = locked(&self.held);
        self.free_if_over(&mut held);
        held.is_some() || self.some_recorder_is(&[Recording, Paused, Finishing])
    }

    /// Frees the parameters when a recording ended by itself, for instance on a full disk, and tells of stages that are
    /// stuck. To be called now and then.
    pub fn tend(&self) {
        self.tend_at(Instant::now());
    }

    pub(crate) fn tend_at(&self, now: Instant) {
        self.free_if_over(&mut locked(&self.held));
        for (worker, planned) in locked(&self.workers).iter_mut().zip(&self.plan.workers) {
            let id = |call: Ongoing| self.plan.stages[planned.stages[call.seat]].id.clone();
            let news = worker.lookout.look(worker.ongoing(), now);
            if let Some(back) = news.back {
                self.control.tell(Event::StageBack { stage: id(back), call: back.call.name() });
            }
            if let Some(stuck) = news.stuck {
                let seconds = stuck.lasted(now).as_secs();
                self.control.tell(Event::StageStuck { stage: id(stuck), call: stuck.call.name(), seconds });
            }
        }
    }

    /// State over all recorders: the one that needs attention most.
    pub fn recording_state(&self) -> RecordingState {
        let rank = |state: RecordingState| match state {
            RecordingState::Idle => 0,
            RecordingState::Finishing => 1,
            RecordingState::Paused => 2,
            RecordingState::Recording => 3,
            RecordingState::Failed => 4,
        };
        let states = self.recorders().map(|recorder| recorder.status().state);
        states.max_by_key(|state| rank(*state)).unwrap_or_default()
    }

    /// Every recorder of the pipeline.
    pub fn recorders(&self) -> impl Iterator<Item = &Arc<RecorderHandle>> {
        self.nodes.iter().filter_map(|node| node.recorder.as_ref())
    }

    /// What is known of the recordings.
    pub fn recorder_statuses(&self) -> Vec<RecorderStatus> {
        self.recorders().map(|recorder| recorder.status()).collect()
    }

    /// True if every recorder has carried out what it was asked, or is not there any more.
    pub fn is_recording_settled(&self) -> bool {
        self.recorders().all(|recorder| recorder.is_settled())
    }

    /// Every stream that a stage publishes, with the id of the stage.
    pub fn publications(&self) -> impl Iterator<Item = (&Arc<str>, &Publication)> {
        self.nodes.iter().filter_map(|node| Some((&node.id, node.publication.as_ref()?)))
    }

    /// Every replay of the pipeline.
    pub fn transports(&self) -> impl Iterator<Item = &Arc<TransportHandle>> {
        self.nodes.iter().filter_map(|node| node.transport.as_ref())
    }

    /// What streams have come to, by the stages that hash them; complete after a stop.
    pub fn stream_hashes(&self) -> Vec<StreamHash> {
        self.nodes.iter().filter_map(|node| node.hashes.as_ref()).flat_map(|hashes| hashes.get()).collect()
    }

    /// Starts looking at an output, or `None` if there is none of that name or someone looks already.
    pub fn tap(&self, stage: &str, port: &str) -> Option<Tap> {
        let node = self.nodes.iter().find(|node| &*node.id == stage)?;
        node.outputs.iter().find(|output| output.port == port)?.tap.open()
    }

    /// Every output: stage, port and shape, sources first.
    pub fn outputs(&self) -> impl Iterator<Item = (&Arc<str>, &'static str, &StreamSpec)> {
        let nodes = self.plan.order.iter().map(|index| &self.nodes[*index]);
        nodes.flat_map(|node| node.outputs.iter().map(|output| (&node.id, output.port, &output.spec)))
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes over what an event says of values in force. The session passes every event through here.
    pub fn absorb(&self, event: &Event) {
        if let Event::ParamApplied { stage, key, new, .. } = event
            && let Some(index) = self.plan.stages.iter().position(|planned| planned.id == *stage)
        {
            // It passed the same check on its way in.
            let _ = locked(&self.values)[index].set(key, new);
        }
    }

    /// Values in force, per stage in the order of the config.
    pub fn values(&self) -> Vec<ParamSet> {
        locked(&self.values).clone()
    }

    /// The config with the values in force.
    pub fn running_config(&self) -> PipelineConfig {
        let mut config = self.plan.config.clone();
        for (stage, values) in config.stages.iter_mut().zip(self.values()) {
            for (spec, value) in values.iter() {
                let json = spec.to_json(value);
                if stage.params.contains_key(spec.key) || json != spec.to_json(&spec.default()) {
                    stage.params.insert(spec.key.to_owned(), json);
                }
            }
        }
        config
    }

    /// Copies every counter.
    pub fn telemetry(&self) -> Telemetry {
        let edges = self.plan.edges.iter().zip(&self.links).map(|(edge, link)| EdgeTelemetry {
            id: edge.id.clone(),
            capacity: link.capacity,
            policy: link.policy,
            to_recorder: self.plan.stages[edge.to.0].descriptor.id == RECORDER,
            counts: link.counts(),
        });
        let stages = self.nodes.iter().enumerate().map(|(index, node)| {
            // In this order: no call is in the one and longer than the other.
            let times = node.stats.times();
            let worst = node.stats.worst();
            StageTelemetry {
                id: node.id.clone(),
                kind: self.plan.stages[index].descriptor.id,
                thread: self.plan.workers[self.plan.worker_of(index)].name.clone(),
                state: node.stats.state(),
                packets: node.stats.packets(),
                busy: node.stats.busy(),
                worst,
                p50: times.percentile_within(0.5, worst).unwrap_or_default(),
                p99: times.percentile_within(0.99, worst).unwrap_or_default(),
                times,
                waits: node.realtime,
                is_source: self.plan.is_source(index),
                outputs: node.outputs.iter().map(|output| (output.port, output.stats.counts())).collect(),
            }
        });
        let pools = self.nodes.iter().flat_map(|node| {
            node.outputs.iter().map(|output| PoolTelemetry {
                name: format!("{}.{}", node.id, output.port).into(),
                capacity: output.pool.capacity(),
                in_use: output.pool.capacity().saturating_sub(output.pool.free()),
                high_water: output.pool.high_water(),
                misses: output.pool.misses(),
                bytes: output.pool.bytes(),
            })
        });
        let worst_ms = |stage: usize| self.nodes[stage].stats.worst().as_secs_f64() * 1e3;
        let advice = sizing::too_small(&self.plan, |stage| &self.nodes[stage], worst_ms);
        Telemetry {
            advice: advice.into_iter().map(|(_, advice)| advice).collect(),
            at_ns: clock::now_ns(),
            stages: stages.collect(),
            edges: edges.collect(),
            pools: pools.collect(),
            lost_events: self.control.lost_events(),
        }
    }

    /// Asks sources to end; everything in flight is processed. Returns at once.
    pub fn begin_stop(&self) {
        self.control.stop();
        self.set_paused(false);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.begin_stop();
        }
    }
}
