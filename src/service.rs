//! Run by a service manager: says when it is ready and that it is alive, as `sd_notify(3)` describes. Does nothing where
//! nobody asks.
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// What a service manager is told.
#[derive(Debug, Default)]
pub struct Service {
    /// Time between two signs of life, if it waits for any.
    beat: Option<Duration>,
    next_beat: Option<Instant>,
    status: String,
}

impl Service {
    /// Looks whether there is one.
    pub fn find() -> Self {
        // Half of the time that it allows, as its manual advises.
        let beat = sd_notify::watchdog_enabled().map(|allowed| allowed / 2);
        Self { beat, next_beat: None, status: String::new() }
    }

    /// Everything is open, and what is to be recorded from the start is being recorded.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A sign of life. Called by the loop that looks at the session, so that none comes once that hangs.
    pub fn beat(&mut self, now: Instant) {
        let Some(beat) = self.beat else { return };
        if self.next_beat.is_none_or(|next| now >= next) {
            self.next_beat = Some(now + beat);
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// One line for `systemctl status`.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            tell(&[NotifyState::Status(status)]);
        }
    }

    /// Recordings are being finished, which may take this long.
    pub fn stopping(&self, patience: Duration) {
        let patience = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(patience)]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager takes no notice");
    }
}
