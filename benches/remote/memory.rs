//! What clients hold in memory that take everything in and read nothing of it.
use std::{fs, thread, time::Duration};

use crate::{
    measure::Options,
    report::{Report, Row, Target, Unit},
    setup::{Client, Deck, LARGE},
};

/// Time for what waits to grow as far as it may, and less than until such a client is let go.
const LENGTH: Duration = Duration::from_secs(15);
const CLIENTS: u32 = 16;
/// What may wait for one client is 4 MiB; the rest is for the buffers of both ends of its connection, and for what the
/// allocator cannot fill.
const MOST: f64 = 6e6;

pub(crate) fn of_silent_clients(options: &Options, report: &mut Report) {
    let deck = Deck::start(LARGE);
    let grown = |make: &dyn Fn(u32) -> Client| {
        // The first one brings the buffers of the port itself: a look at the output holds up to 8 MiB.
        let mut first = make(1);
        for _ in 0..1000 {
            first.next();
        }
        let before = anonymous_bytes();
        let clients: Vec<Client> = (2..=CLIENTS).map(make).collect();
        thread::sleep(options.length(LENGTH));
        let grown = anonymous_bytes().saturating_sub(before) as f64;
        drop((first, clients));
        grown / f64::from(CLIENTS)
    };
    let mut row = |name: &str, ours: f64, target| {
        let name = format!("{}, {CLIENTS} that never read: {name}", LARGE.name);
        report.row(Row { name, unit: Unit::Megabytes, ours: vec![ours], baseline: None, target });
    };
    // No two with the same frames.
    let apart = grown(&|number| deck.client_of(f64::from(LARGE.rate_hz) / f64::from(number)));
    row("memory each, of streams of their own", apart, Some(Target::AtMost(MOST)));
    row("the same, of one stream", grown(&|_| deck.client()), None);
    deck.close();
}

/// Memory of this process that no file stands for.
fn anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a size");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") << 10
}
