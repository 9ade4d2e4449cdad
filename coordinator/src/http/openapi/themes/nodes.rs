//! `/v1/nodes`.

use crate::http::openapi::{
    common::{dry_run, next, node, page},
    words::{Form, Operation, Parameter, Theme},
};
use microtome_proto::{
    Code,
    limits::MATERIAL_SIZE_MAX,
    node::{Candidate, Node},
    operation::Operated,
    page::Page,
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    let size = json!({ "type": "integer", "minimum": 0, "maximum": MATERIAL_SIZE_MAX, "default": 0 });
    let force = Form::Given(json!({ "type": "boolean", "default": false }));
    Theme {
        name: "Nodes",
        text: "The storage nodes, and what operators do to them. Each act may be repeated and then changes nothing.",
        operations: vec![
            Operation::get("/v1/nodes", "listNodes", "Lists nodes with their reports, a page at a time")
                .with(page())
                .gives::<Page<Node>>(200, "A page.")
                .leads([next("listNodes")])
                .led(),
            Operation::get("/v1/nodes/candidates", "listCandidates", "Tells where an upload would go, best first")
                .with([Parameter::query("size", "The upload's length in bytes.", Form::Given(size))])
                .gives::<Page<Candidate>>(200, "The nodes that could take it.")
                .led()
                .fails(&[Code::TooLarge]),
            Operation::get("/v1/nodes/{id}", "showNode", "Shows a node")
                .with([node()])
                .gives::<Node>(200, "The node.")
                .led()
                .fails(&[Code::NotFound]),
            act("/v1/nodes/{id}/cordon", "cordonNode", "Places nothing new on a node"),
            act("/v1/nodes/{id}/uncordon", "uncordonNode", "Gives a node work again; a drain ends"),
            act("/v1/nodes/{id}/drain", "drainNode", "Moves away what is on a node"),
            act("/v1/nodes/{id}/remove", "removeNode", "Takes a node out of the cluster for good")
                .text("Refused where bytes would be lost with it, unless `force` says so.")
                .with([Parameter::query("force", "Removes it although bytes are lost.", force)]),
        ],
    }
}

fn act(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::post(path, id, summary)
        .with([node(), dry_run()])
        .gives::<Operated>(200, "What it did, or would do.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone])
}
