//! EDF files made by hand.

/// A file in the making.
pub(crate) struct Edf {
    pub(crate) reserved: String,
    pub(crate) patient: String,
    pub(crate) recording: String,
    pub(crate) date: String,
    pub(crate) time: String,
    pub(crate) duration: String,
    pub(crate) said_records: Option<String>,
    /// Label and samples per record.
    pub(crate) signals: Vec<(String, usize)>,
    /// The annotations of each record.
    pub(crate) records: Vec<Vec<u8>>,
}

/// Bytes of annotations in a record.
const LISTS: usize = 60;

/// The sample at a place: unlike those around it, and within 16 bits.
pub(crate) fn sample(signal: usize, frame: usize) -> i32 {
    ((frame * 37 + signal * 1001) % 65_536) as i32 - 32_768
}

impl Edf {
    pub(crate) fn new(reserved: &str) -> Self {
        Self {
            reserved: reserved.into(),
            patient: "X X X X".into(),
            recording: "Startdate 02-MAR-2024 X X X".into(),
            date: "02.03.24".into(),
            time: "10.20.30".into(),
            duration: "1".into(),
            said_records: None,
            signals: Vec::new(),
            records: vec![Vec::new()],
        }
    }

    fn is_bdf(&self) -> bool {
        self.reserved.starts_with("BDF")
    }

    /// With a signal of so many samples per record.
    pub(crate) fn signal(mut self, label: &str, samples: usize) -> Self {
        self.signals.push((label.into(), samples));
        self
    }

    /// With these lists, one for each record.
    pub(crate) fn lists(mut self, lists: &[&str]) -> Self {
        self.records = lists.iter().map(|list| list.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let width = if self.is_bdf() { 3 } else { 2 };
        let mut signals = self.signals.clone();
        let is_plus = self.reserved.contains('+');
        if is_plus {
            signals.push((format!("{} Annotations", &self.reserved[..3]), LISTS / width));
        }
        let mut out = Vec::new();
        match self.is_bdf() {
            true => out.extend(b"\xffBIOSEMI"),
            false => out.extend(b"0       "),
        }
        let mut field = |text: &str, n: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(n, b' ');
            out.extend(bytes);
        };
        field(&self.patient, 80);
        field(&self.recording, 80);
        field(&self.date, 8);
        field(&self.time, 8);
        field(&(256 * (signals.len() + 1)).to_string(), 8);
        field(&self.reserved, 44);
        field(&self.said_records.clone().unwrap_or_else(|| self.records.len().to_string()), 8);
        field(&self.duration, 8);
        field(&signals.len().to_string(), 4);
        let mut column = |n: usize, of: &dyn Fn(usize) -> String| (0..signals.len()).for_each(|s| field(&of(s), n));
        column(16, &|signal| signals[signal].0.clone());
        column(80, &|_| String::new());
        column(8, &|_| "uV".into());
        // Each signal has a scale of its own.
        column(8, &|signal| (-100 * (signal as i32 + 1)).to_string());
        column(8, &|signal| (100 * (signal as i32 + 1)).to_string());
        column(8, &|_| "-32768".into());
        column(8, &|_| "32767".into());
        column(80, &|_| String::new());
        column(8, &|signal| signals[signal].1.to_string());
        column(32, &|_| String::new());
        for (number, lists) in self.records.iter().enumerate() {
            for (signal, (_, samples)) in self.signals.iter().enumerate() {
                for frame in number * samples..(number + 1) * samples {
                    out.extend(&sample(signal, frame).to_le_bytes()[..width]);
                }
            }
            if is_plus {
                let mut lists = lists.clone();
                lists.resize(LISTS, 0);
                out.extend(lists);
            }
        }
        out
    }
}
