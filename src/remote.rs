//! The remote port: a running session over HTTP and WebSocket, for programs, browsers and other terminals.
//!
//! It runs on one thread of its own, talks to [`Session`] only, and never waits for a client:
//! what a client does not take in time is dropped and counted, or the client is let go. Requests are JSON-RPC 2.0 or the
//! short JSON form ([`crate::short_form`]); samples come as binary frames ([`frame`]).
mod client;
mod download;
pub mod frame;
mod guard;
mod health;
mod hub;
mod listen;
mod methods;
mod metrics;
pub mod options;
mod outbox;
mod patience;
pub mod reduce;
mod routes;
pub mod rpc;
mod serve;
mod socket;
mod source;
mod streams;
mod table;
mod views;

use std::{
    fmt,
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context;
use tokio::{runtime, sync::watch};
use wavedeck_api::stage::Level;

pub use self::options::{Limits, PortOptions, RemoteArgs, Token};
use self::{hub::Hub, hub::LOG_FROM, listen::Listeners};
use crate::session::Session;

/// Most threads for requests that wait for a stage or a disk: one for each client there can be, so that none waits for
/// another. They are made when they are needed, and end when they are not.
const WAITING_THREADS: usize = 32;
/// Time that such requests have to end when the port closes.
const PATIENCE: Duration = Duration::from_millis(200);

/// Addresses that are taken; nobody is answered yet.
pub struct Bound {
    listeners: Listeners,
    options: PortOptions,
}

/// Takes the addresses, so that one that is in use is known before anything is started.
///
/// # Errors
/// When an address cannot be had, or other machines could reach it without a token.
pub fn bind(options: PortOptions) -> anyhow::Result<Bound> {
    let listeners = Listeners::bind(&options)?;
    if listeners.is_open_to_others() {
        let text = "the remote port is open to other machines, and nothing on the way is encrypted: whoever listens in \
                    sees the token. Use it in a network that you trust, or through SSH.";
        let _ = writeln!(std::io::stderr(), "wavedeck: {text}");
    }
    Ok(Bound { listeners, options })
}

/// Takes the addresses and serves the session there.
///
/// # Errors
/// As [`bind`] and [`Bound::serve`].
pub fn open(session: &Session, options: PortOptions) -> anyhow::Result<Port> {
    bind(options)?.serve(session)
}

impl Bound {
    /// Listens at a socket, too.
    ///
    /// # Errors
    /// When it cannot be made, or another program listens there.
    pub fn add_socket(&mut self, path: &Path) -> anyhow::Result<()> {
        self.listeners.add_socket(path)
    }

    /// Answers for that session, on a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be had.
    pub fn serve(self, session: &Session) -> anyhow::Result<Port> {
        let Self { listeners, options } = self;
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(WAITING_THREADS)
            .thread_name("remote-wait")
            .build()
            .context("the remote port cannot be started")?;
        let wants_stop = Arc::new(AtomicBool::new(false));
        let (flag, told) = (wants_stop.clone(), options.on_stop);
        let on_stop = move || {
            flag.store(true, Ordering::Relaxed);
            if let Some(tell) = &told {
                tell();
            }
        };
        let hub = Arc::new(Hub::new(session.clone(), options.limits, Arc::new(on_stop)));
        let addresses = listeners.tcp.iter().map(|(_, address)| *address).collect();
        for line in listeners.described() {
            session.note(Level::Info, LOG_FROM, line);
        }
        let (closing, is_closing) = watch::channel(false);
        let serving = hub.clone();
        let run = move || {
            if let Err(error) = runtime.block_on(serve::serve(listeners, options.token, serving.clone(), is_closing)) {
                serving.session.note(Level::Error, LOG_FROM, format!("the port is closed: {error}"));
            }
            runtime.shutdown_timeout(PATIENCE);
        };
        let thread = thread::Builder::new().name("remote".into()).spawn(run);
        let thread = thread.context("no thread for the remote port")?;
        Ok(Port { hub, addresses, wants_stop, closing, thread: Some(thread) })
    }
}

/// An open port. Dropping it lets all clients go, within about a second.
pub struct Port {
    hub: Arc<Hub>,
    addresses: Vec<SocketAddr>,
    wants_stop: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Port {
    /// TCP addresses that it listens at.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Clients that are connected at the moment.
    pub fn clients(&self) -> usize {
        self.hub.client_count()
    }

    /// True once a client asked for the end of the run.
    pub fn wants_stop(&self) -> bool {
        self.wants_stop.load(Ordering::Relaxed)
    }

    /// Lets all clients go and waits until the port is closed.
    pub fn close(self) {}
}

impl Drop for Port {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
