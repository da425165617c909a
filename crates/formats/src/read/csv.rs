//! Tables as text: CSV, TSV, and those of OpenBCI and OpenSignals.
mod dialect;
mod layout;
mod lines;
mod names;
mod pace;
mod preamble;
mod rows;
mod scan;

use std::{path::Path, sync::Arc};

use layout::Layout;
use lines::Delimiter;
use preamble::Origin;
use rows::Rows;
use scan::Scan;
use wavedeck_api::signal::{ChannelSpec, SignalKind, StreamSpec};

use super::{
    foreign::{BLOCK_VALUES, Contents, Foreign, Shared, free_name, stream_parts},
    runs::Clock,
};
use crate::{
    error::SourceError,
    source::{Annotation, SourceStream},
};

/// Most columns of a table.
const MOST_COLUMNS: usize = 4096;

/// Opens a table.
pub(super) fn open(path: &Path) -> Result<Foreign, SourceError> {
    let (file, length) = Shared::open(path)?;
    let mut layout = Layout::read(&file, length)?;
    let scan = Scan::of(&file, &layout)?;
    let (rate, doubt) = scan.rate(&layout);
    let mut contents = Contents::default();
    let about = &mut contents.about;
    about.path = path.to_owned();
    about.format = format(&layout).into();
    about.warnings = std::mem::take(&mut layout.warnings);
    about.warnings.extend(scan.warnings.iter().cloned().chain(doubt));
    let (first_index, end_index) = scan.runs.span();
    // Any line of words could be a header; with nothing below, only one that names what tables of samples have is.
    if first_index == end_index && layout.index.is_none() && layout.time.is_none() && !layout.is_own {
        return Err(file.bad("the table", "rows of numbers", "words alone"));
    }
    about.start_unix_ns = layout.preamble.start_unix_ns.or(layout.time.and_then(|(_, pace)| pace.unix_ns));
    let origin_ns = about.start_unix_ns.map_or(0, |ns| ns.saturating_sub(rate.nanoseconds_at(first_index)));
    let clock = Clock { start_ns: origin_ns, rate };

    let mut streams: Vec<Arc<[(usize, String)]>> = Vec::new();
    let all: Vec<usize> = (0..layout.channels.len()).collect();
    for part in stream_parts(&all) {
        let channels = part.iter().map(|channel| &layout.channels[*channel]);
        let specs = channels.clone().map(|(_, name, unit)| ChannelSpec::physical(name, unit)).collect();
        let max_batch = (BLOCK_VALUES as usize / part.len()) as u32;
        let spec = StreamSpec { kind: SignalKind::Physical, channels: specs, rate, max_batch, spectrum: None };
        let name = free_name("signals".into(), |name| contents.streams.iter().any(|stream| stream.name == name));
        let device = layout.preamble.device.clone();
        contents.missing.extend(scan.runs.missing(streams.len(), "skipped"));
        contents.streams.push(SourceStream { name, spec, device, first_index, end_index });
        streams.push(channels.map(|(column, name, _)| (*column, name.clone())).collect());
    }
    contents.annotations.extend(scan.marks.into_iter().map(|(index, label)| Annotation {
        label,
        source: String::new(),
        time_ns: clock.at(index),
        sample: Some((0, index)),
        duration_s: None,
    }));
    let runs = Arc::new(scan.runs);
    Ok(Foreign::new(contents, Rows { file, dialect: layout.dialect, runs, clock, places: scan.places, streams }))
}

fn format(layout: &Layout) -> &'static str {
    match (layout.preamble.origin, layout.dialect.delimiter) {
        (Origin::OpenBci, _) => "OpenBCI text",
        (Origin::OpenSignals, _) => "OpenSignals text",
        (_, Delimiter::Byte(b'\t')) => "TSV",
        (_, Delimiter::Whitespace) => "text table",
        (_, Delimiter::Byte(_)) => "CSV",
    }
}
