//! `/v1/me` and `/v1/logout`: whoever asks, about themselves.

use super::{App, Shared, access::By, check};
use crate::{
    core::{
        access::Principal,
        command::{AccountCommand, Command},
        tables::Users,
        view::Typed as _,
    },
    login::proof,
};
use axum::{Extension, extract::State, http::StatusCode};
use microtome_proto::{
    Code, Problem, SessionId, Timestamp, UserId,
    account::{ChangePassword, Me},
    token::Role,
};
use microtome_server::{auth::Asker, extract::Json};

/// `GET /v1/me`.
pub(super) async fn show(State(app): Shared, Extension(asker): Extension<Asker>) -> Result<axum::Json<Me>, Problem> {
    app.group.linearize().await?;
    let principal = app.principal(&asker)?;
    let administrator = app.books(|view| principal.is_administrator(view))?;
    let (user, teams) = match &principal {
        Principal::User(id) => {
            app.glance(|scene| Ok::<_, crate::core::view::ViewError>((scene.user(id)?, scene.memberships(id)?)))?
        }
        _ => (None, Vec::new()),
    };
    let role = match asker.bearer().map(|bearer| bearer.role) {
        Some(Role::Server) => "server",
        Some(Role::Administrator) => "administrator",
        Some(Role::User) => "user",
        Some(Role::Member) => "member",
        Some(Role::Uploader) => "uploader",
        Some(Role::Viewer) => "viewer",
        None => "everybody",
    };
    let ends = |until_s: u64| Timestamp::from_millis(i64::try_from(until_s.saturating_mul(1000)).unwrap_or(i64::MAX));
    Ok(axum::Json(Me {
        role: role.to_owned(),
        name: asker.name().to_owned(),
        administrator,
        user,
        teams,
        space: asker.bearer().and_then(|bearer| bearer.space.clone()),
        expires_at: asker.bearer().map(|bearer| ends(bearer.validity.until_s)),
    }))
}

/// `PUT /v1/me/password`.
pub(super) async fn change_password(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Json(wanted): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    check::password(&wanted.new)?;
    app.group.linearize().await?;
    let (user, session) = app.logged_in_as(&asker)?;
    let record = app.books(|view| view.get_record::<Users>(&user))?;
    let record = record.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no user {user}")))?;
    let Some(hash) = &record.password else {
        return Err(Problem::new(Code::Conflict, format!("{user} is a service account: it has no password")));
    };
    let address = by.as_ref().map(|by| by.address.clone()).unwrap_or_default();
    app.prove_password(&record.name, &address, &wanted.old, Some(hash)).await?;
    let password = app.passwords.hash(&wanted.new.0).await?;
    let command = AccountCommand::ChangePassword { user, proven: proof(hash), password, keep: Some(session) };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/logout`.
pub(super) async fn logout(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
) -> Result<StatusCode, Problem> {
    let (user, session) = app.logged_in_as(&asker)?;
    let command = AccountCommand::EndSession { user, session };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    /// The user who asks, and their session.
    fn logged_in_as(&self, asker: &Asker) -> Result<(UserId, SessionId), Problem> {
        let session = asker.bearer().and_then(|bearer| bearer.session.clone());
        match (self.principal(asker)?, session) {
            (Principal::User(user), Some(session)) => Ok((user, session)),
            _ => Err(Problem::new(
                Code::Conflict,
                "this is no token of a login: it belongs to no user of the cluster's own",
            )),
        }
    }
}
