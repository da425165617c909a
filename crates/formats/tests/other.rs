//! Arrays, sound files, tables in columns and messages, each read by other means than it was written by.
mod made;

use std::path::Path;

use made::{Made, START_NS, exported, rate};
use serde_json::{Value, json};
use tempfile::tempdir;
use wavedeck_api::signal::ChannelSpec;
use wavedeck_formats::{ExportError, ExportOptions, Format};
use wavedeck_recording::Samples;

/// Samples 10 to 12 and 15 to 16 of two channels, with two marks on sample 15, one of them lost before.
fn source() -> Made {
    let channels = vec![ChannelSpec::counts("CH1", "uV", 0.5), ChannelSpec::counts("CH 2", "uV", 0.25)];
    let runs =
        vec![(10, Samples::Counts(vec![1, -1, 2, -2, 3, -3])), (15, Samples::Counts(vec![i32::MAX, i32::MIN, 5, -5]))];
    Made::new(rate(1000, 3), channels, runs).mark(13, "lost", None).mark(15, "second", Some(0.5))
}

const COUNTS: [[i32; 2]; 5] = [[1, -1], [2, -2], [3, -3], [i32::MAX, i32::MIN], [5, -5]];

fn counts() -> ExportOptions {
    ExportOptions { counts: true, ..ExportOptions::default() }
}

fn sidecar(path: &Path) -> Value {
    let name = format!("{}.json", path.display());
    serde_json::from_slice(&std::fs::read(name).expect("a sidecar")).expect("JSON")
}

#[test]
fn an_array_has_a_row_per_frame_and_a_sidecar_that_says_the_rest() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.npy");

    let (file, summary) = exported(&source(), Format::Npy, &counts(), &path).expect("exported");

    assert_eq!(file.len(), 128 + 5 * 2 * 4);
    let header = String::from_utf8_lossy(&file[10..128]).into_owned();
    assert_eq!(header.trim_end(), "{'descr': '<i4', 'fortran_order': False, 'shape': (5, 2), }");
    let values: Vec<i32> = file[128..].as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
    assert_eq!(values, COUNTS.as_flattened());
    let sidecar = sidecar(&path);
    assert_eq!(sidecar["gaps"], json!([{ "row": 3, "first_index": 13, "n": 2, "reason": "device" }]));
    assert_eq!((&sidecar["markers"][0]["row"], &sidecar["markers"][0]["index"]), (&json!(3), &json!(13)));
    assert_eq!(sidecar["markers"][1]["duration_s"], 0.5);
    assert_eq!(
        (&sidecar["rate"], &sidecar["first_index"], &sidecar["rows"]),
        (&json!("1000/3"), &json!(10), &json!(5))
    );
    assert_eq!(sidecar["channels"][1], json!({ "name": "CH 2", "unit": "uV", "scale": 0.25, "offset": 0.0 }));
    assert_eq!((summary.rows, summary.gaps, summary.missing, summary.markers), (5, 1, 2, 2));
}

#[test]
fn an_array_of_values_needs_no_scale_and_takes_the_channels_in_the_order_wanted() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.npy");
    let options = ExportOptions { channels: Some(vec![1, 0]), to_s: Some(0.0075), ..ExportOptions::default() };

    let (file, _) = exported(&source(), Format::Npy, &options, &path).expect("exported");

    let values: Vec<f32> = file[128..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(values, [-0.25, 0.5, -0.5, 1.0, -0.75, 1.5]);
    assert_eq!(sidecar(&path)["channels"][0], json!({ "name": "CH 2", "unit": "uV", "scale": 1.0, "offset": 0.0 }));
}

#[test]
fn a_sidecar_that_is_there_is_not_replaced_unasked() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.npy");
    std::fs::write(dir.path().join("out.npy.json"), "kept").expect("written");

    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    let refused = wavedeck_formats::export_file(&source(), Format::Npy, &counts(), &path, false, go_on);

    assert!(matches!(refused, Err(ExportError::Exists { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1);
}

#[test]
fn a_rate_that_wav_cannot_say_is_rounded_with_a_warning() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.wav");

    let (file, summary) = exported(&source(), Format::Wav, &ExportOptions::default(), &path).expect("exported");

    assert_eq!(file[60..64], 333u32.to_le_bytes()[..]);
    assert!(summary.warnings[0].contains("333 Hz is said") && summary.warnings[0].contains("(1000/3)"), "{summary:?}");
    assert_eq!(summary.remarks, ["2 missing frames in 1 gaps are zeros"]);
    assert_eq!(sidecar(&path)["rate"], "1000/3");
    assert_eq!((&sidecar(&path)["rows"], &sidecar(&path)["markers"][1]["row"]), (&json!(7), &json!(5)));
}

#[test]
fn a_message_per_frame_names_its_channels() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.mcap");

    let (file, _) = exported(&source(), Format::Mcap, &counts(), &path).expect("exported");

    let messages: Vec<mcap::Message<'_>> =
        mcap::MessageStream::new(&file).expect("MCAP").map(|message| message.expect("whole")).collect();
    let frames: Vec<_> = messages.iter().filter(|message| message.channel.topic == "/eeg").collect();
    assert_eq!(frames.len(), 5);
    let schema = frames[0].channel.schema.as_ref().expect("a schema");
    assert!(schema.data.windows(4).any(|part| part == b"CH_2") && schema.encoding == "protobuf");
    for (frame, (index, [first, second])) in frames.iter().zip([10u8, 11, 12, 15, 16].into_iter().zip(COUNTS)) {
        let expected = [&[0x08, index, 0x15][..], &first.to_le_bytes(), &[0x1d], &second.to_le_bytes()].concat();
        assert_eq!(frame.data[..], expected);
        assert_eq!(frame.log_time, START_NS + rate(1000, 3).nanoseconds_at(u64::from(index)), "{index}");
    }
    let text = |topic: &str| -> Vec<Value> {
        let of_topic = messages.iter().filter(|message| message.channel.topic == topic);
        of_topic.map(|message| serde_json::from_slice(&message.data).expect("JSON")).collect()
    };
    assert_eq!(text("/gaps"), [json!({ "first_index": 13, "n": 2, "reason": "device" })]);
    let marks: Vec<_> =
        text("/markers").into_iter().map(|mark| (mark["label"].clone(), mark["index"].clone())).collect();
    assert_eq!(marks, [(json!("lost"), json!(13)), (json!("second"), json!(15))]);
}

#[test]
fn one_message_of_so_many_is_kept_if_asked() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.mcap");
    let options = ExportOptions { every: std::num::NonZeroU32::new(2), ..counts() };

    let (file, summary) = exported(&source(), Format::Mcap, &options, &path).expect("exported");

    let messages = mcap::MessageStream::new(&file).expect("MCAP").map(|message| message.expect("whole"));
    let frames = messages.filter(|message| message.channel.topic == "/eeg");
    assert_eq!(frames.map(|frame| frame.data[1]).collect::<Vec<_>>(), [10, 12, 16]);
    assert_eq!(summary.remarks, ["3 frames are kept, one of 2, without a filter"]);
}

#[cfg(feature = "parquet")]
#[test]
fn a_table_in_columns_holds_rows_marks_and_units() {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::RowAccessor,
    };
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out.parquet");

    exported(&source(), Format::Parquet, &counts(), &path).expect("exported");

    let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("a file")).expect("Parquet");
    let metadata = reader.metadata().file_metadata().key_value_metadata().expect("metadata");
    let rate = metadata.iter().find(|pair| pair.key == "rate").and_then(|pair| pair.value.as_deref());
    assert_eq!(rate, Some("1000/3"));
    let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 5);
    for (row, (index, counts)) in rows.iter().zip([10i64, 11, 12, 15, 16].into_iter().zip(COUNTS)) {
        assert_eq!(row.get_long(0).expect("an index"), index);
        assert!((row.get_double(1).expect("a time") - (index - 10) as f64 * 0.003).abs() < 1e-12);
        assert_eq!([row.get_int(2).expect("a count"), row.get_int(3).expect("a count")], counts);
        assert_eq!(row.get_string(4).ok().map(String::as_str), (index == 15).then_some("lost;second"));
    }
}
