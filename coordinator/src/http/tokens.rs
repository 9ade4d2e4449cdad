//! Tokens: made for one material, and taken back.

use super::{
    Shared,
    access::{By, forbidden},
    check::bad,
};
use crate::{
    control::accounts::tell_revoked,
    core::{
        access,
        command::{AccountCommand, Command},
    },
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, MaterialId, Problem, Timestamp,
    account::Revoke,
    token::{Bearer, CreateToken, LEEWAY_S, MATERIAL_TOKEN_S, MATERIAL_TOKEN_S_MAX, Role},
};
use microtome_server::{
    auth::{Asker, token_hash},
    extract::{Json, Path},
};

/// `POST /v1/materials/{id}/tokens`: a token for this material's pixels, to be put where others may see it. An empty body
/// asks for one of the usual length.
pub(super) async fn create(
    State(app): Shared,
    Path(id): Path<MaterialId>,
    Extension(asker): Extension<Asker>,
    body: Option<Json<CreateToken>>,
) -> Result<Response, Problem> {
    let wanted = body.map(|Json(wanted)| wanted).unwrap_or_default();
    let seconds = wanted.expires_in_s.unwrap_or(MATERIAL_TOKEN_S);
    if !(1..=MATERIAL_TOKEN_S_MAX).contains(&seconds) {
        return Err(bad(format!("expires_in_s is {seconds}: it must be 1 to {MATERIAL_TOKEN_S_MAX}")));
    }
    app.material(&id).await?;
    let made = app.auth.material_token(&asker, &id, seconds)?;
    Ok((StatusCode::CREATED, axum::Json(made)).into_response())
}

/// `POST /v1/tokens/revoke`: the token counts no more, here at once and at the nodes from their next heartbeat on. One that has
/// ended, or was taken back before, is so already.
pub(super) async fn revoke(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Json(wanted): Json<Revoke>,
) -> Result<StatusCode, Problem> {
    let token = &wanted.token.0;
    let bearer = match app.auth.bearer(token).await {
        Ok(bearer) => bearer,
        Err(problem) if ENDED.contains(&problem.code) => return Ok(StatusCode::NO_CONTENT),
        Err(problem) if problem.code == Code::Unauthorized => {
            return Err(bad(format!("this is no token that counts here: {}", problem.detail)));
        }
        Err(problem) => return Err(problem),
    };
    if bearer.role == Role::Server {
        return Err(forbidden(
            "servers make tokens for their own calls, one after another: change the secret or the key",
        ));
    }
    app.group.linearize().await?;
    let principal = app.principal(&asker)?;
    let is_own = asker.bearer().is_some_and(|own| is_same(own, &bearer));
    if !app.books(|view| principal.is_administrator(view))? {
        if !is_own {
            return Err(forbidden("only an administrator of the cluster takes back the tokens of others"));
        }
        if !app.books(access::may_revoke_own)? {
            let detail =
                "many tokens are taken back already: wait until some of them have ended, or ask an administrator";
            return Err(Problem::new(Code::TooManyRequests, detail));
        }
    }
    let until_ms = bearer.validity.until_s.saturating_add(LEEWAY_S).saturating_mul(1000);
    let command = AccountCommand::RevokeToken {
        token: token_hash(token),
        until: Timestamp::from_millis(i64::try_from(until_ms).unwrap_or(i64::MAX)),
        bearer: bearer.name.clone(),
    };
    app.group.propose_by(by, Command::Account(command)).await?.accepted()?;
    tell_revoked(&app.group, &app.auth);
    Ok(StatusCode::NO_CONTENT)
}

/// What says that a token counts no more already.
const ENDED: [Code; 3] = [Code::TokenExpired, Code::MaterialTokenExpired, Code::TokenRevoked];

/// Whether a token is of who asks: of the same kind, or made by them for one material.
fn is_same(own: &Bearer, other: &Bearer) -> bool {
    let is_of_kind = (own.role, &own.space, &own.material) == (other.role, &other.space, &other.material);
    own.name == other.name && !own.name.is_empty() && (is_of_kind || other.role == Role::Viewer)
}
