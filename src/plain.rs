//! A session as lines of text: numbers once a second, the log as it comes, and commands as words. For screen readers,
//! for logs, and for terminals that can do nothing else: never a control code.
mod command;
mod status;
mod typed;
mod values;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use wavedeck_api::{handle::RecordingState, stage::Level};
use wavedeck_plane::PipelineState;

use self::{
    command::{Command, HELP},
    typed::Typed,
    values::Values,
};
use crate::{
    session::{PLAIN, Session, is_asked_by},
    signals::Signals,
    snapshot::Snapshot,
    summary::EndedBy,
    tui::scale,
};

/// Longest time between two looks at the session, its log and what was typed.
const LOOK: Duration = Duration::from_millis(50);
/// Shortest time between two status lines.
const SHORTEST: Duration = Duration::from_millis(100);

/// How the lines are written.
#[derive(Clone, Copy, Debug)]
pub struct PlainOptions {
    /// Time between two status lines.
    pub every: Duration,
    /// ASCII characters only.
    pub ascii: bool,
    /// When to end by itself.
    pub deadline: Option<Instant>,
}

/// Tells of a session until it ends: by signal, by time, by its sources, by a fault, by the word `quit`. After a
/// hang-up a recording goes on without lines until then.
pub fn wait(session: &Session, options: &PlainOptions, signals: &Signals) -> EndedBy {
    let snapshot = session.snapshot();
    let mut teller = Teller {
        session,
        typed: Typed::begin(),
        values: Values::default(),
        next_log: 0,
        ascii: options.ascii,
        is_silent: false,
    };
    teller.values.follow(session, &snapshot);
    teller.say(&format!("{}: {}; type help and Enter for the commands", snapshot.name, teller.values.about()));
    let every = options.every.max(SHORTEST);
    let mut next_line = Instant::now() + every;
    loop {
        if signals.wants_stop() {
            return EndedBy::Request;
        }
        let now = Instant::now();
        let is_failed = || session.snapshot().pipeline == PipelineState::Failed;
        if options.deadline.is_some_and(|deadline| now >= deadline) {
            return if is_failed() { EndedBy::Fault } else { EndedBy::Duration };
        }
        if signals.has_hung_up() {
            teller.is_silent = true;
            if !matches!(session.recording_state(), RecordingState::Recording | RecordingState::Paused) {
                return EndedBy::HangUp;
            }
        }
        // Asked before the look, so that the last lines of the log are told.
        let has_ended = session.has_ended();
        let snapshot = session.snapshot();
        teller.look(&snapshot);
        if has_ended {
            return if is_failed() { EndedBy::Fault } else { EndedBy::Sources };
        }
        if now >= next_line {
            next_line = (next_line + every).max(now);
            teller.tell(&snapshot);
        }
        let mut rest = LOOK.min(next_line.saturating_duration_since(now));
        if let Some(deadline) = options.deadline {
            rest = rest.min(deadline.saturating_duration_since(now));
        }
        if let Some(line) = teller.typed.within(rest)
            && teller.obey(&line) == Next::Quit
        {
            return EndedBy::Request;
        }
    }
}

/// What a command leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Continue,
    Quit,
}

/// Says lines and does what is typed.
struct Teller<'a> {
    session: &'a Session,
    typed: Typed,
    values: Values,
    next_log: u64,
    ascii: bool,
    is_silent: bool,
}

impl Teller<'_> {
    /// Takes in what has come since the last look, and tells what was logged.
    fn look(&mut self, snapshot: &Snapshot) {
        self.values.follow(self.session, snapshot);
        self.values.drain();
        let first = self.next_log;
        for entry in snapshot.log.iter().filter(|entry| entry.number >= first) {
            self.next_log = entry.number + 1;
            // Who typed it has been answered.
            if is_asked_by(&entry.text, PLAIN) {
                continue;
            }
            let level = match entry.level {
                Level::Info => "INFO",
                Level::Warn => "WARN",
                Level::Error => "ERROR",
            };
            self.say(&format!("{} {level} {}: {}", scale::time_of_day(entry.unix_ns), entry.from, entry.text));
        }
    }

    /// Tells the state and the values since the last time.
    fn tell(&mut self, snapshot: &Snapshot) {
        self.say(&status::line(snapshot));
        for line in self.values.take_lines() {
            self.say(&line);
        }
    }

    fn obey(&mut self, line: &str) -> Next {
        if line.is_empty() {
            return Next::Continue;
        }
        let snapshot = self.session.snapshot();
        let command = match Command::read(line, &snapshot) {
            Ok(command) => command,
            Err(why) => {
                self.say(&format!("error: {why}"));
                return Next::Continue;
            }
        };
        match command {
            Command::Quit => {
                self.say("ok: ending");
                return Next::Quit;
            }
            Command::Help => HELP.lines().for_each(|line| self.say(line)),
            Command::Status => self.tell(&snapshot),
            Command::Watch(stage, port) => match self.values.watch(self.session, &snapshot, &stage, &port) {
                Ok(()) => self.say(&format!("ok: watching {}", self.values.about())),
                Err(why) => self.say(&format!("error: {why}")),
            },
            Command::Ask(request, done) => match self.session.request(request, PLAIN) {
                Ok(_) => self.say(&format!("ok: {done}")),
                Err(error) => self.say(&format!("error: {}", error.to_string().trim_end().replace('\n', "; "))),
            },
        }
        Next::Continue
    }

    /// Writes a line; goes silent when nobody can read it.
    fn say(&mut self, line: &str) {
        if self.is_silent {
            return;
        }
        let text = clean(line, self.ascii) + "\n";
        let mut out = std::io::stdout().lock();
        self.is_silent = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
    }
}

/// The text without anything that a terminal would take for a command.
fn clean(text: &str, ascii: bool) -> String {
    let sign = |c: char| match c {
        c if c.is_control() => ' ',
        'µ' | 'μ' if ascii => 'u',
        c if ascii && !c.is_ascii() => '?',
        c => c,
    };
    text.chars().map(sign).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_moves_a_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\u{9b}c\r\n", false), "a [2Jb c");
        assert_eq!(clean("5 µV, größer", true), "5 uV, gr??er");
        assert_eq!(clean("5 µV", false), "5 µV");
    }
}
