//! `/v1/materials`.

use super::{App, Shared, check};
use crate::{
    control::{Created, NewMaterial},
    core::command::Command,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, MaterialId, Problem,
    material::{CreateMaterial, Material, PatchMaterial},
    page::{Page, PageQuery},
};
use microtome_server::{
    auth::Asker,
    extract::{Json, Path, Query},
};

/// What a sender that names no media type sends.
const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

/// `GET /v1/materials`.
pub(super) async fn list(
    State(app): Shared,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Material>>, Problem> {
    app.show(|scene| scene.materials(&query)).await.map(axum::Json)
}

/// `GET /v1/materials/{id}`.
pub(super) async fn show(State(app): Shared, Path(id): Path<MaterialId>) -> Result<axum::Json<Material>, Problem> {
    app.material(&id).await.map(axum::Json)
}

/// `POST /v1/materials`.
pub(super) async fn create(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    Json(wanted): Json<CreateMaterial>,
) -> Result<Response, Problem> {
    if wanted.origin.is_some() {
        asker.must_be_server()?;
    }
    let (material, created) = app.create(&headers, wanted, false).await?;
    let status = if created.existed { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(header::LOCATION, format!("/v1/materials/{}", material.id))];
    Ok((status, location, axum::Json(material)).into_response())
}

/// `PATCH /v1/materials/{id}`.
pub(super) async fn update(
    State(app): Shared,
    Path(id): Path<MaterialId>,
    Json(patch): Json<PatchMaterial>,
) -> Result<axum::Json<Material>, Problem> {
    patch.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
    patch.population.map_or(Ok(()), check::population)?;
    let command = Command::UpdateMaterial { material: id.clone(), name: patch.name, population: patch.population };
    app.group.propose(command).await?.accepted()?;
    app.material_as_written(&id).map(axum::Json)
}

/// `DELETE /v1/materials/{id}`.
pub(super) async fn delete(State(app): Shared, Path(id): Path<MaterialId>) -> Result<StatusCode, Problem> {
    app.group.propose(Command::DeleteMaterial { material: id.clone() }).await?.accepted()?;
    if let Ok(Some(deleted)) = app.glance(|scene| scene.material(&id)) {
        app.control.prompt(deleted.replicas.iter().map(|replica| &replica.node));
    }
    Ok(StatusCode::ACCEPTED)
}

impl App {
    /// A material as it is shown.
    pub(super) async fn material(&self, id: &MaterialId) -> Result<Material, Problem> {
        self.group.linearize().await?;
        self.material_as_written(id)
    }

    /// The same behind a write of the caller's, which was applied here when it was answered: what is shown holds it and
    /// all that was acknowledged before it was asked for, without asking the others once more.
    pub(super) fn material_as_written(&self, id: &MaterialId) -> Result<Material, Problem> {
        let found = self.glance(|scene| scene.material(id))?;
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no material {id}")))
    }

    /// Checks what is wanted, makes it, and shows it. Where the size is deferred the sender tells it later, to the node.
    pub(super) async fn create(
        &self,
        headers: &HeaderMap,
        wanted: CreateMaterial,
        size_deferred: bool,
    ) -> Result<(Material, Created), Problem> {
        check::name("name", &wanted.name)?;
        check::size(wanted.size)?;
        let population = wanted.population.unwrap_or(self.config.population);
        check::population(population)?;
        let media_type = wanted.media_type.unwrap_or_else(|| MEDIA_TYPE_DEFAULT.to_owned());
        check::media_type(&media_type)?;
        let new = NewMaterial {
            request: check::idempotency_key(headers)?,
            name: wanted.name,
            size: wanted.size,
            size_deferred,
            media_type,
            blake3: wanted.blake3.as_deref().map(check::blake3).transpose()?,
            population,
            origin: wanted.origin,
        };
        let _turn = match &new.request {
            Some(key) => Some(self.turns.take(key).await),
            None => None,
        };
        self.group.linearize().await?;
        let created = self.control.create(new).await?;
        Ok((self.material(&created.id).await?, created))
    }
}
