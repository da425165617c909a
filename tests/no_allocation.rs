//! In steady state no thread of the program allocates: measured over the whole process while the test only waits.
use std::{
    alloc::System,
    time::{Duration, Instant},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wavedeck_plane::{Graph, PipelineConfig, Plan, Runtime};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn plane_threads_do_not_allocate_after_the_start() {
    let config = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/demo.json")).expect("the demo");
    let config = PipelineConfig::from_json(&config).expect("a good config");
    let plan = Plan::new(&config, &wavedeck::registry().expect("distinct names")).expect("a good config");
    let graph = Graph::build(plan).expect("it builds");
    let (runtime, _events) = Runtime::launch(graph).expect("threads");
    runtime.go();
    let sent = || runtime.telemetry().stages[0].outputs[0].1.sent_samples;
    let wait_for = |samples: u64| {
        let begin = Instant::now();
        while sent() < samples {
            assert!(begin.elapsed() < Duration::from_secs(60), "no samples");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    // The first spectra and every stage's first packet are past.
    wait_for(1500);
    let first = sent();
    let before = ALLOCATOR.stats();
    std::thread::sleep(Duration::from_secs(2));
    let after = ALLOCATOR.stats();
    assert!(sent() > first + 250, "samples flowed while it was measured");
    let change = after - before;
    assert_eq!((change.allocations, change.reallocations, change.deallocations), (0, 0, 0), "{change:?}");
}
