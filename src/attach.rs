//! A session that runs elsewhere, looked at through its remote port: a [`Station`] for the same screens.
//!
//! One thread keeps the connection and what it told; calls of the screen read that and never wait for the network,
//! but for requests, which a screen makes in a thread of its own. A connection that is lost is tried again until the
//! screen ends; meanwhile what is shown says that it is old.
mod calls;
mod connection;
mod known;
mod packets;
mod target;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, anyhow};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use wavedeck_api::{handle::TransportStatus, packet::PacketHeader};
use wavedeck_plane::PipelineConfig;

pub use self::target::Target;
use self::{
    calls::Call,
    known::Known,
    packets::{Packets, Watched},
};
use crate::{
    overview::Heights,
    session::{Request, Response, SessionError},
    snapshot::{RecordingEntry, Snapshot},
    station::{Link, Station, Watch},
};

/// Time that the first connection may take until there is something to show.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// Time that an answer may take. Opening a recording stops one pipeline and starts another.
const PATIENCE: Duration = Duration::from_secs(15);
/// Time without a word after which what is known is called old: a session tells ten times a second.
const OLD: Duration = Duration::from_millis(1500);

/// What the connection's thread is asked.
enum Order {
    Call { call: Call, answer: mpsc::Sender<Result<Value, SessionError>> },
    Watch(Arc<Watched>),
    Unwatch(Arc<Watched>),
}

/// What both ends share.
struct Shared {
    name: Arc<str>,
    known: Mutex<Known>,
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session at the far end of a connection. Dropping it ends the connection and nothing else.
pub struct FarSession {
    shared: Arc<Shared>,
    /// Gone when the session is let go, which ends the thread.
    orders: Option<UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl FarSession {
    /// Connects, and waits until there is something to show.
    ///
    /// # Errors
    /// If nobody answers there, or it is not a session that can be looked at.
    pub fn connect(target: Target) -> anyhow::Result<Self> {
        let name = target.to_string();
        let shared = Arc::new(Shared { name: name.as_str().into(), known: Mutex::new(Known::new()?) });
        let (orders, received) = tokio::sync::mpsc::unbounded_channel();
        let (ready, is_ready) = mpsc::channel();
        let of_thread = Arc::clone(&shared);
        let run = move || connection::run(&target, &of_thread, received, &ready);
        let thread = thread::Builder::new().name("attach".into()).spawn(run).context("no thread for the connection")?;
        let session = Self { shared, orders: Some(orders), thread: Some(thread) };
        match is_ready.recv_timeout(FIRST_PATIENCE) {
            Ok(Ok(())) => Ok(session),
            Ok(Err(error)) => Err(error.context(format!("cannot attach to {name}"))),
            Err(_) => Err(anyhow!("cannot attach to {name}: no answer within {} s", FIRST_PATIENCE.as_secs())),
        }
    }

    /// Asks the far session and waits for its answer.
    ///
    /// # Errors
    /// What it refuses, or that it does not answer.
    pub fn call(&self, method: &'static str, params: Value) -> Result<Value, SessionError> {
        let unreachable = || calls::far(format!("no connection to {}: nothing was changed", self.shared.name));
        let (answer, answered) = mpsc::channel();
        self.order(Order::Call { call: Call { method, params }, answer }).ok_or_else(unreachable)?;
        match answered.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(unreachable()),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(calls::far(format!(
                "{} has not answered within {} s: what was asked may yet be done",
                self.shared.name,
                PATIENCE.as_secs()
            ))),
        }
    }

    fn order(&self, order: Order) -> Option<()> {
        self.orders.as_ref()?.send(order).ok()
    }
}

impl Drop for FarSession {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Station for FarSession {
    fn snapshot(&self) -> Snapshot {
        let mut known = self.shared.known();
        let silent = known.heard.elapsed();
        let link = Link { name: Arc::clone(&self.shared.name), lost: (silent > OLD).then_some(silent) };
        Snapshot { link: Some(link), log: known.log(), ..known.snapshot() }
    }

    fn watch(&self, stage: &str, port: &str) -> Option<Box<dyn Watch>> {
        let watched = Arc::new(Watched::new(format!("{stage}.{port}")));
        let orders = self.orders.clone()?;
        orders.send(Order::Watch(Arc::clone(&watched))).ok()?;
        Some(Box::new(FarWatch { watched, orders, packets: Packets::default() }))
    }

    fn request(&self, request: Request, _by: &str) -> Result<Response, SessionError> {
        let Call { method, params } = calls::of(request)?;
        let answer = self.call(method, params)?;
        let posted = answer.get("posted").and_then(Value::as_u64).and_then(|posted| usize::try_from(posted).ok());
        Ok(posted.map_or(Response::Done, |tickets| Response::Posted { tickets }))
    }

    fn recordings(&self) -> Result<Vec<RecordingEntry>, SessionError> {
        known::recordings(&self.call("recordings.list", Value::Null)?)
    }

    fn overview(&self, of: &TransportStatus) -> Heights {
        self.shared.known().overview(of)
    }

    fn running_config(&self) -> Result<PipelineConfig, SessionError> {
        let pipeline = self.call("pipeline.get", Value::Null)?;
        Ok(PipelineConfig::from_value(&pipeline["config"])?)
    }
}

/// A look at an output of a far session.
struct FarWatch {
    watched: Arc<Watched>,
    orders: UnboundedSender<Order>,
    packets: Packets,
}

impl Watch for FarWatch {
    fn take(&mut self, each: &mut dyn FnMut(&PacketHeader, &[f32], u64)) {
        self.watched.take_all(&mut self.packets);
        for (header, samples, missed) in self.packets.drain(..) {
            each(&header, &samples, missed);
        }
    }

    fn missed(&self) -> u64 {
        self.watched.missed()
    }
}

impl Drop for FarWatch {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Unwatch(Arc::clone(&self.watched)));
    }
}
