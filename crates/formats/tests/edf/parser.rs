//! EDF+ and BDF+ by the letter of the standard, with a complaint about all that is not as it says.

pub(crate) struct Signal {
    pub(crate) label: String,
    pub(crate) unit: String,
    pub(crate) physical: (f64, f64),
    pub(crate) digital: (i64, i64),
    samples: usize,
    pub(crate) values: Vec<i64>,
}

impl Signal {
    /// A digital value in the unit of the signal.
    pub(crate) fn in_unit(&self, digital: i64) -> f64 {
        let gain = (self.physical.1 - self.physical.0) / (self.digital.1 - self.digital.0) as f64;
        self.physical.0 + (digital - self.digital.0) as f64 * gain
    }
}

pub(crate) struct Annotation {
    /// From the start in the header, in units of 100 ns.
    pub(crate) onset: u64,
    pub(crate) duration_s: Option<f64>,
    pub(crate) text: String,
}

pub(crate) struct File {
    pub(crate) patient: String,
    pub(crate) recording: String,
    pub(crate) start: String,
    pub(crate) records: usize,
    pub(crate) record_s: f64,
    pub(crate) record_bytes: usize,
    /// Onset of the first record, in units of 100 ns.
    pub(crate) first: u64,
    pub(crate) signals: Vec<Signal>,
    pub(crate) annotations: Vec<Annotation>,
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next(&mut self, n: usize) -> String {
        let (field, rest) = self.0.split_at(n);
        self.0 = rest;
        assert!(field.iter().all(|byte| (32..127).contains(byte)), "{field:?} is not plain text");
        String::from_utf8(field.to_vec()).expect("ASCII").trim_end().to_owned()
    }

    fn number<T: std::str::FromStr>(&mut self, n: usize) -> T {
        let text = self.next(n);
        text.parse().unwrap_or_else(|_| panic!("`{text}` is no number"))
    }
}

pub(crate) fn parse(bytes: &[u8], width: usize) -> File {
    let version: &[u8] = if width == 3 { b"\xffBIOSEMI" } else { b"0       " };
    assert_eq!(&bytes[..8], version);
    let mut fields = Fields(&bytes[8..]);
    let (patient, recording) = (fields.next(80), fields.next(80));
    let start = format!("{} {}", fields.next(8), fields.next(8));
    let header_bytes: usize = fields.number(8);
    assert_eq!(fields.next(44), if width == 3 { "BDF+C" } else { "EDF+C" });
    let records: usize = fields.number(8);
    let duration = fields.next(8);
    let count: usize = fields.number(4);
    assert_eq!(header_bytes, 256 * (count + 1));
    let mut column = |n: usize| (0..count).map(|_| fields.next(n)).collect::<Vec<_>>();
    let [labels, _, units, low, high, first, last, _, samples, _] = [16, 80, 8, 8, 8, 8, 8, 80, 8, 32].map(&mut column);
    let mut signals = Vec::new();
    for n in 0..count {
        let float = |text: &str| {
            assert!(!text.contains(['e', 'E', ',']), "`{text}` has an exponent or a comma");
            text.parse::<f64>().expect("a number")
        };
        let signal = Signal {
            label: labels[n].clone(),
            unit: units[n].clone(),
            physical: (float(&low[n]), float(&high[n])),
            digital: (first[n].parse().expect("a number"), last[n].parse().expect("a number")),
            samples: samples[n].parse().expect("a number"),
            values: Vec::new(),
        };
        assert!(signal.digital.0 < signal.digital.1 && signal.physical.0 != signal.physical.1, "{}", signal.label);
        assert!(labels.iter().filter(|label| **label == signal.label).count() == 1, "{labels:?}");
        signals.push(signal);
    }
    let annotations = signals.pop().expect("annotations");
    assert_eq!(annotations.label, if width == 3 { "BDF Annotations" } else { "EDF Annotations" });
    let record_bytes = width * (signals.iter().map(|signal| signal.samples).sum::<usize>() + annotations.samples);
    assert_eq!(bytes.len(), header_bytes + records * record_bytes, "{records} records");

    let mut file = File {
        patient,
        recording,
        start,
        records,
        record_s: duration.parse().expect("a duration"),
        record_bytes,
        first: 0,
        signals,
        annotations: Vec::new(),
    };
    for (number, mut record) in bytes[header_bytes..].chunks(record_bytes).enumerate() {
        for signal in &mut file.signals {
            let (own, rest) = record.split_at(signal.samples * width);
            record = rest;
            for sample in own.chunks(width) {
                let sign = if sample[width - 1] & 0x80 == 0 { 0 } else { 0xff };
                let mut word = [sign; 8];
                word[..width].copy_from_slice(sample);
                let value = i64::from_le_bytes(word);
                assert!(
                    (signal.digital.0..=signal.digital.1).contains(&value),
                    "{value} is beyond {:?}",
                    signal.digital
                );
                signal.values.push(value);
            }
        }
        let mut lists = record.split(|byte| *byte == 0).filter(|list| !list.is_empty());
        let keeping = lists.next().expect("the time of the record");
        let (onset, rest) = keeping.split_at(keeping.iter().position(|byte| *byte == 0x14).expect("an end"));
        assert_eq!(rest, [0x14, 0x14]);
        let onset = ticks(onset);
        if number == 0 {
            file.first = onset;
            assert!(onset < 10_000_000, "the first record begins in its second");
        }
        assert_eq!(onset, file.first + number as u64 * ticks(format!("+{duration}").as_bytes()), "record {number}");
        for list in lists {
            let parts: Vec<&[u8]> = list.split(|byte| *byte == 0x14).collect();
            assert_eq!((parts.len(), parts[2].len()), (3, 0), "{list:?}");
            let mut time = parts[0].split(|byte| *byte == 0x15);
            let onset = ticks(time.next().expect("an onset"));
            let duration_s =
                time.next().map(|text| std::str::from_utf8(text).expect("ASCII").parse().expect("a number"));
            let text = String::from_utf8(parts[1].to_vec()).expect("UTF-8");
            file.annotations.push(Annotation { onset, duration_s, text });
        }
    }
    file
}

/// `+12.5` in units of 100 ns, exactly.
fn ticks(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).expect("ASCII").strip_prefix('+').expect("a sign");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(part.len() <= 7, "{text}");
    let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<7}").parse().expect("digits") };
    whole.parse::<u64>().expect("digits") * 10_000_000 + part
}
