//! The HTTP door: routes, bodies and who is calling. Thin: it reads, calls the coordinator and answers.
//!
//! The routes and bodies are those of `surge_protocol::api`. Deliberately absent: TLS (a proxy's work), decisions.

mod blobs;
mod extract;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use surge_protocol::api::{
    Account, Heartbeat, HeartbeatReply, JobStatus, JobSubmitted, LeaseReply, LeaseRequest, NetworkStatus, OpenSession,
    Registration, ResultReply, ReturnLease, SessionToken, SignedResult, SubmitJob, TaskResultRow,
};
use surge_protocol::epoch::SignedReceipt;
use surge_protocol::network::SignedNetwork;
use surge_protocol::{Address, Digest};
use tower_http::trace::TraceLayer;

use crate::coordinator::Coordinator;
use crate::error::{Code, Error, Result};
use crate::jobs;

use extract::{Body, Caller, Path};

type App = State<Arc<Coordinator>>;

/// Bytes of a short body.
const SHORT: usize = 64 << 10;
/// Bytes of a body that may name many blobs.
const LONG: usize = 1 << 20;
/// Bytes of an order, which names every input.
const ORDER: usize = 4 << 20;

/// Every route.
pub(crate) fn routes(coordinator: Arc<Coordinator>) -> Router {
    Router::new()
        .route("/v1/network", get(network))
        .route("/v1/status", get(status))
        .route("/v1/sessions", post(open_session))
        .route("/v1/nodes", post(register))
        .route("/v1/leases", post(lease))
        .route("/v1/leases/{lease}/heartbeat", post(heartbeat))
        .route("/v1/leases/{lease}/return", post(give_back))
        .route("/v1/leases/{lease}/result", post(result))
        .route("/v1/blobs/{digest}", get(blobs::download).put(blobs::upload))
        .route("/v1/jobs", post(submit))
        .route("/v1/jobs/{job}", get(job))
        .route("/v1/jobs/{job}/results", get(job_results))
        .route("/v1/accounts/{address}", get(account))
        .route("/v1/accounts/{address}/receipts", get(receipts))
        .route("/v1/epochs/{epoch}", get(epoch))
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        // Bodies are limited where they are read, each by its own measure.
        .layer(DefaultBodyLimit::disable())
        .layer(TraceLayer::new_for_http())
        .with_state(coordinator)
}

/// The answer of calls that have nothing to say.
#[derive(Debug, Serialize)]
struct Empty {}

async fn network(State(coordinator): App) -> Json<SignedNetwork> {
    Json(coordinator.manifest.clone())
}

async fn status(State(coordinator): App) -> Result<Json<NetworkStatus>> {
    coordinator.status().await.map(Json)
}

async fn open_session(State(coordinator): App, Body(open): Body<OpenSession, SHORT>) -> Result<Json<SessionToken>> {
    coordinator.open_session(&open).map(Json)
}

async fn register(
    State(coordinator): App,
    Caller(node): Caller,
    Body(body): Body<Registration, SHORT>,
) -> Result<Json<Empty>> {
    coordinator.register(node, body).await?;
    Ok(Json(Empty {}))
}

async fn lease(
    State(coordinator): App,
    Caller(node): Caller,
    Body(body): Body<LeaseRequest, LONG>,
) -> Result<Json<LeaseReply>> {
    coordinator.lease(node, body).await.map(Json)
}

async fn heartbeat(
    State(coordinator): App,
    Caller(node): Caller,
    Path(lease): Path<Digest>,
    Body(body): Body<Heartbeat, SHORT>,
) -> Json<HeartbeatReply> {
    Json(coordinator.heartbeat(node, lease, &body))
}

async fn give_back(
    State(coordinator): App,
    Caller(node): Caller,
    Path(lease): Path<Digest>,
    Body(body): Body<ReturnLease, SHORT>,
) -> Result<Json<Empty>> {
    coordinator.give_back(node, lease, body).await?;
    Ok(Json(Empty {}))
}

async fn result(
    State(coordinator): App,
    Caller(node): Caller,
    Path(lease): Path<Digest>,
    Body(body): Body<SignedResult, SHORT>,
) -> Result<Json<ResultReply>> {
    coordinator.deliver(node, lease, body).await.map(Json)
}

async fn submit(
    State(coordinator): App,
    Caller(who): Caller,
    Body(body): Body<SubmitJob, ORDER>,
) -> Result<Json<JobSubmitted>> {
    coordinator.submit(who, body).await.map(Json)
}

async fn job(State(coordinator): App, Path(job): Path<Digest>) -> Result<Json<JobStatus>> {
    coordinator.job_status(job).await.map(Json)
}

async fn job_results(State(coordinator): App, Path(job): Path<Digest>) -> Result<Json<Vec<TaskResultRow>>> {
    let rows = coordinator.store.job_results(job).await?;
    rows.map(Json).ok_or_else(|| jobs::unknown(job))
}

async fn account(State(coordinator): App, Path(address): Path<Address>) -> Result<Json<Account>> {
    coordinator.account(address).await.map(Json)
}

async fn receipts(State(coordinator): App, Path(address): Path<Address>) -> Result<Json<Vec<SignedReceipt>>> {
    coordinator.store.receipts(address).await.map(Json)
}

async fn epoch(State(coordinator): App, Path(epoch): Path<u64>) -> Result<Response> {
    let unknown = || Error::new(Code::UnknownEpoch, format!("there is no epoch {epoch} yet"));
    // Beyond what SQLite counts there is none.
    let known = i64::try_from(epoch).is_ok();
    let file = if known { coordinator.store.epoch_file(epoch).await? } else { None };
    let bytes = Bytes::from(file.ok_or_else(unknown)?);
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

async fn no_such_route() -> Error {
    Error::new(
        Code::NoSuchRoute,
        "there is no such route: the API is documented in docs/api-errors.md and surge-protocol",
    )
}

async fn method_not_allowed() -> Error {
    Error::new(Code::MethodNotAllowed, "this route does not know this method")
}
