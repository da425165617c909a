//! What the system counts of a process: CPU time and wake-ups.
#![allow(dead_code, reason = "each benchmark uses its own part")]
use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// CPU time that all threads of this process have used so far.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    Duration::from_nanos(u64::try_from(nanoseconds).expect("a process has not run for less than no time"))
}

/// Counters of one thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    id: u32,
    /// As the system cut it: 15 bytes.
    pub(crate) name: String,
    /// Times it gave up its processor to wait for something: each is one wake-up to come.
    pub(crate) waits: u64,
    /// Time on a processor.
    pub(crate) cpu_ns: u64,
}

/// Every thread of a process but those whose id is in `but`.
pub(crate) fn threads(process: u32, but: &[u32]) -> Vec<Thread> {
    let folder = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
    let ids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Thread> = ids.filter(|id| !but.contains(id)).filter_map(|id| thread(process, id)).collect();
    found.sort_by_key(|thread| thread.id);
    found
}

/// `None` if the thread has just ended.
fn thread(process: u32, id: u32) -> Option<Thread> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/task/{id}/{file}")).ok();
    let status = read("status")?;
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let cpu_ns = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
    let waits = field("voluntary_ctxt_switches:")?.parse().ok()?;
    Some(Thread { id, name: field("Name:")?.to_owned(), waits, cpu_ns })
}

/// Ids of the threads there are now: what is started later is not among them.
pub(crate) fn thread_ids() -> Vec<u32> {
    threads(std::process::id(), &[]).into_iter().map(|thread| thread.id).collect()
}

/// What happened between two looks at the same threads; one that was not there before counts from zero.
pub(crate) fn between(before: &[Thread], after: &[Thread]) -> Vec<Thread> {
    let change = |thread: &Thread| {
        let earlier = before.iter().find(|earlier| earlier.id == thread.id);
        let (waits, cpu_ns) = earlier.map_or((0, 0), |earlier| (earlier.waits, earlier.cpu_ns));
        Thread { waits: thread.waits - waits, cpu_ns: thread.cpu_ns - cpu_ns, ..thread.clone() }
    };
    after.iter().map(change).collect()
}
