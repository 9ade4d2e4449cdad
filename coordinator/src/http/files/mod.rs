//! `/v1/spaces/{space}/files`: what a space serves under its keys. The bytes come from nodes and go to nodes.

mod put;

pub(super) use put::{create, with_bytes};

use super::{
    App, Shared,
    access::{By, denied},
    condition::condition,
};
use crate::core::{
    command::{Command, Outcome, SpaceCommand},
    tables::MaterialRecord,
};
use axum::{
    Extension,
    extract::{OriginalUri, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use microtome_proto::{
    Code, MaterialId, Problem,
    space::{FilesQuery, SpaceFiles},
};
use microtome_server::{
    auth::Asker,
    extract::{Path, Query},
};

/// How often a file is looked for anew that was overwritten before it could be deleted.
const TRIES_MAX: usize = 4;

/// `GET /v1/spaces/{space}/files`.
pub(super) async fn list(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(space): Path<String>,
    Query(query): Query<FilesQuery>,
) -> Result<axum::Json<SpaceFiles>, Problem> {
    app.group.linearize().await?;
    app.must_read_in(&asker, &space)?;
    app.glance(|scene| scene.files(&space, &query)).map(axum::Json)
}

/// `GET /v1/spaces/{space}/files/{key}`: to a node that holds what stands there now.
pub(super) async fn read(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    OriginalUri(uri): OriginalUri,
    Path((space, key)): Path<(String, String)>,
) -> Result<Response, Problem> {
    app.group.linearize_by_lease().await?;
    app.must_read_in(&asker, &space)?;
    let (id, _) = app.under_key(&space, &key)?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let at_node = Uri::try_from(format!("/v1/materials/{id}/file{query}"))
        .map_err(|_| Problem::new(Code::BadRequest, "the query cannot be sent on"))?;
    let mut response = app.to_holder(&id, &at_node).await?;
    if asker.is_by_books() {
        app.auth.hand_on(&asker, &id, &mut response)?;
    }
    Ok(response)
}

/// `DELETE /v1/spaces/{space}/files/{key}`.
pub(super) async fn delete(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path((space, key)): Path<(String, String)>,
    By(by): By,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = condition(&headers)?;
    for _ in 0..TRIES_MAX {
        app.group.linearize().await?;
        let (principal, in_space) = app.rights_in(&asker, &space)?;
        if !in_space.read {
            return Err(denied(&principal, &format!("you may not read in the space '{space}'")));
        }
        let (material, record) = app.under_key(&space, &key)?;
        if !app.books(|view| principal.rights_on(view, &material, &record))?.delete {
            return Err(denied(&principal, &format!("you may not delete '{key}'")));
        }
        if condition.as_ref().is_some_and(|condition| !condition.holds(record.blake3.as_deref())) {
            let hash = record.blake3.unwrap_or_default();
            return Err(Problem::new(Code::PreconditionFailed, format!("'{key}' has the ETag \"{hash}\"")));
        }
        let remove = SpaceCommand::RemoveFile { space: space.clone(), key: key.clone(), material };
        match app.group.propose_by(by.clone(), Command::Space(remove)).await? {
            // It was overwritten just now: what is there now is looked at.
            Outcome::Refused { code: Code::PreconditionFailed, .. } => {}
            outcome => {
                outcome.accepted()?;
                app.control.prompt(record.replicas.iter().map(|replica| &replica.node));
                return Ok(StatusCode::NO_CONTENT);
            }
        }
    }
    Err(Problem::new(Code::Conflict, format!("'{key}' is overwritten again and again")))
}

impl App {
    /// Refuses who may not read in a space.
    pub(super) fn must_read_in(&self, asker: &Asker, space: &str) -> Result<(), Problem> {
        let (principal, rights) = self.rights_in(asker, space)?;
        match rights.read {
            true => Ok(()),
            false => Err(denied(&principal, &format!("you may not read in the space '{space}'"))),
        }
    }

    fn under_key(&self, space: &str, key: &str) -> Result<(MaterialId, MaterialRecord), Problem> {
        let found = self.glance(|scene| scene.under_key(space, key))?;
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no file '{key}' in the space '{space}'")))
    }
}
