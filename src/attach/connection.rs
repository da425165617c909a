//! The thread that keeps a connection: connects, tells what the screen wants, and takes down what comes.
use std::{
    collections::HashMap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    sync::mpsc::UnboundedReceiver,
    time,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, StatusCode, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

use super::{
    Order, Shared, Target,
    calls::{self, Call},
    packets::{Frame, Watched},
};
use crate::session::SessionError;

/// Time that a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// Pauses between two tries.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(3));
/// Time without a word from a session that tells ten times a second: the connection is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// Time that the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Seconds that waves may wait for a slow link: a screen shows what is now.
const NEW_S: u32 = 1;
/// Largest message that is taken.
const LARGEST: usize = 64 << 20;
/// Looks at the session per second, as many as a screen takes.
const TELEMETRY_HZ: u32 = 10;

/// What to do when an answer comes.
enum Waiting {
    Caller(mpsc::Sender<Result<Value, SessionError>>),
    Pipeline,
    Subscription(Arc<Watched>),
    Overview,
    Nothing,
}

/// One connection.
struct Connection<'a> {
    shared: &'a Shared,
    next_id: u64,
    waiting: HashMap<u64, Waiting>,
    streams: HashMap<u16, Arc<Watched>>,
    /// The pipeline was asked for and has not come yet.
    is_pipeline_asked: bool,
    out: Vec<String>,
}

/// Keeps the session connected until the screen lets it go.
pub(super) fn run(
    target: &Target,
    shared: &Shared,
    orders: UnboundedReceiver<Order>,
    ready: &mpsc::Sender<anyhow::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(keep(target, shared, orders, ready));
}

async fn keep(
    target: &Target,
    shared: &Shared,
    mut orders: UnboundedReceiver<Order>,
    ready: &mpsc::Sender<anyhow::Result<()>>,
) {
    let mut watched: Vec<Arc<Watched>> = Vec::new();
    let mut pause = AGAIN.0;
    loop {
        let end = match time::timeout(CONNECT, connect(target)).await {
            Ok(Ok(socket)) => {
                let end = converse(socket, shared, &mut orders, &mut watched, ready).await;
                pause = if shared.known().heard.elapsed() < SILENCE { AGAIN.0 } else { pause };
                end
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(anyhow::anyhow!("no connection within {} s", CONNECT.as_secs())),
        };
        let Err(error) = end else { return };
        let is_first = !shared.known().is_complete();
        tracing::warn!(%error, session = %shared.name, "connection lost");
        let _ = ready.send(Err(error));
        if is_first || !rest(pause, &mut orders, &mut watched).await {
            return;
        }
        pause = (pause * 2).min(AGAIN.1);
        watched.iter().for_each(|of| of.begin_anew());
    }
}

/// Waits before the next try, and refuses meanwhile. False once the screen has let go.
async fn rest(pause: Duration, orders: &mut UnboundedReceiver<Order>, watched: &mut Vec<Arc<Watched>>) -> bool {
    let until = time::Instant::now() + pause;
    loop {
        match time::timeout_at(until, orders.recv()).await {
            Err(_) => return true,
            Ok(None) => return false,
            // Dropping the sender of the answer tells that there is no connection.
            Ok(Some(Order::Call { .. })) => {}
            Ok(Some(Order::Watch(of))) => watched.push(of),
            Ok(Some(Order::Unwatch(of))) => watched.retain(|other| !Arc::ptr_eq(other, &of)),
        }
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}
type Socket = WebSocketStream<Box<dyn Wire>>;

async fn connect(target: &Target) -> anyhow::Result<Socket> {
    let (wire, host, token): (Box<dyn Wire>, &str, Option<&str>) = match target {
        Target::Socket { path, .. } => {
            let stream = UnixStream::connect(path).await.with_context(|| format!("{}", path.display()))?;
            (Box::new(stream), "localhost", None)
        }
        Target::Address { host, token } => {
            let stream = TcpStream::connect(host).await.with_context(|| host.clone())?;
            // A key is not to wait for the next one.
            stream.set_nodelay(true)?;
            (Box::new(stream), host, token.as_deref())
        }
    };
    let mut request = format!("ws://{host}/ws").into_client_request().context("the address")?;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).context("the token has odd characters")?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    match client_async_with_config(request, wire, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
            let said = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().trim().to_owned();
            match answer.status() {
                StatusCode::UNAUTHORIZED => bail!("it wants a token: --token-file FILE, or WAVEDECK_TOKEN ({said})"),
                status => bail!("it answers {status}: {said}"),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Talks until the connection ends, which is an error, or the screen lets go.
async fn converse(
    socket: Socket,
    shared: &Shared,
    orders: &mut UnboundedReceiver<Order>,
    watched: &mut Vec<Arc<Watched>>,
    ready: &mpsc::Sender<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (mut to, mut from) = socket.split();
    let mut connection = Connection {
        shared,
        next_id: 1,
        waiting: HashMap::new(),
        streams: HashMap::new(),
        is_pipeline_asked: false,
        out: Vec::new(),
    };
    connection.begin(watched);
    let mut is_told = false;
    loop {
        for text in std::mem::take(&mut connection.out) {
            time::timeout(SILENCE, to.send(Message::text(text))).await.context("it takes nothing any more")??;
        }
        tokio::select! {
            message = time::timeout(SILENCE, from.next()) => {
                let message = message.with_context(|| format!("not a word for {} s", SILENCE.as_secs()))?;
                match message.context("the connection has ended")?? {
                    Message::Text(text) => connection.text(&text)?,
                    Message::Binary(bytes) => connection.data(&bytes),
                    Message::Close(frame) => {
                        let why = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                        bail!("the session has closed the connection: {why}");
                    }
                    _ => {}
                }
                shared.known().heard = Instant::now();
            }
            order = orders.recv() => match order {
                None => {
                    let farewell = async {
                        let _ = to.close().await;
                        // Whoever leaves before the answer is taken for one whose connection broke.
                        while from.next().await.is_some_and(|message| message.is_ok()) {}
                    };
                    let _ = time::timeout(FAREWELL, farewell).await;
                    return Ok(());
                }
                Some(order) => connection.order(order, watched),
            },
        }
        if !is_told && shared.known().is_complete() {
            is_told = true;
            let _ = ready.send(Ok(()));
        }
    }
}

impl Connection<'_> {
    fn begin(&mut self, watched: &[Arc<Watched>]) {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        // Never the name of the session's own screen.
        let user = if user.is_empty() { "afar" } else { &*user };
        let name: String = format!("screen {user}").chars().take(40).collect();
        self.call("client.name", json!({ "name": name }), Waiting::Nothing);
        self.ask_pipeline();
        // It may be another run of the program, whose lines are counted anew.
        self.shared.known().forget_log();
        self.call("events.subscribe", json!({ "since": 0 }), Waiting::Nothing);
        self.call("telemetry.subscribe", json!({ "hz": TELEMETRY_HZ }), Waiting::Nothing);
        watched.iter().for_each(|of| self.subscribe(Arc::clone(of)));
    }

    fn call(&mut self, method: &'static str, params: Value, waiting: Waiting) {
        self.waiting.insert(self.next_id, waiting);
        self.out.push(calls::message(&Call { method, params }, self.next_id));
        self.next_id += 1;
    }

    fn ask_pipeline(&mut self) {
        if !std::mem::replace(&mut self.is_pipeline_asked, true) {
            self.call("pipeline.get", Value::Null, Waiting::Pipeline);
        }
    }

    fn subscribe(&mut self, of: Arc<Watched>) {
        let params = json!({ "stream": of.stream, "flags": true, "max_age_s": NEW_S });
        self.call("stream.subscribe", params, Waiting::Subscription(of));
    }

    fn order(&mut self, order: Order, watched: &mut Vec<Arc<Watched>>) {
        match order {
            Order::Call { call, answer } => self.call(call.method, call.params, Waiting::Caller(answer)),
            Order::Watch(of) => {
                watched.push(Arc::clone(&of));
                self.subscribe(of);
            }
            Order::Unwatch(of) => {
                watched.retain(|other| !Arc::ptr_eq(other, &of));
                let number = self.streams.iter().find(|(_, other)| Arc::ptr_eq(other, &of)).map(|(number, _)| *number);
                if let Some(number) = number {
                    self.streams.remove(&number);
                    self.call("stream.unsubscribe", json!({ "subscription": number }), Waiting::Nothing);
                }
            }
        }
    }

    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        let mut message: Value = serde_json::from_str(text).context("what it says is no JSON")?;
        if let Some(id) = message.get("id").and_then(Value::as_u64) {
            return self.answered(id, &mut message);
        }
        let params = message["params"].take();
        let mut known = self.shared.known();
        match message["method"].as_str() {
            Some("telemetry") => {
                let is_of_known = known.take_telemetry(params)?;
                let lacks_overview = known.lacks_overview();
                drop(known);
                if !is_of_known {
                    self.ask_pipeline();
                }
                if lacks_overview {
                    self.call("replay.overview", Value::Null, Waiting::Overview);
                }
            }
            Some("event") => known.take_event(params)?,
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, id: u64, message: &mut Value) -> anyhow::Result<()> {
        let outcome = calls::outcome(message);
        match self.waiting.remove(&id) {
            Some(Waiting::Caller(caller)) => {
                // The screen may have given up.
                let _ = caller.send(outcome);
            }
            Some(Waiting::Pipeline) => {
                self.is_pipeline_asked = false;
                self.shared.known().take_pipeline(outcome?)?;
            }
            Some(Waiting::Overview) => self.shared.known().take_overview(outcome.ok()),
            Some(Waiting::Subscription(of)) => match outcome {
                Ok(answer) => {
                    let number = answer["subscription"].as_u64().and_then(|number| u16::try_from(number).ok());
                    let number = number.context("stream.subscribe: no number")?;
                    // Let go meanwhile: the thread and the list hold none any more.
                    if Arc::strong_count(&of) > 1 {
                        self.streams.insert(number, of);
                    } else {
                        self.call("stream.unsubscribe", json!({ "subscription": number }), Waiting::Nothing);
                    }
                }
                Err(error) => tracing::warn!(%error, stream = of.stream, "an output cannot be looked at"),
            },
            Some(Waiting::Nothing) | None => {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "refused by the session");
                }
            }
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(frame) = Frame::read(bytes) else { return };
        if let Some(of) = self.streams.get(&frame.subscription) {
            of.put(&frame);
        }
    }
}
