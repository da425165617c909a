//! From the calendar to Unix time.
use wavedeck_recording::LocalTime;

const NS: i128 = 1_000_000_000;

/// A moment by the calendar and the clock on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
}

impl Civil {
    /// Unix time in nanoseconds by the zone of this machine; `None` if there is no such moment, or it is before 1970.
    pub(super) fn unix_ns(self) -> Option<u64> {
        let seconds = self.seconds()?;
        let offset = |at: i64| {
            let ns = u64::try_from(i128::from(at) * NS).unwrap_or(0);
            i64::from(LocalTime::at(ns).offset_s)
        };
        // The offset that holds is that of the moment itself, which a second look finds but within an hour of a change.
        let first = seconds - offset(seconds);
        u64::try_from(i128::from(seconds - offset(first)) * NS).ok()
    }

    /// Seconds since 1970 if the clock were set to UTC.
    fn seconds(self) -> Option<i64> {
        let Self { year, month, day, hour, minute, second } = self;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let is_date = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days).contains(&day);
        if !is_date || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        // Years from March on, so that the leap day is the last.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let in_year = i64::from((153 * month + 2) / 5 + day - 1);
        let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468;
        Some(days * 86_400 + i64::from(hour * 3600 + minute * 60 + second))
    }
}

/// The number of a month by the first three letters of its English name.
pub(super) fn month(name: &str) -> Option<u32> {
    const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let name = name.get(..3).filter(|_| name.is_ascii())?.to_ascii_lowercase();
    MONTHS.as_bytes().chunks(3).zip(1..).find(|(month, _)| *month == name.as_bytes()).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_and_local_time_are_inverse() {
        for unix_s in [0u64, 951_782_399, 951_782_400, 1_709_164_800, 1_795_529_858, 4_000_000_000] {
            let LocalTime { year, month, day, hour, minute, second, .. } = LocalTime::at(unix_s * 1_000_000_000);
            let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(u32::from);
            let civil = Civil { year, month, day, hour, minute, second };
            assert_eq!(civil.unix_ns(), Some(unix_s * 1_000_000_000), "{civil:?}");
        }
    }

    #[test]
    fn there_is_no_such_day() {
        for (year, month, day) in [(2023, 2, 29), (2024, 13, 1), (2024, 4, 31), (2024, 0, 1), (1950, 1, 1)] {
            assert_eq!(Civil { year, month, day, ..Civil::default() }.unix_ns(), None);
        }
        assert_eq!((month("MAR"), month("Maerz"), month("xyz"), month("é")), (Some(3), None, None, None));
    }
}
