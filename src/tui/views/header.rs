//! The state line, on every view and under every popup: is it recording, is data lost, how long will the disk last.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use super::super::{
    cost::Cost,
    pen::{self, span},
    replaying::speed_name,
    scale::{self, Tenths},
    scene::Scene,
    theme::{Role, Theme},
};
use crate::snapshot::Snapshot;

/// Seconds of disk below which it is time to act, and to worry.
const DISK_ALARM_S: f64 = 600.0;
const DISK_WARN_S: f64 = 3600.0;

/// One thing to tell. It is shown whole or not at all: a number that is cut off lies.
struct Item {
    /// Smaller numbers are left out last.
    rank: u8,
    text: String,
    role: Role,
}

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let width = usize::from(area.width);
    let (state, role) = state(scene.snapshot, theme);
    let state = format!(" {state} ");
    let mut room = width.saturating_sub(state.chars().count());
    let items = items(scene, width >= 120, theme);
    let mut by_rank: Vec<usize> = (0..items.len()).collect();
    by_rank.sort_by_key(|index| items[*index].rank);
    let gap = if width >= 120 { 3 } else { 2 };
    let mut shown = vec![false; items.len()];
    for index in by_rank {
        let needs = items[index].text.chars().count() + gap;
        if needs <= room {
            room -= needs;
            shown[index] = true;
        }
    }
    let mut spans = vec![span(state, role, theme)];
    for (item, _) in items.into_iter().zip(shown).filter(|(_, shown)| *shown) {
        // The gap is part of what was counted; an alarm's own blanks stand out from it.
        spans.push(Span::raw(" ".repeat(gap)));
        spans.push(span(item.text, item.role, theme));
    }
    pen::line(frame, area, 0, Line::from(spans));
}

/// The one word that must be right, its sign, and the time that belongs to it.
fn state(snapshot: &Snapshot, theme: &Theme) -> (String, Role) {
    let signs = theme.signs();
    if let Some(lost) = snapshot.lost_link() {
        // What it was doing is not known any more.
        return (format!("{} NO LINK {} s", signs.wrong, lost.as_secs()), Role::Alarm);
    }
    let recorded = snapshot.recorder.as_ref().map_or(0.0, |recorder| recorder.recorded_s);
    let clock = scale::clock(recorded, Tenths::Full);
    match snapshot.recording {
        RecordingState::Recording => return (format!("{} REC {clock}", signs.record), Role::Recording),
        RecordingState::Paused => return (format!("{} REC PAUSED {clock}", signs.paused), Role::Held),
        RecordingState::Finishing => return (format!("{} FINISHING", signs.record), Role::Recording),
        RecordingState::Failed => return (format!("{} REC FAILED", signs.wrong), Role::Alarm),
        RecordingState::Idle => {}
    }
    match (snapshot.pipeline, &snapshot.transport) {
        (PipelineState::Failed, _) => (format!("{} FAILED", signs.wrong), Role::Alarm),
        (PipelineState::Draining, _) => (format!("{} ENDING", signs.stopped), Role::Held),
        (PipelineState::Stopped, _) => (format!("{} STOPPED", signs.stopped), Role::Title),
        (PipelineState::Paused, _) => (format!("{} PAUSED", signs.paused), Role::Held),
        (PipelineState::Running, Some(t)) if t.ended => (format!("{} REPLAY END", signs.stopped), Role::Title),
        (PipelineState::Running, Some(t)) => {
            let sign = if t.playing { signs.play } else { signs.paused };
            (format!("{sign} REPLAY {}", speed_name(t.speed)), Role::Title)
        }
        (PipelineState::Running, None) => (format!("{} READY", signs.ready), Role::Title),
    }
}

/// In the order in which they are shown.
fn items(scene: &Scene<'_>, wide: bool, theme: &Theme) -> Vec<Item> {
    let snapshot = scene.snapshot;
    let mut items = Vec::new();
    let mut add = |rank: u8, text: String, role: Role| items.push(Item { rank, text: pen::plain(&text, theme), role });
    let name_width = if wide { 32 } else { 12 };
    let is_open = matches!(snapshot.recording, RecordingState::Recording | RecordingState::Paused);
    match snapshot.pipeline {
        PipelineState::Paused if is_open => add(0, "PIPELINE PAUSED".into(), Role::Held),
        PipelineState::Failed if is_open => add(0, "PIPELINE FAILED".into(), Role::Alarm),
        PipelineState::Stopped | PipelineState::Draining if is_open => add(0, "PIPELINE ENDED".into(), Role::Alarm),
        _ => {}
    }
    if let Some(stage) = snapshot.failed_stage() {
        add(0, format!(" {} FAILED ", pen::fit(stage, name_width, theme)), Role::Alarm);
    }
    if let (Some((_, time)), None) = (scene.app.silence.longest(), snapshot.lost_link()) {
        add(0, format!(" NO DATA {} s ", time.as_secs()), Role::Alarm);
    }
    match &snapshot.transport {
        Some(t) => {
            let position = scale::clock(t.position_s, Tenths::Shown);
            add(2, format!("{position}/{}", scale::clock(t.duration_s, Tenths::Hidden)), Role::Title);
            let file = t.path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            add(6, pen::fit(&file, if wide { 48 } else { 20 }, theme), Role::Text);
        }
        // One name says both, where they are the same.
        None if snapshot.link.as_ref().is_some_and(|link| link.name == snapshot.name) => {}
        None => add(6, pen::fit(&snapshot.name, name_width, theme), Role::Text),
    }
    if let Some(link) = &snapshot.link {
        add(6, format!("at {}", pen::fit(&link.name, name_width, theme)), Role::Title);
    }
    if let Some(output) = scene.app.output(snapshot) {
        let rate = scale::hertz(output.spec.rate.hz());
        let spaced = if wide { rate.replace("kHz", " kHz").replace("Hz", " Hz").replace("k Hz", "kHz") } else { rate };
        add(7, format!("{}ch {spaced}", output.spec.channels.len()), Role::Text);
    }
    match &snapshot.recorder {
        Some(recorder) if is_open => {
            let saved = scale::bytes(recorder.saved_bytes as f64);
            add(8, if wide { format!("{saved} saved") } else { saved }, Role::Text);
        }
        _ => {
            if let Some(rate) = scene.rates.bytes_per_s {
                add(9, format!("{}/s", scale::bytes(rate)), Role::Text);
            }
        }
    }
    add_disk(snapshot, wide, &mut add);
    // What is missing in the file counts as much as what the plane lost; most losses are in both.
    let in_file = snapshot.recorder.as_ref().filter(|_| is_open).map_or(0, |recorder| recorder.lost_samples);
    let lost = snapshot.lost_samples.max(in_file);
    if lost > 0 {
        add(1, format!(" DROP {lost} "), Role::Alarm);
    } else {
        add(1, "drop 0".into(), Role::Good);
    }
    if wide {
        let role = if snapshot.shed_samples > 0 { Role::Text } else { Role::Dim };
        add(10, format!("shed {}", snapshot.shed_samples), role);
    }
    if let Some((share, _)) = snapshot.telemetry.worst_queue() {
        add(4, format!("q {}", pen::percent(share)), fill_role(share));
    }
    if let Some((share, _)) = snapshot.telemetry.worst_pool() {
        add(5, format!("pool {}", pen::percent(share)), fill_role(share));
    }
    if scene.cost.bytes_per_s > 0.0 {
        add(11, cost(&scene.cost), Role::Dim);
    }
    items
}

fn cost(cost: &Cost) -> String {
    let text = format!("{:.0} fps {}/s", cost.frames_per_s, scale::bytes(cost.bytes_per_s));
    match cost.round_trip {
        Some(time) if time.as_millis() < 1000 => format!("{text} rtt {} ms", time.as_millis()),
        Some(time) => format!("{text} rtt {:.1} s", time.as_secs_f64()),
        None => text,
    }
}

fn add_disk(snapshot: &Snapshot, wide: bool, add: &mut impl FnMut(u8, String, Role)) {
    let Some(disk) = snapshot.disk else {
        add(3, "disk ?".into(), Role::Warn);
        return;
    };
    let free = scale::bytes(disk.free_bytes as f64);
    let Some(left) = disk.seconds_left else {
        add(3, format!("disk {free}"), Role::Text);
        return;
    };
    let span = scale::span(left);
    let text = if wide { format!("disk {free} ({span})") } else { format!("disk {span}") };
    match left {
        _ if left < DISK_ALARM_S => add(1, format!(" {} ", text.to_uppercase()), Role::Alarm),
        _ if left < DISK_WARN_S => add(3, format!("{text}!"), Role::Warn),
        _ => add(3, text, Role::Text),
    }
}

fn fill_role(share: f64) -> Role {
    match pen::fill_role(share) {
        Role::Good => Role::Text,
        role => role,
    }
}
