//! Tables as text.
use wavedeck_api::signal::{ChannelSpec, SignalKind};
use wavedeck_formats::{ExportOptions, Format, Source, open};
use wavedeck_recording::Samples;

use crate::{
    Kept, frames,
    made::{Made, exported, rate},
    marks, missing, without_dir,
};

/// Name and unit of each channel of the one stream.
fn channels(source: &dyn Source) -> Vec<(&str, &str)> {
    let [stream] = source.streams() else { panic!("one stream") };
    stream.spec.channels.iter().map(|channel| (&*channel.name, &*channel.unit)).collect()
}

fn rate_of(source: &dyn Source) -> String {
    source.streams()[0].spec.rate.to_string()
}

fn values(source: &dyn Source) -> Vec<Vec<f64>> {
    frames(source, 0).into_iter().map(|(_, frame)| frame).collect()
}

fn indices(source: &dyn Source) -> Vec<u64> {
    frames(source, 0).into_iter().map(|(index, _)| index).collect()
}

fn no_warnings(source: &dyn Source) {
    assert_eq!(source.about().warnings, [] as [String; 0]);
}

#[test]
fn a_table_with_times_names_and_units_is_read() {
    let text = "Time [s],Fp1 [uV],ECG (mV),x\r\n0.000,1,-1.5,\r\n0.004,2,2e-3,NaN\r\n0.008,3,inf,7";
    for text in [text.to_owned(), format!("\u{feff}{text}\r\n"), text.replace("\r\n", "\n"), text.replace(',', " , ")] {
        let source = Kept::new("a.csv", &text).open();

        assert_eq!(channels(&*source), [("Fp1", "uV"), ("ECG", "mV"), ("x", "")]);
        assert_eq!((source.about().format.as_str(), source.streams()[0].spec.kind), ("CSV", SignalKind::Physical));
        assert_eq!(rate_of(&*source), "250/1");
        let found = values(&*source);
        assert_eq!((&found[0][..2], &found[2][1..]), (&[1.0, -1.5][..], &[f64::INFINITY, 7.0][..]));
        assert_eq!(found[1][1], f64::from(2e-3f32));
        assert!(found[0][2].is_nan() && found[1][2].is_nan());
        no_warnings(&*source);
        assert_eq!(source.about().start_unix_ns, None);
    }
}

#[test]
fn the_delimiter_and_the_decimal_comma_are_found() {
    let cases = [
        ("a.tsv", "t\ta\tb\n0\t1.5\t2\n0.01\t2.5\t3\n0.02\t3.5\t4\n", "TSV"),
        ("a.txt", "t;a;b\n0;1,5;2\n0,01;2,5;3\n0,02;3,5;4\n", "CSV"),
        ("a.csv", "t;a;b\n0;1.5;2\n0.01;2.5;3\n0.02;3.5;4\n", "CSV"),
        ("a.txt", " t  a b\n  0 1.5   2\n0.01 2.5 3 \n0.02\t3.5 4\n", "text table"),
        ("a.txt", "t\ta\tb\t\n0\t1,5\t2\t\n0,01\t2,5\t3\t\n0,02\t3,5\t4\t\n", "TSV"),
        ("a.csv", "\"t\",\"a\",\"b\"\n\"0\",\"1.5\",\"2\"\n\"0.01\",\"2.5\",\"3\"\n\"0.02\",\"3.5\",\"4\"\n", "CSV"),
        ("a.csv", ",t,a,b\n0,0,1.5,2\n1,0.01,2.5,3\n2,0.02,3.5,4\n", "CSV"),
        ("a.csv", "t,a,b\n1,0,1.5,2\n2,0.01,2.5,3\n3,0.02,3.5,4\n", "CSV"),
        ("a.csv", "# made up\n\n# t,a,b\n0,1.5,2\n\n0.01,2.5,3\n# a word\n0.02,3.5,4\n", "CSV"),
    ];
    for (name, text, format) in cases {
        let source = Kept::new(name, text).open();
        assert_eq!((channels(&*source), &*source.about().format), (vec![("a", ""), ("b", "")], format), "{text}");
        assert_eq!(
            (values(&*source), rate_of(&*source)),
            (vec![vec![1.5, 2.0], vec![2.5, 3.0], vec![3.5, 4.0]], "100/1".into())
        );
    }
}

#[test]
fn the_rate_is_an_exact_fraction_where_times_allow_one() {
    let table = |header: &str, time: &dyn Fn(u32) -> String| {
        let rows: String = (0..2000).map(|n| format!("{},{n}\n", time(n))).collect();
        let source = Kept::new("a.csv", format!("{header},x\n{rows}")).open();
        no_warnings(&*source);
        assert_eq!(missing(&*source, 0), []);
        rate_of(&*source)
    };
    assert_eq!(table("time_ms", &|n| (6 * n).to_string()), "500/3");
    assert_eq!(table("time", &|n| format!("{:.3}", f64::from(n) / 256.0)), "256/1");
    assert_eq!(table("t [us]", &|n| (u64::from(n) * 4000).to_string()), "250/1");
    assert_eq!(table("time_s", &|n| format!("{:.9}", f64::from(n) * 1001.0 / 30_000.0)), "30000/1001");
    assert_eq!(table("timestamp", &|n| format!("{}", 1_700_000_000.0 + f64::from(n) * 0.004)), "250/1");
    assert_eq!(table("whatever", &|n| format!("{}", f64::from(n) * 0.1)), "10/1");
    // A device that is a little fast, its times taken by a clock with some noise.
    let noisy = |n: u32| format!("{:.6}", 1_700_000_000.0 + f64::from(n) / 250.04 + f64::from(n * 7919 % 100) * 1e-6);
    let found: wavedeck_api::signal::Rate = table("timestamp", &noisy).parse().expect("a rate");
    assert!((found.hz() - 250.04).abs() < 0.01, "{found}");
}

#[test]
fn a_jump_of_even_times_is_a_gap() {
    let times = [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.12, 0.13, 0.14, 0.154, 0.164, 0.184];
    let rows: String = times.iter().map(|time| format!("{time:.3},1\n")).collect();

    let source = Kept::new("a.csv", format!("time,x\n{rows}")).open();

    assert_eq!((rate_of(&*source), missing(&*source, 0)), ("100/1".into(), vec![(9, 3), (17, 1)]));
    assert_eq!(indices(&*source), [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 18]);
}

#[test]
fn times_since_1970_are_the_start() {
    let source = Kept::new("a.csv", "timestamp,x\n1700000000.5,1\n1700000000.6,2\n1700000000.7,3\n").open();
    assert_eq!((source.about().start_unix_ns, rate_of(&*source)), (Some(1_700_000_000_500_000_000), "10/1".into()));
    assert_eq!(values(&*source), [[1.0], [2.0], [3.0]]);
}

#[test]
fn without_times_a_hertz_is_assumed_and_said() {
    for text in ["x,y\n1,2\n3,4\n", "1,2\n3,4\n", "sample,x,y\n0,1,2\n1,3,4\n", "5,1,2\n6,3,4\n7,5,6\n8,7,8\n"] {
        let source = Kept::new("a.csv", text).open();
        assert_eq!(source.about().warnings, ["nothing says how fast it was sampled, 1 Hz is assumed"], "{text}");
        assert_eq!((rate_of(&*source), &values(&*source)[..2]), ("1/1".into(), &[vec![1.0, 2.0], vec![3.0, 4.0]][..]));
    }
    let said = Kept::new("a.csv", "# fs = 512 Hz\nx,y\n1,2\n3,4\n").open();
    assert_eq!(rate_of(&*said), "512/1");
    no_warnings(&*said);
}

#[test]
fn uneven_times_give_a_mean_rate_and_a_warning_but_no_gaps() {
    let rows: String = (0..400).map(|n| format!("{:.1},{n}\n", f64::from(n / 40) * 0.4)).collect();
    let source = Kept::new("a.csv", format!("time,x\n{rows}")).open();
    assert_eq!(missing(&*source, 0), []);
    assert!(source.about().warnings[0].starts_with("times are not even, "), "{:?}", source.about().warnings);
    let hz = source.streams()[0].spec.rate.hz();
    assert!((hz / 110.0 - 1.0).abs() < 0.02, "{hz}");
}

#[test]
fn a_column_of_marks_becomes_annotations() {
    let text = "time,x,event\n0,1,\n1,2,\"go, \"\"now\"\"\"\n2,3,5\n3,4,5\n4,5,0\n5,6,5\n6,7,\"two\nlines\"\n7,8,\n";
    let source = Kept::new("a.csv", text).open();

    let expected =
        [(1, "go, \"now\""), (2, "5"), (5, "5"), (6, "two\nlines")].map(|(s, label)| (s * 1_000_000_000, None, label));
    assert_eq!(marks(&*source), expected);
    assert_eq!(source.annotations()[1].sample, Some((0, 2)));
    assert_eq!(values(&*source), (1..=8).map(|n| vec![f64::from(n)]).collect::<Vec<_>>());
}

const OLD: &str = "%OpenBCI Raw EEG Data\n%Number of channels = 4\n%Sample Rate = 200.0 Hz\n%First Column = SampleIndex\n\
    %Last Column = Timestamp \n%Other Columns = EEG data in microvolts\n";

#[test]
fn the_text_of_old_openbci_programs_is_read() {
    let row = |n: u64| {
        let counter = (n + 250) % 256;
        let ms = 1_480_000_000_000 + n / 10 * 50;
        format!("{counter}, {n}.5, -{n}.25, 0.00, 1.00, 0.01, 0.02, 0.97, 15:06:40.{:03}, {ms}\n", n % 1000)
    };
    let text: String = (0..300).filter(|n| !(100..103).contains(n) && !(261..263).contains(n)).map(row).collect();

    let source = Kept::new("OpenBCI-RAW.txt", format!("{OLD}{text}")).open();

    let names = ["EXG Channel 0", "EXG Channel 1", "EXG Channel 2", "EXG Channel 3"].map(|name| (name, "uV"));
    let accel = ["Accel Channel 0", "Accel Channel 1", "Accel Channel 2"].map(|name| (name, "g"));
    assert_eq!(channels(&*source), [&names[..], &accel[..]].concat());
    assert_eq!((rate_of(&*source), &*source.about().format), ("200/1".into(), "OpenBCI text"));
    assert_eq!(missing(&*source, 0), [(100, 3), (261, 2)]);
    assert_eq!(source.about().start_unix_ns, Some(1_480_000_000_000_000_000));
    let all = frames(&*source, 0);
    assert_eq!((all.len(), all[150].0, &all[150].1[..2]), (295, 153, &[153.5, -153.25][..]));
    no_warnings(&*source);
}

#[test]
fn the_text_of_the_openbci_gui_is_read() {
    let text = "%OpenBCI Raw EXG Data\n%Number of channels = 2\n%Sample Rate = 250 Hz\n%Board = OpenBCI_GUI$BoardCytonSerial\n\
        Sample Index, EXG Channel 0, EXG Channel 1, Accel Channel 0, Other, Other, Timestamp, Marker Channel, Timestamp (Formatted)\n\
        0.0, -11.5, 3, 0.5, 0, 192, 1613415613.25, 0.0, 2021-02-15 12:00:13.250\n\
        1.0, 12.25, 4, 0.5, 0, 193, 1613415613.25, 3.0, 2021-02-15 12:00:13.250\n\
        2.0, 13, 5, 0.5, 0, 194, 1613415613.25, 3.0, 2021-02-15 12:00:13.250\n\
        3.0, 14, 6, 0.5, 0, 195, 1613415613.29, 0.0, 2021-02-15 12:00:13.290\n";

    let source = Kept::new("a.txt", text).open();

    let expected =
        [("EXG Channel 0", "uV"), ("EXG Channel 1", "uV"), ("Accel Channel 0", "g"), ("Other", ""), ("Other_2", "")];
    assert_eq!(channels(&*source), expected);
    assert_eq!((rate_of(&*source), &*source.streams()[0].device), ("250/1".into(), "BoardCytonSerial"));
    assert_eq!(source.about().start_unix_ns, Some(1_613_415_613_250_000_000));
    assert_eq!(marks(&*source), [(4_000_000, None, "3.0")]);
    assert_eq!(values(&*source)[1], [12.25, 4.0, 0.5, 0.0, 193.0]);
    no_warnings(&*source);
}

#[test]
fn the_text_of_opensignals_is_read() {
    let text = "# OpenSignals Text File Format. Version 1\n\
        # {\"20:16:02:26:62:54\": {\"sensor\": [\"EMG\", \"ECG\"], \"device name\": \"x\", \"column\": [\"nSeq\", \"I1\", \"A1\", \"A2\"], \
        \"time\": \"14:40:42.5\", \"date\": \"2016-5-31\", \"channels\": [1, 2], \"device\": \"bitalino_rev\", \"sampling rate\": 1000, \
        \"label\": [\"A1\", \"A2\"], \"units\": [\"mV\", \"\"], \"resolution\": [4, 1, 10, 10]}}\n\
        # EndOfHeader\n";
    let rows: String =
        (0..40).filter(|n| *n != 20).map(|n| format!("{}\t0\t{}\t{}\t\n", n % 16, 500 + n, 2 * n)).collect();

    let source = Kept::new("a.txt", format!("{text}{rows}")).open();

    assert_eq!(channels(&*source), [("I1", ""), ("A1", "mV"), ("A2", "")]);
    assert_eq!((rate_of(&*source), &*source.about().format), ("1000/1".into(), "OpenSignals text"));
    assert_eq!(source.streams()[0].device, "bitalino_rev");
    assert_eq!((missing(&*source, 0), values(&*source)[20].clone()), (vec![(20, 1)], vec![0.0, 521.0, 42.0]));
    let start_ns = source.about().start_unix_ns.expect("a start");
    assert_eq!(wavedeck_recording::LocalTime::at(start_ns).file_stamp(), "2016-05-31_14-40-42");
    assert_eq!(start_ns % 1_000_000_000, 500_000_000);
}

#[test]
fn our_own_table_comes_back_with_its_gaps_and_marks() {
    let counts = |first: u64, n: u64| {
        let frames = first..first + n;
        Samples::Counts(frames.flat_map(|index| [index as i32 * 17 - 4000, 30_000 - index as i32]).collect())
    };
    for (numerator, denominator) in [(250, 1), (30_000, 1001), (1000, 3), (16_000, 1)] {
        let channels = vec![ChannelSpec::counts("CH1", "µV", 0.25), ChannelSpec::counts("a, b", "", 0.5)];
        let rate = rate(numerator, denominator);
        let runs = vec![(100, counts(100, 2333)), (2450, counts(2450, 3)), (2456, counts(2456, 1500))];
        let source = Made::new(rate, channels, runs)
            .mark(100, "5", None)
            .mark(101, "5", Some(0.25))
            .mark(420, "a, \"b\"", None)
            .mark(3000, "two\nlines", None);
        let file = Kept::new("a.csv", b"");
        exported(&source, Format::Csv, &ExportOptions::default(), &file.path()).expect("exported");

        let back = file.open();

        no_warnings(&*back);
        assert_eq!(crate::csv::channels(&*back), [("CH1", "µV"), ("a, b", "")]);
        assert_eq!((back.streams()[0].spec.rate, back.streams()[0].first_index), (rate, 100));
        assert_eq!(missing(&*back, 0), [(2433, 17), (2453, 3)]);
        let all = frames(&*back, 0);
        assert_eq!(all.len(), 2333 + 3 + 1500);
        for (index, frame) in all {
            let index = index as f64;
            assert_eq!(frame, [(index * 17.0 - 4000.0) * 0.25, (30_000.0 - index) * 0.5]);
        }
        let found: Vec<_> = back.annotations().iter().map(|mark| (mark.sample, &*mark.label)).collect();
        let expected = [(100, "5"), (101, "5"), (420, "a, \"b\""), (3000, "two\nlines")];
        assert_eq!(found, expected.map(|(index, label)| (Some((0, index)), label)));
    }
}

#[test]
fn errors_name_line_column_and_text() {
    let cases = [
        ("time,x\n0,1\n1,abc\n2,3\n", "line 3, column 2 (x) must be a number, got `abc`"),
        ("time,x,y\n0,1,2\n1,2\n2,3,4\n", "line 3 must be one of 3 columns, got `2`"),
        (
            "sample,time_s,x [uV],marker\n5,0.0,1,\n5,0.1,1,\n",
            "sample on line 3 must be more than 5, the sample before it, got `5`",
        ),
        (
            "time,marker\n0,a\n1,b\n",
            "table must be one with a column of numbers beside times and indices, got `time,marker`",
        ),
        ("a,b,c,d\n1,2\n3,4\n5,6\n", "line 1 must be names of 2 columns, as many as the rows have, got `4`"),
        ("# only\n# comments\n", "table must be at least one line, got ``"),
        ("Dear reader,\nthis is\nno table.\n", "line 2, column 1 (Dear reader,) must be a number, got `this is`"),
    ];
    for (text, expected) in cases {
        assert_eq!(Kept::new("a.csv", text).refused(), format!("a.csv: {expected}"));
    }
    let long = format!("x\n1\n{}\n", "1".repeat(1 << 21));
    assert!(
        Kept::new("a.csv", long).refused().starts_with("a.csv: line 3 must be at most 1048576 bytes long, got `11")
    );
    let wide = format!("{}\n", "1,".repeat(4097));
    assert_eq!(
        Kept::new("a.csv", wide).refused(),
        "a.csv: number of columns must be at most 4096, got `more than 4096`"
    );
}

#[test]
fn an_error_far_down_is_told_when_it_is_reached() {
    let mut rows: String = (0..5000).map(|n| format!("{n},1\n")).collect();
    rows.push_str("5000,what\n");
    let file = Kept::new("a.csv", format!("time,x\n{rows}"));
    let source = open(&file.path()).expect("the first rows are good");

    let blocks: Vec<_> = source.blocks(0, 4900).expect("a stream").collect();

    let [Err(error)] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let expected = "a.csv: line 5002, column 2 (x) must be a number, got `what`";
    assert_eq!(without_dir(error, file.path().parent().expect("a directory")), expected);
}

#[test]
fn a_last_line_that_was_cut_is_left_out_and_said() {
    let source = Kept::new("a.csv", "time,x,y\n0,1,2\n1,3,4\n2,5").open();
    assert_eq!(source.about().warnings, ["line 4 is cut, it is left out"]);
    assert_eq!(values(&*source), [[1.0, 2.0], [3.0, 4.0]]);
}

#[test]
fn a_table_without_rows_has_no_samples() {
    let source = Kept::new("a.csv", "sample,time_s,x [uV],marker\n").open();
    assert_eq!((channels(&*source), values(&*source).len()), (vec![("x", "uV")], 0));
}

#[test]
fn more_columns_than_a_stream_can_hold_are_several_streams() {
    let row = |n: usize| (0..600).map(|column| format!("{}", column * 10 + n)).collect::<Vec<_>>().join(",");
    let source = Kept::new("a.csv", format!("{}\n{}\n", row(0), row(1))).open();
    let widths: Vec<_> = source.streams().iter().map(|s| (&*s.name, s.spec.channels.len())).collect();
    assert_eq!(widths, [("signals", 256), ("signals_2", 256), ("signals_3", 88)]);
    assert_eq!(frames(&*source, 2)[1].1[..2], [5121.0, 5131.0]);
}
