//! What the name of a column says: a time, an index, a mark, or a channel with its unit.

/// What the cells of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Numbers of samples.
    Index,
    /// Times in seconds times a power of ten.
    Time(Option<i32>),
    /// Words on what happened.
    Marker,
    /// A channel.
    Value,
}

const INDICES: [&str; 14] = [
    "sample",
    "samples",
    "sample_index",
    "sample_number",
    "sample_no",
    "sampleindex",
    "index",
    "idx",
    "nseq",
    "frame",
    "n",
    "i",
    "#",
    "unnamed:_0",
];
const TIMES: [&str; 15] = [
    "time",
    "times",
    "t",
    "timestamp",
    "timestamps",
    "time_stamp",
    "seconds",
    "sec",
    "elapsed",
    "elapsed_time",
    "time_elapsed",
    "unix_time",
    "unix",
    "epoch",
    "lsl_timestamp",
];
const MARKERS: [&str; 10] = [
    "marker",
    "markers",
    "marker_channel",
    "annotation",
    "annotations",
    "event",
    "events",
    "comment",
    "comments",
    "notes",
];
/// Units of time, and the power of ten that each is of a second.
const TIME_UNITS: [(&str, i32); 14] = [
    ("s", 0),
    ("sec", 0),
    ("secs", 0),
    ("second", 0),
    ("seconds", 0),
    ("ms", -3),
    ("msec", -3),
    ("milliseconds", -3),
    ("us", -6),
    ("usec", -6),
    ("\u{b5}s", -6),
    ("\u{3bc}s", -6),
    ("microseconds", -6),
    ("ns", -9),
];
/// Units that may stand in round brackets; other words there belong to the name.
const UNITS: [&str; 19] = [
    "uv", "\u{b5}v", "\u{3bc}v", "mv", "v", "nv", "g", "hz", "bpm", "deg", "deg/s", "a", "ma", "ua", "mmhg", "ohm",
    "kohm", "%", "counts",
];

/// Name and unit of a column such as `Fp1 [uV]`.
pub(super) fn split(name: &str) -> (String, String) {
    let name = name.trim();
    let within = |open: char, close: char| {
        let (name, unit) = name.strip_suffix(close)?.rsplit_once(open)?;
        Some((name.trim().to_owned(), unit.trim().to_owned()))
    };
    let is_unit = |unit: &str| {
        let unit = unit.to_lowercase();
        UNITS.contains(&&*unit) || TIME_UNITS.iter().any(|(name, _)| *name == unit)
    };
    within('[', ']')
        .or_else(|| within('(', ')').filter(|(_, unit)| is_unit(unit)))
        .unwrap_or_else(|| (name.to_owned(), String::new()))
}

/// What a column of this name and unit is.
pub(super) fn meaning(name: &str, unit: &str) -> Meaning {
    let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
    let power = |unit: &str| TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, power)| *power);
    let own = power(&unit.to_lowercase());
    if !unit.is_empty() && own.is_none() {
        return Meaning::Value;
    }
    if unit.is_empty() && INDICES.contains(&&*plain) {
        return Meaning::Index;
    }
    if unit.is_empty() && MARKERS.contains(&&*plain) {
        return Meaning::Marker;
    }
    if TIMES.contains(&&*plain) {
        return Meaning::Time(own);
    }
    // `time_s`, and `ms` alone.
    let (stem, suffix) = plain.rsplit_once('_').unwrap_or(("time", &plain));
    match power(suffix) {
        Some(power) if TIMES.contains(&stem) && plain != "s" => Meaning::Time(Some(power)),
        _ => Meaning::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_carry_a_unit() {
        let parts = |name: &str| split(name);
        assert_eq!(parts("EEG 1 [\u{b5}V]"), ("EEG 1".into(), "\u{b5}V".into()));
        assert_eq!(parts("x [a] [uV] "), ("x [a]".into(), "uV".into()));
        assert_eq!(parts("Fz (uV)"), ("Fz".into(), "uV".into()));
        assert_eq!(parts("Fz (left)"), ("Fz (left)".into(), String::new()));
    }

    #[test]
    fn times_indices_and_marks_go_by_many_names() {
        let of = |name: &str| {
            let (name, unit) = split(name);
            meaning(&name, &unit)
        };
        for name in ["time", "Timestamp", "T"] {
            assert_eq!(of(name), Meaning::Time(None), "{name}");
        }
        for (name, power) in
            [("time_s", 0), ("Time [s]", 0), ("t (ms)", -3), ("time_ms", -3), ("us", -6), ("timestamp_ns", -9)]
        {
            assert_eq!(of(name), Meaning::Time(Some(power)), "{name}");
        }
        for name in ["sample", "Sample Index", "nSeq", "Unnamed: 0"] {
            assert_eq!(of(name), Meaning::Index, "{name}");
        }
        for name in ["CH1", "t [K]", "ECG_s", "S", "Time [mV]", "sample [uV]"] {
            assert_eq!(of(name), Meaning::Value, "{name}");
        }
        assert_eq!(of("Marker"), Meaning::Marker);
    }
}
