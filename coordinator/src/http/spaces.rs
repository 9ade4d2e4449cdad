//! `/v1/spaces`: what spaces there are, for whom, and how much they hold.

use super::{
    App, Shared,
    access::{By, denied},
    check,
};
use crate::core::{
    access::{Principal, SpaceRights},
    command::{Actor, Command, SpaceCommand},
    tables::Spaces,
    view::Typed as _,
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Problem,
    page::{Page, PageQuery},
    space::{PatchSpace, Space},
};
use microtome_server::{
    auth::Asker,
    extract::{Json, Path, Query},
};

/// `GET /v1/spaces`.
pub(super) async fn list(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Space>>, Problem> {
    app.group.linearize().await?;
    let principal = app.principal(&asker)?;
    app.glance(|scene| scene.spaces_for(&principal, &query)).map(axum::Json)
}

/// `GET /v1/spaces/{space}`.
pub(super) async fn show(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
) -> Result<axum::Json<Space>, Problem> {
    app.group.linearize().await?;
    let (principal, rights) = app.rights_in(&asker, &name)?;
    if rights == SpaceRights::default() {
        // Whether it is there is told to those who have to do with it.
        return Err(if principal == Principal::Nobody { denied(&principal, "") } else { not_there(&name) });
    }
    app.space(&name, rights).map(axum::Json)
}

/// `PUT /v1/spaces/{space}`.
pub(super) async fn put(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    By(by): By,
    Json(description): Json<PatchSpace>,
) -> Result<Response, Problem> {
    check::space_name(&name)?;
    app.group.linearize().await?;
    app.must_administer(&asker, "describe spaces")?;
    let is_new = app.books(|view| view.get_record::<Spaces>(&name))?.is_none();
    let space = app.describe(name, description, true, by).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(space)).into_response())
}

/// `PATCH /v1/spaces/{space}`.
pub(super) async fn patch(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    By(by): By,
    Json(patch): Json<PatchSpace>,
) -> Result<axum::Json<Space>, Problem> {
    app.group.linearize().await?;
    let (principal, rights) = app.rights_in(&asker, &name)?;
    if !(rights.manage && patch.is_of_members()) {
        if rights == SpaceRights::default() {
            return Err(not_there(&name));
        }
        if rights.manage {
            app.must_administer(&asker, "change more of a space than its members")?;
        } else {
            return Err(denied(&principal, "only a manager of the space says who its members are"));
        }
    }
    app.describe(name, patch, false, by).await.map(axum::Json)
}

/// `DELETE /v1/spaces/{space}`.
pub(super) async fn delete(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(name): Path<String>,
    By(by): By,
) -> Result<StatusCode, Problem> {
    app.group.linearize().await?;
    app.must_administer(&asker, "take spaces away")?;
    app.group.propose_by(by, Command::Space(SpaceCommand::Forget { space: name })).await?.accepted()?;
    Ok(StatusCode::NO_CONTENT)
}

impl App {
    async fn describe(&self, name: String, patch: PatchSpace, anew: bool, by: Option<Actor>) -> Result<Space, Problem> {
        check::life("expires_in_s", patch.expires_in_s.flatten())?;
        check::life("idle_expires_in_s", patch.idle_expires_in_s.flatten())?;
        let command = Command::Space(SpaceCommand::Describe { space: name.clone(), patch, anew });
        self.group.propose_by(by, command).await?.accepted()?;
        self.space(&name, SpaceRights { read: true, write: true, manage: true })
    }

    fn space(&self, name: &str, rights: SpaceRights) -> Result<Space, Problem> {
        self.glance(|scene| scene.space(name, rights))?.ok_or_else(|| not_there(name))
    }

    /// Who asks, and what they may do in a space.
    pub(super) fn rights_in(&self, asker: &Asker, space: &str) -> Result<(Principal, SpaceRights), Problem> {
        check::space_name(space)?;
        let principal = self.principal(asker)?;
        let rights = self.books(|view| principal.rights_in(view, space))?;
        Ok((principal, rights))
    }

    fn must_administer(&self, asker: &Asker, what: &str) -> Result<(), Problem> {
        let principal = self.principal(asker)?;
        match self.books(|view| principal.is_administrator(view))? {
            true => Ok(()),
            false => Err(denied(&principal, &format!("only administrators of the cluster {what}"))),
        }
    }
}

fn not_there(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no space '{name}' that you have to do with"))
}
