//! An array for NumPy: `(frames, channels)` of `int32` or `float32`.
use std::io::{Seek, SeekFrom, Write};

use super::sidecar::{Rows, Sidecar};
use crate::export::{ExportError, Frames, Gap, Header, Mark, Notes, Sink, Survey, Values};

/// Length of the header with its magic: room for every shape there is, and a multiple of 64.
const HEADER: usize = 128;

/// Writes an array in C order. No row is made up for missing samples; the sidecar says between which rows they are.
pub(crate) struct Npy<W: Write + Seek> {
    out: W,
    counts: bool,
    channels: Vec<wavedeck_api::signal::ChannelSpec>,
    rows: Rows,
    sidecar: Sidecar,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl<W: Write + Seek> Npy<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            counts: false,
            channels: Vec::new(),
            rows: Rows::default(),
            sidecar: Sidecar::default(),
            bytes: Vec::new(),
            values: Vec::new(),
        }
    }

    fn header(&self) -> Vec<u8> {
        let element = if self.counts { "<i4" } else { "<f4" };
        let shape = (self.rows.n, self.channels.len());
        let text = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': ({}, {}), }}", shape.0, shape.1);
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        header.extend(((HEADER - 10) as u16).to_le_bytes());
        header.extend(text.bytes());
        header.resize(HEADER - 1, b' ');
        header.push(b'\n');
        header
    }
}

impl<W: Write + Seek> Sink for Npy<W> {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        self.counts = header.counts;
        self.channels = header.channels.to_vec();
        self.rows = Rows::begin(header.first_index);
        self.sidecar.begin(header, if self.counts { "int32" } else { "float32" });
        Ok(self.out.write_all(&self.header())?)
    }

    fn gap(&mut self, gap: &Gap) -> Result<(), ExportError> {
        self.sidecar.gap(gap, self.rows.n);
        self.rows.gap(gap.n);
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        self.sidecar.mark(mark, self.rows.of(mark.row));
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        self.bytes.clear();
        match frames.values {
            Values::Counts(counts) if self.counts => {
                self.bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
            }
            values => {
                self.values.clear();
                values.to_units(&self.channels, &mut self.values);
                self.bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        self.rows.took((frames.values.len() / self.channels.len()) as u64);
        Ok(self.out.write_all(&self.bytes)?)
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&self.header())?;
        self.out.flush()?;
        Ok(Notes { sidecar: Some(self.sidecar.finish(self.rows.n, "none")), ..Notes::default() })
    }
}
