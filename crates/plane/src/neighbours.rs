//! Whom a stage wakes when it has worked: workers that read what it sent, and those that wait for room to send to it.
//!
//! Waking a thread costs as much as handling dozens of packets. So in a fast stream a thread is woken for many packets at
//! a time: a reader when its queue is half full, a writer when it is half empty. A stage that is slow, or has nothing
//! more to do, wakes its readers at once, but for those that are in no hurry: they look by themselves, and are woken only
//! where a queue begins to fill.
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
    /// None of its stages at these links wants to be woken for each packet.
    unhurried: bool,
}

impl Neighbour {
    /// One without links yet.
    fn of(bell: Bell) -> Self {
        Self { bell, links: Vec::new(), unhurried: true }
    }

    /// To a fraction of its capacity that leaves the reader time to wake up.
    fn is_filling(&self) -> bool {
        let part = if self.unhurried { 4 } else { 2 };
        self.links.iter().any(|link| link.depth() > link.capacity / part)
    }
}

impl Neighbours {
    pub(crate) fn of(stage: usize, plan: &Plan, nodes: &[NodeView], links: &[Arc<LinkStats>], bells: &[Bell]) -> Self {
        let (mut readers, mut writers) = (BTreeMap::new(), BTreeMap::new());
        let here = plan.worker_of(stage);
        let add = |neighbours: &mut BTreeMap<usize, Neighbour>, other: usize, link: &Arc<LinkStats>| {
            let worker = plan.worker_of(other);
            if worker != here {
                let neighbour = neighbours.entry(worker).or_insert_with(|| Neighbour::of(bells[worker].clone()));
                neighbour.links.push(link.clone());
                neighbour.unhurried &= nodes[other].unhurried;
            }
        };
        for (edge, link) in plan.edges.iter().zip(links) {
            if edge.from.0 == stage {
                add(&mut readers, edge.to.0, link);
            }
            // A source in real time waits for nobody.
            if edge.to.0 == stage && !nodes[edge.from.0].realtime {
                add(&mut writers, edge.from.0, link);
            }
        }
        let list = |neighbours: BTreeMap<usize, Neighbour>| neighbours.into_values().collect();
        Self { readers: list(readers), writers: list(writers), owes: false }
    }

    /// To be called after work, when more may follow at once.
    pub(crate) fn wake_for_many(&mut self) {
        for reader in &self.readers {
            if reader.is_filling() {
                reader.bell.ring();
            } else {
                self.owes |= !reader.unhurried;
            }
        }
        self.wake_writers();
    }

    /// To be called after work when it may be long until more follows.
    pub(crate) fn wake(&mut self) {
        self.owes = false;
        self.readers
            .iter()
            .filter(|reader| !reader.unhurried || reader.is_filling())
            .for_each(|reader| reader.bell.ring());
        self.wake_writers();
    }

    /// To be called before the worker sleeps.
    pub(crate) fn wake_owed(&mut self) {
        if std::mem::take(&mut self.owes) {
            self.readers.iter().filter(|reader| !reader.unhurried).for_each(|reader| reader.bell.ring());
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
