//! What comes from the tap of the watched output, and its history.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wavedeck_api::tap::Tap;

use super::{
    app::App,
    history::{History, Why},
};
use crate::{session::Session, snapshot::Snapshot};

/// Time without data after which nothing is expected to move.
const QUIET: Duration = Duration::from_millis(500);

/// The watched output.
#[derive(Default)]
pub(super) struct Feed {
    watched: Option<(u64, Arc<str>, &'static str)>,
    tap: Option<Tap>,
    missed: u64,
    history: Option<History>,
    frozen: Option<Box<History>>,
    last_data: Option<Instant>,
}

impl Feed {
    /// Looks at the output that the front end has chosen; lanes begin anew with it.
    pub(super) fn follow(&mut self, session: &Session, app: &mut App, snapshot: &Snapshot) {
        let wanted = app.watched.clone().map(|(stage, port)| (snapshot.generation, stage, port));
        if wanted != self.watched {
            // Taps are handed out one at a time: the old one goes first.
            *self = Self::default();
            self.watched = wanted;
            if let Some(output) = app.output(snapshot) {
                self.history = Some(History::new(&output.spec));
                app.lanes.reset(output.spec.channels.len());
            } else {
                app.lanes.reset(0);
            }
        }
        if let (None, Some((_, stage, port))) = (&self.tap, &self.watched) {
            self.tap = session.tap(stage, port);
            self.missed = self.tap.as_ref().map_or(0, Tap::missed);
        }
        match (app.is_frozen, &self.frozen) {
            (true, None) => self.frozen = self.history.clone().map(Box::new),
            (false, Some(_)) => self.frozen = None,
            _ => {}
        }
    }

    /// Takes all packets that have come. True if there were any.
    pub(super) fn drain(&mut self) -> bool {
        let (Some(tap), Some(history)) = (&mut self.tap, &mut self.history) else { return false };
        let mut any = false;
        while let Some(packet) = tap.next_packet() {
            let missed = tap.missed();
            let missing = if missed == self.missed { Why::Lost } else { Why::Unseen };
            history.ingest(packet.header(), packet.samples(), missing);
            if missing == Why::Unseen && packet.header().first_sample > 0 {
                self.missed = missed;
            }
            any = true;
        }
        if any {
            self.last_data = Some(Instant::now());
        }
        any
    }

    /// What is shown: the history as it was when the view was frozen, or as it is.
    pub(super) fn shown(&self) -> Option<&History> {
        self.frozen.as_deref().or(self.history.as_ref())
    }

    /// The history as it is.
    pub(super) fn newest(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// True if data is expected to come on.
    pub(super) fn is_flowing(&self) -> bool {
        self.last_data.is_some_and(|last| last.elapsed() < QUIET)
    }
}
