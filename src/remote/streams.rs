//! The outputs that clients have subscribed to: one look at each, shared by all, and taken anew when the pipeline is.
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wavedeck_api::{
    clock::Anchor,
    param::suggestion,
    signal::{SignalKind, StreamSpec},
};

use super::{
    client::Client,
    reduce::{Reducer, Reduction},
    rpc::{self, RpcError},
    source::{self, Look, Source},
    views,
};
use crate::session::Session;

/// Age at which a frame is sent though it is not full.
const OLD: Duration = Duration::from_millis(20);

/// What a client asks of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// Every sample.
    Everything,
    /// At most so many frames a second.
    MaxHz(f64),
    /// So many columns a second.
    Columns(u64),
}

/// How a client wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) wish: Wish,
    /// What has waited for the client for longer is left out.
    pub(super) max_age: Option<Duration>,
    pub(super) has_flags: bool,
}

/// All outputs that someone has subscribed to.
pub(super) struct Streams {
    anchor: Anchor,
    generation: u64,
    looked_at: BTreeMap<String, LookedAt>,
}

/// An output that someone has subscribed to.
struct LookedAt {
    source: Source,
    /// `None` while someone else has it.
    look: Option<Look>,
    /// Samples that the look has missed so far, since the pipeline started.
    missed: u64,
    feeds: Vec<Feed>,
}

/// Everybody who asked for the same of a stream.
struct Feed {
    reducer: Reducer,
    subscribers: Vec<Subscriber>,
}

struct Subscriber {
    client: Arc<Client>,
    number: u16,
    terms: Terms,
    /// The description has been sent.
    is_told: bool,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { anchor: Anchor::now(), generation: 0, looked_at: BTreeMap::new() }
    }

    /// True if nobody has subscribed to anything.
    pub(super) fn is_empty(&self) -> bool {
        self.looked_at.is_empty()
    }

    /// Numbers of a client's subscriptions.
    pub(super) fn numbers_of(&self, client: &Client) -> Vec<u16> {
        let subscribers = self.looked_at.values().flat_map(|output| &output.feeds).flat_map(|feed| &feed.subscribers);
        subscribers.filter(|one| one.client.number == client.number).map(|one| one.number).collect()
    }

    /// Subscribes a client, and gives the description; it is also told before the first data, behind the answer.
    pub(super) fn subscribe(
        &mut self,
        session: &Session,
        client: &Arc<Client>,
        stream: &str,
        terms: Terms,
    ) -> Result<(u16, Value), RpcError> {
        if client.has_left() {
            return Err(RpcError::state("the client has left"));
        }
        self.follow(session);
        let (_, sources) = source::all(session);
        let known = sources.iter().find(|source| source.name == stream).ok_or_else(|| {
            let hint = suggestion(stream, sources.iter().map(|source| source.name.as_str()));
            let stream: String = stream.chars().take(80).collect();
            RpcError::params(format!("no stream `{stream}`; {hint}"))
        })?;
        let reduction = terms.wish.for_stream(&known.spec)?;
        let number = client.wishes().next_subscription(&self.numbers_of(client));
        if !self.looked_at.contains_key(stream) {
            let mut output = LookedAt::new(known);
            output.look(session);
            if output.look.is_none() {
                let what = format!("`{stream}` is being looked at by someone else: ask again when it is free");
                return Err(RpcError::busy(what));
            }
            self.looked_at.insert(stream.to_owned(), output);
        }
        let description = views::description(known, reduction);
        if let Some(output) = self.looked_at.get_mut(stream) {
            let subscriber = Subscriber { client: client.clone(), number, terms, is_told: false };
            output.add(subscriber, reduction, self.anchor);
        }
        Ok((number, description))
    }

    /// Ends a subscription. False if there is none of that number.
    pub(super) fn unsubscribe(&mut self, client: &Client, number: u16) -> bool {
        self.remove(|one| one.client.number == client.number && one.number == number)
    }

    /// Ends all subscriptions of a client.
    pub(super) fn leave(&mut self, client: &Client) {
        self.remove(|one| one.client.number == client.number);
    }

    fn remove(&mut self, is_meant: impl Fn(&Subscriber) -> bool) -> bool {
        let mut is_found = false;
        for output in self.looked_at.values_mut() {
            for feed in &mut output.feeds {
                let before = feed.subscribers.len();
                feed.subscribers.retain(|one| !is_meant(one));
                is_found |= feed.subscribers.len() < before;
            }
            output.feeds.retain(|feed| !feed.subscribers.is_empty());
        }
        self.looked_at.retain(|_, output| !output.feeds.is_empty());
        is_found
    }

    /// Passes on what has come since the last time.
    pub(super) fn pass_on(&mut self, session: &Session) {
        self.follow(session);
        let old = Instant::now().checked_sub(OLD).unwrap_or_else(Instant::now);
        for output in self.looked_at.values_mut() {
            if output.look.is_none() {
                output.look(session);
            }
            output.pass_on(old);
        }
    }

    /// Takes every output anew when another pipeline runs.
    fn follow(&mut self, session: &Session) {
        if session.generation() == self.generation {
            return;
        }
        let (generation, sources) = source::all(session);
        self.generation = generation;
        let anchor = self.anchor;
        self.looked_at.retain(|name, output| {
            let subscribers = output.feeds.drain(..).flat_map(|feed| feed.subscribers).collect::<Vec<_>>();
            let Some(known) = sources.iter().find(|known| known.name == *name) else {
                subscribers.iter().for_each(|one| tell_end(one, name, "the pipeline has no such stream any more"));
                return false;
            };
            *output = LookedAt::new(known);
            output.look(session);
            subscribers.into_iter().for_each(|one| output.take_over(one, name, anchor));
            !output.feeds.is_empty()
        });
    }
}

impl LookedAt {
    fn new(source: &Source) -> Self {
        Self { source: source.clone(), look: None, missed: 0, feeds: Vec::new() }
    }

    fn look(&mut self, session: &Session) {
        self.look = self.source.look(session);
        self.missed = self.look.as_ref().map_or(0, Look::missed);
    }

    fn add(&mut self, subscriber: Subscriber, reduction: Reduction, anchor: Anchor) {
        match self.feeds.iter_mut().find(|feed| feed.reducer.reduction() == reduction) {
            Some(feed) => feed.subscribers.push(subscriber),
            None => {
                let reducer = Reducer::new(&self.source.spec, reduction, anchor);
                self.feeds.push(Feed { reducer, subscribers: vec![subscriber] });
            }
        }
    }

    /// Goes on with a subscriber of the same output of another pipeline, if that can be.
    fn take_over(&mut self, subscriber: Subscriber, name: &str, anchor: Anchor) {
        match subscriber.terms.wish.for_stream(&self.source.spec) {
            Ok(reduction) => self.add(Subscriber { is_told: false, ..subscriber }, reduction, anchor),
            Err(error) => tell_end(&subscriber, name, &error.message),
        }
    }

    fn tell_descriptions(&mut self) {
        for Feed { reducer, subscribers } in &mut self.feeds {
            for one in subscribers.iter_mut().filter(|one| !one.is_told) {
                let description = views::description(&self.source, reducer.reduction());
                let params = json!({ "subscription": one.number, "description": description });
                one.client.outbox.push_text(rpc::notification("stream.description", &params));
                one.is_told = true;
            }
        }
    }

    fn pass_on(&mut self, old: Instant) {
        self.tell_descriptions();
        let Some(look) = &mut self.look else { return };
        while look.next(self.feeds.iter_mut().map(|feed| &mut feed.reducer)) {}
        let missed = look.missed();
        let newly_missed = missed.saturating_sub(self.missed);
        self.missed = missed;
        for Feed { reducer, subscribers } in &mut self.feeds {
            if newly_missed > 0 {
                subscribers.iter().for_each(|one| one.client.outbox.miss(newly_missed));
            }
            for frame in reducer.take_frames(old) {
                let (frame, now) = (Arc::new(frame), Instant::now());
                for Subscriber { client, number, terms, .. } in subscribers.iter() {
                    let until = terms.max_age.map(|age| now + age);
                    client.outbox.push_data(*number, terms.has_flags, &frame, until);
                }
            }
        }
    }
}

impl Wish {
    /// What comes of it for a stream of that shape.
    fn for_stream(self, spec: &StreamSpec) -> Result<Reduction, RpcError> {
        let rate_hz = spec.rate.hz();
        match self {
            Self::Everything => Ok(Reduction::Every(1)),
            Self::MaxHz(hz) if hz > 0.0 => Ok(Reduction::Every((rate_hz / hz).ceil().clamp(1.0, 1e15) as u64)),
            Self::MaxHz(hz) => Err(RpcError::params(format!("`max_hz` must be above 0, got {hz}"))),
            Self::Columns(_) if spec.kind == SignalKind::Spectrum => {
                Err(RpcError::params("a spectrum has no columns: ask for max_hz, or for neither"))
            }
            Self::Columns(count) if count >= 1 && (count as f64) < rate_hz => Ok(Reduction::Columns(count)),
            Self::Columns(count) => {
                let what = format!("`columns` must be at least 1 and below the rate of {rate_hz} Hz, got {count}");
                Err(RpcError::params(what))
            }
        }
    }
}

fn tell_end(subscriber: &Subscriber, stream: &str, why: &str) {
    let params = json!({ "subscription": subscriber.number, "stream": stream, "why": why });
    subscriber.client.outbox.push_text(rpc::notification("stream.end", &params));
}
