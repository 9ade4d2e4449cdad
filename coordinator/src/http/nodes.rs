//! `/v1/nodes`.

use super::{Shared, access::By, addresses::shown, check};
use crate::core::{operate, placement};
use axum::extract::State;
use microtome_proto::{
    Code, NodeId, Problem,
    node::{Candidate, Node},
    operation::{How, Operated, Operation},
    page::{Page, PageQuery},
};
use microtome_server::{
    Scheme,
    extract::{Path, Query},
};
use serde::Deserialize;

/// `GET /v1/nodes`.
pub(super) async fn list(
    State(app): Shared,
    scheme: Scheme,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Node>>, Problem> {
    app.show(|scene| scene.nodes(&query)).await.map(|page| shown(scheme, page))
}

/// `GET /v1/nodes/{id}`.
pub(super) async fn show(
    State(app): Shared,
    scheme: Scheme,
    Path(id): Path<NodeId>,
) -> Result<axum::Json<Node>, Problem> {
    let found = app.show(|scene| scene.node(&id)).await?;
    found.map(|node| shown(scheme, node)).ok_or_else(|| unknown(&id))
}

/// `POST /v1/nodes/{id}/{cordon|uncordon|drain|remove}`.
pub(super) async fn operate(
    State(app): Shared,
    Path((id, act)): Path<(NodeId, String)>,
    Query(how): Query<How>,
    By(by): By,
) -> Result<axum::Json<Operated>, Problem> {
    let known = Operation::ALL.into_iter().find(|operation| operation.as_str() == act);
    let operation = known.ok_or_else(|| {
        let known = Operation::ALL.map(Operation::as_str).join(", ");
        Problem::new(Code::NotFound, format!("nothing of this name is done to a node, only {known}"))
    })?;
    let node = id.clone();
    let foreseen = app.study(move |scene| operate::foresee(&scene, &node, operation, how)).await?;
    let (operated, refusal) = foreseen.ok_or_else(|| unknown(&id))?;
    if how.dry_run {
        return Ok(axum::Json(operated));
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if operated.changes {
        app.group.propose_by(by, operate::command(&id, operation, how)).await?.accepted()?;
        tracing::info!(node = %id, name = operated.name, %operation, force = how.force, "an operator's act on a node");
    }
    Ok(axum::Json(operated))
}

fn unknown(id: &NodeId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no node {id}"))
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
    scheme: Scheme,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<Page<Candidate>>, Problem> {
    check::size(wanted.size)?;
    let find =
        app.show(|scene| placement::candidates(scene.view, scene.observed, wanted.size, scene.now_ms, scene.timing));
    Ok(shown(scheme, Page { items: find.await?.unwrap_or_default(), next_cursor: None }))
}
