//! How many clients the port carries, and what a megabyte costs.
use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    measure::Options,
    proc,
    report::{Report, Row, Target, Unit},
    setup::{Board, Client, Deck, HUGE, LARGE, MIDDLE, SMALL},
};

/// How long one run listens.
const LENGTH: Duration = Duration::from_secs(4);
/// Clients that a port lets in.
const MOST_CLIENTS: usize = 16;

/// What all clients of a run came to.
#[derive(Clone, Copy)]
struct Carried {
    megabytes_per_s: f64,
    percent_missed: f64,
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
    for board in [SMALL, MIDDLE, LARGE, HUGE] {
        let (mut without_loss, mut megabytes_per_s, mut first_loss) = (0, 0.0, None);
        for clients in counts {
            let carried = carry(board, *clients, options.length(LENGTH));
            if carried.percent_missed > 0.0 {
                first_loss = Some((clients, carried.percent_missed));
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
        if let Some((clients, percent_missed)) = first_loss {
            row(&format!("missed by {clients}, counted and told"), Unit::Percent, percent_missed, None);
        }
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
    let read: Vec<Read> = readers.into_iter().map(|reader| reader.join().expect("it reads")).collect();
    let (seconds, used_ns) = (begin.elapsed().as_secs_f64(), cpu_ns() - before);
    deck.close();
    let sum = |of: fn(&Read) -> u64| read.iter().map(of).sum::<u64>() as f64;
    Carried {
        megabytes_per_s: sum(|read| read.bytes) / 1e6 / seconds,
        percent_missed: 100.0 * sum(|read| read.missed) / sum(|read| read.missed + read.samples),
        percent_of_core: used_ns as f64 / 1e7 / seconds,
    }
}

/// What one client got.
struct Read {
    bytes: u64,
    samples: u64,
    missed: u64,
}

fn read(mut client: Client, length: Duration) -> Read {
    let (begin, first) = (Instant::now(), client.next());
    let mut read = Read { bytes: first.bytes as u64, samples: first.frames.into(), missed: 0 };
    while begin.elapsed() < length {
        let head = client.next();
        read.bytes += head.bytes as u64;
        read.samples += u64::from(head.frames);
        read.missed = u64::from(head.dropped - first.dropped);
    }
    read
}
