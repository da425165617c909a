//! Puts the panes together: state line and tabs on top, messages and keys at the bottom, a view between.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Clear,
};
use wavedeck_api::stage::Level;

use super::{
    app::{Layer, View},
    layout::{LOG_ROWS, Size},
    log_line::{level, log_line},
    mouse::Click,
    pen::{self, span},
    scene::Scene,
    theme::{Role, Theme},
    views,
};

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, theme: &Theme) {
    let screen = frame.area();
    let size = Size { width: screen.width, height: screen.height };
    let row = |y: u16, height: u16| Rect::new(screen.x, screen.y + y, screen.width, height).intersection(screen);
    views::header::render(frame, row(0, 1), scene, theme);
    if size.is_too_small() {
        let least = super::layout::SMALLEST;
        let text = format!("too small: {}x{}, needs {}x{}", size.width, size.height, least.width, least.height);
        pen::line(frame, row(1, size.height.saturating_sub(1)), 0, Line::from(span(text, Role::Dim, theme)));
        return;
    }
    tabs(frame, row(1, 1), scene, theme);
    let mut body = row(2, size.body_rows());
    if size.has_log_panel() {
        let log = row(2 + size.body_rows(), LOG_ROWS);
        if scene.app.view == View::Log {
            body.height += LOG_ROWS;
        } else {
            let inner = pen::boxed(frame, log, "Log", theme);
            views::log::newest(frame, inner, scene, theme);
        }
    }
    match scene.app.view {
        View::Monitor => views::monitor::render(frame, body, scene, theme),
        View::Spectrum => views::spectrum::render(frame, body, scene, theme),
        View::Pipeline => views::pipeline::render(frame, body, scene, theme),
        View::Params => views::params::render(frame, body, scene, theme),
        View::Recordings => views::recordings::render(frame, body, scene, theme),
        View::Log => views::log::render(frame, body, scene, theme),
    }
    let (message_row, row_above) = (row(size.height - 2, 1), row(size.height - 3, 1));
    message(frame, message_row, row_above, scene, theme);
    views::keys::render(frame, row(size.height - 1, 1), scene, theme);
    for layer in &scene.app.layers {
        match layer {
            Layer::Help { scroll } => views::help::render(frame, *scroll, scene, theme),
            Layer::AskQuit => views::popups::ask_quit(frame, scene, theme),
            Layer::MarkerText(line) => views::popups::text(frame, "Marker", line, theme),
            Layer::Palette(palette) => views::palette::render(frame, palette, scene, theme),
            Layer::ChannelName(line) => views::popups::text(frame, "Name on this screen", line, theme),
            Layer::GoTo(line) => views::popups::text(frame, "Go to: 83, 1:23.5, +10, -10", line, theme),
            // Shown in the message line and in the form.
            Layer::AskFinish { .. } | Layer::Field(_) | Layer::Find(_) => {}
            Layer::SaveAs(save) => views::popups::text(frame, "Write what runs now into", &save.line, theme),
        }
    }
}

fn tabs(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let (app, signs) = (scene.app, theme.signs());
    let mut spans: Vec<Span<'_>> = Vec::new();
    let mut x = area.x;
    for (index, view) in View::ALL.into_iter().enumerate() {
        let role = if view == app.view { Role::Chosen } else { Role::Dim };
        spans.push(span(format!(" {} {}", index + 1, view.name()), role, theme));
        let locked = if scene.snapshot.locked.is_some() { signs.locked } else { "" };
        let (text, loud) = match view {
            View::Params if !app.form.staged.is_empty() => {
                (format!("{locked} *{}", app.form.staged.len()), Role::Staged)
            }
            View::Params => (locked.to_owned(), role),
            View::Log if app.unseen(scene.snapshot) > 0 => (format!(" !{}", app.unseen(scene.snapshot)), Role::Warn),
            _ => (String::new(), role),
        };
        spans.push(span(text, if view == app.view { role } else { loud }, theme));
        spans.push(span(" ", role, theme));
        let end = area.x + spans.iter().map(|span| span.content.chars().count() as u16).sum::<u16>();
        scene.regions.add(Rect { x, width: end - x, ..area }, Click::Show(view));
        x = end;
    }
    let used: usize = spans.iter().map(|span| span.content.chars().count()).sum();
    let mut aside = Vec::new();
    if app.view == View::Monitor {
        aside.push(span(format!(" {} s/screen ", app.lanes.seconds()), Role::Text, theme));
    }
    if app.is_frozen && matches!(app.view, View::Monitor | View::Spectrum) {
        aside.insert(0, span(" FROZEN VIEW ", Role::Held, theme));
    }
    let mut room = usize::from(area.width).saturating_sub(used);
    // The first matters most: it is shown even where there is no room for the rest.
    aside.retain(|span| {
        let width = span.content.chars().count();
        let fits = width <= room;
        room -= if fits { width } else { 0 };
        fits
    });
    spans.push(Span::raw(" ".repeat(room)));
    spans.append(&mut aside);
    pen::line(frame, area, 0, Line::from(spans));
}

/// The line for what must be said: a question, a message, or else what the log said last. Of two alarms at once one is
/// in the line above, whatever that shows.
fn message(frame: &mut Frame<'_>, area: Rect, above: Rect, scene: &Scene<'_>, theme: &Theme) {
    let (app, width) = (scene.app, usize::from(area.width));
    if let Some(Layer::AskFinish { .. }) = app.layers.last() {
        let text = " Finish the recording?  S or Enter within 3 s finishes it, any other key goes on recording";
        pen::line(frame, area, 0, Line::from(span(pen::left(text, width, theme), Role::Held, theme)));
        return;
    }
    if let Some(Layer::Find(finder)) = app.layers.last() {
        pen::line(frame, area, 0, views::params::find_line(finder, width, theme));
        return;
    }
    if let Some(message) = &app.message {
        let (sign, role) = level(message.level);
        let text = pen::plain(&format!(" {sign}{}", message.text), theme);
        let role = if message.level == Level::Info { Role::Text } else { role };
        pen::line(frame, area, 0, Line::from(span(pen::fit(&text, width, theme), role, theme)));
        return;
    }
    let said = |stage: &str| {
        let said = scene.snapshot.log.iter().rev().find(|entry| *entry.from == *stage);
        said.map(|entry| entry.text.to_string())
    };
    let lost = scene.snapshot.link.as_ref().and_then(|link| Some((link, link.lost?)));
    let trouble = if let Some((link, time)) = lost {
        let name = &link.name;
        Some(format!("{name} has not said a word for {} s: what is shown is old; trying again", time.as_secs()))
    } else if let Some(stage) = scene.snapshot.failed_stage() {
        let why = said(stage).unwrap_or_else(|| "the log says why".to_owned());
        Some(format!("{stage} is out, the rest goes on; a new start brings it back: {why}"))
    } else {
        app.silence.longest().map(|(source, time)| {
            let why = said(source).unwrap_or_else(|| "is its device on and connected?".to_owned());
            format!("{source} sends nothing for {} s: {why}", time.as_secs())
        })
    };
    let alarm = scene.snapshot.recorder.as_ref().and_then(|recorder| recorder.error.as_ref());
    if let Some(trouble) = &trouble {
        let (sign, role) = level(Level::Error);
        let text = pen::fit(&pen::plain(&format!(" {sign}{trouble}"), theme), width, theme);
        let place = if alarm.is_some() { above } else { area };
        frame.render_widget(Clear, place);
        pen::line(frame, place, 0, Line::from(span(text, role, theme)));
    }
    if let Some(alarm) = alarm {
        let acknowledge = "  ! acknowledges";
        let (sign, role) = level(Level::Error);
        let text =
            pen::fit(&pen::plain(&format!(" {sign}{alarm}"), theme), width.saturating_sub(acknowledge.len()), theme);
        pen::line(frame, area, 0, Line::from(vec![span(text, role, theme), span(acknowledge, Role::Key, theme)]));
        return;
    }
    if trouble.is_some() {
        return;
    }
    let is_shown_elsewhere = app.view == View::Log || app.size.has_log_panel();
    if let (Some(entry), false) = (scene.snapshot.log.last(), is_shown_elsewhere) {
        pen::line(frame, area, 0, log_line(entry, width, theme));
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
