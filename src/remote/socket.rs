//! A WebSocket from its first message to its last: one half reads and answers, the other sends what waits.
use std::{
    io::ErrorKind,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tungstenite::error::ProtocolError;
use wavedeck_api::stage::Level;

use super::{
    client::Client,
    hub::Hub,
    methods::Caller,
    outbox::{Ending, Next},
    routes::Peer,
    rpc::{self, INTERNAL_ERROR, INVALID_REQUEST, Message},
    table,
};

/// Time for a close frame to be sent, and for the other side to take it.
const FAREWELL: Duration = Duration::from_millis(800);
/// Calls of one batch that are too many to be carried out between two beats.
const MANY: usize = 4;
/// Span over which messages of a client are counted.
const SECOND: Duration = Duration::from_secs(1);

/// Serves a client until one side ends it.
pub(super) async fn serve(socket: WebSocket, hub: &Arc<Hub>, peer: Peer) {
    let client = hub.enter(peer.address, peer.name);
    let (mut sink, stream) = socket.split();
    let heard = Heard::default();
    let reading = async {
        let ending = Reader { hub, client: &client, heard: &heard }.read(stream).await;
        let is_cut_short = ending.code.is_some();
        client.outbox.end(ending);
        if is_cut_short {
            // To close at once would throw away what the other side has not read yet, and why it was.
            sleep(FAREWELL / 2).await;
        }
        heard.end.notify_one();
        std::future::pending().await
    };
    let ending = tokio::select! {
        ending = reading => ending,
        ending = write(&mut sink, &client, &heard, hub) => ending,
    };
    let is_odd = ending.code.is_some_and(|code| code != close_code::AWAY && code != close_code::NORMAL);
    hub.leave(&client, if is_odd { Level::Warn } else { Level::Info }, &ending.why);
}

/// What was heard of the other side.
struct Heard {
    last: Mutex<Instant>,
    /// There is no more to come.
    end: Notify,
}

impl Default for Heard {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()), end: Notify::new() }
    }
}

impl Heard {
    fn now(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silence(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

struct Reader<'a> {
    hub: &'a Arc<Hub>,
    client: &'a Arc<Client>,
    heard: &'a Heard,
}

impl Reader<'_> {
    /// Answers messages until there are no more.
    async fn read(&self, mut stream: SplitStream<WebSocket>) -> Ending {
        let mut pace = Pace { count: 0, since: Instant::now() };
        loop {
            let frame = stream.next().await;
            self.heard.now();
            match frame {
                None => return gone("closed by the client"),
                Some(Err(error)) => return why_unreadable(error),
                Some(Ok(Frame::Text(text))) => self.answer(text.as_str()).await,
                Some(Ok(Frame::Binary(_))) => {
                    let error = rpc::RpcError::new(INVALID_REQUEST, "requests are text, this is a binary message");
                    self.client.outbox.push_text(rpc::refusal(&error));
                }
                // Answered below, by the next read.
                Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_))) => {}
            }
            pace.keep(self.hub.limits.messages_per_second).await;
            // One read may have brought thousands of messages: the others have their turn between them.
            yield_now().await;
        }
    }

    async fn answer(&self, text: &str) {
        let message = Message::read(text);
        let may_wait = message.methods().any(table::waits) || message.methods().count() > MANY;
        let answer = if may_wait {
            let (hub, client) = (self.hub.clone(), self.client.clone());
            let work = move || message.answer(&Caller { hub: &hub, client: &client });
            tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
                Some(rpc::refusal(&rpc::RpcError::new(INTERNAL_ERROR, "this failed in a way that it should not")))
            })
        } else {
            message.answer(&Caller { hub: self.hub, client: self.client })
        };
        if let Some(answer) = answer {
            self.client.outbox.push_text(answer);
        }
    }
}

/// Slows a client down that sends more than its share.
struct Pace {
    count: u32,
    since: Instant,
}

impl Pace {
    async fn keep(&mut self, per_second: u32) {
        self.count += 1;
        if self.since.elapsed() >= SECOND {
            *self = Self { count: 0, since: Instant::now() };
        } else if self.count >= per_second {
            sleep_until(self.since + SECOND).await;
            *self = Self { count: 0, since: Instant::now() };
        }
    }
}

/// Sends what waits until the connection is to end or cannot go on.
async fn write(sink: &mut SplitSink<WebSocket, Frame>, client: &Client, heard: &Heard, hub: &Hub) -> Ending {
    let limits = &hub.limits;
    let mut next_ping = Instant::now() + limits.ping;
    loop {
        if Instant::now() >= next_ping {
            next_ping = Instant::now() + limits.ping;
            if heard.silence() > limits.idle {
                return farewell(sink, heard, ended(close_code::POLICY, "it does not answer pings")).await;
            }
            if let Err(ending) = send(sink, client, Frame::Ping(Default::default())).await {
                return ending;
            }
        }
        match client.outbox.next() {
            Next::Send(frame) => {
                if let Err(ending) = send(sink, client, frame).await {
                    return ending;
                }
            }
            Next::End(ending) => return farewell(sink, heard, ending).await,
            // Whether it was time or a message, the next round will see.
            Next::Rest => drop(timeout_at(next_ping, client.outbox.ready()).await),
        }
    }
}

async fn send(sink: &mut SplitSink<WebSocket, Frame>, client: &Client, frame: Frame) -> Result<(), Ending> {
    let mut sending = std::pin::pin!(sink.send(frame));
    let sent = tokio::select! {
        biased;
        sent = sending.as_mut() => sent,
        // What is to end does not wait for a client that takes nothing.
        ending = client.outbox.over() => timeout(FAREWELL, sending).await.map_err(|_| ending)?,
    };
    sent.map_err(|error| {
        let text = error.to_string();
        match error.into_inner().downcast::<tungstenite::Error>().map(|error| *error) {
            // The connection has its own limit of time for a write.
            Ok(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                ended(close_code::POLICY, &error.to_string())
            }
            _ => gone(&format!("the connection broke: {text}")),
        }
    })
}

/// Tells the other side why, if it still listens, and gives it time to take that.
async fn farewell(sink: &mut SplitSink<WebSocket, Frame>, heard: &Heard, ending: Ending) -> Ending {
    let Some(code) = ending.code else { return ending };
    let frame = CloseFrame { code, reason: ending.why.as_str().into() };
    if let Ok(Ok(())) = timeout(FAREWELL, sink.send(Frame::Close(Some(frame)))).await {
        let _ = timeout(FAREWELL, heard.end.notified()).await;
    }
    ending
}

/// What a message that cannot be read ends the connection with.
fn why_unreadable(error: axum::Error) -> Ending {
    use tungstenite::Error;
    let text = error.to_string();
    let Ok(error) = error.into_inner().downcast::<Error>() else { return gone(&text) };
    match *error {
        Error::Capacity(_) => ended(close_code::SIZE, &format!("a message is too long: {text}")),
        Error::Utf8(_) => ended(close_code::INVALID, "a text is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => gone("the connection broke"),
        Error::Protocol(_) => ended(close_code::PROTOCOL, &text),
        _ => gone(&format!("the connection broke: {text}")),
    }
}

fn ended(code: u16, why: &str) -> Ending {
    // A close frame has room for 123 bytes.
    let mut end = why.len().min(120);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    Ending { code: Some(code), why: why[..end].to_owned() }
}

fn gone(why: &str) -> Ending {
    Ending { code: None, why: why.to_owned() }
}
