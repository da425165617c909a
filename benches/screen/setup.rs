//! Screens with waves on them.
use std::{path::Path, thread, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::link::{Kind, Link};

/// A screen and what is to be seen on it.
#[derive(Clone, Copy)]
pub(crate) struct Desk {
    /// For people.
    pub(crate) name: &'static str,
    /// Size of the terminal.
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    /// Channels of the board.
    pub(crate) channels: u32,
}

/// The smallest usual terminal.
pub(crate) const SMALL: Desk = Desk { name: "80x24, 8 ch", columns: 80, rows: 24, channels: 8 };
/// A whole monitor.
pub(crate) const LARGE: Desk = Desk { name: "200x60, 32 ch", columns: 200, rows: 60, channels: 32 };

/// A pipeline as for a measurement of an afternoon: a filter, and a recorder that waits.
pub(crate) fn config(desk: Desk, home: &Path) -> String {
    json!({ "version": 1, "name": "bench",
        "stages": [
            { "id": "board", "type": "synthetic",
              "params": { "channels": desk.channels, "rate_hz": 250.0, "signal": "demo", "frequency_hz": 1.0 } },
            { "id": "volts", "type": "to_voltage", "params": { "vref": 4.5, "gain": 24.0, "adc_bits": 24 } },
            { "id": "clean", "type": "filter", "params": { "highpass_hz": 0.5, "lowpass_hz": 45.0 } },
            { "id": "rec", "type": "record", "params": { "dir": home.join("rec") } } ],
        "connections": [
            { "from": "board.out", "to": "volts.in", "capacity": 64 },
            { "from": "board.out", "to": "rec.raw", "capacity": 200 },
            { "from": "volts.out", "to": "clean.in" } ] })
    .to_string()
}

/// The program at work, with a folder of its own.
pub(crate) struct Shown {
    /// The terminal.
    pub(crate) link: Link,
    _home: TempDir,
}

/// Starts the program and waits until waves have been drawn for a while.
pub(crate) fn show(desk: Desk, kind: Kind, warm_up: Duration) -> Shown {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("config.json");
    std::fs::write(&file, config(desk, home.path())).expect("written");
    let args = ["run", file.to_str().expect("UTF-8"), "--fps", "30"];
    let link = Link::start(kind, home.path(), desk.columns, desk.rows, &args);
    link.wait_for("READY");
    thread::sleep(warm_up);
    Shown { link, _home: home }
}
