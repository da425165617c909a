//! From a sample to the client that reads it.
use std::time::{Duration, Instant};

use crate::{
    measure::{Options, percentile},
    report::{Report, Row, Unit},
    setup::{Board, Deck, LARGE, MIDDLE, SMALL, now_unix_ns},
};

/// How long one run listens.
const LENGTH: Duration = Duration::from_secs(4);

pub(crate) fn of_samples(options: &Options, report: &mut Report) {
    for board in [SMALL, MIDDLE, LARGE] {
        let runs: Vec<Vec<u64>> = (0..options.rounds().min(3)).map(|_| listen(board, options.length(LENGTH))).collect();
        for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("{}: from the newest sample of a frame to its client, {what}", board.name);
            let ours = runs.iter().map(|run| percentile(run, share)).collect();
            report.row(Row { name, unit: Unit::Nanoseconds, ours, baseline: None, target: None });
        }
    }
}

fn listen(board: Board, length: Duration) -> Vec<u64> {
    let deck = Deck::start(board);
    let mut client = deck.client();
    // The first ones come in one piece.
    for _ in 0..10 {
        client.next();
    }
    let (begin, mut delays) = (Instant::now(), Vec::new());
    while begin.elapsed() < length {
        let head = client.next();
        let newest_ns = head.unix_ns + u64::from(head.frames - 1) * 1_000_000_000 / u64::from(board.rate_hz);
        delays.push(now_unix_ns().saturating_sub(newest_ns));
    }
    deck.close();
    delays
}
