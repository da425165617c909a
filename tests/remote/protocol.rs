//! RFC 6455, byte by byte.
use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::{common::GENEROUS, rig::Deck};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client that writes frames as it is told to.
struct Raw(TcpStream);

impl Raw {
    fn connect(deck: &Deck) -> Self {
        let address = deck.address();
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(GENEROUS)).expect("a socket");
        let head = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer");
            answer.push(byte[0]);
        }
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        // The example of the RFC, with its answer.
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        Self(stream)
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        self.send_masked(first, payload, true);
    }

    fn send_masked(&mut self, first: u8, payload: &[u8], is_masked: bool) {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(mask | length as u8),
            length @ ..65_536 => {
                frame.push(mask | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(mask | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let key = [0x37, 0xfa, 0x21, 0x3d];
        if is_masked {
            frame.extend_from_slice(&key);
        }
        let coded =
            payload.iter().zip(key.iter().cycle()).map(|(byte, key)| if is_masked { byte ^ key } else { *byte });
        frame.extend(coded);
        // The other side may have given up in the middle.
        let _ = self.0.write_all(&frame);
    }

    /// The next frame: its first byte, and what is in it.
    fn read(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).expect("a length");
                usize::from(u16::from_be_bytes(length))
            }
            127 => panic!("no answer is that long"),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).expect("a payload");
        (head[0], payload)
    }

    fn answer(&mut self) -> Value {
        let (first, payload) = self.read();
        assert_eq!(first, 0x80 | TEXT);
        serde_json::from_slice(&payload).expect("JSON")
    }

    /// The number of the close frame, and then the end.
    fn closed(&mut self) -> u16 {
        let (first, payload) = self.read();
        assert_eq!(first, 0x80 | CLOSE, "{payload:?}");
        let code = u16::from_be_bytes([payload[0], payload[1]]);
        assert!(std::str::from_utf8(&payload[2..]).is_ok());
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?}");
        code
    }

    fn is_alive(&mut self) {
        self.send(0x80 | TEXT, br#"{"jsonrpc":"2.0","method":"session.get","id":9}"#);
        assert_eq!(self.answer()["id"], 9);
    }
}

fn request(id: u64) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "method": "pipeline.pause", "id": id }).to_string().into_bytes()
}

#[test]
fn a_message_in_fragments_is_one_and_a_ping_may_come_between() {
    let deck = Deck::start();
    let mut raw = Raw::connect(&deck);
    let text = request(1);
    raw.send(TEXT, &text[..5]);
    raw.send(0, &text[5..9]);
    raw.send(0x80 | PING, b"between");
    raw.send(0, b"");
    raw.send(0x80, &text[9..]);
    assert_eq!(raw.read(), (0x80 | PONG, b"between".to_vec()));
    assert_eq!(raw.answer()["id"], 1);
    // A character cut in two is whole in the end.
    let text = r#"{"jsonrpc":"2.0","method":"ä","id":2}"#.as_bytes();
    let cut = text.iter().position(|byte| *byte > 127).expect("an umlaut") + 1;
    raw.send(TEXT, &text[..cut]);
    raw.send(0x80, &text[cut..]);
    assert_eq!(raw.answer()["error"]["code"], -32601);
    raw.is_alive();
    deck.close();
}

#[test]
fn a_pong_that_nobody_asked_for_is_nothing() {
    let deck = Deck::start();
    let mut raw = Raw::connect(&deck);
    raw.send(0x80 | PONG, b"hello");
    raw.is_alive();
    deck.close();
}

#[test]
fn a_close_is_answered_with_its_own_number() {
    let deck = Deck::start();
    let mut raw = Raw::connect(&deck);
    raw.send(0x80 | CLOSE, &[3, 232]);
    assert_eq!(raw.closed(), 1000);
    deck.wait_for_log("left: closed by the client");
    deck.close();
}

#[test]
fn what_breaks_the_protocol_ends_the_connection_with_its_number() {
    let deck = Deck::start();
    type Break = dyn Fn(&mut Raw);
    let protocol: [(&str, &Break, u16); 9] = [
        ("unmasked", &|raw| raw.send_masked(0x80 | TEXT, &request(1), false), 1002),
        ("reserved bit", &|raw| raw.send(0xC0 | TEXT, &request(1)), 1002),
        ("unknown kind", &|raw| raw.send(0x83, b""), 1002),
        ("a continuation of nothing", &|raw| raw.send(0x80, b"x"), 1002),
        ("a ping in fragments", &|raw| raw.send(PING, b"x"), 1002),
        ("a ping too long", &|raw| raw.send(0x80 | PING, &[0; 126]), 1002),
        ("no UTF-8", &|raw| raw.send(0x80 | TEXT, &[b'"', 0xC3, 0x28, b'"']), 1007),
        ("half a character at the end", &|raw| raw.send(0x80 | TEXT, &[b'a', 0xC3]), 1007),
        ("too long", &|raw| raw.send(0x80 | TEXT, &vec![b' '; (64 << 10) + 1]), 1009),
    ];
    for (what, breaks, code) in protocol {
        let mut raw = Raw::connect(&deck);
        breaks(&mut raw);
        assert_eq!(raw.closed(), code, "{what}");
    }
    let mut raw = Raw::connect(&deck);
    let half = vec![b' '; 40 << 10];
    raw.send(TEXT, &half);
    raw.send(0x80, &half);
    assert_eq!(raw.closed(), 1009, "too long in two fragments");
    Raw::connect(&deck).is_alive();
    deck.close();
}

#[test]
fn a_message_of_the_longest_length_is_read() {
    let deck = Deck::start();
    let mut raw = Raw::connect(&deck);
    let mut text = request(3);
    text.resize(64 << 10, b' ');
    raw.send(0x80 | TEXT, &text);
    assert_eq!(raw.answer()["id"], 3);
    raw.is_alive();
    deck.close();
}

#[test]
fn a_connection_that_is_cut_is_told_and_forgotten() {
    let deck = Deck::start();
    drop(Raw::connect(&deck));
    deck.wait_for_log("left: the connection broke");
    let mut raw = Raw::connect(&deck);
    raw.0.write_all(&[0x81, 0xFE]).expect("it reads");
    drop(raw);
    Raw::connect(&deck).is_alive();
    deck.close();
}

#[test]
fn garbage_of_any_kind_ends_no_more_than_its_own_connection() {
    // Who broke the protocol keeps its place for a moment, so as to be told.
    let deck = Deck::with(2, 1000, |options| options.limits.clients = 200);
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..100 {
        let mut raw = Raw::connect(&deck);
        let bytes: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
        let _ = raw.0.write_all(&bytes);
    }
    wait_for_none(&deck);
    Raw::connect(&deck).is_alive();
    deck.close();
}

fn wait_for_none(deck: &Deck) {
    crate::common::wait_until("all to leave", || {
        let log = deck.session.log();
        let count = |part: &str| log.iter().filter(|entry| entry.text.contains(part)).count();
        count(" connected") <= count(" left: ")
    });
}
