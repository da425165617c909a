//! The state of a session in one line of words.
use wavedeck_api::handle::RecordingState;
use wavedeck_plane::PipelineState;

use crate::{snapshot::Snapshot, tui::scale};

/// State, elapsed, recorded, saved, drops, worst queue, disk.
pub(super) fn line(snapshot: &Snapshot) -> String {
    let recorder = snapshot.recorder.clone().unwrap_or_default();
    let saved = scale::bytes(recorder.saved_bytes as f64);
    let mut parts = vec![
        format!("{} elapsed {:.1} s", word(snapshot), snapshot.uptime_s),
        format!("recorded {:.1} s", recorder.recorded_s),
        format!("saved {saved}"),
        format!("drops {}", snapshot.lost_samples),
    ];
    if let Some((fill, edge)) = snapshot.telemetry.worst_queue() {
        parts.push(format!("worst queue {:.0}% {}", (fill * 100.0).ceil(), edge.id));
    }
    if let Some(replay) = &snapshot.transport {
        let speed = if replay.speed > 0.0 { format!("x{}", replay.speed) } else { "as fast as possible".to_owned() };
        parts.push(format!("at {:.1} s of {:.1} s, {speed}", replay.position_s, replay.duration_s));
    }
    parts.push(match snapshot.disk.map(|disk| (disk.seconds_left, disk.free_bytes)) {
        Some((Some(left), _)) => format!("disk {} left", scale::span(left)),
        Some((None, free)) => format!("disk {} free", scale::bytes(free as f64)),
        None => "disk not known".to_owned(),
    });
    if let Some(alarm) = &recorder.error {
        parts.push(format!("ALARM {alarm}"));
    }
    parts.join(", ")
}

fn word(snapshot: &Snapshot) -> &'static str {
    match snapshot.recording {
        RecordingState::Recording => return "REC",
        RecordingState::Paused => return "REC PAUSED",
        RecordingState::Finishing => return "FINISHING",
        RecordingState::Failed => return "REC FAILED",
        RecordingState::Idle => {}
    }
    match (snapshot.pipeline, &snapshot.transport) {
        (PipelineState::Failed, _) => "FAILED",
        (PipelineState::Draining, _) => "ENDING",
        (PipelineState::Stopped, _) => "STOPPED",
        (PipelineState::Paused, _) => "PAUSED",
        (PipelineState::Running, Some(replay)) if replay.ended => "REPLAY END",
        (PipelineState::Running, Some(_)) => "REPLAY",
        (PipelineState::Running, None) => "READY",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn the_state_is_told_in_words_with_units() {
        assert_eq!(
            line(&fixtures::recording()),
            "REC elapsed 100.0 s, recorded 763.8 s, saved 12 MB, drops 0, \
             worst queue 38% clean.out -> psd.in, disk 9h12m left"
        );
        assert!(line(&fixtures::snapshot()).starts_with("READY elapsed"));
        assert!(line(&fixtures::replay()).contains("REPLAY elapsed 100.0 s"));
        assert!(line(&fixtures::replay()).contains("at 192.5 s of 763.0 s, x1"));
    }

    #[test]
    fn an_alarm_and_losses_are_told() {
        let mut snapshot = fixtures::recording();
        snapshot.lost_samples = 12;
        snapshot.recorder.get_or_insert_default().error = Some("the disk is full".into());
        let text = line(&snapshot);
        assert!(text.contains("drops 12") && text.contains("ALARM the disk is full"), "{text}");
    }
}
