//! How streams, marks, edits and gaps are described inside the file.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use wavedeck_api::signal::{ChannelSpec, Rate, SignalKind, StreamSpec};

use crate::{FORMAT_VERSION, gap::GapReason, options::StreamInfo};

/// How samples stand in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Plain numbers.
    Plain,
    /// Differences by channel and byte, for counts only.
    Planar,
}

impl Codec {
    const fn number(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Planar => "1",
        }
    }
}

/// A stream of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredStream {
    /// Name of the stream.
    pub name: String,
    /// Kind, channels and rate as they were.
    pub spec: StreamSpec,
    /// What the samples came from.
    pub device: String,
    /// How the samples are stored; each message says so itself.
    pub codec: Codec,
}

/// A mark of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Unix time of the mark.
    #[serde(skip_deserializing)]
    pub time_ns: u64,
    /// What happened.
    pub label: String,
    /// Who or what said so.
    #[serde(default)]
    pub source: String,
    /// Stream whose samples `index` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The sample at which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How long it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
}

/// A run of samples missing in a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredGap {
    /// Unix time at which it was noticed.
    #[serde(skip_deserializing)]
    pub time_ns: u64,
    /// Stream they are missing from.
    pub stream: String,
    /// Index of the first missing sample.
    pub first_index: u64,
    /// Number of missing samples.
    pub n: u64,
    /// Why they are missing.
    pub reason: GapReason,
    /// Frames of the device that arrived broken during the gap, if known.
    #[serde(default)]
    pub crc_errors: u64,
}

/// A parameter change of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEdit {
    /// Unix time of the change.
    #[serde(skip_deserializing)]
    pub time_ns: u64,
    /// Where the parameter is.
    pub path: String,
    /// Value before.
    #[serde(default)]
    pub old: Value,
    /// Value asked for.
    #[serde(default)]
    pub new: Value,
    /// First sample made with the new value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_sample: Option<u64>,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// What became of it.
    #[serde(default)]
    pub outcome: String,
}

/// One channel in the metadata of a data topic.
#[derive(Serialize, Deserialize)]
struct StoredChannel {
    name: String,
    unit: String,
    gain: f64,
    offset: f64,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default = "yes")]
    enabled: bool,
}

const fn yes() -> bool {
    true
}

/// Metadata records of a file by name, each of names and texts.
pub(crate) type Entries = BTreeMap<String, BTreeMap<String, String>>;

/// What the file says of itself at its start; `None` if it is no recording of this program.
pub(crate) fn description(entries: &Entries) -> Option<&BTreeMap<String, String>> {
    entries.get("recording").filter(|about| about.contains_key("start_unix_ns"))
}

/// What a metadata record of one entry `json` holds; `None` if there is none that can be understood.
pub(crate) fn json_of<T: DeserializeOwned>(entries: &Entries, name: &str) -> Option<T> {
    serde_json::from_str(entries.get(name)?.get("json")?).ok()
}

/// The metadata of the data topic of `stream`.
pub(crate) fn describe(stream: &StreamInfo, codec: Codec) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let spec = &stream.spec;
    let channels: Vec<StoredChannel> = spec
        .channels
        .iter()
        .map(|channel| StoredChannel {
            name: channel.name.clone(),
            unit: channel.unit.clone(),
            gain: channel.scale,
            offset: channel.offset,
            min: channel.range.map(|range| range.0),
            max: channel.range.map(|range| range.1),
            enabled: true,
        })
        .collect();
    let entries = [
        ("format_version", FORMAT_VERSION.to_string()),
        ("kind", spec.kind.to_string()),
        ("rate_hz", spec.rate.to_string()),
        ("n_channels", channels.len().to_string()),
        ("channels", serde_json::to_string(&channels)?),
        ("max_batch", spec.max_batch.to_string()),
        ("device", stream.device.clone()),
        ("clock", "host monotonic".to_owned()),
        ("codec", codec.number().to_owned()),
    ];
    Ok(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The stream that `metadata` describes, or what does not fit.
pub(crate) fn understand(name: &str, metadata: &BTreeMap<String, String>) -> Result<StoredStream, String> {
    let entry = |key: &str| metadata.get(key).ok_or_else(|| format!("`{key}` is missing"));
    let kind = match entry("kind")?.as_str() {
        "counts" => SignalKind::Counts,
        "physical" => SignalKind::Physical,
        other => return Err(format!("kind must be counts or physical, got `{other}`")),
    };
    let codec = match entry("codec")?.as_str() {
        "0" => Codec::Plain,
        "1" if kind == SignalKind::Counts => Codec::Planar,
        other => return Err(format!("codec must be 0, or 1 for counts, got `{other}`")),
    };
    let rate: Rate = entry("rate_hz")?.parse().map_err(|error| format!("{error}"))?;
    let channels: Vec<StoredChannel> =
        serde_json::from_str(entry("channels")?).map_err(|error| format!("`channels` is not understood: {error}"))?;
    if channels.is_empty() || channels.len() > 65_535 {
        return Err(format!("it must have 1 to 65535 channels, got {}", channels.len()));
    }
    if entry("n_channels")?.parse() != Ok(channels.len()) {
        return Err("`n_channels` does not agree with `channels`".into());
    }
    let channels = channels
        .into_iter()
        .map(|channel| ChannelSpec {
            name: channel.name,
            unit: channel.unit,
            scale: channel.gain,
            offset: channel.offset,
            range: channel.min.zip(channel.max),
        })
        .collect();
    let max_batch = metadata.get("max_batch").and_then(|text| text.parse().ok()).unwrap_or(1);
    let spec = StreamSpec { kind, channels, rate, max_batch, spectrum: None };
    let device = metadata.get("device").cloned().unwrap_or_default();
    Ok(StoredStream { name: name.to_owned(), spec, device, codec })
}

/// What is wrong with recording `stream`, or `None`.
pub(crate) fn objection(stream: &StreamInfo) -> Option<String> {
    let spec = &stream.spec;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if stream.name.is_empty() || stream.name.len() > 100 || !stream.name.chars().all(is_plain) {
        return Some("its name must be 1 to 100 letters, digits, `-`, `_` or `.`".into());
    }
    if spec.kind == SignalKind::Spectrum {
        return Some("recordings hold counts or physical values, not spectra".into());
    }
    if spec.channels.is_empty() || spec.channels.len() > 256 {
        return Some(format!("it must have 1 to 256 channels, got {}", spec.channels.len()));
    }
    let is_finite = |channel: &ChannelSpec| {
        channel.scale.is_finite()
            && channel.offset.is_finite()
            && channel.range.is_none_or(|(min, max)| min.is_finite() && max.is_finite())
    };
    let bad = spec.channels.iter().find(|channel| !is_finite(channel))?;
    Some(format!("scale, offset and range of channel `{}` must be finite numbers", bad.name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(channels: Vec<ChannelSpec>, rate: Rate) -> StreamInfo {
        let spec =
            StreamSpec { kind: SignalKind::Counts, channels: channels.into(), rate, max_batch: 32, spectrum: None };
        StreamInfo { name: "eeg".into(), spec, device: "board".into() }
    }

    fn rate() -> Rate {
        Rate::new(30_000, 1001).expect("positive")
    }

    proptest! {
        #[test]
        fn a_description_comes_back_bit_for_bit(scale in any::<f64>(), offset in any::<f64>(), unit in "\\PC{0,4}") {
            prop_assume!(scale.is_finite() && offset.is_finite());
            let channel = ChannelSpec { offset, range: Some((-1.5, scale)), ..ChannelSpec::counts("C\"1", unit, scale) };
            let stream = stream(vec![channel], rate());

            let back = understand("eeg", &describe(&stream, Codec::Planar).expect("JSON")).expect("understood");

            prop_assert_eq!(back.spec, stream.spec);
        }
    }

    #[test]
    fn a_description_that_makes_no_sense_is_refused() {
        let good = describe(&stream(vec![ChannelSpec::counts("a", "uV", 1.0)], rate()), Codec::Planar).expect("JSON");
        for (key, value) in [
            ("kind", "spectrum"),
            ("codec", "7"),
            ("rate_hz", "0/1"),
            ("channels", "[]"),
            ("channels", "nonsense"),
            ("n_channels", "2"),
        ] {
            let mut bad = good.clone();
            bad.insert(key.into(), value.into());
            assert!(understand("eeg", &bad).is_err(), "{key} = {value}");
            bad.remove(key);
            assert!(understand("eeg", &bad).is_err(), "no {key}");
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused_beforehand() {
        let good = stream(vec![ChannelSpec::counts("a", "uV", 1.0)], rate());
        assert_eq!(objection(&good), None);

        let mut spectrum = good.clone();
        spectrum.spec.kind = SignalKind::Spectrum;
        let mut path = good.clone();
        path.name = "a/b".into();
        let infinite = stream(vec![ChannelSpec::counts("a", "uV", f64::INFINITY)], rate());
        let empty = stream(Vec::new(), rate());
        for bad in [spectrum, path, infinite, empty] {
            assert!(objection(&bad).is_some(), "{bad:?}");
        }
    }
}
