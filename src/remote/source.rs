//! What can be subscribed to: every output, and what stages publish under a name.
use std::sync::Arc;

use wavedeck_api::{
    packet::PacketHeader,
    publication::{Publication, PublicationReader},
    signal::{StreamSpec, Values},
    tap::Tap,
};

use super::reduce::Reducer;
use crate::{session::Session, snapshot::OutputInfo};

/// A stream of the pipeline.
#[derive(Clone)]
pub(super) struct Source {
    /// `stage.port`, or the name that a stage publishes it under.
    pub(super) name: String,
    pub(super) stage: Arc<str>,
    pub(super) port: Option<&'static str>,
    pub(super) spec: StreamSpec,
    publication: Option<Publication>,
}

/// Someone looking at a stream.
pub(super) enum Look {
    /// At an output.
    Tap(Tap),
    /// At what a stage publishes.
    Publication(PublicationReader),
}

/// All streams of the pipeline that runs, with its generation.
pub(super) fn all(session: &Session) -> (u64, Vec<Source>) {
    let (generation, outputs) = session.outputs();
    let published = session.publications().into_iter().map(|(stage, publication)| Source {
        name: publication.name().to_string(),
        stage,
        port: None,
        spec: publication.spec().clone(),
        publication: Some(publication),
    });
    (generation, published.chain(outputs.iter().map(Source::of)).collect())
}

impl Source {
    /// An output.
    pub(super) fn of(output: &OutputInfo) -> Self {
        Self {
            name: format!("{}.{}", output.stage, output.port),
            stage: output.stage.clone(),
            port: Some(output.port),
            spec: output.spec.clone(),
            publication: None,
        }
    }

    /// Looks at it, if nobody else does and it is still of that shape: another pipeline may have come in between.
    pub(super) fn look(&self, session: &Session) -> Option<Look> {
        match (&self.publication, self.port) {
            (Some(publication), _) => publication.open().map(Look::Publication),
            (None, Some(port)) => session.tap(&self.stage, port).filter(|tap| *tap.spec() == self.spec).map(Look::Tap),
            (None, None) => None,
        }
    }
}

impl Look {
    /// Gives the next packet to all of them. False if there is none.
    pub(super) fn next<'a>(&mut self, mut reducers: impl Iterator<Item = &'a mut Reducer>) -> bool {
        let give = |header: &PacketHeader, values: Values<'_>| match values {
            Values::Counts(counts) => reducers.by_ref().for_each(|reducer| reducer.take(header, counts)),
            Values::Floats(values) => reducers.by_ref().for_each(|reducer| reducer.take(header, values)),
        };
        match self {
            Self::Tap(tap) => tap.next(give),
            Self::Publication(reader) => reader.next(give),
        }
    }

    /// Samples that were not seen because nobody came to look in time.
    pub(super) fn missed(&self) -> u64 {
        match self {
            Self::Tap(tap) => tap.missed(),
            Self::Publication(reader) => reader.missed(),
        }
    }
}
