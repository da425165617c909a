//! A board with an open port, and clients that read.
use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};
use wavedeck::{
    remote::{self, Port, PortOptions},
    session::{FromStart, Session},
};
use wavedeck_plane::PipelineConfig;

/// A board.
#[derive(Clone, Copy)]
pub(crate) struct Board {
    /// For people.
    pub(crate) name: &'static str,
    pub(crate) channels: u32,
    pub(crate) rate_hz: u32,
    /// Samples of a packet.
    pub(crate) batch: u32,
}

/// One sample a packet, as a small board on USB sends it.
pub(crate) const SMALL: Board = Board { name: "8 ch x 250 Hz", channels: 8, rate_hz: 250, batch: 1 };
pub(crate) const MIDDLE: Board = Board { name: "32 ch x 2 kHz", channels: 32, rate_hz: 2000, batch: 20 };
/// More than anybody reads from afar.
pub(crate) const HUGE: Board = Board { name: "256 ch x 100 kHz", channels: 256, rate_hz: 100_000, batch: 256 };
pub(crate) const LARGE: Board = Board { name: "64 ch x 30 kHz", channels: 64, rate_hz: 30_000, batch: 128 };

/// A session of a board, and its port.
pub(crate) struct Deck {
    session: Session,
    port: Port,
}

impl Deck {
    pub(crate) fn start(board: Board) -> Self {
        let config = json!({ "version": 1, "name": "bench",
            "stages": [
                { "id": "board", "type": "synthetic", "params": { "channels": board.channels, "rate_hz": board.rate_hz,
                  "batch": board.batch, "signal": "ramp" } },
                { "id": "end", "type": "null" } ],
            "connections": [ { "from": "board", "to": "end" } ] });
        let config = PipelineConfig::from_value(&config).expect("no mistake of form");
        let registry = wavedeck::registry().expect("distinct names");
        let session = Session::open(config, registry, FromStart::Nothing).expect("it starts");
        let tcp = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let port = remote::open(&session, PortOptions { tcp, ..PortOptions::default() }).expect("a free port");
        Self { session, port }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port.addresses()[0], json!({ "stream": "board.out" }))
    }

    /// One that takes at most so many samples a second.
    pub(crate) fn client_of(&self, max_hz: f64) -> Client {
        Client::connect(self.port.addresses()[0], json!({ "stream": "board.out", "max_hz": max_hz }))
    }

    pub(crate) fn close(self) {
        self.port.close();
        self.session.close(Duration::from_secs(20));
    }
}

/// Someone who has subscribed to the board.
pub(crate) struct Client(WebSocket<TcpStream>);

/// What is in the head of a data frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) frames: u32,
    /// Wall time of the first sample.
    pub(crate) unix_ns: u64,
    /// Samples missed so far.
    pub(crate) dropped: u32,
    /// Of the whole message.
    pub(crate) bytes: usize,
}

impl Client {
    fn connect(address: SocketAddr, params: Value) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let (mut socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream).expect("let in");
        let ask = json!({ "jsonrpc": "2.0", "id": 1, "method": "stream.subscribe", "params": params });
        socket.send(Message::text(ask.to_string())).expect("connected");
        Self(socket)
    }

    /// Waits for the next data frame.
    pub(crate) fn next(&mut self) -> Head {
        loop {
            if let Message::Binary(message) = self.0.read().expect("connected") {
                let u64_at = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().expect("eight"));
                let u32_at = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().expect("four"));
                let (frames, unix_ns, dropped) = (u32_at(8), u64_at(28), u32_at(36));
                return Head { frames, unix_ns, dropped, bytes: message.len() };
            }
        }
    }
}

/// Wall time in nanoseconds since 1970.
pub(crate) fn now_unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}
