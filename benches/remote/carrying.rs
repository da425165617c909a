//! How many clients the port carries, and what a megabyte costs.
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    measure::Options,
    proc,
    report::{Report, Row, Target, Unit},
    setup::{Board, Client, Deck, LARGE, MIDDLE, SMALL},
};

/// How long one run listens.
const LENGTH: Duration = Duration::from_secs(4);
/// Clients that a port lets in.
const MOST_CLIENTS: usize = 16;

/// What all clients of a run came to.
#[derive(Clone, Copy)]
struct Carried {
    megabytes_per_s: f64,
    dropped: u64,
    /// Of the port's thread.
    percent_of_core: f64,
}

pub(crate) fn of_megabytes(options: &Options, report: &mut Report) {
    for (board, clients) in [(SMALL, 1), (MIDDLE, 1), (LARGE, 1), (LARGE, 4)] {
        let run = |_| carry(board, clients, options.length(LENGTH));
        let runs: Vec<Carried> = (0..options.rounds().min(3)).map(run).collect();
        let who = format!("{}, {clients} client{}", board.name, if clients == 1 { "" } else { "s" });
        let mut row = |what: &str, unit, of: &dyn Fn(&Carried) -> f64| {
            let (name, ours) = (format!("{who}: {what}"), runs.iter().map(of).collect());
            report.row(Row { name, unit, ours, baseline: None, target: None });
        };
        row("sent", Unit::KilobytesPerSecond, &|run| run.megabytes_per_s * 1e3);
        row("CPU of the port's thread", Unit::PercentOfCore, &|run| run.percent_of_core);
        row("the same for 1 MB/s", Unit::PercentOfCore, &|run| run.percent_of_core / run.megabytes_per_s);
    }
}

/// How many clients read everything before the first sample is missed.
pub(crate) fn of_clients(options: &Options, report: &mut Report) {
    let counts: &[usize] = if options.is_measuring() { &[1, 2, 4, 8, 12, MOST_CLIENTS] } else { &[1] };
    for board in [SMALL, MIDDLE, LARGE] {
        let (mut without_loss, mut megabytes_per_s) = (0, 0.0);
        for clients in counts {
            let carried = carry(board, *clients, options.length(LENGTH));
            if carried.dropped > 0 {
                break;
            }
            (without_loss, megabytes_per_s) = (*clients, carried.megabytes_per_s);
        }
        let all = (board.rate_hz <= MIDDLE.rate_hz).then_some(Target::AtLeast(MOST_CLIENTS as f64));
        let mut row = |what: &str, unit, ours: f64, target| {
            let name = format!("{}: {what}", board.name);
            report.row(Row { name, unit, ours: vec![ours], baseline: None, target });
        };
        row("clients without a loss, of 16", Unit::Number, without_loss as f64, all);
        row("sent to them", Unit::MegabytesPerSecond, megabytes_per_s, None);
    }
}

fn carry(board: Board, clients: usize, length: Duration) -> Carried {
    let deck = Deck::start(board);
    let mut clients: Vec<Client> = (0..clients).map(|_| deck.client()).collect();
    for client in &mut clients {
        client.next();
    }
    let of_port = || proc::threads(std::process::id(), &[]).into_iter().filter(|thread| thread.name == "remote");
    let cpu_ns = || of_port().map(|thread| thread.cpu_ns).sum::<u64>();
    let (before, begin) = (cpu_ns(), Instant::now());
    let readers: Vec<_> = clients.into_iter().map(|client| thread::spawn(move || read(client, length))).collect();
    let read: Vec<(u64, u64)> = readers.into_iter().map(|reader| reader.join().expect("it reads")).collect();
    let (seconds, used_ns) = (begin.elapsed().as_secs_f64(), cpu_ns() - before);
    deck.close();
    Carried {
        megabytes_per_s: read.iter().map(|(bytes, _)| *bytes as f64).sum::<f64>() / 1e6 / seconds,
        dropped: read.iter().map(|(_, dropped)| dropped).sum(),
        percent_of_core: used_ns as f64 / 1e7 / seconds,
    }
}

/// Bytes, and samples missed meanwhile.
fn read(mut client: Client, length: Duration) -> (u64, u64) {
    let (begin, first) = (Instant::now(), client.next());
    let (mut bytes, mut dropped) = (first.bytes as u64, first.dropped);
    while begin.elapsed() < length {
        let head = client.next();
        bytes += head.bytes as u64;
        dropped = head.dropped;
    }
    (bytes, u64::from(dropped - first.dropped))
}
