//! The JSON file beside an output whose format has no place for units, gaps and marks.
use serde_json::{Value, json};

use crate::export::{Gap, Header, Mark};

/// Collects what goes into the file.
#[derive(Default)]
pub(crate) struct Sidecar {
    head: serde_json::Map<String, Value>,
    first_index: u64,
    gaps: Vec<Value>,
    marks: Vec<Value>,
}

impl Sidecar {
    /// `element` says what a value of the file is, such as `int32`.
    pub(crate) fn begin(&mut self, header: &Header<'_>, element: &str) {
        let channels = header.channels.iter().map(|channel| {
            // Values in their unit need no scale.
            let (scale, offset) = if header.counts { (channel.scale, channel.offset) } else { (1.0, 0.0) };
            json!({ "name": channel.name, "unit": channel.unit, "scale": scale, "offset": offset })
        });
        let about = header.about;
        let start = about.start_unix_ns.map(|_| header.start_ns);
        let head = json!({
            "stream": header.stream.name,
            "device": header.stream.device,
            "values": if header.counts { "counts" } else { "physical" },
            "element": element,
            "rate": header.rate.to_string(),
            "rate_hz": header.rate.hz(),
            "first_index": header.first_index,
            "start_unix_ns": start,
            "subject": about.subject,
            "operator": about.operator,
            "session": about.session,
            "channels": channels.collect::<Vec<_>>(),
        });
        if let Value::Object(head) = head {
            self.head = head;
        }
        self.first_index = header.first_index;
    }

    /// A gap whose frames are missing before row `row`; or, if they are made up, begin there.
    pub(crate) fn gap(&mut self, gap: &Gap, row: u64) {
        self.gaps.push(json!({ "row": row, "first_index": gap.first_index, "n": gap.n, "reason": gap.reason }));
    }

    /// A mark on row `row`.
    pub(crate) fn mark(&mut self, mark: &Mark, row: u64) {
        let mut json = json!({ "row": row, "index": mark.index, "label": mark.label, "source": mark.source });
        if let Some(duration_s) = mark.duration_s {
            json["duration_s"] = duration_s.into();
        }
        self.marks.push(json);
    }

    /// All of it; `gap_rows` says what the file holds where frames are missing.
    pub(crate) fn finish(&mut self, rows: u64, gap_rows: &str) -> Value {
        let mut all = std::mem::take(&mut self.head);
        all.insert("rows".into(), rows.into());
        all.insert("gap_rows".into(), gap_rows.into());
        all.insert("gaps".into(), std::mem::take(&mut self.gaps).into());
        all.insert("markers".into(), std::mem::take(&mut self.marks).into());
        Value::Object(all)
    }
}

/// Turns indices of samples into rows of a file in which no row is made up.
#[derive(Default)]
pub(crate) struct Rows {
    /// Rows so far.
    pub(crate) n: u64,
    /// Index of the next frame.
    next_index: u64,
}

impl Rows {
    pub(crate) fn begin(first_index: u64) -> Self {
        Self { n: 0, next_index: first_index }
    }

    pub(crate) fn gap(&mut self, n: u64) {
        self.next_index += n;
    }

    pub(crate) fn took(&mut self, n: u64) {
        self.n += n;
        self.next_index += n;
    }

    /// Row of a sample among the next frames, or of the last one taken.
    pub(crate) fn of(&self, index: u64) -> u64 {
        (self.n + index).saturating_sub(self.next_index)
    }
}
