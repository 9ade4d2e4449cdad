//! `/v1/cluster`.

use super::{Shared, addresses::shown, check};
use crate::core::command::Command;
use axum::{extract::State, http::StatusCode};
use microtome_proto::{
    Code, CoordinatorId, Problem,
    cluster::{AddCoordinator, Checks, Cluster, Coordinator},
    operation::{How, Rebalanced},
};
use microtome_server::{
    Scheme,
    extract::{Json, Path, Query},
};

/// `GET /v1/cluster`.
pub(super) async fn show(State(app): Shared, scheme: Scheme) -> Result<axum::Json<Cluster>, Problem> {
    let (overview, rebalance) = app.study(|scene| Ok((scene.overview()?, scene.rebalance()?))).await?;
    let id = overview.id.ok_or_else(|| Problem::new(Code::NotReady, "the cluster is being founded"))?;
    let healing = app.control.healing().await?;
    let (term, _) = app.group.position();
    let cluster = Cluster {
        id,
        name: overview.name,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: app.group.protocol(),
        auth: if app.auth.is_on() { Checks::On } else { Checks::Off },
        term,
        leader: app.group.id(),
        coordinators: app.group.coordinators(),
        nodes: overview.nodes,
        nodes_up: overview.nodes_up,
        materials: overview.materials,
        bytes: overview.bytes,
        healing,
        rebalance,
    };
    Ok(shown(scheme, cluster))
}

/// `POST /v1/coordinators`: all coordinators afterwards, or as they are now for a dry run.
pub(super) async fn add_coordinator(
    State(app): Shared,
    scheme: Scheme,
    Query(how): Query<How>,
    Json(new): Json<AddCoordinator>,
) -> Result<axum::Json<Vec<Coordinator>>, Problem> {
    check::base_url(&new.url)?;
    if new.id == 0 {
        return Err(Problem::new(Code::BadRequest, "coordinators are numbered from 1"));
    }
    app.group.linearize().await?;
    app.group.add(new.id, &new.url, how.dry_run).await?;
    Ok(shown(scheme, app.group.coordinators()))
}

/// `DELETE /v1/coordinators/{id}`: the others.
pub(super) async fn remove_coordinator(
    State(app): Shared,
    scheme: Scheme,
    Path(id): Path<CoordinatorId>,
    Query(how): Query<How>,
) -> Result<axum::Json<Vec<Coordinator>>, Problem> {
    app.group.linearize().await?;
    app.group.remove(id, how.dry_run).await?;
    Ok(shown(scheme, app.group.coordinators()))
}

/// `POST /v1/cluster/rebalance`. It ends by itself.
pub(super) async fn rebalance(State(app): Shared, Query(how): Query<How>) -> Result<axum::Json<Rebalanced>, Problem> {
    let mut told = app.study(|scene| scene.rebalanced()).await?;
    told.dry_run = how.dry_run;
    let is_due = told.to_move.copies > 0 || !told.waits_for.is_empty();
    if is_due && !how.dry_run && !told.goes_on {
        app.group.propose(Command::Rebalance { wanted: true }).await?.accepted()?;
        tracing::info!("copies are moved until the nodes are equally full");
        told.goes_on = true;
    }
    Ok(axum::Json(told))
}

/// `DELETE /v1/cluster/rebalance`: copies under way for its sake are given up, the others stay where they are.
pub(super) async fn leave_as_it_is(State(app): Shared) -> Result<StatusCode, Problem> {
    app.group.propose(Command::Rebalance { wanted: false }).await?.accepted()?;
    tracing::info!("copies are not moved any more to make the nodes equally full");
    Ok(StatusCode::NO_CONTENT)
}
