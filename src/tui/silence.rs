//! Sources that send nothing: a screen that stands still must say so in words.
use std::{sync::Arc, time::Duration};

use wavedeck_plane::PipelineState;

use crate::snapshot::Snapshot;

/// Shortest silence that is told.
const LEAST: Duration = Duration::from_secs(2);
/// Packets that may be late before it is silence.
const LATE_PACKETS: f64 = 3.0;

/// What each source has sent, and when it sent last.
#[derive(Clone, Debug, Default)]
pub struct Silence {
    generation: u64,
    sources: Vec<Source>,
    is_expected: bool,
    now: Duration,
}

#[derive(Clone, Debug)]
struct Source {
    id: Arc<str>,
    sent: u64,
    since: Duration,
    patience: Duration,
}

impl Silence {
    /// Takes note of a snapshot.
    pub fn notice(&mut self, snapshot: &Snapshot, now: Duration) {
        let is_same = snapshot.generation == self.generation;
        let was_expected = std::mem::replace(&mut self.is_expected, is_expected(snapshot));
        let before = if is_same { std::mem::take(&mut self.sources) } else { Vec::new() };
        (self.generation, self.now) = (snapshot.generation, now);
        self.sources = (snapshot.telemetry.stages.iter().filter(|stage| stage.is_source))
            .map(|stage| {
                let sent = stage.outputs.iter().map(|(_, counts)| counts.sent_samples).sum();
                let outputs = snapshot.outputs.iter().filter(|output| output.stage == stage.id);
                let slowest = outputs.map(|output| output.spec.batch_period_s()).fold(0.0, f64::max);
                let known = before.iter().find(|source| source.id == stage.id && source.sent == sent);
                let since = known.filter(|_| was_expected).map_or(now, |source| source.since);
                let patience = LEAST.max(Duration::from_secs_f64((slowest * LATE_PACKETS).min(3600.0)));
                Source { id: stage.id.clone(), sent, since, patience }
            })
            .collect();
    }

    /// The source that has been silent longest, and how long.
    pub fn longest(&self) -> Option<(&str, Duration)> {
        let silent = self.sources.iter().filter_map(|source| {
            let time = self.now.saturating_sub(source.since);
            (time >= source.patience).then_some((&*source.id, time))
        });
        silent.max_by_key(|(_, time)| *time).filter(|_| self.is_expected)
    }
}

/// True where sources should send: of a replay silence is no fault.
fn is_expected(snapshot: &Snapshot) -> bool {
    snapshot.pipeline == PipelineState::Running && snapshot.transport.is_none()
}

#[cfg(test)]
mod tests {
    use super::{super::fixtures, *};

    fn snapshot(sent: u64) -> Snapshot {
        let mut snapshot = fixtures::snapshot();
        snapshot.telemetry.stages[0].is_source = true;
        snapshot.telemetry.stages[0].outputs[0].1.sent_samples = sent;
        snapshot
    }

    #[test]
    fn a_source_is_silent_from_its_last_sample_on() {
        let mut silence = Silence::default();
        let seconds = Duration::from_secs;
        silence.notice(&snapshot(0), seconds(10));
        silence.notice(&snapshot(50), seconds(20));
        assert_eq!(silence.longest(), None);
        silence.notice(&snapshot(50), seconds(21));
        assert_eq!(silence.longest(), None);
        silence.notice(&snapshot(50), seconds(25));
        assert_eq!(silence.longest(), Some(("board", seconds(5))));
        silence.notice(&snapshot(75), seconds(26));
        assert_eq!(silence.longest(), None);
    }

    #[test]
    fn a_pause_and_another_pipeline_are_no_silence() {
        let mut silence = Silence::default();
        let mut paused = snapshot(7);
        paused.pipeline = PipelineState::Paused;
        silence.notice(&paused, Duration::from_secs(1));
        silence.notice(&paused, Duration::from_secs(60));
        assert_eq!(silence.longest(), None);
        silence.notice(&snapshot(7), Duration::from_secs(61));
        assert_eq!(silence.longest(), None, "it counts from the end of the pause");
        let mut other = snapshot(7);
        other.generation += 1;
        silence.notice(&other, Duration::from_secs(90));
        assert_eq!(silence.longest(), None);
    }
}
