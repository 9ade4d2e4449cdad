//! `/v1/materials/{id}/tokens`.

use super::{Shared, check::bad};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    MaterialId, Problem,
    token::{CreateToken, MATERIAL_TOKEN_S, MATERIAL_TOKEN_S_MAX},
};
use microtome_server::{
    auth::Asker,
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
