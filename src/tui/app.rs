//! What the front end itself remembers: which view, which choice, what is being typed. Knows nothing of drawing.
use std::{path::PathBuf, sync::Arc, time::Duration};

use wavedeck_api::{handle::RecordingState, signal::SignalKind, stage::Level};

use super::{
    finding::Finder,
    form::{FieldEdit, Form},
    lanes::Lanes,
    layout::Size,
    line_edit::LineEdit,
    looking::Looking,
    palette::Palette,
    saving::SaveAs,
    silence::Silence,
    spectrum_keys::SpectrumChoice,
    trends::Zero,
};
use crate::snapshot::{OutputInfo, RecordingEntry, Snapshot};

/// A pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Waves.
    #[default]
    Monitor,
    /// What frequencies a channel holds.
    Spectrum,
    /// Stages, queues, pools.
    Pipeline,
    /// The parameter form.
    Params,
    /// Recordings and the replay of one.
    Recordings,
    /// What happened.
    Log,
}

impl View {
    /// In the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Monitor, Self::Spectrum, Self::Pipeline, Self::Params, Self::Recordings, Self::Log];

    /// Name on its tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitor => "Monitor",
            Self::Spectrum => "Spectrum",
            Self::Pipeline => "Pipeline",
            Self::Params => "Params",
            Self::Recordings => "Replay",
            Self::Log => "Log",
        }
    }
}

/// Something that lies over the view and gets the keys first.
#[derive(Clone, Debug)]
pub enum Layer {
    /// The list of keys, scrolled by so many lines.
    Help {
        /// Lines above the first one shown.
        scroll: usize,
    },
    /// Finish the recording? Goes away by itself.
    AskFinish {
        /// Time of the screen at which it goes.
        until: Duration,
    },
    /// Quit although something would be left undone?
    AskQuit,
    /// The text of a marker.
    MarkerText(LineEdit),
    /// What the chosen channel is called.
    ChannelName(LineEdit),
    /// What can be done, to be found by typing.
    Palette(Palette),
    /// The time that the replay is to go to.
    GoTo(LineEdit),
    /// The value of a parameter.
    Field(FieldEdit),
    /// A part of the name of a parameter.
    Find(Finder),
    /// The name of a file for the pipeline as it runs.
    SaveAs(SaveAs),
}

/// A line for the person, for a few seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How much it matters.
    pub level: Level,
    /// One sentence.
    pub text: String,
    /// Time of the screen at which it goes.
    pub until: Duration,
}

/// A marker set from this screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it says.
    pub label: String,
    /// Sample of the watched output at which it was set.
    pub sample: u64,
}

/// Samples of the watched output that the screen holds, those of a frozen view while it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Index of the first.
    pub first: u64,
    /// Index after the last.
    pub end: u64,
    /// Samples per second.
    pub rate_hz: f64,
}

/// The list of recordings.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Newest first.
    pub entries: Vec<RecordingEntry>,
    /// Chosen entry.
    pub chosen: usize,
    /// The folder has been read at least once.
    pub is_read: bool,
    /// Being read, or a recording being opened.
    pub busy: Option<&'static str>,
}

/// What part of the log is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogView {
    /// Entries below the last one shown; 0 follows the newest.
    pub back: usize,
    /// Only entries that matter at least so much.
    pub least: Option<Level>,
}

/// All the front end remembers.
#[derive(Debug, Default)]
pub struct App {
    /// The pane that is shown.
    pub view: View,
    /// What lies over it; the last is on top.
    pub layers: Vec<Layer>,
    /// Size of the screen.
    pub size: Size,
    /// Time since the screen began.
    pub now: Duration,
    /// What there is to say.
    pub message: Option<Message>,
    /// How channels are drawn.
    pub lanes: Lanes,
    /// What is shown of the spectrum.
    pub spectrum: SpectrumChoice,
    /// The parameter form.
    pub form: Form,
    /// Chosen stage in the pipeline view.
    pub stage: usize,
    /// When a person set the counters of the pipeline view to zero.
    pub zero: Option<Zero>,
    /// The list of recordings.
    pub library: Library,
    /// The log.
    pub log: LogView,
    /// Which moment the waves show.
    pub looking: Looking,
    /// What there is to look at.
    pub shown: Held,
    /// Sources that send nothing.
    pub silence: Silence,
    /// The waves stand still; everything else goes on.
    pub is_frozen: bool,
    /// Markers set from here, oldest first.
    pub marks: Vec<Mark>,
    /// Stage and port of the output that is looked at.
    pub watched: Option<(Arc<str>, &'static str)>,
    /// Newest sample of that output.
    pub newest_sample: u64,
    /// Target of the last seek in seconds, and until when a further seek starts from it.
    pub sought: Option<(f64, Duration)>,
    /// Where a loop of the replay is to begin.
    pub loop_from: Option<f64>,
    /// No signs outside ASCII.
    pub is_plain: bool,
    /// A recording is being replayed.
    pub is_replay: bool,
    generation: u64,
    marker_number: u64,
    seen_log: u64,
    recording: RecordingState,
}

/// Markers that are remembered.
const MAX_MARKS: usize = 200;

impl App {
    /// Begins with a view.
    pub fn showing(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// Shows a message for some seconds.
    pub fn say(&mut self, level: Level, text: impl Into<String>) {
        let stays = if level == Level::Info { 5 } else { 10 };
        self.message = Some(Message { level, text: text.into(), until: self.now + Duration::from_secs(stays) });
    }

    /// Takes note of the time: what was shown for some seconds goes. True if something did.
    pub fn pass_time(&mut self, now: Duration) -> bool {
        self.now = now;
        let before = (self.layers.len(), self.message.is_some());
        self.layers.retain(|layer| !matches!(layer, Layer::AskFinish { until } if *until <= now));
        if self.message.as_ref().is_some_and(|message| message.until <= now) {
            self.message = None;
        }
        before != (self.layers.len(), self.message.is_some())
    }

    /// Takes note of a new snapshot: choices move to what exists. True if the list of recordings should be read anew.
    pub fn notice(&mut self, snapshot: &Snapshot) -> bool {
        if snapshot.generation != self.generation {
            self.generation = snapshot.generation;
            self.marks.clear();
            self.thaw();
            self.watched = None;
            (self.sought, self.loop_from) = (None, None);
        }
        self.is_replay = snapshot.transport.is_some();
        self.silence.notice(snapshot, self.now);
        self.zero.take_if(|zero| !zero.notice(snapshot));
        let gone = self.form.fit_to(snapshot);
        if gone > 0 {
            let edits = if gone == 1 { "1 staged edit is".to_owned() } else { format!("{gone} staged edits are") };
            self.say(Level::Warn, format!("{edits} gone: the pipeline no longer has the parameter"));
        }
        self.stage = self.stage.min(snapshot.telemetry.stages.len().saturating_sub(1));
        if self.output(snapshot).is_none() {
            self.watched = default_output(snapshot).map(|output| (output.stage.clone(), output.port));
        }
        if self.view == View::Log {
            self.seen_log = snapshot.log.last().map_or(0, |entry| entry.number);
        }
        let was = std::mem::replace(&mut self.recording, snapshot.recording);
        if was == RecordingState::Idle && self.recording != RecordingState::Idle {
            self.marker_number = 0;
            self.marks.clear();
        }
        was != self.recording && self.recording == RecordingState::Idle
    }

    /// The output that is looked at.
    pub fn output<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a OutputInfo> {
        let (stage, port) = self.watched.as_ref()?;
        snapshot.outputs.iter().find(|output| output.stage == *stage && output.port == *port)
    }

    /// Looks at the next output that has waves.
    pub fn watch_next(&mut self, snapshot: &Snapshot) -> Option<String> {
        let waves: Vec<&OutputInfo> = waves(snapshot).collect();
        let here = self
            .output(snapshot)
            .and_then(|now| waves.iter().position(|output| output.stage == now.stage && output.port == now.port));
        let next = waves.get((here? + 1) % waves.len())?;
        self.watched = Some((next.stage.clone(), next.port));
        self.marks.clear();
        Some(format!("{}.{} ({}, {} channels)", next.stage, next.port, next.spec.kind, next.spec.channels.len()))
    }

    /// Label of a marker that is set without one: its number in the file.
    pub fn next_marker(&mut self, snapshot: &Snapshot) -> String {
        let in_file = snapshot.recorder.as_ref().map_or(0, |recorder| recorder.markers);
        self.marker_number = self.marker_number.max(in_file) + 1;
        format!("M{}", self.marker_number)
    }

    /// Remembers a marker at the newest sample.
    pub fn mark(&mut self, label: &str) {
        if self.marks.len() == MAX_MARKS {
            self.marks.remove(0);
        }
        self.marks.push(Mark { label: label.to_owned(), sample: self.newest_sample });
    }

    /// Warnings and errors in the log since it was last looked at.
    pub fn unseen(&self, snapshot: &Snapshot) -> usize {
        let unseen = |number: u64| self.view != View::Log && number > self.seen_log;
        snapshot.log.iter().filter(|entry| entry.level > Level::Info && unseen(entry.number)).count()
    }

    /// The chosen recording.
    pub fn chosen_recording(&self) -> Option<&PathBuf> {
        self.library.entries.get(self.library.chosen).map(|entry| &entry.path)
    }

    /// True where a spectrum is on the screen.
    pub fn shows_spectrum(&self) -> bool {
        self.view == View::Spectrum || (self.view == View::Monitor && self.size.has_side_panel())
    }

    /// Lets the view move again.
    pub fn thaw(&mut self) {
        self.is_frozen = false;
        self.looking = Looking { is_scrolling: self.looking.is_scrolling, ..Looking::default() };
    }

    /// Lanes that fit on a page.
    pub fn lanes_per_page(&self) -> usize {
        self.size.lane_room(self.is_replay).lanes(self.lanes.is_dense)
    }

    /// Channels of the page that is shown, and which page of how many that is.
    pub fn page(&self) -> Page {
        let (shown, per_page) = (self.lanes.shown(), self.lanes_per_page());
        let place = shown.iter().position(|channel| *channel == self.lanes.chosen).unwrap_or(0);
        let first = place / per_page * per_page;
        let channels = shown.iter().skip(first).take(per_page).copied().collect();
        Page {
            channels,
            first,
            number: place / per_page + 1,
            of: shown.len().div_ceil(per_page).max(1),
            shown: shown.len(),
        }
    }
}

/// A page of lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// From top to bottom.
    pub channels: Vec<usize>,
    /// Lanes on the pages before.
    pub first: usize,
    /// Counts from 1.
    pub number: usize,
    /// Pages in all.
    pub of: usize,
    /// Lanes on all pages.
    pub shown: usize,
}

fn waves(snapshot: &Snapshot) -> impl Iterator<Item = &OutputInfo> {
    snapshot.outputs.iter().filter(|output| output.spec.kind != SignalKind::Spectrum)
}

/// The last physical output of the pipeline, else its first one with waves.
pub(crate) fn default_output(snapshot: &Snapshot) -> Option<&OutputInfo> {
    let physical = waves(snapshot).filter(|output| output.spec.kind == SignalKind::Physical).last();
    physical.or_else(|| waves(snapshot).next())
}
