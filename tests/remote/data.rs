//! Samples that come over the wire are those of the board, for each client on its own.
use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use wavedeck::session::{ParamEdit, Request, Session};
use wavedeck_api::{handle::RecordingState, tap::Tap};

use crate::{
    common::wait_until,
    rig::{Client, Deck},
};

/// All looks at the board that are free, taken.
fn free_looks(session: &Session) -> Vec<Tap> {
    std::iter::from_fn(|| session.tap("board", "out")).collect()
}

/// Subscribes, and gives the number.
fn subscribe(client: &mut Client, params: Value) -> u16 {
    let answer = client.call("stream.subscribe", params);
    u16::try_from(answer["subscription"].as_u64().expect("a number")).expect("small")
}

/// Takes frames of a subscription until there are so many samples. All follow one another, and each is the index of
/// itself, as the board sends it.
fn check_ramp(client: &mut Client, number: u16, seq: &mut u64, samples: usize) {
    let mut next = None;
    let mut taken = 0;
    while taken < samples {
        let data = client.data();
        assert_eq!((data.stream, data.channels, data.dropped, data.seq), (number, 2, 0, *seq));
        assert!(next.is_none_or(|next| next == data.first_sample), "{next:?} {data:?}");
        for (index, frame) in (data.first_sample..).zip(data.counts().chunks(2)) {
            assert_eq!(frame, [index as i32; 2]);
        }
        *seq += 1;
        next = Some(data.first_sample + u64::from(data.frames));
        taken += data.frames as usize;
    }
}

#[test]
fn samples_are_those_of_the_board_for_every_client() {
    let deck = Deck::start();
    let free = free_looks(&deck.session).len();
    let mut clients = [deck.client(), deck.client()];
    let numbers = clients.each_mut().map(|client| subscribe(client, json!({ "stream": "board.out" })));
    for (client, number) in clients.iter_mut().zip(numbers) {
        let told = client.told("stream.description");
        assert_eq!((&told["subscription"], &told["description"]["kind"]), (&json!(number), &json!("counts")));
        check_ramp(client, number, &mut 0, 1500);
    }
    // The one look is shared: who leaves takes it from nobody.
    let [first, mut second] = clients;
    drop(first);
    deck.wait_for_log("left");
    let seq = second.data();
    let mut next = seq.seq + 1;
    check_ramp(&mut second, numbers[1], &mut next, 1000);
    second.call("stream.unsubscribe", json!({ "subscription": numbers[1] }));
    assert!(second.refused("stream.unsubscribe", json!({ "subscription": numbers[1] })).1.contains("one of []"));
    assert_eq!(free_looks(&deck.session).len(), free, "nobody looks any more");
    deck.close();
}

#[test]
fn values_in_units_come_as_floats_at_the_time_of_their_samples() {
    let deck = Deck::start();
    let mut client = deck.client();
    let number = subscribe(&mut client, json!({ "stream": "volts.out" }));
    let (first, second) = (client.data(), client.data());
    assert_eq!((first.stream, first.kind), (number, 2));
    let step = first.values()[2] - first.values()[0];
    assert!(step > 0.0 && first.values().iter().all(|value| value.is_finite()));
    // A board in real time is as late as its machine makes it, but its samples lie at their rate.
    let samples = (second.first_sample - first.first_sample) as i64 * 1_000_000;
    let time = second.unix_ns as i64 - first.unix_ns as i64;
    assert!((time - samples).abs() < 2_000_000_000, "{time} {samples}");
    deck.close();
}

#[test]
fn of_many_samples_few_are_sent_if_that_is_wanted() {
    let deck = Deck::start();
    let mut client = deck.client();
    let number = subscribe(&mut client, json!({ "stream": "board.out", "max_hz": 300 }));
    let told = client.told("stream.description");
    assert_eq!(told["description"]["every"], 4);
    let mut next = None;
    for _ in 0..20 {
        let data = client.data();
        assert_eq!((data.stream, data.first_sample % 4), (number, 0));
        assert!(next.is_none_or(|next| next == data.first_sample));
        for (at, frame) in data.counts().chunks(2).enumerate() {
            assert_eq!(frame, [(data.first_sample + 4 * at as u64) as i32; 2]);
        }
        next = Some(data.first_sample + 4 * u64::from(data.frames));
    }
    deck.close();
}

#[test]
fn a_column_is_the_smallest_and_the_largest_of_its_samples() {
    let deck = Deck::start();
    let mut client = deck.client();
    subscribe(&mut client, json!({ "stream": "board.out", "columns": 50 }));
    let told = client.told("stream.description");
    assert_eq!((&told["description"]["columns"], &told["description"]["values_per_frame"]), (&json!(50), &json!(4)));
    let first = client.data();
    let mut next = first.first_sample + u64::from(first.frames) * 20 - first.first_sample % 20;
    for _ in 0..20 {
        let data = client.data();
        assert_eq!((data.first_sample, data.channels), (next, 4));
        for column in data.counts().chunks(4) {
            let (low, high) = (next as i32, next as i32 + 19);
            assert_eq!(column, [low, high, low, high]);
            next += 20;
        }
    }
    deck.close();
}

#[test]
fn a_subscription_goes_on_in_another_pipeline_or_is_ended_in_words() {
    let deck = Deck::start();
    let mut client = deck.client();
    let board = subscribe(&mut client, json!({ "stream": "board.out" }));
    let gain = subscribe(&mut client, json!({ "stream": "gain1.out" }));
    for _ in 0..2 {
        assert_eq!(client.told("stream.description")["description"]["channels"].as_array().map(Vec::len), Some(2));
    }
    let edit = ParamEdit { stage: "board".into(), key: "channels".into(), value: json!(3) };
    deck.session.request(Request::SetParams { changes: vec![edit] }, "test").expect("nothing is recorded");
    for _ in 0..2 {
        assert_eq!(client.told("stream.description")["description"]["channels"].as_array().map(Vec::len), Some(3));
    }
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let data = client.data();
        if data.channels == 3 {
            seen[usize::from(data.stream == gain)] = true;
        }
    }

    // A replay without the pipeline of its file has other outputs.
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/sample.mcap");
    std::fs::copy(sample, deck.home.path().join("sample.mcap")).expect("a copy");
    client.call("replay.open", json!({ "name": "sample.mcap" }));
    let names = client.call("stream.list", json!({}))["streams"].to_string();
    for number in [board, gain] {
        let stream = if number == board { "board.out" } else { "gain1.out" };
        if names.contains(&format!("\"{stream}\"")) {
            let told = client.told("stream.description");
            assert_eq!(told["subscription"], number, "{told}");
        } else {
            let told = client.told("stream.end");
            assert_eq!((&told["subscription"], &told["stream"]), (&json!(number), &json!(stream)));
        }
    }
    assert!(!names.contains("gain1.out"), "one of them ends: {names}");
    deck.close();
}

#[test]
fn what_someone_else_looks_at_is_busy() {
    let deck = Deck::start();
    let mut client = deck.client();
    let looks = free_looks(&deck.session);
    assert_eq!(client.refused("stream.subscribe", json!({ "stream": "board.out" })).0, -32001);
    drop(looks);
    subscribe(&mut client, json!({ "stream": "board.out" }));
    client.data();
    deck.close();
}

#[test]
fn a_client_may_have_so_many_subscriptions_and_no_more() {
    let deck = Deck::with(2, 1000, |options| options.limits.subscriptions = 2);
    let mut client = deck.client();
    let first = subscribe(&mut client, json!({ "stream": "board.out" }));
    subscribe(&mut client, json!({ "stream": "board.out", "columns": 10 }));
    let (code, message) = client.refused("stream.subscribe", json!({ "stream": "volts.out" }));
    assert_eq!((code, message.contains("2 subscriptions")), (-32004, true), "{message}");
    client.call("stream.unsubscribe", json!({ "subscription": first }));
    subscribe(&mut client, json!({ "stream": "volts.out" }));
    deck.close();
}

#[test]
fn a_client_that_never_reads_costs_neither_a_recording_nor_another_client_anything() {
    // 64 channels at 5 kHz are 1.3 MB a second.
    let deck = Deck::with(64, 5000, |options| {
        options.limits.queued_bytes = 1 << 20;
        options.limits.stalled = Duration::from_secs(2);
    });
    let mut reading = deck.client();
    let mut asleep = deck.client();
    asleep.call("client.name", json!({ "name": "asleep" }));
    reading.call("record.start", json!({}));
    wait_until("a recording", || deck.session.recording_state() == RecordingState::Recording);
    for stream in ["board.out", "volts.out", "gain1.out"] {
        asleep.call("stream.subscribe", json!({ "stream": stream }));
    }
    subscribe(&mut reading, json!({ "stream": "board.out" }));
    let (mut next, mut seq) = (None, 0);
    let mut is_gone = false;
    let begun = std::time::Instant::now();
    while !is_gone {
        assert!(begun.elapsed() < crate::common::GENEROUS, "it is not let go");
        let data = reading.data();
        assert_eq!((data.dropped, data.seq), (0, seq));
        assert!(next.is_none_or(|next| next == data.first_sample));
        next = Some(data.first_sample + u64::from(data.frames));
        seq += 1;
        is_gone = seq % 50 == 0 && deck.log().iter().any(|line| line.contains("asleep left: it took nothing for 2 s"));
    }
    drop(asleep);
    deck.close_with_whole_recording(reading);
}

#[test]
fn what_a_slow_client_misses_is_told_to_it() {
    let deck = Deck::with(64, 5000, |options| {
        options.limits.queued_messages = 8;
        options.limits.stalled = crate::common::GENEROUS;
    });
    let mut client = deck.client();
    subscribe(&mut client, json!({ "stream": "board.out" }));
    let first = client.data();
    // Long enough that what the system holds for it is full.
    let count = |session: &Session| session.telemetry().produced_samples();
    let begun = count(&deck.session);
    wait_until("ten seconds of samples", || count(&deck.session) > begun + 50_000);
    let (mut got, mut next, mut missed, mut seq) = (0_u64, first.first_sample + u64::from(first.frames), 0, first.seq);
    while missed == 0 || got < 20 {
        let data = client.data();
        assert_eq!(data.seq, seq + 1, "what was sent is counted without a gap");
        seq = data.seq;
        missed += data.first_sample - next;
        next = data.first_sample + u64::from(data.frames);
        // Told at the latest with the first frame after the gap; more may be missing by now behind what waits.
        assert!(u64::from(data.dropped) >= missed, "{missed} are missing, told are {}", data.dropped);
        got += 1;
    }
    deck.close();
}

#[test]
fn what_is_wanted_new_is_new_however_slow_the_line() {
    // 1.3 MB a second into 200 kB a second: what may wait for a client would be 20 s of them.
    let deck = Deck::with(64, 5000, |_| {});
    let mut client = deck.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(client.socket.get_ref(), 4096).expect("a socket");
    subscribe(&mut client, json!({ "stream": "board.out", "max_age_s": 0.5 }));
    let (mut ages, begun) = (Vec::new(), Instant::now());
    let dropped = loop {
        let data = client.data();
        let sampled = UNIX_EPOCH + Duration::from_nanos(data.unix_ns);
        let age = SystemTime::now().duration_since(sampled).unwrap_or_default();
        if begun.elapsed() > Duration::from_secs(3) {
            ages.push(age);
        }
        if begun.elapsed() > Duration::from_secs(8) {
            break data.dropped;
        }
        thread::sleep(Duration::from_secs_f64(data.body.len() as f64 / 200e3));
    };
    ages.sort_unstable();
    assert!(ages[ages.len() / 2] < Duration::from_secs(2), "{ages:?}");
    assert!(dropped > 10_000, "{dropped}");
    deck.close();
}
