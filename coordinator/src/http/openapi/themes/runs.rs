//! `/v1/runs` and `/v1/pipelines`.

use crate::http::openapi::{
    common::{idempotency_key, location, next, page, run},
    words::{Form, Link, Operation, Parameter, Theme},
};
use microtome_proto::{
    Code,
    page::Page,
    run::{CreateRun, Output, Pipeline, Run},
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    let pipeline = Form::Given(json!({ "type": "string", "minLength": 1 }));
    Theme {
        name: "Runs",
        text: "Analyses, carried out on the node that holds the data.",
        operations: vec![
            Operation::get("/v1/pipelines", "listPipelines", "Lists the pipelines")
                .gives::<Page<Pipeline>>(200, "All of them.")
                .led(),
            Operation::get("/v1/pipelines/{id}", "showPipeline", "Shows a pipeline")
                .with([Parameter::path("id", "The pipeline's name.", pipeline, "tissue")])
                .gives::<Pipeline>(200, "The pipeline.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::get("/v1/runs", "listRuns", "Lists runs, a page at a time")
                .with(page())
                .gives::<Page<Run>>(200, "A page.")
                .leads([next("listRuns")])
                .led(),
            create(),
            Operation::get("/v1/runs/{id}", "showRun", "Shows a run")
                .with([run()])
                .gives::<Run>(200, "The run.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::get("/v1/runs/{id}/outputs", "listOutputs", "Lists what a run has made")
                .with([run()])
                .gives::<Page<Output>>(200, "The materials that it has made.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::post("/v1/runs/{id}/cancel", "cancelRun", "Ends a run")
                .with([run()])
                .gives::<Run>(200, "The run as it is now.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
        ],
    }
}

fn create() -> Operation {
    let link = |name, operation| Link { name, operation, parameters: &[("path.id", "$response.body#/id")] };
    Operation::post("/v1/runs", "createRun", "Submits a run")
        .with([idempotency_key()])
        .takes::<CreateRun>(json!({ "pipeline": "tissue", "inputs": ["m-0123456789"] }))
        .gives::<Run>(201, "It waits for a node.")
        .always([location("The run.")])
        .leads([link("show", "showRun"), link("outputs", "listOutputs"), link("cancel", "cancelRun")])
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone, Code::BadRun, Code::TooManyRequests])
}
