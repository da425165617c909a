//! Commands as words.
use wavedeck_api::{handle::RecordingState, param::suggestion};

use crate::{
    session::{ParamEdit, Request},
    snapshot::Snapshot,
    tui::form::typed,
};

/// What `help` says.
pub(super) const HELP: &str = "\
record [NAME]        starts a recording, or goes on with a paused one
pause                pauses the recording; record goes on
finish               closes the recording
mark [TEXT]          sets a marker in the recording
set STAGE.KEY VALUE  changes a parameter
hold, run            holds the whole pipeline, lets it run again
watch STAGE.PORT     tells the values of another output
status               tells state and values at once
ack                  takes note of the alarm about a recording
quit                 finishes the recording and ends
help                 this list";

/// The words, for a hint.
const WORDS: [&str; 12] =
    ["record", "pause", "finish", "mark", "set", "hold", "run", "watch", "status", "ack", "quit", "help"];

/// What was typed.
#[derive(Debug)]
pub(super) enum Command {
    /// Asks the session; the sentence is said if it agrees.
    Ask(Request, String),
    /// Another output, stage and port.
    Watch(String, String),
    Status,
    Help,
    Quit,
}

impl Command {
    /// Reads a line. What is possible now is for the session to say, but for what it would take for something else.
    ///
    /// # Errors
    /// One sentence for the person.
    pub(super) fn read(line: &str, snapshot: &Snapshot) -> Result<Self, String> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let ask = |request, done: &str| Ok(Self::Ask(request, done.to_owned()));
        let lone = |command: Result<Self, String>| {
            if rest.is_empty() { command } else { Err(format!("`{word}` stands alone, got `{rest}` behind it")) }
        };
        match word.to_lowercase().as_str() {
            "record" => match snapshot.recording {
                RecordingState::Recording => Err("a recording is running already".to_owned()),
                RecordingState::Finishing => Err("the last recording is still being finished".to_owned()),
                RecordingState::Paused => lone(ask(Request::RecordResume, "recording on")),
                RecordingState::Idle | RecordingState::Failed => {
                    let name = (!rest.is_empty()).then(|| rest.to_owned());
                    ask(Request::RecordStart { name }, "a recording is being started")
                }
            },
            "pause" => lone(Self::while_recording(snapshot, Request::RecordPause, "the recording is being paused")),
            "finish" => lone(Self::while_recording(snapshot, Request::RecordFinish, "the recording is being finished")),
            "mark" => {
                let number = snapshot.recorder.as_ref().map_or(0, |recorder| recorder.markers) + 1;
                let label = if rest.is_empty() { format!("M{number}") } else { rest.to_owned() };
                let done = format!("marker {label}");
                Self::while_recording(snapshot, Request::Marker { label }, &done)
            }
            "set" => Self::set(rest, snapshot),
            "hold" => lone(ask(Request::Pause, "the pipeline is held")),
            "run" => lone(ask(Request::Resume, "the pipeline runs")),
            "watch" => {
                let (stage, port) = rest.rsplit_once('.').unwrap_or((rest, ""));
                if rest.is_empty() {
                    return Err("watch what? such as: watch clean.out".to_owned());
                }
                Ok(Self::Watch(stage.to_owned(), port.to_owned()))
            }
            "status" => lone(Ok(Self::Status)),
            "ack" => lone(ask(Request::Acknowledge, "the alarm is taken note of")),
            "quit" | "exit" => lone(Ok(Self::Quit)),
            "help" | "?" => lone(Ok(Self::Help)),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(format!("there is no command `{shown}`: {}", suggestion(&shown, WORDS)))
            }
        }
    }

    fn while_recording(snapshot: &Snapshot, request: Request, done: &str) -> Result<Self, String> {
        match snapshot.recording {
            RecordingState::Recording | RecordingState::Paused => Ok(Self::Ask(request, done.to_owned())),
            RecordingState::Finishing => Err("the recording is being finished already".to_owned()),
            RecordingState::Idle | RecordingState::Failed => {
                Err("nothing is being recorded: `record` starts a recording".to_owned())
            }
        }
    }

    fn set(rest: &str, snapshot: &Snapshot) -> Result<Self, String> {
        let wrong = || format!("a parameter is set such as `set clean.notch_hz 60`, got `set {rest}`");
        let (path, text) = rest.split_once(|c: char| c.is_whitespace() || c == '=').ok_or_else(wrong)?;
        let (stage, key) = path.rsplit_once('.').ok_or_else(wrong)?;
        let text = text.trim();
        let known = snapshot.stages.iter().find(|known| &*known.id == stage);
        let row = known.and_then(|stage| stage.params.iter().find(|(spec, _)| spec.key == key));
        // What does not exist is for the session to refuse, with the name that was meant.
        let value = row.map_or_else(|| text.into(), |(spec, _)| typed(spec, text));
        let done = format!("{path} is being set to {text}");
        let changes = vec![ParamEdit { stage: stage.to_owned(), key: key.to_owned(), value }];
        Ok(Self::Ask(Request::SetParams { changes }, done))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tui::fixtures;

    fn asked(line: &str, snapshot: &Snapshot) -> String {
        match Command::read(line, snapshot) {
            Ok(Command::Ask(request, done)) => format!("{request:?} / {done}"),
            Ok(other) => format!("{other:?}"),
            Err(why) => why,
        }
    }

    #[test]
    fn words_become_requests() {
        let (idle, recording) = (fixtures::snapshot(), fixtures::recording());
        assert!(asked("record", &idle).starts_with("RecordStart { name: None }"));
        assert!(asked("record night 3", &idle).starts_with("RecordStart { name: Some(\"night 3\") }"));
        assert!(asked("pause", &recording).starts_with("RecordPause"));
        assert!(asked("FINISH", &recording).starts_with("RecordFinish"));
        assert!(asked("mark eyes open", &recording).contains("label: \"eyes open\""));
        assert!(asked("mark", &recording).contains("label: \"M3\""));
        assert_eq!(asked("watch board.out", &idle), "Watch(\"board\", \"out\")");
        assert_eq!(asked("quit", &idle), "Quit");
    }

    #[test]
    fn what_makes_no_sense_is_told_in_words() {
        let (idle, recording) = (fixtures::snapshot(), fixtures::recording());
        assert!(asked("finish", &idle).contains("nothing is being recorded"));
        assert!(asked("record", &recording).contains("already"));
        assert!(asked("quit now", &idle).contains("stands alone"));
        assert!(asked("recrd", &idle).contains("record"));
        assert!(asked("set x", &idle).contains("such as"));
        assert!(asked("\u{1b}[A", &idle).contains("no command"));
    }

    #[test]
    fn values_are_read_by_the_table() {
        let snapshot = fixtures::snapshot();
        for (line, value) in [
            ("set clean.cutoff_hz 60", json!(60.0)),
            ("set clean.cutoff_hz=60.5", json!(60.5)),
            ("set clean.notch off", json!(false)),
            ("set clean.gain 24", json!("24")),
            ("set clean.label left arm", json!("left arm")),
        ] {
            let Ok(Command::Ask(Request::SetParams { changes }, _)) = Command::read(line, &snapshot) else {
                panic!("{line}");
            };
            assert_eq!(changes[0].value, value, "{line}");
        }
    }

    #[test]
    fn every_word_is_in_the_help() {
        for word in WORDS {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
