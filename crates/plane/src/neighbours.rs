//! Whom a stage wakes when it has worked: workers that read what it sent, and those that wait for room to send to it.
use std::{collections::BTreeMap, sync::Arc};

use wavedeck_api::{bell::Bell, link::LinkStats};

use crate::{graph::NodeView, plan::Plan};

/// The workers at the far ends of a stage's links, but for its own.
#[derive(Default)]
pub(crate) struct Neighbours {
    readers: Vec<Bell>,
    writers: Vec<(Bell, Vec<Arc<LinkStats>>)>,
}

impl Neighbours {
    pub(crate) fn of(stage: usize, plan: &Plan, nodes: &[NodeView], links: &[Arc<LinkStats>], bells: &[Bell]) -> Self {
        let own = plan.worker_of(stage);
        let (mut readers, mut writers) = (BTreeMap::new(), BTreeMap::new());
        for (edge, link) in plan.edges.iter().zip(links) {
            let (from, to) = (plan.worker_of(edge.from.0), plan.worker_of(edge.to.0));
            if edge.from.0 == stage && to != own {
                readers.insert(to, bells[to].clone());
            }
            // A source in real time waits for nobody.
            if edge.to.0 == stage && from != own && !nodes[edge.from.0].realtime {
                writers.entry(from).or_insert_with(|| (bells[from].clone(), Vec::new())).1.push(link.clone());
            }
        }
        Self { readers: readers.into_values().collect(), writers: writers.into_values().collect() }
    }

    /// To be called after work. Writers are woken when there is room for many packets, so that a thread is not woken for
    /// each: a queue that is read to its end has been half empty before.
    pub(crate) fn wake(&self) {
        for bell in &self.readers {
            bell.ring();
        }
        for (bell, links) in &self.writers {
            if links.iter().any(|link| link.is_half_empty()) {
                bell.ring();
            }
        }
    }

    /// To be called when the stage is gone.
    pub(crate) fn wake_all(&self) {
        self.readers.iter().chain(self.writers.iter().map(|(bell, _)| bell)).for_each(Bell::ring);
    }
}
