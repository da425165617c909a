//! What actions do to a replay: where it goes, how fast, and from where to where again and again.
use std::time::Duration;

use wavedeck_api::{
    handle::{TransportCommand, TransportStatus},
    stage::Level,
};

use super::{
    action::Action,
    app::{App, Layer},
    form::Way,
    line_edit::LineEdit,
    scale::{self, Tenths},
    update::Effect,
};
use crate::snapshot::Snapshot;

/// Time after a seek in which another one starts from its target and not from the position, which lags behind.
const SEEK_FOLLOWS: Duration = Duration::from_millis(500);
/// Speeds; 0 is as fast as possible.
const SPEEDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0, 0.0];
/// Seconds of real time that the last marker or gap passed does not count as the one before.
const JUST_PASSED: f64 = 0.5;

/// Does an action about the replay.
pub(super) fn transport(app: &mut App, snapshot: &Snapshot, action: &Action) -> Vec<Effect> {
    let Some(transport) = &snapshot.transport else { return Vec::new() };
    let from = match app.sought {
        Some((target, until)) if until > app.now => target,
        _ => transport.position_s,
    };
    let command = match action {
        Action::PlayPause if transport.playing => TransportCommand::Pause,
        Action::PlayPause if transport.ended => {
            app.sought = None;
            return [TransportCommand::Seek(0.0), TransportCommand::Play].map(Effect::Transport).into();
        }
        Action::PlayPause => TransportCommand::Play,
        Action::SeekBy(seconds) => return go_to(app, transport, from + f64::from(*seconds)),
        Action::SeekToEnd(Way::Back) => return go_to(app, transport, 0.0),
        Action::SeekToEnd(Way::On) => return go_to(app, transport, transport.duration_s),
        Action::NextMarker(way) => {
            let times: Vec<f64> = transport.markers.iter().map(|marker| marker.0).collect();
            let Some(next) = next(&times, from, *way, transport) else {
                app.say(Level::Info, format!("no marker {}", place(*way)));
                return Vec::new();
            };
            let label = transport.markers.iter().find(|marker| marker.0 == next).map_or("", |marker| &marker.1);
            app.say(Level::Info, format!("marker {label} at {}", scale::clock(next, Tenths::Shown)));
            return go_to(app, transport, next);
        }
        Action::NextGap(way) => {
            let times: Vec<f64> = transport.gaps.iter().map(|gap| gap.0).collect();
            let Some(next) = next(&times, from, *way, transport) else {
                app.say(Level::Info, format!("no gap {}", place(*way)));
                return Vec::new();
            };
            let length = transport.gaps.iter().find(|gap| gap.0 == next).map_or(0.0, |gap| gap.1);
            app.say(Level::Info, format!("gap of {length:.3} s at {}", scale::clock(next, Tenths::Shown)));
            return go_to(app, transport, next);
        }
        Action::AskTime => {
            app.layers.push(Layer::GoTo(LineEdit::default()));
            return Vec::new();
        }
        Action::StepFrame(way) => TransportCommand::Step(way.sign() as i64),
        Action::StepPacket(way) => TransportCommand::StepPackets(way.sign() as i32),
        Action::LoopFrom => {
            app.loop_from = Some(from);
            app.say(Level::Info, format!("the loop begins at {}: B ends it", scale::clock(from, Tenths::Shown)));
            return Vec::new();
        }
        Action::LoopTo => {
            let begin = app.loop_from.or(transport.loop_s.map(|ends| ends.0)).unwrap_or(0.0);
            let (begin, end) = (begin.min(from), begin.max(from));
            if begin == end {
                app.say(Level::Warn, "a loop needs some length: A begins it here, B ends it further on");
                return Vec::new();
            }
            app.loop_from = None;
            let clock = |seconds| scale::clock(seconds, Tenths::Shown);
            app.say(Level::Info, format!("plays from {} to {} again and again: L ends it", clock(begin), clock(end)));
            TransportCommand::Loop(Some((begin, end)))
        }
        Action::NoLoop => {
            app.loop_from = None;
            app.say(Level::Info, "plays on to the end");
            TransportCommand::Loop(None)
        }
        Action::Speed(way) => {
            let here = SPEEDS.iter().position(|speed| *speed >= transport.speed && transport.speed > 0.0);
            let next = SPEEDS[way.moved(here.unwrap_or(SPEEDS.len() - 1), 1, SPEEDS.len())];
            app.say(Level::Info, format!("speed {}", speed_name(next)));
            TransportCommand::Speed(next)
        }
        _ => return Vec::new(),
    };
    vec![Effect::Transport(command)]
}

/// Goes to the time that was typed; says what is wrong with it.
pub(super) fn go_to_typed(app: &mut App, snapshot: &Snapshot, text: &str) -> Vec<Effect> {
    let Some(transport) = &snapshot.transport else { return Vec::new() };
    match target(text, transport.position_s) {
        Some(target) => go_to(app, transport, target),
        None => {
            app.say(Level::Warn, format!("`{text}` is no time: 83, 1:23.5, 1:02:03, or +10 and -10 from here"));
            Vec::new()
        }
    }
}

/// Goes to a moment, with as much before it as the screen shows.
pub(super) fn go_to(app: &mut App, transport: &TransportStatus, seconds: f64) -> Vec<Effect> {
    let at_s = seconds.clamp(0.0, transport.duration_s.max(0.0));
    app.sought = Some((at_s, app.now + SEEK_FOLLOWS));
    vec![Effect::Transport(TransportCommand::Show { at_s, before_s: app.lanes.seconds() })]
}

/// The next of these moments, or the one before.
fn next(times: &[f64], from: f64, way: Way, transport: &TransportStatus) -> Option<f64> {
    let moving = if transport.playing { JUST_PASSED * transport.speed.max(1.0) } else { 0.0 };
    // Positions are whole samples, times need not be.
    let near = 1e-6;
    let times = times.iter().copied();
    match way {
        Way::On => times.filter(|time| *time > from + near).min_by(f64::total_cmp),
        Way::Back => times.filter(|time| *time < from - near - moving).max_by(f64::total_cmp),
    }
}

fn place(way: Way) -> &'static str {
    match way {
        Way::On => "further on",
        Way::Back => "before this",
    }
}

/// `83`, `1:23.5`, `1:02:03` from the beginning; `+10`, `-10` from `here`.
fn target(text: &str, here: f64) -> Option<f64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (if text.starts_with('-') { -1.0 } else { 1.0 }, rest),
        None => (0.0, text),
    };
    let parts: Vec<&str> = digits.trim_end_matches('s').split(':').collect();
    if parts.len() > 3 {
        return None;
    }
    let mut seconds = 0.0;
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let is_number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit() || (is_last && c == '.'));
        seconds = seconds * 60.0 + part.parse::<f64>().ok().filter(|_| is_number)?;
    }
    Some(if sign == 0.0 { seconds } else { here + sign * seconds })
}

/// `x1`, `x0.25`, `max`.
pub(super) fn speed_name(speed: f64) -> String {
    if speed == 0.0 { "max".into() } else { format!("x{speed}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn times_are_read_as_people_write_them() {
        let cases = [
            ("83", Some(83.0)),
            (" 1:23.5 ", Some(83.5)),
            ("1:02:03", Some(3723.0)),
            ("12s", Some(12.0)),
            ("+10", Some(110.0)),
            ("-1:00", Some(40.0)),
            ("", None),
            ("1:2:3:4", None),
            ("1.5:3", None),
            ("inf", None),
            ("1:-3", None),
            ("soon", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(target(text, 100.0), seconds, "{text}");
        }
    }

    fn shown(app: &mut App, snapshot: &Snapshot, action: Action) -> Option<f64> {
        match transport(app, snapshot, &action).first() {
            Some(Effect::Transport(TransportCommand::Show { at_s, before_s })) => {
                assert_eq!(*before_s, app.lanes.seconds());
                Some(*at_s)
            }
            _ => None,
        }
    }

    #[test]
    fn markers_and_gaps_are_gone_to_one_after_the_other() {
        // At 192.5 s, with markers at 60 and 500 s and a gap at 300 s.
        let (mut app, snapshot) = (App::default(), fixtures::replay());
        assert_eq!(shown(&mut app, &snapshot, Action::NextMarker(Way::On)), Some(500.0));
        assert_eq!(shown(&mut app, &snapshot, Action::NextMarker(Way::On)), None, "from where it goes");
        assert_eq!(shown(&mut app, &snapshot, Action::NextMarker(Way::Back)), Some(60.0));
        assert_eq!(shown(&mut app, &snapshot, Action::NextGap(Way::On)), Some(300.0));
        assert_eq!(shown(&mut app, &snapshot, Action::NextGap(Way::On)), None);
        assert!(app.message.is_some_and(|message| message.text.contains("no gap")));
    }

    #[test]
    fn a_loop_is_set_by_its_two_ends_in_any_order() {
        let (mut app, snapshot) = (App::default(), fixtures::replay());
        assert_eq!(transport(&mut app, &snapshot, &Action::LoopFrom), []);
        assert_eq!(transport(&mut app, &snapshot, &Action::LoopTo), [], "it has no length");
        app.loop_from = Some(200.0);
        let ends = transport(&mut app, &snapshot, &Action::LoopTo);
        assert_eq!(ends, [Effect::Transport(TransportCommand::Loop(Some((192.5, 200.0))))]);
        assert_eq!(transport(&mut app, &snapshot, &Action::NoLoop), [Effect::Transport(TransportCommand::Loop(None))]);
    }

    #[test]
    fn a_typed_time_is_gone_to_and_another_is_explained() {
        let (mut app, snapshot) = (App::default(), fixtures::replay());
        assert!(matches!(
            go_to_typed(&mut app, &snapshot, "99:00:00")[..],
            [Effect::Transport(TransportCommand::Show { at_s: 763.0, .. })]
        ));
        assert_eq!(go_to_typed(&mut app, &snapshot, "noon"), []);
        assert!(app.message.is_some_and(|message| message.text.contains("`noon` is no time")));
    }
}
