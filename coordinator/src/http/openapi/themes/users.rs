//! `/v1/users`.

use crate::http::openapi::{
    common::{idempotency_key, location, next, page, user},
    words::{Form, Link, Operation, Parameter, Theme},
};
use microtome_proto::{
    Code, SessionId,
    account::{CreateAccessToken, CreateUser, CreatedAccessToken, PatchUser, Session, User},
    page::Page,
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    Theme {
        name: "Users",
        text: "Users of the cluster's own, people and service accounts, their logins and tokens. Administrators of the cluster \
               see to them; everybody may ask about themselves.",
        operations: vec![
            Operation::get("/v1/users", "listUsers", "Lists users, a page at a time")
                .with(page())
                .gives::<Page<User>>(200, "A page.")
                .leads([next("listUsers")])
                .led(),
            create(),
            Operation::get("/v1/users/{id}", "showUser", "Shows a user")
                .with([user()])
                .gives::<User>(200, "The user.")
                .led()
                .fails(&[Code::NotFound]),
            Operation::patch("/v1/users/{id}", "updateUser", "Changes a user, or shuts them out")
                .text("What is left out stays. Somebody who can log in and administers the cluster there always is.")
                .with([user()])
                .takes::<PatchUser>(json!({ "disabled": true }))
                .gives::<User>(200, "The user as they are now.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            Operation::delete("/v1/users/{id}", "deleteUser", "Deletes a user")
                .text("Their sessions end; what they have stored stays.")
                .with([user()])
                .gives_nothing(204, "They are gone.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            create_token(),
            Operation::get("/v1/users/{id}/sessions", "listSessions", "Lists the logins and tokens of a user")
                .with([user()])
                .with(page())
                .gives::<Page<Session>>(200, "A page of those that have not ended.")
                .led()
                .fails(&[Code::NotFound]),
            end_session(),
        ],
    }
}

fn create() -> Operation {
    let link = |name, operation| Link { name, operation, parameters: &[("path.id", "$response.body#/id")] };
    Operation::post("/v1/users", "createUser", "Makes a user, or a service account")
        .with([idempotency_key()])
        .takes::<CreateUser>(json!({ "name": "ada", "password": "a long passphrase" }))
        .gives::<User>(201, "The user.")
        .always([location("The user.")])
        .leads([
            link("show", "showUser"),
            link("update", "updateUser"),
            link("delete", "deleteUser"),
            link("sessions", "listSessions"),
            link("token", "createUserToken"),
        ])
        .led()
        .fails(&[Code::NotFound, Code::Conflict])
}

fn create_token() -> Operation {
    Operation::post("/v1/users/{id}/tokens", "createUserToken", "Makes a token for a service account")
        .text("It is shown this once. It counts while its session is there.")
        .with([user()])
        .takes::<CreateAccessToken>(json!({ "label": "the scanner's", "expires_in_s": 86_400 }))
        .gives::<CreatedAccessToken>(201, "The token.")
        .led()
        .fails(&[Code::NotFound, Code::Conflict])
}

fn end_session() -> Operation {
    let session = Parameter::path("session", "The session.", Form::of::<SessionId>(), "s-0123456789");
    Operation::delete("/v1/users/{id}/sessions/{session}", "endSession", "Ends a login, or a service account's token")
        .with([user(), session])
        .gives_nothing(204, "Its tokens count no more.")
        .led()
        .fails(&[Code::NotFound])
}
