//! `/v1/teams` and `/v1/cases`.

use crate::http::openapi::{
    common::{idempotency_key, location, next, page},
    words::{Form, Link, Operation, Parameter, Theme},
};
use microtome_proto::{
    CaseId, Code, TeamId,
    account::{Case, CreateCase, CreateTeam, PatchCase, PatchTeam, PutMember, Team},
    material::Material,
    page::Page,
};
use serde_json::json;

fn team() -> Parameter {
    Parameter::path("id", "The team.", Form::of::<TeamId>(), "t-1")
}

fn case() -> Parameter {
    Parameter::path("id", "The case.", Form::of::<CaseId>(), "case-1")
}

fn member() -> Parameter {
    let form = Form::Given(json!({ "type": "string", "minLength": 1 }));
    Parameter::path("user", "The user, by id or name.", form, "u-1")
}

fn link(name: &'static str, operation: &'static str) -> Link {
    Link { name, operation, parameters: &[("path.id", "$response.body#/id")] }
}

pub(super) fn teams() -> Theme {
    Theme {
        name: "Teams",
        text: "Users who work on cases together. To who does not belong to a team, and does not administer the cluster, it is \
               not there.",
        operations: vec![
            Operation::get("/v1/teams", "listTeams", "Lists the asker's teams, a page at a time")
                .text("All teams, to administrators of the cluster.")
                .with(page())
                .gives::<Page<Team>>(200, "A page.")
                .leads([next("listTeams")])
                .led(),
            create_team(),
            Operation::get("/v1/teams/{id}", "showTeam", "Shows a team and its members")
                .with([team()])
                .gives::<Team>(200, "The team.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::patch("/v1/teams/{id}", "updateTeam", "Changes a team's name")
                .with([team()])
                .takes::<PatchTeam>(json!({ "name": "Neuropathology" }))
                .gives::<Team>(200, "The team as it is now.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            Operation::delete("/v1/teams/{id}", "deleteTeam", "Deletes a team that has no cases")
                .with([team()])
                .gives_nothing(204, "It is gone.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            Operation::put(
                "/v1/teams/{id}/members/{user}",
                "setMember",
                "Takes somebody in, or gives them another role",
            )
            .with([team(), member()])
            .takes::<PutMember>(json!({ "role": "member" }))
            .gives::<Team>(200, "The team as it is now.")
            .led()
            .fails(&[Code::NotFound, Code::Conflict]),
            Operation::delete("/v1/teams/{id}/members/{user}", "removeMember", "Takes somebody out of a team")
                .text("Whoever takes out themselves leaves. A team keeps an administrator.")
                .with([team(), member()])
                .gives_nothing(204, "They belong to it no more.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
        ],
    }
}

fn create_team() -> Operation {
    let text = "Whoever makes a team administers it. Administrators of the cluster may name another, and must where they are \
                no user of the cluster's own.";
    Operation::post("/v1/teams", "createTeam", "Makes a team")
        .text(text)
        .with([idempotency_key()])
        .takes::<CreateTeam>(json!({ "name": "Neuropathology", "administrator": "u-1" }))
        .gives::<Team>(201, "The team.")
        .always([location("The team.")])
        .leads([link("show", "showTeam"), link("update", "updateTeam"), link("delete", "deleteTeam")])
        .led()
        .fails(&[Code::NotFound, Code::Conflict])
}

pub(super) fn cases() -> Theme {
    let of_team = Parameter::query("team", "Those of this team alone.", Form::of::<TeamId>());
    Theme {
        name: "Cases",
        text: "Materials of a team that belong together. Whoever belongs to the team reads its cases and makes new ones; its \
               administrators change and delete them.",
        operations: vec![
            Operation::get("/v1/cases", "listCases", "Lists the cases of the asker's teams, a page at a time")
                .with([of_team])
                .with(page())
                .gives::<Page<Case>>(200, "A page.")
                .leads([next("listCases")])
                .led()
                .fails(&[Code::NotFound]),
            create_case(),
            Operation::get("/v1/cases/{id}", "showCase", "Shows a case")
                .with([case()])
                .gives::<Case>(200, "The case.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::patch("/v1/cases/{id}", "updateCase", "Changes a case")
                .text("What is left out stays. What is in the case already keeps the end that it has.")
                .with([case()])
                .takes::<PatchCase>(json!({ "description": "Second opinion" }))
                .gives::<Case>(200, "The case as it is now.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict, Code::Gone]),
            Operation::delete("/v1/cases/{id}", "deleteCase", "Deletes a case with all its materials")
                .text("It takes nothing more from the answer on; its materials are deleted step by step after it.")
                .with([case()])
                .gives_nothing(202, "It is deleted.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict, Code::Gone]),
            Operation::get("/v1/cases/{id}/materials", "listMaterialsOfCase", "Lists the materials of a case")
                .with([case()])
                .with(page())
                .gives::<Page<Material>>(200, "A page.")
                .led()
                .fails(&[Code::NotFound]),
        ],
    }
}

fn create_case() -> Operation {
    Operation::post("/v1/cases", "createCase", "Makes a case")
        .with([idempotency_key()])
        .takes::<CreateCase>(json!({ "team": "t-1", "name": "2026-117" }))
        .gives::<Case>(201, "The case.")
        .always([location("The case.")])
        .leads([
            link("show", "showCase"),
            link("update", "updateCase"),
            link("delete", "deleteCase"),
            link("materials", "listMaterialsOfCase"),
        ])
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone])
}
