//! The coordinator's part in runs: it hears the reports and makes materials of the outputs, which it lets the node
//! itself receive.

use super::{FakeCoordinator, coordinator::Seen, material};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use microtome_proto::{
    Code, Generation, MaterialId, Problem, RunId, Timestamp,
    internal::{Order, Reserve, RunReport},
    material::{CreateMaterial, Material, MaterialState, Terms},
};
use std::sync::Arc;

/// What it was told about runs, and what it is to answer.
#[derive(Default)]
pub struct SeenOfRuns {
    pub reports: Vec<(RunId, RunReport)>,
    /// Reports that were refused.
    pub refused: u64,
    /// Refuses reports with this.
    pub refuses: Option<Code>,
    /// Refuses to make materials with this.
    pub refuses_materials: Option<Code>,
    /// Refuses so many materials as if they had gone.
    pub gone: u64,
    /// The key, what was wanted, and the material made for it.
    pub created: Vec<(String, CreateMaterial, MaterialId)>,
}

type Fake = State<Arc<FakeCoordinator>>;

pub fn routes() -> Router<Arc<FakeCoordinator>> {
    Router::new().route("/internal/v1/nodes/{id}/runs/{run}", post(report)).route("/v1/materials", post(create))
}

/// An order to run `tissue`.
pub fn tissue(run: u64, attempt: u64, inputs: &[&MaterialId]) -> Order {
    Order::Run {
        run: RunId::from_counter(run),
        attempt: Generation(attempt),
        pipeline: "tissue".to_owned(),
        inputs: inputs.iter().map(|&id| id.clone()).collect(),
        parameters: serde_json::json!({}),
    }
}

impl FakeCoordinator {
    /// Waits for a report about a run that fulfils `wanted`, and answers with it.
    pub async fn run_report(&self, what: &str, wanted: impl Fn(&RunReport) -> bool) -> RunReport {
        let find =
            |seen: &Seen| seen.runs.reports.iter().map(|(_, report)| report).find(|report| wanted(report)).cloned();
        self.wait(what, |seen| find(seen).is_some()).await;
        find(&self.seen()).unwrap()
    }
}

async fn report(State(fake): Fake, Path((_, run)): Path<(String, RunId)>, Json(report): Json<RunReport>) -> Response {
    let refuses = fake.seen().runs.refuses;
    if let Some(code) = refuses {
        fake.note(|seen| seen.runs.refused += 1);
        return Problem::new(code, "the test wants it").into_response();
    }
    fake.note(|seen| seen.runs.reports.push((run, report)));
    StatusCode::NO_CONTENT.into_response()
}

async fn create(State(fake): Fake, headers: HeaderMap, Json(wanted): Json<CreateMaterial>) -> Response {
    let refuses = fake.seen().runs.refuses_materials;
    if let Some(code) = refuses {
        return Problem::new(code, "the test wants it").into_response();
    }
    let gone = fake.seen().runs.gone;
    if let Some(left) = gone.checked_sub(1) {
        fake.note(|seen| seen.runs.gone = left);
        return Problem::new(Code::Gone, "the test wants it").into_response();
    }
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let (node, known, id) = {
        let seen = fake.seen();
        let known = seen.runs.created.iter().find(|(other, ..)| *other == key).map(|(.., id)| id.clone());
        let next = material(1000 + seen.runs.created.len() as u32);
        (seen.registered.last().unwrap().url.clone(), known.is_some(), known.unwrap_or(next))
    };
    if !known {
        let reserve = Reserve {
            material: id.clone(),
            generation: Generation(1),
            size: wanted.size,
            name: wanted.name.clone(),
            media_type: wanted.media_type.clone().unwrap(),
            blake3: wanted.blake3.clone(),
            concat: None,
            owner: None,
            metadata: None,
        };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let reserved = http.post(format!("{node}/internal/v1/uploads")).json(&reserve).send().await.unwrap();
        assert_eq!(reserved.status(), StatusCode::NO_CONTENT);
        fake.note(|seen| seen.runs.created.push((key, wanted.clone(), id.clone())));
    }
    let made = Material {
        name: wanted.name,
        size: wanted.size,
        size_unknown: false,
        media_type: wanted.media_type.unwrap(),
        blake3: wanted.blake3,
        state: if known { MaterialState::Ready } else { MaterialState::Receiving },
        population: 1,
        population_live: 0,
        replicas: Vec::new(),
        created_at: Timestamp::now(),
        terms: Terms::default(),
        used_at: None,
        origin: wanted.origin,
        upload_url: (!known).then(|| format!("{node}/v1/uploads/{id}")),
        view: format!("/view/{id}"),
        id,
    };
    (StatusCode::CREATED, Json(made)).into_response()
}
