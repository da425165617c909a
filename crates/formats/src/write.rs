//! The writers, one per format.
mod csv;
mod edf;
mod mcap;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod sidecar;
mod wav;

use std::{fs::File, io::BufWriter, num::NonZeroU32, path::Path};

pub(crate) use csv::Csv;
pub(crate) use edf::{PADDING, SKIP};
pub(crate) use wav::GUID as WAV_GUID;

use crate::export::{ExportError, ExportOptions, Gap, Sink};

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A table as text: sample, time, channels, marker.
    Csv,
    /// BDF+, 24 bits.
    Bdf,
    /// EDF+, 16 bits.
    Edf,
    /// WAV, RF64 if need be; with a sidecar.
    Wav,
    /// An array for NumPy; with a sidecar.
    Npy,
    /// A table in columns.
    #[cfg(feature = "parquet")]
    Parquet,
    /// One message per frame, to plot.
    Mcap,
}

impl Format {
    /// All formats of this build.
    pub const ALL: &[Self] = &[
        Self::Csv,
        Self::Bdf,
        Self::Edf,
        Self::Wav,
        Self::Npy,
        #[cfg(feature = "parquet")]
        Self::Parquet,
        Self::Mcap,
    ];

    /// Its name, which is the extension of its files too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Bdf => "bdf",
            Self::Edf => "edf",
            Self::Wav => "wav",
            Self::Npy => "npy",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
            Self::Mcap => "mcap",
        }
    }

    /// The format that the extension of a file tells.
    pub fn of_path(path: &Path) -> Option<Self> {
        Self::of_name(path.extension()?.to_str()?)
    }

    /// The format of this name, in whatever case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| name.eq_ignore_ascii_case(format.name()))
    }

    /// True if what the format cannot say goes into a JSON file beside it.
    pub fn has_sidecar(self) -> bool {
        matches!(self, Self::Wav | Self::Npy)
    }

    pub(crate) fn sink<'a>(self, out: &'a mut BufWriter<File>, options: &ExportOptions) -> Box<dyn Sink + 'a> {
        match self {
            Self::Csv => Box::new(Csv::new(out)),
            Self::Bdf => Box::new(edf::Edf::new(out, edf::Width::Bits24)),
            Self::Edf => Box::new(edf::Edf::new(out, edf::Width::Bits16)),
            Self::Wav => Box::new(wav::Wav::new(out, options.counts)),
            Self::Npy => Box::new(npy::Npy::new(out)),
            #[cfg(feature = "parquet")]
            Self::Parquet => Box::new(parquet::Parquet::new(out)),
            Self::Mcap => Box::new(mcap::Mcap::new(out, options.every.map_or(1, NonZeroU32::get))),
        }
    }
}

/// Most bytes that are made up for one gap; more than that is a pause or a mistake, not a loss.
const MOST_FILL: u64 = 4 << 30;

/// Bytes it takes to fill a gap.
fn fill_bytes(format: &'static str, gap: &Gap, frame_bytes: u64) -> Result<u64, ExportError> {
    gap.n.checked_mul(frame_bytes).filter(|bytes| *bytes <= MOST_FILL).ok_or_else(|| {
        let Gap { first_index, n, .. } = gap;
        let what =
            format!("it must fill the {n} missing samples from {first_index} on, export what is before and after");
        ExportError::Unfit { format, what }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        assert_eq!(Format::of_path(Path::new("a/b.BDF")), Some(Format::Bdf));
        assert_eq!(Format::of_path(Path::new("a.txt")), None);
        for format in Format::ALL {
            assert_eq!(Format::of_path(&Path::new("x").with_extension(format.name())), Some(*format));
        }
    }
}
