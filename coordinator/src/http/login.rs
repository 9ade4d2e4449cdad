//! `/v1/login`: a name and a password for tokens, and a refresh token for the next ones.
//!
//! A refused login tells nothing: who is not there, or shut out, is answered as who has mistyped, and as slowly.

use super::{App, Shared, check, leader};
use crate::{
    core::{
        command::{AccountCommand, Actor, Command, Outcome},
        tables::{Hidden, SessionRecord, Sessions, UserRecord, Users, UsersByName},
        view::Typed as _,
    },
    login::{REFRESH_S, RefreshToken, proof},
};
use axum::{extract::State, http::request::Parts};
use microtome_proto::{
    Code, Problem, SessionId, Timestamp, UserId,
    account::{Confidential, LoggedIn, Login, Refresh},
    limits::PASSWORD_LEN_MAX,
    token::ACCESS_TOKEN_S,
};
use microtome_server::extract::Json;

/// `POST /v1/login`.
pub(super) async fn login(
    State(app): Shared,
    parts: Parts,
    Json(wanted): Json<Login>,
) -> Result<axum::Json<LoggedIn>, Problem> {
    app.auth.must_be_on()?;
    check::user_name(&wanted.name)?;
    if wanted.password.0.len() > PASSWORD_LEN_MAX {
        return Err(check::bad(format!("password has more than {PASSWORD_LEN_MAX} bytes")));
    }
    let address = leader::address(&app, &parts).await;
    app.group.linearize().await?;
    let found = app.books(|view| match view.get_record::<UsersByName>(&wanted.name.to_lowercase())? {
        Some(id) => Ok(view.get_record::<Users>(&id)?.map(|record| (id, record))),
        None => Ok(None),
    })?;
    let user = found.filter(|(_, record)| !record.disabled);
    let hash = user.as_ref().and_then(|(_, record)| record.password.as_ref());
    let is_outdated = app.prove_password(&wanted.name, &address, &wanted.password, hash).await?;
    let Some((user, UserRecord { password: Some(hash), .. })) = user else { return Err(wrong_login()) };
    let rehashed = match is_outdated {
        true => Some(app.passwords.hash(&wanted.password.0).await?),
        false => None,
    };
    let session = SessionId::from_random(rand::random());
    let refresh = RefreshToken::draw(&session);
    let command = AccountCommand::StartSession {
        session: session.clone(),
        user: user.clone(),
        proven: proof(&hash),
        refresh: refresh.hash(),
        ends_at: refresh_ends(),
        rehashed,
    };
    let by = Actor { name: user.to_string(), address };
    match app.group.propose_by(Some(by), Command::Account(command)).await?.accepted() {
        Ok(_) => app.logged_in(&user, refresh).map(axum::Json),
        // Shut out, or with another password, a moment ago.
        Err(problem) if matches!(problem.code, Code::NotFound | Code::Conflict | Code::WrongLogin) => {
            Err(wrong_login())
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /v1/login/refresh`.
pub(super) async fn refresh(
    State(app): Shared,
    parts: Parts,
    Json(wanted): Json<Refresh>,
) -> Result<axum::Json<LoggedIn>, Problem> {
    app.auth.must_be_on()?;
    let none = || Problem::new(Code::Unauthorized, "the refresh token counts no more, or is none: log in again");
    let old = RefreshToken::parse(&wanted.refresh_token.0).ok_or_else(none)?;
    app.group.linearize().await?;
    let hash = old.hash();
    let is_its_own = |record: &SessionRecord| {
        let known = [&record.refresh, &record.refreshed, &record.overtaken];
        known.into_iter().any(|known| known.as_deref() == Some(hash.as_str()))
    };
    // What is made up writes nothing to the log.
    let session = app.books(|view| view.get_record::<Sessions>(&old.session))?.filter(is_its_own).ok_or_else(none)?;
    let new = RefreshToken::draw(&old.session);
    let command =
        AccountCommand::RefreshSession { session: old.session, old: hash, new: new.hash(), ends_at: refresh_ends() };
    let by = Actor { name: session.user.to_string(), address: leader::address(&app, &parts).await };
    match app.group.propose_by(Some(by), Command::Account(command)).await?.accepted()? {
        Outcome::Stolen { .. } => {
            let detail = "the refresh token was used before: somebody may have a copy, and the login has ended";
            Err(Problem::new(Code::TokenRevoked, detail))
        }
        _ => app.logged_in(&session.user, new).map(axum::Json),
    }
}

impl App {
    /// Holds a password against a hash, or against none at the same cost; whether it is to be hashed anew.
    ///
    /// # Errors
    /// `wrong_login`, or `too_many_requests` where there were too many wrong ones.
    pub(super) async fn prove_password(
        &self,
        name: &str,
        address: &str,
        password: &Confidential,
        hash: Option<&Hidden>,
    ) -> Result<bool, Problem> {
        if let Err(wait_s) = self.attempts.lock().begin(name, address, self.control.now_ms()) {
            tracing::warn!(target: "audit", name, address, wait_s, "a login was refused: too many wrong passwords");
            let detail =
                format!("too many wrong passwords for this name or from this address: try again in {wait_s} s");
            return Err(Problem { retry_after_s: Some(wait_s), ..Problem::new(Code::TooManyRequests, detail) });
        }
        let verdict = self.passwords.check(&password.0, hash).await?;
        if !verdict.is_right {
            tracing::warn!(target: "audit", name, address, "a login was refused");
            return Err(wrong_login());
        }
        self.attempts.lock().succeeded(name, address);
        Ok(verdict.is_outdated)
    }

    fn logged_in(&self, user: &UserId, refresh: RefreshToken) -> Result<LoggedIn, Problem> {
        let access_token = self.auth.user_token(user, &refresh.session, ACCESS_TOKEN_S)?;
        let user = self.glance(|scene| scene.user(user))?.ok_or_else(wrong_login)?;
        Ok(LoggedIn {
            access_token: Confidential(access_token),
            token_type: "Bearer".to_owned(),
            expires_in_s: ACCESS_TOKEN_S,
            refresh_token: refresh.into_text(),
            refresh_expires_in_s: REFRESH_S,
            user,
        })
    }
}

fn refresh_ends() -> Timestamp {
    Timestamp::now().plus_millis(REFRESH_S * 1000)
}

fn wrong_login() -> Problem {
    Problem::new(Code::WrongLogin, "name and password do not belong to somebody who may log in")
}
