//! Waves that sweep, one lane per channel: name and scale at the left, value and middle at the right.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    super::{
        history::{Flag, History, Why},
        lanes::Middle,
        layout::{LANE_LEFT as LEFT, LANE_RIGHT as RIGHT, SIDE_COLUMNS},
        mouse::{self, Click},
        pen::{self, span},
        scale,
        scene::Scene,
        sweep::Sweep,
        theme::{Role, Theme},
        wave::Pen,
    },
    cursors, scrub, side,
};

/// Columns of the gauge of a queue.
const GAUGE: usize = 6;

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let size = scene.app.size;
    let mut area = area;
    if size.has_side_panel() {
        let place = Rect { x: area.right().saturating_sub(SIDE_COLUMNS), width: SIDE_COLUMNS, ..area };
        area.width = area.width.saturating_sub(SIDE_COLUMNS);
        side::render(frame, place.intersection(frame.area()), scene, theme);
    }
    if size.has_frames() {
        area = pen::boxed(frame, area, &title(scene), theme);
    }
    let below = size.lane_room(scene.app.is_replay).below;
    let lanes = Rect { height: area.height.saturating_sub(below), ..area };
    let foot = Rect { y: lanes.bottom(), height: area.height.min(below), ..area };
    let Some(history) = scene.history.filter(|history| history.first().is_some()) else {
        let text = match scene.app.output(scene.snapshot) {
            None => " nothing to look at: this pipeline has no output with waves".to_owned(),
            Some(output) => format!(" waiting for data from {}.{}", output.stage, output.port),
        };
        pen::line(frame, lanes, lanes.height / 2, Line::from(span(text, Role::Dim, theme)));
        return;
    };
    let width = lanes.width.saturating_sub(LEFT + RIGHT);
    let sweep = scene.app.looking.window(scene.app, history, usize::from(width) * 2);
    scene.regions.set_sweep(sweep);
    let page = scene.app.page().channels;
    let count = u16::try_from(page.len().max(1)).unwrap_or(u16::MAX);
    // Rows that do not divide evenly go to the first lanes.
    let (rows, spare) = ((lanes.height / count).max(1), lanes.height % count);
    let columns = history.columns(&page, &sweep);
    let mut y = lanes.y;
    for ((at, channel), columns) in (0_u16..).zip(page).zip(&columns) {
        let height = if lanes.height > count { rows + u16::from(at < spare) } else { rows };
        let lane = Rect { y, height, ..lanes }.intersection(lanes);
        y += height;
        labels(frame, lane, channel, scene, history, theme);
        let wave = Rect { x: lane.x + LEFT.min(lane.width), width, ..lane };
        let (first, samples) = sweep.whole();
        scene.regions.add(lane, Click::Channel(channel, mouse::Span { left: LEFT, width, first, samples }));
        if let Some(pen) = Pen::of(channel, scene.app, &sweep, theme) {
            pen.draw(frame.buffer_mut(), wave, columns);
        }
    }
    cursors::draw(frame, Rect { x: lanes.x + LEFT.min(lanes.width), width, ..lanes }, scene, &sweep, theme);
    let axis = Rect { x: foot.x + LEFT.min(foot.width), width, ..foot };
    time_axis(frame, axis, &sweep, scene, history, theme);
    footer(frame, foot, scene, theme);
}

fn title(scene: &Scene<'_>) -> String {
    let (page, lanes) = (scene.app.page(), &scene.app.lanes);
    let output = scene.app.output(scene.snapshot).map_or_else(String::new, |o| format!("{}.{}", o.stage, o.port));
    let mut text = if page.of > 1 {
        format!("{output}   channels {}-{} of {}", page.first + 1, page.first + page.channels.len(), page.shown)
    } else {
        format!("{output}   {} channels", page.shown)
    };
    if lanes.order.is_solo() {
        text.push_str(", one alone (s)");
    } else if lanes.order.hidden() > 0 {
        text.push_str(&format!(", {} hidden (H)", lanes.order.hidden()));
    }
    if page.of > 1 {
        text.push_str(&format!("   page {}/{}", page.number, page.of));
    }
    text
}

fn labels(frame: &mut Frame<'_>, area: Rect, channel: usize, scene: &Scene<'_>, history: &History, theme: &Theme) {
    let (app, signs) = (scene.app, theme.signs());
    let Some((spec, lane)) = history.spec().channels.get(channel).zip(app.lanes.all.get(channel)) else { return };
    let is_chosen = channel == app.lanes.chosen;
    let mark = if is_chosen { signs.lane } else { " " };
    let role = Role::Lane(channel);
    let name = pen::plain(app.lanes.order.name(channel, &spec.name), theme);
    let name = pen::left(&name, usize::from(LEFT) - 2, theme);
    let name = Span::styled(name, theme.style(role).bold());
    pen::line(frame, area, 0, Line::from(vec![span(mark, Role::Title, theme), name]));
    let scale = scale::scale(lane.scale, &spec.unit, theme.is_plain());
    let mark = if is_chosen && area.height > 1 { signs.lane } else { " " };
    let (sign, role_of_scale) = if scene.readout.is_beyond(channel) { ("!", Role::Warn) } else { ("", Role::Dim) };
    let scale = pen::fit(&format!("{scale}{sign}"), usize::from(LEFT) - 2, theme);
    pen::line(frame, area, 1, Line::from(vec![span(mark, Role::Title, theme), span(scale, role_of_scale, theme)]));
    let right = Rect { x: area.right().saturating_sub(RIGHT), width: RIGHT.min(area.width), ..area };
    let width = usize::from(RIGHT) - 1;
    let value = scene.readout.value(channel).map_or_else(
        || signs.unknown.to_owned(),
        |value| scale::steady(value, &spec.unit, lane.scale, width, theme.is_plain()),
    );
    pen::line(frame, right, 0, Line::from(vec![Span::raw(" "), span(pen::right(&value, width, theme), role, theme)]));
    let flag = scene.readout.flag(channel).map(|flag| {
        let (word, role) = match flag {
            Flag::Clip => ("CLIP!", Role::Alarm),
            Flag::Gap => ("GAP", Role::Bad),
            Flag::Flat => ("FLAT", Role::Warn),
        };
        span(pen::right(word, width, theme), role, theme)
    });
    // In a single row what is wrong matters more than the value.
    if let (1, Some(flag)) = (area.height, &flag) {
        pen::line(frame, right, 0, Line::from(vec![Span::raw(" "), flag.clone()]));
    }
    let below = if let Some(flag) = flag {
        flag
    } else if app.lanes.middle == Middle::Zero {
        span(pen::right("mid 0", width, theme), Role::Dim, theme)
    } else {
        let middle = scale::steady(lane.middle, &spec.unit, lane.scale, width - 1, theme.is_plain());
        span(pen::right(&format!("~{middle}"), width, theme), Role::Dim, theme)
    };
    pen::line(frame, right, 1, Line::from(vec![Span::raw(" "), below]));
}

/// Seconds since the left edge, with markers and gaps where they happened.
fn time_axis(frame: &mut Frame<'_>, area: Rect, sweep: &Sweep, scene: &Scene<'_>, history: &History, theme: &Theme) {
    let signs = theme.signs();
    let width = usize::from(area.width);
    if width < 8 {
        return;
    }
    let mut cells: Vec<(char, Role)> = vec![(signs.line.chars().next().unwrap_or('-'), Role::Dim); width];
    let mut put = |at: usize, text: &str, role: Role| {
        for (cell, c) in cells.iter_mut().skip(at).zip(text.chars()) {
            *cell = (c, role);
        }
    };
    let seconds = scene.app.lanes.seconds();
    let parts = if width >= 120 { 10 } else { 5 };
    // A screen without a cursor tells how long ago it was.
    let behind_s = scene.app.looking.back_s;
    let is_page = scene.app.looking.is_page(scene.app);
    for part in 0..=parts {
        let at = seconds * f64::from(part) / f64::from(parts);
        let at = if is_page { -((seconds - at + behind_s) * 100.0).round() / 100.0 } else { at };
        let at = if at == 0.0 { 0.0 } else { at };
        let text = if part == parts { format!(" {at} s") } else { format!(" {at} ") };
        let place = (f64::from(part) / f64::from(parts) * width as f64) as usize;
        put(place.saturating_sub(1).min(width.saturating_sub(text.chars().count())), &text, Role::Text);
    }
    for gap in history.gaps() {
        if let Some(dot) = sweep.column_of(gap.first.min(sweep.end.saturating_sub(1))) {
            let (sign, role) = match gap.why {
                Why::Lost => (signs.gap, Role::Bad),
                Why::Paused => (signs.paused, Role::Warn),
                Why::Unseen => (signs.more, Role::Dim),
            };
            put(dot / 2, sign, role);
        }
    }
    let mut names = Vec::new();
    for mark in &scene.app.marks {
        if let Some(dot) = sweep.column_of(mark.sample.min(sweep.end.saturating_sub(1))) {
            put(dot / 2, signs.marker, Role::Warn);
            names.push(span(format!("{} {}  ", signs.marker, pen::plain(&mark.label, theme)), Role::Warn, theme));
        }
    }
    pen::cells(frame, area, &cells, theme);
    // The newest names matter most.
    let mut room = width;
    let newest: Vec<Span<'_>> = names
        .into_iter()
        .rev()
        .take_while(|name| {
            let fits = name.content.chars().count() <= room;
            room = room.saturating_sub(name.content.chars().count());
            fits
        })
        .collect();
    let mut second: Vec<Span<'_>> = newest.into_iter().rev().collect();
    if let Some(measured) = cursors::text(scene, history, theme) {
        second = vec![span(pen::fit(&measured, width, theme), Role::Key, theme)];
    }
    if second.is_empty() {
        let (text, role) = gaps_text(history, sweep, scene.snapshot.link.is_some());
        second.push(span(text, role, theme));
    }
    pen::line(frame, area, 1, Line::from(second));
}

fn gaps_text(history: &History, sweep: &Sweep, is_far: bool) -> (String, Role) {
    let here = |why| history.gaps().filter(move |gap| gap.why == why && sweep.column_of(gap.first).is_some());
    let lost: u64 = here(Why::Lost).map(|gap| gap.samples).sum();
    let unseen: u64 = here(Why::Unseen).map(|gap| gap.samples).sum();
    match (lost, unseen) {
        (0, 0) => (String::new(), Role::Dim),
        (0, _) if is_far => (format!("{unseen} samples were not shown: the link is too slow"), Role::Dim),
        (0, _) => (format!("{unseen} samples were not shown: the screen did not keep up"), Role::Dim),
        _ => (format!("{lost} samples are missing on this screen"), Role::Bad),
    }
}

/// Numbers of a channel that is alone on the screen.
fn focus(scene: &Scene<'_>, theme: &Theme) -> Option<String> {
    let lanes = &scene.app.lanes;
    let numbers = scene.readout.chosen.filter(|_| lanes.order.is_solo())?;
    let history = scene.history?;
    let unit = &history.spec().channels.get(lanes.chosen)?.unit;
    let value = |value: f64| scale::value(value, unit, theme.is_plain());
    let size = |size: f64| value(size).trim_start_matches('+').to_owned();
    Some(format!(
        " min {}  max {}  mean {}  rms {}  p-p {}  {}",
        value(numbers.min),
        value(numbers.max),
        value(numbers.mean),
        size(numbers.rms),
        size(numbers.max - numbers.min),
        scale::hertz(history.rate_hz())
    ))
}

/// What else goes on: the replay's bar, or the queues of the pipeline.
fn footer(frame: &mut Frame<'_>, foot: Rect, scene: &Scene<'_>, theme: &Theme) {
    if foot.height < 4 {
        return;
    }
    let last = Rect { y: foot.y + 2, height: foot.height - 2, ..foot }.intersection(frame.area());
    if let Some(transport) = &scene.snapshot.transport {
        scrub::render(frame, last, transport, scene, theme);
        return;
    }
    let page = scene.app.page();
    if let (Some(numbers), false) = (focus(scene, theme), scene.app.size.has_side_panel()) {
        let text = pen::fit(&numbers, usize::from(last.width), theme);
        pen::line(frame, last, 0, Line::from(span(text, Role::Lane(scene.app.lanes.chosen), theme)));
    } else if !scene.app.size.has_frames() {
        let place = title(scene);
        let more = if page.of > 1 { "   PgUp/PgDn" } else { "" };
        pen::line(frame, last, 0, Line::from(span(format!(" {place}{more}"), Role::Dim, theme)));
    }
    if scene.app.size.has_side_panel() {
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    let mut room = usize::from(last.width).saturating_sub(1);
    for edge in &scene.snapshot.telemetry.edges {
        let share = f64::from(u32::try_from(edge.counts.in_flight_packets).unwrap_or(u32::MAX))
            / f64::from(edge.capacity.max(1));
        let (_, to) = super::super::rates::ends(&edge.id);
        let name = pen::fit(to, 8, theme);
        let needs = name.chars().count() + GAUGE + 1;
        if needs > room {
            break;
        }
        room -= needs;
        let role = if edge.counts.dropped_packets > 0 { Role::Warn } else { pen::fill_role(share) };
        spans.push(span(name, Role::Dim, theme));
        spans.extend(pen::gauge(share, GAUGE, role, theme));
        spans.push(Span::raw(" "));
    }
    pen::line(frame, last, 1, Line::from(spans));
}
