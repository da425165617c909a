//! What is answered at which path.
use std::sync::{Arc, PoisonError};

use axum::{
    Router,
    extract::{
        Extension, Path, Request, State,
        path::ErrorKind,
        rejection::PathRejection,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    download::{self, Opened},
    guard::{Guard, TurnedAway},
    health::Health,
    hub::Hub,
    metrics, socket, views,
};
use crate::described;

/// What `/` says.
const INDEX: &str = "Wavedeck

GET /ws                    WebSocket: JSON-RPC 2.0 as text, samples as binary frames; begin with rpc.discover
GET /api/session           the program, and which pipeline is open
GET /api/plugins           stage types with their parameters
GET /api/pipeline          the pipeline as it runs
GET /api/telemetry         counters and states
GET /api/recordings        recordings; /api/recordings/NAME downloads one
GET /metrics               counters for Prometheus
GET /healthz               200 while data flows
";

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Where it comes from.
    pub(super) address: String,
    /// Its first name.
    pub(super) name: String,
    /// What is asked of it; nothing of the owner of a Unix socket.
    pub(super) guard: Option<Guard>,
}

/// What all answers are made of.
#[derive(Clone)]
struct Desk {
    hub: Arc<Hub>,
    slots: Arc<Semaphore>,
    /// Of the owner at a Unix socket, who is not to be kept out by those who come over a network.
    own_slots: Arc<Semaphore>,
}

/// Everything that is answered. Each connection adds its [`Peer`].
pub(super) fn router(hub: Arc<Hub>) -> Router {
    let slots = || Arc::new(Semaphore::new(hub.limits.clients));
    let (slots, own_slots) = (slots(), slots());
    Router::new()
        .route("/", get(async || INDEX))
        .route("/ws", get(web_socket))
        .route("/api/plugins", get(plugins))
        .route("/api/pipeline", get(async |State(desk): State<Desk>| json_text(views::pipeline(&desk.hub.session))))
        .route("/api/session", get(async |State(desk): State<Desk>| json_text(views::session(&desk.hub))))
        .route("/api/telemetry", get(async |State(desk): State<Desk>| json_text(views::telemetry(&desk.hub.session))))
        .route("/api/recordings", get(recordings))
        .route("/api/recordings/{name}", get(recording))
        .route("/metrics", get(async |State(desk): State<Desk>| metrics::response(&desk.hub)))
        .route("/healthz", get(healthz))
        .fallback(async || failure(StatusCode::NOT_FOUND, "NotFound", "nothing is here; / says what there is"))
        .method_not_allowed_fallback(async || {
            failure(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "only GET is answered; to change things use /ws",
            )
        })
        .layer(middleware::from_fn(check))
        .with_state(Desk { hub, slots, own_slots })
}

/// An error as JSON.
pub(super) fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    (status, json_text(json!({ "error": { "code": code, "message": message } }))).into_response()
}

fn json_text(value: Value) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], value.to_string())
}

/// Lets a request in or turns it away.
async fn check(Extension(peer): Extension<Peer>, request: Request, next: Next) -> Response {
    let outcome = peer.guard.as_ref().map_or(Ok(()), |guard| guard.check(request.headers(), request.uri()));
    let Err(TurnedAway(status, why)) = outcome else {
        return next.run(request).await;
    };
    tracing::warn!(from = peer.address, %status, "{why}");
    let code = match status {
        StatusCode::UNAUTHORIZED => "Unauthorised",
        StatusCode::FORBIDDEN => "Forbidden",
        _ => "BadRequest",
    };
    let mut response = failure(status, code, &why);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    response
}

async fn plugins(State(desk): State<Desk>) -> impl IntoResponse {
    let plugins = desk.hub.session.registry().iter().map(|stage| {
        let mut plugin = described::stage_json(stage);
        plugin["api_version"] = env!("CARGO_PKG_VERSION").into();
        // All stage types are built in.
        plugin["author"] = env!("CARGO_PKG_NAME").into();
        plugin["licence"] = env!("CARGO_PKG_LICENSE").into();
        plugin["ui"] = serde_json::Value::Null;
        plugin
    });
    json_text(json!({ "plugins": plugins.collect::<Vec<_>>() }))
}

async fn recordings(State(desk): State<Desk>) -> Response {
    let listed = tokio::task::spawn_blocking(move || download::list(&desk.hub.session)).await;
    json_text(json!({ "recordings": listed.unwrap_or_default() })).into_response()
}

async fn recording(
    State(desk): State<Desk>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = match name {
        Ok(Path(name)) => name,
        Err(PathRejection::FailedToDeserializePathParams(error))
            if matches!(error.kind(), ErrorKind::InvalidUtf8InPathParam { .. }) =>
        {
            return failure(StatusCode::BAD_REQUEST, "BadName", "the name is not UTF-8");
        }
        Err(error) => return failure(error.status(), "BadName", &error.body_text()),
    };
    let asked = name.clone();
    let opened = tokio::task::spawn_blocking(move || Opened::open(&desk.hub.session.recordings_dir(), &asked)).await;
    match opened.unwrap_or(Err("cannot be read now")) {
        Ok(opened) => opened.response(&headers),
        Err(why) => {
            let name: String = name.chars().take(80).collect();
            failure(StatusCode::NOT_FOUND, "NotFound", &format!("the name of a recording {why}, got {name:?}"))
        }
    }
}

async fn healthz(State(desk): State<Desk>) -> Response {
    let silence = desk.hub.flow.lock().unwrap_or_else(PoisonError::into_inner).silence(std::time::Instant::now());
    let health = Health::of(&desk.hub.session.snapshot(), silence);
    let status = match health {
        Health::Well(_) => StatusCode::OK,
        Health::Ill(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, json_text(health.to_json())).into_response()
}

async fn web_socket(
    State(Desk { hub, slots, own_slots }): State<Desk>,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(why) => return failure(StatusCode::BAD_REQUEST, "BadHandshake", &why.body_text()),
    };
    let Ok(slot) = if peer.guard.is_some() { slots } else { own_slots }.try_acquire_owned() else {
        let what = format!("all {} places for clients are taken", hub.limits.clients);
        return failure(StatusCode::SERVICE_UNAVAILABLE, "Full", &what);
    };
    let bytes = hub.limits.message_bytes;
    upgrade.protocols(["wavedeck"]).max_message_size(bytes).max_frame_size(bytes).on_upgrade(async move |socket| {
        socket::serve(socket, &hub, peer).await;
        drop(slot);
    })
}
