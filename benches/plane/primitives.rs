//! The pieces of the plane one by one: pool, link, and a packet for several readers.
use std::{
    hint::black_box,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use crossbeam::{queue::ArrayQueue, utils::Backoff};
use wavedeck_api::{
    link::{LinkReceiver, LinkSender, LinkStats, Overflow, Recv, link},
    pool::{MemoryPool, Packet, Shared},
    signal::{ChannelSpec, Physical, Rate, SignalKind, StreamSpec},
};

use crate::{
    measure::{Options, Way, each_ns, in_turns, pair, sized},
    report::{Report, Unit},
};

/// Samples of a packet: 4 KB.
const SAMPLES: u32 = 1024;
/// As many buffers as a link of the default capacity needs.
const BUFFERS: u32 = 18;
/// What a link carries, for rings that carry nothing of ours.
type Payload = [u64; size_of::<Shared<Physical>>() / 8];

fn length(options: &Options) -> Duration {
    options.length(Duration::from_millis(60))
}

fn pool(buffers: u32) -> MemoryPool<Physical> {
    let spec = StreamSpec {
        kind: SignalKind::Physical,
        channels: [ChannelSpec::physical("a", "V")].into(),
        rate: Rate::new(1000, 1).expect("positive"),
        max_batch: SAMPLES,
        spectrum: None,
    };
    MemoryPool::new(&spec, buffers)
}

fn take(pool: &mut MemoryPool<Physical>) -> Option<Packet<Physical>> {
    pool.try_acquire()
}

/// One buffer ready to be read.
fn filled(pool: &mut MemoryPool<Physical>) -> Shared<Physical> {
    let mut packet = take(pool).expect("a buffer for each");
    packet.frames_mut(SAMPLES).fill(1.0);
    packet.share()
}

/// Runs `work` as often as fits into the length of a run, and gives the nanoseconds for each.
fn repeated<'a>(length: Duration, mut work: impl FnMut(u64) + 'a) -> Way<'a, f64> {
    let mut timed = move |times: u64| {
        let begin = Instant::now();
        work(times);
        begin.elapsed()
    };
    let times = sized(length, &mut timed);
    Box::new(move || each_ns(timed(times), times))
}

/// A buffer taken and given back, on one thread and on two.
pub(crate) fn pools(options: &Options, report: &mut Report) {
    let length = length(options);
    let mut buffers = pool(BUFFERS);
    let allocate = || Vec::<f32>::with_capacity(SAMPLES as usize);
    let indices = ArrayQueue::new(BUFFERS as usize);
    (0..BUFFERS).for_each(|index| indices.push(index).expect("room for all"));

    let ours = |times| (0..times).for_each(|_| drop(black_box(take(&mut buffers).expect("a free buffer"))));
    let heap = |times| (0..times).for_each(|_| drop(black_box(allocate())));
    let queue = |times| {
        for _ in 0..times {
            indices.push(black_box(indices.pop().expect("a free index"))).expect("room for all");
        }
    };
    let ways = vec![repeated(length, ours), repeated(length, heap), repeated(length, queue)];
    show_pool("same thread", in_turns(options.rounds(), ways), report);

    let ours = |times| across(times, || take(&mut buffers), drop);
    let heap = |times| across(times, || Some(allocate()), drop);
    let queue = |times| across(times, || indices.pop(), |index| indices.push(index).expect("room for all"));
    let ways = vec![repeated(length, ours), repeated(length, heap), repeated(length, queue)];
    show_pool("dropped on another thread", in_turns(options.rounds(), ways), report);
}

fn show_pool(place: &str, mut readings: Vec<Vec<f64>>, report: &mut Report) {
    let queue = readings.pop().expect("three ways");
    let heap = readings.pop().expect("three ways");
    let ours = readings.pop().expect("three ways");
    let name = format!("pool: acquire and drop, 4 KB, {place}");
    report.compare(&name, Unit::Nanoseconds, ours.clone(), ("heap allocation", heap), None);
    report.compare(&name, Unit::Nanoseconds, ours, ("bare ArrayQueue of indices", queue), None);
}

/// Makes things on this thread, passes them through a bare ring and ends them on another.
fn across<T: Send>(times: u64, mut make: impl FnMut() -> Option<T>, mut end: impl FnMut(T) + Send) {
    let (mut sender, mut receiver) = rtrb::RingBuffer::new(BUFFERS as usize);
    thread::scope(|scope| {
        scope.spawn(move || (0..times).for_each(|_| end(patiently(|| receiver.pop().ok()))));
        for _ in 0..times {
            let mut item = Some(patiently(&mut make));
            patiently(|| match sender.push(item.take()?) {
                Ok(()) => Some(()),
                Err(rtrb::PushError::Full(back)) => {
                    item = Some(back);
                    None
                }
            });
        }
    });
}

/// Tries until it works; gives the processor away when that takes long.
fn patiently<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let backoff = Backoff::new();
    loop {
        match attempt() {
            Some(done) => return done,
            None => backoff.snooze(),
        }
    }
}

/// A packet pushed and popped, by policy and capacity, on one thread and on two.
pub(crate) fn links(options: &Options, report: &mut Report) {
    for policy in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest] {
        for capacity in [64, 1024] {
            let word = format!("{policy:?}").to_lowercase().replace("drop", "drop ");
            let name = |place: &str| format!("link: push and pop, {word}, {capacity} packets, {place}");
            let baseline = "bare rtrb";
            let (ours, theirs) = link_on_one_thread(options, policy, capacity);
            report.compare(name("same thread"), Unit::Nanoseconds, ours, (baseline, theirs), None);
            let (ours, theirs) = link_across_threads(options, policy, capacity);
            report.compare(name("across threads"), Unit::Nanoseconds, ours, (baseline, theirs), None);
        }
    }
}

fn make_link(policy: Overflow, capacity: u32) -> (LinkSender<Physical>, LinkReceiver<Physical>) {
    link(Arc::new(LinkStats::new("a.out -> b.in".into(), capacity, policy)))
}

fn receive(receiver: &mut LinkReceiver<Physical>) -> Option<Shared<Physical>> {
    match receiver.receive() {
        Recv::Packet(packet) => Some(packet),
        Recv::Empty | Recv::Closed => None,
    }
}

fn link_on_one_thread(options: &Options, policy: Overflow, capacity: u32) -> (Vec<f64>, Vec<f64>) {
    let mut buffers = pool(1);
    let mut travelling = Some(filled(&mut buffers));
    let (mut sender, mut receiver) = make_link(policy, capacity);
    let (mut bare_sender, mut bare_receiver) = rtrb::RingBuffer::<Payload>::new(capacity as usize);
    let ours = move |times| {
        for _ in 0..times {
            sender.send(travelling.take().expect("it came back"));
            travelling = receive(&mut receiver);
        }
    };
    let theirs = move |times| {
        let mut payload = Payload::default();
        for _ in 0..times {
            bare_sender.push(black_box(payload)).expect("room");
            payload = bare_receiver.pop().expect("what was pushed");
        }
    };
    pair(options.rounds(), repeated(length(options), ours), repeated(length(options), theirs))
}

/// Packets that are handed over without a pause, so that the start of a thread does not count.
const HANDED_OVER: usize = 1 << 15;

fn link_across_threads(options: &Options, policy: Overflow, capacity: u32) -> (Vec<f64>, Vec<f64>) {
    let count = if options.is_measuring() { HANDED_OVER } else { 1000 };
    let mut buffers = pool(BUFFERS);
    let different: Vec<Shared<Physical>> = (0..BUFFERS).map(|_| filled(&mut buffers)).collect();
    let mut packets: Vec<Shared<Physical>> = different.iter().cycle().take(count).cloned().collect();
    let mut payloads = vec![Payload::default(); count];
    let enough = length(options);
    let ours = move || {
        handed_over(enough, &mut packets, || {
            let (mut sender, mut receiver) = make_link(policy, capacity);
            let stats = sender.stats().clone();
            let send = move |packet| {
                // A worker looks for room before it calls a stage; here nothing may be dropped under any policy.
                patiently(|| (stats.depth() < capacity).then_some(()));
                sender.send(packet);
            };
            (send, move || receive(&mut receiver))
        })
    };
    let theirs = move || {
        handed_over(enough, &mut payloads, || {
            let (mut sender, mut receiver) = rtrb::RingBuffer::<Payload>::new(capacity as usize);
            let send = move |payload| patiently(|| sender.push(payload).ok());
            (send, move || receiver.pop().ok())
        })
    };
    pair(options.rounds(), ours, theirs)
}

/// Hands the items to another thread again and again until `enough` time has passed; nanoseconds for each.
fn handed_over<T, S, R>(enough: Duration, items: &mut Vec<T>, mut open: impl FnMut() -> (S, R)) -> f64
where
    T: Send,
    S: FnMut(T),
    R: FnMut() -> Option<T> + Send,
{
    let (mut took, mut times) = (Duration::ZERO, 0);
    while took < enough {
        let (mut send, mut receive) = open();
        let count = items.len();
        let both_ready = Barrier::new(2);
        let (begin, end, arrived) = thread::scope(|scope| {
            let consumer = scope.spawn(|| {
                let mut arrived = Vec::with_capacity(count);
                both_ready.wait();
                (0..count).for_each(|_| arrived.push(patiently(&mut receive)));
                (Instant::now(), arrived)
            });
            both_ready.wait();
            let begin = Instant::now();
            items.drain(..).for_each(&mut send);
            let (end, arrived) = consumer.join().expect("it does not panic");
            (begin, end, arrived)
        });
        *items = arrived;
        took += end.saturating_duration_since(begin);
        times += count as u64;
    }
    each_ns(took, times)
}

/// One packet for several readers, from the pool and back.
pub(crate) fn fan_out(options: &Options, report: &mut Report) {
    for branches in [1_u32, 2, 4, 8] {
        let mut buffers = pool(BUFFERS);
        let mut links: Vec<_> = (0..branches).map(|_| make_link(Overflow::Block, 16)).collect();
        let ours = move |times| {
            for _ in 0..times {
                let shared = take(&mut buffers).expect("a free buffer").share();
                let (last, others) = links.split_last_mut().expect("a branch");
                for (sender, _) in others {
                    sender.send(shared.clone());
                }
                last.0.send(shared);
                for (_, receiver) in &mut links {
                    drop(black_box(receive(receiver)));
                }
            }
        };
        let contents: Arc<[f32]> = vec![1.0; SAMPLES as usize].into();
        let mut rings: Vec<_> = (0..branches).map(|_| rtrb::RingBuffer::new(16)).collect();
        let theirs = move |times| {
            for _ in 0..times {
                for (sender, _) in &mut rings {
                    sender.push(contents.clone()).expect("room");
                }
                for (_, receiver) in &mut rings {
                    drop(black_box(receiver.pop()));
                }
            }
        };
        let (ours, theirs) = pair(options.rounds(), repeated(length(options), ours), repeated(length(options), theirs));
        let per_branch = |readings: Vec<f64>| readings.iter().map(|ns| ns / f64::from(branches)).collect();
        let name = format!("fan-out to {branches}, from the pool and back, per branch");
        let baseline = ("Arc through bare rtrb", per_branch(theirs));
        report.compare(name, Unit::Nanoseconds, per_branch(ours), baseline, None);
    }
}
