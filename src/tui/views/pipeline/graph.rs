//! How the stages are joined, in one line: `board -> volts -> {psd, rec}`, and below it how full each queue is.
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};
use wavedeck_plane::{StageState, Telemetry};

use super::super::super::{
    pen::{self, span},
    rates::ends,
    scene::Scene,
    theme::{Role, Theme},
};

/// Columns of an arrow, the widest that fits is taken; at least four.
const ARROWS: [usize; 5] = [16, 12, 9, 7, 5];
const SHORTEST: usize = 4;
/// Columns from which an arrow has a gauge and not only a number below it.
const GAUGE_FROM: usize = 7;

/// A piece of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Index of a stage.
    Stage(usize),
    /// Index of an edge.
    Arrow(usize),
    /// Between branches.
    Sign(&'static str),
}

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, scene: &Scene<'_>, theme: &Theme) {
    if area.height < 2 {
        return;
    }
    let telemetry = &scene.snapshot.telemetry;
    let pieces = pieces(telemetry);
    let width = usize::from(area.width).saturating_sub(2);
    let total = |arrow| pieces.iter().map(|piece| piece_width(*piece, telemetry, arrow)).sum::<usize>();
    let arrow = ARROWS.into_iter().find(|arrow| total(*arrow) <= width).unwrap_or(SHORTEST);
    let cut = cut(&pieces, telemetry, arrow, width, scene.app.stage);
    let (mut line, mut below) = (vec![Span::raw(" ")], vec![Span::raw(" ")]);
    let mut beside = |text: String, line: &mut Vec<Span<'static>>| {
        below.push(Span::raw(" ".repeat(text.chars().count())));
        line.push(span(text, Role::Warn, theme));
    };
    if cut.before > 0 {
        beside(format!("{}{} ", cut.before, theme.signs().more), &mut line);
    }
    let end = (cut.behind > 0).then(|| format!(" {}{} more", theme.signs().more, cut.behind));
    for piece in &pieces[cut.first..cut.end] {
        let columns = piece_width(*piece, telemetry, arrow);
        match *piece {
            Piece::Stage(stage) => {
                let role = match telemetry.stages[stage].state {
                    StageState::Failed => Role::Alarm,
                    _ if stage == scene.app.stage => Role::Chosen,
                    _ => Role::Title,
                };
                let name = pen::fit(&pen::plain(&telemetry.stages[stage].id, theme), width, theme);
                line.push(span(name, role, theme));
                below.push(Span::raw(" ".repeat(columns)));
            }
            Piece::Arrow(edge) => {
                line.push(span(arrow_of(columns, theme), Role::Dim, theme));
                below.extend(fill_of(telemetry, edge, columns, theme));
            }
            Piece::Sign(sign) => {
                line.push(span(sign, Role::Dim, theme));
                below.push(Span::raw(" ".repeat(columns)));
            }
        }
    }
    line.extend(end.map(|text| span(text, Role::Warn, theme)));
    pen::line(frame, area, 0, Line::from(line));
    pen::line(frame, area, 1, Line::from(below));
}

fn piece_width(piece: Piece, telemetry: &Telemetry, arrow: usize) -> usize {
    match piece {
        Piece::Stage(stage) => telemetry.stages[stage].id.chars().count(),
        Piece::Arrow(_) => arrow,
        Piece::Sign(sign) => sign.len(),
    }
}

fn arrow_of(columns: usize, theme: &Theme) -> String {
    let signs = theme.signs();
    let shaft = columns.saturating_sub(2 + signs.arrow.chars().count());
    format!(" {}{} ", signs.line.repeat(shaft), signs.arrow)
}

/// How full a queue is, in the columns of its arrow: a gauge where there is room, else a number.
fn fill_of(telemetry: &Telemetry, edge: usize, columns: usize, theme: &Theme) -> Vec<Span<'static>> {
    let edge = &telemetry.edges[edge];
    let share = edge.counts.in_flight_packets as f64 / f64::from(edge.capacity.max(1));
    let role = pen::fill_role(share);
    let number = pen::percent(share.min(1.0));
    if columns < GAUGE_FROM {
        return vec![span(pen::right(&number, columns, theme), role, theme)];
    }
    let has_number = columns >= GAUGE_FROM + 4;
    let gauge = columns - 2 - if has_number { 4 } else { 0 };
    let mut spans = vec![Span::raw(" ")];
    spans.extend(pen::gauge(share, gauge, role, theme));
    spans.push(span(if has_number { format!("{number:>4} ") } else { " ".into() }, role, theme));
    spans
}

/// What of the line is shown.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    first: usize,
    end: usize,
    /// Stages that are not shown at either end.
    before: usize,
    behind: usize,
}

/// As many pieces as fit, the chosen stage among them.
fn cut(pieces: &[Piece], telemetry: &Telemetry, arrow: usize, width: usize, chosen: usize) -> Cut {
    let widths: Vec<usize> = pieces.iter().map(|piece| piece_width(*piece, telemetry, arrow)).collect();
    let is_whole = widths.iter().sum::<usize>() <= width;
    // `12… ` at the left and ` …12 more` at the right.
    let room = if is_whole { width } else { width.saturating_sub(13) };
    let chosen = pieces.iter().position(|piece| *piece == Piece::Stage(chosen)).unwrap_or(0);
    let mut first = 0;
    while first < chosen && widths[first..=chosen].iter().sum::<usize>() > room {
        first += 1;
    }
    // A line never begins with a part of an arrow or a branch.
    while first < chosen && !matches!(pieces[first], Piece::Stage(_)) {
        first += 1;
    }
    let mut used = 0;
    let fitting = widths[first..].iter().take_while(|width| {
        used += **width;
        used <= room
    });
    let end = (first + fitting.count()).max(chosen + 1).min(pieces.len());
    let stages = |pieces: &[Piece]| pieces.iter().filter(|piece| matches!(piece, Piece::Stage(_))).count();
    Cut { first, end, before: stages(&pieces[..first]), behind: stages(&pieces[end..]) }
}

/// The whole line. A stage that several lead to is followed once and named each time.
fn pieces(telemetry: &Telemetry) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut is_followed = vec![false; telemetry.stages.len()];
    let has_input = |id: &str| telemetry.edges.iter().any(|edge| ends(&edge.id).1 == id);
    for (index, stage) in telemetry.stages.iter().enumerate() {
        if !has_input(&stage.id) {
            if !pieces.is_empty() {
                pieces.push(Piece::Sign("; "));
            }
            follow(index, telemetry, &mut is_followed, &mut pieces);
        }
    }
    pieces
}

fn follow(stage: usize, telemetry: &Telemetry, is_followed: &mut [bool], pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Stage(stage));
    if std::mem::replace(&mut is_followed[stage], true) {
        return;
    }
    let id = &*telemetry.stages[stage].id;
    let place = |id: &str| telemetry.stages.iter().position(|stage| *stage.id == *id);
    let out = telemetry.edges.iter().enumerate().filter(|(_, edge)| ends(&edge.id).0 == id);
    let out: Vec<(usize, usize)> = out.filter_map(|(index, edge)| Some((index, place(ends(&edge.id).1)?))).collect();
    match out[..] {
        [] => {}
        [(edge, next)] => {
            pieces.push(Piece::Arrow(edge));
            follow(next, telemetry, is_followed, pieces);
        }
        _ => {
            // Each branch has an arrow of its own: how full it is differs.
            pieces.push(Piece::Sign(" {"));
            for (at, (edge, next)) in out.into_iter().enumerate() {
                if at > 0 {
                    pieces.push(Piece::Sign(","));
                }
                pieces.push(Piece::Arrow(edge));
                follow(next, telemetry, is_followed, pieces);
            }
            pieces.push(Piece::Sign(" }"));
        }
    }
}

#[cfg(test)]
#[path = "graph_tests.rs"]
mod tests;
