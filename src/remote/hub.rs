//! All clients of a port, and the beat at which they are told what is new.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::extract::ws::{Utf8Bytes, close_code};
use serde_json::json;
use tokio::sync::Notify;
use wavedeck_api::stage::Level;

use super::{client::Client, health::Flow, options::Limits, outbox::Ending, rpc, streams::Streams, views};
use crate::session::Session;

/// Time between two beats while someone has subscribed to a stream, to anything else, and to nothing.
const BEATS: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_secs(1)];
/// Part of the program that lines of the log are from.
pub(super) const LOG_FROM: &str = "remote";

/// The session and everybody who is connected to it.
pub(super) struct Hub {
    pub(super) session: Session,
    pub(super) limits: Limits,
    pub(super) started_unix_ns: u64,
    pub(super) on_stop: Arc<dyn Fn() + Send + Sync>,
    pub(super) flow: Mutex<Flow>,
    numbers: AtomicU64,
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    streams: Mutex<Streams>,
    wake: Notify,
    left: Notify,
}

impl Hub {
    pub(super) fn new(session: Session, limits: Limits, on_stop: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self {
            started_unix_ns: wavedeck_api::clock::Anchor::now().unix_ns,
            flow: Mutex::new(Flow::begin(Instant::now())),
            session,
            limits,
            on_stop,
            numbers: AtomicU64::new(1),
            clients: Mutex::default(),
            streams: Mutex::new(Streams::new()),
            wake: Notify::new(),
            left: Notify::new(),
        }
    }

    /// A new client.
    pub(super) fn enter(&self, address: String, name: String) -> Arc<Client> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(Client::new(number, address, name, &self.limits));
        self.clients().insert(number, client.clone());
        self.session.note(Level::Info, LOG_FROM, format!("{} connected", client.name()));
        client
    }

    /// A client has gone, for this reason.
    pub(super) fn leave(&self, client: &Client, level: Level, why: &str) {
        // Before its subscriptions are ended: what it still asks for finds it gone.
        client.leave();
        self.streams().leave(client);
        self.clients().remove(&client.number);
        self.session.note(level, LOG_FROM, format!("{} left: {why}", client.name()));
        self.left.notify_one();
    }

    /// Clients that are connected.
    pub(super) fn client_count(&self) -> usize {
        self.clients().len()
    }

    /// Waits until the last client has left.
    pub(super) async fn emptied(&self) {
        while self.client_count() > 0 {
            self.left.notified().await;
        }
    }

    /// Lets everybody go.
    pub(super) fn say_goodbye(&self) {
        for client in self.clients().values() {
            client.outbox.end(Ending { code: Some(close_code::AWAY), why: "the program ends".into() });
        }
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next beat come soon, since someone wants something else than before.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Tells everybody what is new, for ever.
    pub(super) async fn run(&self) {
        let mut next = [Instant::now(); 3];
        loop {
            let now = Instant::now();
            let mut is_due = |at: usize| {
                let due = now >= next[at];
                if due {
                    next[at] = now + BEATS[at];
                }
                due
            };
            if is_due(0) {
                self.tell_streams();
            }
            if is_due(1) {
                self.tell_telemetry(now);
                self.tell_events();
            }
            if is_due(2) {
                let snapshot = self.session.snapshot();
                self.flow.lock().unwrap_or_else(PoisonError::into_inner).look(&snapshot, now);
            }
            let rest = self.beat().saturating_sub(now.elapsed());
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    fn beat(&self) -> Duration {
        if !self.streams().is_empty() {
            return BEATS[0];
        }
        let is_wanted = |client: &Arc<Client>| {
            let wishes = client.wishes();
            wishes.telemetry.is_some() || wishes.next_event.is_some()
        };
        if self.clients().values().any(is_wanted) { BEATS[1] } else { BEATS[2] }
    }

    fn tell_streams(&self) {
        let mut streams = self.streams();
        if !streams.is_empty() {
            streams.pass_on(&self.session);
        }
    }

    fn tell_telemetry(&self, now: Instant) {
        let is_due = |client: &&Arc<Client>| client.wishes().telemetry.as_mut().is_some_and(|it| it.is_due(now));
        let due: Vec<Arc<Client>> = self.clients().values().filter(is_due).cloned().collect();
        if due.is_empty() {
            return;
        }
        let text: Utf8Bytes = rpc::notification("telemetry", &views::telemetry(&self.session)).into();
        due.iter().for_each(|client| client.outbox.put_telemetry(text.clone()));
    }

    fn tell_events(&self) {
        let clients: Vec<Arc<Client>> = self.clients().values().cloned().collect();
        let mut log = None;
        for client in clients {
            let mut wishes = client.wishes();
            let Some(first) = wishes.next_event else { continue };
            let mut next = first;
            let log = log.get_or_insert_with(|| self.session.log());
            for entry in log.iter().filter(|entry| entry.number >= first) {
                // What finds no room now is told later.
                if !client.outbox.is_airy() {
                    break;
                }
                client.outbox.push_text(rpc::notification("event", &json!(entry)));
                next = entry.number + 1;
            }
            wishes.next_event = Some(next);
        }
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
