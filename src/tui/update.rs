//! What an action does to the front end, and what it asks of the session.
use std::{path::PathBuf, time::Duration};

use wavedeck_api::{
    clock,
    handle::{RecordingState, TransportCommand},
    param::ParamKind,
    stage::Level,
};
use wavedeck_plane::PipelineState;

use super::{
    action::{Action, Entry, Places},
    app::{App, Layer, View},
    bindings::find,
    finding::Finder,
    form::{Staged, Way, stepped, written},
    input::Input,
    key::Key,
    lane_keys,
    line_edit::LineEdit,
    looking,
    palette::Palette,
    replaying, saving, spectrum_keys,
    trends::Zero,
};
use crate::snapshot::Snapshot;

/// All that leaves the front end.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Opens a file and records.
    RecordStart,
    /// Lets samples go.
    RecordPause,
    /// Records on.
    RecordResume,
    /// Closes the file.
    RecordFinish,
    /// Sets a marker.
    Marker(String),
    /// Takes note of an alarm.
    Acknowledge,
    /// Holds the pipeline.
    Pause,
    /// Lets the pipeline run.
    Resume,
    /// Applies edits, all or none.
    Apply(Vec<Staged>),
    /// Moves the replay.
    Transport(TransportCommand),
    /// Opens a recording in place of the pipeline.
    Replay(PathBuf),
    /// Goes back to the pipeline.
    Live,
    /// Writes the pipeline as it runs into a file of this name.
    SaveConfig(String),
    /// Reads the folder of recordings.
    ReadRecordings,
    /// Stops the program until it is called back.
    Suspend,
    /// Ends the front end.
    Quit,
    /// Ends the front end; the recording goes on.
    Detach,
}

/// Time in which a finish must be confirmed.
const FINISH_ASKED: Duration = Duration::from_secs(3);
/// Lines that a page key moves by.
const PAGE: usize = 10;
/// Takes what a person did.
pub fn input(app: &mut App, snapshot: &Snapshot, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) => press(app, snapshot, key),
        Input::Paste(text) => update(app, snapshot, Action::Paste(text)),
        // Of these only the loop knows what they mean.
        Input::Mouse(_) => Vec::new(),
    }
}

/// Finds what a key means now and does it; a key that is not possible now says why.
pub fn press(app: &mut App, snapshot: &Snapshot, key: Key) -> Vec<Effect> {
    let place = Places::now(app);
    if place == Places::TYPING {
        let action = match key {
            Key::Enter => Action::Accept,
            Key::Escape | Key::Control('c') => Action::Close,
            key => Action::Type(key),
        };
        return update(app, snapshot, action);
    }
    let Some(entry) = find(key, place, snapshot.transport.is_some()) else {
        if place == Places::ASK_FINISH {
            app.layers.pop();
            return press(app, snapshot, key);
        }
        if key == Key::Escape {
            app.message = None;
        }
        return Vec::new();
    };
    act(app, snapshot, entry)
}

/// Does what a line of the table says, or says why that is not possible now.
pub(super) fn act(app: &mut App, snapshot: &Snapshot, entry: &Entry) -> Vec<Effect> {
    match (entry.enabled)(app, snapshot) {
        Ok(()) => update(app, snapshot, entry.action.clone()),
        Err(why) => {
            app.say(Level::Warn, why);
            Vec::new()
        }
    }
}

/// Does an action.
pub fn update(app: &mut App, snapshot: &Snapshot, action: Action) -> Vec<Effect> {
    match action {
        Action::Show(view) => return show(app, view),
        Action::Suspend => return vec![Effect::Suspend],
        Action::Help => app.layers.push(Layer::Help { scroll: 0 }),
        Action::Palette => app.layers.push(Layer::Palette(Palette::default())),
        Action::Close => close(app),
        Action::Quit => return quit(app, snapshot),
        Action::QuitAndFinish => {
            app.layers.pop();
            let open = snapshot.link.is_none()
                && matches!(snapshot.recording, RecordingState::Recording | RecordingState::Paused);
            return if open { vec![Effect::RecordFinish, Effect::Quit] } else { vec![Effect::Quit] };
        }
        Action::QuitAndRecordOn => return vec![Effect::Detach],
        Action::Record => return record(snapshot),
        Action::AskFinish => app.layers.push(Layer::AskFinish { until: app.now + FINISH_ASKED }),
        Action::Finish => {
            app.layers.pop();
            return vec![Effect::RecordFinish];
        }
        Action::Mark => {
            let label = app.next_marker(snapshot);
            return mark(app, label);
        }
        Action::MarkWithText => app.layers.push(Layer::MarkerText(LineEdit::default())),
        Action::PausePipeline => {
            return vec![if snapshot.pipeline == PipelineState::Paused { Effect::Resume } else { Effect::Pause }];
        }
        Action::Line(_) | Action::Page(_) | Action::LastLine(_) => line(app, snapshot, &action),
        Action::OpenRecording => return open(app, snapshot),
        Action::Reread => return vec![Effect::ReadRecordings],
        Action::Live => return vec![Effect::Live],
        Action::LogLevel => {
            app.log.least = match app.log.least {
                None => Some(Level::Warn),
                Some(Level::Error) => None,
                Some(_) => Some(Level::Error),
            };
            app.log.back = 0;
        }
        Action::MarkWithKey(number) => {
            let label = marker_of_key(snapshot, number);
            return mark(app, label);
        }
        Action::Acknowledge => return vec![Effect::Acknowledge],
        Action::FindField => app.layers.push(Layer::Find(Finder::at(&app.form))),
        Action::SaveConfig => saving::ask(app, snapshot),
        Action::ZeroCounters => {
            app.zero = Some(Zero::now(snapshot, clock::Anchor::now().unix_ns));
            app.say(Level::Info, "this view counts from now on; the account of the session stays as it is");
        }
        Action::PlayPause
        | Action::SeekBy(_)
        | Action::SeekToEnd(_)
        | Action::NextMarker(_)
        | Action::NextGap(_)
        | Action::AskTime
        | Action::StepFrame(_)
        | Action::StepPacket(_)
        | Action::LoopFrom
        | Action::LoopTo
        | Action::NoLoop
        | Action::Speed(_) => return replaying::transport(app, snapshot, &action),
        Action::Accept | Action::Type(_) | Action::Paste(_) => return typing(app, snapshot, action),
        Action::Stage(_) | Action::Step(_) | Action::Edit | Action::Apply | Action::Undo | Action::Default => {
            return form(app, snapshot, &action);
        }
        Action::Freeze
        | Action::Channel(_)
        | Action::ChannelPage(_)
        | Action::Scale(_)
        | Action::ShareScale
        | Action::FitScales
        | Action::ToggleMiddle
        | Action::TimeBase(_)
        | Action::NextOutput => lane_keys::waves(app, snapshot, &action),
        Action::ToggleScroll
        | Action::LookBack(_)
        | Action::ToggleCursors
        | Action::MoveCursor(_)
        | Action::AnchorCursor => looking::act(app, &action),
        Action::HideLane
        | Action::ShowLanes
        | Action::Solo
        | Action::ShiftLane(_)
        | Action::AskName
        | Action::ToggleDense => lane_keys::lanes(app, snapshot, &action),
        Action::Window(_) | Action::Frequencies(_) | Action::FrequencyCursor(_) | Action::NextPeak => {
            spectrum_keys::act(app, snapshot, &action);
        }
    }
    Vec::new()
}

fn show(app: &mut App, view: View) -> Vec<Effect> {
    app.view = view;
    if view == View::Log {
        app.log.back = 0;
    }
    if view == View::Recordings { vec![Effect::ReadRecordings] } else { Vec::new() }
}

fn close(app: &mut App) {
    let Some(layer) = app.layers.pop() else { return };
    match layer {
        Layer::Field(edit) if edit.line.text() != edit.before => {
            let text = format!("`{}` was not taken: {} stays {}", edit.line.text(), edit.spec.key, edit.before);
            app.say(Level::Info, text);
        }
        Layer::Find(finder) => finder.give_up(&mut app.form),
        Layer::MarkerText(line) if !line.text().is_empty() => {
            app.say(Level::Info, format!("no marker was set for `{}`", line.text()));
        }
        _ => {}
    }
}

fn quit(app: &mut App, snapshot: &Snapshot) -> Vec<Effect> {
    // Whoever leaves a far session changes nothing there.
    let open =
        snapshot.link.is_none() && matches!(snapshot.recording, RecordingState::Recording | RecordingState::Paused);
    if open || !app.form.staged.is_empty() {
        app.layers.push(Layer::AskQuit);
        return Vec::new();
    }
    vec![Effect::Quit]
}

fn record(snapshot: &Snapshot) -> Vec<Effect> {
    match snapshot.recording {
        RecordingState::Idle | RecordingState::Failed => vec![Effect::RecordStart],
        RecordingState::Recording => vec![Effect::RecordPause],
        RecordingState::Paused => vec![Effect::RecordResume],
        RecordingState::Finishing => Vec::new(),
    }
}

fn mark(app: &mut App, label: String) -> Vec<Effect> {
    app.mark(&label);
    app.say(Level::Info, format!("marker {label}"));
    vec![Effect::Marker(label)]
}

/// What a recorder calls the marker of a key, else the key itself.
fn marker_of_key(snapshot: &Snapshot, number: u8) -> String {
    let recorder = snapshot.stages.iter().find(|stage| stage.kind == "record");
    let labels = recorder.and_then(|stage| stage.params.iter().find(|(spec, _)| spec.key == "markers"));
    let labels = labels.map_or_else(String::new, |(_, value)| value.to_string());
    let label = labels.split(',').nth(usize::from(number.saturating_sub(1))).map(str::trim);
    label.filter(|label| !label.is_empty()).map_or_else(|| format!("F{number}"), ToOwned::to_owned)
}

fn line(app: &mut App, snapshot: &Snapshot, action: &Action) {
    let (way, by) = match action {
        Action::Line(way) => (*way, 1),
        Action::Page(way) => (*way, PAGE),
        Action::LastLine(way) => (*way, usize::MAX),
        _ => return,
    };
    if let Some(Layer::Help { scroll }) = app.layers.last_mut() {
        *scroll = way.moved(*scroll, by, usize::MAX);
        return;
    }
    match app.view {
        View::Monitor | View::Spectrum => {}
        View::Pipeline => app.stage = way.moved(app.stage, by, snapshot.telemetry.stages.len()),
        View::Recordings => {
            app.library.chosen = way.moved(app.library.chosen, by, app.library.entries.len());
        }
        View::Params => {
            let fields = app.form.stage(snapshot).map_or(0, |stage| stage.params.len());
            app.form.field = way.moved(app.form.field, by, fields);
        }
        View::Log => {
            // The log grows at its end: positions count from there.
            let up = if way == Way::Back { Way::On } else { Way::Back };
            let shown = |level| app.log.least.is_none_or(|least| level >= least);
            let entries = snapshot.log.iter().filter(|entry| shown(entry.level)).count();
            app.log.back = up.moved(app.log.back, by, entries);
        }
    }
}

fn open(app: &mut App, snapshot: &Snapshot) -> Vec<Effect> {
    if !matches!(snapshot.recording, RecordingState::Idle | RecordingState::Failed) {
        app.say(Level::Warn, "a replay takes the place of the pipeline: finish the recording first (S)");
        return Vec::new();
    }
    match app.chosen_recording() {
        Some(path) => vec![Effect::Replay(path.clone())],
        None => {
            app.say(Level::Info, "there is no recording to replay yet: R records one");
            Vec::new()
        }
    }
}

fn typing(app: &mut App, snapshot: &Snapshot, action: Action) -> Vec<Effect> {
    if let Some(Layer::Palette(palette)) = app.layers.last() {
        let mut palette = palette.clone();
        let found = palette.found(app, snapshot);
        match action {
            Action::Type(key) => palette.press(key, found.len()),
            Action::Paste(text) => palette.line.insert(&text),
            _ => {
                app.layers.pop();
                return found.get(palette.chosen).map_or_else(Vec::new, |entry| act(app, snapshot, entry));
            }
        }
        if let Some(top) = app.layers.last_mut() {
            *top = Layer::Palette(palette);
        }
        return Vec::new();
    }
    if let (Some(Layer::Find(finder)), Action::Type(key)) = (app.layers.last_mut(), &action) {
        finder.press(*key);
        finder.seek(&mut app.form, snapshot);
        return Vec::new();
    }
    let line = match app.layers.last_mut() {
        Some(Layer::MarkerText(line) | Layer::ChannelName(line) | Layer::GoTo(line)) => line,
        Some(Layer::Field(edit)) => &mut edit.line,
        Some(Layer::Find(finder)) => &mut finder.line,
        Some(Layer::SaveAs(save)) => &mut save.line,
        _ => return Vec::new(),
    };
    match action {
        Action::Type(key) => line.press(key),
        Action::Paste(text) => line.insert(&text),
        _ => return accept(app, snapshot),
    }
    if let Some(Layer::Field(edit)) = app.layers.last_mut() {
        edit.check();
    }
    if let Some(Layer::Find(finder)) = app.layers.last_mut() {
        finder.seek(&mut app.form, snapshot);
    }
    Vec::new()
}

fn accept(app: &mut App, snapshot: &Snapshot) -> Vec<Effect> {
    match app.layers.pop() {
        Some(Layer::MarkerText(line)) => {
            let text = line.text().trim().to_owned();
            let label = if text.is_empty() { app.next_marker(snapshot) } else { text };
            mark(app, label)
        }
        Some(Layer::ChannelName(line)) => {
            app.lanes.order.rename(app.lanes.chosen, line.text().trim());
            app.say(Level::Info, "called so on this screen; recordings keep the device's name");
            Vec::new()
        }
        Some(Layer::Find(_)) => Vec::new(),
        Some(Layer::SaveAs(save)) => saving::accept(app, save),
        Some(Layer::GoTo(line)) => replaying::go_to_typed(app, snapshot, line.text().trim()),
        Some(Layer::Field(mut edit)) => {
            match edit.value() {
                Ok(value) => app.form.stage_value(snapshot, value),
                Err(problem) => {
                    edit.problem = Some(problem);
                    app.layers.push(Layer::Field(edit));
                }
            }
            Vec::new()
        }
        other => {
            app.layers.extend(other);
            Vec::new()
        }
    }
}

fn form(app: &mut App, snapshot: &Snapshot, action: &Action) -> Vec<Effect> {
    match action {
        Action::Stage(way) => {
            app.form.stage = way.moved(app.form.stage, 1, snapshot.stages.len());
            app.form.field = 0;
        }
        Action::Undo => {
            if let Some(edit) = app.form.undo(snapshot) {
                app.say(Level::Info, format!("took back {}.{}", edit.stage, edit.key));
            }
        }
        // Whether they are locked is for the session to say: it knows it now, and a refusal is journaled.
        Action::Apply => return vec![Effect::Apply(app.form.staged.clone())],
        _ => change(app, snapshot, action),
    }
    Vec::new()
}

fn change(app: &mut App, snapshot: &Snapshot, action: &Action) {
    let Some((_, spec, _)) = app.form.field(snapshot) else { return };
    if let Some(why) = snapshot.why_locked(spec) {
        app.say(Level::Warn, format!("{}: {why}", spec.key));
        return;
    }
    let Some(wanted) = app.form.wanted(snapshot) else { return };
    match action {
        Action::Step(way) => app.form.stage_value(snapshot, stepped(spec, &wanted, *way)),
        Action::Default => app.form.stage_value(snapshot, spec.default()),
        Action::Edit => match &spec.kind {
            ParamKind::Bool { .. } => app.form.stage_value(snapshot, stepped(spec, &wanted, Way::On)),
            ParamKind::Choice { labels, .. } => {
                let next = stepped(spec, &wanted, Way::On);
                let first = wavedeck_api::param::ParamValue::Choice(0);
                let is_last = labels.len() > 1 && next == wanted;
                app.form.stage_value(snapshot, if is_last { first } else { next });
            }
            ParamKind::Float { .. } | ParamKind::Int { .. } | ParamKind::Text { .. } => {
                app.layers.extend(app.form.edit(snapshot).map(Layer::Field));
            }
        },
        _ => {}
    }
}

/// Takes the answer to [`Effect::Apply`]: what was posted is staged no more, what was refused stays.
pub fn applied(app: &mut App, edits: &[Staged], answer: Result<(), String>) {
    match answer {
        Ok(()) => {
            app.form.staged.retain(|edit| !edits.contains(edit));
            let text = match edits {
                [edit] => format!("{}.{} is being set to {}", edit.stage, edit.key, shown(edit)),
                _ => format!("{} parameters are being set", edits.len()),
            };
            app.say(Level::Info, text);
        }
        Err(why) => app.say(Level::Warn, format!("edits stay staged: {why}")),
    }
}

fn shown(edit: &Staged) -> String {
    edit.json.as_str().map_or_else(|| edit.json.to_string(), str::to_owned)
}

/// The edit as `stage.key  old -> new unit`.
pub fn describe(edit: &Staged, snapshot: &Snapshot, arrow: &str) -> String {
    let stage = snapshot.stages.iter().find(|stage| stage.id == edit.stage);
    let row = stage.and_then(|stage| stage.params.iter().find(|(spec, _)| spec.key == edit.key));
    let Some((spec, old)) = row else { return format!("{}.{}", edit.stage, edit.key) };
    let (old, new) = (written(spec, old), written(spec, &edit.value));
    format!("{}.{} {old} {arrow} {new} {}", edit.stage, edit.key, spec.unit).trim_end().to_owned()
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
