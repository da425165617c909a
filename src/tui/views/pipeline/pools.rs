//! The pools, and which queues should be larger.
use ratatui::{Frame, layout::Rect, text::Line};
use wavedeck_plane::{PoolTelemetry, QueueAdvice};

use super::{
    super::super::{
        pen::{self, span},
        scale,
        theme::{Role, Theme},
    },
    Shown,
    stages::times_note,
};

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, shown: &Shown<'_>, theme: &Theme) {
    let rows = usize::from(area.height.saturating_sub(2));
    if rows == 0 {
        return;
    }
    let pools = &shown.telemetry.pools;
    let width = usize::from(area.width).saturating_sub(2);
    let advice = advice(&shown.telemetry.advice, width, rows, pools.len(), theme);
    let for_pools = rows - advice.len();
    // The fullest first: with many pools the others are as good as out of sight.
    let mut by_fill: Vec<(usize, &PoolTelemetry)> = pools.iter().enumerate().collect();
    let mut more = String::new();
    if pools.len() > for_pools {
        by_fill.sort_by(|(_, a), (_, b)| share(b).total_cmp(&share(a)));
        more = format!(", fullest {for_pools} of {}", pools.len());
    }
    let inner = pen::boxed(frame, area, &format!("Pools{more}{}", shown.since()), theme);
    let (name, gauge) = if width >= 110 { (24, 34) } else { (14, 14) };
    let mut row = 0;
    for (index, pool) in by_fill.into_iter().take(for_pools) {
        let share = share(pool);
        let each = pool.bytes as f64 / f64::from(pool.capacity.max(1));
        let misses = if pool.misses > 0 { Role::Bad } else { Role::Dim };
        let mut spans =
            vec![span(format!("   {} ", pen::left(&pen::plain(&pool.name, theme), name, theme)), Role::Text, theme)];
        spans.extend(pen::gauge(share, gauge, pen::fill_role(share), theme));
        spans.extend([
            span(pen::right(&pen::percent(share), 5, theme), Role::Text, theme),
            span(pen::right(&format!("{}/{}", pool.in_use, pool.capacity), 10, theme), Role::Text, theme),
            span(format!(" x {:<8}", scale::bytes(each)), Role::Dim, theme),
            span(format!("high {:<5}", shown.pool_high_water(index)), Role::Text, theme),
            span(format!("misses {}", pool.misses), misses, theme),
        ]);
        pen::line(frame, inner, row, Line::from(spans));
        row += 1;
    }
    for (text, role) in advice {
        pen::line(frame, inner, row, Line::from(span(text, role, theme)));
        row += 1;
    }
    // What the table above means, where nothing else needs the room.
    if usize::from(row) < rows {
        let text = pen::fit(&format!(" {}", times_note()), width, theme);
        pen::line(frame, inner, inner.height.saturating_sub(1), Line::from(span(text, Role::Dim, theme)));
    }
}

/// Which queues should hold more, the one that lacks most first. At least one line goes to pools, and at least one to
/// advice if there is any.
fn advice(found: &[QueueAdvice], width: usize, rows: usize, pools: usize, theme: &Theme) -> Vec<(String, Role)> {
    let mut found: Vec<&QueueAdvice> = found.iter().collect();
    let lack = |advice: &QueueAdvice| f64::from(advice.needs) / f64::from(advice.holds.max(1));
    found.sort_by(|a, b| lack(b).total_cmp(&lack(a)));
    let spare = rows.saturating_sub(pools);
    if found.is_empty() {
        let text = " every queue holds what its reader may need";
        let has_room = spare >= 2;
        return if has_room { vec![(pen::fit(text, width, theme), Role::Dim)] } else { Vec::new() };
    }
    let room = spare.max(1).min(rows.saturating_sub(1).max(1));
    let mut lines = Vec::new();
    for (at, advice) in found.iter().enumerate() {
        let left = room - lines.len();
        let others = found.len() - at - 1;
        if left == 0 {
            break;
        }
        let more = if left == 1 && others > 0 { format!(" ({others} more)") } else { String::new() };
        let text = pen::plain(&format!(" ! {advice}"), theme);
        let reason = pen::plain(&advice.reason(), theme);
        if text.chars().count() + 2 + reason.chars().count() + more.len() <= width {
            lines.push((format!("{text}: {reason}{more}"), Role::Warn));
        } else if left >= 2 {
            lines.push((pen::fit(&text, width, theme), Role::Warn));
            lines.push((pen::fit(&format!("   {reason}"), width, theme), Role::Text));
        } else {
            let text = pen::fit(&text, width.saturating_sub(more.len()), theme);
            lines.push((format!("{text}{more}"), Role::Warn));
        }
    }
    lines
}

fn share(pool: &PoolTelemetry) -> f64 {
    f64::from(pool.in_use) / f64::from(pool.capacity.max(1))
}
