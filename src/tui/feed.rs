//! What comes of the watched output, and its history.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    app::{App, Held},
    history::{History, Why},
    spectrum::{Analyzer, Spectrum},
};
use crate::{
    snapshot::Snapshot,
    station::{Station, Watch},
};

/// Time without data after which nothing is expected to move.
const QUIET: Duration = Duration::from_millis(500);

/// The watched output.
#[derive(Default)]
pub(super) struct Feed {
    watched: Option<(u64, Arc<str>, &'static str)>,
    watch: Option<Box<dyn Watch>>,
    missed: u64,
    history: Option<History>,
    analyzer: Option<Analyzer>,
    frozen: Option<Box<(History, Option<Spectrum>)>>,
    /// The view was frozen at the last look.
    was_asked: bool,
    last_data: Option<Instant>,
}

impl Feed {
    /// Looks at the output that the front end has chosen; lanes begin anew with it.
    pub(super) fn follow(&mut self, station: &dyn Station, app: &mut App, snapshot: &Snapshot) {
        let wanted = app.watched.clone().map(|(stage, port)| (snapshot.generation, stage, port));
        if wanted != self.watched {
            // A seat for each screen and no more: the old one goes first.
            *self = Self::default();
            self.watched = wanted;
            if let Some(output) = app.output(snapshot) {
                self.history = Some(History::new(&output.spec));
                self.analyzer = Some(Analyzer::new(&output.spec));
                app.lanes.reset(output.spec.channels.len());
            } else {
                app.lanes.reset(0);
            }
        }
        if let (None, Some((_, stage, port))) = (&self.watch, &self.watched) {
            self.watch = station.watch(stage, port);
            self.missed = self.watch.as_ref().map_or(0, |watch| watch.missed());
        }
        if let Some(analyzer) = &mut self.analyzer {
            analyzer.look_at(app.lanes.chosen, app.spectrum.size);
            if app.shows_spectrum() || (app.is_frozen && self.frozen.is_none()) {
                analyzer.refresh();
            }
        }
        match (app.is_frozen, &self.frozen) {
            // A copy takes longer than a key may: the frame that answers the key comes first.
            (true, None) if !self.was_asked => self.was_asked = true,
            (true, None) => {
                let spectrum = self.analyzer.as_ref().map(|analyzer| analyzer.shown().clone());
                self.frozen = self.history.clone().map(|history| Box::new((history, spectrum)));
            }
            (false, _) => (self.frozen, self.was_asked) = (None, false),
            _ => {}
        }
    }

    /// Takes all packets that have come. True if there were any.
    pub(super) fn drain(&mut self) -> bool {
        let (Some(watch), Some(history)) = (&mut self.watch, &mut self.history) else { return false };
        let (analyzer, missed, mut any) = (&mut self.analyzer, &mut self.missed, false);
        watch.take(&mut |header, samples, missed_now| {
            let missing = if missed_now == *missed { Why::Lost } else { Why::Unseen };
            history.ingest(header, samples, missing);
            if let Some(analyzer) = analyzer {
                analyzer.ingest(header, samples);
            }
            if missing == Why::Unseen && header.first_sample > 0 {
                *missed = missed_now;
            }
            any = true;
        });
        if any {
            self.last_data = Some(Instant::now());
        }
        any
    }

    /// What is shown: the history as it was when the view was frozen, or as it is.
    pub(super) fn shown(&self) -> Option<&History> {
        self.frozen.as_deref().map(|frozen| &frozen.0).or(self.history.as_ref())
    }

    /// The spectrum that is shown: that of another channel is not known as it was.
    pub(super) fn spectrum(&self) -> Option<&Spectrum> {
        match self.frozen.as_deref() {
            Some((_, spectrum)) => spectrum.as_ref(),
            None => self.analyzer.as_ref().map(Analyzer::shown),
        }
    }

    /// What can be looked at.
    pub(super) fn held(&self) -> Held {
        let held = |history: &History| Held { first: history.oldest(), end: history.end(), rate_hz: history.rate_hz() };
        self.shown().map_or_else(Held::default, held)
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
