//! Who is let in, how many, and how they are let go.
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::json;
use wavedeck::remote::{self, PortOptions, Token};

use crate::{
    common::wait_until,
    rig::{Client, Deck, get, loopback, request},
};

const TOKEN: &str = "0123456789abcdef";

#[test]
fn names_and_pages_of_others_are_turned_away() {
    let deck = Deck::start();
    let address = deck.address();
    for (header, status) in [
        (format!("Host: {address}"), 200),
        (format!("Host: localhost:{}", address.port()), 200),
        ("Host: evil.example".into(), 403),
        (format!("Host: evil.example:{}", address.port()), 403),
    ] {
        assert_eq!(get(address, "/api/telemetry", &[&header]).status, status, "{header}");
    }
    assert_eq!(request(address, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").status, 400);
    let turned_away = |headers: &[(&'static str, &str)]| Client::try_connect(address, headers).err();
    let (status, why) = turned_away(&[("origin", "http://evil.example")]).expect("another site");
    assert_eq!((status, why.contains("evil.example")), (403, true), "{why}");
    assert_eq!(turned_away(&[("origin", "null")]).map(|(status, _)| status), Some(403));
    assert_eq!(turned_away(&[("host", "evil.example")]).map(|(status, _)| status), Some(403));
    assert!(turned_away(&[("origin", &format!("http://{address}"))]).is_none());
    deck.close();
}

#[test]
fn with_a_token_nobody_comes_in_without_it() {
    let deck = Deck::with(2, 1000, |options| options.token = Some(Token::new(TOKEN).expect("long enough")));
    let address = deck.address();
    let answer = get(address, "/api/pipeline", &[]);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(answer.json()["error"]["code"], "Unauthorised");
    assert_eq!(get(address, "/api/pipeline", &["Authorization: Bearer 0123456789abcdeF"]).status, 401);
    assert_eq!(get(address, "/api/pipeline", &[&format!("Authorization: Bearer {TOKEN}")]).status, 200);

    assert_eq!(Client::try_connect(address, &[]).err().map(|(status, _)| status), Some(401));
    let (mut client, _) =
        Client::try_connect(address, &[("authorization", &format!("Bearer {TOKEN}"))]).expect("let in");
    client.call("session.get", json!({}));
    let protocols = format!("wavedeck, wavedeck.token.{TOKEN}");
    let (mut client, response) =
        Client::try_connect(address, &[("sec-websocket-protocol", &protocols)]).expect("let in");
    assert_eq!(response.headers()["sec-websocket-protocol"], "wavedeck");
    client.call("session.get", json!({}));
    deck.close();
}

#[test]
fn an_address_in_use_or_open_to_all_is_an_error_at_the_start() {
    let deck = Deck::start();
    let taken = PortOptions { tcp: vec![deck.address()], ..PortOptions::default() };
    let error = remote::open(&deck.session, taken).expect_err("taken");
    assert!(format!("{error:#}").contains(&deck.address().to_string()), "{error:#}");
    let open = PortOptions { tcp: vec!["0.0.0.0:0".parse().expect("an address")], ..PortOptions::default() };
    let error = remote::open(&deck.session, open).expect_err("no token");
    assert!(error.to_string().contains("--token-file"), "{error}");
    deck.close();
}

#[test]
fn one_client_too_many_is_told_so_and_finds_room_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deck.sock");
    let deck = Deck::with(2, 1000, |options| {
        options.limits.clients = 2;
        options.unix = vec![path.clone()];
    });
    let first = deck.client();
    let mut second = deck.client();
    second.call("session.get", json!({}));
    let (status, why) = Client::try_connect(deck.address(), &[]).err().expect("no room");
    assert_eq!((status, why.contains("all 2 places")), (503, true), "{why}");
    // The owner is never kept out by others.
    let stream = UnixStream::connect(&path).expect("it listens");
    drop(tungstenite::client("ws://deck/ws", stream).expect("let in"));
    drop(first);
    wait_until("room", || Client::try_connect(deck.address(), &[]).is_ok());
    deck.close();
}

#[test]
fn the_owner_needs_no_token_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deck.sock");
    let at = path.clone();
    let deck = Deck::with(2, 1000, |options| {
        options.unix = vec![at];
        options.token = Some(Token::new(TOKEN).expect("long enough"));
    });
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream.write_all(b"GET /api/telemetry HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stream = UnixStream::connect(&path).expect("it listens");
    let (mut socket, _) = tungstenite::client("ws://deck/ws", stream).expect("let in");
    deck.wait_for_log("attach connected");
    socket.close(None).expect("open");
    while socket.read().is_ok() {}
    deck.wait_for_log("attach left");
    deck.close();
    assert!(!path.exists());
}

#[test]
fn the_end_of_the_port_is_told_to_every_client() {
    let deck = Deck::start();
    let mut clients = [deck.client(), deck.client()];
    clients.iter_mut().for_each(|client| drop(client.call("session.get", json!({}))));
    let Deck { port, session, home } = deck;
    let address = port.addresses()[0];
    let closing = std::thread::spawn(move || port.close());
    for client in &mut clients {
        assert_eq!(client.ended(), Some(1001));
    }
    closing.join().expect("no panic");
    assert!(std::net::TcpStream::connect(address).is_err());
    session.close(Duration::from_secs(60));
    drop(home);
}

#[test]
fn a_request_without_an_end_is_given_up() {
    let deck = Deck::with(2, 1000, |options| options.limits.handshake = Duration::from_millis(200));
    let mut stream = std::net::TcpStream::connect(deck.address()).expect("it listens");
    stream.set_read_timeout(Some(crate::common::GENEROUS)).expect("a socket");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: local").expect("it reads");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("ended, not hung");
    assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));

    // Nor is a connection kept for a second request that does not come.
    let mut stream = std::net::TcpStream::connect(deck.address()).expect("it listens");
    stream.set_read_timeout(Some(crate::common::GENEROUS)).expect("a socket");
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", deck.address()).as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("ended, not hung");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));
    deck.close();
}

#[test]
fn a_client_that_answers_no_ping_is_let_go() {
    let deck = Deck::with(2, 1000, |options| {
        options.limits.ping = Duration::from_millis(100);
        options.limits.idle = Duration::from_millis(500);
    });
    // Its library would answer pings when it reads; it does not read.
    let mut client = deck.client();
    client.call("client.name", json!({ "name": "dead" }));
    deck.wait_for_log("dead left: it does not answer pings");

    let mut alive = deck.client();
    alive.call("client.name", json!({ "name": "alive" }));
    alive.call("telemetry.subscribe", json!({ "hz": 10 }));
    for _ in 0..20 {
        alive.told("telemetry");
    }
    deck.close();
}

#[test]
fn ports_can_be_several_at_a_time() {
    let deck = Deck::with(2, 1000, |options| options.tcp.push(loopback()));
    let [first, second] = deck.port.addresses() else { panic!("{:?}", deck.port.addresses()) };
    assert_ne!(first, second);
    for address in [*first, *second] {
        assert_eq!(get(address, "/", &[]).status, 200);
    }
    deck.close();
}

#[test]
fn a_client_that_asks_and_asks_waits_and_the_others_do_not() {
    let deck = Deck::with(2, 1000, |options| options.limits.messages_per_second = 20);
    let mut greedy = deck.client();
    let begun = std::time::Instant::now();
    for id in 0..50 {
        greedy.send(json!({ "jsonrpc": "2.0", "method": "session.get", "id": id }));
    }
    deck.client().call("session.get", json!({}));
    for id in 0..50 {
        assert_eq!(greedy.next_text()["id"], id, "in order, and none is lost");
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "50 at 20 a second take more than a second");
    deck.close();
}

#[test]
fn who_asks_and_never_reads_is_let_go() {
    let deck = Deck::with(2, 1000, |options| {
        options.limits.messages_per_second = 1_000_000;
        options.limits.queued_messages = 16;
    });
    let mut client = deck.client();
    client.call("client.name", json!({ "name": "deaf" }));
    let request = json!({ "jsonrpc": "2.0", "method": "pipeline.get", "id": 1 }).to_string();
    let is_gone = || deck.log().iter().any(|line| line.contains("deaf left: it does not read its answers"));
    let begun = std::time::Instant::now();
    while !is_gone() {
        assert!(begun.elapsed() < crate::common::GENEROUS, "it is not let go");
        for _ in 0..100 {
            if client.socket.send(tungstenite::Message::text(request.clone())).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
    eprintln!("{:?} {:#?}", begun.elapsed(), deck.session.log());
    deck.client().call("session.get", json!({}));
    deck.close();
}
