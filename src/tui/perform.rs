//! Carries out effects: asks the session, and hands slow requests to a thread so that the screen goes on. A far session
//! is always slow; what it is asked stays in order.
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use wavedeck_api::stage::{Level, StageError};
use wavedeck_plane::GateError;

use super::{
    app::{App, View},
    form::Staged,
    saving,
    update::{Effect, applied},
};
use crate::{
    session::{ParamEdit, Request, SCREEN, SessionError},
    snapshot::RecordingEntry,
    station::Station,
};

/// What the screen does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Goes on.
    Continue,
    /// Ends.
    Quit,
    /// Ends, but a recording goes on.
    Detach,
    /// Stops the program until it is called back.
    Suspend,
}

/// What a slow request came to.
enum Answer {
    Asked(Result<(), SessionError>),
    Applied(Vec<Staged>, Result<(), SessionError>),
    Recordings(Result<Vec<RecordingEntry>, SessionError>),
    Opened(Result<&'static str, String>),
    Saved(Result<String, String>),
}

/// What is asked of a session in a thread.
type Errand = Box<dyn FnOnce(&dyn Station) -> Answer + Send>;

/// Asks the session for the front end.
pub(super) struct Performer {
    station: Arc<dyn Station>,
    answers: (Sender<Answer>, Receiver<Answer>),
    /// To the thread that asks a far session one thing after the other.
    far: Option<Sender<Errand>>,
}

impl Performer {
    /// For this session.
    pub(super) fn new(station: &Arc<dyn Station>) -> Self {
        let answers = channel();
        let far = station.snapshot().link.is_some().then(|| far(station, &answers.0));
        Self { station: Arc::clone(station), answers, far }
    }

    /// Carries out what an action asked for.
    pub(super) fn perform(&self, app: &mut App, effects: Vec<Effect>) -> Next {
        for effect in effects {
            match effect {
                Effect::Quit => return Next::Quit,
                Effect::Suspend => return Next::Suspend,
                Effect::Detach => return Next::Detach,
                Effect::Apply(edits) => {
                    let changes = edits.iter().map(|edit| ParamEdit {
                        stage: edit.stage.to_string(),
                        key: edit.key.to_owned(),
                        value: edit.json.clone(),
                    });
                    let request = Request::SetParams { changes: changes.collect() };
                    self.at_once(app, move |station| {
                        Answer::Applied(edits, station.request(request, SCREEN).map(drop))
                    });
                }
                Effect::SaveConfig(name) => {
                    self.elsewhere(app, move |station| Answer::Saved(saving::save(station, &name)));
                }
                Effect::ReadRecordings => self.read_recordings(app),
                Effect::Replay(path) => self.replay(app, &path),
                Effect::Live => self.open(app, "going back to the live pipeline", "the live pipeline", Request::Live),
                other => self.ask(app, other),
            }
        }
        Next::Continue
    }

    /// Requests that are answered at once.
    fn ask(&self, app: &mut App, effect: Effect) {
        let request = match effect {
            Effect::RecordStart => Request::RecordStart { name: None },
            Effect::RecordPause => Request::RecordPause,
            Effect::RecordResume => Request::RecordResume,
            Effect::RecordFinish => Request::RecordFinish,
            Effect::Marker(label) => Request::Marker { label },
            Effect::Acknowledge => Request::Acknowledge,
            Effect::Pause => Request::Pause,
            Effect::Resume => Request::Resume,
            Effect::Transport(command) => Request::Transport(command),
            _ => return,
        };
        self.at_once(app, move |station| Answer::Asked(station.request(request, SCREEN).map(drop)));
    }

    fn read_recordings(&self, app: &mut App) {
        if app.library.busy.is_some() {
            return;
        }
        app.library.busy = Some("reading");
        self.elsewhere(app, |station| Answer::Recordings(station.recordings()));
    }

    fn replay(&self, app: &mut App, path: &Path) {
        let request = Request::Replay { path: path.to_owned() };
        self.open(app, "opening the recording", "replay", request);
    }

    fn open(&self, app: &mut App, busy: &'static str, done: &'static str, request: Request) {
        app.library.busy = Some("opening");
        app.say(Level::Info, busy);
        self.elsewhere(app, move |station| {
            Answer::Opened(station.request(request, SCREEN).map(|_| done).map_err(|error| error.to_string()))
        });
    }

    /// Asks what is answered at once, unless the session is far away.
    fn at_once(&self, app: &mut App, errand: impl FnOnce(&dyn Station) -> Answer + Send + 'static) {
        match &self.far {
            None => self.answered(app, errand(&*self.station)),
            // The thread ends with the screen and not before.
            Some(far) => drop(far.send(Box::new(errand))),
        }
    }

    fn elsewhere(&self, app: &mut App, errand: impl FnOnce(&dyn Station) -> Answer + Send + 'static) {
        let (station, sender) = (Arc::clone(&self.station), self.answers.0.clone());
        let run = move || {
            // Nobody listens once the screen has ended.
            let _ = sender.send(errand(&*station));
        };
        if let Err(error) = thread::Builder::new().name("screen-errand".into()).spawn(run) {
            app.library.busy = None;
            app.say(Level::Error, format!("no thread could be started: {error}"));
        }
    }

    /// Takes the answers to slow requests. True if there were any.
    pub(super) fn take_answers(&self, app: &mut App) -> bool {
        let mut any = false;
        while let Ok(answer) = self.answers.1.try_recv() {
            any = true;
            self.answered(app, answer);
        }
        any
    }

    fn answered(&self, app: &mut App, answer: Answer) {
        match answer {
            Answer::Asked(Ok(())) => {}
            Answer::Asked(Err(error)) => {
                let level = if error.is_busy() { Level::Warn } else { Level::Error };
                app.say(level, error.to_string());
            }
            Answer::Applied(edits, answer) => applied(app, &edits, answer.map_err(|error| in_one_line(&error))),
            Answer::Saved(answer) => saving::saved(app, answer),
            Answer::Recordings(answer) => {
                app.library.busy = None;
                let mut entries = match answer {
                    Ok(entries) => entries,
                    Err(error) => return app.say(Level::Error, error.to_string()),
                };
                // Names begin with the time, and are there even for files that cannot be read.
                entries.sort_by(|a, b| b.path.file_name().cmp(&a.path.file_name()));
                app.library.is_read = true;
                app.library.chosen = app.library.chosen.min(entries.len().saturating_sub(1));
                app.library.entries = entries;
            }
            Answer::Opened(answer) => {
                app.library.busy = None;
                match answer {
                    Ok(what) => {
                        app.view = View::Monitor;
                        app.say(Level::Info, format!("now showing: {what}"));
                    }
                    Err(why) => app.say(Level::Error, why),
                }
            }
        }
    }
}

/// Starts the thread that asks a far session.
fn far(station: &Arc<dyn Station>, answers: &Sender<Answer>) -> Sender<Errand> {
    let (sender, errands) = channel::<Errand>();
    let (station, answers) = (Arc::clone(station), answers.clone());
    let run = move || {
        for errand in errands {
            if answers.send(errand(&*station)).is_err() {
                return;
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("screen-far".into()).spawn(run) {
        tracing::error!(%error, "no thread to ask the session");
    }
    sender
}

/// Findings about a pipeline come as a list; a message has room for the first. What is locked comes with the key that
/// frees it.
fn in_one_line(error: &SessionError) -> String {
    match error {
        SessionError::Far { is_busy: true, .. } => format!("{error}; R pauses it"),
        SessionError::Param { source: GateError::Stage(StageError::Busy), .. } => format!("{error}; R pauses it"),
        SessionError::Param { source: GateError::Stage(StageError::BusyRunning), .. } => {
            format!("{error}; p pauses it")
        }
        SessionError::Gate(GateError::Stage(StageError::Busy)) => format!("{error}; a restart needs its end: S"),
        SessionError::Config(problems) => {
            problems.list().first().map_or_else(|| problems.to_string(), |problem| problem.what.clone())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "perform_tests.rs"]
mod tests;
