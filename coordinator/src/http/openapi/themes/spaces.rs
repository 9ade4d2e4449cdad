//! `/v1/spaces`, and the files that they serve under keys.

use crate::http::openapi::{
    common::{conditions, next, page, population, text, time_to_live},
    words::{Form, Link, Operation, Parameter, Theme},
};
use microtome_proto::{
    Code,
    limits::{FILE_KEY_LEN_MAX, FILE_KEY_PATTERN, NAME_LEN_MAX, NAME_PATTERN},
    page::Page,
    space::{PatchSpace, Space, SpaceFiles},
};
use serde_json::{Value, json};

fn named() -> Form {
    Form::Given(json!({ "type": "string", "minLength": 1, "maxLength": NAME_LEN_MAX, "pattern": NAME_PATTERN }))
}

/// The space that something is about, in the query.
pub(super) fn in_space(text: &'static str) -> Parameter {
    Parameter::query("space", text, named())
}

fn space() -> Parameter {
    Parameter::path("space", "The space. A slash in its name is written `%2F`.", named(), "lab")
}

fn key() -> Parameter {
    let form = json!({ "type": "string", "minLength": 1, "maxLength": FILE_KEY_LEN_MAX, "pattern": FILE_KEY_PATTERN });
    let text =
        "The file's key: names with a slash between two, of which none is `.` or `..`. Slashes stand as they are.";
    Parameter::path("key", text, Form::Given(form), "reports/9107.pdf")
}

pub(super) fn theme() -> Theme {
    Theme {
        name: "Spaces",
        text: "Where files of those who have to do with one another lie: who may read and write there, how much may lie there \
               and for how long, and what is served under which key.",
        operations: vec![
            Operation::get("/v1/spaces", "listSpaces", "Lists the spaces that the asker has to do with, by name")
                .with(page())
                .gives::<Page<Space>>(200, "A page.")
                .leads([next("listSpaces")])
                .led(),
            Operation::get("/v1/spaces/{space}", "showSpace", "Shows a space")
                .with([space()])
                .gives::<Space>(200, "The space.")
                .led()
                .fails(&[Code::NotFound]),
            put(),
            Operation::patch("/v1/spaces/{space}", "updateSpace", "Changes a space")
                .text("What is left out stays, and null takes away. Its managers change its members, administrators of the \
                       cluster all of it.")
                .with([space()])
                .takes::<PatchSpace>(json!({ "members": { "user:u-2": null } }))
                .gives::<Space>(200, "The space as it is now.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::delete("/v1/spaces/{space}", "deleteSpace", "Forgets a space in which nothing lies")
                .with([space()])
                .gives_nothing(204, "It is forgotten.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            list_files(),
            read_file(),
            write_file(),
            delete_file(),
        ],
    }
}

fn put() -> Operation {
    let link = |name, operation| Link { name, operation, parameters: &[("path.space", "$response.body#/name")] };
    let links = || [link("show", "showSpace"), link("update", "updateSpace"), link("files", "listFilesOfSpace")];
    Operation::put("/v1/spaces/{space}", "describeSpace", "Describes a space anew")
        .text("What is left out is as it is in a new space. For administrators of the cluster.")
        .with([space()])
        .takes::<PatchSpace>(json!({ "members": { "user:u-2": "manager" }, "quota_bytes": 1_000_000_000 }))
        .gives::<Space>(201, "It is described for the first time.")
        .leads(links())
        .gives::<Space>(200, "The space as it is now.")
        .leads(links())
        .led()
}

fn list_files() -> Operation {
    let prefix = json!({ "type": "string", "maxLength": FILE_KEY_LEN_MAX });
    let delimiter = json!({ "type": "string", "enum": ["/", ""] });
    let delimits = "`/`: keys that have one behind the prefix are told as their beginning up to there, in `prefixes`.";
    Operation::get("/v1/spaces/{space}/files", "listFilesOfSpace", "Lists the files of a space by their keys")
        .with([
            space(),
            Parameter::query("prefix", "How their keys begin.", Form::Given(prefix)),
            Parameter::query("delimiter", delimits, Form::Given(delimiter)),
        ])
        .with(page())
        .gives::<SpaceFiles>(200, "A page.")
        .led()
        .fails(&[Code::NotFound])
}

fn read_file() -> Operation {
    let leads = ("Location", "The material's file, where it is given.", json!({ "type": "string", "format": "uri" }));
    Operation::get("/v1/spaces/{space}/files/{key}", "getFileOfSpace", "Leads to what stands under a key")
        .text("A node that holds it gives it as the material's file: whole or in part, with its `ETag`.")
        .with([space(), key()])
        .gives_nothing(307, "Where it is. The query goes along.")
        .always([leads])
        .led()
        .fails(&[Code::NotFound, Code::Gone])
}

fn material() -> (&'static str, &'static str, Value) {
    ("Microtome-Material", "The material that it is.", json!({ "type": "string" }))
}

fn tag() -> (&'static str, &'static str, Value) {
    ("ETag", "Names these very bytes.", text())
}

fn write_file() -> Operation {
    let text = "With the answer it stands there, and is what readers of the key get. `Content-Type` is kept. A request that \
                breaks off leaves what stood there before.";
    let location = ("Location", "Where it stands.", json!({ "type": "string", "format": "uri-reference" }));
    Operation::put("/v1/spaces/{space}/files/{key}", "putFileOfSpace", "Stores a file under a key")
        .text(text)
        .with([space(), key(), population()])
        .with(time_to_live())
        .with(conditions())
        .takes_bytes("application/octet-stream", false)
        .gives_nothing(201, "It stands under the key, where nothing stood.")
        .always([material(), location])
        .perhaps([tag()])
        .gives_nothing(204, "It stands under the key in place of another file.")
        .always([material()])
        .perhaps([tag()])
        .led()
        .fails(&[
            Code::NotFound,
            Code::Conflict,
            Code::Gone,
            Code::PreconditionFailed,
            Code::RefusedByCheck,
            Code::Locked,
            Code::Upgrading,
            Code::NotChecked,
            Code::NoSpace,
            Code::QuotaExceeded,
        ])
}

fn delete_file() -> Operation {
    Operation::delete("/v1/spaces/{space}/files/{key}", "deleteFileOfSpace", "Deletes what stands under a key")
        .with([space(), key()])
        .with(conditions())
        .gives_nothing(204, "Nothing stands there any more.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict, Code::Gone, Code::PreconditionFailed])
}
