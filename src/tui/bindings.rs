//! The one table of what a person can do: it finds the action of a key, writes the key line and the help.
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use super::{
    action::{Action, Entry, Places, When, entry},
    app::{App, View},
    form::Way,
    key::Key,
    lanes::Rung,
};
use crate::snapshot::Snapshot;

/// The lines that a key could mean now, whether possible or not.
pub fn find(key: Key, place: Places, is_replay: bool) -> Option<&'static Entry> {
    table().iter().find(|e| e.places.meets(place) && e.when.fits(is_replay) && e.keys.contains(&key))
}

/// All lines; those that matter most first, as the key line is cut off at the right.
pub fn table() -> &'static [Entry] {
    TABLE
}

fn is_recording(_: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    match snapshot.recording {
        RecordingState::Recording | RecordingState::Paused => Ok(()),
        RecordingState::Finishing => Err("the recording is being finished"),
        RecordingState::Idle | RecordingState::Failed => Err("nothing is being recorded: R starts a recording"),
    }
}

fn has_alarm(_: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    let has_alarm = snapshot.recorder.as_ref().is_some_and(|recorder| recorder.error.is_some());
    if has_alarm { Ok(()) } else { Err("there is no alarm") }
}

fn can_record(_: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    match snapshot.recording {
        RecordingState::Finishing => Err("the last recording is still being finished"),
        _ if snapshot.recorder.is_none() => Err("this pipeline has no recorder"),
        RecordingState::Idle | RecordingState::Failed if snapshot.pipeline != PipelineState::Running => {
            Err("the pipeline does not run: nothing would be recorded")
        }
        _ => Ok(()),
    }
}

fn can_pause(_: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    match snapshot.pipeline {
        PipelineState::Running | PipelineState::Paused => Ok(()),
        PipelineState::Stopped | PipelineState::Draining | PipelineState::Failed => Err("the pipeline has ended"),
    }
}

fn can_stop(_: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    match snapshot.recording {
        RecordingState::Idle | RecordingState::Failed => Ok(()),
        _ => Err("not suspended: the recording would lose what comes meanwhile"),
    }
}

fn has_edits(app: &App, _: &Snapshot) -> Result<(), &'static str> {
    if app.form.staged.is_empty() { Err("no edit is staged") } else { Ok(()) }
}

fn record_name(_: &App, snapshot: &Snapshot) -> &'static str {
    match snapshot.recording {
        RecordingState::Recording => "pause",
        RecordingState::Paused => "resume",
        RecordingState::Idle | RecordingState::Finishing | RecordingState::Failed => "record",
    }
}

fn pause_name(_: &App, snapshot: &Snapshot) -> &'static str {
    if snapshot.pipeline == PipelineState::Paused { "run" } else { "hold" }
}

fn play_name(_: &App, snapshot: &Snapshot) -> &'static str {
    if snapshot.transport.as_ref().is_some_and(|transport| transport.playing) { "pause" } else { "play" }
}

fn freeze_name(app: &App, _: &Snapshot) -> &'static str {
    if app.is_frozen { "thaw" } else { "freeze" }
}

const LISTS: Places = Places::PIPELINE.and(Places::RECORDINGS).and(Places::LOG);
/// Where left and right move the replay, and where other keys do.
const REPLAYS: Places = Places::MONITOR.and(Places::RECORDINGS);
const REPLAYED: Places = REPLAYS.and(Places::SPECTRUM);
const SIGNALS: Places = Places::MONITOR.and(Places::SPECTRUM);

/// The line of a key that sets a marker.
const fn marker(number: u8, keys: &'static [Key]) -> Entry {
    entry(Action::MarkWithKey(number), keys, |_, _| "marks", "set the marker of this key", Places::VIEWS)
        .if_only(is_recording)
        .quiet()
}

static TABLE: &[Entry] = &[
    // Where two lines of a place have a key in common, the first one counts: cursors take keys from the waves below.
    entry(Action::MoveCursor(-1), &[Key::Left], |_, _| "cursor", "the cursor a little earlier", Places::CURSORS),
    entry(Action::MoveCursor(1), &[Key::Right], |_, _| "cursor", "the cursor a little later", Places::CURSORS),
    entry(Action::MoveCursor(-10), &[Key::ShiftLeft], |_, _| "cursor", "the cursor earlier", Places::CURSORS).quiet(),
    entry(Action::MoveCursor(10), &[Key::ShiftRight], |_, _| "cursor", "the cursor later", Places::CURSORS).quiet(),
    entry(
        Action::AnchorCursor,
        &[Key::Enter],
        |_, _| "measure from here",
        "measure from the cursor on",
        Places::CURSORS,
    ),
    entry(Action::ToggleCursors, &[Key::Escape, Key::Char('c')], |_, _| "no cursors", "no cursors", Places::CURSORS),
    entry(
        Action::Record,
        &[Key::Char('R')],
        record_name,
        "start a recording; while recording: pause and resume it",
        Places::VIEWS,
    )
    .if_only(can_record),
    entry(
        Action::AskFinish,
        &[Key::Char('S')],
        |_, _| "finish",
        "finish the recording: asks once, S or Enter within 3 s",
        Places::VIEWS,
    )
    .if_only(is_recording),
    entry(
        Action::Mark,
        &[Key::Char('m')],
        |_, _| "mark",
        "set a numbered marker in the recording at once",
        Places::VIEWS,
    )
    .if_only(is_recording),
    entry(Action::MarkWithText, &[Key::Char('M')], |_, _| "mark text", "set a marker with a text", Places::VIEWS)
        .if_only(is_recording)
        .quiet(),
    entry(
        Action::Acknowledge,
        &[Key::Char('!')],
        |_, _| "acknowledge",
        "take note of the alarm about a recording: it goes",
        Places::VIEWS,
    )
    .if_only(has_alarm)
    .quiet(),
    marker(1, &[Key::F(1)]),
    marker(2, &[Key::F(2)]),
    marker(3, &[Key::F(3)]),
    marker(4, &[Key::F(4)]),
    marker(5, &[Key::F(5)]),
    marker(6, &[Key::F(6)]),
    marker(7, &[Key::F(7)]),
    marker(8, &[Key::F(8)]),
    marker(9, &[Key::F(9)]),
    // The replay.
    entry(Action::PlayPause, &[Key::Char(' ')], play_name, "play or pause the replay", REPLAYED).when(When::Replay),
    entry(Action::SeekBy(-1), &[Key::Left], |_, _| "1 s", "a second back", REPLAYS).when(When::Replay),
    entry(Action::SeekBy(1), &[Key::Right], |_, _| "1 s", "a second on", REPLAYS).when(When::Replay),
    entry(Action::SeekBy(-10), &[Key::ShiftLeft], |_, _| "10 s", "ten seconds back", REPLAYS).when(When::Replay),
    entry(Action::SeekBy(10), &[Key::ShiftRight], |_, _| "10 s", "ten seconds on", REPLAYS).when(When::Replay),
    entry(Action::Speed(Way::Back), &[Key::Char('<')], |_, _| "speed", "play slower", REPLAYS).when(When::Replay),
    entry(Action::Speed(Way::On), &[Key::Char('>')], |_, _| "speed", "play faster", REPLAYS).when(When::Replay),
    entry(Action::NextMarker(Way::On), &[Key::Char('n')], |_, _| "marker", "to the next marker", REPLAYS)
        .when(When::Replay),
    entry(Action::NextMarker(Way::Back), &[Key::Char('N')], |_, _| "marker", "to the marker before", REPLAYS)
        .when(When::Replay),
    entry(Action::AskTime, &[Key::Char('g')], |_, _| "go to", "to a time that is typed", REPLAYS).when(When::Replay),
    entry(Action::LoopFrom, &[Key::Char('A')], |_, _| "loop", "a loop begins here", REPLAYS).when(When::Replay),
    entry(Action::LoopTo, &[Key::Char('B')], |_, _| "loop", "the loop ends here: plays it again and again", REPLAYS)
        .when(When::Replay),
    entry(Action::NoLoop, &[Key::Char('L')], |_, _| "loop", "no loop: plays on to the end", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::NextGap(Way::On), &[Key::Char('x')], |_, _| "gap", "to the next gap", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::NextGap(Way::Back), &[Key::Char('X')], |_, _| "gap", "to the gap before", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::StepFrame(Way::Back), &[Key::Char(',')], |_, _| "step", "stand still a frame back", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::StepFrame(Way::On), &[Key::Char('.')], |_, _| "step", "stand still a frame further on", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::StepPacket(Way::Back), &[Key::Char('{')], |_, _| "step", "stand still a packet back", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::StepPacket(Way::On), &[Key::Char('}')], |_, _| "step", "stand still a packet further on", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::Speed(Way::Back), &[Key::Char('-')], |_, _| "speed", "play slower", Places::RECORDINGS)
        .when(When::Replay)
        .quiet(),
    entry(Action::Speed(Way::On), &[Key::Char('=')], |_, _| "speed", "play faster", Places::RECORDINGS)
        .when(When::Replay)
        .quiet(),
    entry(Action::SeekToEnd(Way::Back), &[Key::Home], |_, _| "ends", "to the beginning of the recording", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::SeekToEnd(Way::On), &[Key::End], |_, _| "ends", "to the end of the recording", REPLAYS)
        .when(When::Replay)
        .quiet(),
    entry(Action::Live, &[Key::Char('l')], |_, _| "live", "leave the replay, back to the live pipeline", REPLAYS)
        .when(When::Replay),
    // The waves.
    entry(Action::Freeze, &[Key::Char(' ')], freeze_name, "freeze the view; recording goes on", SIGNALS)
        .when(When::Live),
    entry(Action::Freeze, &[Key::Char('f')], freeze_name, "freeze the view; recording goes on", SIGNALS).quiet(),
    entry(Action::Channel(Way::Back), &[Key::Up], |_, _| "chan", "choose the channel above", SIGNALS),
    entry(Action::Channel(Way::On), &[Key::Down], |_, _| "chan", "choose the channel below", SIGNALS),
    entry(
        Action::Scale(Rung::Smaller),
        &[Key::Char('+')],
        |_, _| "gain",
        "larger wave: fewer units per lane",
        Places::MONITOR,
    ),
    entry(
        Action::Scale(Rung::Larger),
        &[Key::Char('-')],
        |_, _| "gain",
        "smaller wave: more units per lane",
        Places::MONITOR,
    ),
    entry(
        Action::Scale(Rung::Smaller),
        &[Key::Char('=')],
        |_, _| "gain",
        "larger wave, without shift",
        Places::MONITOR,
    )
    .quiet(),
    entry(Action::TimeBase(Way::Back), &[Key::Char('[')], |_, _| "time", "fewer seconds per screen", Places::MONITOR),
    entry(Action::TimeBase(Way::On), &[Key::Char(']')], |_, _| "time", "more seconds per screen", Places::MONITOR),
    entry(Action::FitScales, &[Key::Char('a')], |_, _| "fit", "choose all scales from the data, once", Places::MONITOR),
    entry(
        Action::ShareScale,
        &[Key::Char('*')],
        |_, _| "share",
        "give every channel of the same unit the chosen channel's scale",
        Places::MONITOR,
    )
    .quiet(),
    entry(
        Action::ToggleMiddle,
        &[Key::Char('z')],
        |_, _| "zero",
        "centre the lanes on zero, or on what each channel did lately",
        Places::MONITOR,
    ),
    entry(Action::LookBack(1), &[Key::Left], |_, _| "back", "freeze, and look at what was before", Places::MONITOR)
        .when(When::Live),
    entry(Action::LookBack(-1), &[Key::Right], |_, _| "back", "look at what came after", Places::MONITOR)
        .when(When::Live),
    entry(Action::LookBack(10), &[Key::ShiftLeft], |_, _| "back", "a screen back", Places::MONITOR)
        .when(When::Live)
        .quiet(),
    entry(Action::LookBack(-10), &[Key::ShiftRight], |_, _| "back", "a screen on", Places::MONITOR)
        .when(When::Live)
        .quiet(),
    entry(Action::ToggleCursors, &[Key::Char('c')], |_, _| "cursors", "measure with cursors", Places::MONITOR),
    entry(
        Action::ToggleScroll,
        &[Key::Char('v')],
        |_, _| "sweep/scroll",
        "sweep, or scroll from right to left",
        Places::MONITOR,
    ),
    entry(Action::Solo, &[Key::Char('s')], |_, _| "solo", "the chosen channel alone, or all again", Places::MONITOR),
    entry(Action::ToggleDense, &[Key::Char('d')], |_, _| "dense", "a row for each channel, or two", Places::MONITOR),
    entry(Action::HideLane, &[Key::Char('h')], |_, _| "hide", "hide the chosen channel", Places::MONITOR).quiet(),
    entry(
        Action::ShowLanes,
        &[Key::Char('H')],
        |_, _| "show all",
        "show all channels, in the device's order",
        Places::MONITOR,
    )
    .quiet(),
    entry(Action::ShiftLane(Way::Back), &[Key::Char('K')], |_, _| "order", "move the chosen lane up", Places::MONITOR)
        .quiet(),
    entry(Action::ShiftLane(Way::On), &[Key::Char('J')], |_, _| "order", "move the chosen lane down", Places::MONITOR)
        .quiet(),
    entry(
        Action::AskName,
        &[Key::Char('e')],
        |_, _| "rename",
        "call the chosen channel something else here",
        Places::MONITOR,
    )
    .quiet(),
    entry(Action::ChannelPage(Way::Back), &[Key::PageUp], |_, _| "page", "the channels before", Places::MONITOR)
        .quiet(),
    entry(Action::ChannelPage(Way::On), &[Key::PageDown], |_, _| "page", "the channels after", Places::MONITOR).quiet(),
    entry(
        Action::NextOutput,
        &[Key::Char('o'), Key::Tab],
        |_, _| "output",
        "look at the next output of the pipeline",
        SIGNALS,
    ),
    // The spectrum.
    entry(Action::FrequencyCursor(-1), &[Key::Left], |_, _| "cursor", "cursor to lower frequencies", Places::SPECTRUM),
    entry(Action::FrequencyCursor(1), &[Key::Right], |_, _| "cursor", "cursor to higher frequencies", Places::SPECTRUM),
    entry(Action::FrequencyCursor(-10), &[Key::ShiftLeft], |_, _| "cursor", "ten columns lower", Places::SPECTRUM)
        .quiet(),
    entry(Action::FrequencyCursor(10), &[Key::ShiftRight], |_, _| "cursor", "ten columns higher", Places::SPECTRUM)
        .quiet(),
    entry(Action::NextPeak, &[Key::Char('n')], |_, _| "peak", "cursor to the next peak", Places::SPECTRUM),
    entry(Action::Frequencies(Way::Back), &[Key::Char('+')], |_, _| "zoom", "fewer frequencies", Places::SPECTRUM),
    entry(Action::Frequencies(Way::On), &[Key::Char('-')], |_, _| "zoom", "more frequencies", Places::SPECTRUM),
    entry(
        Action::Frequencies(Way::Back),
        &[Key::Char('=')],
        |_, _| "zoom",
        "fewer frequencies, without shift",
        Places::SPECTRUM,
    )
    .quiet(),
    entry(
        Action::Window(Way::Back),
        &[Key::Char('[')],
        |_, _| "window",
        "shorter windows: faster, coarser",
        Places::SPECTRUM,
    ),
    entry(
        Action::Window(Way::On),
        &[Key::Char(']')],
        |_, _| "window",
        "longer windows: slower, finer",
        Places::SPECTRUM,
    ),
    // The form.
    entry(Action::Line(Way::Back), &[Key::Up], |_, _| "field", "the field above", Places::PARAMS),
    entry(Action::Line(Way::On), &[Key::Down], |_, _| "field", "the field below", Places::PARAMS),
    entry(Action::Step(Way::Back), &[Key::Left], |_, _| "step", "stage a smaller value", Places::PARAMS),
    entry(Action::Step(Way::On), &[Key::Right], |_, _| "step", "stage a larger value", Places::PARAMS),
    entry(Action::Stage(Way::On), &[Key::Tab, Key::PageDown], |_, _| "stage", "the next stage", Places::PARAMS),
    entry(Action::Stage(Way::Back), &[Key::BackTab, Key::PageUp], |_, _| "stage", "the stage before", Places::PARAMS)
        .quiet(),
    entry(Action::Edit, &[Key::Enter], |_, _| "edit", "type a value; checked while you type", Places::PARAMS),
    entry(Action::Apply, &[Key::Char('a')], |_, _| "apply", "apply all staged edits together", Places::PARAMS)
        .if_only(has_edits),
    entry(
        Action::Undo,
        &[Key::Char('u')],
        |_, _| "undo",
        "take back the edit of this field, else the last one",
        Places::PARAMS,
    )
    .if_only(has_edits),
    entry(Action::Default, &[Key::Char('d')], |_, _| "default", "stage the default of this field", Places::PARAMS),
    entry(
        Action::FindField,
        &[Key::Char('/')],
        |_, _| "find",
        "find a field by a part of its stage or name",
        Places::PARAMS,
    ),
    entry(
        Action::SaveConfig,
        &[Key::Char('w')],
        |_, _| "write",
        "write what runs now into a new pipeline file",
        Places::PARAMS,
    ),
    // Lists.
    entry(Action::OpenRecording, &[Key::Enter], |_, _| "replay", "replay the chosen recording", Places::RECORDINGS),
    entry(Action::Reread, &[Key::Char('r')], |_, _| "reread", "read the folder again", Places::RECORDINGS),
    entry(Action::Line(Way::Back), &[Key::Up], |_, _| "line", "one line up", LISTS),
    entry(Action::Line(Way::On), &[Key::Down], |_, _| "line", "one line down", LISTS),
    entry(
        Action::LogLevel,
        &[Key::Char('w')],
        |_, _| "level",
        "show all, warnings and errors, or errors only",
        Places::LOG,
    ),
    entry(Action::Page(Way::Back), &[Key::PageUp], |_, _| "page", "ten lines up", LISTS),
    entry(Action::Page(Way::On), &[Key::PageDown], |_, _| "page", "ten lines down", LISTS),
    entry(
        Action::LastLine(Way::Back),
        &[Key::Home],
        |_, _| "ends",
        "to the first line",
        Places::PIPELINE.and(Places::LOG),
    )
    .quiet(),
    entry(Action::LastLine(Way::On), &[Key::End], |_, _| "ends", "to the last line", Places::PIPELINE.and(Places::LOG))
        .quiet(),
    entry(
        Action::ZeroCounters,
        &[Key::Char('z')],
        |_, _| "zero",
        "count from zero in this view; the session's account stays",
        Places::PIPELINE,
    ),
    // Everywhere.
    entry(
        Action::PausePipeline,
        &[Key::Char('p')],
        pause_name,
        "hold the whole pipeline, or let it run again",
        Places::VIEWS,
    )
    .if_only(can_pause),
    entry(Action::Suspend, &[Key::Control('z')], |_, _| "suspend", "to the shell; `fg` comes back", Places::VIEWS)
        .if_only(can_stop)
        .quiet(),
    entry(
        Action::Palette,
        &[Key::Char(':')],
        |_, _| "do",
        "find what to do by typing a part of its name",
        Places::VIEWS,
    ),
    entry(Action::Help, &[Key::Char('?')], |_, _| "help", "this list", Places::VIEWS),
    entry(
        Action::Quit,
        &[Key::Char('q'), Key::Control('c')],
        |_, snapshot| if snapshot.link.is_some() { "leave" } else { "quit" },
        "leave; asks while a recording is open",
        Places::VIEWS,
    ),
    entry(Action::Show(View::Monitor), &[Key::Char('1')], |_, _| "views", "waves", Places::VIEWS).quiet(),
    entry(Action::Show(View::Spectrum), &[Key::Char('2')], |_, _| "views", "spectrum", Places::VIEWS).quiet(),
    entry(Action::Show(View::Pipeline), &[Key::Char('3')], |_, _| "views", "stages, queues and pools", Places::VIEWS)
        .quiet(),
    entry(Action::Show(View::Params), &[Key::Char('4')], |_, _| "views", "parameters", Places::VIEWS).quiet(),
    entry(Action::Show(View::Recordings), &[Key::Char('5')], |_, _| "views", "recordings and replay", Places::VIEWS)
        .quiet(),
    entry(Action::Show(View::Log), &[Key::Char('6')], |_, _| "views", "log", Places::VIEWS).quiet(),
    // What lies on top.
    entry(Action::Line(Way::Back), &[Key::Up, Key::PageUp], |_, _| "scroll", "up", Places::HELP),
    entry(Action::Line(Way::On), &[Key::Down, Key::PageDown], |_, _| "scroll", "down", Places::HELP),
    entry(
        Action::Close,
        &[Key::Escape, Key::Char('?'), Key::Char('q'), Key::Enter],
        |_, _| "close",
        "close the help",
        Places::HELP,
    ),
    entry(Action::Finish, &[Key::Char('S'), Key::Enter], |_, _| "finish", "finish the recording", Places::ASK_FINISH),
    entry(
        Action::QuitAndFinish,
        &[Key::Char('f'), Key::Enter],
        quit_name,
        "finish the recording, then leave",
        Places::ASK_QUIT,
    ),
    entry(
        Action::QuitAndRecordOn,
        &[Key::Char('k')],
        |_, _| "keep recording",
        "leave; the recording goes on without a screen",
        Places::ASK_QUIT,
    )
    .if_only(ends_with_the_screen),
    entry(Action::Close, &[Key::Escape, Key::Char('c'), Key::Control('c')], |_, _| "cancel", "do nothing", CANCELS),
];

/// A recording is open that ends with the program unless a person says otherwise.
fn ends_with_the_screen(app: &App, snapshot: &Snapshot) -> Result<(), &'static str> {
    match snapshot.link {
        Some(_) => Err("the recording is that of a far session: it goes on in any case"),
        None => is_recording(app, snapshot),
    }
}

const CANCELS: Places = Places::ASK_QUIT.and(Places::ASK_FINISH);

fn quit_name(app: &App, snapshot: &Snapshot) -> &'static str {
    match ends_with_the_screen(app, snapshot) {
        Ok(()) => "finish and quit",
        Err(_) if snapshot.link.is_some() => "leave",
        Err(_) => "quit",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_means_one_thing_per_place_and_mode() {
        for place in Places::EACH {
            for is_replay in [false, true] {
                let mut seen = HashSet::new();
                for entry in TABLE.iter().filter(|e| e.places.meets(place) && e.when.fits(is_replay)) {
                    for key in entry.keys {
                        assert!(seen.insert(*key), "{key:?} twice in {place:?} (replay: {is_replay})");
                    }
                }
            }
        }
    }

    #[test]
    fn every_line_has_keys_and_a_help_text_of_one_line() {
        for entry in TABLE {
            assert!(!entry.keys.is_empty() && !entry.help.is_empty(), "{:?}", entry.action);
            assert!(entry.help.chars().count() <= 62, "too long for a narrow screen: {}", entry.help);
        }
    }

    #[test]
    fn the_numbers_on_the_tabs_are_the_keys() {
        for (index, view) in View::ALL.into_iter().enumerate() {
            let digit = char::from_digit(index as u32 + 1, 10).expect("a digit");
            let entry = find(Key::Char(digit), Places::LOG, false).expect("a line");
            assert_eq!(entry.action, Action::Show(view));
        }
    }
}
