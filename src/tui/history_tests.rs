use super::{super::fixtures, *};

fn history(rate_hz: f64) -> History {
    History::new(&fixtures::stream(2, rate_hz))
}

fn columns(history: &History, seconds: f64, dots: usize) -> (Sweep, Vec<Column>) {
    let sweep = history.sweep(seconds, dots);
    let columns = history.columns(&[1], &sweep).remove(0);
    (sweep, columns)
}

#[test]
fn a_column_holds_the_smallest_and_largest_value_of_its_time() {
    let mut history = history(100.0);
    fixtures::feed(&mut history, 0, 150, |sample, channel| (sample * (channel as u64)) as f32);

    let (sweep, columns) = columns(&history, 2.0, 20);

    assert_eq!(sweep.cursor, 14);
    assert_eq!(columns[0], Column::Range { min: 0.0, max: 9.0 });
    assert_eq!(columns[14], Column::Range { min: 140.0, max: 149.0 });
    assert_eq!(columns[15], Column::Empty);
}

#[test]
fn the_sweep_wraps_and_keeps_the_pass_before_right_of_the_cursor() {
    let mut history = history(100.0);
    fixtures::feed(&mut history, 0, 250, |sample, _| sample as f32);

    let (sweep, columns) = columns(&history, 2.0, 20);

    assert_eq!(sweep.cursor, 4);
    assert_eq!(columns[0], Column::Range { min: 200.0, max: 209.0 });
    assert_eq!(columns[5], Column::Range { min: 50.0, max: 59.0 });
    assert_eq!(columns[19], Column::Range { min: 190.0, max: 199.0 });
}

#[test]
fn three_cells_before_the_cursor_are_erased() {
    let mut history = history(100.0);
    fixtures::feed(&mut history, 0, 250, |sample, _| sample as f32);

    let (sweep, _) = columns(&history, 2.0, 20);

    let erased: Vec<usize> = (0..10).filter(|cell| sweep.is_erased(*cell)).collect();
    assert_eq!(erased, [3, 4, 5]);
}

#[test]
fn packets_cut_anywhere_make_the_same_columns() {
    for rate_hz in [20.0, 250.0, 5000.0] {
        let end = (rate_hz * 23.0) as u64;
        let wave = |sample: u64, channel: usize| (sample as f32 * 0.01).sin() * (channel + 1) as f32;
        let (mut whole, mut cut) = (history(rate_hz), history(rate_hz));
        fixtures::feed(&mut whole, 7, end, wave);
        let mut at = 7;
        for length in [1, 2, 3, 5, 8, 13, 21].into_iter().cycle() {
            let next = (at + length).min(end);
            fixtures::feed(&mut cut, at, next, wave);
            at = next;
            if at == end {
                break;
            }
        }
        for seconds in [2.0, 10.0, 30.0, 60.0] {
            for dots in [2, 40, 300] {
                assert_eq!(columns(&whole, seconds, dots), columns(&cut, seconds, dots), "{rate_hz} {seconds} {dots}");
            }
        }
        assert_eq!(whole.numbers(1, 10.0), cut.numbers(1, 10.0));
    }
}

#[test]
fn coarse_and_fine_levels_agree_with_the_samples_themselves() {
    let rate_hz = 1000.0;
    let mut history = history(rate_hz);
    let wave = |sample: u64, _: usize| ((sample * 7919) % 1009) as f32;
    fixtures::feed(&mut history, 0, 61_000, wave);
    for seconds in [2.0, 10.0, 60.0] {
        let (sweep, columns) = columns(&history, seconds, 120);
        for (dot, column) in columns.iter().enumerate().filter(|(dot, _)| *dot < sweep.cursor) {
            let Column::Range { min, max } = *column else { panic!("{seconds} {dot}: {column:?}") };
            let frames = sweep.frames_of(dot);
            // Bins belong to the column they begin in: up to one bin from the neighbour may come in.
            let exact = frames
                .clone()
                .map(|sample| wave(sample, 1))
                .fold((f32::MAX, f32::MIN), |a, v| (a.0.min(v), a.1.max(v)));
            assert!(min >= 0.0 && max <= 1009.0);
            if sweep.level == 0 {
                assert_eq!((min, max), exact, "{seconds} {dot}");
            }
        }
    }
}

#[test]
fn missing_samples_leave_a_gap_in_the_columns() {
    let mut history = history(100.0);
    fixtures::feed(&mut history, 0, 50, |_, _| 1.0);
    fixtures::feed(&mut history, 80, 150, |_, _| 1.0);

    let (_, columns) = columns(&history, 2.0, 20);

    assert_eq!(columns[4], Column::Range { min: 1.0, max: 1.0 });
    assert_eq!(columns[5..8], [Column::Gap; 3]);
    assert_eq!(columns[8], Column::Range { min: 1.0, max: 1.0 });
    assert_eq!(history.gaps().copied().collect::<Vec<_>>(), [Gap { first: 50, samples: 30, why: Why::Lost }]);
}

#[test]
fn a_slow_stream_holds_its_value_between_samples() {
    let mut history = history(2.0);
    fixtures::feed(&mut history, 0, 8, |sample, _| sample as f32);

    let (_, columns) = columns(&history, 10.0, 100);

    assert_eq!(columns[1], Column::Range { min: 0.0, max: 0.0 });
    assert_eq!(columns[7], Column::Range { min: 1.0, max: 1.0 });
    assert!(columns[..36].iter().all(|column| matches!(column, Column::Range { .. })));
}

#[test]
fn a_jump_back_begins_anew() {
    let mut history = history(100.0);
    fixtures::feed(&mut history, 1000, 1500, |_, _| 1.0);
    fixtures::feed(&mut history, 200, 250, |_, _| 2.0);

    assert_eq!((history.first(), history.end(), history.restarts()), (Some(200), 250, 1));
    assert_eq!(history.numbers(0, 10.0).map(|n| (n.min, n.max)), Some((2.0, 2.0)));
    assert_eq!(history.gaps().count(), 0);
}

#[test]
fn numbers_are_those_of_the_newest_seconds() {
    let mut history = history(1000.0);
    fixtures::feed(&mut history, 0, 60_000, |sample, _| if sample < 30_000 { 1e6 } else { 5.0 + (sample % 2) as f32 });

    let numbers = history.numbers(0, 10.0).expect("data");

    assert_eq!((numbers.min, numbers.max), (5.0, 6.0));
    assert!((numbers.mean - 5.5).abs() < 1e-9 && (numbers.rms - 0.5).abs() < 1e-6, "{numbers:?}");
}

#[test]
fn counts_are_shown_in_the_unit_of_their_channel() {
    let mut spec = fixtures::stream(1, 100.0);
    spec.kind = SignalKind::Counts;
    spec.channels = [wavedeck_api::signal::ChannelSpec::counts("A", "uV", 0.5)].into();
    let mut history = History::new(&spec);
    fixtures::feed(&mut history, 0, 10, |_, _| 84.0);
    assert_eq!(history.last(0), Some(42.0));
}

#[test]
fn memory_is_bounded_at_any_rate() {
    for rate_hz in [0.5, 250.0, 16_000.0, 200_000.0] {
        let history = history(rate_hz);
        assert!(history.levels.len() <= 5, "{rate_hz}: {}", history.levels.len());
        let last = history.levels.last().expect("a level");
        assert!((last.frames * BINS) as f64 >= LONGEST_S * rate_hz);
    }
}
