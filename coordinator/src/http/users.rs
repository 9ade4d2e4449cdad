//! `/v1/users`: the administrators' work, but for what everybody may know of themselves.

use super::{
    App, Shared,
    access::{By, forbidden},
    check,
};
use crate::core::{
    access::Principal,
    command::{AccountCommand, Command, Outcome},
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Problem, SessionId, Timestamp, UserId,
    account::{Confidential, CreateAccessToken, CreateUser, CreatedAccessToken, PatchUser, Session, User},
    limits::ACCESS_TOKEN_S_MAX,
    page::{Page, PageQuery},
};
use microtome_server::{
    auth::Asker,
    extract::{Json, Path, Query},
};

/// `GET /v1/users`.
pub(super) async fn list(
    State(app): Shared,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<User>>, Problem> {
    app.show(|scene| scene.users(&query)).await.map(axum::Json)
}

/// `POST /v1/users`.
pub(super) async fn create(
    State(app): Shared,
    By(by): By,
    headers: HeaderMap,
    Json(wanted): Json<CreateUser>,
) -> Result<Response, Problem> {
    check::user_name(&wanted.name)?;
    let password = match &wanted.password {
        Some(password) => {
            check::password(password)?;
            Some(app.passwords.hash(&password.0).await?)
        }
        None => None,
    };
    let command = AccountCommand::CreateUser {
        request: check::idempotency_key(&headers)?,
        name: wanted.name,
        service: wanted.service,
        administrator: wanted.administrator,
        password,
    };
    let made = app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    let Outcome::User { user } = made else { return Err(unexpected()) };
    let user = app.user_as_written(&user)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/users/{}", user.id))], axum::Json(user)).into_response())
}

/// `GET /v1/users/{id}`.
pub(super) async fn show(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<UserId>,
) -> Result<axum::Json<User>, Problem> {
    app.must_be_or_head(&asker, &id).await?;
    app.user_as_written(&id).map(axum::Json)
}

/// `PATCH /v1/users/{id}`.
pub(super) async fn update(
    State(app): Shared,
    By(by): By,
    Path(id): Path<UserId>,
    Json(patch): Json<PatchUser>,
) -> Result<axum::Json<User>, Problem> {
    patch.name.as_deref().map_or(Ok(()), check::user_name)?;
    let password = match &patch.password {
        Some(password) => {
            check::password(password)?;
            Some(app.passwords.hash(&password.0).await?)
        }
        None => None,
    };
    let PatchUser { name, administrator, disabled, .. } = patch;
    let command = AccountCommand::UpdateUser { user: id.clone(), name, password, administrator, disabled };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    app.user_as_written(&id).map(axum::Json)
}

/// `DELETE /v1/users/{id}`.
pub(super) async fn delete(State(app): Shared, By(by): By, Path(id): Path<UserId>) -> Result<StatusCode, Problem> {
    app.group.propose_by(by, Command::Account(AccountCommand::DeleteUser { user: id })).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/users/{id}/tokens`.
pub(super) async fn create_token(
    State(app): Shared,
    By(by): By,
    Path(id): Path<UserId>,
    Json(wanted): Json<CreateAccessToken>,
) -> Result<Response, Problem> {
    app.auth.must_be_on()?;
    check::name("label", &wanted.label)?;
    let seconds = wanted.expires_in_s;
    if !(1..=ACCESS_TOKEN_S_MAX).contains(&seconds) {
        return Err(check::bad(format!("expires_in_s is {seconds}: it must be 1 to {ACCESS_TOKEN_S_MAX}")));
    }
    let session = SessionId::from_random(rand::random());
    let command = AccountCommand::StartTokenSession {
        session: session.clone(),
        user: id.clone(),
        label: wanted.label,
        ends_at: Timestamp::now().plus_millis(seconds * 1000),
    };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    let access_token = Confidential(app.auth.user_token(&id, &session, seconds)?);
    let session = app.glance(|scene| scene.session(&session))?.ok_or_else(unexpected)?;
    let made = CreatedAccessToken { access_token, token_type: "Bearer".to_owned(), session };
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// `GET /v1/users/{id}/sessions`.
pub(super) async fn sessions(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<UserId>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Session>>, Problem> {
    app.must_be_or_head(&asker, &id).await?;
    app.user_as_written(&id)?;
    app.glance(|scene| scene.sessions(&id, &query)).map(axum::Json)
}

/// `DELETE /v1/users/{id}/sessions/{session}`.
pub(super) async fn end_session(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path((user, session)): Path<(UserId, SessionId)>,
) -> Result<StatusCode, Problem> {
    app.must_be_or_head(&asker, &user).await?;
    let command = AccountCommand::EndSession { user, session };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// Whoever is not an administrator of the cluster asks about themselves only.
    async fn must_be_or_head(&self, asker: &Asker, user: &UserId) -> Result<(), Problem> {
        self.group.linearize().await?;
        let principal = self.principal(asker)?;
        if principal == Principal::User(user.clone()) || self.books(|view| principal.is_administrator(view))? {
            return Ok(());
        }
        Err(forbidden("only an administrator of the cluster knows others"))
    }

    fn user_as_written(&self, id: &UserId) -> Result<User, Problem> {
        let found = self.glance(|scene| scene.user(id))?;
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no user {id}")))
    }
}

pub(super) fn unexpected() -> Problem {
    Problem::new(Code::Internal, "a command had an outcome that is not its own")
}
