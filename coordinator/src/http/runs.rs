//! `/v1/runs` and `/v1/pipelines`.

use super::{
    App, Shared,
    access::{By, forbidden},
    check,
};
use crate::{
    control::unreadable,
    core::{
        access::{Principal, Rights},
        command::{Command, Outcome},
        tables::{Requests, Runs, WaitingRuns},
        view::{Typed as _, ViewError},
    },
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, MaterialId, Problem, RunId,
    limits::{RUN_PARAMETERS_DEPTH_MAX, RUN_PARAMETERS_LEN_MAX, RUNS_WAITING_MAX},
    page::{Page, PageQuery},
    run::{CreateRun, Output, Pipeline, Run},
};
use microtome_server::{
    auth::Asker,
    extract::{Json, Path, Query},
};
use std::collections::BTreeSet;

/// `GET /v1/pipelines`.
pub(super) async fn pipelines() -> axum::Json<Page<Pipeline>> {
    axum::Json(Page { items: built_in().into_iter().map(|(pipeline, _)| pipeline).collect(), next_cursor: None })
}

/// `GET /v1/pipelines/{id}`.
pub(super) async fn pipeline(Path(id): Path<String>) -> Result<axum::Json<Pipeline>, Problem> {
    let found = built_in().into_iter().find(|(pipeline, _)| pipeline.id == id);
    found
        .map(|(pipeline, _)| axum::Json(pipeline))
        .ok_or_else(|| Problem::new(Code::NotFound, "there is no pipeline of this name"))
}

/// `GET /v1/runs`.
pub(super) async fn list(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Query(query): Query<PageQuery>,
) -> Result<axum::Json<Page<Run>>, Problem> {
    let asker = app.principal(&asker)?;
    app.show(|scene| scene.runs(&asker, &query)).await.map(axum::Json)
}

/// `GET /v1/runs/{id}`.
pub(super) async fn show(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Run>, Problem> {
    app.run(&asker, &id).await.map(axum::Json)
}

/// `GET /v1/runs/{id}/outputs`.
pub(super) async fn outputs(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Page<Output>>, Problem> {
    Ok(axum::Json(Page { items: app.run(&asker, &id).await?.outputs, next_cursor: None }))
}

/// `POST /v1/runs`.
pub(super) async fn create(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    headers: HeaderMap,
    Json(wanted): Json<CreateRun>,
) -> Result<Response, Problem> {
    check_run(&wanted)?;
    let principal = app.principal(&asker)?;
    app.must_read_all(&principal, &wanted.inputs)?;
    let request = check::idempotency_key(&headers)?;
    app.check_waiting(request.as_ref())?;
    let command = Command::CreateRun {
        request,
        name: wanted.name.unwrap_or_else(|| wanted.pipeline.clone()),
        pipeline: wanted.pipeline,
        inputs: wanted.inputs,
        parameters: wanted.parameters,
        owner: asker.owner(),
    };
    let Outcome::Run { run } = app.group.propose_by(by, command).await?.accepted()? else {
        return Err(Problem::new(Code::Internal, "a command had an outcome that is not its own"));
    };
    let run = app.run_as_written(&run)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/runs/{}", run.id))], axum::Json(run)).into_response())
}

/// `POST /v1/runs/{id}/cancel`.
pub(super) async fn cancel(
    State(app): Shared,
    Extension(asker): Extension<Asker>,
    By(by): By,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Run>, Problem> {
    app.group.linearize().await?;
    if !app.rights_on_run(&asker, &id)?.change {
        return Err(forbidden("only who submitted a run, or may change all its inputs, cancels it"));
    }
    app.group.propose_by(by, Command::CancelRun { run: id.clone() }).await?.accepted()?;
    app.run_as_written(&id).map(axum::Json)
}

impl App {
    /// Whether one more run may wait. One that was submitted under the same key before may.
    fn check_waiting(&self, request: Option<&String>) -> Result<(), Problem> {
        let is_full = self.group.read(|view| {
            let known = request.map(|key| view.get_record::<Requests>(key)).transpose()?.flatten();
            Ok(known.is_none() && view.scan_keys::<WaitingRuns>(&[], None).nth(RUNS_WAITING_MAX - 1).is_some())
        });
        if !is_full.map_err(|error: ViewError| unreadable(&error))? {
            return Ok(());
        }
        let detail =
            format!("{RUNS_WAITING_MAX} runs wait for a node already: cancel some, or wait until they have begun");
        Err(Problem::new(Code::TooManyRequests, detail))
    }

    /// A run that its asker may see.
    async fn run(&self, asker: &Asker, id: &RunId) -> Result<Run, Problem> {
        self.group.linearize().await?;
        self.rights_on_run(asker, id)?;
        self.run_as_written(id)
    }

    /// What an asker may do to a run; without any right it is not there.
    fn rights_on_run(&self, asker: &Asker, id: &RunId) -> Result<Rights, Problem> {
        let principal = self.principal(asker)?;
        let rights = self.books(|view| match view.get_record::<Runs>(id)? {
            Some(run) => principal.rights_on_run(view, &run).map(Some),
            None => Ok(None),
        })?;
        rights.filter(|rights| rights.read).ok_or_else(|| no_run(id))
    }

    /// Whoever runs a program on materials reads them.
    fn must_read_all(&self, principal: &Principal, inputs: &[MaterialId]) -> Result<(), Problem> {
        for input in inputs {
            if self.rights_on(principal, input)?.is_some_and(|rights| !rights.read) {
                return Err(forbidden(&format!("you may not read {input}")));
            }
        }
        Ok(())
    }

    /// The same behind a write of the caller's, see [`App::material_as_written`].
    fn run_as_written(&self, id: &RunId) -> Result<Run, Problem> {
        let found = self.glance(|scene| scene.run(id))?;
        found.ok_or_else(|| no_run(id))
    }
}

fn no_run(id: &RunId) -> Problem {
    Problem::new(Code::NotFound, format!("there is no run {id}"))
}

/// The pipelines that all nodes have, each with the number of its inputs.
fn built_in() -> Vec<(Pipeline, usize)> {
    let tissue = Pipeline {
        id: "tissue".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Finds the tissue on a slide: its fraction of the area, and a mask".to_owned(),
        built_in: true,
    };
    vec![(tissue, 1)]
}

fn check_run(wanted: &CreateRun) -> Result<(), Problem> {
    let bad_run = |detail: String| Err(Problem::new(Code::BadRun, detail));
    let Some((_, inputs)) = built_in().into_iter().find(|(pipeline, _)| pipeline.id == wanted.pipeline) else {
        let shown: String = wanted.pipeline.chars().filter(|char| !char.is_control()).take(40).collect();
        return bad_run(format!("there is no pipeline '{shown}'"));
    };
    wanted.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = wanted.inputs.iter().find(|input| !seen.insert(*input)) {
        return bad_run(format!("{twice} is an input twice"));
    }
    if wanted.inputs.len() != inputs {
        return bad_run(format!("{} inputs: a run of '{}' has {inputs}", wanted.inputs.len(), wanted.pipeline));
    }
    check_object("parameters", &wanted.parameters)
}

/// A JSON object from outside that is kept in the books.
pub(super) fn check_object(what: &str, value: &serde_json::Value) -> Result<(), Problem> {
    let len = serde_json::to_vec(value).map_or(usize::MAX, |text| text.len());
    if !value.is_object() {
        return Err(Problem::new(Code::BadRun, format!("{what} must be a JSON object")));
    }
    if len > RUN_PARAMETERS_LEN_MAX {
        return Err(Problem::new(Code::TooLarge, format!("{what} has {len} bytes: at most {RUN_PARAMETERS_LEN_MAX}")));
    }
    // serde_json writes any depth and reads 128: what is deeper, with the log's own levels around it, could be written
    // to the log and never be read again.
    if depth(value) > RUN_PARAMETERS_DEPTH_MAX {
        let detail = format!("{what} is nested deeper than {RUN_PARAMETERS_DEPTH_MAX} levels");
        return Err(Problem::new(Code::BadRun, detail));
    }
    Ok(())
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn runs_that_do_not_fit_are_refused_with_the_reason() {
        let input: MaterialId = "m-0000000001".parse().unwrap();
        let fits =
            CreateRun { pipeline: "tissue".to_owned(), name: None, inputs: vec![input.clone()], parameters: json!({}) };
        assert!(check_run(&fits).is_ok());
        let refusal = |run: CreateRun| check_run(&run).unwrap_err().detail;
        assert!(refusal(CreateRun { pipeline: "x\u{7}".to_owned(), ..fits.clone() }).contains("'x'"));
        assert!(refusal(CreateRun { inputs: vec![], ..fits.clone() }).contains("0 inputs"));
        assert!(refusal(CreateRun { inputs: vec![input.clone(), input], ..fits.clone() }).contains("twice"));
        assert!(refusal(CreateRun { parameters: json!([]), ..fits.clone() }).contains("object"));
        let large = json!({ "x": "y".repeat(RUN_PARAMETERS_LEN_MAX) });
        assert!(refusal(CreateRun { parameters: large, ..fits.clone() }).contains("at most"));
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "x": inner }));
        assert!(check_run(&CreateRun { parameters: nested(RUN_PARAMETERS_DEPTH_MAX), ..fits.clone() }).is_ok());
        let deeper = CreateRun { parameters: nested(RUN_PARAMETERS_DEPTH_MAX + 1), ..fits };
        assert!(refusal(deeper).contains("deeper than"));
    }
}
