//! Ports by themselves: what an output hands on, copies, counts and lets go, and whom an input with many links serves.
use super::*;
use crate::{
    link::{LinkStats, Overflow, link},
    pool::spec_of,
    tap::tap,
};

fn make(links: u32) -> (Output<Physical>, Vec<LinkReceiver<Physical>>) {
    let spec = spec_of(2);
    let ends = (0..links)
        .map(|number| link(Arc::new(LinkStats::new(format!("a.out -> b{number}.in").into(), 4, Overflow::Block))));
    let (senders, receivers) = ends.unzip();
    let stats = Arc::new(OutputStats::new(Arc::default()));
    let pool = MemoryPool::new(&spec, 6);
    let tap = tap(&spec).0;
    (Output { spec, pool, links: senders, tap, stats, seq: 0, pending: Flags::NONE }, receivers)
}

fn send(output: &mut Output<Physical>, first_sample: u64) {
    let mut packet = output.try_acquire().expect("a free buffer");
    packet.frames_mut(2).copy_from_slice(&[first_sample as f32, 0.5]);
    packet.header_mut().first_sample = first_sample;
    output.send(packet);
}

fn take(receiver: &mut LinkReceiver<Physical>) -> Shared<Physical> {
    let Recv::Packet(packet) = receiver.receive() else { panic!("a packet waits") };
    packet
}

#[test]
fn every_link_gets_the_same_buffer_and_the_last_reader_gives_it_back() {
    let (mut output, mut receivers) = make(3);
    send(&mut output, 7);
    let seen: Vec<Shared<Physical>> = receivers.iter_mut().map(take).collect();
    assert!(seen.iter().all(|packet| packet.samples() == [7.0, 0.5] && packet.header().seq == 0));
    assert_eq!(output.pool.free(), 5);
    drop(seen);
    assert_eq!(output.pool.free(), 6);
    let counts = output.stats().counts();
    assert_eq!((counts.sent_packets, counts.sent_samples, counts.next_sample), (1, 2, 9));
}

#[test]
fn a_sole_reader_writes_in_place_and_one_of_two_gets_a_copy() {
    let ((mut from, mut receivers), (mut output, _)) = (make(2), make(0));
    send(&mut from, 3);
    let (one, two) = (take(&mut receivers[0]), take(&mut receivers[1]));
    let mut copy = output.own(one).expect("a free buffer");
    copy.samples_mut()[0] = 9.0;
    assert_eq!((copy.header().first_sample, two.samples()[0]), (3, 3.0));
    assert_eq!((from.pool.free(), output.pool.free()), (5, 5));
    let mut same = output.own(two).expect("in place");
    same.samples_mut()[0] = 8.0;
    assert_eq!((from.pool.free(), output.pool.free()), (5, 5), "no other buffer was taken");
}

#[test]
fn what_is_let_go_in_a_pause_is_counted_and_the_next_packet_says_so() {
    let (mut output, mut receivers) = make(1);
    output.stats().set_paused(true);
    send(&mut output, 0);
    output.stats().set_paused(false);
    send(&mut output, 2);
    let packet = take(&mut receivers[0]);
    assert!(packet.header().flags.has(Flags::RESUMED) && packet.header().first_sample == 2);
    assert_eq!((packet.header().seq, output.stats().counts().discarded), (0, 2));
}

#[test]
fn an_overrun_leaves_a_hole_in_the_packet_numbers_and_a_loss_of_the_device_does_not() {
    let (mut output, mut receivers) = make(1);
    output.lose(4, Loss::Device);
    send(&mut output, 4);
    output.lose(2, Loss::Overrun);
    send(&mut output, 8);
    let (first, second) = (take(&mut receivers[0]), take(&mut receivers[0]));
    assert_eq!((first.header().seq, second.header().seq), (0, 2));
    assert!(first.header().flags.has(Flags::GAP) && second.header().flags.has(Flags::GAP));
    let counts = output.stats().counts();
    assert_eq!((counts.lost_device, counts.lost_overrun), (4, 2));
}

#[test]
fn links_into_one_input_are_read_in_turn_until_all_are_closed() {
    let (outputs, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| make(1)).unzip();
    let links = receivers.into_iter().flatten().map(|link| {
        let stage = Arc::from("a");
        let info = SourceInfo { stage, port: "out", is_one_of_many: false, device: "".into(), spec: spec_of(2) };
        (info, AnyReceiver::Physical(link))
    });
    let mut input = AnyInput { links: links.collect(), turn: 0, next_sample: Arc::default() };
    let mut outputs = outputs;
    for output in &mut outputs {
        send(output, 0);
        send(output, 2);
    }
    let mut turns = Vec::new();
    while let Recv::Packet((index, _)) = input.recv() {
        turns.push(index);
    }
    assert_eq!(turns, [0, 1, 0, 1]);
    assert!(matches!(input.recv(), Recv::Empty));
    outputs.pop();
    assert!(matches!(input.recv(), Recv::Empty));
    outputs.pop();
    assert!(matches!(input.recv(), Recv::Closed));
}
