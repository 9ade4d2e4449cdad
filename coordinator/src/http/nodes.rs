//! `/v1/nodes`.

use super::Shared;
use crate::core::placement;
use axum::extract::State;
use microtome_proto::{
    Code, NodeId, Problem,
    node::{Candidate, Node},
    page::{Page, PageQuery},
};
use microtome_server::extract::{Path, Query};
use serde::Deserialize;

/// `GET /v1/nodes`.
pub(super) async fn list(
    State(app): Shared,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Node>>, Problem> {
    app.show(|scene| scene.nodes(&query)).await.map(axum::Json)
}

/// `GET /v1/nodes/{id}`.
pub(super) async fn show(State(app): Shared, Path(id): Path<NodeId>) -> Result<axum::Json<Node>, Problem> {
    let found = app.show(|scene| scene.node(&id)).await?;
    found.map(axum::Json).ok_or_else(|| Problem::new(Code::NotFound, format!("there is no node {id}")))
}

/// The query of [`candidates`].
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    /// Bytes.
    #[serde(default)]
    size: u64,
}

/// `GET /v1/nodes/candidates?size=N`.
pub(super) async fn candidates(
    State(app): Shared,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<Page<Candidate>>, Problem> {
    let find =
        app.show(|scene| placement::candidates(scene.view, scene.observed, wanted.size, scene.now_ms, scene.timing));
    Ok(axum::Json(Page { items: find.await?.unwrap_or_default(), next_cursor: None }))
}
