//! What a file is, by its first bytes; text by its extension.
use std::{fs::File, io::Read, path::Path};

use crate::error::SourceError;

/// Bytes looked at.
const HEAD: u64 = 4096;

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// EDF, BDF and their successors.
    Edf,
    /// WAV and RF64.
    Wav,
    /// A table as text.
    Text,
}

/// Beginnings of files that are often mistaken for recordings.
const OTHERS: [(&[u8], &str); 14] = [
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB ", "a MATLAB file"),
    (b"XDF:", "an XDF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet table"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"fLaC", "a FLAC file"),
    (b"OggS", "an Ogg file"),
    (b"%PDF", "a PDF document"),
    (b"Brain Vision", "a BrainVision header"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
];

impl Kind {
    /// The format of a file; `None` for a recording of this program and for what [`wavedeck_recording`] refuses
    /// better: no file, a directory, nothing in it.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, SourceError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let extension = extension.to_ascii_lowercase();
        let is_file = path.metadata().is_ok_and(|about| about.is_file() && about.len() > 0);
        if !is_file || matches!(&*extension, "mcap" | "part") {
            return Ok(None);
        }
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(HEAD).read_to_end(&mut head))
            .map_err(|source| SourceError::io("read", path, source))?;
        match Self::of_head(&head, &extension) {
            Ok(kind) => Ok(kind),
            Err(looks_like) => Err(SourceError::Unknown { path: path.to_owned(), looks_like }),
        }
    }

    fn of_head(head: &[u8], extension: &str) -> Result<Option<Self>, &'static str> {
        if head.starts_with(b"\x89MCAP0\r\n") {
            return Ok(None);
        }
        if head.starts_with(b"0       ") || head.starts_with(b"\xffBIOSEMI") {
            return Ok(Some(Self::Edf));
        }
        if [&b"RIFF"[..], b"RF64", b"BW64"].iter().any(|begin| head.starts_with(begin)) {
            return if head.get(8..12) == Some(b"WAVE") {
                Ok(Some(Self::Wav))
            } else {
                Err("a RIFF file other than WAV")
            };
        }
        let is_text = !head.contains(&0) && head.iter().any(|byte| !byte.is_ascii_whitespace());
        let is_table = ["%OpenBCI", "# OpenSignals"].iter().any(|begin| head.starts_with(begin.as_bytes()))
            || matches!(extension, "csv" | "tsv" | "txt");
        let other = OTHERS.iter().find(|(begin, _)| head.starts_with(begin)).map(|(_, name)| *name);
        if other.is_none() && is_text && is_table {
            return Ok(Some(Self::Text));
        }
        Err(match other {
            Some(name) => name,
            None if head.contains(&0) => "data of an unknown kind",
            None => match extension {
                _ if !is_text => "blank lines",
                "edf" | "bdf" => "neither EDF nor BDF, whose first eight bytes say so",
                _ => "text of an unknown kind",
            },
        })
    }
}
