//! What waits to be sent to one client: bounded, and nobody ever waits for it.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::extract::ws::{Message, Utf8Bytes, close_code};
use tokio::sync::Notify;

use super::{frame::Frame, options::Limits};

/// How a connection is ended from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// Number of the close frame; `None` if the other side has gone and nothing is to be told.
    pub(super) code: Option<u16>,
    /// Why, for the log and for the close frame.
    pub(super) why: String,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this.
    Send(Message),
    /// End the connection.
    End(Ending),
    /// Nothing yet.
    Rest,
}

#[derive(Debug)]
enum Out {
    Text(Utf8Bytes),
    Data {
        subscription: u16,
        has_flags: bool,
        frame: Arc<Frame>,
        /// It is not worth sending later.
        until: Option<Instant>,
    },
}

impl Out {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.as_str().len(),
            Self::Data { frame, .. } => frame.bytes(),
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Out>,
    bytes: usize,
    telemetry: Option<Utf8Bytes>,
    /// Bytes of the rest that have their turn before telemetry has its own again: on a slow link there is always a newer
    /// one, and nothing else would ever be sent.
    owed: usize,
    ending: Option<Ending>,
    /// Data frames sent.
    seq: u64,
    /// Samples that this client has missed.
    missed: u64,
}

/// Messages on their way to one client. Data gives way to newer data and to answers; answers are never dropped: who does
/// not read them is let go.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
    over: Notify,
    most_messages: usize,
    most_bytes: usize,
}

impl Outbox {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            queue: Mutex::default(),
            ready: Notify::new(),
            over: Notify::new(),
            most_messages: limits.queued_messages,
            most_bytes: limits.queued_bytes,
        }
    }

    /// Puts an answer or a notification behind what waits. If there is no room, the client is let go.
    pub(super) fn push_text(&self, text: impl Into<Utf8Bytes>) {
        let out = Out::Text(text.into());
        let mut queue = self.queue();
        while !self.has_room_for(&queue, out.bytes()) && queue.drop_oldest_data() {}
        // One text may be longer than all the room there is, if nothing else waits.
        if !self.has_room_for(&queue, out.bytes()) && !queue.waiting.is_empty() {
            drop(queue);
            return self.end(Ending { code: Some(close_code::AGAIN), why: "it does not read its answers".into() });
        }
        queue.put(out);
        drop(queue);
        self.ready.notify_one();
    }

    /// Puts data behind what waits; the oldest data goes for it if need be, and what is still there after `until`: both
    /// are counted.
    pub(super) fn push_data(&self, subscription: u16, has_flags: bool, frame: &Arc<Frame>, until: Option<Instant>) {
        let out = Out::Data { subscription, has_flags, frame: frame.clone(), until };
        let mut queue = self.queue();
        while !self.has_room_for(&queue, out.bytes()) && queue.drop_oldest_data() {}
        if self.has_room_for(&queue, out.bytes()) {
            queue.put(out);
        } else {
            queue.missed += frame.samples;
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Counts samples that were lost before they came here.
    pub(super) fn miss(&self, samples: u64) {
        self.queue().missed += samples;
    }

    /// Puts telemetry in the place of an older one that still waits.
    pub(super) fn put_telemetry(&self, text: Utf8Bytes) {
        self.queue().telemetry = Some(text);
        self.ready.notify_one();
    }

    /// True while less than half of the room is taken: for messages that can come later as well.
    pub(super) fn is_airy(&self) -> bool {
        let queue = self.queue();
        queue.waiting.len() < self.most_messages / 2 && queue.bytes < self.most_bytes / 2
    }

    /// Ends the connection before anything else is sent. The first reason counts.
    pub(super) fn end(&self, ending: Ending) {
        self.queue().ending.get_or_insert(ending);
        self.over.notify_one();
        self.ready.notify_one();
    }

    /// Waits until the connection is to be ended, and gives the reason.
    pub(super) async fn over(&self) -> Ending {
        loop {
            self.over.notified().await;
            if let Some(ending) = self.queue().ending.clone() {
                return ending;
            }
        }
    }

    /// Takes what is next.
    pub(super) fn next(&self) -> Next {
        let mut queue = self.queue();
        if let Some(ending) = queue.ending.clone() {
            return Next::End(ending);
        }
        if (queue.owed == 0 || queue.waiting.is_empty())
            && let Some(text) = queue.telemetry.take()
        {
            queue.owed = text.as_str().len();
            return Next::Send(Message::Text(text));
        }
        let Some(out) = queue.next_in_time() else { return Next::Rest };
        queue.owed = queue.owed.saturating_sub(out.bytes());
        match out {
            Out::Text(text) => Next::Send(Message::Text(text)),
            Out::Data { subscription, has_flags, frame, .. } => {
                let (seq, missed) = (queue.seq, queue.missed);
                queue.seq += 1;
                drop(queue);
                Next::Send(Message::Binary(frame.message(subscription, has_flags, seq, missed)))
            }
        }
    }

    /// Waits until [`next`](Self::next) may have something.
    pub(super) async fn ready(&self) {
        self.ready.notified().await;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room_for(&self, queue: &Queue, bytes: usize) -> bool {
        queue.waiting.len() < self.most_messages && queue.bytes + bytes <= self.most_bytes
    }
}

impl Queue {
    fn put(&mut self, out: Out) {
        self.bytes += out.bytes();
        self.waiting.push_back(out);
    }

    /// Takes the first that is not too late.
    fn next_in_time(&mut self) -> Option<Out> {
        loop {
            let out = self.waiting.pop_front()?;
            self.bytes -= out.bytes();
            match &out {
                Out::Data { frame, until: Some(until), .. } if *until < Instant::now() => self.missed += frame.samples,
                _ => return Some(out),
            }
        }
    }

    /// False if there is none.
    fn drop_oldest_data(&mut self) -> bool {
        let Some(at) = self.waiting.iter().position(|out| matches!(out, Out::Data { .. })) else { return false };
        if let Some(out) = self.waiting.remove(at) {
            self.bytes -= out.bytes();
            if let Out::Data { frame, .. } = out {
                self.missed += frame.samples;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::frame::Kind;

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        Outbox::new(&Limits { queued_messages: messages, queued_bytes: bytes, ..Limits::default() })
    }

    /// A frame of ten samples from there on.
    fn frame(first_sample: u64) -> Arc<Frame> {
        let body = vec![0; 40];
        Arc::new(Frame {
            kind: Kind::Physical,
            flags: 0,
            channels: 1,
            frames: 10,
            first_sample,
            unix_ns: 0,
            samples: 10,
            body: body.into(),
        })
    }

    /// What is sent: the text, or seq, first sample and the number of missed ones.
    fn sent(outbox: &Outbox) -> Vec<String> {
        let mut all = Vec::new();
        while let Next::Send(message) = outbox.next() {
            all.push(match message {
                Message::Text(text) => text.as_str().to_owned(),
                Message::Binary(bytes) => {
                    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
                    let missed = u32::from_le_bytes(bytes[36..40].try_into().expect("four bytes"));
                    format!("{} {} {missed}", number(12), number(20))
                }
                other => panic!("{other:?}"),
            });
        }
        all
    }

    #[test]
    fn the_oldest_data_makes_room_and_is_told() {
        let outbox = outbox(3, 1 << 20);
        for n in 0..5 {
            outbox.push_data(1, false, &frame(n * 10), None);
        }
        outbox.miss(7);
        assert_eq!(sent(&outbox), ["0 20 27", "1 30 27", "2 40 27"]);
        outbox.push_data(1, false, &frame(50), None);
        assert_eq!(sent(&outbox), ["3 50 27"]);
    }

    #[test]
    fn what_is_too_late_is_left_out_and_told() {
        let outbox = outbox(100, 1 << 20);
        let now = Instant::now();
        outbox.push_data(1, false, &frame(0), Some(now));
        outbox.push_data(1, false, &frame(10), None);
        outbox.push_text("a");
        outbox.push_data(1, false, &frame(20), Some(now));
        outbox.push_data(1, false, &frame(30), Some(now + std::time::Duration::from_secs(60)));
        assert_eq!(sent(&outbox), ["0 10 10", "a", "1 30 20"]);
        assert!(outbox.queue().bytes == 0 && matches!(outbox.next(), Next::Rest));
    }

    #[test]
    fn answers_drive_data_out_and_are_never_dropped() {
        let outbox = outbox(3, 1 << 20);
        outbox.push_text("a");
        outbox.push_data(1, false, &frame(0), None);
        outbox.push_data(1, false, &frame(10), None);
        outbox.push_text("b");
        outbox.push_text("c");
        outbox.push_data(1, false, &frame(20), None);
        assert_eq!(sent(&outbox), ["a", "b", "c"]);
        outbox.push_data(1, false, &frame(30), None);
        assert_eq!(sent(&outbox), ["0 30 30"]);
    }

    #[test]
    fn who_does_not_read_answers_is_let_go() {
        let outbox = outbox(2, 1 << 20);
        outbox.push_text("a");
        outbox.push_text("b");
        outbox.push_text("c");
        let Next::End(ending) = outbox.next() else { panic!("it goes on") };
        assert_eq!(ending.code, Some(1013));
    }

    #[test]
    fn bytes_are_bounded_as_well_as_messages() {
        let outbox = outbox(100, 250);
        for n in 0..5 {
            outbox.push_data(1, false, &frame(n), None);
        }
        assert!(!outbox.is_airy());
        assert_eq!(sent(&outbox).len(), 3);
        assert!(outbox.is_airy());
        // Alone, even a long answer passes.
        outbox.push_text("x".repeat(1000));
        assert_eq!(sent(&outbox).len(), 1);
    }

    #[test]
    fn telemetry_leaves_half_of_a_slow_link_to_the_rest() {
        let outbox = outbox(100, 1 << 20);
        (0..4).for_each(|n| outbox.push_data(1, false, &frame(n), None));
        let mut order = Vec::new();
        for _ in 0..7 {
            // There is always a newer one: as long as two frames.
            outbox.put_telemetry("t".repeat(160).into());
            order.push(match outbox.next() {
                Next::Send(Message::Text(_)) => 't',
                Next::Send(Message::Binary(_)) => 'd',
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(order, ['t', 'd', 'd', 't', 'd', 'd', 't']);
    }

    #[test]
    fn newer_telemetry_replaces_the_one_that_waits() {
        let outbox = outbox(10, 1000);
        outbox.put_telemetry("old".into());
        outbox.put_telemetry("new".into());
        assert_eq!(sent(&outbox), ["new"]);
    }
}
