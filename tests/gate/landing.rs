//! Where a change lands: exactly between two packets, from the sample that the answer names.
use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    common::wait_until,
    rig::{KEPT, close, edit, open, update},
};

const CHANGES: usize = 300;

/// Numbers that look random and are the same in every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn every_sample_before_a_change_has_the_old_gain_and_every_one_from_it_on_the_new() {
    let keep = |id: &str, place: u32| json!({ "id": id, "type": "keep", "params": { "place": place } });
    let session = open(&json!({ "version": 1, "name": "landing",
        "stages": [
            { "id": "board", "type": "synthetic", "params":
                { "channels": 2, "signal": "ramp", "pace": "max", "batch": 7 } },
            { "id": "volts", "type": "to_voltage" }, { "id": "gain1", "type": "gain" },
            keep("before", 1), keep("after", 2) ],
        "connections": [
            { "from": "board", "to": "volts" }, { "from": "volts", "to": "gain1" },
            { "from": "volts", "to": "before" }, { "from": "gain1", "to": "after" } ] }));
    let sent = || session.snapshot().telemetry.stages[0].outputs[0].1.sent_samples;
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut changes = vec![(0, 1.0)];
    for _ in 0..CHANGES {
        let until = sent() + random(&mut state) % 2000;
        wait_until("samples", || sent() >= until);
        let gain = (random(&mut state) % 1_000_000) as f64 / 1000.0 - 500.0;
        let applied = update(&session, &edit("gain1", "gain", gain), "test").expect("free");
        assert_eq!((applied.epoch as usize, &applied.value), (changes.len(), &json!(gain)));
        changes.push((applied.at_sample, gain as f32));
    }
    close(&session);

    let (before, after) = (KEPT[1].lock().expect("no panic"), KEPT[2].lock().expect("no panic"));
    assert!(before.samples.len() == after.samples.len() && before.samples.len() > 2 * CHANGES);
    let mut place = 0;
    for header in &after.headers {
        let epoch = header.param_epoch as usize;
        let in_force = changes.partition_point(|(at_sample, _)| *at_sample <= header.first_sample) - 1;
        assert_eq!(epoch, in_force, "at sample {}", header.first_sample);
        let values = place..place + 2 * header.batch_size as usize;
        for (old, new) in before.samples[values.clone()].iter().zip(&after.samples[values.clone()]) {
            assert_eq!(*new, *old * changes[epoch].1, "in the packet from sample {}", header.first_sample);
        }
        place = values.end;
    }
    let starts: BTreeSet<u64> = after.headers.iter().map(|header| header.first_sample).collect();
    assert!(changes.iter().all(|(at_sample, _)| starts.contains(at_sample)), "each lands between two packets");
    assert!(before.headers.iter().all(|header| header.param_epoch == 0), "nothing changed upstream");
}
