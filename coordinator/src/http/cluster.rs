//! `/v1/cluster`.

use super::{App, Shared, access::By, addresses::shown, check};
use crate::core::command::{AccountCommand, Actor, Command, Outcome};
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
    By(by): By,
    Json(new): Json<AddCoordinator>,
) -> Result<axum::Json<Vec<Coordinator>>, Problem> {
    check::base_url(&new.url)?;
    if new.id == 0 {
        return Err(Problem::new(Code::BadRequest, "coordinators are numbered from 1"));
    }
    app.group.linearize().await?;
    app.group.add(new.id, &new.url, how.dry_run).await?;
    app.note(by.filter(|_| !how.dry_run), "add_coordinator", format!("{} at {}", new.id, new.url)).await;
    Ok(shown(scheme, app.group.coordinators()))
}

/// `DELETE /v1/coordinators/{id}`: the others.
pub(super) async fn remove_coordinator(
    State(app): Shared,
    scheme: Scheme,
    Path(id): Path<CoordinatorId>,
    Query(how): Query<How>,
    By(by): By,
) -> Result<axum::Json<Vec<Coordinator>>, Problem> {
    app.group.linearize().await?;
    app.group.remove(id, how.dry_run).await?;
    app.note(by.filter(|_| !how.dry_run), "remove_coordinator", id.to_string()).await;
    Ok(shown(scheme, app.group.coordinators()))
}

/// `POST /v1/cluster/rebalance`. It ends by itself.
pub(super) async fn rebalance(
    State(app): Shared,
    Query(how): Query<How>,
    By(by): By,
) -> Result<axum::Json<Rebalanced>, Problem> {
    let mut told = app.study(|scene| scene.rebalanced()).await?;
    told.dry_run = how.dry_run;
    let is_due = told.to_move.copies > 0 || !told.waits_for.is_empty();
    if is_due && !how.dry_run && !told.goes_on {
        app.group.propose_by(by, Command::Rebalance { wanted: true }).await?.accepted()?;
        tracing::info!("copies are moved until the nodes are equally full");
        told.goes_on = true;
    }
    Ok(axum::Json(told))
}

/// `DELETE /v1/cluster/rebalance`: copies under way for its sake are given up, the others stay where they are.
pub(super) async fn leave_as_it_is(State(app): Shared, By(by): By) -> Result<StatusCode, Problem> {
    app.group.propose_by(by, Command::Rebalance { wanted: false }).await?.accepted()?;
    tracing::info!("copies are not moved any more to make the nodes equally full");
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// Writes down what was done and is no command. It is done: where it cannot be written it is in the log of this server alone.
    async fn note(&self, by: Option<Actor>, act: &str, object: String) {
        let Some(actor) = by else { return };
        let note = Command::Account(AccountCommand::Note { act: act.to_owned(), object });
        match self.group.propose_by(Some(actor), note).await.map(Outcome::accepted) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(target: "audit", act, %error, "not in the trail"),
            Err(error) => tracing::warn!(target: "audit", act, %error, "not in the trail"),
        }
    }
}
