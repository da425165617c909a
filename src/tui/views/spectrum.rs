//! The spectrum of the chosen channel: density over frequency, how it was lately, its peaks and the power of its bands.
use ratatui::{Frame, layout::Rect, text::Line};
use wavedeck_api::signal::ChannelSpec;
use wavedeck_stages::dsp::lines::{Peak, decibels, peaks, power};

use super::super::{
    lanes::Lane,
    pen::{self, span},
    scale,
    scene::Scene,
    spectrum::{Spectrum, bands},
    sweep::{Column, Sweep},
    theme::{Role, Theme},
    wave::Pen,
};

/// Columns of the numbers at the left of a plot.
const LEFT: u16 = 7;
/// Columns of the table at the right.
const TABLE: u16 = 30;
/// Decibels from bottom to top at least, and a line of the scale each.
const LEAST_DB: f64 = 40.0;
const STEP_DB: f64 = 10.0;
/// Most below the top that is shown.
const DEPTH_DB: f64 = 90.0;
/// Seconds that the spectrogram shows.
const SHOWN_S: f64 = 60.0;
/// Cells of the spectrogram before the newest one that are kept empty.
const ERASED: usize = 2;
/// Peaks in the table.
const PEAKS: usize = 6;

pub(in super::super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let Some((spectrum, channel)) = known(scene) else {
        pen::line(frame, area, area.height / 2, Line::from(span(waiting(scene), Role::Dim, theme)));
        return;
    };
    let table_width = if area.width >= 70 { TABLE.max(area.width / 4).min(48) } else { 0 };
    let plots = Rect { width: area.width - table_width, ..area };
    let found = peaks(&spectrum.density, spectrum.bin_hz(), PEAKS);
    let head = format!(
        " {}  {} window{} of {} samples, {:.2} s, {} a bin",
        channel.name,
        spectrum.windows,
        if spectrum.windows == 1 { "" } else { "s" },
        spectrum.size,
        spectrum.size as f64 / spectrum.rate_hz,
        scale::hertz(spectrum.bin_hz())
    );
    let head = pen::fit(&pen::plain(&head, theme), usize::from(plots.width), theme);
    pen::line(frame, plots, 0, Line::from(span(head, Role::Lane(spectrum.channel), theme)));
    let rest = Rect { y: plots.y + 1, height: plots.height.saturating_sub(1), ..plots };
    let below = if rest.height >= 12 { rest.height * 2 / 5 } else { 0 };
    let range = Range::of(spectrum, scene);
    plot(frame, Rect { height: rest.height - below, ..rest }, spectrum, &range, &found, scene, theme);
    if below > 0 {
        let place = Rect { y: rest.bottom() - below, height: below, ..rest };
        spectrogram(frame, place, spectrum, &range, theme);
    }
    if table_width > 0 {
        let place = Rect { x: plots.right(), width: table_width, ..area };
        table(frame, place, spectrum, channel, &found, cursor_hz(scene, &range, &found), theme);
    }
}

/// The plot alone, for a small place.
pub(super) fn small(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    let Some((spectrum, _)) = known(scene) else {
        pen::line(frame, area, area.height / 2, Line::from(span(waiting(scene), Role::Dim, theme)));
        return;
    };
    let found = peaks(&spectrum.density, spectrum.bin_hz(), PEAKS);
    plot(frame, area, spectrum, &Range::of(spectrum, scene), &found, scene, theme);
}

fn known<'a>(scene: &'a Scene<'_>) -> Option<(&'a Spectrum, &'a ChannelSpec)> {
    let spectrum = scene.spectrum.filter(|spectrum| !spectrum.density.is_empty())?;
    let channel = scene.history?.spec().channels.get(spectrum.channel)?;
    Some((spectrum, channel))
}

fn waiting(scene: &Scene<'_>) -> String {
    match (scene.app.output(scene.snapshot), scene.spectrum) {
        (None, _) => " nothing to look at: this pipeline has no output with waves".to_owned(),
        (_, Some(spectrum)) => format!(" gathering a window: {} of {} samples", spectrum.gathered, spectrum.size),
        (Some(output), None) => format!(" waiting for data from {}.{}", output.stage, output.port),
    }
}

/// What both plots show.
struct Range {
    top_hz: f64,
    low_db: f64,
    high_db: f64,
}

impl Range {
    /// All that there is, in whole steps so that it seldom changes.
    fn of(spectrum: &Spectrum, scene: &Scene<'_>) -> Self {
        let top_hz = scene.app.spectrum.top_hz(spectrum.nyquist_hz());
        let bins = ((top_hz / spectrum.bin_hz()) as usize + 1).min(spectrum.density.len());
        // The mean was taken out: what is left at 0 Hz says nothing.
        let shown = spectrum.density.get(1..bins).unwrap_or_default().iter().filter(|value| **value > 0.0);
        let (low, high) = shown
            .map(|value| decibels(f64::from(*value)))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), db| (low.min(db), high.max(db)));
        let high = if high.is_finite() { ((high + 3.0) / STEP_DB).ceil() * STEP_DB } else { 0.0 };
        let low = if low.is_finite() { (low / STEP_DB).floor() * STEP_DB } else { high };
        Self { top_hz, low_db: low.clamp(high - DEPTH_DB, high - LEAST_DB), high_db: high }
    }
}

fn cursor_hz(scene: &Scene<'_>, range: &Range, peaks: &[Peak]) -> Option<f64> {
    let choice = &scene.app.spectrum;
    match choice.peak {
        Some(number) if !peaks.is_empty() => Some(peaks[number % peaks.len()].hz),
        Some(_) => None,
        None => choice.cursor.map(|share| share * range.top_hz),
    }
}

fn plot(
    frame: &mut Frame<'_>,
    area: Rect,
    spectrum: &Spectrum,
    range: &Range,
    peaks: &[Peak],
    scene: &Scene<'_>,
    theme: &Theme,
) {
    let wave = Rect {
        x: area.x + LEFT.min(area.width),
        width: area.width.saturating_sub(LEFT + 1),
        height: area.height.saturating_sub(1),
        ..area
    };
    if wave.width < 8 || wave.height < 2 {
        return;
    }
    let (span_db, dots) = (range.high_db - range.low_db, usize::from(wave.width) * 2);
    let columns = columns(spectrum, range.top_hz, dots);
    let lane = Lane { scale: span_db, middle: range.low_db + span_db / 2.0, is_chosen: true };
    let sweep = Sweep::still(dots);
    let style = theme.style(Role::Lane(spectrum.channel));
    Pen { sweep: &sweep, lane, style, theme, is_frozen: true }.draw(frame.buffer_mut(), wave, &columns);
    // A number each few rows, at the height it stands for.
    let every = (f64::from(wave.height) / span_db * STEP_DB).max(1.0);
    let skip = (2.0 / every).ceil().max(1.0);
    let mut db = range.high_db;
    while db > range.low_db {
        let row = ((range.high_db - db) / span_db * f64::from(wave.height)) as u16;
        let text = format!("{db:>5.0} ");
        pen::line(frame, Rect { width: LEFT, ..area }, row, Line::from(span(text, Role::Dim, theme)));
        db -= STEP_DB * skip;
    }
    if let Some(hz) = cursor_hz(scene, range, peaks).filter(|hz| *hz <= range.top_hz) {
        let x = wave.x + ((hz / range.top_hz * f64::from(wave.width)) as u16).min(wave.width - 1);
        for y in wave.y..wave.bottom() {
            if let Some(cell) = frame.buffer_mut().cell_mut((x, y)).filter(|cell| cell.symbol() == " ") {
                cell.set_symbol(theme.signs().cursor).set_style(theme.style(Role::Key));
            }
        }
    }
    let axis = Rect { y: wave.bottom(), height: 1, ..wave };
    frequencies(frame, axis, range.top_hz, peaks, theme);
    pen::line(
        frame,
        Rect { y: axis.y, width: LEFT, height: 1, ..area },
        0,
        Line::from(span("    dB ", Role::Dim, theme)),
    );
}

/// The least and the most of each column in dB; where bins are wider than columns, lines from bin to bin.
fn columns(spectrum: &Spectrum, top_hz: f64, dots: usize) -> Vec<Column> {
    let (bin_hz, density) = (spectrum.bin_hz(), &spectrum.density);
    let at = |dot: usize| dot as f64 * top_hz / dots as f64 / bin_hz;
    let db = |bin: usize| density.get(bin).map(|value| decibels(f64::from(*value)) as f32);
    (0..dots)
        .map(|dot| {
            let (from, to) = (at(dot), at(dot + 1));
            let bins = from.ceil() as usize..to.ceil() as usize;
            let inside = bins.filter_map(db).fold(None, |range: Option<(f32, f32)>, db| {
                Some(range.map_or((db, db), |(low, high)| (low.min(db), high.max(db))))
            });
            let between = || {
                let (left, right) = db(from as usize).zip(db(from as usize + 1))?;
                let value = left + (right - left) * from.fract() as f32;
                Some((value, value))
            };
            inside.or_else(between).map_or(Column::Empty, |(min, max)| Column::Range { min, max })
        })
        .collect()
}

/// Numbers under a plot whose columns are frequencies, with a sign at each peak.
fn frequencies(frame: &mut Frame<'_>, area: Rect, top_hz: f64, peaks: &[Peak], theme: &Theme) {
    let width = usize::from(area.width);
    let signs = theme.signs();
    let mut cells: Vec<(char, Role)> = vec![(signs.line.chars().next().unwrap_or('-'), Role::Dim); width];
    let place = |hz: f64| ((hz / top_hz * width as f64) as usize).min(width - 1);
    let step = scale::rung_above(top_hz / (width as f64 / 12.0));
    let mut hz = 0.0;
    while hz < top_hz {
        let text = format!(" {} ", (hz * 1e4).round() / 1e4);
        let at = place(hz).saturating_sub(1);
        if at + text.len() + 4 <= width {
            cells.iter_mut().skip(at).zip(text.chars()).for_each(|(cell, c)| *cell = (c, Role::Text));
        }
        hz += step;
    }
    for peak in peaks.iter().filter(|peak| peak.hz <= top_hz) {
        // Beside a number that is there: half of one would be another.
        let mut at = place(peak.hz);
        while at > 0 && matches!(cells[at].0, '0'..='9' | '.') {
            at -= 1;
        }
        cells[at] = (signs.marker.chars().next().unwrap_or('^'), Role::Warn);
    }
    let unit = " Hz";
    cells.iter_mut().skip(width - unit.len()).zip(unit.chars()).for_each(|(cell, c)| *cell = (c, Role::Text));
    pen::cells(frame, area, &cells, theme);
}

/// The last minute, newest where the cursor is: it sweeps as waves do, so that a column is drawn once.
fn spectrogram(frame: &mut Frame<'_>, area: Rect, spectrum: &Spectrum, range: &Range, theme: &Theme) {
    let place = Rect {
        x: area.x + LEFT.min(area.width),
        width: area.width.saturating_sub(LEFT + 1),
        height: area.height.saturating_sub(1),
        ..area
    };
    let (width, height) = (usize::from(place.width), usize::from(place.height));
    if width < 8 || height < 2 {
        return;
    }
    let per_column = ((SHOWN_S / spectrum.row_s / width as f64).ceil() as u64).max(1);
    let column_s = per_column as f64 * spectrum.row_s;
    let newest = spectrum.rows.back().map_or(0, |row| row.number / per_column);
    let mut levels = vec![None::<f32>; width * height];
    let share = (range.top_hz / spectrum.nyquist_hz()).min(1.0);
    let oldest = (newest + 1 + ERASED as u64).saturating_sub(width as u64);
    for row in spectrum.rows.iter().rev().take_while(|row| row.number / per_column >= oldest) {
        let x = (row.number / per_column % width as u64) as usize;
        let parts = row.parts.len() as f64 * share;
        for y in 0..height {
            let from = (parts * y as f64 / height as f64) as usize;
            let to = ((parts * (y + 1) as f64 / height as f64).ceil() as usize).max(from + 1);
            let most = row.parts.get(from..to.min(row.parts.len())).unwrap_or_default();
            let most = most.iter().copied().fold(0.0_f32, f32::max);
            let level = &mut levels[(height - 1 - y) * width + x];
            *level = Some(level.map_or(most, |before| before.max(most)));
        }
    }
    let cursor = (newest % width as u64) as usize;
    for (at, level) in levels.iter().enumerate() {
        let (x, y) = (at % width, at / width);
        let Some(cell) = frame.buffer_mut().cell_mut((place.x + x as u16, place.y + y as u16)) else { continue };
        if x == (cursor + 1) % width {
            cell.set_symbol(theme.signs().cursor).set_style(theme.style(Role::Text));
        } else if let Some(level) = level {
            let share = (decibels(f64::from(*level)) - range.low_db) / (range.high_db - range.low_db);
            let (symbol, style) = theme.heat(share);
            cell.set_symbol(symbol).set_style(style);
        }
    }
    for (row, hz) in [(0, range.top_hz), (place.height - 1, 0.0)] {
        let text = pen::right(&scale::hertz(hz), usize::from(LEFT) - 1, theme);
        pen::line(frame, Rect { width: LEFT, ..area }, row, Line::from(span(text, Role::Dim, theme)));
    }
    let text = format!("{:.0} s across, {} a column", column_s * width as f64, seconds(column_s));
    let axis = Rect { y: place.bottom(), height: 1, ..place };
    let text = pen::fit(&text, width, theme);
    pen::line(frame, axis, 0, Line::from(span(text, Role::Dim, theme)));
}

fn seconds(time: f64) -> String {
    if time < 10.0 { format!("{time:.2} s") } else { format!("{time:.0} s") }
}

fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    spectrum: &Spectrum,
    channel: &ChannelSpec,
    peaks: &[Peak],
    cursor: Option<f64>,
    theme: &Theme,
) {
    let inner = pen::boxed(frame, area, &format!("Peaks of {}", channel.name), theme);
    let plain = theme.is_plain();
    let unsigned = |value: f64| scale::value(value, &channel.unit, plain).trim_start_matches('+').to_owned();
    let (bin_hz, density) = (spectrum.bin_hz(), &spectrum.density);
    let mut lines = vec![Line::from(span(" Hz        rms        over", Role::Dim, theme))];
    if peaks.is_empty() {
        lines.push(Line::from(span(" none stands out", Role::Dim, theme)));
    }
    for peak in peaks {
        lines.push(Line::from(vec![
            span(format!(" {} {:<9}", theme.signs().marker, format!("{:.2}", peak.hz)), Role::Warn, theme),
            span(pen::left(&unsigned(peak.rms), 11, theme), Role::Lane(spectrum.channel), theme),
            span(format!("{:.0} dB", peak.over_db), Role::Dim, theme),
        ]));
    }
    lines.push(Line::from(span(" band      rms        share", Role::Dim, theme)));
    let named = bands(spectrum.rate_hz);
    let all: f64 = named.iter().map(|band| power(density, bin_hz, band.low_hz, band.high_hz)).sum();
    for band in &named {
        let inside = power(density, bin_hz, band.low_hz, band.high_hz);
        let share = if all > 0.0 { inside / all } else { 0.0 };
        lines.push(Line::from(vec![
            span(format!(" {}", pen::left(&band.name, 10, theme)), Role::Text, theme),
            span(pen::left(&unsigned(inside.sqrt()), 11, theme), Role::Lane(spectrum.channel), theme),
            span(format!("{:>3.0}%", share * 100.0), Role::Text, theme),
        ]));
    }
    if let Some(hz) = cursor {
        let level = density.get((hz / bin_hz).round() as usize).map_or(0.0, |value| f64::from(*value));
        let text = format!(" cursor {hz:.2} Hz {:.1} dB", decibels(level));
        lines.push(Line::from(span(text, Role::Key, theme)));
        let root = unsigned(level.sqrt());
        lines.push(Line::from(span(
            format!("        {root}/{}Hz", if plain { "sqrt" } else { "√" }),
            Role::Key,
            theme,
        )));
    }
    let unit = pen::plain(&channel.unit, theme);
    lines.push(Line::from(span(format!(" dB over 1 {unit}{}/Hz", if plain { "^2" } else { "²" }), Role::Dim, theme)));
    for (row, line) in (0_u16..).zip(lines) {
        pen::line(frame, inner, row, line);
    }
}
