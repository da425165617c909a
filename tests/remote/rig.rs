//! A pipeline with an open port, and clients of it: one that speaks WebSocket, one that writes bytes.
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket, client::IntoClientRequest, handshake::client::Response};
use wavedeck::{
    remote::{self, Port, PortOptions},
    session::{FromStart, Session},
};
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::{PipelineConfig, StageRegistry};
use wavedeck_recording::Recording;

use crate::common::{GENEROUS, only_recording, wait_until};

/// A session with an open port; recordings go to `home`.
pub(crate) struct Deck {
    pub(crate) session: Session,
    pub(crate) port: Port,
    pub(crate) home: TempDir,
}

impl Deck {
    /// Two channels at 1000 Hz.
    pub(crate) fn start() -> Self {
        Self::with(2, 1000, |_| {})
    }

    pub(crate) fn with(channels: u32, rate_hz: u32, change: impl FnOnce(&mut PortOptions)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let config = config(&home, channels, rate_hz);
        Self::open(home, &config, change)
    }

    /// Any pipeline; it may use the stage `held`.
    pub(crate) fn of(config: &Value) -> Self {
        Self::open(tempfile::tempdir().expect("a folder"), config, |_| {})
    }

    fn open(home: TempDir, config: &Value, change: impl FnOnce(&mut PortOptions)) -> Self {
        let config = PipelineConfig::from_value(config).expect("no mistake of form");
        let linked = wavedeck::registry().expect("distinct names");
        let registry = StageRegistry::of(linked.iter().chain([&crate::held::HELD])).expect("distinct names");
        let session = Session::open(config, registry, FromStart::Nothing).expect("it starts");
        let mut options = PortOptions { tcp: vec![loopback()], ..PortOptions::default() };
        change(&mut options);
        let port = remote::open(&session, options).expect("a free port");
        Self { session, port, home }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.addresses()[0]
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address())
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.session.log().iter().map(|entry| entry.text.to_string()).collect()
    }

    /// Waits for a line of the log with this in it.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_until(text, || self.log().iter().any(|line| line.contains(text)));
    }

    /// Closes the port, then the session; nothing may be lost or broken.
    pub(crate) fn close(self) -> TempDir {
        self.port.close();
        let closing = self.session.close(Duration::from_secs(60));
        assert!(closing.report.stuck.is_empty() && closing.errors.is_empty(), "{closing:?}");
        assert_eq!(closing.faults, 0);
        self.home
    }

    /// The client finishes the recording, of which nothing may be missing, and everything ends.
    pub(crate) fn close_with_whole_recording(self, mut client: Client) {
        client.call("record.stop", json!({}));
        wait_until("the end", || self.session.recording_state() == RecordingState::Idle);
        let snapshot = self.session.snapshot();
        assert_eq!((snapshot.lost_samples, snapshot.recorder.map(|recorder| recorder.lost_samples)), (0, Some(0)));
        drop(client);
        let home = self.close();
        Recording::open(only_recording(home.path())).expect("a recording");
    }
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config(home: &TempDir, channels: u32, rate_hz: u32) -> Value {
    json!({ "version": 1, "name": "bench",
        "stages": [
            { "id": "board", "type": "synthetic", "params":
                { "channels": channels, "rate_hz": rate_hz, "signal": "ramp", "batch": 20 } },
            { "id": "volts", "type": "to_voltage" },
            { "id": "gain1", "type": "gain" },
            { "id": "end", "type": "null" },
            { "id": "rec", "type": "record", "params": { "dir": home.path() } } ],
        "connections": [
            { "from": "board", "to": "volts", "capacity": 2000 }, { "from": "volts", "to": "gain1", "capacity": 2000 },
            { "from": "board", "to": "rec", "capacity": 2000 }, { "from": "gain1", "to": "end" } ] })
}

/// A client on a WebSocket. What comes between is kept.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    next_id: u64,
    texts: VecDeque<Value>,
    frames: VecDeque<Data>,
}

/// A data frame.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) kind: u8,
    pub(crate) stream: u16,
    pub(crate) channels: u16,
    pub(crate) frames: u32,
    pub(crate) seq: u64,
    pub(crate) first_sample: u64,
    pub(crate) unix_ns: u64,
    pub(crate) dropped: u32,
    pub(crate) body: Vec<u8>,
}

impl Data {
    fn read(bytes: &[u8]) -> Self {
        let (head, body) = bytes.split_at(40);
        assert_eq!(&head[..3], b"WD\x01");
        let u64_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight"));
        let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four"));
        let u16_at = |at: usize| u16::from_le_bytes(head[at..at + 2].try_into().expect("two"));
        let data = Self {
            kind: head[3],
            stream: u16_at(4),
            channels: u16_at(6),
            frames: u32_at(8),
            seq: u64_at(12),
            first_sample: u64_at(20),
            unix_ns: u64_at(28),
            dropped: u32_at(36),
            body: body.to_vec(),
        };
        assert_eq!(data.body.len(), data.frames as usize * usize::from(data.channels) * 4);
        data
    }

    pub(crate) fn counts(&self) -> Vec<i32> {
        assert_eq!(self.kind, 1);
        self.body.chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().expect("four"))).collect()
    }

    pub(crate) fn values(&self) -> Vec<f32> {
        assert_eq!(self.kind, 2);
        self.body.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four"))).collect()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address, &[]).expect("let in").0
    }

    /// With further headers; the status if it is turned away.
    pub(crate) fn try_connect(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<(Self, Response), (u16, String)> {
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a socket");
        match tungstenite::client(request, stream) {
            Ok((socket, response)) => {
                Ok((Self { socket, next_id: 1, texts: VecDeque::new(), frames: VecDeque::new() }, response))
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                Err((response.status().as_u16(), body))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn send(&mut self, text: impl ToString) {
        self.socket.send(Message::text(text.to_string())).expect("connected");
    }

    /// Sends a text and gives the next answer.
    pub(crate) fn ask(&mut self, text: impl ToString) -> Value {
        self.send(text);
        self.text_that("an answer", |text| text.get("method").is_none())
    }

    /// The next text of any kind.
    pub(crate) fn next_text(&mut self) -> Value {
        self.text_that("a text", |_| true)
    }

    /// The result of a call that must pass.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.called(method, params);
        assert!(answer["result"].is_object(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Number and text of the error of a call that must not pass.
    pub(crate) fn refused(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.called(method, params);
        let error = &answer["error"];
        let code = error["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"));
        (code, error["message"].as_str().expect("a text").to_owned())
    }

    fn called(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": id }));
        self.text_that("an answer", |text| text["id"] == id && text.get("method").is_none())
    }

    /// The parameters of the next notification of that name.
    pub(crate) fn told(&mut self, method: &str) -> Value {
        let text = self.text_that(method, |text| text["method"] == method);
        assert!(text.get("id").is_none() && text["jsonrpc"] == "2.0", "{text}");
        text["params"].clone()
    }

    /// The next data frame.
    pub(crate) fn data(&mut self) -> Data {
        let begun = Instant::now();
        loop {
            if let Some(data) = self.frames.pop_front() {
                return data;
            }
            assert!(begun.elapsed() < GENEROUS, "no data");
            self.read();
        }
    }

    fn text_that(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.texts.iter().position(&is_it) {
                return self.texts.remove(at).expect("it is there");
            }
            assert!(begun.elapsed() < GENEROUS, "waited in vain: {what}");
            self.read();
        }
    }

    fn read(&mut self) {
        match self.socket.read().expect("connected") {
            Message::Text(text) => self.texts.push_back(serde_json::from_str(&text).expect("JSON")),
            Message::Binary(bytes) => self.frames.push_back(Data::read(&bytes)),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the other side ends it; the number of its close frame.
    pub(crate) fn ended(&mut self) -> Option<u16> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

/// An answer to a request of HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let named = |line: &&str| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks for a path, with further headers.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let host = if more.to_lowercase().contains("host:") { String::new() } else { format!("Host: {address}\r\n") };
    request(address, &format!("GET {path} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n"))
}

/// Sends bytes and reads to the end.
pub(crate) fn request(address: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(GENEROUS)).expect("a socket");
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}
