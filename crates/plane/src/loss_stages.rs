//! Stage types that keep their own books: what each one offered and took, counted without the plane's counters, and
//! whether every sample that arrived is the one that was sent.
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use wavedeck_api::prelude::*;

use crate::runtime::locked;

/// Largest packet, in frames.
pub(crate) const MAX_FRAMES: i64 = 64;
/// A value is `(sample + 1) * SOURCES + source`, which a `f32` holds exactly up to 2^24. A stage that works in place turns
/// its sign, so that a write into a buffer that someone else reads is seen there.
const SOURCES: u64 = 4;

const MANNERS: &[&str] = &["panic", "error"];
const IN: &[PortSpec] = &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }];
const OUT: &[PortSpec] = &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }];

type Build = fn(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError>;

const fn stage(
    id: &'static str,
    inputs: &'static [PortSpec],
    outputs: &'static [PortSpec],
    in_place: bool,
    build: Build,
) -> StageDescriptor {
    StageDescriptor {
        id,
        version: 1,
        summary: "keeps its own books",
        inputs,
        outputs,
        params: PARAMS,
        max_latency_ms: 1.0,
        realtime: false,
        in_place,
        blocking: false,
        build,
    }
}

const PARAMS: &[ParamSpec] = &[
    ParamSpec::bool("realtime", false),
    ParamSpec::int("number", 0, 0..=SOURCES as i64 - 1),
    ParamSpec::int("packets", 0, 0..=1_000_000),
    ParamSpec::int("frames", 1, 1..=MAX_FRAMES),
    // Rounds that each packet costs.
    ParamSpec::int("work", 0, 0..=1_000_000),
    // Packets that an end keeps before it lets them all go: more than a pool has room for.
    ParamSpec::int("hoard", 0, 0..=1000),
    // The packet at which it fails; 0 is never.
    ParamSpec::int("fault_at", 0, 0..=1_000_000),
    ParamSpec::choice("manner", 0, MANNERS),
    ParamSpec::int("knob", 0, 0..=9).live(),
];

pub(crate) static ORIGIN: StageDescriptor = stage("origin", &[], OUT, false, Origin::build);
pub(crate) static IN_PLACE: StageDescriptor = stage("in_place", IN, OUT, true, Relay::build);
pub(crate) static COPY: StageDescriptor = stage("copy", IN, OUT, false, Relay::build);
pub(crate) static END: StageDescriptor = stage("end", IN, &[], false, End::build);

/// Packets and samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) samples: u64,
}

impl Count {
    fn add(&mut self, samples: u64) {
        self.packets += 1;
        self.samples += samples;
    }
}

/// The books of one stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// Samples that a source made, whatever became of them.
    pub(crate) produced: u64,
    /// Handed to the output.
    pub(crate) offered: Count,
    /// Taken, by the stage that it came from.
    pub(crate) taken: BTreeMap<String, Count>,
}

/// All books of a pipeline by stage, and whatever was found wrong with a packet.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) books: Mutex<BTreeMap<String, Books>>,
    pub(crate) wrong: Mutex<Vec<String>>,
}

thread_local! {
    static LEDGER: RefCell<Arc<Ledger>> = RefCell::default();
}

/// The ledger of the stages that are built next on this thread.
pub(crate) fn new_ledger() -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    LEDGER.set(ledger.clone());
    ledger
}

/// What all of them have in common.
struct Clerk {
    id: String,
    ledger: Arc<Ledger>,
    work: i64,
    fault_at: i64,
    manner: &'static str,
    seen: i64,
}

impl Clerk {
    fn new(ctx: &BuildContext<'_>) -> Self {
        let ledger = LEDGER.with_borrow(Arc::clone);
        locked(&ledger.books).insert(ctx.stage_id().to_owned(), Books::default());
        Self {
            id: ctx.stage_id().to_owned(),
            ledger,
            work: ctx.params().int("work"),
            fault_at: ctx.params().int("fault_at"),
            manner: MANNERS[ctx.params().choice("manner")],
            seen: 0,
        }
    }

    fn write(&self, entry: impl FnOnce(&mut Books)) {
        locked(&self.ledger.books).entry(self.id.clone()).and_modify(entry);
    }

    /// Costs some time, and fails when its turn has come.
    fn work(&mut self) -> Result<(), StageError> {
        (0..self.work).for_each(|round| _ = std::hint::black_box(round));
        self.seen += 1;
        match self.manner {
            _ if self.seen != self.fault_at => Ok(()),
            "panic" => panic!("asked to panic at packet {}", self.seen),
            _ => Err(StageError::Failed(format!("asked to fail at packet {}", self.seen))),
        }
    }
}

fn value(sample: u64, source: u64) -> f32 {
    ((sample + 1) * SOURCES + source) as f32
}

struct Origin {
    clerk: Clerk,
    output: Output<Physical>,
    number: u64,
    left: i64,
    frames: u32,
    next: u64,
}

impl Origin {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        ctx.set_realtime(ctx.params().bool("realtime"));
        let frames = u32::try_from(ctx.params().int("frames")).unwrap_or(1);
        let spec = StreamSpec {
            kind: SignalKind::Physical,
            channels: [ChannelSpec::physical("a", "V")].into(),
            rate: Rate::new(1000, 1).expect("positive"),
            max_batch: frames,
            spectrum: None,
        };
        let output = ctx.output("out", spec)?;
        let (number, left) = (ctx.params().int("number").unsigned_abs(), ctx.params().int("packets"));
        Ok(Box::new(Self { clerk: Clerk::new(ctx), output, number, left, frames, next: 0 }))
    }

    /// Sends one packet, or counts it as lost.
    fn make(&mut self, frames: u32) {
        let (first, samples) = (self.next, u64::from(frames));
        self.next += samples;
        self.clerk.write(|books| books.produced += samples);
        let Some(mut packet) = self.output.try_acquire() else {
            self.output.lose(samples, Loss::Overrun);
            return;
        };
        for (sample, index) in packet.frames_mut(frames).iter_mut().zip(first..) {
            *sample = value(index, self.number);
        }
        packet.header_mut().first_sample = first;
        self.clerk.write(|books| books.offered.add(samples));
        self.output.send(packet);
    }
}

impl Stage for Origin {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        if self.left == 0 {
            return Ok(Flow::Done);
        }
        self.left -= 1;
        self.clerk.work()?;
        // Every size from one frame to the largest, in an order that looks like none.
        self.make(1 + (self.next as u32).wrapping_mul(2_654_435_761) % self.frames);
        Ok(Flow::Again)
    }

    fn set_param(&mut self, _key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        Ok(())
    }

    fn finish(&mut self, _ctx: &mut StageContext) -> Result<(), StageError> {
        // As a stage does that flushes.
        self.make(1);
        Ok(())
    }
}

struct Relay {
    clerk: Clerk,
    input: Reader,
    output: Output<Physical>,
    in_place: bool,
}

impl Relay {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = ctx.any_input("in", &[SignalKind::Physical])?;
        let spec = input.sources().next().map(|source| source.spec.clone()).expect("it is connected");
        let output = ctx.output("out", spec)?;
        let in_place = ctx.stage_id().starts_with("in_place");
        Ok(Box::new(Self { clerk: Clerk::new(ctx), input: Reader::new(input), output, in_place }))
    }
}

impl Stage for Relay {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        let packet = match self.input.next(&self.clerk) {
            Recv::Packet(packet) => packet,
            Recv::Empty => return Ok(Flow::Idle),
            Recv::Closed => return Ok(Flow::Done),
        };
        self.clerk.work()?;
        let none = || StageError::Failed("no buffer although the pool was sized for it".into());
        let packet = if self.in_place {
            let mut own = self.output.own(packet).ok_or_else(none)?;
            own.samples_mut().iter_mut().for_each(|sample| *sample = -*sample);
            own
        } else {
            let mut copy = self.output.try_acquire().ok_or_else(none)?;
            copy.frames_mut(packet.header().batch_size).copy_from_slice(packet.samples());
            *copy.header_mut() = self.output.forward(packet.header());
            copy
        };
        self.clerk.write(|books| books.offered.add(u64::from(packet.header().batch_size)));
        self.output.send(packet);
        Ok(Flow::Again)
    }

    fn set_param(&mut self, key: &'static str, value: &ParamValue) -> Result<(), StageError> {
        // Some are refused; neither may touch a sample.
        if *value == ParamValue::Int(9) { Err(StageError::NotLive(key)) } else { Ok(()) }
    }
}

struct End {
    clerk: Clerk,
    input: Reader,
    hoard: Vec<Shared<Physical>>,
    most: usize,
}

impl End {
    fn build(ctx: &mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError> {
        let input = Reader::new(ctx.any_input("in", &[SignalKind::Physical])?);
        let most = usize::try_from(ctx.params().int("hoard")).unwrap_or(0);
        Ok(Box::new(Self { clerk: Clerk::new(ctx), input, hoard: Vec::new(), most }))
    }
}

impl Stage for End {
    fn process(&mut self, _ctx: &mut StageContext) -> Result<Flow, StageError> {
        match self.input.next(&self.clerk) {
            Recv::Packet(packet) => {
                self.hoard.push(packet);
                if self.hoard.len() > self.most {
                    self.hoard.clear();
                }
                self.clerk.work().map(|()| Flow::Again)
            }
            Recv::Empty => {
                // A source may be waiting for just these.
                self.hoard.clear();
                Ok(Flow::Idle)
            }
            Recv::Closed => Ok(Flow::Done),
        }
    }

    fn set_param(&mut self, _key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        Ok(())
    }
}

/// An input that looks at every sample.
struct Reader {
    input: AnyInput,
    links: Vec<Expected>,
}

/// What is to come from one link.
struct Expected {
    from: String,
    sample: u64,
    seq: u64,
    /// The source and sign of what it carries.
    kind: Option<(u64, f32)>,
}

impl Reader {
    fn new(input: AnyInput) -> Self {
        let expect = |from: String| Expected { from, sample: 0, seq: 0, kind: None };
        let links = input.sources().map(|source| expect(source.stage.to_string())).collect();
        Self { input, links }
    }

    fn next(&mut self, clerk: &Clerk) -> Recv<Shared<Physical>> {
        let (index, packet) = match self.input.recv() {
            Recv::Packet((index, AnyPacket::Physical(packet))) => (index, packet),
            Recv::Packet(_) => unreachable!("only physical values are sent"),
            Recv::Empty => return Recv::Empty,
            Recv::Closed => return Recv::Closed,
        };
        let link = &mut self.links[index];
        let header = *packet.header();
        clerk.write(|books| books.taken.entry(link.from.clone()).or_default().add(u64::from(header.batch_size)));

        let (is_whole, first) = (packet.samples().len() == header.batch_size as usize, packet.samples()[0]);
        let (source, sign) = *link.kind.get_or_insert((first.abs() as u64 % SOURCES, first.signum()));
        let mut expected = (header.first_sample..).map(|sample| sign * value(sample, source));
        let is_intact = packet.samples().iter().all(|value| expected.next() == Some(*value));
        let is_in_order = header.first_sample >= link.sample && header.seq >= link.seq;
        // Right behind a source a hole shows: in the packet's number, or by a mark. A stage in between numbers anew.
        let shows = header.seq > link.seq || header.flags != Flags::NONE || !link.from.starts_with("origin");
        let is_hole_known = header.first_sample == link.sample || shows;
        if !(is_whole && is_intact && is_in_order && is_hole_known) {
            let Expected { from, sample, seq, .. } = &link;
            let what = format!("{from} -> {}: sample {sample} of packet {seq} to come, got {header:?}", clerk.id);
            locked(&clerk.ledger.wrong).push(what);
        }
        (link.sample, link.seq) = (header.end_sample(), header.seq + 1);
        Recv::Packet(packet)
    }
}
