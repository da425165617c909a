//! The typed ends a stage holds: inputs read links, outputs own a pool and write links.
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crossbeam::utils::CachePadded;

use crate::{
    count::Count,
    link::{LinkReceiver, LinkSender, Recv},
    packet::{Flags, PacketHeader},
    pool::{MemoryPool, Packet, Shared},
    signal::{Counts, Physical, Signal, SignalKind, Spectrum, StreamSpec},
    tap::TapSender,
};

/// Why samples are missing before they reached any link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The device or its cable lost them.
    Device,
    /// No buffer was free.
    Overrun,
}

/// Counters of one output, read by the runtime while the stage writes them.
#[derive(Debug, Default)]
pub struct OutputStats {
    written: CachePadded<Written>,
    /// Set by the runtime on the outputs of sources: packets are counted and let go.
    paused: AtomicBool,
    /// Parameters applied to this output's stage so far.
    epoch: Arc<AtomicU32>,
}

/// Only the stage's own thread writes these.
#[derive(Debug, Default)]
struct Written {
    sent_packets: Count,
    sent_samples: Count,
    lost_device: Count,
    lost_overrun: Count,
    discarded: Count,
    next_sample: Count,
    last_sent_ns: Count,
}

/// What an output's counters read at one moment, in samples but for `sent_packets`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutputCounts {
    /// Packets passed to the links.
    pub sent_packets: u64,
    /// Samples passed to the links.
    pub sent_samples: u64,
    /// Samples the device lost.
    pub lost_device: u64,
    /// Samples for which no buffer was free.
    pub lost_overrun: u64,
    /// Samples let go because the pipeline was paused.
    pub discarded: u64,
    /// Index of the sample to come.
    pub next_sample: u64,
    /// Monotonic time of the last packet's first sample; 0 before the first packet.
    pub last_sent_ns: u64,
}

impl OutputStats {
    pub(crate) fn new(epoch: Arc<AtomicU32>) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Reads the counters.
    pub fn counts(&self) -> OutputCounts {
        let written = &*self.written;
        OutputCounts {
            sent_packets: written.sent_packets.get(),
            sent_samples: written.sent_samples.get(),
            lost_device: written.lost_device.get(),
            lost_overrun: written.lost_overrun.get(),
            discarded: written.discarded.get(),
            next_sample: written.next_sample.get(),
            last_sent_ns: written.last_sent_ns.get(),
        }
    }

    /// Lets packets go from now on, or passes them on again.
    pub fn set_paused(&self, paused: bool) {
        // Release, pairs with the Acquire in `send`: what was done before the pause is seen by the stage after it.
        self.paused.store(paused, Ordering::Release);
    }
}

/// The writing end of a stage: a pool to take buffers from and links to pass them to.
pub struct Output<S: Signal> {
    pub(crate) spec: StreamSpec,
    pub(crate) pool: MemoryPool<S>,
    pub(crate) links: Vec<LinkSender<S>>,
    pub(crate) tap: TapSender<S>,
    pub(crate) stats: Arc<OutputStats>,
    pub(crate) seq: u64,
    /// Marks for the next packet.
    pub(crate) pending: Flags,
}

impl<S: Signal> Output<S> {
    /// Shape of what this output sends.
    pub fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// Takes a free buffer of this port, or `None` at once when all are in flight.
    pub fn try_acquire(&mut self) -> Option<Packet<S>> {
        self.pool.try_acquire()
    }

    /// True if a buffer is free. Only this stage takes buffers, so it stays true until it does.
    pub fn has_buffer(&self) -> bool {
        self.pool.free() > 0
    }

    /// The packet for writing: in place if we are its only reader, else a copy in a buffer of this port. `None` when
    /// a copy is needed and no buffer is free.
    pub fn own(&mut self, packet: Shared<S>) -> Option<Packet<S>> {
        match packet.try_unique() {
            Ok(packet) => Some(packet),
            Err(shared) => {
                let mut copy = self.pool.try_acquire()?;
                copy.frames_mut(shared.header().batch_size).copy_from_slice(shared.samples());
                *copy.header_mut() = *shared.header();
                Some(copy)
            }
        }
    }

    /// Counts samples that never made it into a packet; the next packet is marked with a gap.
    pub fn lose(&mut self, samples: u64, why: Loss) {
        if samples == 0 {
            return;
        }
        let counter = match why {
            Loss::Device => &self.stats.written.lost_device,
            Loss::Overrun => {
                self.seq += 1;
                &self.stats.written.lost_overrun
            }
        };
        counter.add(samples);
        self.pending = self.pending.with(Flags::GAP);
    }

    /// Passes the packet to every link under that link's policy, and to the tap if someone looks. Fills in the
    /// packet number, the parameter epoch and pending marks; the stage fills in the rest of the header.
    /// A stage sends at most one packet per output in one call of `process`.
    pub fn send(&mut self, mut packet: Packet<S>) {
        let stats = &*self.stats;
        let samples = u64::from(packet.header().batch_size);
        // Acquire, pairs with `set_paused`.
        if stats.paused.load(Ordering::Acquire) {
            return self.discard(packet);
        }
        let header = packet.header_mut();
        header.seq = self.seq;
        header.param_epoch = header.param_epoch.wrapping_add(stats.epoch.load(Ordering::Relaxed));
        header.flags = header.flags.with(self.pending);
        self.pending = Flags::NONE;
        self.seq += 1;
        let written = &*stats.written;
        written.sent_packets.add(1);
        written.sent_samples.add(samples);
        written.next_sample.set(header.end_sample());
        written.last_sent_ns.set(header.timestamp_ns);
        self.tap.offer(&packet);
        let shared = packet.share();
        if let Some((last, others)) = self.links.split_last_mut() {
            for link in others {
                link.send(shared.clone());
            }
            last.send(shared);
        }
    }

    #[cold]
    fn discard(&mut self, packet: Packet<S>) {
        let (written, header) = (&*self.stats.written, packet.header());
        written.discarded.add(u64::from(header.batch_size));
        written.next_sample.set(header.end_sample());
        self.pending = self.pending.with(Flags::RESUMED);
    }

    /// The header of a packet made from another one: sample index, time, epoch and marks are kept.
    pub fn forward(&self, from: &PacketHeader) -> PacketHeader {
        PacketHeader { channels: u16::try_from(self.spec.channels.len()).unwrap_or(u16::MAX), seq: 0, ..*from }
    }

    /// This output's counters.
    pub fn stats(&self) -> &Arc<OutputStats> {
        &self.stats
    }
}

/// One link into an input: where it comes from and what it carries.
#[derive(Clone, Debug)]
pub struct SourceInfo {
    /// Id of the stage at the other end.
    pub stage: Arc<str>,
    /// Its port.
    pub port: &'static str,
    /// True if it has other outputs too: then a stream is named `stage.port`.
    pub is_one_of_many: bool,
    /// What the sending stage says of its device, or empty.
    pub device: Arc<str>,
    /// Shape of the stream.
    pub spec: StreamSpec,
}

impl SourceInfo {
    /// Name of the stream: the stage's id, and its port where it has several.
    pub fn stream_name(&self) -> String {
        if self.is_one_of_many { format!("{}.{}", self.stage, self.port) } else { self.stage.to_string() }
    }
}

/// The reading end of a stage for one kind of signal, from one stage.
pub struct Input<S: Signal> {
    pub(crate) info: SourceInfo,
    pub(crate) link: LinkReceiver<S>,
    pub(crate) next_sample: Arc<AtomicU64>,
}

impl<S: Signal> Input<S> {
    /// Shape of what arrives.
    pub fn spec(&self) -> &StreamSpec {
        &self.info.spec
    }

    /// Takes the next packet. Never waits.
    pub fn recv(&mut self) -> Recv<Shared<S>> {
        let received = self.link.receive();
        if let Recv::Packet(packet) = &received {
            self.next_sample.store(packet.header().end_sample(), Ordering::Relaxed);
        }
        received
    }
}

/// A packet of any kind.
pub enum AnyPacket {
    /// ADC counts.
    Counts(Shared<Counts>),
    /// Physical values.
    Physical(Shared<Physical>),
    /// Spectra.
    Spectrum(Shared<Spectrum>),
}

impl AnyPacket {
    /// What travels with the samples.
    pub fn header(&self) -> &PacketHeader {
        match self {
            Self::Counts(packet) => packet.header(),
            Self::Physical(packet) => packet.header(),
            Self::Spectrum(packet) => packet.header(),
        }
    }
}

pub(crate) enum AnyReceiver {
    Counts(LinkReceiver<Counts>),
    Physical(LinkReceiver<Physical>),
    Spectrum(LinkReceiver<Spectrum>),
}

impl AnyReceiver {
    fn receive(&mut self) -> Recv<AnyPacket> {
        fn wrap<S: Signal>(received: Recv<Shared<S>>, kind: fn(Shared<S>) -> AnyPacket) -> Recv<AnyPacket> {
            match received {
                Recv::Packet(packet) => Recv::Packet(kind(packet)),
                Recv::Empty => Recv::Empty,
                Recv::Closed => Recv::Closed,
            }
        }
        match self {
            Self::Counts(link) => wrap(link.receive(), AnyPacket::Counts),
            Self::Physical(link) => wrap(link.receive(), AnyPacket::Physical),
            Self::Spectrum(link) => wrap(link.receive(), AnyPacket::Spectrum),
        }
    }

    fn depth(&self) -> u32 {
        match self {
            Self::Counts(link) => link.stats().depth(),
            Self::Physical(link) => link.stats().depth(),
            Self::Spectrum(link) => link.stats().depth(),
        }
    }
}

/// The reading end of a stage that takes several kinds, from several stages.
pub struct AnyInput {
    pub(crate) links: Vec<(SourceInfo, AnyReceiver)>,
    pub(crate) turn: usize,
    pub(crate) next_sample: Arc<AtomicU64>,
}

impl AnyInput {
    /// Where packets come from, in the order of the index that [`recv`](Self::recv) gives.
    pub fn sources(&self) -> impl Iterator<Item = &SourceInfo> {
        self.links.iter().map(|(info, _)| info)
    }

    /// Packets that wait now.
    pub fn depth(&self) -> usize {
        self.links.iter().map(|(_, link)| link.depth() as usize).sum()
    }

    /// Takes the next packet and the index of its source; links are read in turn. Never waits.
    pub fn recv(&mut self) -> Recv<(usize, AnyPacket)> {
        let count = self.links.len();
        let mut open = false;
        for step in 0..count {
            let index = (self.turn + step) % count;
            match self.links[index].1.receive() {
                Recv::Packet(packet) => {
                    self.turn = (index + 1) % count;
                    self.next_sample.store(packet.header().end_sample(), Ordering::Relaxed);
                    return Recv::Packet((index, packet));
                }
                Recv::Empty => open = true,
                Recv::Closed => {}
            }
        }
        if open { Recv::Empty } else { Recv::Closed }
    }
}

/// Kinds in words, for messages.
pub(crate) fn kinds(accepts: &[SignalKind]) -> String {
    accepts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(all(test, not(wavedeck_loom)))]
mod tests;
