//! Numbers with units for people: the 1-2-5 ladder of scales, and values in few characters.

/// Smallest rung of the 1-2-5 ladder that is not below `value`.
pub fn rung_above(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    // A rung found by arithmetic may be a hair below itself.
    let enough = value * (1.0 - 1e-9);
    [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|rung| *rung >= enough).unwrap_or(10.0 * decade)
}

/// The next larger rung.
pub fn next_rung(rung: f64) -> f64 {
    rung_above(rung * 1.5)
}

/// The next smaller rung.
pub fn previous_rung(rung: f64) -> f64 {
    rung_above(rung / 2.6)
}

/// The largest and smallest scales that can be chosen.
pub const SCALES: std::ops::RangeInclusive<f64> = 1e-9..=1e9;

/// Writes a value with about three digits and its unit: `+42.3 µV`, `-1.25 mV`. `plain` writes `u` for `µ`.
pub fn value(value: f64, unit: &str, plain: bool) -> String {
    // A zero has no sign.
    let value = if value == 0.0 { 0.0 } else { value };
    let (number, unit) = prefixed(value, unit, plain);
    let gap = if unit.is_empty() { "" } else { " " };
    format!("{}{gap}{unit}", digits(number, true))
}

/// Writes a value as steadily as its scale allows: in the prefix of the scale and with as many digits as it can show,
/// so that nothing jumps while the value moves. What would be longer than `width` is written as [`value`] does.
pub fn steady(value: f64, unit: &str, scale: f64, width: usize, plain: bool) -> String {
    let (size, prefixed_unit) = prefixed(scale, unit, plain);
    let factor = size / scale;
    let decimals = match size {
        _ if size >= 500.0 => 0,
        _ if size >= 50.0 => 1,
        _ => 2,
    };
    let mut number = format!("{:+.decimals$}", value * factor);
    if number.chars().all(|c| matches!(c, '+' | '-' | '0' | '.')) {
        number = format!("{:.decimals$}", 0.0);
    }
    let text = if prefixed_unit.is_empty() { number } else { format!("{number} {prefixed_unit}") };
    if text.chars().count() <= width { text } else { self::value(value, unit, plain).replace(' ', "") }
}

/// Writes a scale: `100 µV`, `0.5 g`.
pub fn scale(value: f64, unit: &str, plain: bool) -> String {
    let (number, unit) = prefixed(value, unit, plain);
    let number = (number * 1e6).round() / 1e6;
    format!("{number}{unit}")
}

fn digits(number: f64, signed: bool) -> String {
    let size = number.abs();
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    if size >= 1e6 || (size > 0.0 && size < 0.001) {
        return format!("{number:+.1e}");
    }
    let decimals = if size > 0.0 && size < 0.1 { 3 } else { decimals };
    if signed { format!("{number:+.decimals$}") } else { format!("{number:.decimals$}") }
}

/// Volts move to the prefix that makes them short; other units stay as they are.
fn prefixed(value: f64, unit: &str, plain: bool) -> (f64, String) {
    const PREFIXES: [(&str, f64); 4] = [("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("", 1.0)];
    let micro = if plain { "u" } else { "µ" };
    let shown = |prefix: &str| if prefix == "u" { micro.to_owned() } else { prefix.to_owned() };
    let stem = unit.strip_suffix('V').or_else(|| unit.strip_suffix('A'));
    let written = stem.map(|prefix| if prefix == "µ" || prefix == "μ" { "u" } else { prefix });
    let Some((_, factor)) = written.and_then(|prefix| PREFIXES.iter().find(|(p, _)| *p == prefix)) else {
        let unit = unit.replace(['µ', 'μ'], micro);
        return (value, if plain { unit.replace('°', "deg") } else { unit });
    };
    let base = &unit[unit.len() - 1..];
    let absolute = value * factor;
    let size = absolute.abs() * (1.0 + 1e-9);
    // Zero has no size: it keeps the unit it came in.
    let fits = PREFIXES.iter().rfind(|(_, factor)| size >= *factor);
    let (prefix, factor) = match fits {
        Some(found) => *found,
        None if size > 0.0 => PREFIXES[0],
        None => (written.unwrap_or(""), *factor),
    };
    (absolute / factor, format!("{}{base}", shown(prefix)))
}

/// Seconds as `12:43` or `1:02:03`; `tenths` adds a digit.
pub fn clock(seconds: f64, tenths: Tenths) -> String {
    let tenth = (seconds.max(0.0) * 10.0).floor();
    let whole = (tenth / 10.0).floor() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    let base = if hours > 0 || tenths == Tenths::Full {
        format!("{hours:02}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    };
    match tenths {
        Tenths::Shown => format!("{base}.{}", tenth as u64 % 10),
        Tenths::Hidden | Tenths::Full => base,
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenths {
    /// `3:12.4`
    Shown,
    /// `3:12`
    Hidden,
    /// `00:03:12`
    Full,
}

/// A duration in at most two units: `9h12m`, `3d4h`, `45s`.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() || seconds >= 1000.0 * 86400.0 {
        return ">999d".into();
    }
    let s = seconds.max(0.0) as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{}h", s / 86400, s / 3600 % 24),
    }
}

/// Bytes with a decimal prefix: `41 GB`, `1.2 MB`, `512 B`.
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut count = count.max(0.0);
    let mut unit = 0;
    while count >= 999.5 && unit + 1 < UNITS.len() {
        count /= 1000.0;
        unit += 1;
    }
    if unit == 0 || count >= 9.95 {
        format!("{count:.0} {}", UNITS[unit])
    } else {
        format!("{count:.1} {}", UNITS[unit])
    }
}

/// A rate in hertz: `250Hz`, `16kHz`.
pub fn hertz(rate: f64) -> String {
    let short = |value: f64| ((value * 100.0).round() / 100.0).to_string();
    if rate >= 10_000.0 { format!("{}kHz", short(rate / 1000.0)) } else { format!("{}Hz", short(rate)) }
}

/// Time of day in UTC: `14:02:11`.
pub fn time_of_day(unix_ns: u64) -> String {
    clock((unix_ns / 1_000_000_000 % 86_400) as f64, Tenths::Full)
}

/// Day and time in UTC: `2026-11-23 14:02`.
pub fn day_and_time(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    // Days since 1970 to a date of the civil calendar, by eras of 400 years that begin on the first of March.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let time = time_of_day(unix_ns);
    format!("{year:04}-{month:02}-{day:02} {}", &time[..5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_goes_one_two_five() {
        let mut rung = 1.0;
        let up: Vec<f64> = std::iter::repeat_with(|| {
            rung = next_rung(rung);
            rung
        })
        .take(6)
        .collect();
        assert_eq!(up, [2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        for (rung, below) in [(100.0, 50.0), (50.0, 20.0), (20.0, 10.0), (0.001, 0.0005)] {
            assert!((previous_rung(rung) / below - 1.0).abs() < 1e-9, "{rung}");
        }
        assert_eq!(rung_above(101.0), 200.0);
        assert_eq!(rung_above(f64::NAN), 1.0);
    }

    #[test]
    fn a_value_has_few_digits_and_a_fitting_prefix() {
        assert_eq!(value(42.31, "uV", false), "+42.3 µV");
        assert_eq!(value(-187_500.0, "uV", true), "-188 mV");
        assert_eq!(value(0.0, "uV", true), "+0.00 uV");
        assert_eq!(value(0.25, "V", true), "+250 mV");
        assert_eq!(value(36.6, "°C", true), "+36.6 degC");
        assert_eq!(value(1.0, "g", true), "+1.00 g");
        assert_eq!(scale(1000.0, "uV", true), "1mV");
        assert_eq!(scale(200.0, "uV", false), "200µV");
    }

    #[test]
    fn a_moving_value_keeps_its_prefix_and_digits() {
        assert_eq!(steady(42.31, "uV", 200.0, 9, true), "+42.3 uV");
        assert_eq!(steady(0.77, "uV", 200.0, 9, true), "+0.8 uV");
        assert_eq!(steady(-0.001, "uV", 200.0, 9, true), "0.0 uV");
        assert_eq!(steady(-139.0, "uV", 2000.0, 9, true), "-0.14 mV");
        assert_eq!(steady(-187_500.0, "uV", 100.0, 9, true), "-188mV");
        assert_eq!(steady(1.0, "", 5.0, 9, true), "+1.00");
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!(clock(763.86, Tenths::Shown), "12:43.8");
        assert_eq!(clock(763.86, Tenths::Full), "00:12:43");
        assert_eq!(clock(3723.0, Tenths::Hidden), "01:02:03");
        assert_eq!(span(33_120.0), "9h12m");
        assert_eq!(span(f64::INFINITY), ">999d");
        assert_eq!(bytes(1_234_567.0), "1.2 MB");
        assert_eq!(bytes(999.7), "1.0 kB");
        assert_eq!(hertz(250.0), "250Hz");
        assert_eq!(hertz(16_000.0), "16kHz");
    }

    #[test]
    fn a_date_is_right_in_a_leap_year() {
        assert_eq!(day_and_time(1_709_210_096_000_000_000), "2024-02-29 12:34");
        assert_eq!(day_and_time(0), "1970-01-01 00:00");
    }
}
