//! The recordings in the folder, and the bar of the one that is being replayed.
use ratatui::{Frame, layout::Rect, text::Line};

use super::{
    super::{
        pen::{self, span},
        scale::{self, Tenths},
        scene::Scene,
        theme::{Role, Theme},
    },
    scrub,
};
use crate::snapshot::RecordingEntry;

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let mut list = area;
    if let Some(transport) = &scene.snapshot.transport {
        list.height = list.height.saturating_sub(5);
        let bar = Rect { y: list.bottom(), height: area.height.min(5), ..area };
        let name = transport.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let inner = pen::boxed(frame, bar, &format!("Replay of {name}"), theme);
        scrub::render(frame, inner, transport, scene, theme);
    }
    let library = &scene.app.library;
    let dir = scene.snapshot.recorder.as_ref().map_or_else(String::new, |r| format!(" in {}", r.dir.display()));
    let busy = library.busy.map_or_else(String::new, |what| format!(" ({what}...)"));
    let inner = pen::boxed(frame, list, &format!("Recordings{dir}{busy}"), theme);
    let width = usize::from(inner.width);
    let with_start = width >= 100;
    let fixed = 2 + if with_start { 17 } else { 0 } + 9 + 10 + 5 + 13;
    let name_width = width.saturating_sub(fixed).max(8);
    let head = row("name", name_width, ["start (UTC)", "length", "size", "ch", "state"], with_start, theme);
    pen::line(frame, inner, 0, Line::from(span(format!("  {head}"), Role::Dim, theme)));
    if library.entries.is_empty() {
        let text = match (library.is_read, library.busy) {
            (true, _) => "  none yet: R records one",
            (false, _) => "  reading the folder...",
        };
        pen::line(frame, inner, 1, Line::from(span(text, Role::Dim, theme)));
        return;
    }
    let rows = usize::from(inner.height).saturating_sub(1);
    let first = pen::first_visible(library.chosen, library.entries.len(), rows);
    let playing = scene.snapshot.transport.as_ref().map(|transport| &transport.path);
    for (at, entry) in library.entries.iter().enumerate().skip(first).take(rows) {
        let mark = match (at == library.chosen, playing == Some(&entry.path)) {
            (true, _) => theme.signs().chosen,
            (false, true) => theme.signs().play,
            (false, false) => " ",
        };
        let role = match at == library.chosen {
            true => Role::Chosen,
            false if !entry.is_fine => Role::Warn,
            false => Role::Text,
        };
        let text = format!("{} {}", pen::left(mark, 1, theme), described(entry, name_width, with_start, theme));
        pen::line(frame, inner, (at - first) as u16 + 1, Line::from(span(pen::left(&text, width, theme), role, theme)));
    }
}

fn described(entry: &RecordingEntry, name_width: usize, with_start: bool, theme: &Theme) -> String {
    let name = entry.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let length = entry.duration_s.map_or("?".into(), |seconds| scale::clock(seconds, Tenths::Shown));
    let start = match entry.start_unix_ns {
        0 => "?".to_owned(),
        known => scale::day_and_time(known),
    };
    let columns = [&*start, &length, &scale::bytes(entry.bytes as f64), &entry.channels.to_string(), &entry.remark];
    row(&pen::plain(&name, theme), name_width, columns, with_start, theme)
}

fn row(
    name: &str,
    name_width: usize,
    [start, length, size, channels, state]: [&str; 5],
    with_start: bool,
    theme: &Theme,
) -> String {
    let start = if with_start { format!(" {}", pen::left(start, 16, theme)) } else { String::new() };
    format!(
        "{}{start} {} {} {}  {}",
        pen::left(name, name_width, theme),
        pen::right(length, 8, theme),
        pen::right(size, 9, theme),
        pen::right(channels, 4, theme),
        pen::left(&pen::plain(state, theme), 11, theme),
    )
}
