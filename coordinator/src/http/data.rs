//! Everything about a material's bytes: the asker is sent to a node that has them, the least busy one.

use super::{App, Shared};
use axum::{
    extract::{OriginalUri, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{Code, MaterialId, Problem, internal::Located};
use microtome_server::extract::Path;

/// `/v1/materials/{id}/file`, `/v1/materials/{id}/slide`, `/v1/materials/{id}/icc`, `/regions/{id}`.
pub(super) async fn material(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<MaterialId>,
) -> Result<Response, Problem> {
    app.to_holder(&id, &uri).await
}

/// `/v1/materials/{id}/associated/{name}`.
pub(super) async fn associated(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path((id, _)): Path<(MaterialId, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&id, &uri).await
}

/// `/tiles/{id}/…`.
pub(super) async fn tile(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path((id, _)): Path<(MaterialId, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&id, &uri).await
}

/// `/dzi/{id}.dzi`.
pub(super) async fn deep_zoom(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    app.to_holder(&named(&name, ".dzi")?, &uri).await
}

/// `/dzi/{id}_files/…`.
pub(super) async fn deep_zoom_tile(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path((name, _)): Path<(String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&named(&name, "_files")?, &uri).await
}

/// `/iiif/{version}/{id}`.
pub(super) async fn iiif(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&identified(&id)?, &uri).await
}

/// `/iiif/{version}/{id}/…`.
pub(super) async fn iiif_rest(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path((_, id, _)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    app.to_holder(&identified(&id)?, &uri).await
}

/// `/v1/uploads/{id}`: the node that receives it, or that has received it.
pub(super) async fn upload(
    State(app): Shared,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<MaterialId>,
) -> Result<Response, Problem> {
    let located = app.located(&id).await?;
    let node = located.receiving.or_else(|| located.holders.into_iter().next());
    node.map(|node| redirect(&node, &uri)).ok_or_else(|| unavailable(&id))
}

impl App {
    /// Where a material is.
    pub(super) async fn located(&self, id: &MaterialId) -> Result<Located, Problem> {
        self.group.linearize_by_lease().await?;
        let located = self.glance(|scene| scene.located(id))?;
        located.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no material {id}")))
    }

    pub(super) async fn to_holder(&self, id: &MaterialId, uri: &Uri) -> Result<Response, Problem> {
        let located = self.located(id).await?;
        self.must_be_shown(id)?;
        // The node that receives it may have all of it already, and nobody has heard of that yet.
        let node = match located.holders.into_iter().next().or(located.receiving) {
            Some(node) => Some(node),
            None => self.glance(|scene| scene.arriving(id))?,
        };
        node.map(|node| redirect(&node, uri)).ok_or_else(|| unavailable(id))
    }
}

fn unavailable(id: &MaterialId) -> Problem {
    Problem::new(Code::Unavailable, format!("none of the nodes that hold {id} answers"))
}

fn redirect(node: &str, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, format!("{node}{path}"))]).into_response()
}

/// The IIIF Image API wants 404 for identifiers of nothing, whatever they look like.
fn identified(id: &str) -> Result<MaterialId, Problem> {
    id.parse().map_err(|_| Problem::new(Code::NotFound, format!("'{id}' is no material's id")))
}

fn named(name: &str, ending: &str) -> Result<MaterialId, Problem> {
    let id = name.strip_suffix(ending).and_then(|id| id.parse().ok());
    id.ok_or_else(|| Problem::new(Code::NotFound, format!("a Deep Zoom address is /dzi/ID{ending}")))
}
