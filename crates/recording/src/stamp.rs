//! Wall time in the zone of this machine, from the system's own zone files.
use std::{env, fmt, fs, path::PathBuf};

/// A moment on the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Year of our calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Distance east of UTC in seconds.
    pub offset_s: i32,
}

impl LocalTime {
    /// The moment `unix_ns` nanoseconds after 1970-01-01 UTC; in UTC if the zone of this machine is unknown.
    pub fn at(unix_ns: u64) -> Self {
        let unix_s = (unix_ns / 1_000_000_000) as i64;
        Self::in_zone(unix_s, zone().as_ref())
    }

    /// The moment as file names carry it, such as `2026-11-24_14-02-11`.
    pub fn file_stamp(&self) -> String {
        let Self { year, month, day, hour, minute, second, .. } = self;
        format!("{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}")
    }

    fn in_zone(unix_s: i64, zone: Option<&Zone>) -> Self {
        let offset_s = zone.map_or(0, |zone| zone.offset_s(unix_s));
        let local = unix_s + i64::from(offset_s);
        let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = date(days);
        Self {
            year,
            month,
            day,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            offset_s,
        }
    }
}

impl fmt::Display for LocalTime {
    /// The moment as ISO 8601 says it, such as `2026-11-24 14:02:11 +01:00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, offset_s } = self;
        let sign = if *offset_s < 0 { '-' } else { '+' };
        let minutes = offset_s.abs() / 60;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} ")?;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The zone that `TZ` names or describes, or the machine's.
fn zone() -> Option<Zone> {
    let Ok(name) = env::var("TZ") else {
        return Zone::parse(&fs::read("/etc/localtime").ok()?);
    };
    if name.is_empty() || name.contains("..") {
        return None;
    }
    let path = PathBuf::from("/usr/share/zoneinfo").join(name.trim_start_matches(':'));
    match fs::read(path) {
        Ok(file) => Zone::parse(&file),
        Err(_) => Rule::parse(&name).map(Zone::of_rule),
    }
}

/// A zone: its past changes, and the rule for what follows the last of them.
#[derive(Debug, PartialEq)]
struct Zone {
    /// Unix second of each change and the offset from then on.
    changes: Vec<(i64, i32)>,
    /// Offset before the first change.
    first_s: i32,
    rule: Option<Rule>,
}

/// The end of a zone file: `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    standard_s: i32,
    /// Offset in summer, begin and end of summer; `None` if there is no summer time.
    summer: Option<(i32, Switch, Switch)>,
}

/// Weekday `weekday` (0 is Sunday) of week `week` (5 is the last) in `month`, at `second` of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Switch {
    month: u8,
    week: i64,
    weekday: i64,
    second: i64,
}

impl Zone {
    fn of_rule(rule: Rule) -> Self {
        Self { changes: Vec::new(), first_s: rule.standard_s, rule: Some(rule) }
    }

    /// Reads the format of RFC 8536, its 64-bit part.
    fn parse(file: &[u8]) -> Option<Self> {
        let first = Counts::parse(file)?;
        let second = file.get(44 + first.data_length(4)?..)?;
        let counts = Counts::parse(second)?;
        let data = second.get(44..44 + counts.data_length(8)?)?;
        let (times, rest) = data.split_at_checked(counts.times.checked_mul(8)?)?;
        let (kinds, rest) = rest.split_at_checked(counts.times)?;
        let types = rest.get(..counts.types.checked_mul(6)?)?;
        let offset_of = |kind: usize| -> Option<i32> {
            Some(i32::from_be_bytes(types.get(kind * 6..kind * 6 + 4)?.try_into().ok()?))
        };
        let changes = times
            .as_chunks::<8>()
            .0
            .iter()
            .zip(kinds)
            .map(|(time, kind)| Some((i64::from_be_bytes(*time), offset_of(usize::from(*kind))?)))
            .collect::<Option<Vec<_>>>()?;
        let footer = second.get(44 + data.len()..)?;
        let rule = std::str::from_utf8(footer).ok().and_then(|text| Rule::parse(text.trim_matches('\n')));
        Some(Self { changes, first_s: offset_of(0)?, rule })
    }

    fn offset_s(&self, unix_s: i64) -> i32 {
        let passed = self.changes.partition_point(|(time, _)| *time <= unix_s);
        if passed == self.changes.len()
            && let Some(rule) = &self.rule
        {
            return rule.offset_s(unix_s);
        }
        passed.checked_sub(1).map_or(self.first_s, |last| self.changes[last].1)
    }
}

struct Counts {
    utc: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    types: usize,
    characters: usize,
}

impl Counts {
    fn parse(block: &[u8]) -> Option<Self> {
        let header = block.get(..44).filter(|header| header.starts_with(b"TZif"))?;
        let mut numbers = header[20..].as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes) as usize);
        let mut next = || numbers.next();
        Some(Self {
            utc: next()?,
            standard: next()?,
            leaps: next()?,
            times: next()?,
            types: next()?,
            characters: next()?,
        })
    }

    fn data_length(&self, time_bytes: usize) -> Option<usize> {
        let times = self.times.checked_mul(time_bytes + 1)?;
        let leaps = self.leaps.checked_mul(time_bytes + 4)?;
        let rest = self.types.checked_mul(6)?.checked_add(self.characters + self.utc + self.standard)?;
        times.checked_add(leaps)?.checked_add(rest)
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let mut names = parts.next()?;
        let standard_s = take_zone(&mut names)?;
        if names.is_empty() {
            return Some(Self { standard_s, summer: None });
        }
        let summer_s = if has_offset(names) { take_zone(&mut names)? } else { standard_s + 3600 };
        let (begin, end) = (Switch::parse(parts.next()?)?, Switch::parse(parts.next()?)?);
        Some(Self { standard_s, summer: Some((summer_s, begin, end)) })
    }

    fn offset_s(&self, unix_s: i64) -> i32 {
        let Some((summer_s, begin, end)) = self.summer else {
            return self.standard_s;
        };
        let (year, ..) = date((unix_s + i64::from(self.standard_s)).div_euclid(86_400));
        let begin = begin.local_second(year) - i64::from(self.standard_s);
        let end = end.local_second(year) - i64::from(summer_s);
        let is_summer = if begin < end { (begin..end).contains(&unix_s) } else { !(end..begin).contains(&unix_s) };
        if is_summer { summer_s } else { self.standard_s }
    }
}

impl Switch {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut numbers = day.strip_prefix('M')?.split('.');
        let month = numbers.next()?.parse().ok().filter(|month| (1..=12).contains(month))?;
        let week = numbers.next()?.parse().ok().filter(|week| (1..=5).contains(week))?;
        let weekday = numbers.next()?.parse().ok().filter(|day| (0..=6).contains(day))?;
        Some(Self { month, week, weekday, second: clock_seconds(time)? })
    }

    /// Seconds from 1970-01-01 to this switch by the clock on the wall.
    fn local_second(&self, year: i64) -> i64 {
        let first = days(year, self.month);
        // 1970-01-01 was a Thursday.
        let to_weekday = (self.weekday - (first + 4)).rem_euclid(7);
        let (next_year, next_month) = if self.month == 12 { (year + 1, 1) } else { (year, self.month + 1) };
        let mut day = first + to_weekday + (self.week - 1) * 7;
        if day >= days(next_year, next_month) {
            day -= 7;
        }
        day * 86_400 + self.second
    }
}

/// Takes a name and the offset behind it, which counts west of UTC.
fn take_zone(text: &mut &str) -> Option<i32> {
    let name_end = match text.strip_prefix('<') {
        Some(quoted) => quoted.find('>')? + 2,
        None => text.find(|c: char| !c.is_ascii_alphabetic())?,
    };
    let rest = text.get(name_end..)?;
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '+' | '-')).unwrap_or(rest.len());
    let west = clock_seconds(&rest[..end])?;
    *text = &rest[end..];
    i32::try_from(-west).ok()
}

fn has_offset(names: &str) -> bool {
    names.rsplit('>').next().is_some_and(|rest| rest.contains(|c: char| c.is_ascii_digit()))
}

/// `[+-]h[:mm[:ss]]` in seconds.
fn clock_seconds(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut seconds = 0;
    for (part, unit) in text.split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<u8>().ok().map(i64::from)? * unit;
    }
    Some(sign * seconds)
}

/// Days from 1970-01-01 to the first of a month.
fn days(year: i64, month: u8) -> i64 {
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][usize::from(month - 1)];
    let years = year - 1;
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 1970) * 365 + leap_days(years) - leap_days(1969) + before + i64::from(is_leap(year) && month > 2)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Year, month and day of a number of days since 1970-01-01.
fn date(day: i64) -> (i64, u8, u8) {
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 1) <= day {
        year += 1;
    }
    let month = (2..=12).rev().find(|month| days(year, *month) <= day).unwrap_or(1);
    (year, month, (day - days(year, month) + 1) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(rule: &str) -> Zone {
        Zone { changes: Vec::new(), first_s: 0, rule: Rule::parse(rule) }
    }

    #[test]
    fn known_moments_in_utc() {
        for (unix_s, text) in [
            (0, "1970-01-01_00-00-00"),
            (951_782_400, "2000-02-29_00-00-00"),
            (1_795_529_858, "2026-11-24_14-17-38"),
            (4_107_542_400, "2100-03-01_00-00-00"),
        ] {
            assert_eq!(LocalTime::in_zone(unix_s, None).file_stamp(), text);
        }
    }

    #[test]
    fn summer_time_begins_and_ends_to_the_second() {
        let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        for (unix_s, text) in [
            (1_774_745_999, "2026-03-29 01:59:59 +01:00"),
            (1_774_746_000, "2026-03-29 03:00:00 +02:00"),
            (1_792_889_999, "2026-10-25 02:59:59 +02:00"),
            (1_792_890_000, "2026-10-25 02:00:00 +01:00"),
        ] {
            assert_eq!(LocalTime::in_zone(unix_s, Some(&berlin)).to_string(), text);
        }
    }

    #[test]
    fn odd_zones_are_understood() {
        assert_eq!(zone("<+0545>-5:45").offset_s(0), 20_700);
        assert_eq!(zone("NST3:30NDT,M3.2.0,M11.1.0").offset_s(1_751_328_000), -9000);
        // South of the equator summer spans the new year.
        assert_eq!(zone("AEST-10AEDT,M10.1.0,M4.1.0/3").offset_s(1_767_225_600), 39_600);
        assert_eq!(Rule::parse("<bad"), None);
    }

    #[test]
    fn a_zone_file_is_read_and_a_bad_one_refused() {
        let mut file = Vec::from(*b"TZif2");
        file.resize(44, 0);
        let mut second = file.clone();
        second[32..36].copy_from_slice(&1u32.to_be_bytes());
        second[36..40].copy_from_slice(&1u32.to_be_bytes());
        second[40..44].copy_from_slice(&4u32.to_be_bytes());
        second.extend(100i64.to_be_bytes());
        second.push(0);
        second.extend([&7200i32.to_be_bytes()[..], &[0, 0], b"ABC\0", b"\nABC-2\n"].concat());
        file.extend(&second);

        let zone = Zone::parse(&file).expect("a zone");

        assert_eq!(zone.changes, [(100, 7200)]);
        assert_eq!(zone.offset_s(1000), 7200);
        for length in 0..file.len() - 8 {
            assert!(Zone::parse(&file[..length]).is_none(), "{length}");
        }
    }
}
