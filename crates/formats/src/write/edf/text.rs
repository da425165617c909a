//! Text as an EDF header takes it: printable ASCII of a fixed length.
use std::collections::HashSet;

/// The text in ASCII; what has no counterpart is `_`.
pub(in crate::write) fn ascii(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let part = match c {
            ' '..='~' => {
                out.push(c);
                continue;
            }
            '\u{b5}' | '\u{3bc}' => "u",
            '\u{3a9}' | '\u{2126}' => "Ohm",
            '°' => "deg",
            '²' => "2",
            '³' => "3",
            'ä' | 'æ' => "ae",
            'ö' | 'œ' => "oe",
            'ü' => "ue",
            'Ä' | 'Æ' => "Ae",
            'Ö' => "Oe",
            'Ü' => "Ue",
            'ß' => "ss",
            'à' | 'á' | 'â' | 'ã' | 'å' => "a",
            'è' | 'é' | 'ê' | 'ë' => "e",
            'ì' | 'í' | 'î' | 'ï' => "i",
            'ò' | 'ó' | 'ô' | 'õ' | 'ø' => "o",
            'ù' | 'ú' | 'û' => "u",
            'ç' => "c",
            'ñ' => "n",
            'α' => "alpha",
            'β' => "beta",
            'γ' => "gamma",
            'δ' | 'Δ' => "delta",
            'θ' => "theta",
            '–' | '—' | '−' => "-",
            _ => "_",
        };
        out.push_str(part);
    }
    out
}

/// The text in a field of `n` characters, filled with spaces.
pub(super) fn field(text: &str, n: usize) -> Vec<u8> {
    let mut field: Vec<u8> = ascii(text).into_bytes();
    field.resize(n, b' ');
    field
}

/// A part of the patient or recording field: `X` if it is not known, no spaces in it.
pub(super) fn subfield(text: &str) -> String {
    let text = ascii(text.trim()).replace(' ', "_");
    if text.is_empty() { "X".into() } else { text }
}

/// Labels of 16 characters, each its own.
pub(super) fn labels<'a>(names: impl Iterator<Item = &'a str>, reserved: &str) -> Vec<String> {
    let mut used: HashSet<String> = HashSet::from([reserved.to_owned()]);
    let label_of = |name: &str| {
        let full = ascii(name.trim());
        let full = if full.is_empty() { "channel".to_owned() } else { full };
        let numbers = (2u32..).map(|n| {
            let number = format!("~{n}");
            let stem: String = full.chars().take(16 - number.len()).collect();
            stem + &number
        });
        let short: String = full.chars().take(16).collect();
        let label = std::iter::once(short).chain(numbers).find(|label| used.insert(label.trim_end().to_owned()));
        label.unwrap_or_default()
    };
    names.map(label_of).collect()
}

/// The number in 8 characters or fewer, as exact as these allow; `None` if it is too large.
pub(super) fn decimal(value: f64) -> Option<String> {
    // What stands before the point, it included, is not known to the last digit before it is rounded.
    let whole = value.abs().max(1.0).log10().floor() + if value < 0.0 { 3.0 } else { 2.0 };
    let most = (8.0 - whole).clamp(0.0, 6.0) as usize;
    let text = [most, most.saturating_sub(1)]
        .map(|places| format!("{value:.places$}"))
        .into_iter()
        .find(|text| text.len() <= 8)?;
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Some(if short == "-0" { "0".into() } else { short.to_owned() })
}

/// The number in four digits, for people.
pub(super) fn short(value: f64) -> String {
    let magnitude = value.abs().log10().floor();
    if (-4.0..6.0).contains(&magnitude) {
        let places = (3.0 - magnitude).max(0.0) as usize;
        format!("{value:.places$}")
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_use_what_eight_characters_give() {
        let cases =
            [(-187_499.65, "-187500"), (1.0, "1"), (0.022_351_74, "0.022352"), (-0.0, "0"), (99_999_999.0, "99999999")];
        for (value, text) in cases {
            assert_eq!(decimal(value).as_deref(), Some(text));
        }
        assert_eq!((decimal(-99_999_999.0), decimal(1e9)), (None, None));
    }

    #[test]
    fn labels_are_short_plain_and_each_its_own() {
        let names =
            ["Größe µV", "a channel with a long name 1", "a channel with a long name 2", "EDF Annotations", "", "CH1"];

        let labels = labels(names.into_iter(), "EDF Annotations");

        let expected = ["Groesse uV", "a channel with a", "a channel with~2", "EDF Annotation~2", "channel", "CH1"];
        assert_eq!(labels, expected);
    }

    #[test]
    fn steps_are_said_in_four_digits() {
        let texts = [5.690_1, 0.022_351_7, 12_345.6, 2e-9].map(short);
        assert_eq!(texts, ["5.690", "0.02235", "12346", "2.000e-9"]);
    }

    #[test]
    fn what_is_not_known_is_an_x() {
        assert_eq!((subfield(" "), subfield("Jane Doe")), ("X".to_owned(), "Jane_Doe".to_owned()));
    }
}
