//! `/v1/cases`. Whoever belongs to the team reads its cases and makes new ones; its administrators change and delete them. To
//! all others they are not there.

use super::{
    App, Shared,
    access::{By, forbidden},
    addresses::shown,
    check,
    users::unexpected,
};
use crate::core::{
    command::{AccountCommand, Command, Outcome},
    tables::TeamRole,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    CaseId, Code, Problem, TeamId,
    account::{Case, CreateCase, PatchCase},
    material::Material,
    page::{Page, PageQuery},
};
use microtome_server::{
    Scheme,
    auth::Asker,
    extract::{Json, Path, Query},
};
use serde::Deserialize;

/// The query of [`list`].
#[derive(Debug, Deserialize)]
pub(super) struct OfTeam {
    team: Option<TeamId>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// `GET /v1/cases`, of one team with `?team=`.
pub(super) async fn list(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Query(OfTeam { team, limit, cursor }): Query<OfTeam>,
) -> Result<axum::Json<Page<Case>>, Problem> {
    let query = PageQuery { limit, cursor };
    match team {
        Some(team) => {
            app.role_in_team(&asker, &team).await?;
            app.glance(|scene| scene.cases_of_team(&team, &query)).map(axum::Json)
        }
        None => {
            let principal = app.principal(&asker)?;
            app.show(|scene| scene.cases(&principal, &query)).await.map(axum::Json)
        }
    }
}

/// `POST /v1/cases`.
pub(super) async fn create(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    headers: HeaderMap,
    Json(wanted): Json<CreateCase>,
) -> Result<Response, Problem> {
    check::name("name", &wanted.name)?;
    check::description(&wanted.description)?;
    check::life("expires_in_s", wanted.expires_in_s)?;
    check::life("idle_expires_in_s", wanted.idle_expires_in_s)?;
    app.role_in_team(&asker, &wanted.team).await?;
    let command = AccountCommand::CreateCase {
        request: check::idempotency_key(&headers)?,
        team: wanted.team,
        name: wanted.name,
        description: wanted.description,
        created_by: asker.name().to_owned(),
        expires_in_s: wanted.expires_in_s,
        idle_expires_in_s: wanted.idle_expires_in_s,
    };
    let made = app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    let Outcome::Case { case } = made else { return Err(unexpected()) };
    let case = app.case_as_written(&case)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/cases/{}", case.id))], axum::Json(case)).into_response())
}

/// `GET /v1/cases/{id}`.
pub(super) async fn show(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<CaseId>,
) -> Result<axum::Json<Case>, Problem> {
    app.role_in_case(&asker, &id).await?;
    app.case_as_written(&id).map(axum::Json)
}

/// `GET /v1/cases/{id}/materials`.
pub(super) async fn materials(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    scheme: Scheme,
    Path(id): Path<CaseId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Material>>, Problem> {
    app.role_in_case(&asker, &id).await?;
    app.glance(|scene| scene.materials_of_case(&id, &query)).map(|page| shown(scheme, page))
}

/// `PATCH /v1/cases/{id}`.
pub(super) async fn update(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path(id): Path<CaseId>,
    Json(patch): Json<PatchCase>,
) -> Result<axum::Json<Case>, Problem> {
    patch.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
    patch.description.as_deref().map_or(Ok(()), check::description)?;
    check::life("expires_in_s", patch.expires_in_s.flatten())?;
    check::life("idle_expires_in_s", patch.idle_expires_in_s.flatten())?;
    app.must_head_case(&asker, &id).await?;
    let command = AccountCommand::UpdateCase {
        case: id.clone(),
        name: patch.name,
        description: patch.description,
        expires_in_s: patch.expires_in_s.map(Option::unwrap_or_default),
        idle_expires_in_s: patch.idle_expires_in_s.map(Option::unwrap_or_default),
    };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    app.case_as_written(&id).map(axum::Json)
}

/// `DELETE /v1/cases/{id}`: its materials are deleted with it, step by step.
pub(super) async fn delete(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path(id): Path<CaseId>,
) -> Result<StatusCode, Problem> {
    app.must_head_case(&asker, &id).await?;
    app.group.propose_by(by, Command::Account(AccountCommand::DeleteCase { case: id })).await?.accepted()?;
    Ok(StatusCode::ACCEPTED)
}

impl App {
    async fn role_in_case(&self, asker: &Asker, case: &CaseId) -> Result<TeamRole, Problem> {
        self.group.linearize().await?;
        let principal = self.principal(asker)?;
        let role = self.books(|view| principal.role_in_case(view, case))?;
        role.map(|(role, _)| role).ok_or_else(|| no_case(case))
    }

    async fn must_head_case(&self, asker: &Asker, case: &CaseId) -> Result<(), Problem> {
        match self.role_in_case(asker, case).await? {
            TeamRole::Administrator => Ok(()),
            TeamRole::Member => Err(forbidden("only the administrators of its team change and delete a case")),
        }
    }

    fn case_as_written(&self, id: &CaseId) -> Result<Case, Problem> {
        self.glance(|scene| scene.case(id))?.ok_or_else(|| no_case(id))
    }
}

fn no_case(id: &CaseId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no case {id} of a team of yours"))
}
