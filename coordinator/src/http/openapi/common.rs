//! What many operations have: ids, pages, answers from elsewhere.

use super::words::{Form, Link, Operation, Parameter};
use microtome_proto::{
    Code, CoordinatorId, MaterialId, NodeId, RunId, UserId,
    limits::{LIFE_S_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, POPULATION_MAX},
};
use serde_json::{Value, json};

pub(super) fn material() -> Parameter {
    Parameter::path("id", "The material.", Form::of::<MaterialId>(), "m-0123456789")
}

pub(super) fn node() -> Parameter {
    Parameter::path("id", "The node.", Form::of::<NodeId>(), "n-1")
}

pub(super) fn run() -> Parameter {
    Parameter::path("id", "The run.", Form::of::<RunId>(), "r-1")
}

pub(super) fn user() -> Parameter {
    Parameter::path("id", "The user.", Form::of::<UserId>(), "u-1")
}

pub(super) fn coordinator() -> Parameter {
    Parameter::path("id", "The coordinator's number.", Form::of::<CoordinatorId>(), 4)
}

/// Which page of a list.
pub(super) fn page() -> [Parameter; 2] {
    let limit = json!({
        "type": "integer", "minimum": 1, "maximum": PAGE_ITEMS_MAX, "default": PAGE_ITEMS_DEFAULT,
    });
    let cursor = json!({ "type": "string", "pattern": "^([0-9a-f]{2})*$" });
    [
        Parameter::query("limit", "Most entries wanted.", Form::Given(limit)),
        Parameter::query("cursor", "The `next_cursor` of the page before.", Form::Given(cursor)),
    ]
}

/// Where a list goes on.
pub(super) fn next(list: &'static str) -> Link {
    Link { name: "next", operation: list, parameters: &[("query.cursor", "$response.body#/next_cursor")] }
}

/// Makes a repetition safe.
pub(super) fn idempotency_key() -> Parameter {
    let text = "A repetition under the same key makes nothing new; the same key for something else is refused.";
    Parameter::header("Idempotency-Key", text, Form::Given(json!({ "type": "string", "pattern": "^[!-~]{1,128}$" })))
}

/// Nothing is done, and what would be is told.
pub(super) fn dry_run() -> Parameter {
    let form = json!({ "type": "boolean", "default": false });
    Parameter::query("dry_run", "Changes nothing and tells what it would do.", Form::Given(form))
}

/// What must stand under a key that is written.
pub(super) fn conditions() -> [Parameter; 2] {
    let tags = json!({ "type": "string", "pattern": r#"^(\*|(W/)?"[!#-+.-~-]*"( *, *(W/)?"[!#-+.-~-]*"){0,15})$"# });
    let none = json!({ "type": "string", "const": "*" });
    [
        Parameter::header("If-Match", "`*`, or the `ETag`s of which one must stand there.", Form::Given(tags)),
        Parameter::header("If-None-Match", "`*`: nothing may stand there.", Form::Given(none)),
    ]
}

/// How many copies are wanted.
pub(super) fn population() -> Parameter {
    let form = json!({ "type": "integer", "minimum": 1, "maximum": POPULATION_MAX });
    Parameter::query("population", "Copies wanted; the cluster's default if left out.", Form::Given(form))
}

/// How long what is stored is to live.
pub(super) fn time_to_live() -> [Parameter; 2] {
    let form = || Form::Given(json!({ "type": "integer", "minimum": 1, "maximum": LIFE_S_MAX }));
    [
        Parameter::query("expires_in_s", "After how many seconds it is deleted, used or not.", form()),
        Parameter::query("idle_expires_in_s", "After how many seconds without a reader it is deleted.", form()),
    ]
}

/// A whole number from 0 on.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// Where an answer's thing is.
pub(super) fn location(text: &'static str) -> (&'static str, &'static str, Value) {
    ("Location", text, json!({ "type": "string", "format": "uri-reference" }))
}

impl Operation {
    /// A server that does not have the bytes leads to one that does.
    pub(super) fn on_nodes(self) -> Self {
        self.gives_nothing(307, "A server that has it. The query goes along.")
            .always([location("The same path and query there.")])
            .led()
            .fails(&[Code::NotFound])
    }

    /// An answer that names its bytes: who has them already is told so.
    pub(super) fn tagged(self) -> Self {
        let tag = || ("ETag", "Names these very bytes.", json!({ "type": "string", "pattern": "^\"[^\"]+\"$" }));
        let known = Parameter::header("If-None-Match", "The `ETag` of what the asker has.", Form::Given(text()));
        self.always([tag()]).with([known]).gives_nothing(304, "The asker has it already.").always([tag()])
    }
}
