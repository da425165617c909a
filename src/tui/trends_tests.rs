use std::time::Duration;

use super::{super::fixtures, *};

/// A look every 100 ms over so many seconds; `change` gets the number of the look.
fn watch(trends: &mut Trends, snapshot: &mut Snapshot, seconds: u64, change: impl Fn(u64, &mut Telemetry)) {
    for look in 0..seconds * 10 {
        trends.notice(snapshot);
        snapshot.telemetry.at_ns += SECOND_NS / 10;
        change(look, &mut snapshot.telemetry);
    }
    trends.notice(snapshot);
}

#[test]
fn a_second_keeps_its_fullest_moment() {
    let (mut trends, mut snapshot) = (Trends::default(), fixtures::snapshot());
    watch(&mut trends, &mut snapshot, 3, |look, telemetry| {
        telemetry.edges[0].counts.in_flight_packets = if look == 14 { 40 } else { 2 };
    });
    assert_eq!(trends.fullest(0).collect::<Vec<_>>(), [8, 40, 2, 2]);
}

#[test]
fn a_minute_is_remembered_and_no_more() {
    let (mut trends, mut snapshot) = (Trends::default(), fixtures::snapshot());
    watch(&mut trends, &mut snapshot, 75, |_, telemetry| {
        telemetry.stages[1].packets += 2;
        telemetry.edges[1].counts.dropped_packets += 1;
    });
    assert_eq!(trends.rates(1).count(), SECONDS);
    assert!(trends.rates(1).all(|rate| (rate - 20.0).abs() < 1e-6));
    assert_eq!(trends.dropped(1), 600);
}

#[test]
fn call_times_are_those_of_the_last_ten_seconds() {
    let (mut trends, mut snapshot) = (Trends::default(), fixtures::snapshot());
    let slow: CallTimes = [(100, Duration::from_millis(8))].into_iter().collect();
    snapshot.telemetry.stages[1].times = slow;
    watch(&mut trends, &mut snapshot, 12, |_, _| {});
    assert_eq!(trends.recent_times(&snapshot.telemetry, 1).calls(), 0);
    let both = [(100, Duration::from_millis(8)), (5, Duration::from_micros(10))].into_iter().collect();
    snapshot.telemetry.stages[1].times = both;
    let recent = trends.recent_times(&snapshot.telemetry, 1);
    assert_eq!((recent.calls(), recent.percentile(0.99)), (5, Some(Duration::from_nanos(10_240))));
}

#[test]
fn another_pipeline_begins_anew() {
    let (mut trends, mut snapshot) = (Trends::default(), fixtures::snapshot());
    watch(&mut trends, &mut snapshot, 5, |_, _| {});
    snapshot.generation += 1;
    trends.notice(&snapshot);
    assert_eq!(trends.rates(0).count(), 0);
}

#[test]
fn counters_since_zero_leave_the_snapshot_as_it_is() {
    let mut snapshot = fixtures::snapshot();
    snapshot.telemetry.edges[1].counts.dropped_packets = 7;
    let mut zero = Zero::now(&snapshot, 5);
    snapshot.telemetry.edges[1].counts.dropped_packets = 9;
    snapshot.telemetry.pools[0].misses = 3;
    snapshot.telemetry.edges[1].counts.in_flight_packets = 5;
    assert!(zero.notice(&snapshot));
    let since = zero.since(&snapshot.telemetry);
    assert_eq!((since.edges[1].counts.dropped_packets, since.pools[0].misses), (2, 3));
    assert_eq!(snapshot.telemetry.edges[1].counts.dropped_packets, 9);
    // Never fuller than it was before: only what was seen is known.
    assert_eq!(zero.high_water(&snapshot.telemetry, 1), (5, false));
    snapshot.telemetry.edges[1].counts.high_water = 12;
    assert_eq!(zero.high_water(&snapshot.telemetry, 1), (12, true));
    snapshot.generation += 1;
    assert!(!zero.notice(&snapshot));
}

#[test]
fn the_longest_call_since_zero_is_not_the_one_before() {
    let mut snapshot = fixtures::snapshot();
    let stage = &mut snapshot.telemetry.stages[1];
    stage.times = [(10, Duration::from_millis(50))].into_iter().collect();
    stage.worst = Duration::from_millis(50);
    let zero = Zero::now(&snapshot, 0);
    snapshot.telemetry.stages[1].times =
        [(10, Duration::from_millis(50)), (10, Duration::from_micros(100))].into_iter().collect();
    let stage = &zero.since(&snapshot.telemetry).stages[1];
    assert!(stage.worst >= Duration::from_micros(100) && stage.worst <= Duration::from_micros(125), "{stage:?}");
    assert_eq!(stage.times.calls(), 10);
}
