//! Whom a stage wakes when it has worked: workers that read what it sent, and those that wait for room to send to it.
//!
//! Waking a thread costs as much as handling dozens of packets. So in a fast stream a thread is woken for many packets at
//! a time: a reader when its queue is half full, a writer when it is half empty. A stage that is slow, or has nothing
//! more to do, wakes its readers at once.
use std::{collections::BTreeMap, sync::Arc};

use wavedeck_api::{bell::Bell, link::LinkStats};

use crate::{graph::NodeView, plan::Plan};

/// The workers at the far ends of a stage's links, but for its own.
#[derive(Default)]
pub(crate) struct Neighbours {
    readers: Vec<Neighbour>,
    writers: Vec<Neighbour>,
    /// A reader was not woken although packets wait for it.
    owes: bool,
}

struct Neighbour {
    bell: Bell,
    /// Between it and the stage.
    links: Vec<Arc<LinkStats>>,
}

impl Neighbours {
    pub(crate) fn of(stage: usize, plan: &Plan, nodes: &[NodeView], links: &[Arc<LinkStats>], bells: &[Bell]) -> Self {
        let (mut readers, mut writers) = (BTreeMap::<usize, Vec<_>>::new(), BTreeMap::<usize, Vec<_>>::new());
        for (edge, link) in plan.edges.iter().zip(links) {
            if edge.from.0 == stage {
                readers.entry(plan.worker_of(edge.to.0)).or_default().push(link.clone());
            }
            // A source in real time waits for nobody.
            if edge.to.0 == stage && !nodes[edge.from.0].realtime {
                writers.entry(plan.worker_of(edge.from.0)).or_default().push(link.clone());
            }
        }
        let others = |workers: BTreeMap<usize, Vec<Arc<LinkStats>>>| {
            let others = workers.into_iter().filter(|(worker, _)| *worker != plan.worker_of(stage));
            others.map(|(worker, links)| Neighbour { bell: bells[worker].clone(), links }).collect()
        };
        Self { readers: others(readers), writers: others(writers), owes: false }
    }

    /// To be called after work, when more may follow at once.
    pub(crate) fn wake_for_many(&mut self) {
        let is_full = |link: &Arc<LinkStats>| link.depth() > link.capacity / 2;
        for reader in &self.readers {
            if reader.links.iter().any(is_full) {
                reader.bell.ring();
            } else {
                self.owes = true;
            }
        }
        self.wake_writers();
    }

    /// To be called after work when it may be long until more follows.
    pub(crate) fn wake(&mut self) {
        self.owes = false;
        self.readers.iter().for_each(|reader| reader.bell.ring());
        self.wake_writers();
    }

    /// To be called before the worker sleeps.
    pub(crate) fn wake_owed(&mut self) {
        if std::mem::take(&mut self.owes) {
            self.readers.iter().for_each(|reader| reader.bell.ring());
        }
    }

    /// A queue that is read to its end has been half empty before, so that no writer waits for ever.
    fn wake_writers(&self) {
        let is_empty = |link: &Arc<LinkStats>| link.depth() <= link.capacity / 2;
        let waiting = self.writers.iter().filter(|writer| writer.links.iter().any(is_empty));
        waiting.for_each(|writer| writer.bell.ring());
    }

    /// To be called when the stage is gone.
    pub(crate) fn wake_all(&self) {
        self.readers.iter().chain(&self.writers).for_each(|neighbour| neighbour.bell.ring());
    }
}
