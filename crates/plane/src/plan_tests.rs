//! Plans: what is refused, how pools and queues are sized, and who shares a thread.
use serde_json::{Value, json};

use crate::{
    Graph, PipelineConfig, Plan, StageRegistry,
    fixtures::{PASS, SINK, SOURCE},
    recording_tests::RECORD,
    tests::{chain, plan},
};

fn problems(config: &Value) -> Vec<String> {
    let problems = plan(config).err().expect("a config with mistakes");
    problems.list().iter().map(|problem| format!("{} {}", problem.at, problem.what)).collect()
}

#[test]
fn pools_hold_every_queue_behind_them_and_in_place_stages_count_through() {
    // a.out: queue 3 + 1 in b's hands + (b passes on: queue 3 + 1 in c's hands) + 1 being written = 9.
    // b.out: queue 3 + 1 in c's hands + 1 being written = 5.
    let plan = plan(&chain(json!({}), json!({}), json!({}), 3)).expect("a good config");
    let pools: Vec<_> = plan.stages.iter().map(|stage| stage.pools.clone()).collect();
    assert_eq!(pools, [vec![9], vec![5], vec![]]);
}

#[test]
fn a_pool_may_grow_but_not_shrink() {
    let mut config = chain(json!({}), json!({}), json!({}), 3);
    config["pools"] = json!([{ "name": "a.out", "packets": 8 }, { "name": "b.outt", "packets": 8 }]);
    let expected = ["/pools/0/packets `a.out` needs at least 9 packets, got 8", "/pools/1/name no pool `b.outt`"];
    assert_eq!(problems(&config), expected);
    config["pools"] = json!([{ "name": "a.out", "packets": 64 }]);
    assert_eq!(plan(&config).expect("enough").stages[0].pools, [64]);
}

#[test]
fn a_source_a_chain_and_a_sink_that_blocks_have_a_thread_each() {
    let config = json!({ "version": 1, "name": "t",
        "stages": [ { "id": "a", "type": "source" }, { "id": "b", "type": "pass" }, { "id": "c", "type": "pass" },
                    { "id": "d", "type": "sink" } ],
        "connections": [ { "from": "a", "to": "b" }, { "from": "b", "to": "c" }, { "from": "c", "to": "d" } ] });
    let workers = plan(&config).expect("a good config").workers;
    let names: Vec<&str> = workers.iter().map(|worker| &*worker.name).collect();
    assert_eq!(names, ["a", "b+c", "d"]);
}

#[test]
fn a_name_that_no_thread_can_have_is_a_mistake() {
    let mut config = chain(json!({}), json!({}), json!({}), 3);
    config["stages"][0]["thread"] = json!("x\u{0}y");
    let expected = r#"/stages/0/thread "x\0y" is not a name for a thread: it holds a control character"#;
    assert_eq!(problems(&config), [expected]);
}

#[test]
fn paths_beyond_counting_are_refused_without_a_panic() {
    let (mut stages, mut connections) = (vec![json!({ "id": "s", "type": "source" })], Vec::new());
    let mut before = vec!["s".to_owned()];
    for layer in 0..40 {
        let ids = [format!("a{layer}"), format!("b{layer}")];
        for id in &ids {
            stages.push(json!({ "id": id, "type": "pass" }));
            connections.extend(before.iter().map(|from| json!({ "from": from, "to": id })));
        }
        before = ids.to_vec();
    }
    let config = json!({ "version": 1, "name": "t", "stages": stages, "connections": connections });
    assert!(plan(&config).and_then(Graph::build).is_err());
}

#[test]
fn a_circle_is_printed() {
    let config = json!({ "version": 1, "name": "t",
        "stages": [ { "id": "x", "type": "pass" }, { "id": "y", "type": "pass" } ],
        "connections": [ { "from": "x", "to": "y" }, { "from": "y", "to": "x" } ] });
    assert_eq!(problems(&config), ["/connections the connections run in a circle: x -> y -> x"]);
}

#[test]
fn every_mistake_is_found_at_once() {
    let config = json!({ "version": 1, "name": "t",
        "stages": [
            { "id": "a", "type": "sorce" }, { "id": "b", "type": "pass", "params": { "gain": 11, "gian": 1 } },
            { "id": "b", "type": "sink" } ],
        "connections": [ { "from": "b.out", "to": "c.in" }, { "from": "b.oot", "to": "b" } ] });
    let found = problems(&config);
    let expected = [
        "/connections/0/to no stage `c` in this pipeline",
        "/connections/1/from `b` has no output `oot`",
        "/stages/0/type no stage type `sorce`",
        "/stages/1/params/gain `gain` must be within 0..=10, got 11",
        "/stages/1/params/gian no parameter `gian`",
        "/stages/2/id the id `b` is taken by /stages/1",
    ];
    assert_eq!(found, expected);
}

#[test]
fn two_sources_cannot_share_an_input_that_cannot_tell_them_apart() {
    let config = json!({ "version": 1, "name": "t",
        "stages": [ { "id": "a", "type": "source" }, { "id": "b", "type": "source" }, { "id": "c", "type": "sink" } ],
        "connections": [ { "from": "a", "to": "c" }, { "from": "b", "to": "c" } ] });
    let problems = plan(&config).and_then(Graph::build).err().expect("a mistake");
    let what = &problems.list()[0].what;
    assert_eq!(what, "`c`: input `in` takes one connection, but 2 end here: `a.out`, `b.out`");
}

#[test]
fn an_input_without_a_connection_is_a_mistake() {
    let config = json!({ "version": 1, "name": "t", "stages": [ { "id": "c", "type": "sink" } ] });
    assert_eq!(problems(&config), ["/stages/0 input `c.in` is not connected"]);
}

/// Stages written `id:type`, connections written `from>to`, the capacity after a `/`, the policy after a `!`.
fn graph(stages: &str, connections: &str) -> Value {
    let stages = stages.split(' ').map(|stage| {
        let (id, kind) = stage.split_once(':').expect("id:type");
        json!({ "id": id, "type": kind })
    });
    let connections = connections.split(' ').map(|connection| {
        let (rest, policy) = connection.split_once('!').unwrap_or((connection, "block"));
        let (rest, capacity) = rest.split_once('/').unwrap_or((rest, "3"));
        let (from, to) = rest.split_once('>').expect("from>to");
        json!({ "from": from, "to": to, "overflow": policy, "capacity": capacity.parse::<u32>().expect("a number") })
    });
    json!({ "version": 1, "name": "t", "stages": stages.collect::<Vec<_>>(), "connections": connections.collect::<Vec<_>>() })
}

fn recorded(config: &Value) -> Result<Plan, crate::Problems> {
    let registry = StageRegistry::of([&SOURCE, &PASS, &SINK, &RECORD]).expect("four names");
    Plan::new(&PipelineConfig::from_value(config)?, &registry)
}

fn pools(stages: &str, connections: &str) -> Vec<u32> {
    let plan = plan(&graph(stages, connections)).expect("a good config");
    plan.stages.iter().flat_map(|stage| stage.pools.clone()).collect()
}

#[test]
fn a_pool_holds_what_each_of_three_branches_can_hold() {
    // a.out: (2 + 1) + (5 + 1) + (7 + 1) queued and in hands, 1 being written = 18; sinks hold nothing beyond.
    assert_eq!(pools("a:source x:sink y:sink z:sink", "a>x/2 a>y/5!drop_oldest a>z/7!drop_newest"), [18]);
}

#[test]
fn a_pool_counts_through_two_stages_in_place_and_their_branches() {
    // c.out: (2 + 1) + (4 + 1) + 1 = 9. b.out: (3 + 1) + what c.out reaches, 8, + 1 = 13.
    // a.out: (6 + 1) + what b.out reaches, 12, + 1 = 20.
    let connections = "a>b/6 b>c/3 c>x/2 c>y/4";
    assert_eq!(pools("a:source b:pass c:pass x:sink y:sink", connections), [20, 13, 9]);
}

#[test]
fn a_pool_counts_both_ways_around_a_diamond() {
    // b.out: (2 + 1) + 1 = 4; c.out: (4 + 1) + 1 = 6. a.out: (1 + 1) + 3 by way of b, (3 + 1) + 5 by way of c, + 1 = 15.
    assert_eq!(pools("a:source b:pass c:pass x:sink y:sink", "a>b/1 a>c/3 b>x/2 c>y/4"), [15, 4, 6]);
}

#[test]
fn no_policy_that_drops_lies_anywhere_on_the_way_to_a_recorder() {
    let stages = "a:source b:pass c:pass rec:record";
    assert!(recorded(&graph(stages, "a>b b>c c>rec")).is_ok());
    for connections in ["a>b!drop_oldest b>c c>rec", "a>b b>c!drop_newest c>rec", "a>b b>c c>rec!drop_oldest"] {
        let problems = recorded(&graph(stages, connections)).err().expect("a mistake");
        assert!(problems.list()[0].what.contains("leads to a recorder and may drop"), "{problems:?}");
    }
}

#[test]
fn nothing_that_waits_stands_beside_the_way_to_a_recorder_but_behind_a_source() {
    let stages = "a:source b:pass rec:record x:sink";
    let problems = recorded(&graph(stages, "a>b b>rec b>x")).err().expect("a mistake");
    assert_eq!(problems.list()[0].what, "`b.out -> x.in` can hold up `b`, which also feeds a recorder");
    assert!(recorded(&graph(stages, "a>b b>rec b>x!drop_oldest")).is_ok());
    assert!(recorded(&graph(stages, "a>b b>rec a>x")).is_ok(), "a source in real time waits for nobody");
}

#[test]
fn every_recorder_of_several_is_kept_from_losses() {
    let stages = "a:source rec:record b:pass more:record";
    assert!(recorded(&graph(stages, "a>rec a>b b>more")).is_ok());
    let problems = recorded(&graph(stages, "a>rec a>b!drop_oldest b>more")).err().expect("a mistake");
    assert_eq!(problems.list()[0].at, "/connections/1/overflow");
}

fn threads(config: &Value) -> Vec<(String, String)> {
    let plan = recorded(config).expect("a good config");
    plan.workers.iter().map(|worker| (worker.name.to_string(), worker.why.clone())).collect()
}

fn shown(threads: &[(String, String)]) -> Vec<String> {
    threads.iter().map(|(name, why)| format!("{name}: {why}")).collect()
}

#[test]
fn a_chain_ends_where_a_recording_depends_on_its_head_and_not_on_the_rest() {
    let config = graph("a:source b:pass c:pass d:pass rec:record", "a>b b>rec b>c!drop_oldest c>d");
    let expected = [
        "a: a source keeps its own pace",
        "b: a chain begins behind a",
        "c+d: a recording depends on b and must not wait for c",
        "rec: it may wait for the outside world",
    ];
    assert_eq!(shown(&threads(&config)), expected);
}

#[test]
fn a_chain_that_is_recorded_at_its_end_stays_on_one_thread() {
    let threads = threads(&graph("a:source b:pass c:pass rec:record", "a>b b>c c>rec"));
    let names: Vec<&str> = threads.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["a", "b+c", "rec"]);
}

#[test]
fn branches_have_threads_of_their_own() {
    let config = graph("a:source b:pass c:pass d:pass rec:record", "a>b b>c b>d a>rec");
    let expected = ["c: b feeds several chains", "d: b feeds several chains"];
    assert_eq!(shown(&threads(&config))[2..4], expected);
}

#[test]
fn a_thread_that_is_asked_for_takes_its_stages_in_processing_order() {
    let mut config = graph("d:sink c:pass a:source b:pass", "a>b b>c c>d");
    for stage in [0, 1, 2] {
        config["stages"][stage]["thread"] = json!("one");
    }
    let plan = plan(&config).expect("a good config");
    let workers: Vec<_> = plan.workers.iter().map(|worker| (&*worker.name, worker.stages.clone())).collect();
    assert_eq!(workers, [("one", vec![2, 1, 0]), ("b", vec![3])]);
}

#[test]
fn a_stage_joins_no_thread_on_which_a_recording_depends_whoever_put_it_there() {
    // b is recorded, p and q are not; the config puts b and p on one thread, so q behind p stays off it.
    let mut config = graph("a:source b:pass rec:record p:pass q:pass", "a>b b>rec a>p p>q");
    config["stages"][1]["thread"] = json!("x");
    config["stages"][3]["thread"] = json!("x");
    let plan = recorded(&config).expect("a good config");
    let workers: Vec<_> = plan.workers.iter().map(|worker| (&*worker.name, worker.stages.clone())).collect();
    assert_eq!(workers, [("a", vec![0]), ("x", vec![1, 3]), ("rec", vec![2]), ("q", vec![4])]);
    let warning = &plan.warnings[0];
    assert_eq!(warning.at, "/stages/3/thread");
    assert_eq!(warning.what, "`p` shares the thread `x` with `b`: while it is held up, so is a recording");
}

#[test]
fn a_thread_that_is_asked_for_is_not_one_that_has_the_name_of_a_stage() {
    let mut config = graph("a:source b:pass c:sink", "a>b b>c");
    config["stages"][2]["thread"] = json!("b");
    let plan = plan(&config).expect("a good config");
    let workers: Vec<_> = plan.workers.iter().map(|worker| worker.stages.clone()).collect();
    assert_eq!(workers, [vec![0], vec![1], vec![2]]);
}

#[test]
fn a_chain_is_cut_where_its_stages_name_different_processors() {
    let mut config = graph("a:source b:pass c:pass d:sink", "a>b b>c c>d");
    (config["stages"][1]["cpu"], config["stages"][2]["cpu"]) = (json!(0), json!(1));
    let plan = plan(&config).expect("a good config");
    assert_eq!((plan.workers[2].stages.clone(), &*plan.workers[2].why), (vec![2], "b runs on processor 0"));
    config["stages"][1]["thread"] = json!("x");
    config["stages"][2]["thread"] = json!("x");
    let warnings = crate::tests::plan(&config).expect("a good config").warnings;
    assert!(warnings.iter().any(|found| found.what.contains("name different processors")), "{warnings:?}");
}

#[test]
fn a_queue_before_a_recorder_that_was_added_is_told_with_what_to_write() {
    // 1000 ms at one packet every 4 ms need 250, and the recorder that was added has room for 200.
    let mut config = graph("a:source b:pass x:sink", "a>b/99 b>x/99");
    config["stages"][0]["params"] = json!({ "realtime": true, "rate_hz": 1000 });
    let graph = recorded(&config).and_then(Graph::build).expect("a good config");
    let found: Vec<String> = graph.plan().warnings.iter().map(ToString::to_string).collect();
    let hint = "write a `record` stage and its connection with \"capacity\": 250";
    assert!(found.len() == 1 && found[0].contains("queue record.raw holds 200, needs 250"), "{found:?}");
    assert!(found[0].contains(hint) && !found[0].contains("/connections/"), "{found:?}");
}

#[test]
fn a_processor_that_is_not_there_is_told() {
    let mut config = chain(json!({}), json!({}), json!({}), 3);
    config["stages"][1]["cpu"] = json!(1023);
    let plan = plan(&config).expect("it runs wherever the system puts it");
    assert_eq!((plan.warnings.len(), &*plan.warnings[0].at), (1, "/stages/1/cpu"));
    assert!(plan.warnings[0].what.contains("processor 1023, which this program may not use"), "{:?}", plan.warnings);
}

fn warnings(source: Value, connections: &str) -> Vec<String> {
    let mut config = graph("a:source b:pass c:pass x:sink", connections);
    config["stages"][0]["params"] = source;
    let graph = plan(&config).and_then(Graph::build).expect("a good config");
    graph.plan().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_queue_that_its_reader_can_be_away_from_for_too_long_is_told_with_the_number_to_write() {
    // Packets of 4 samples at 250 Hz: one every 16 ms. b and c share a thread and take up to 40 ms each: 80 / 16 = 5.
    // The sink takes up to 100 ms: 100 / 16 = 6.25, so 7.
    let source = || json!({ "realtime": true, "rate_hz": 250 });
    let found = warnings(source(), "a>b/4 b>c/5 c>x/6");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("/connections/0/capacity") && found[0].contains("queue b.in holds 4, needs 5"),
        "{found:?}"
    );
    assert!(found[1].contains("queue x.in holds 6, needs 7"), "{found:?}");
    assert!(found[1].contains("write \"capacity\": 7, since x may be away for 100 ms, a packet comes every 16 ms"));
    assert_eq!(warnings(source(), "a>b/5 b>c/5 c>x/7"), Vec::<String>::new());
}

#[test]
fn no_queue_is_too_small_where_the_source_waits() {
    assert_eq!(warnings(json!({ "rate_hz": 250 }), "a>b/1 b>c/1 c>x/1"), Vec::<String>::new());
}
