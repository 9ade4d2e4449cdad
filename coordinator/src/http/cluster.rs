//! `/v1/cluster`.

use super::Shared;
use axum::extract::State;
use microtome_proto::{Code, Problem, cluster::Cluster};

/// `GET /v1/cluster`.
pub(super) async fn show(State(app): Shared) -> Result<axum::Json<Cluster>, Problem> {
    let overview = app.show(|scene| scene.overview()).await?;
    let id = overview.id.ok_or_else(|| Problem::new(Code::NotReady, "the cluster is being founded"))?;
    let (term, _) = app.group.position();
    Ok(axum::Json(Cluster {
        id,
        name: overview.name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        term,
        leader: app.group.id(),
        coordinators: app.group.coordinators(),
        nodes: overview.nodes,
        nodes_up: overview.nodes_up,
        materials: overview.materials,
        bytes: overview.bytes,
        healing: overview.healing,
    }))
}
