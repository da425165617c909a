//! The parameters of a recorder, and what they come to.
use std::{path::PathBuf, time::Duration};

use wavedeck_api::{param::ParamSet, prelude::*};
use wavedeck_recording::RecordingOptions;

use super::{disk_watch::Limits, take::SegmentLimits};

pub(super) static PARAMS: &[ParamSpec] = &[
    ParamSpec::text("dir", "recordings").help("Folder for recordings; it is made when needed."),
    ParamSpec::text("operator", "").help("Who records; kept in the file."),
    ParamSpec::text("subject", "").help("Who or what is recorded; kept in the file."),
    ParamSpec::text("notes", "").help("Anything else worth keeping in the file."),
    ParamSpec::text("markers", "").help("Labels of the markers of the keys F1 to F9, with commas between them."),
    ParamSpec::bool("plain", false).help("Store plain numbers: larger, but any MCAP tool can read them."),
    ParamSpec::int("max_pending_mb", 64, 1..=4096)
        .unit("MB")
        .help("Most data that may wait in memory for a slow disk; beyond it samples are lost and the file says so."),
    ParamSpec::float("preroll_s", 5.0, 0.0..=3600.0)
        .unit("s")
        .help("Seconds before the start of a recording that are in its file."),
    ParamSpec::int("preroll_mb", 32, 0..=4096)
        .unit("MB")
        .help("Most memory for these seconds; where it is too little there are fewer of them."),
    ParamSpec::float("segment_min", 0.0, 0.0..=10_080.0)
        .unit("min")
        .help("Begins another file after so long, without losing a sample; 0 is never."),
    ParamSpec::int("segment_mb", 0, 0..=1_000_000)
        .unit("MB")
        .help("Begins another file when one has grown so large; 0 is never."),
    ParamSpec::float("disk_warn_min", 10.0, 0.0..=10_080.0)
        .unit("min")
        .help("Warns when the disk is going to be full so soon."),
    ParamSpec::float("disk_stop_s", 30.0, 0.0..=3600.0)
        .unit("s")
        .help("Finishes the recording when the disk is going to be full so soon."),
    ParamSpec::int("disk_stop_mb", 64, 0..=1_000_000)
        .unit("MB")
        .help("Finishes the recording, or does not start one, with less room on the disk."),
    ParamSpec::int("spare_mb", 16, 0..=4096)
        .unit("MB")
        .help("Room kept on the disk for the end of the file, should others fill it."),
];

/// What a recorder is built with.
pub(super) struct Settings {
    pub(super) options: RecordingOptions,
    pub(super) segments: SegmentLimits,
    pub(super) limits: Limits,
    pub(super) preroll_s: f64,
    /// Most memory for it.
    pub(super) preroll_bytes: usize,
}

impl Settings {
    pub(super) fn of(params: &ParamSet) -> Self {
        let megabytes = |key: &str| u64::try_from(params.int(key)).unwrap_or(0) << 20;
        let max_pending_bytes = usize::try_from(megabytes("max_pending_mb")).unwrap_or(64 << 20);
        let options = RecordingOptions {
            dir: PathBuf::from(params.text("dir")),
            operator: params.text("operator").into(),
            subject: params.text("subject").into(),
            notes: params.text("notes").into(),
            plain: params.bool("plain"),
            max_pending_bytes,
            spare_bytes: megabytes("spare_mb"),
            ..RecordingOptions::default()
        };
        let segments = SegmentLimits {
            duration: Duration::from_secs_f64(params.float("segment_min") * 60.0),
            bytes: megabytes("segment_mb"),
        };
        let limits = Limits {
            warn_s: params.float("disk_warn_min") * 60.0,
            stop_s: params.float("disk_stop_s"),
            stop_bytes: megabytes("disk_stop_mb"),
        };
        // All of it is handed to the writer at once: the rest of what may wait is for what comes meanwhile.
        let preroll_bytes = usize::try_from(megabytes("preroll_mb")).unwrap_or(usize::MAX).min(max_pending_bytes / 2);
        Self { options, segments, limits, preroll_s: params.float("preroll_s"), preroll_bytes }
    }
}
