//! When a disk is so full that a person should know, and when it is time to close the file while there is room.
use std::time::{Duration, Instant};

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// A rate measured over less time is not believed: chunks come in steps.
const SETTLE: Duration = Duration::from_secs(5);

/// When to warn and when to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Warns below so much time; 0 never.
    pub(super) warn_s: f64,
    /// Stops below so much time; 0 never.
    pub(super) stop_s: f64,
    /// Stops below so much room.
    pub(super) stop_bytes: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Fine,
    /// Say so, once.
    Warn(String),
    /// Close the file.
    Stop(String),
}

/// Watches the disk of one recording.
pub(super) struct DiskWatch {
    limits: Limits,
    began: Instant,
    next_look: Instant,
    has_warned: bool,
}

impl DiskWatch {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, began: now, next_look: now, has_warned: false }
    }

    /// Judges by the bytes written since the start and the room there is.
    pub(super) fn look(&mut self, now: Instant, written: u64, free: Option<u64>) -> Verdict {
        let Some(free) = free.filter(|_| now >= self.next_look) else { return Verdict::Fine };
        self.next_look = now + LOOK;
        let Limits { warn_s, stop_s, stop_bytes } = self.limits;
        let elapsed = now - self.began;
        let rate = if elapsed >= SETTLE { written as f64 / elapsed.as_secs_f64() } else { 0.0 };
        let left_s = if rate > 0.0 { free as f64 / rate } else { f64::INFINITY };
        if free < stop_bytes || left_s < stop_s {
            let text = format!("stopped while the file can still be closed: {} left on the disk", megabytes(free));
            return Verdict::Stop(text);
        }
        if left_s >= warn_s {
            self.has_warned = false;
            return Verdict::Fine;
        }
        if std::mem::replace(&mut self.has_warned, true) {
            return Verdict::Fine;
        }
        let time = if left_s < 120.0 { format!("{left_s:.0} s") } else { format!("{:.0} min", left_s / 60.0) };
        Verdict::Warn(format!("the disk is full in {time}: {} left", megabytes(free)))
    }
}

pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { warn_s: 600.0, stop_s: 30.0, stop_bytes: 1000 };

    #[test]
    fn a_disk_is_warned_of_once_and_stopped_for_before_it_is_full() {
        let begin = Instant::now();
        let mut watch = DiskWatch::new(LIMITS, begin);
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        // 1000 bytes per second.
        assert_eq!(watch.look(at(10), 10_000, Some(601_000)), Verdict::Fine);
        assert!(matches!(watch.look(at(12), 12_000, Some(599_000)), Verdict::Warn(text) if text.contains("10 min")));
        assert_eq!(watch.look(at(14), 14_000, Some(598_000)), Verdict::Fine);
        assert!(matches!(watch.look(at(20), 20_000, Some(29_000)), Verdict::Stop(_)));
    }

    #[test]
    fn little_room_counts_before_a_rate_is_known() {
        let begin = Instant::now();
        let mut watch = DiskWatch::new(LIMITS, begin);
        assert_eq!(watch.look(begin, 1_000_000, Some(1000)), Verdict::Fine);
        assert!(matches!(watch.look(begin + LOOK, 1_000_000, Some(999)), Verdict::Stop(_)));
        assert_eq!(DiskWatch::new(LIMITS, begin).look(begin, 0, None), Verdict::Fine, "some disks do not say");
    }
}
