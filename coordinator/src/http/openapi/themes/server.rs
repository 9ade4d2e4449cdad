//! What every server tells of itself.

use crate::http::openapi::words::{Form, Operation, Theme};
use microtome_proto::Code;
use serde_json::json;

pub(super) fn theme() -> Theme {
    let text = || Form::Given(json!({ "type": "string" }));
    Theme {
        name: "Server",
        text: "What a server tells of itself, and this description.",
        operations: vec![
            Operation::get("/healthz", "isAlive", "Says that the server runs").open().answer(
                200,
                "It runs.",
                &["text/plain"],
                text(),
            ),
            Operation::get("/readyz", "isReady", "Says whether the server can do its work")
                .open()
                .answer(200, "It can.", &["text/plain"], text())
                .fails(&[Code::NotReady]),
            Operation::get("/metrics", "getMetrics", "Gives the server's metrics").answer(
                200,
                "In the OpenMetrics text format.",
                &["application/openmetrics-text"],
                text(),
            ),
            Operation::get("/openapi.json", "getDescription", "Gives this description")
                .open()
                .answer(200, "An OpenAPI document.", &["application/json"], Form::Given(json!({ "type": "object" })))
                .tagged(),
            page("/docs", "getDocs", "Gives this description as a page"),
            page("/docs/problems", "getProblems", "Lists every problem with its cause and way out"),
        ],
    }
}

fn page(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    let form = Form::Given(json!({ "type": "string" }));
    Operation::get(path, id, summary).open().answer(200, "The page.", &["text/html"], form).tagged()
}
