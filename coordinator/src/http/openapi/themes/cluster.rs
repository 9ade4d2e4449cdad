//! `/v1/cluster` and `/v1/coordinators`.

use crate::http::openapi::{
    common::{coordinator, dry_run},
    words::{Operation, Theme},
};
use microtome_proto::{
    Code,
    cluster::{AddCoordinator, Cluster, Coordinator},
    operation::Rebalanced,
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    Theme {
        name: "Cluster",
        text: "The cluster as a whole, its coordinators, and the balance between its nodes.",
        operations: vec![
            Operation::get("/v1/cluster", "showCluster", "Shows the cluster, and what is being made whole")
                .gives::<Cluster>(200, "The cluster.")
                .led(),
            Operation::post("/v1/cluster/rebalance", "rebalance", "Moves copies until nodes are equally full")
                .text("It ends by itself.")
                .with([dry_run()])
                .gives::<Rebalanced>(200, "What is moved, or would be.")
                .led(),
            Operation::delete("/v1/cluster/rebalance", "leaveAsItIs", "Moves no more copies for the balance's sake")
                .gives_nothing(204, "What was moved already stays where it is.")
                .led(),
            Operation::post(
                "/v1/coordinators",
                "addCoordinator",
                "Takes in a coordinator that runs with an empty folder",
            )
            .with([dry_run()])
            .takes::<AddCoordinator>(json!({ "id": 4, "url": "http://10.0.0.4:7400" }))
            .gives::<Vec<Coordinator>>(200, "All coordinators afterwards.")
            .led()
            .fails(&[Code::Conflict, Code::VersionGap]),
            Operation::delete("/v1/coordinators/{id}", "removeCoordinator", "Takes a coordinator out of the cluster")
                .with([coordinator(), dry_run()])
                .gives::<Vec<Coordinator>>(200, "The others.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
        ],
    }
}
