//! The JSON file that an export of this program has beside it.
use std::{fs::File, io::Read, path::Path};

use serde_json::Value;
use wavedeck_api::signal::{ChannelSpec, Rate};

use super::{
    super::foreign::MOST_ANNOTATIONS,
    chunks::{Chunks, Element},
};
use crate::export::sidecar_path;

/// Most bytes of the file.
const MOST_BYTES: u64 = 256 << 20;
/// Largest index.
const MOST_INDEX: u64 = 1 << 60;

/// What the file says of the one beside it.
#[derive(Debug)]
pub(super) struct Sidecar {
    pub(super) stream: String,
    pub(super) device: String,
    pub(super) subject: String,
    pub(super) operator: String,
    pub(super) session: String,
    pub(super) rate: Rate,
    pub(super) first_index: u64,
    pub(super) start_unix_ns: Option<u64>,
    pub(super) channels: Vec<ChannelSpec>,
    /// First index, number and reason of each gap, in ascending order.
    pub(super) gaps: Vec<(u64, u64, String)>,
    pub(super) marks: Vec<Mark>,
}

/// A mark at a sample.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) index: u64,
    pub(super) label: String,
    pub(super) source: String,
    pub(super) duration_s: Option<f64>,
}

impl Sidecar {
    /// The file beside a WAV file if there is one; a word on it if it cannot be used.
    pub(super) fn beside(path: &Path, chunks: &Chunks) -> Result<Option<Self>, String> {
        let path = sidecar_path(path);
        let Ok(file) = File::open(&path) else {
            return Ok(None);
        };
        let mut text = String::new();
        let json = file.take(MOST_BYTES).read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
        let json: Value = json.ok_or_else(|| format!("{} is not JSON, it is not used", path.display()))?;
        let sidecar = Self::parse(&json, chunks);
        sidecar.map(Some).ok_or_else(|| format!("{} tells of another file, it is not used", path.display()))
    }

    fn parse(json: &Value, chunks: &Chunks) -> Option<Self> {
        let text = |json: &Value, key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| json[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let channel = |json: &Value| {
            let (scale, offset) = (json["scale"].as_f64()?, json["offset"].as_f64()?);
            Some(ChannelSpec { offset, ..ChannelSpec::counts(text(json, "name"), text(json, "unit"), scale) })
        };
        let channels: Vec<_> = list("channels").iter().map(channel).collect::<Option<_>>()?;
        let holds_counts = matches!(chunks.format.element, Element::Int(_));
        let fits = channels.len() == chunks.format.channels
            && json["rows"].as_u64()? == chunks.frames
            && (json["values"] == "counts") == holds_counts;
        let first_index = json["first_index"].as_u64().filter(|index| *index <= MOST_INDEX)?;
        let mut gaps = Vec::new();
        if json["gap_rows"] == "zeros" {
            for gap in list("gaps") {
                let (first, n) = (gap["first_index"].as_u64()?, gap["n"].as_u64()?);
                first.checked_add(n)?;
                gaps.push((first, n, text(gap, "reason")));
            }
        }
        gaps.sort();
        let mark = |json: &Value| {
            let index = json["index"].as_u64().filter(|index| *index <= 2 * MOST_INDEX)?;
            let (label, source) = (text(json, "label"), text(json, "source"));
            Some(Mark { index, label, source, duration_s: json["duration_s"].as_f64() })
        };
        let marks = list("markers").iter().take(MOST_ANNOTATIONS).map(mark).collect::<Option<_>>()?;
        fits.then_some(Self {
            stream: text(json, "stream"),
            device: text(json, "device"),
            subject: text(json, "subject"),
            operator: text(json, "operator"),
            session: text(json, "session"),
            rate: json["rate"].as_str()?.parse().ok()?,
            first_index,
            start_unix_ns: json["start_unix_ns"].as_u64(),
            channels,
            gaps,
            marks,
        })
    }
}
