//! What the operating system asks of the program: end, or go on without a terminal.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Flags that signals set. Asking for them twice gives two that are both set.
#[derive(Clone, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    hung_up: Arc<AtomicBool>,
}

impl Signals {
    /// Takes over SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// What the system says.
    pub fn watch() -> io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, signals.stop.clone())?;
        }
        signal_hook::flag::register(SIGHUP, signals.hung_up.clone())?;
        Ok(signals)
    }

    /// True once SIGINT or SIGTERM came.
    pub fn wants_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks for the end as SIGTERM does, from inside the program.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// True once SIGHUP came: the terminal is gone.
    pub fn has_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// The same flags, with the hang-up set: for a terminal that vanished without a signal.
    pub fn after_hang_up(&self) -> Self {
        self.hung_up.store(true, Ordering::Relaxed);
        self.clone()
    }

    /// The flag of SIGINT and SIGTERM, for code that takes a plain flag.
    pub fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }
}
