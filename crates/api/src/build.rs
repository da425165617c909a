//! Making stages: what a builder lends a factory, and the wiring that comes out of it.
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64},
    },
};

use crate::{
    bell::Bell,
    handle::{
        Hashes, RecorderHandle, RecorderSeat, RecorderStatus, TransportHandle, TransportSeat, TransportStatus, handle,
    },
    link::{LinkReceiver, LinkStats, link},
    packet::Flags,
    param::{ParamError, ParamSet},
    pool::{MemoryPool, PoolView},
    port::{AnyInput, AnyReceiver, Input, Output, OutputStats, SourceInfo, kinds},
    publication::{Publication, Publisher, publication},
    signal::{Counts, Physical, Signal, SignalKind, Spectrum, StreamSpec},
    tap::{TapSocket, tap},
};

/// Most channels of a stream.
pub const MAX_CHANNELS: usize = 256;
/// Most bytes that the buffers of one output may take.
pub const MAX_POOL_BYTES: u64 = 1 << 30;

/// Why a stage cannot be made. The text does not name the stage: the caller adds the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A combination of parameters and input that cannot work.
    #[error("{what}")]
    Rejected {
        /// What is wrong, with the value and the limit.
        what: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A value that only the stage itself can check.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Nothing is connected to a port that is needed.
    #[error("input `{0}` is not connected")]
    Unconnected(&'static str),
    /// The neighbour sends another kind of signal.
    #[error("input `{port}` takes {accepts}, but `{from}` sends {got}")]
    Kind {
        /// Port of the stage that is being built.
        port: &'static str,
        /// What it takes.
        accepts: String,
        /// The other end.
        from: String,
        /// What that sends.
        got: SignalKind,
    },
    /// A port that cannot tell streams apart has several connections.
    #[error("input `{port}` takes one connection, but {} end here: {}", from.len(), from.join(", "))]
    Crowded {
        /// Port of the stage that is being built.
        port: &'static str,
        /// Where the connections come from.
        from: Vec<String>,
    },
}

impl BuildError {
    /// A rejection with a hint.
    pub fn rejected(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Rejected { what: what.into(), hint: Some(hint.into()) }
    }
}

/// One stage's place in the graph. A runtime fills it in, `build` takes the ports out and leaves their other ends.
pub struct Wiring {
    /// Id of the stage in the config.
    pub stage: Arc<str>,
    /// Wakes the stage's worker.
    pub bell: Bell,
    /// The outside world sets the pace; from the descriptor, or as the stage says.
    pub realtime: bool,
    /// Packets may wait for the stage until a good part of its queue is full.
    pub unhurried: bool,
    /// What the stage says of its device.
    pub device: Arc<str>,
    /// Links that end here.
    pub inputs: Vec<InputWiring>,
    /// Links that begin here.
    pub outputs: Vec<OutputWiring>,
    /// Parameters applied so far; the runtime raises it.
    pub epoch: Arc<AtomicU32>,
    /// Index of the next sample that arrives.
    pub next_input_sample: Arc<AtomicU64>,
    /// Set by a stage that records.
    pub recorder: Option<Arc<RecorderHandle>>,
    /// Set by a stage that replays.
    pub transport: Option<Arc<TransportHandle>>,
    /// Set by a stage that publishes a stream.
    pub publication: Option<Publication>,
    /// Set by a stage that hashes streams.
    pub hashes: Option<Hashes>,
}

/// An input port of a [`Wiring`].
pub struct InputWiring {
    /// Name of the port.
    pub port: &'static str,
    /// One entry per link; taken by the stage.
    pub links: Vec<LinkEnd>,
}

/// The receiving end of a link, its signal type erased.
pub struct LinkEnd {
    /// Where it comes from and what it carries.
    pub info: SourceInfo,
    /// A `LinkReceiver` of the kind in `info.spec`.
    pub receiver: Box<dyn Any + Send>,
}

/// An output port of a [`Wiring`].
pub struct OutputWiring {
    /// Name of the port.
    pub port: &'static str,
    /// One entry per link that begins here.
    pub edges: Vec<EdgeWiring>,
    /// Buffers to allocate.
    pub pool_packets: u32,
    /// The other ends; `None` until the stage takes the port.
    pub built: Option<BuiltOutput>,
}

/// A link that is to be made.
pub struct EdgeWiring {
    /// Its counters, capacity and policy.
    pub stats: Arc<LinkStats>,
}

/// What an output leaves for the runtime.
pub struct BuiltOutput {
    /// Shape of the stream.
    pub spec: StreamSpec,
    /// One `LinkReceiver` per edge, in their order.
    pub receivers: Vec<Box<dyn Any + Send>>,
    /// Counters.
    pub stats: Arc<OutputStats>,
    /// Buffers.
    pub pool: Arc<dyn PoolView>,
    /// A look at what is sent.
    pub tap: TapSocket,
}

/// What the builder lends a factory. Taking a port checks its kind against the neighbour's.
pub struct BuildContext<'a> {
    params: &'a ParamSet,
    wiring: &'a mut Wiring,
}

impl<'a> BuildContext<'a> {
    /// For runtimes.
    pub fn new(params: &'a ParamSet, wiring: &'a mut Wiring) -> Self {
        Self { params, wiring }
    }

    /// The stage's parameters, checked, with defaults filled in.
    pub fn params(&self) -> &'a ParamSet {
        self.params
    }

    /// Id of the stage in the config.
    pub fn stage_id(&self) -> &str {
        &self.wiring.stage
    }

    /// Says for this instance whether the outside world sets the pace. To be called before outputs are taken.
    pub fn set_realtime(&mut self, realtime: bool) {
        self.wiring.realtime = realtime;
    }

    /// Says that this instance need not be woken for each packet: it looks at its inputs by itself when it has to, and
    /// until then a queue may fill to a quarter.
    pub fn set_unhurried(&mut self) {
        self.wiring.unhurried = true;
    }

    /// Says what device the data comes from, for recordings. To be called before outputs are taken.
    pub fn set_device(&mut self, device: impl Into<Arc<str>>) {
        self.wiring.device = device.into();
    }

    /// Takes an input for one kind of signal, from one stage.
    ///
    /// # Errors
    /// When not exactly one link ends here, or its kind is another.
    pub fn input<S: Signal>(&mut self, port: &'static str) -> Result<Input<S>, BuildError> {
        let mut ends = self.take_links(port)?;
        if ends.len() > 1 {
            let from = ends.iter().map(|end| format!("`{}.{}`", end.info.stage, end.info.port));
            return Err(BuildError::Crowded { port, from: from.collect() });
        }
        let LinkEnd { info, receiver } = ends.remove(0);
        let link = receiver.downcast::<LinkReceiver<S>>().map_err(|_| BuildError::Kind {
            port,
            accepts: kinds(&[S::KIND]),
            from: format!("{}.{}", info.stage, info.port),
            got: info.spec.kind,
        })?;
        Ok(Input { info, link: *link, next_sample: self.wiring.next_input_sample.clone() })
    }

    /// Takes an input for several kinds of signal.
    ///
    /// # Errors
    /// When nothing is connected or a kind is not one of `accepts`.
    pub fn any_input(&mut self, port: &'static str, accepts: &[SignalKind]) -> Result<AnyInput, BuildError> {
        let mut links = Vec::new();
        for LinkEnd { info, receiver } in self.take_links(port)? {
            let wrong = BuildError::Kind {
                port,
                accepts: kinds(accepts),
                from: format!("{}.{}", info.stage, info.port),
                got: info.spec.kind,
            };
            if !accepts.contains(&info.spec.kind) {
                return Err(wrong);
            }
            let receiver = match info.spec.kind {
                SignalKind::Counts => receiver.downcast::<LinkReceiver<Counts>>().map(|r| AnyReceiver::Counts(*r)),
                SignalKind::Physical => {
                    receiver.downcast::<LinkReceiver<Physical>>().map(|r| AnyReceiver::Physical(*r))
                }
                SignalKind::Spectrum => {
                    receiver.downcast::<LinkReceiver<Spectrum>>().map(|r| AnyReceiver::Spectrum(*r))
                }
            };
            links.push((info, receiver.map_err(|_| wrong)?));
        }
        Ok(AnyInput { links, turn: 0, next_sample: self.wiring.next_input_sample.clone() })
    }

    /// Takes an output for a stream of this shape and allocates its buffers.
    ///
    /// # Errors
    /// When the shape is empty or beyond the limits.
    ///
    /// # Panics
    /// If the port is not in the stage's descriptor or was taken before.
    pub fn output<S: Signal>(&mut self, port: &'static str, spec: StreamSpec) -> Result<Output<S>, BuildError> {
        assert!(spec.kind == S::KIND, "output `{port}` is taken as {} with a spec of {}", S::KIND, spec.kind);
        let epoch = self.wiring.epoch.clone();
        let wiring = self.wiring.outputs.iter_mut().find(|output| output.port == port);
        let wiring = wiring.expect("a stage takes ports of its own descriptor");
        assert!(wiring.built.is_none(), "output `{port}` is taken twice");
        check_shape(&spec, wiring.pool_packets)?;

        let pool = MemoryPool::<S>::new(&spec, wiring.pool_packets);
        let (mut senders, mut receivers) = (Vec::new(), Vec::<Box<dyn Any + Send>>::new());
        for edge in &wiring.edges {
            let (sender, receiver) = link::<S>(edge.stats.clone());
            senders.push(sender);
            receivers.push(Box::new(receiver));
        }
        let stats = Arc::new(OutputStats::new(epoch));
        let (tap_sender, tap_socket) = tap(&spec);
        wiring.built = Some(BuiltOutput {
            spec: spec.clone(),
            receivers,
            stats: stats.clone(),
            pool: pool.view().into(),
            tap: tap_socket,
        });
        Ok(Output { spec, pool, links: senders, tap: tap_sender, stats, seq: 0, pending: Flags::NONE })
    }

    /// Makes this stage a recorder that takes requests.
    pub fn recorder(&mut self, first: RecorderStatus) -> RecorderSeat {
        let (ours, seat) = handle(self.wiring.bell.clone(), first);
        self.wiring.recorder = Some(Arc::new(ours));
        seat
    }

    /// Makes this stage a replay that takes requests.
    pub fn transport(&mut self, first: TransportStatus) -> TransportSeat {
        let (ours, seat) = handle(self.wiring.bell.clone(), first);
        self.wiring.transport = Some(Arc::new(ours));
        seat
    }

    /// Makes this stage one that publishes a stream of this shape, with room for so many packets.
    ///
    /// # Errors
    /// When the shape or the room is beyond the limits.
    pub fn publication(&mut self, name: &str, spec: &StreamSpec, packets: u32) -> Result<Publisher, BuildError> {
        check_shape(spec, packets)?;
        let (publisher, publication) = publication(name, spec, packets);
        self.wiring.publication = Some(publication);
        Ok(publisher)
    }

    /// Makes this stage one that leaves hashes of its streams.
    pub fn hashes(&mut self) -> Hashes {
        self.wiring.hashes.get_or_insert_default().clone()
    }

    fn take_links(&mut self, port: &'static str) -> Result<Vec<LinkEnd>, BuildError> {
        let input = self.wiring.inputs.iter_mut().find(|input| input.port == port);
        let links = std::mem::take(&mut input.expect("a stage takes ports of its own descriptor").links);
        if links.is_empty() { Err(BuildError::Unconnected(port)) } else { Ok(links) }
    }
}

fn check_shape(spec: &StreamSpec, packets: u32) -> Result<(), BuildError> {
    let channels = spec.channels.len();
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(BuildError::rejected(
            format!("a stream has 1..={MAX_CHANNELS} channels, got {channels}"),
            "split the device into several sources",
        ));
    }
    if spec.max_batch == 0 {
        return Err(BuildError::rejected("a packet holds at least 1 sample, got 0", "raise the batch size"));
    }
    let bytes = spec.packet_bytes() as u64 * u64::from(packets);
    if bytes > MAX_POOL_BYTES {
        return Err(BuildError::rejected(
            format!(
                "{packets} packets of {} bytes need {bytes} bytes, the limit is {MAX_POOL_BYTES}",
                spec.packet_bytes()
            ),
            "lower the capacity of the connections or the batch size",
        ));
    }
    Ok(())
}
