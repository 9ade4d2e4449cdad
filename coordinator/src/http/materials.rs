//! `/v1/materials`.

use super::{App, Shared, access::By, addresses::shown, check, terms, turns::Turn};
use crate::{
    control::{Created, NewJoin, NewMaterial},
    core::command::{Actor, Command, Life},
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, MaterialId, Problem,
    material::{CreateMaterial, Material, Owner, PatchMaterial, Terms},
    page::{Page, PageQuery},
};
use microtome_server::{
    Scheme,
    auth::Asker,
    extract::{Json, Path, Query},
};
use serde::Deserialize;

/// What a sender that names no media type sends.
const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

/// What is special about how a material's bytes come.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// The sender tells the size later, to the node.
    pub(super) size_deferred: bool,
    /// It is a part of a file that is put together later, from this sender.
    pub(super) part_from: Option<String>,
    /// Whose upload it is.
    pub(super) owner: Option<Owner>,
    /// Where it belongs, and how long it lives.
    pub(super) terms: Terms,
    /// What its sender says of it, as it came.
    pub(super) metadata: Option<String>,
    /// Who asks for it.
    pub(super) by: Option<Actor>,
}

/// Which materials are listed: those of a space, or all that the asker may read.
#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    space: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What a material is said to be, checked.
struct Described {
    request: Option<String>,
    name: String,
    media_type: String,
    blake3: Option<String>,
    population: u32,
}

/// `GET /v1/materials`.
pub(super) async fn list(
    State(app): Shared,
    scheme: Scheme,
    Extension(asker): Extension<Asker>,
    Query(ListQuery { space, limit, cursor }): Query<ListQuery>,
) -> Result<axum::Json<Page<Material>>, Problem> {
    let query = PageQuery { limit, cursor };
    app.group.linearize().await?;
    let principal = app.principal(&asker)?;
    let page = match space {
        Some(space) => {
            app.must_read_in(&asker, &space)?;
            app.glance(|scene| scene.materials_in(&space, &query))
        }
        None if app.books(|view| principal.is_administrator(view))? => app.glance(|scene| scene.materials(&query)),
        None => app.glance(|scene| scene.materials_for(&principal, &query)),
    };
    page.map(|page| shown(scheme, page))
}

/// `GET /v1/materials/{id}`.
pub(super) async fn show(
    State(app): Shared,
    scheme: Scheme,
    Path(id): Path<MaterialId>,
) -> Result<axum::Json<Material>, Problem> {
    let material = app.material(&id).await?;
    app.must_be_shown(&id)?;
    Ok(shown(scheme, material))
}

/// `POST /v1/materials`.
pub(super) async fn create(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    scheme: Scheme,
    By(by): By,
    headers: HeaderMap,
    Json(wanted): Json<CreateMaterial>,
) -> Result<Response, Problem> {
    let (owner, terms) = match &wanted.origin {
        Some(origin) => {
            asker.must_be_server()?;
            app.terms_of_output(origin)?
        }
        None => (asker.owner(), app.terms(&asker, &wanted, &headers)?),
    };
    if let Some(id) = app.same_file(&asker, &wanted, &terms).await? {
        let location = [(header::LOCATION, format!("/v1/materials/{id}"))];
        return Ok((StatusCode::OK, location, shown(scheme, app.material_as_written(&id)?)).into_response());
    }
    // What nodes make the cluster makes by itself.
    let by = by.filter(|_| wanted.origin.is_none());
    let sending = Sending { owner, terms, by, ..Sending::default() };
    let (material, created) = app.create(&headers, wanted, sending).await?;
    let status = if created.existed { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(header::LOCATION, format!("/v1/materials/{}", material.id))];
    Ok((status, location, shown(scheme, material)).into_response())
}

/// `PATCH /v1/materials/{id}`.
pub(super) async fn update(
    State(app): Shared,
    scheme: Scheme,
    Path(id): Path<MaterialId>,
    By(by): By,
    Json(patch): Json<PatchMaterial>,
) -> Result<axum::Json<Material>, Problem> {
    patch.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
    patch.population.map_or(Ok(()), check::population)?;
    check::life("expires_in_s", patch.expires_in_s.flatten())?;
    check::life("idle_expires_in_s", patch.idle_expires_in_s.flatten())?;
    let (material, PatchMaterial { name, population, expires_in_s, idle_expires_in_s: idle_s }) = (id.clone(), patch);
    let command = match (expires_in_s, idle_s) {
        (None, None) => Command::UpdateMaterial { material, name, population },
        _ => {
            let expires_at = expires_in_s.map(|seconds| seconds.map(terms::ends_at));
            Command::Life(Life::Set { material, name, population, expires_at, idle_s })
        }
    };
    app.group.propose_by(by, command).await?.accepted()?;
    app.material_as_written(&id).map(|material| shown(scheme, material))
}

/// `DELETE /v1/materials/{id}`.
pub(super) async fn delete(State(app): Shared, Path(id): Path<MaterialId>, By(by): By) -> Result<StatusCode, Problem> {
    app.group.propose_by(by, Command::DeleteMaterial { material: id.clone() }).await?.accepted()?;
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

    /// Refuses a part of a file that is put together later, as if it were not there.
    pub(super) fn must_be_shown(&self, id: &MaterialId) -> Result<(), Problem> {
        match self.glance(|scene| scene.is_hidden(id))? {
            true => Err(Problem::new(Code::NotFound, format!("there is no material {id}"))),
            false => Ok(()),
        }
    }

    /// Checks what is wanted, makes it, and shows it.
    pub(super) async fn create(
        &self,
        headers: &HeaderMap,
        wanted: CreateMaterial,
        sending: Sending,
    ) -> Result<(Material, Created), Problem> {
        let Described { request, name, media_type, blake3, population } = self.described(headers, &wanted)?;
        check::size(wanted.size)?;
        let new = NewMaterial {
            by: sending.by,
            request,
            name,
            size: wanted.size,
            size_deferred: sending.size_deferred,
            media_type,
            blake3,
            population,
            origin: wanted.origin,
            part_from: sending.part_from,
            owner: sending.owner,
            terms: sending.terms,
            metadata: sending.metadata,
        };
        let _turn = self.turn(new.request.as_deref()).await;
        self.group.linearize().await?;
        let created = self.control.create(new).await?;
        Ok((self.material(&created.id).await?, created))
    }

    /// The same for one that is put together from parts, as the header `given` names them.
    pub(super) async fn join(
        &self,
        headers: &HeaderMap,
        wanted: CreateMaterial,
        (parts, given): (Vec<MaterialId>, String),
        sending: Sending,
    ) -> Result<Material, Problem> {
        let Described { request, name, media_type, blake3, population } = self.described(headers, &wanted)?;
        let Sending { owner, terms, metadata, by, .. } = sending;
        let new = NewJoin { by, request, name, media_type, blake3, population, parts, given, owner, terms, metadata };
        let _turn = self.turn(new.request.as_deref()).await;
        self.group.linearize().await?;
        let id = self.control.join(new).await?;
        self.material(&id).await
    }

    /// One request with a key at a time.
    async fn turn(&self, key: Option<&str>) -> Option<Turn<'_>> {
        match key {
            Some(key) => Some(self.turns.take(key).await),
            None => None,
        }
    }

    fn described(&self, headers: &HeaderMap, wanted: &CreateMaterial) -> Result<Described, Problem> {
        check::name("name", &wanted.name)?;
        let population = wanted.population.unwrap_or(self.config.population);
        check::population(population)?;
        let media_type = wanted.media_type.clone().unwrap_or_else(|| MEDIA_TYPE_DEFAULT.to_owned());
        check::media_type(&media_type)?;
        Ok(Described {
            request: check::idempotency_key(headers)?,
            name: wanted.name.clone(),
            media_type,
            blake3: wanted.blake3.as_deref().map(check::blake3).transpose()?,
            population,
        })
    }
}
