//! Who, what and when, out of the header.
use super::{
    super::clock::{Civil, month},
    header::Header,
};
use crate::source::About;

/// Fills in what the header says of the recording; returns the device and the Unix time of the start in the header.
pub(super) fn describe(header: &Header, about: &mut About) -> (String, Option<u64>) {
    if !header.is_plus() {
        about.subject = header.patient.clone();
        about.session = header.recording.clone();
        return (String::new(), start(header, None, about));
    }
    let mut patient = header.patient.split(' ').filter(|part| !part.is_empty());
    let [code, sex, birthday, name] = [(); 4].map(|()| known(patient.next()));
    let mut notes: Vec<String> = Vec::new();
    about.subject = if name.is_empty() { code.clone() } else { name };
    if about.subject != code && !code.is_empty() {
        notes.push(format!("patient code {code}"));
    }
    if !sex.is_empty() {
        notes.push(format!("sex {sex}"));
    }
    if !birthday.is_empty() {
        notes.push(format!("born {birthday}"));
    }
    notes.extend(patient.map(str::to_owned));
    let mut recording = header.recording.split(' ').filter(|part| !part.is_empty()).peekable();
    let mut long_date = None;
    if recording.next_if_eq(&"Startdate").is_some() {
        long_date = recording.next();
        about.session = known(recording.next());
        about.operator = known(recording.next());
        let device = known(recording.next());
        notes.extend(recording.map(str::to_owned));
        about.notes = notes.join("; ");
        return (device, start(header, long_date, about));
    }
    about.session = header.recording.clone();
    about.notes = notes.join("; ");
    (String::new(), start(header, long_date, about))
}

/// A part of a field: `X` is not known, `_` stands for a space.
fn known(part: Option<&str>) -> String {
    part.filter(|part| *part != "X").unwrap_or_default().replace('_', " ")
}

fn start(header: &Header, long_date: Option<&str>, about: &mut About) -> Option<u64> {
    let is_blank = header.date.trim_matches(['0', '.', ' ']).is_empty();
    // The first date there is stands for none, where nobody says otherwise.
    let is_unset = header.date == "01.01.85" && header.time == "00.00.00";
    if long_date.is_none_or(|date| date == "X") && (is_blank || is_unset) {
        return None;
    }
    let numbers = |text: &str| -> Option<[u32; 3]> {
        let mut parts = text.split(['.', ':', '-', '/']).map(|part| part.trim().parse::<u32>());
        let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(numbers)
    };
    let long = long_date.and_then(|text| {
        let mut parts = text.split('-');
        let (day, name, year) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?.parse().ok()?);
        Some((day, month(name)?, year))
    });
    let short = || {
        let [day, month, year] = numbers(&header.date)?;
        let century = if year >= 85 { 1900 } else { 2000 };
        Some((day, month, i64::from(year) + if year < 100 { century } else { 0 }))
    };
    let moment =
        long.or_else(short).zip(numbers(&header.time)).and_then(|((day, month, year), [hour, minute, second])| {
            Civil { year, month, day, hour, minute, second }.unix_ns()
        });
    if moment.is_none() {
        about
            .warnings
            .push(format!("start `{} {}` is no time after 1970, it is taken as unknown", header.date, header.time));
    }
    moment
}
