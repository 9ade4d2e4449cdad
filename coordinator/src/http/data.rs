//! Everything about a material's bytes: the asker is sent to a node that has them, the least busy one.

use super::{App, Shared};
use axum::{
    extract::{FromRequestParts, OriginalUri, State},
    http::{StatusCode, Uri, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{Code, MaterialId, Problem, internal::Located};
use microtome_server::{Scheme, extract::Path};
use std::convert::Infallible;

/// What was asked for, and how.
pub(super) struct Came {
    uri: Uri,
    scheme: Scheme,
}

impl<S: Send + Sync> FromRequestParts<S> for Came {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let OriginalUri(uri) = OriginalUri::from_request_parts(parts, state).await?;
        Ok(Self { uri, scheme: Scheme::of(&parts.extensions) })
    }
}

/// `/v1/materials/{id}/file`, `/v1/materials/{id}/slide`, `/v1/materials/{id}/icc`, `/regions/{id}`.
pub(super) async fn material(State(app): Shared, came: Came, Path(id): Path<MaterialId>) -> Result<Response, Problem> {
    app.to_holder(&id, &came).await
}

/// `/v1/materials/{id}/associated/{name}`.
pub(super) async fn associated(
    State(app): Shared,
    came: Came,
    Path((id, _)): Path<(MaterialId, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&id, &came).await
}

/// `/tiles/{id}/…`.
pub(super) async fn tile(
    State(app): Shared,
    came: Came,
    Path((id, _)): Path<(MaterialId, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&id, &came).await
}

/// `/dzi/{id}.dzi`.
pub(super) async fn deep_zoom(State(app): Shared, came: Came, Path(name): Path<String>) -> Result<Response, Problem> {
    app.to_holder(&named(&name, ".dzi")?, &came).await
}

/// `/dzi/{id}_files/…`.
pub(super) async fn deep_zoom_tile(
    State(app): Shared,
    came: Came,
    Path((name, _)): Path<(String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&named(&name, "_files")?, &came).await
}

/// `/iiif/{version}/{id}`.
pub(super) async fn iiif(
    State(app): Shared,
    came: Came,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&identified(&id)?, &came).await
}

/// `/iiif/{version}/{id}/…`.
pub(super) async fn iiif_rest(
    State(app): Shared,
    came: Came,
    Path((_, id, _)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&identified(&id)?, &came).await
}

/// `/v1/uploads/{id}`: the node that receives it, or that has received it.
pub(super) async fn upload(State(app): Shared, came: Came, Path(id): Path<MaterialId>) -> Result<Response, Problem> {
    let located = app.located(&id).await?;
    let node = located.receiving.or_else(|| located.holders.into_iter().next());
    node.map(|node| came.redirect(&node)).ok_or_else(|| unavailable(&id))
}

impl App {
    /// Where a material is.
    pub(super) async fn located(&self, id: &MaterialId) -> Result<Located, Problem> {
        self.group.linearize_by_lease().await?;
        let located = self.glance(|scene| scene.located(id))?;
        located.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no material {id}")))
    }

    async fn to_holder(&self, id: &MaterialId, came: &Came) -> Result<Response, Problem> {
        let located = self.located(id).await?;
        self.must_be_shown(id)?;
        // The node that receives it may have all of it already, and nobody has heard of that yet.
        let node = match located.holders.into_iter().next().or(located.receiving) {
            Some(node) => Some(node),
            None => self.glance(|scene| scene.arriving(id))?,
        };
        node.map(|node| came.redirect(&node)).ok_or_else(|| unavailable(id))
    }
}

fn unavailable(id: &MaterialId) -> Problem {
    Problem::new(Code::Unavailable, format!("none of the nodes that hold {id} answers"))
}

impl Came {
    /// The same at a node.
    fn redirect(&self, node: &str) -> Response {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let place = format!("{}{path}", self.scheme.address(node));
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response()
    }
}

/// The IIIF Image API wants 404 for identifiers of nothing, whatever they look like.
fn identified(id: &str) -> Result<MaterialId, Problem> {
    id.parse().map_err(|_| Problem::new(Code::NotFound, format!("'{id}' is no material's id")))
}

fn named(name: &str, ending: &str) -> Result<MaterialId, Problem> {
    let id = name.strip_suffix(ending).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Problem::new(Code::NotFound, format!("a Deep Zoom address is /dzi/ID{ending}")))
}
