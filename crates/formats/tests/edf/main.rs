//! EDF+ and BDF+ files, read by the letter of the standard.
#[path = "../made/mod.rs"]
mod made;
mod parser;

use made::{Made, START_NS, exported, rate};
use parser::{File, parse};
use proptest::prelude::*;
use tempfile::tempdir;
use wavedeck_api::signal::{ChannelSpec, Rate};
use wavedeck_formats::{ExportError, ExportOptions, ExportSummary, Format, Source};
use wavedeck_recording::Samples;

fn file_of(source: &dyn Source, format: Format) -> (File, ExportSummary) {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out");
    let (bytes, summary) = exported(source, format, &ExportOptions::default(), &path).expect("exported");
    (parse(&bytes, if format == Format::Bdf { 3 } else { 2 }), summary)
}

fn microvolts(n: usize) -> Vec<ChannelSpec> {
    (1..=n).map(|n| ChannelSpec::counts(format!("CH{n}"), "µV", 0.022_351_741_790_771_484)).collect()
}

/// A count that is different at each place, within so many bits.
fn count(index: u64, channel: usize, bits: u32) -> i32 {
    let mixed = (index * 31 + channel as u64 * 7919).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (mixed as i32) >> (32 - bits)
}

fn counts(first: u64, frames: u64, channels: usize, bits: u32) -> Samples {
    let frames = first..first + frames;
    Samples::Counts(frames.flat_map(|index| (0..channels).map(move |channel| count(index, channel, bits))).collect())
}

#[test]
fn counts_stand_in_the_file_as_they_are_and_a_gap_repeats_the_last() {
    let runs = vec![(100, counts(100, 300, 2, 24)), (450, counts(450, 100, 2, 24))];
    let source = Made::new(rate(250, 1), microvolts(2), runs).mark(150, "blink", Some(0.25)).mark(420, "lost", None);

    let (file, summary) = file_of(&source, Format::Bdf);

    assert_eq!((file.records, file.record_s), (2, 1.0));
    for (channel, signal) in file.signals.iter().enumerate() {
        assert_eq!((signal.label.as_str(), signal.unit.as_str()), (["CH1", "CH2"][channel], "uV"));
        for frame in 0..500u64 {
            let index = 100 + frame;
            let index = if (400..450).contains(&index) { 399 } else { index.min(549) };
            assert_eq!(signal.values[frame as usize], i64::from(count(index, channel, 24)), "{frame}");
        }
        let (got, wanted) = (signal.in_unit(1_000_000), 1e6 * 0.022_351_741_790_771_484);
        assert!((got / wanted - 1.0).abs() < 1e-6, "{got}, {wanted}");
    }
    let said: Vec<_> = file.annotations.iter().map(|a| (a.onset - file.first, a.duration_s, a.text.as_str())).collect();
    let expected = [
        (2_000_000, Some(0.25), "blink"),
        (12_000_000, Some(0.2), "BAD_ACQ_SKIP"),
        (12_800_000, None, "lost"),
        (18_000_000, Some(0.2), "BAD_PADDING (data end here)"),
    ];
    assert_eq!(said, expected);
    assert_eq!((summary.rows, summary.gaps, summary.missing, summary.markers), (400, 1, 50, 2));
    assert!(summary.remarks[0].contains("50 missing frames repeat the last one"), "{summary:?}");
    assert_eq!(summary.warnings, [] as [String; 0]);
}

#[test]
fn the_header_says_when_and_of_whom() {
    let source = Made::new(rate(250, 1), microvolts(1), vec![(0, counts(0, 10, 1, 16))]);

    let (file, _) = file_of(&source, Format::Bdf);
    let (undated, _) = file_of(&source.without_date(), Format::Bdf);

    assert_eq!(file.patient, "X X X Jane_Doe");
    // The zone is that of the machine, so the hour is not looked at.
    assert!(
        file.recording.starts_with("Startdate 2") && file.recording.ends_with("NOV-2026 X X a_board"),
        "{}",
        file.recording
    );
    assert!(file.start.contains(".11.26 ") && file.start.ends_with(".38"), "{}", file.start);
    assert_eq!(file.first, (START_NS % 1_000_000_000 + 50) / 100);
    assert_eq!((undated.recording.as_str(), undated.start.as_str()), ("Startdate X X X a_board", "01.01.85 00.00.00"));
}

#[test]
fn what_16_bits_cannot_hold_is_rounded_and_said() {
    let source = Made::new(rate(250, 1), microvolts(1), vec![(0, counts(0, 500, 1, 24))]);

    let (file, summary) = file_of(&source, Format::Edf);

    let signal = &file.signals[0];
    let step = (signal.physical.1 - signal.physical.0) / 65_535.0;
    for frame in 0..500 {
        let wanted = f64::from(count(frame, 0, 24)) * 0.022_351_741_790_771_484;
        let error = (signal.in_unit(signal.values[frame as usize]) - wanted).abs();
        assert!(error <= 0.500_001 * step, "{error} of {step}");
    }
    assert!(
        summary.warnings[0].contains("16 bits hold steps of 5.690 ")
            && summary.warnings[0].contains("steps of 0.02235 "),
        "{summary:?}"
    );
}

#[test]
fn values_keep_their_range_and_what_is_no_number_is_counted() {
    let values = vec![0.5f32, f32::NAN, -1.5, f32::INFINITY, 1.5];
    let source = Made::new(rate(5, 1), vec![ChannelSpec::physical("Größe", "mV")], vec![(0, Samples::Values(values))]);

    let (file, summary) = file_of(&source, Format::Bdf);

    let signal = &file.signals[0];
    let back: Vec<f64> = signal.values.iter().map(|value| signal.in_unit(*value)).collect();
    for (back, wanted) in back.iter().zip([0.5, 0.5, -1.5, 1.5, 1.5]) {
        assert!((back - wanted).abs() < 2e-6, "{back}, {wanted}");
    }
    let said = summary.warnings.join("\n");
    for part in ["Größe is Groesse", "1 samples beyond the range", "1 samples that are no number"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn more_marks_than_a_record_holds_go_into_others() {
    let mut source = Made::new(rate(10, 1), microvolts(1), vec![(0, counts(0, 100, 1, 16))]);
    for n in 0..300 {
        source = source.mark(if n < 150 { 5 } else { 99 }, &format!("mark {n}"), None);
    }

    let (file, summary) = file_of(&source, Format::Edf);

    assert_eq!(summary.markers, 300);
    assert!(file.record_bytes < 2000, "{}", file.record_bytes);
    let mut texts: Vec<String> = file.annotations.into_iter().map(|annotation| annotation.text).collect();
    let mut expected: Vec<String> = (0..300).map(|n| format!("mark {n}")).collect();
    texts.sort();
    expected.sort();
    assert_eq!(texts, expected);
}

#[test]
fn nothing_to_write_and_a_gap_without_end_are_refused() {
    let dir = tempdir().expect("a directory");
    let path = dir.path().join("out");
    let refuse = |source: &Made| exported(source, Format::Bdf, &ExportOptions::default(), &path).err();
    let empty = Made::new(rate(250, 1), microvolts(1), Vec::new());
    let endless = vec![(0, counts(0, 10, 1, 16)), (1 << 40, counts(1 << 40, 10, 1, 16))];
    let endless = Made::new(rate(250, 1), microvolts(1), endless);

    for source in [&empty, &endless] {
        assert!(matches!(refuse(source), Some(ExportError::Unfit { .. })), "{:?}", refuse(source));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
}

fn rates() -> impl Strategy<Value = Rate> {
    let known =
        [(30_000, 1001), (250, 1), (1000, 3), (44_100, 1), (22_050, 1), (1, 60), (16_000, 1), (44_101, 1), (125, 16)];
    prop_oneof![prop::sample::select(known.to_vec()), (1u64..100_000, 1u64..100)]
        .prop_map(|(numerator, denominator)| rate(numerator, denominator))
}

fn widths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..10, 1 => Just(256usize)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_of_counts_reads_back(
        rate in rates(),
        width in widths(),
        frames in 1u64..400,
        gap in 0u64..100,
        bits in 2u32..=32,
        is_bdf in any::<bool>(),
        scale in (-9i32..9, 1.0f64..10.0).prop_map(|(power, digits)| digits * 10f64.powi(power)),
        offset in prop_oneof![Just(0.0), -5.0f64..5.0],
        unit in prop::sample::select(vec!["uV", "V", "", "furlongs", "mmHg"]),
        marks in prop::collection::vec((0u64..500, "\\PC{0,200}", prop::option::of(0.0f64..100.0)), 0..12),
    ) {
        let channel = |n: usize| ChannelSpec { offset, ..ChannelSpec::counts(format!("CH{n}"), unit, scale) };
        let channels: Vec<_> = (0..width).map(channel).collect();
        let second = 7 + frames + gap;
        let runs = vec![(7, counts(7, frames, width, bits)), (second, counts(second, frames, width, bits))];
        let mut source = Made::new(rate, channels.clone(), runs);
        for (index, label, duration_s) in &marks {
            source = source.mark(7 + index, label, *duration_s);
        }
        let (format, own_bits) = if is_bdf { (Format::Bdf, 24) } else { (Format::Edf, 16) };

        let (file, summary) = file_of(&source, format);

        let total = 2 * frames + gap;
        let rate_in_file = (file.signals[0].values.len() / file.records) as f64 / file.record_s;
        let rate_error = (rate_in_file / rate.hz() - 1.0).abs();
        prop_assert!(rate_error < 1e-9 || rate_error < 1e-3 && summary.warnings.iter().any(|w| w.contains("record length")), "{rate}: {rate_in_file}");
        // Each with the unit written: a factor may stand between it and the channel's own.
        for (number, (signal, channel)) in file.signals.iter().zip(&channels).enumerate() {
            prop_assert!(signal.values.len() as u64 >= total);
            let true_value = |count: i32| f64::from(count) * channel.scale + channel.offset;
            let ends = (true_value(-1 << (bits - 1)), true_value(((1i64 << (bits - 1)) - 1) as i32));
            let span = (ends.1 - ends.0).abs();
            let factor = factor_of(&signal.unit, unit);
            let mut shifts = std::collections::BTreeSet::new();
            for frame in 0..total {
                let is_lost = (frames..frames + gap).contains(&frame);
                let index = if is_lost { 7 + frames - 1 } else { 7 + frame };
                let wanted = count(index, number, bits);
                let digital = signal.values[frame as usize];
                shifts.insert(i64::from(wanted) - digital);
                let got = signal.in_unit(digital) / factor;
                let step = if bits > own_bits { span / f64::from(1u32 << own_bits) } else { 0.0 };
                // A thousandth is what little room a header has for very odd scales; the writer warns of it.
                let allowed = if summary.warnings.iter().any(|w| w.contains("eight characters") || w.contains("rounded")) { 1e-3 } else { 2e-6 };
                let full = channel.scale * f64::from(1u32 << own_bits);
                let largest = if bits <= own_bits { full } else { span } + channel.offset.abs();
                prop_assert!((got - true_value(wanted)).abs() <= step + allowed * largest, "{got} {} {} {:?}", true_value(wanted), signal.unit, signal.physical);
            }
            if bits <= own_bits && !summary.warnings.iter().any(|w| w.contains("rounded")) {
                prop_assert_eq!(shifts.len(), 1);
            }
        }
        let is_long = file.record_bytes > 61_440 && rate_error == 0.0;
        prop_assert!(!is_long || file.record_bytes <= (1 << 20) + 20_000, "{} bytes", file.record_bytes);
        let texts = |label: &str| file.annotations.iter().filter(|a| a.text == label).map(|a| a.onset - file.first).collect::<Vec<_>>();
        for (index, label, _) in &marks {
            let cut = label.len() > 500;
            let label = if label.is_empty() { "mark" } else { label };
            let at = (*index).min(total - 1);
            let wanted = at as f64 / rate_in_file * 1e7;
            let found = texts(label);
            prop_assert!(cut || found.iter().any(|onset| (*onset as f64 - wanted).abs() < 2.0), "{label} at {wanted}, not {found:?}");
        }
        prop_assert_eq!(texts("BAD_ACQ_SKIP").len(), usize::from(gap > 0));
        prop_assert_eq!(file.annotations.len(), marks.len() + usize::from(gap > 0) + usize::from(file.signals[0].values.len() as u64 > total));
    }

    #[test]
    fn any_stream_of_values_reads_back(
        rate in rates(),
        values in prop::collection::vec(any::<f32>(), 1..300),
        is_bdf in any::<bool>(),
    ) {
        let source = Made::new(rate, vec![ChannelSpec::physical("x", "V")], vec![(0, Samples::Values(values.clone()))]);
        let (format, bits) = if is_bdf { (Format::Bdf, 24) } else { (Format::Edf, 16) };

        let (file, _) = file_of(&source, format);

        let signal = &file.signals[0];
        let factor = factor_of(&signal.unit, "V");
        let step = (signal.physical.1 - signal.physical.0) / f64::from(1u32 << bits);
        for (digital, value) in signal.values.iter().zip(&values) {
            if value.is_finite() {
                let error = (signal.in_unit(*digital) - f64::from(*value) * factor).abs();
                prop_assert!(error <= 0.6 * step, "{value} {error} {step} {:?}", signal.physical);
            }
        }
    }
}

/// What a value in the channel's unit is multiplied by to be in the one written.
fn factor_of(written: &str, own: &str) -> f64 {
    let power = |unit: &str| match unit {
        "pV" => -12,
        "nV" => -9,
        "uV" => -6,
        "mV" => -3,
        "kV" => 3,
        "MV" => 6,
        "GV" => 9,
        _ => 0,
    };
    if let Some(rest) = written.strip_prefix("1e") {
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        return 10f64.powi(-digits.parse::<i32>().expect("a power"));
    }
    10f64.powi(power(own) - power(written))
}
