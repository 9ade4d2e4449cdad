//! `/v1/teams`. To who does not belong to a team, and does not administer the cluster, it is not there.

use super::{
    App, Shared,
    access::{By, forbidden},
    check,
    users::unexpected,
};
use crate::core::{
    access::Principal,
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
    Code, Problem, TeamId, UserId,
    account::{CreateTeam, PatchTeam, PutMember, Team},
    page::{Page, PageQuery},
};
use microtome_server::{
    auth::Asker,
    extract::{Json, Path, Query},
};

/// `GET /v1/teams`.
pub(super) async fn list(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Team>>, Problem> {
    let principal = app.principal(&asker)?;
    app.show(|scene| scene.teams(&principal, &query)).await.map(axum::Json)
}

/// `POST /v1/teams`.
pub(super) async fn create(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    headers: HeaderMap,
    Json(wanted): Json<CreateTeam>,
) -> Result<Response, Problem> {
    check::name("name", &wanted.name)?;
    app.group.linearize().await?;
    let principal = app.principal(&asker)?;
    let administrator = match (&wanted.administrator, &principal) {
        (None, Principal::User(user)) => user.clone(),
        (None, _) => {
            return Err(check::bad(
                "administrator is missing: whoever is no user of the cluster's own says who administers the team",
            ));
        }
        (Some(named), _) => {
            let user = app.user_named(named)?;
            let is_own = principal == Principal::User(user.clone());
            if !is_own && !app.books(|view| principal.is_administrator(view))? {
                return Err(forbidden(
                    "whoever makes a team administers it: 'administrator' is for those of the cluster",
                ));
            }
            user
        }
    };
    let request = check::idempotency_key(&headers)?;
    let command = AccountCommand::CreateTeam { request, name: wanted.name, administrator };
    let made = app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    let Outcome::Team { team } = made else { return Err(unexpected()) };
    let team = app.team_as_written(&team)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/teams/{}", team.id))], axum::Json(team)).into_response())
}

/// `GET /v1/teams/{id}`.
pub(super) async fn show(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<TeamId>,
) -> Result<axum::Json<Team>, Problem> {
    app.role_in_team(&asker, &id).await?;
    app.team_as_written(&id).map(axum::Json)
}

/// `PATCH /v1/teams/{id}`.
pub(super) async fn update(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path(id): Path<TeamId>,
    Json(patch): Json<PatchTeam>,
) -> Result<axum::Json<Team>, Problem> {
    patch.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
    app.must_head_team(&asker, &id).await?;
    let command = AccountCommand::UpdateTeam { team: id.clone(), name: patch.name };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    app.team_as_written(&id).map(axum::Json)
}

/// `DELETE /v1/teams/{id}`.
pub(super) async fn delete(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path(id): Path<TeamId>,
) -> Result<StatusCode, Problem> {
    app.must_head_team(&asker, &id).await?;
    app.group.propose_by(by, Command::Account(AccountCommand::DeleteTeam { team: id })).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/teams/{id}/members/{user}`, the user by id or name.
pub(super) async fn set_member(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path((id, user)): Path<(TeamId, String)>,
    Json(wanted): Json<PutMember>,
) -> Result<axum::Json<Team>, Problem> {
    app.must_head_team(&asker, &id).await?;
    let user = app.user_named(&user)?;
    let command = AccountCommand::SetMember { team: id.clone(), user, role: wanted.role };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    app.team_as_written(&id).map(axum::Json)
}

/// `DELETE /v1/teams/{id}/members/{user}`, the user by id or name. Whoever deletes themselves leaves.
pub(super) async fn remove_member(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path((id, user)): Path<(TeamId, String)>,
) -> Result<StatusCode, Problem> {
    let role = app.role_in_team(&asker, &id).await?;
    let user = app.user_named(&user)?;
    if role != TeamRole::Administrator && app.principal(&asker)? != Principal::User(user.clone()) {
        return Err(not_head(&id));
    }
    let command = AccountCommand::RemoveMember { team: id, user };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// What somebody is in a team. The books hold all that was acknowledged before.
    pub(super) async fn role_in_team(&self, asker: &Asker, team: &TeamId) -> Result<TeamRole, Problem> {
        self.group.linearize().await?;
        let principal = self.principal(asker)?;
        let is_there = self.glance(|scene| scene.team(team))?.is_some();
        let role = self.books(|view| principal.role_in(view, team))?;
        role.filter(|_| is_there).ok_or_else(|| no_team(team))
    }

    async fn must_head_team(&self, asker: &Asker, team: &TeamId) -> Result<(), Problem> {
        match self.role_in_team(asker, team).await? {
            TeamRole::Administrator => Ok(()),
            TeamRole::Member => Err(not_head(team)),
        }
    }

    fn user_named(&self, text: &str) -> Result<UserId, Problem> {
        let found = self.glance(|scene| scene.user_named(text))?;
        let shown: String = text.chars().filter(|char| !char.is_control()).take(64).collect();
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no user '{shown}'")))
    }

    fn team_as_written(&self, id: &TeamId) -> Result<Team, Problem> {
        self.glance(|scene| scene.team(id))?.ok_or_else(|| no_team(id))
    }
}

fn no_team(id: &TeamId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no team {id} of yours"))
}

fn not_head(id: &TeamId) -> Problem {
    forbidden(&format!("only the administrators of {id} may do this"))
}
