//! Parquet: a table in columns.
use std::{collections::HashSet, io::Write, sync::Arc};

use parquet::{
    basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type},
};
use serde_json::json;
use wavedeck_api::signal::{ChannelSpec, Rate};

use crate::export::{ExportError, Frames, Header, Mark, Notes, Sink, Survey, Values};

/// Most bytes of samples in a group of rows, which is what is in memory.
const GROUP_BYTES: usize = 32 << 20;
/// Most rows in a group.
const GROUP_ROWS: usize = 1 << 20;

/// Writes the columns `sample`, `time_s`, one per channel, `marker`. No row is made up for missing samples.
pub(crate) struct Parquet<W: Write + Send> {
    /// Taken by `begin`.
    out: Option<W>,
    writer: Option<SerializedFileWriter<W>>,
    rate: Option<Rate>,
    origin: u64,
    channels: Vec<ChannelSpec>,
    counts: bool,
    samples: Vec<i64>,
    columns: Columns,
    /// Row and label of each mark of this group and the next rows.
    labels: Vec<(u64, String)>,
    units: Vec<f32>,
}

enum Columns {
    Counts(Vec<Vec<i32>>),
    Values(Vec<Vec<f32>>),
}

impl<W: Write + Send> Parquet<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out: Some(out),
            writer: None,
            rate: None,
            origin: 0,
            channels: Vec::new(),
            counts: false,
            samples: Vec::new(),
            columns: Columns::Counts(Vec::new()),
            labels: Vec::new(),
            units: Vec::new(),
        }
    }

    fn write_group(&mut self) -> Result<(), ExportError> {
        let (Some(writer), Some(rate)) = (&mut self.writer, self.rate) else {
            return Ok(());
        };
        if self.samples.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        column::<Int64Type, _>(&mut group, &self.samples, None)?;
        let seconds = |sample: &i64| {
            let ticks = (*sample as u64 - self.origin) as f64 * rate.denominator() as f64;
            ticks / rate.numerator() as f64
        };
        column::<DoubleType, _>(&mut group, &self.samples.iter().map(seconds).collect::<Vec<_>>(), None)?;
        match &mut self.columns {
            Columns::Counts(columns) => {
                for values in columns {
                    column::<Int32Type, _>(&mut group, values, None)?;
                    values.clear();
                }
            }
            Columns::Values(columns) => {
                for values in columns {
                    column::<FloatType, _>(&mut group, values, None)?;
                    values.clear();
                }
            }
        }
        // Marks stand in the order of their rows.
        let mut labels = std::mem::take(&mut self.labels).into_iter().peekable();
        let mut texts: Vec<ByteArray> = Vec::new();
        let mut is_there = Vec::with_capacity(self.samples.len());
        for sample in &self.samples {
            let mut text: Option<String> = None;
            while let Some((_, label)) = labels.next_if(|(row, _)| *row <= *sample as u64) {
                text = Some(text.map_or(label.clone(), |text| format!("{text};{label}")));
            }
            is_there.push(i16::from(text.is_some()));
            texts.extend(text.map(|text| ByteArray::from(text.into_bytes())));
        }
        self.labels = labels.collect();
        column::<ByteArrayType, _>(&mut group, &texts, Some(&is_there))?;
        group.close()?;
        self.samples.clear();
        Ok(())
    }
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    is_there: Option<&[i16]>,
) -> Result<(), ExportError> {
    let too_many = || ParquetError::General("more columns than the schema has".into());
    let mut column = group.next_column()?.ok_or_else(too_many)?;
    column.typed::<T>().write_batch(values, is_there, None)?;
    Ok(column.close()?)
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn begin(&mut self, header: &Header<'_>, _: Option<&Survey>) -> Result<(), ExportError> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        let (element, encoding) = match header.counts {
            true => (Physical::INT32, Encoding::DELTA_BINARY_PACKED),
            false => (Physical::FLOAT, Encoding::BYTE_STREAM_SPLIT),
        };
        let names = column_names(header.channels);
        let required = |name: &str, kind| {
            Type::primitive_type_builder(name, kind).with_repetition(Repetition::REQUIRED).build().map(Arc::new)
        };
        let mut fields = vec![required("sample", Physical::INT64)?, required("time_s", Physical::DOUBLE)?];
        for name in &names {
            fields.push(required(name, element)?);
        }
        let marker = Type::primitive_type_builder("marker", Physical::BYTE_ARRAY)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::String));
        fields.push(Arc::new(marker.build()?));
        let schema = Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?);

        let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
        let mut properties = WriterProperties::builder()
            .set_created_by(concat!("wavedeck ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_dictionary_enabled(false)
            .set_column_encoding(column("sample"), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding(column("time_s"), Encoding::BYTE_STREAM_SPLIT)
            .set_key_value_metadata(Some(metadata(header, &names)));
        for name in &names {
            properties = properties.set_column_encoding(column(name), encoding);
        }
        self.writer = Some(SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?);
        self.rate = Some(header.rate);
        self.origin = header.origin;
        self.channels = header.channels.to_vec();
        self.counts = header.counts;
        let n = names.len();
        self.columns =
            if header.counts { Columns::Counts(vec![Vec::new(); n]) } else { Columns::Values(vec![Vec::new(); n]) };
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), ExportError> {
        self.labels.push((mark.row, mark.label.clone()));
        Ok(())
    }

    fn frames(&mut self, frames: &Frames<'_>) -> Result<(), ExportError> {
        let width = self.channels.len();
        let n = frames.values.len() / width;
        let group_rows = (GROUP_BYTES / (4 * width)).clamp(1, GROUP_ROWS);
        // Before, not after: the last row stays until no mark can come for it.
        if self.samples.len() + n > group_rows {
            self.write_group()?;
        }
        self.samples.extend((0..n as u64).map(|frame| (frames.first_index + frame) as i64));
        match (&mut self.columns, frames.values) {
            (Columns::Counts(columns), Values::Counts(counts)) => spread(counts, columns),
            (Columns::Values(columns), values) => {
                self.units.clear();
                values.to_units(&self.channels, &mut self.units);
                spread(&self.units, columns);
            }
            (Columns::Counts(_), Values::Physical(_)) => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Notes, ExportError> {
        self.write_group()?;
        if let Some(writer) = self.writer.take() {
            writer.into_inner()?.flush()?;
        }
        Ok(Notes::default())
    }
}

fn spread<T: Copy>(frames: &[T], columns: &mut [Vec<T>]) {
    let width = columns.len();
    for (channel, column) in columns.iter_mut().enumerate() {
        column.extend(frames.iter().skip(channel).step_by(width));
    }
}

/// Names of the columns of the channels, each its own.
fn column_names(channels: &[ChannelSpec]) -> Vec<String> {
    let mut used: HashSet<String> = ["sample", "time_s", "marker"].map(str::to_owned).into();
    let name_of = |channel: &ChannelSpec| {
        let numbered = (2u32..).map(|n| format!("{}~{n}", channel.name));
        std::iter::once(channel.name.clone()).chain(numbered).find(|name| used.insert(name.clone())).unwrap_or_default()
    };
    channels.iter().map(name_of).collect()
}

fn metadata(header: &Header<'_>, names: &[String]) -> Vec<KeyValue> {
    let channels: Vec<_> = names
        .iter()
        .zip(header.channels)
        .map(|(column, channel)| {
            let (scale, offset) = if header.counts { (channel.scale, channel.offset) } else { (1.0, 0.0) };
            json!({ "column": column, "name": channel.name, "unit": channel.unit, "scale": scale, "offset": offset })
        })
        .collect();
    let mut all = vec![
        KeyValue::new("stream".into(), header.stream.name.clone()),
        KeyValue::new("device".into(), header.stream.device.clone()),
        KeyValue::new("rate".into(), header.rate.to_string()),
        KeyValue::new("values".into(), if header.counts { "counts" } else { "physical" }.to_owned()),
        KeyValue::new("channels".into(), serde_json::Value::from(channels).to_string()),
    ];
    if header.about.start_unix_ns.is_some() {
        all.push(KeyValue::new("start_unix_ns".into(), header.start_ns.to_string()));
    }
    all
}
