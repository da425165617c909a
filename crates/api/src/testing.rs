//! Runs one stage without a runtime: packets in, packets out, step by step.
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    bell::Bell,
    build::{BuildContext, BuildError, EdgeWiring, InputWiring, LinkEnd, OutputWiring, Wiring},
    handle::{Hashes, RecorderHandle, TransportHandle},
    link::{LinkReceiver, LinkSender, LinkStats, Overflow, Recv, link},
    packet::PacketHeader,
    param::{ParamError, ParamSet},
    pool::MemoryPool,
    port::{OutputCounts, OutputStats, SourceInfo},
    publication::Publication,
    signal::{Counts, Physical, Signal, SignalKind, Spectrum, StreamSpec},
    stage::{Flow, Note, Stage, StageContext, StageDescriptor, StageError},
};

/// Packets that fit into each queue and pool of a harness.
const ROOM: u32 = 1024;

/// One stage with its ports in the hands of a test.
pub struct Harness {
    stage: Box<dyn Stage>,
    ctx: StageContext,
    stopping: Arc<AtomicBool>,
    descriptor: &'static StageDescriptor,
    feeds: Vec<(&'static str, Feed)>,
    takes: Vec<Take>,
    epoch: Arc<AtomicU32>,
    /// Epoch of what is pushed: how many changes of parameters it has seen on its way.
    pub param_epoch: u32,
    /// Set by a stage that records.
    pub recorder: Option<Arc<RecorderHandle>>,
    /// Set by a stage that replays.
    pub transport: Option<Arc<TransportHandle>>,
    /// Set by a stage that publishes a stream.
    pub publication: Option<Publication>,
    /// Set by a stage that hashes streams.
    pub hashes: Option<Hashes>,
}

struct Feed {
    port: Box<dyn Any>,
    spec: StreamSpec,
    next_seq: u64,
}

struct Take {
    port: &'static str,
    spec: StreamSpec,
    receiver: Box<dyn Any + Send>,
    stats: Arc<OutputStats>,
}

/// Finds a registered stage; the crate that registers it must be linked in.
///
/// # Panics
/// If there is none of that id.
pub fn descriptor(id: &str) -> &'static StageDescriptor {
    let found = inventory::iter::<StageDescriptor>.into_iter().find(|descriptor| descriptor.id == id);
    found.unwrap_or_else(|| panic!("no stage `{id}` is registered"))
}

/// Parameters from a JSON object over the defaults of a stage.
///
/// # Errors
/// The first value that is refused.
pub fn params(descriptor: &StageDescriptor, json: &Value) -> Result<ParamSet, ParamError> {
    let mut set = ParamSet::defaults(descriptor.params);
    for (key, value) in json.as_object().into_iter().flatten() {
        set.set(key, value)?;
    }
    Ok(set)
}

impl Harness {
    /// Builds stage `id` with parameters from a JSON object and one link per entry of `inputs` (port and shape).
    /// Every output port that the stage takes can be read with [`take`](Self::take).
    ///
    /// # Errors
    /// What the stage's `build` says.
    ///
    /// # Panics
    /// If the stage or a port does not exist, or a parameter is refused.
    pub fn new(id: &str, json: Value, inputs: &[(&'static str, StreamSpec)]) -> Result<Self, BuildError> {
        let descriptor = descriptor(id);
        let params = params(descriptor, &json)?;
        let (epoch, bell) = (Arc::new(AtomicU32::new(0)), Bell::new());
        let mut feeds = Vec::new();
        let mut input_wirings: Vec<InputWiring> =
            descriptor.inputs.iter().map(|port| InputWiring { port: port.name, links: Vec::new() }).collect();
        for (index, (port, spec)) in inputs.iter().enumerate() {
            let (feed, end) = match spec.kind {
                SignalKind::Counts => feed::<Counts>(index, spec),
                SignalKind::Physical => feed::<Physical>(index, spec),
                SignalKind::Spectrum => feed::<Spectrum>(index, spec),
            };
            feeds.push((*port, feed));
            let wiring = input_wirings.iter_mut().find(|wiring| wiring.port == *port);
            wiring.expect("a port of the stage").links.push(end);
        }
        let outputs = descriptor.outputs.iter().map(|port| OutputWiring {
            port: port.name,
            edges: vec![EdgeWiring {
                stats: Arc::new(LinkStats::new(format!("stage.{}", port.name).into(), ROOM, Overflow::Block)),
            }],
            pool_packets: ROOM,
            built: None,
        });
        let mut wiring = Wiring {
            stage: "stage".into(),
            bell,
            realtime: descriptor.realtime,
            unhurried: false,
            device: "".into(),
            inputs: input_wirings,
            outputs: outputs.collect(),
            epoch: epoch.clone(),
            next_input_sample: Arc::new(AtomicU64::new(0)),
            recorder: None,
            transport: None,
            publication: None,
            hashes: None,
        };
        let stage = (descriptor.build)(&mut BuildContext::new(&params, &mut wiring))?;
        let takes = wiring.outputs.into_iter().filter_map(|output| {
            let mut built = output.built?;
            Some(Take { port: output.port, spec: built.spec, receiver: built.receivers.remove(0), stats: built.stats })
        });
        let stopping = Arc::new(AtomicBool::new(false));
        Ok(Self {
            stage,
            ctx: StageContext::new(Duration::from_millis(20), stopping.clone()),
            stopping,
            descriptor,
            feeds,
            takes: takes.collect(),
            epoch,
            param_epoch: 0,
            recorder: wiring.recorder,
            transport: wiring.transport,
            publication: wiring.publication,
            hashes: wiring.hashes,
        })
    }

    /// Shape of an output.
    ///
    /// # Panics
    /// If the stage did not take that port.
    pub fn spec(&self, port: &str) -> &StreamSpec {
        &self.takes.iter().find(|take| take.port == port).expect("an output of the stage").spec
    }

    /// Counters of an output.
    ///
    /// # Panics
    /// If the stage did not take that port.
    pub fn counts(&self, port: &str) -> OutputCounts {
        self.takes.iter().find(|take| take.port == port).expect("an output of the stage").stats.counts()
    }

    /// Opens what the stage opens.
    ///
    /// # Errors
    /// What the stage says.
    pub fn start(&mut self) -> Result<(), StageError> {
        self.stage.start(&mut self.ctx)
    }

    /// Queues one packet at the first link of `port`; `samples` are frame by frame, time is counted from 0 at sample 0.
    ///
    /// # Panics
    /// If the kind or shape is not the one of the link, or the stage has not taken 1024 packets.
    pub fn push<S: Signal>(&mut self, port: &str, first_sample: u64, samples: &[S::Elem]) {
        let (_, feed) = self.feeds.iter_mut().find(|(name, _)| *name == port).expect("a connected port");
        let (pool, sender) = feed.port.downcast_mut::<(MemoryPool<S>, LinkSender<S>)>().expect("the kind of the link");
        let frames = u32::try_from(samples.len() / feed.spec.frame_len()).expect("a packet");
        let mut packet = pool.try_acquire().expect("the stage takes packets");
        packet.frames_mut(frames).copy_from_slice(samples);
        let header = packet.header_mut();
        (header.seq, header.first_sample) = (feed.next_seq, first_sample);
        header.timestamp_ns = feed.spec.rate.nanoseconds_at(first_sample);
        header.param_epoch = self.param_epoch;
        feed.next_seq += 1;
        sender.send(packet.share());
    }

    /// Closes every input: nothing more will come.
    pub fn close(&mut self) {
        self.feeds.clear();
    }

    /// Asks the stage to stop, as the runtime does.
    pub fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Calls `process` once.
    ///
    /// # Errors
    /// What the stage says.
    pub fn step(&mut self) -> Result<Flow, StageError> {
        self.stage.process(&mut self.ctx)
    }

    /// Calls `process` until it has nothing to do, and gives its last word.
    ///
    /// # Errors
    /// What the stage says.
    pub fn run(&mut self) -> Result<Flow, StageError> {
        loop {
            match self.step()? {
                Flow::Again => {}
                flow => return Ok(flow),
            }
        }
    }

    /// Applies a parameter as the runtime does: checked, between two packets.
    ///
    /// # Errors
    /// What the check or the stage says.
    pub fn set_param(&mut self, key: &str, json: &Value) -> Result<(), StageError> {
        let (_, spec) = ParamSet::spec(self.descriptor.params, key)?;
        self.stage.set_param(spec.key, &spec.check(json)?)?;
        self.epoch.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Flushes the stage.
    ///
    /// # Errors
    /// What the stage says.
    pub fn finish(&mut self) -> Result<(), StageError> {
        self.stage.finish(&mut self.ctx)
    }

    /// Takes every packet that was sent on `port`: header and values.
    ///
    /// # Panics
    /// If the stage did not take that port or its kind is another.
    pub fn take<S: Signal>(&mut self, port: &str) -> Vec<(PacketHeader, Vec<S::Elem>)> {
        let take = self.takes.iter_mut().find(|take| take.port == port).expect("an output of the stage");
        let receiver = take.receiver.downcast_mut::<LinkReceiver<S>>().expect("the kind of the output");
        let mut packets = Vec::new();
        while let Recv::Packet(packet) = receiver.receive() {
            packets.push((*packet.header(), packet.samples().to_vec()));
        }
        packets
    }

    /// What the stage told the person in front of the screen.
    pub fn notes(&mut self) -> Vec<Note> {
        self.ctx.take_notes().collect()
    }
}

fn feed<S: Signal>(index: usize, spec: &StreamSpec) -> (Feed, LinkEnd) {
    let stats = Arc::new(LinkStats::new(format!("feed{index}.out").into(), ROOM, Overflow::Block));
    let (sender, receiver) = link::<S>(stats);
    let info = SourceInfo {
        stage: format!("feed{index}").into(),
        port: "out",
        is_one_of_many: false,
        device: "test".into(),
        spec: spec.clone(),
    };
    let pool = MemoryPool::<S>::new(spec, ROOM);
    let feed = Feed { port: Box::new((pool, sender)), spec: spec.clone(), next_seq: 0 };
    (feed, LinkEnd { info, receiver: Box::new(receiver) })
}
