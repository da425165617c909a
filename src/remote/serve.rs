//! Connections: taken from the listeners, given to the router, and ended when the port closes.
use std::{sync::Arc, time::Duration};

use axum::{Router, extract::Extension};
use hyper::{
    rt::{Read, Write},
    server::conn::http1,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use wavedeck_api::stage::Level;

use super::{
    guard::Guard,
    hub::{Hub, LOG_FROM},
    listen::{Listeners, SocketFile},
    options::Token,
    patience::Patient,
    routes::{self, Peer},
};

/// Time that connections have to end when the port closes.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rest after the system refused a connection, such as for want of files.
const REST: Duration = Duration::from_millis(100);

/// Bytes that may wait in the system for a link. What waits there is sent however old it is, and would be megabytes: here
/// it can give way to answers and to newer data.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 16 << 10;

/// How often a socket is looked for in the file system.
const LOOK: Duration = Duration::from_secs(1);

/// What every connection is given.
#[derive(Clone)]
struct Door {
    hub: Arc<Hub>,
    router: Router,
    closing: watch::Receiver<bool>,
}

/// Serves until `closing` turns true, and a moment longer.
pub(super) async fn serve(
    listeners: Listeners,
    token: Option<Token>,
    hub: Arc<Hub>,
    mut closing: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let door = Door { hub: hub.clone(), router: routes::router(hub.clone()), closing: closing.clone() };
    for (listener, address) in listeners.tcp {
        let guard = Guard { address, token: token.clone() };
        let (listener, door) = (TcpListener::from_std(listener)?, door.clone());
        tokio::spawn(async move { take(|| next_tcp(&listener, &guard), door).await });
    }
    for (listener, file) in listeners.unix {
        tokio::spawn(take_at_socket(UnixListener::from_std(listener)?, file, door.clone()));
    }
    let beat = hub.clone();
    tokio::spawn(async move { beat.run().await });
    drop(door);
    let _ = closing.wait_for(|is_closing| *is_closing).await;
    hub.say_goodbye();
    let _ = timeout(PATIENCE, hub.emptied()).await;
    Ok(())
}

/// Takes connections at a socket until the port closes, and makes it anew whenever it has vanished.
async fn take_at_socket(mut listener: UnixListener, mut file: SocketFile, door: Door) {
    loop {
        listener = tokio::select! {
            () = take(|| next_unix(&listener), door.clone()) => return,
            renewed = renewed(&mut file) => renewed,
        };
        let text = format!("{} had vanished: it is there again", file.path.display());
        door.hub.session.note(Level::Info, LOG_FROM, text);
    }
}

/// Waits until a socket had to be made anew.
async fn renewed(file: &mut SocketFile) -> UnixListener {
    let mut has_failed = false;
    loop {
        sleep(LOOK).await;
        match file.renew().and_then(|made| Ok(made.map(UnixListener::from_std).transpose()?)) {
            Ok(Some(listener)) => return listener,
            Err(error) if !std::mem::replace(&mut has_failed, true) => {
                tracing::warn!(error = format!("{error:#}"), path = %file.path.display(), "the socket has vanished");
            }
            Ok(None) | Err(_) => {}
        }
    }
}

/// Takes connections until the port closes: `next` waits for one and says who it is.
async fn take<S, F>(next: impl Fn() -> F, mut door: Door)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<(S, Peer)>>,
{
    let places = Arc::new(Semaphore::new(door.hub.limits.connections));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let taken = tokio::select! {
            taken = next() => taken,
            _ = door.closing.changed() => return,
        };
        let Ok((stream, peer)) = taken else {
            sleep(REST).await;
            continue;
        };
        let connection = door.clone().hold(TokioIo::new(stream), peer);
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

async fn next_tcp(listener: &TcpListener, guard: &Guard) -> std::io::Result<(TcpStream, Peer)> {
    let (stream, from) = listener.accept().await?;
    // Answers are short, and each is wanted at once.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let (address, name) = (from.to_string(), format!("remote {from}"));
    Ok((stream, Peer { address, name, guard: Some(guard.clone()) }))
}

async fn next_unix(listener: &UnixListener) -> std::io::Result<(UnixStream, Peer)> {
    let (stream, _) = listener.accept().await?;
    Ok((stream, Peer { address: "this machine".into(), name: "attach".into(), guard: None }))
}

impl Door {
    /// Answers the requests of one connection, one after the other. A WebSocket goes on without it.
    async fn hold(mut self, stream: impl Read + Write + Unpin + Send + 'static, peer: Peer) {
        let service = TowerToHyperService::new(self.router.clone().layer(Extension(peer)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.hub.limits.handshake)
            .serve_connection(Patient::new(stream, self.hub.limits.stalled), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.closing.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = timeout(PATIENCE, connection).await;
    }
}
