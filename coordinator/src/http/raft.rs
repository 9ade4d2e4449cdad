//! Messages between coordinators: `/internal/v1/raft`.

use super::{App, Shared};
use crate::raft::{
    bootstrap::Standing,
    network::{CLUSTER, PROTOCOL, TO, VOTE},
    types::Vote,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    routing::{get, post},
};
use futures_util::StreamExt as _;
use microtome_proto::{Code, CoordinatorId, Problem, protocol};
use microtome_server::extract::Query;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{io, sync::Arc};
use tokio::task::spawn_blocking;

/// Largest message, in bytes: one entry of any size that the API lets in, or many small ones.
const MESSAGE_LEN_MAX: usize = 32 << 20;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/internal/v1/raft/standing", get(standing))
        .route("/internal/v1/raft/append", post(append))
        .route("/internal/v1/raft/vote", post(vote))
        .route("/internal/v1/raft/pre-vote", post(pre_vote))
        .route("/internal/v1/raft/transfer", post(transfer))
        .route("/internal/v1/raft/snapshot", post(snapshot))
}

/// The query of [`standing`].
#[derive(Debug, Deserialize)]
struct Asked {
    of: CoordinatorId,
}

async fn standing(State(app): Shared, Query(asked): Query<Asked>) -> axum::Json<Standing> {
    axum::Json(app.group.standing(asked.of).await)
}

async fn append(State(app): Shared, request: Request) -> Result<axum::Json<impl Serialize>, Problem> {
    Ok(axum::Json(app.group.append(app.message(request).await?).await?))
}

async fn vote(State(app): Shared, request: Request) -> Result<axum::Json<impl Serialize>, Problem> {
    Ok(axum::Json(app.group.vote(app.message(request).await?).await?))
}

async fn pre_vote(State(app): Shared, request: Request) -> Result<axum::Json<impl Serialize>, Problem> {
    Ok(axum::Json(app.group.pre_vote(app.message(request).await?).await?))
}

async fn transfer(State(app): Shared, request: Request) -> Result<axum::Json<impl Serialize>, Problem> {
    Ok(axum::Json(app.group.transfer(app.message(request).await?).await?))
}

/// The body is the snapshot's file; the leader's vote comes in a header.
async fn snapshot(State(app): Shared, headers: HeaderMap, body: Body) -> Result<axum::Json<impl Serialize>, Problem> {
    app.meant_for_us(&headers)?;
    let vote = headers.get(VOTE).map(|vote| serde_json::from_slice::<Vote>(vote.as_bytes()));
    let vote = vote.and_then(Result::ok).ok_or_else(|| Problem::new(Code::BadRequest, "the vote is missing"))?;
    let failed = |error: io::Error| {
        tracing::warn!(%error, "a snapshot was not received");
        Problem::new(Code::Internal, format!("the snapshot was not received: {error}"))
    };
    let mut receiving = app.group.snapshots().receive().map_err(failed)?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(io::Error::other(error)))?;
        let put = spawn_blocking(move || receiving.put(&chunk).map(|()| receiving));
        receiving = put.await.map_err(io::Error::other).and_then(|put| put).map_err(failed)?;
    }
    let finished = spawn_blocking(move || receiving.finish()).await;
    let snapshot = finished.map_err(io::Error::other).and_then(|finished| finished).map_err(failed)?;
    Ok(axum::Json(app.group.install(vote, snapshot).await.map_err(failed)?))
}

impl App {
    /// Reads a message, if it is meant for this coordinator of this cluster, and if this one takes part.
    async fn message<T: DeserializeOwned>(&self, request: Request) -> Result<T, Problem> {
        self.meant_for_us(request.headers())?;
        let bytes = axum::body::to_bytes(request.into_body(), MESSAGE_LEN_MAX).await;
        let bytes = bytes.map_err(|error| Problem::new(Code::TooLarge, format!("the message: {error}")))?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::new(Code::BadRequest, format!("the message: {error}")))
    }

    fn meant_for_us(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let own = self.group.id();
        if text(TO).and_then(|to| to.parse().ok()) != Some(own) {
            return Err(Problem::new(Code::Conflict, format!("this is coordinator {own}: check 'coordinators'")));
        }
        if let (Some(theirs), Some(ours)) = (text(CLUSTER), self.group.peers().cluster())
            && theirs != ours.as_str()
        {
            tracing::warn!(%ours, theirs, "a coordinator of another cluster was refused");
            return Err(Problem::new(Code::WrongCluster, format!("coordinator {own} belongs to cluster {ours}")));
        }
        let theirs = text(PROTOCOL).and_then(|protocol| protocol.parse().ok()).unwrap_or_else(protocol::untold);
        let ours = self.group.peers().protocol;
        if !protocol::work_together(theirs, ours) {
            let detail = format!("coordinator {own} speaks protocol {ours}, the sender {theirs}");
            tracing::warn!(detail, "a coordinator whose version is too far away was refused");
            return Err(Problem::new(Code::VersionGap, detail));
        }
        if !self.group.takes_part() {
            return Err(Problem::new(Code::NotReady, format!("coordinator {own} is starting")));
        }
        Ok(())
    }
}
