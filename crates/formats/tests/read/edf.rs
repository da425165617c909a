//! EDF and BDF.
use wavedeck_api::signal::{ChannelSpec, SignalKind};
use wavedeck_formats::{ExportOptions, Format, Source};
use wavedeck_recording::Samples;

use crate::{
    Kept, frames,
    hand::{Edf, sample},
    made::{Made, START_NS, exported, rate},
    marks, missing,
};

/// 2024-03-02 10:20:30 by the clock of this machine.
fn start_ns(source: &dyn Source) -> String {
    let start_ns = source.about().start_unix_ns.expect("a start");
    let local = wavedeck_recording::LocalTime::at(start_ns);
    format!("{} {}", local.file_stamp(), start_ns % 1_000_000_000)
}

fn samples(signals: &[usize], frames: std::ops::Range<usize>) -> Vec<Vec<f64>> {
    frames.map(|frame| signals.iter().map(|signal| f64::from(sample(*signal, frame))).collect()).collect()
}

fn values(frames: Vec<(u64, Vec<f64>)>) -> Vec<Vec<f64>> {
    frames.into_iter().map(|(_, frame)| frame).collect()
}

#[test]
fn samples_scales_and_names_are_those_of_the_file() {
    for reserved in ["", "EDF+C", "BDF+C", "BDF"] {
        let lists = ["+0\x14\x14\0", "+1\x14\x14\0", "+2\x14\x14\0"];
        let edf = Edf::new(reserved).signal("EEG Fp1", 50).signal("EEG Fp2", 50).lists(&lists);
        let file = Kept::new("a.edf", edf.bytes());

        let source = file.open();

        let [stream] = source.streams() else { panic!("one stream") };
        assert_eq!(
            (stream.name.as_str(), stream.spec.rate, stream.spec.kind),
            ("signals", rate(50, 1), SignalKind::Counts)
        );
        assert_eq!(values(frames(&*source, 0)), samples(&[0, 1], 0..150));
        for (n, (channel, name)) in stream.spec.channels.iter().zip(["EEG Fp1", "EEG Fp2"]).enumerate() {
            let end = 100.0 * (n + 1) as f64;
            assert_eq!((channel.name.as_str(), channel.unit.as_str(), channel.range), (name, "uV", Some((-end, end))));
            assert!((32_767.0 * channel.scale + channel.offset - end).abs() < 1e-9);
            assert!((-32_768.0 * channel.scale + channel.offset + end).abs() < 1e-9);
        }
        let format = if reserved.is_empty() { "EDF" } else { reserved };
        assert_eq!((source.about().format.as_str(), &*source.about().warnings), (format, &[] as &[String]));
    }
}

#[test]
fn signals_of_two_rates_are_two_streams() {
    let edf = Edf::new("EDF+C").signal("a", 30).signal("slow", 2).signal("b", 30).lists(&["+0\x14\x14\0"; 4]);
    let file = Kept::new("a.edf", Edf { duration: "1.001".into(), ..edf }.bytes());

    let source = file.open();

    let about: Vec<_> = source.streams().iter().map(|s| (s.name.as_str(), s.spec.rate, s.end_index)).collect();
    assert_eq!(about, [("signals_29.97hz", rate(30_000, 1001), 120), ("signals_1.998hz", rate(2000, 1001), 8)]);
    assert_eq!(values(frames(&*source, 0)), samples(&[0, 2], 0..120));
    assert_eq!(values(frames(&*source, 1)), samples(&[1], 0..8));
}

#[test]
fn time_between_records_is_missing_and_indices_count_through_it() {
    let lists = ["+0.5\x14\x14\0", "+1.5\x14\x14\0+2\x151.25\x14held\x14\0", "+4.1\x14\x14\0", "+5.1\x14\x14\0"];
    let edf = Edf::new("EDF+D").signal("a", 10).signal("slow", 2).lists(&lists);
    let file = Kept::new("a.edf", edf.bytes());

    let source = file.open();

    assert_eq!(start_ns(&*source), "2024-03-02_10-20-30 500000000");
    assert_eq!((missing(&*source, 0), missing(&*source, 1)), (vec![(20, 16)], vec![(4, 3)]));
    let fast = frames(&*source, 0);
    assert!(fast.iter().map(|frame| frame.0).eq((0..20).chain(36..56)));
    assert_eq!(values(fast), samples(&[0], 0..40));
    assert_eq!(frames(&*source, 1).iter().map(|frame| frame.0).collect::<Vec<_>>(), [0, 1, 2, 3, 7, 8, 9, 10]);
    assert_eq!(marks(&*source), [(1_500_000_000, Some(1.25), "held")]);
    assert_eq!(source.missing()[0].reason, "discontinuous");
}

#[test]
fn a_continuous_file_has_no_gaps_whatever_its_records_say() {
    let file = Kept::new("a.edf", Edf::new("EDF+C").signal("a", 10).lists(&["+0\x14\x14\0", "+9\x14\x14\0"]).bytes());
    let source = file.open();
    assert_eq!((source.missing().len(), source.streams()[0].end_index), (0, 20));
}

#[test]
fn what_is_whole_of_a_file_that_was_cut_is_read() {
    let edf = Edf::new("BDF+C").signal("a", 10).lists(&["+0\x14\x14\0+0.1\x14x\x14\0", "+1\x14\x14\0", "+2\x14\x14\0"]);
    let whole = edf.bytes();
    let open_ended = Edf { said_records: Some("-1".into()), ..edf }.bytes();
    let cases = [
        (&whole[..whole.len() - 1], 20, "header counts 3 records, the file was cut after 2"),
        (&open_ended[..], 30, "file was not closed, it holds 3 records"),
        (
            &open_ended[..whole.len() - 1],
            20,
            "file was not closed, it holds 2 records and a part of one, which is left out",
        ),
    ];
    for (bytes, end, warning) in cases {
        let file = Kept::new("a.bdf", bytes);
        let source = file.open();
        assert_eq!(source.about().warnings, [warning]);
        assert_eq!(values(frames(&*source, 0)), samples(&[0], 0..end));
        assert_eq!(marks(&*source), [(100_000_000, None, "x")]);
    }
}

#[test]
fn the_header_says_who_and_when() {
    let plus = Edf {
        patient: "MCH-0234567 F 02-MAY-1951 Jane_Doe left".into(),
        recording: "Startdate 02-MAR-2024 PSG-1234/2024 J._Smith Telemetry03 night two".into(),
        date: "02.03.85".into(),
        ..Edf::new("EDF+C").signal("a", 1).lists(&["+0.25\x14\x14\0"])
    };
    let plain = Edf {
        patient: "Jane Doe".into(),
        recording: "sleep lab".into(),
        date: "31.12.99".into(),
        ..Edf::new("").signal("a", 1)
    };
    let file = Kept::new("a.edf", plus.bytes());
    let old = Kept::new("a.edf", plain.bytes());

    let (source, old) = (file.open(), old.open());

    let about = source.about();
    assert_eq!([&about.subject, &about.session, &about.operator], ["Jane Doe", "PSG-1234/2024", "J. Smith"]);
    assert_eq!(about.notes, "patient code MCH-0234567; sex F; born 02-MAY-1951; left; night; two");
    assert_eq!(source.streams()[0].device, "Telemetry03");
    assert_eq!(start_ns(&*source), "2024-03-02_10-20-30 250000000");
    assert_eq!((&*old.about().subject, &*old.about().session), ("Jane Doe", "sleep lab"));
    assert_eq!(start_ns(&*old), "1999-12-31_10-20-30 0");
}

#[test]
fn two_digits_of_a_year_are_1985_to_2084_and_no_date_is_none() {
    let start = |date: &str, time: &str| {
        let edf = Edf { date: date.into(), time: time.into(), ..Edf::new("").signal("a", 1) };
        let source = Kept::new("a.edf", edf.bytes()).open();
        (source.about().start_unix_ns.map(|_| start_ns(&*source)), source.about().warnings.len())
    };
    assert_eq!(start("01.02.84", "00.00.00"), (Some("2084-02-01_00-00-00 0".into()), 0));
    assert_eq!(start("01.02.85", "00.00.00"), (Some("1985-02-01_00-00-00 0".into()), 0));
    assert_eq!(start("01.01.85", "00.00.00"), (None, 0));
    assert_eq!(start("31.02.24", "00.00.00"), (None, 1));
    assert_eq!(start("abc", "x"), (None, 1));
}

#[test]
fn more_signals_than_a_stream_can_hold_are_several_streams() {
    let edf = (0..300).fold(Edf::new(""), |edf, n| edf.signal(&format!("s{n}"), 3));
    let file = Kept::new("a.edf", edf.bytes());

    let source = file.open();

    let widths: Vec<_> = source.streams().iter().map(|s| (s.name.as_str(), s.spec.channels.len())).collect();
    assert_eq!(widths, [("signals", 256), ("signals_2", 44)]);
    assert_eq!(values(frames(&*source, 1)), samples(&(256..300).collect::<Vec<_>>(), 0..3));
}

#[test]
fn errors_name_the_field_and_what_it_must_be() {
    let good = Edf::new("EDF+C").signal("a", 10).bytes();
    let with = |at: usize, text: &str| {
        let mut bytes = good.clone();
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        Kept::new("a.edf", bytes).refused()
    };
    let cases = [
        (with(252, "none"), "number of signals at byte 252 must be 1 to 9999, got `none`"),
        (with(252, "-2  "), "number of signals at byte 252 must be 1 to 9999, got `-2`"),
        (with(236, "many    "), "number of records at byte 236 must be a whole number, or -1 if not known, got `many`"),
        (with(244, "0       "), "duration of a record at byte 244 must be a positive number of seconds, got `0e0`"),
        (with(256 + 2 * 104, "x       "), "physical minimum of signal 1 (a) must be a number, got `x`"),
        (with(256 + 2 * 216, "99999999"), "samples per record of signal 1 (a) must be 0 to 33554432, got `99999999`"),
    ];
    for (error, expected) in cases {
        assert_eq!(error, format!("a.edf: {expected}"));
    }
    let cut = Kept::new("a.edf", &good[..700]).refused();
    assert_eq!(cut, "a.edf ends at byte 700 within its header, which takes 768 bytes");
}

#[test]
fn a_file_of_annotations_alone_is_read() {
    let edf = Edf {
        duration: "0".into(),
        ..Edf::new("EDF+C").lists(&["+0\x14\x14\0+3\x14a\x14\0", "+0\x14\x14\0+4\x14b\x14\0"])
    };
    let file = Kept::new("a.edf", edf.bytes());
    let source = file.open();
    assert_eq!(marks(&*source), [(3_000_000_000, None, "a"), (4_000_000_000, None, "b")]);
    assert_eq!(source.streams(), []);
}

#[test]
fn our_own_exports_come_back_with_their_gaps_and_marks() {
    let counts = |first: u64, n: u64| {
        let frames = first..first + n;
        Samples::Counts(frames.flat_map(|index| [index as i32 * 17 - 4000, 30_000 - index as i32]).collect())
    };
    for (numerator, denominator) in [(250, 1), (30_000, 1001), (1000, 3)] {
        let channels = vec![ChannelSpec::counts("CH1", "uV", 0.25), ChannelSpec::counts("CH2", "mV", 0.5)];
        let rate = rate(numerator, denominator);
        let source = Made::new(rate, channels, vec![(100, counts(100, 333)), (450, counts(450, 100))])
            .mark(101, "blink", Some(0.25))
            .mark(420, "start; stop", None)
            .mark(440, "in the gap", None)
            .mark(450, "größer", None);
        for format in [Format::Bdf, Format::Edf] {
            let file = Kept::new("a.edf", b"");
            exported(&source, format, &ExportOptions::default(), &file.path()).expect("exported");

            let back = file.open();

            assert_eq!(back.about().warnings, [] as [String; 0]);
            let [stream] = back.streams() else { panic!("one stream") };
            assert_eq!((stream.spec.rate, stream.device.as_str()), (rate, "a board"));
            assert_eq!((stream.first_index, stream.end_index), (0, 450));
            assert_eq!(missing(&*back, 0), [(333, 17)]);
            assert_eq!(back.missing()[0].reason, "skipped");
            let names: Vec<_> = stream.spec.channels.iter().map(|c| (c.name.as_str(), c.unit.as_str())).collect();
            assert_eq!(names, [("CH1", "uV"), ("CH2", "mV")]);
            for (index, frame) in frames(&*back, 0) {
                let index = index as f64 + 100.0;
                let wanted = [(index * 17.0 - 4000.0) * 0.25, (30_000.0 - index) * 0.5];
                for ((channel, count), wanted) in stream.spec.channels.iter().zip(frame).zip(wanted) {
                    assert!((count * channel.scale + channel.offset - wanted).abs() < 1e-2, "{format:?} {wanted}");
                }
            }
            let at = |index: u64| rate.nanoseconds_at(index - 100);
            let expected = [
                (at(101), Some(0.25), "blink"),
                (at(420), None, "start; stop"),
                (at(440), None, "in the gap"),
                (at(450), None, "größer"),
            ];
            assert_eq!(marks(&*back), expected);
            let start_ns = back.about().start_unix_ns.expect("a start");
            assert!(start_ns.abs_diff(START_NS + rate.nanoseconds_at(100)) <= 50);
            assert_eq!(back.about().subject, "Jane Doe");
        }
    }
}
