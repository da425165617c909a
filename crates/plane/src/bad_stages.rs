//! Stage types that misbehave as they are told to: where (`place`) and how (`manner`).
use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use wavedeck_api::prelude::*;

use crate::runtime::locked;

pub(crate) const PLACES: &[&str] = &["nowhere", "build", "start", "process", "set_param", "finish", "drop"];
pub(crate) const MANNERS: &[&str] =
    &["panic", "bomb", "error", "evil_error", "block", "spin", "packets", "notes", "nap"];

/// Notes, and packets, of a flood.
pub(crate) const FLOOD: u64 = 100_000;
const PACKETS: u32 = 200;
/// Calls of `process` that go well.
const GOOD_CALLS: u32 = 5;

const IN: &[PortSpec] = &[PortSpec { name: "in", accepts: &[SignalKind::Physical] }];
const OUT: &[PortSpec] = &[PortSpec { name: "out", accepts: &[SignalKind::Physical] }];

const PARAMS: &[ParamSpec] = &[
    ParamSpec::choice("place", 0, PLACES),
    ParamSpec::choice("manner", 0, MANNERS),
    ParamSpec::int("knob", 0, 0..=9).live(),
];

type Build = fn(&mut BuildContext<'_>) -> Result<Box<dyn Stage>, BuildError>;

const fn bad(
    id: &'static str,
    inputs: &'static [PortSpec],
    outputs: &'static [PortSpec],
    build: Build,
) -> StageDescriptor {
    StageDescriptor {
        id,
        version: 1,
        summary: "misbehaves",
        inputs,
        outputs,
        params: PARAMS,
        max_latency_ms: 1.0,
        realtime: false,
        in_place: false,
        blocking: true,
        build,
    }
}

pub(crate) static BAD_SOURCE: StageDescriptor = bad("bad_source", &[], OUT, |ctx| {
    let output = ctx.output("out", crate::fixtures::ramp_spec(1000))?;
    Bad::build(ctx, None, Some(output))
});
pub(crate) static BAD_PASS: StageDescriptor = bad("bad_pass", IN, OUT, |ctx| {
    let input = ctx.input("in")?;
    let output = ctx.output("out", input.spec().clone())?;
    Bad::build(ctx, Some(input), Some(output))
});
pub(crate) static BAD_SINK: StageDescriptor = bad("bad_sink", IN, &[], |ctx| {
    let input = ctx.input("in")?;
    Bad::build(ctx, Some(input), None)
});

/// Holds a stage that blocks or spins until the test lets it go.
#[derive(Default)]
pub(crate) struct Door {
    /// Someone waits; it is open.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Door {
    pub(crate) fn open(&self) {
        locked(&self.state).1 = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_someone_there(&self) -> bool {
        locked(&self.state).0
    }

    fn is_open(&self) -> bool {
        locked(&self.state).1
    }

    fn pass(&self) {
        let mut state = locked(&self.state);
        state.0 = true;
        drop(self.changed.wait_while(state, |(_, is_open)| !*is_open).expect("nobody panics in here"));
    }
}

thread_local! {
    static DOOR: RefCell<Arc<Door>> = RefCell::default();
}

/// The door of the bad stages that are built next on this thread.
pub(crate) fn new_door() -> Arc<Door> {
    let door = Arc::new(Door::default());
    DOOR.set(door.clone());
    door
}

struct Bad {
    input: Option<Input<Physical>>,
    output: Option<Output<Physical>>,
    place: &'static str,
    manner: &'static str,
    door: Arc<Door>,
    calls: u32,
    next: u64,
    due: Option<Instant>,
}

/// A panic's payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload of a panic panicked");
    }
}

/// An error that panics when it is read.
#[derive(Debug)]
struct Evil;

impl std::error::Error for Evil {}

impl fmt::Display for Evil {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("the text of an error panicked");
    }
}

impl Bad {
    fn build(
        ctx: &BuildContext<'_>,
        input: Option<Input<Physical>>,
        output: Option<Output<Physical>>,
    ) -> Result<Box<dyn Stage>, BuildError> {
        let (place, manner) = (PLACES[ctx.params().choice("place")], MANNERS[ctx.params().choice("manner")]);
        let bad = Self { input, output, place, manner, door: DOOR.take(), calls: 0, next: 0, due: None };
        bad.misbehave("build", None).expect("no error is asked for here");
        Ok(Box::new(bad))
    }

    /// Does as told if this is the place.
    fn misbehave(&self, here: &str, ctx: Option<&mut StageContext>) -> Result<(), StageError> {
        if here != self.place {
            return Ok(());
        }
        match self.manner {
            "panic" => panic!("asked to panic in {here}"),
            "bomb" => std::panic::panic_any(Bomb),
            "error" => return Err(StageError::Failed(format!("asked to fail in {here}"))),
            "evil_error" => {
                return Err(StageError::Device { what: "asked to fail".into(), source: Some(Box::new(Evil)) });
            }
            "block" => self.door.pass(),
            "notes" => {
                let ctx = ctx.expect("notes are asked for where there is a context");
                (0..FLOOD).for_each(|n| ctx.note(Level::Info, format!("note {n}")));
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self) {
        let Some(output) = &mut self.output else { return };
        let Some(mut packet) = output.try_acquire() else {
            output.lose(1, Loss::Overrun);
            return;
        };
        packet.frames_mut(1).fill(0.0);
        packet.header_mut().first_sample = self.next;
        self.next += 1;
        output.send(packet);
    }
}

impl Stage for Bad {
    fn start(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        self.misbehave("start", Some(ctx))
    }

    fn process(&mut self, ctx: &mut StageContext) -> Result<Flow, StageError> {
        self.calls += 1;
        if self.calls > GOOD_CALLS {
            self.misbehave("process", Some(ctx))?;
            match (self.place, self.manner) {
                ("process", "spin") if !self.door.is_open() => return Ok(Flow::Again),
                ("process", "packets") => (0..PACKETS).for_each(|_| self.send()),
                ("process", "nap") => {
                    // As a source does that keeps time: nothing before it is due, then one packet and the next time.
                    let due = *self.due.get_or_insert_with(|| Instant::now() + Duration::from_millis(5));
                    if Instant::now() >= due {
                        self.send();
                        self.due = Some(due + Duration::from_secs(3600));
                    }
                    return Ok(Flow::Until(self.due.unwrap_or(due)));
                }
                _ => {}
            }
        }
        match self.input.as_mut().map(Input::recv) {
            Some(Recv::Empty) => return Ok(Flow::Idle),
            Some(Recv::Closed) => return Ok(Flow::Done),
            Some(Recv::Packet(_)) | None => self.send(),
        }
        Ok(Flow::Again)
    }

    fn set_param(&mut self, _key: &'static str, _value: &ParamValue) -> Result<(), StageError> {
        self.misbehave("set_param", None)
    }

    fn finish(&mut self, ctx: &mut StageContext) -> Result<(), StageError> {
        self.misbehave("finish", Some(ctx))
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        // What is asked for here never returns an error.
        let _ = self.misbehave("drop", None);
    }
}
