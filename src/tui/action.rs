//! What a person can do, and how a line of the table says where, when and with which keys.
use super::{
    app::{App, Layer, View},
    form::Way,
    key::Key,
    lanes::Rung,
};
use crate::snapshot::Snapshot;

/// What a person wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Gives the terminal to the shell until the program is called back.
    Suspend,
    /// Shows a view.
    Show(View),
    /// Opens the list of keys.
    Help,
    /// Opens the list of what can be done.
    Palette,
    /// Closes what lies on top.
    Close,
    /// Leaves, after asking if something would be left undone.
    Quit,
    /// Finishes the recording and leaves.
    QuitAndFinish,
    /// Leaves; the recording goes on without a screen.
    QuitAndRecordOn,
    /// Starts, pauses or resumes the recording.
    Record,
    /// Asks whether to finish the recording.
    AskFinish,
    /// Finishes the recording.
    Finish,
    /// Sets a numbered marker at once.
    Mark,
    /// Sets the marker of a key, from 1 on.
    MarkWithKey(u8),
    /// Takes note of an alarm, which goes.
    Acknowledge,
    /// Asks for the text of a marker.
    MarkWithText,
    /// Pauses or resumes the pipeline.
    PausePipeline,
    /// Stops or resumes the movement of the waves.
    Freeze,
    /// Chooses another channel.
    Channel(Way),
    /// Turns a page of channels.
    ChannelPage(Way),
    /// Changes the scale of the chosen channel.
    Scale(Rung),
    /// Gives every channel of the same unit the scale of the chosen one.
    ShareScale,
    /// Chooses all scales from the data.
    FitScales,
    /// Centres the lanes on their means or on zero.
    ToggleMiddle,
    /// Changes the seconds per screen.
    TimeBase(Way),
    /// Looks at the next output.
    NextOutput,
    /// Lets the waves run from right to left, or under a cursor.
    ToggleScroll,
    /// Looks back by tenths of a screen, or on.
    LookBack(i32),
    /// Shows cursors to measure with, or none.
    ToggleCursors,
    /// Moves the cursor.
    MoveCursor(i32),
    /// Measures from where the cursor is.
    AnchorCursor,
    /// Takes the lane of the chosen channel away.
    HideLane,
    /// Gives every channel a lane again.
    ShowLanes,
    /// Gives the chosen channel all the room, or the others theirs back.
    Solo,
    /// Moves the chosen lane.
    ShiftLane(Way),
    /// Asks what the chosen channel is to be called.
    AskName,
    /// Lanes of one row, or of two and more.
    ToggleDense,
    /// Takes spectra through shorter or longer windows.
    Window(Way),
    /// Shows fewer or more frequencies.
    Frequencies(Way),
    /// Moves the cursor over the frequencies by a column, or ten.
    FrequencyCursor(i32),
    /// Moves the cursor to the next peak.
    NextPeak,
    /// Plays or pauses the replay.
    PlayPause,
    /// Moves the replay by seconds.
    SeekBy(i32),
    /// Moves the replay to its beginning or end.
    SeekToEnd(Way),
    /// Moves the replay to the next marker, or the one before.
    NextMarker(Way),
    /// Moves the replay to the next gap, or the one before.
    NextGap(Way),
    /// Asks for the time to move the replay to.
    AskTime,
    /// Moves the replay by a frame.
    StepFrame(Way),
    /// Moves the replay by a packet.
    StepPacket(Way),
    /// Takes this moment for the beginning of a loop.
    LoopFrom,
    /// Takes this moment for the end of the loop.
    LoopTo,
    /// Plays on behind the end of the loop.
    NoLoop,
    /// Changes the speed of the replay.
    Speed(Way),
    /// Goes back to the live pipeline.
    Live,
    /// Chooses another line.
    Line(Way),
    /// Moves by ten lines.
    Page(Way),
    /// To the first or last line.
    LastLine(Way),
    /// Chooses another stage.
    Stage(Way),
    /// Changes the chosen value by a step.
    Step(Way),
    /// Opens the chosen value for typing.
    Edit,
    /// Applies all staged edits.
    Apply,
    /// Takes an edit back.
    Undo,
    /// Stages the default.
    Default,
    /// Asks for a part of the name of a parameter.
    FindField,
    /// Asks for the name of a file for the pipeline as it runs.
    SaveConfig,
    /// Counts from zero in the pipeline view.
    ZeroCounters,
    /// Replays the chosen recording.
    OpenRecording,
    /// Reads the folder of recordings again.
    Reread,
    /// Shows fewer or more levels of the log.
    LogLevel,
    /// Takes what was typed.
    Accept,
    /// A key for the text being typed.
    Type(Key),
    /// A text for the text being typed.
    Paste(String),
}

/// Where keys can mean something; a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places(u16);

impl Places {
    /// The waves.
    pub const MONITOR: Self = Self(1);
    /// Stages, queues, pools.
    pub const PIPELINE: Self = Self(1 << 1);
    /// The parameter form.
    pub const PARAMS: Self = Self(1 << 2);
    /// Recordings.
    pub const RECORDINGS: Self = Self(1 << 3);
    /// The log.
    pub const LOG: Self = Self(1 << 4);
    /// The spectrum.
    pub const SPECTRUM: Self = Self(1 << 9);
    /// The waves while there are cursors on them.
    pub const CURSORS: Self = Self(1 << 10);
    /// Every view.
    pub const VIEWS: Self = Self(0x1f | 1 << 9);
    /// The help.
    pub const HELP: Self = Self(1 << 5);
    /// The question whether to finish.
    pub const ASK_FINISH: Self = Self(1 << 6);
    /// The question whether to quit.
    pub const ASK_QUIT: Self = Self(1 << 7);
    /// A text being typed.
    pub const TYPING: Self = Self(1 << 8);
    /// Every one of them, by itself.
    pub const EACH: [Self; 11] = [
        Self::MONITOR,
        Self::CURSORS,
        Self::SPECTRUM,
        Self::PIPELINE,
        Self::PARAMS,
        Self::RECORDINGS,
        Self::LOG,
        Self::HELP,
        Self::ASK_FINISH,
        Self::ASK_QUIT,
        Self::TYPING,
    ];

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if both have a place in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The place of a view.
    pub fn of(view: View) -> Self {
        match view {
            View::Monitor => Self::MONITOR,
            View::Spectrum => Self::SPECTRUM,
            View::Pipeline => Self::PIPELINE,
            View::Params => Self::PARAMS,
            View::Recordings => Self::RECORDINGS,
            View::Log => Self::LOG,
        }
    }

    /// Where the keys go when nothing lies on top.
    pub fn below(app: &App) -> Self {
        let has_cursors = app.view == View::Monitor && app.looking.cursors.is_some();
        if has_cursors { Self::CURSORS.and(Self::MONITOR) } else { Self::of(app.view) }
    }

    /// Where the keys go now: to the top layer, else to the view.
    pub fn now(app: &App) -> Self {
        match app.layers.last() {
            None => Self::below(app),
            Some(Layer::Help { .. }) => Self::HELP,
            Some(Layer::AskFinish { .. }) => Self::ASK_FINISH,
            Some(Layer::AskQuit) => Self::ASK_QUIT,
            Some(
                Layer::MarkerText(_) | Layer::ChannelName(_) | Layer::GoTo(_) | Layer::Palette(_) | Layer::Field(_),
            ) => Self::TYPING,
            Some(Layer::Find(_) | Layer::SaveAs(_)) => Self::TYPING,
        }
    }
}

/// What must be running for a key to mean this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Anything.
    Always,
    /// A device or another source.
    Live,
    /// A recording being replayed.
    Replay,
}

impl When {
    /// True for the pipeline that runs.
    pub fn fits(self, is_replay: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Live => !is_replay,
            Self::Replay => is_replay,
        }
    }
}

/// Says why an action is not possible now.
type Enabled = fn(&App, &Snapshot) -> Result<(), &'static str>;

/// A line of the table.
pub struct Entry {
    /// What happens.
    pub action: Action,
    /// Any of these keys.
    pub keys: &'static [Key],
    /// Name in the key line, which may depend on the state. Neighbours of the same name are shown as one.
    pub name: fn(&App, &Snapshot) -> &'static str,
    /// What the help says.
    pub help: &'static str,
    /// Where it means this.
    pub places: Places,
    /// What must be running.
    pub when: When,
    /// Whether it is possible now.
    pub enabled: Enabled,
    /// In the help only.
    pub is_quiet: bool,
}

impl Entry {
    pub(super) const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    pub(super) const fn if_only(mut self, enabled: Enabled) -> Self {
        self.enabled = enabled;
        self
    }

    pub(super) const fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }
}

/// A line that is always possible.
pub(super) const fn entry(
    action: Action,
    keys: &'static [Key],
    name: fn(&App, &Snapshot) -> &'static str,
    help: &'static str,
    places: Places,
) -> Entry {
    Entry { action, keys, name, help, places, when: When::Always, enabled: |_, _| Ok(()), is_quiet: false }
}
