//! Many clients at once, slow, dead and hostile: what is recorded does not notice.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    common::GENEROUS,
    rig::{Client, Deck},
};

/// Subscribers that read 30 kB/s of a stream of 1.3 MB/s.
const SLOW: usize = 16;
const SLOW_BYTES_PER_S: usize = 30_000;
const SYSTEM_BYTES: usize = 64 << 10;
/// What one client sends in all: a gigabyte, or as much as is taken of it meanwhile.
const FLOOD: usize = 1 << 30;
const LENGTH: Duration = Duration::from_secs(8);

#[test]
fn a_crowd_of_slow_dead_and_hostile_clients_costs_a_recording_nothing() {
    let deck = Deck::with(64, 5000, |options| {
        (options.limits.clients, options.limits.connections) = (4 * SLOW, 200);
        options.limits.queued_bytes = 256 << 10;
    });
    let address = deck.address();
    let mut owner = deck.client();
    owner.call("record.start", json!({}));
    let before = resident_bytes();
    let (is_over, rounds, told) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..SLOW {
            scope.spawn(|| read_slowly(Client::connect(address), &is_over, &told));
        }
        scope.spawn(|| never_read(address, &is_over));
        scope.spawn(|| flood(address, &is_over));
        scope.spawn(|| come_and_go(address, &is_over, &rounds));
        let begin = Instant::now();
        while begin.elapsed() < LENGTH {
            // The one that behaves is answered all the time.
            owner.call("session.get", json!({}));
            thread::sleep(Duration::from_millis(50));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let grown = resident_bytes().saturating_sub(before);
    assert!(rounds.load(Ordering::Relaxed) > 20, "{rounds:?} came and went");
    assert_eq!(told.load(Ordering::Relaxed), SLOW, "each was told what it missed");
    // A quarter of a megabyte for each of them, and what the system and the clients of this test hold.
    assert!(grown < 300 << 20, "{} MB more than before", grown >> 20);

    deck.close_with_whole_recording(owner);
}

/// Takes its frames in small bites, and wants to hear of what it has missed.
fn read_slowly(mut client: Client, is_over: &AtomicBool, told: &AtomicUsize) {
    rustix::net::sockopt::set_socket_recv_buffer_size(client.socket.get_ref(), SYSTEM_BYTES).expect("a socket");
    client.call("stream.subscribe", json!({ "stream": "volts.out" }));
    let mut is_told = false;
    while !is_over.load(Ordering::Relaxed) {
        let data = client.data();
        is_told |= data.dropped > 0;
        thread::sleep(Duration::from_secs_f64((data.body.len() + 40) as f64 / SLOW_BYTES_PER_S as f64).min(LENGTH / 4));
    }
    // What waits is read quickly now: at its end stands how much is missing.
    let begin = Instant::now();
    while !is_told && begin.elapsed() < GENEROUS {
        is_told = client.data().dropped > 0;
    }
    told.fetch_add(usize::from(is_told), Ordering::Relaxed);
}

fn never_read(address: SocketAddr, is_over: &AtomicBool) {
    let mut client = Client::connect(address);
    for stream in ["board.out", "volts.out", "gain1.out"] {
        client.send(json!({ "jsonrpc": "2.0", "method": "stream.subscribe", "params": { "stream": stream } }));
    }
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends as fast as it is taken, and reads nothing.
fn flood(address: SocketAddr, is_over: &AtomicBool) {
    let garbage = "x".repeat(60 << 10);
    let mut sent = 0;
    while sent < FLOOD && !is_over.load(Ordering::Relaxed) {
        let mut client = Client::connect(address);
        let limit = Some(Duration::from_millis(200));
        client.socket.get_ref().set_write_timeout(limit).expect("a socket");
        // Let go when its answers do not fit any more; it comes again.
        while !is_over.load(Ordering::Relaxed) && client.socket.send(tungstenite::Message::text(&*garbage)).is_ok() {
            sent += garbage.len();
        }
    }
}

fn come_and_go(address: SocketAddr, is_over: &AtomicBool, rounds: &AtomicUsize) {
    while !is_over.load(Ordering::Relaxed) {
        match rounds.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => drop(Client::try_connect(address, &[])),
            1 => drop(TcpStream::connect(address)),
            _ => {
                let mut stream = TcpStream::connect(address).expect("it listens");
                let _ = stream.write_all(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: web");
                let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
                let _ = stream.read(&mut [0; 16]);
            }
        }
    }
}

/// Memory of this process that is in use.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
}
