//! Time-stamped lists of annotations.
use super::super::number::Decimal;

/// Something that is said to have happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    /// From the start in the header.
    pub(super) onset_ns: i64,
    pub(super) duration_s: Option<f64>,
    pub(super) text: String,
}

/// Reads the lists in the bytes of a signal of annotations. Returns when the record begins if its first list says so,
/// and the number of lists that make no sense.
pub(super) fn read(bytes: &[u8], notes: &mut Vec<Note>) -> (Option<i64>, u64) {
    let mut begin = None;
    let mut wrong = 0;
    for (number, list) in bytes.split(|byte| *byte == 0).filter(|list| !list.is_empty()).enumerate() {
        let Some((onset_ns, duration_s, texts)) = head(list) else {
            wrong += 1;
            continue;
        };
        let texts = texts.strip_suffix(&[0x14]).unwrap_or(texts);
        for (place, text) in texts.split(|byte| *byte == 0x14).enumerate() {
            if !text.is_empty() {
                notes.push(Note { onset_ns, duration_s, text: decoded(text) });
            } else if number == 0 && place == 0 {
                begin = Some(onset_ns);
            }
        }
    }
    (begin, wrong)
}

/// Onset, duration and the texts of a list.
fn head(list: &[u8]) -> Option<(i64, Option<f64>, &[u8])> {
    let end = list.iter().position(|byte| *byte == 0x14)?;
    let head = std::str::from_utf8(&list[..end]).ok()?;
    let (onset, duration) = head.split_once('\x15').map_or((head, None), |(onset, duration)| (onset, Some(duration)));
    let onset_ns = Decimal::parse(onset)?.scaled(9)?;
    let duration_s = duration.and_then(|text| text.parse::<f64>().ok());
    Some((onset_ns, duration_s.filter(|seconds| seconds.is_finite() && *seconds >= 0.0), &list[end + 1..]))
}

fn decoded(text: &[u8]) -> String {
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_hold_several_texts_and_the_first_the_time_of_the_record() {
        let mut notes = Vec::new();

        let found = read(b"+0.25\x14\x14begin\x14\0-1.5\x152.5\x14a\x14b\x14\0\0\0nonsense\0+9", &mut notes);

        let said: Vec<_> = notes.iter().map(|note| (note.onset_ns, note.duration_s, note.text.as_str())).collect();
        let a_half = Some(2.5);
        let expected = [(250_000_000, None, "begin"), (-1_500_000_000, a_half, "a"), (-1_500_000_000, a_half, "b")];
        assert_eq!((said, found), (expected.to_vec(), (Some(250_000_000), 2)));
    }

    #[test]
    fn a_record_may_say_nothing_of_its_time() {
        let mut notes = Vec::new();
        assert_eq!(read(b"+1\x14x\x14\0+2\x14\x14\0", &mut notes), (None, 0));
        assert_eq!(notes.len(), 1);
    }
}
