//! The loop: input is drawn at once, waves at the frame rate, everything else ten times a second, nothing when
//! nothing changes.
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use wavedeck_api::{handle::RecordingState, stage::Level};

use super::{
    Outcome, ScreenOptions, advance,
    app::{App, View},
    cost::Meter,
    feed::Feed,
    input::{Decoder, Input},
    mouse::{self, Regions},
    pace::{self, Pace},
    painter::Painter,
    perform::{Next, Performer},
    rates::Rates,
    readout::Readout,
    scene::Scene,
    screen,
    terminal::{Gone, Terminal},
    theme::Theme,
    update,
};
use crate::{overview::Heights, signals::Signals, snapshot::Snapshot, station::Station};

/// Time between two looks at the session.
const LOOK: Duration = Duration::from_millis(100);
/// Time that an escape byte waits for what might follow it.
const ESCAPE: Duration = Duration::from_millis(40);

/// Everything on the screen and behind it.
pub(super) struct Desk {
    station: Arc<dyn Station>,
    performer: Performer,
    theme: Theme,
    pace: Pace,
    meter: Meter,
    deadline: Option<Instant>,
    began: Instant,
    app: App,
    snapshot: Snapshot,
    feed: Feed,
    overview: Option<Heights>,
    rates: Rates,
    readout: Readout,
    decoder: Decoder,
    painter: Painter,
    /// Where clicks mean something in the last frame.
    regions: Regions,
    has_mouse: bool,
    next_look: Instant,
    next_frame: Instant,
    /// Something may have changed.
    is_dirty: bool,
    /// The waves have gone on.
    has_moved: bool,
    /// Something was pressed, and what it did is to be seen at once.
    is_urgent: bool,
    /// Where the waves ended in the last frame.
    drawn_dot: u64,
}

impl Desk {
    pub(super) fn new(station: Arc<dyn Station>, options: &ScreenOptions, terminal: &Terminal) -> Self {
        let theme = Theme::detect(options.colour, options.glyphs, options.is_light, |name| std::env::var(name).ok());
        let now = Instant::now();
        let size = terminal.size();
        let mut app = App::showing(View::Monitor);
        (app.size, app.is_plain) = (size, theme.is_plain());
        let mut desk = Self {
            performer: Performer::new(&station),
            theme,
            pace: Pace::new(Duration::from_secs(1) / options.fps.clamp(1, 240)),
            meter: Meter::new(now),
            deadline: options.deadline,
            began: now,
            app,
            snapshot: station.snapshot(),
            station,
            feed: Feed::default(),
            overview: None,
            rates: Rates::default(),
            readout: Readout::default(),
            decoder: Decoder::default(),
            painter: Painter::new(size),
            regions: Regions::default(),
            has_mouse: options.has_mouse,
            next_look: now,
            next_frame: now,
            is_dirty: true,
            has_moved: false,
            is_urgent: false,
            drawn_dot: 0,
        };
        desk.look(now);
        desk
    }

    pub(super) fn work(&mut self, terminal: &mut Terminal, signals: &Signals) -> anyhow::Result<Outcome> {
        if self.has_mouse {
            terminal.listen_to_mouse();
        }
        let outcome = self.work_to_the_end(terminal, signals);
        if !matches!(outcome, Ok(Outcome::HungUp)) {
            self.await_answer(terminal);
        }
        outcome
    }

    fn work_to_the_end(&mut self, terminal: &mut Terminal, signals: &Signals) -> anyhow::Result<Outcome> {
        loop {
            if signals.has_hung_up() {
                return Ok(Outcome::HungUp);
            }
            if signals.wants_stop() {
                return Ok(Outcome::Terminated);
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(Outcome::TimeIsUp);
            }
            let ready = terminal.wait(self.time_to_wait(now, terminal.is_clear() && self.pace.may_draw()));
            if ready.hung_up {
                return Ok(Outcome::HungUp);
            }
            match self.turn(terminal, ready.input, ready.signal)? {
                Turn::On => {}
                Turn::Gone => return Ok(Outcome::HungUp),
                Turn::Next(Next::Quit) => return Ok(Outcome::Quit),
                Turn::Next(Next::Detach) => return Ok(Outcome::Detached),
                Turn::Next(Next::Suspend) => {
                    self.await_answer(terminal);
                    terminal.stop_process()?;
                    self.after_signal(terminal)?;
                }
                Turn::Next(Next::Continue) => {}
            }
        }
    }

    /// Waits a little for an answer that is on its way: whoever has the terminal next would take it for typed.
    fn await_answer(&mut self, terminal: &mut Terminal) {
        let begin = Instant::now();
        while let Some(rest) = self.pace.patience_at_end().and_then(|time| time.checked_sub(begin.elapsed())) {
            let ready = terminal.wait(rest);
            let Ok(bytes) = (if ready.input { terminal.read() } else { Ok(Vec::new()) }) else { return };
            // What is typed now is too late.
            self.decoder.feed(&bytes);
            (0..self.decoder.take_reports()).for_each(|_| self.pace.answered(Instant::now()));
            if ready.hung_up || terminal.push().is_err() {
                return;
            }
        }
    }

    fn time_to_wait(&self, now: Instant, can_draw: bool) -> Duration {
        let mut until = self.next_look;
        if can_draw && self.shows_motion() {
            // A look waits for the frame that shows it, unless frames are rare.
            until = self.next_frame.min(until + LOOK);
        }
        let mut wait = until.saturating_duration_since(now);
        if self.decoder.is_waiting() {
            wait = wait.min(ESCAPE);
        }
        match self.deadline {
            Some(deadline) => wait.min(deadline.saturating_duration_since(now)),
            None => wait,
        }
    }

    /// Time that a column of dots stands for.
    fn dot_time(&self) -> Duration {
        let dots = (f64::from(self.app.size.wave_columns()) * 2.0).max(1.0);
        Duration::from_secs_f64(self.app.lanes.seconds() / dots)
    }

    /// Column of dots that the newest sample is in, counted from the first of all: until the next there is little to see.
    fn newest_dot(&self) -> u64 {
        let newest_s = self.feed.newest().map_or(0.0, |history| history.end() as f64 / history.rate_hz());
        (newest_s / self.dot_time().as_secs_f64()) as u64
    }

    fn shows_motion(&self) -> bool {
        self.app.view == View::Monitor && !self.app.is_frozen && self.feed.is_flowing()
    }

    fn turn(&mut self, terminal: &mut Terminal, has_input: bool, has_signal: bool) -> anyhow::Result<Turn> {
        if has_signal {
            self.after_signal(terminal)?;
        }
        let inputs = match (has_input, self.decoder.is_waiting()) {
            (true, _) => match terminal.read() {
                Ok(bytes) => self.decoder.feed(&bytes),
                Err(Gone) => return Ok(Turn::Gone),
            },
            (false, true) => self.decoder.give_up_waiting(),
            (false, false) => Vec::new(),
        };
        let now = Instant::now();
        (0..self.decoder.take_reports()).for_each(|_| self.pace.answered(now));
        // An answer may be behind a paste that has not ended.
        if !self.decoder.is_in_paste() {
            self.pace.pass_time(now);
        }
        self.is_dirty |= self.app.pass_time(now.duration_since(self.began));
        let was_touched = !inputs.is_empty();
        for input in inputs {
            match self.take(input) {
                Next::Continue => {}
                next => return Ok(Turn::Next(next)),
            }
        }
        self.is_dirty |= self.performer.take_answers(&mut self.app);
        if was_touched || now >= self.next_look {
            self.look(now);
        }
        let has_come = self.feed.drain();
        self.has_moved |= has_come && self.shows_motion() && self.newest_dot() != self.drawn_dot;
        if terminal.push().is_err() {
            return Ok(Turn::Gone);
        }
        self.is_urgent |= was_touched;
        // A terminal that has not taken what it was sent gets nothing more: it would only fall behind further.
        let is_time = now >= self.next_frame;
        if terminal.is_clear() && self.pace.may_draw() {
            if self.is_urgent || ((self.is_dirty || self.has_moved) && is_time) {
                if self.draw(terminal, now).is_err() {
                    return Ok(Turn::Gone);
                }
            } else if is_time {
                // Nothing came for this frame yet: a little later, and not without a pause.
                self.next_frame = now + (self.pace.frame_time() / 4).max(self.dot_time() / 2);
            }
        }
        Ok(Turn::On)
    }

    fn draw(&mut self, terminal: &mut Terminal, now: Instant) -> Result<(), Gone> {
        let waves = if self.is_dirty || self.is_urgent { None } else { self.paint_waves() };
        let mut bytes = waves.unwrap_or_else(|| self.paint());
        self.next_frame = self.pace.after(self.next_frame, now);
        (self.is_dirty, self.has_moved, self.is_urgent) = (false, false, false);
        self.drawn_dot = self.newest_dot();
        if !bytes.is_empty() && self.pace.wrote(bytes.len(), now) {
            bytes.extend_from_slice(pace::REQUEST);
        }
        self.meter.drew(bytes.len());
        terminal.write(&bytes)
    }

    fn take(&mut self, input: Input) -> Next {
        let effects = match input {
            Input::Mouse(done) => mouse::mouse(&mut self.app, &self.snapshot, &self.regions, done),
            input => update::input(&mut self.app, &self.snapshot, input),
        };
        if effects.is_empty() {
            return Next::Continue;
        }
        let next = self.performer.perform(&mut self.app, effects);
        // Later keys of the same turn should see what this one did.
        self.snapshot = self.station.snapshot();
        next
    }

    fn look(&mut self, now: Instant) {
        self.next_look = now + LOOK;
        self.snapshot = self.station.snapshot();
        if self.app.notice(&self.snapshot) {
            self.performer.perform(&mut self.app, vec![update::Effect::ReadRecordings]);
        }
        self.rates.notice(&self.snapshot);
        if self.pace.is_slow() && std::mem::take(&mut self.app.looking.is_scrolling) {
            self.app.say(Level::Warn, "the link is slow: waves sweep, which takes few bytes");
        }
        self.meter.pass_time(now, self.pace.round_trip());
        self.overview = self.snapshot.transport.as_ref().map(|of| self.station.overview(of));
        self.feed.follow(&*self.station, &mut self.app, &self.snapshot);
        self.is_dirty = true;
    }

    /// Draws nothing but what the waves became, if that is all there is to draw.
    fn paint_waves(&mut self) -> Option<Vec<u8>> {
        self.note_time();
        let Self { painter, regions, app, theme, feed, .. } = self;
        let history = feed.shown()?;
        painter.paint_part(|buffer| advance::draw(buffer, regions, app, history, theme))
    }

    fn note_time(&mut self) {
        if let Some(newest) = self.feed.newest() {
            self.app.newest_sample = newest.end();
        }
        self.app.shown = self.feed.held();
    }

    fn paint(&mut self) -> Vec<u8> {
        self.note_time();
        if let Some(history) = self.feed.shown() {
            if self.app.lanes.settle(history) {
                let what = format!("scales chosen from the last {} s", self.app.lanes.seconds().min(10.0));
                self.app.say(Level::Info, what);
                self.readout.forget();
            }
            self.readout.notice(&self.app, history);
        } else {
            self.readout.forget();
        }
        let regions = Regions::default();
        let scene = Scene {
            app: &self.app,
            snapshot: &self.snapshot,
            history: self.feed.shown(),
            spectrum: self.feed.spectrum(),
            overview: self.overview.as_ref(),
            readout: &self.readout,
            rates: &self.rates,
            cost: self.meter.told(),
            regions: &regions,
        };
        let bytes = self.painter.paint(|frame| screen::draw(frame, &scene, &self.theme));
        self.regions = regions;
        bytes
    }

    fn after_signal(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        if terminal.stop_was_asked() {
            let is_idle = matches!(self.snapshot.recording, RecordingState::Idle | RecordingState::Failed);
            if is_idle || self.snapshot.link.is_some() {
                self.await_answer(terminal);
                terminal.stop_process()?;
            } else {
                self.app.say(Level::Warn, "not suspended: the recording would lose what comes meanwhile");
            }
        }
        let size = terminal.size();
        let was_continued = terminal.was_continued();
        if was_continued {
            terminal.retake()?;
            if self.has_mouse {
                terminal.listen_to_mouse();
            }
            self.pace.begin_anew();
        }
        if was_continued || size != self.painter.size() {
            self.painter.begin_anew(size);
            self.app.size = size;
        }
        self.is_dirty = true;
        Ok(())
    }
}

enum Turn {
    On,
    Gone,
    Next(Next),
}
