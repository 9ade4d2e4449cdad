//! `/v1/login`, `/v1/logout`, `/v1/me`, `/v1/tokens/revoke` and `/v1/audit`.

use crate::http::openapi::{
    common::{next, page},
    words::{Operation, Theme},
};
use microtome_proto::{
    Code,
    account::{AuditEntry, ChangePassword, LoggedIn, Login, Me, Refresh, Revoke},
    page::Page,
};
use serde_json::json;

pub(super) fn theme() -> Theme {
    Theme {
        name: "Logging in",
        text: "Who asks: a user of the cluster's own logs in with a password, and everybody may ask what they may. A cluster \
               that checks no tokens has nobody to log in: `conflict`.",
        operations: vec![
            login(),
            refresh(),
            Operation::post("/v1/logout", "logout", "Ends the login that the token comes from")
                .gives_nothing(204, "Its tokens count no more.")
                .led()
                .fails(&[Code::NotFound, Code::Conflict]),
            Operation::get("/v1/me", "showMe", "Tells who asks, and what they may").gives::<Me>(200, "Who asks.").led(),
            change_password(),
            revoke(),
            Operation::get("/v1/audit", "listAudit", "Lists who did what, the newest first")
                .text("For administrators of the cluster. The last 100,000 entries are kept.")
                .with(page())
                .gives::<Page<AuditEntry>>(200, "A page.")
                .leads([next("listAudit")])
                .led(),
        ],
    }
}

fn login() -> Operation {
    let text = "Who is not there, or shut out, is answered as who has mistyped. After ten wrong passwords for a name within a \
                quarter of an hour, or a hundred from an address, the next ones are not looked at: `too_many_requests`.";
    Operation::post("/v1/login", "login", "Takes a name and a password for tokens")
        .text(text)
        .open()
        .takes::<Login>(json!({ "name": "ada", "password": "a long passphrase" }))
        .gives::<LoggedIn>(200, "The tokens.")
        .led()
        .fails(&[Code::WrongLogin, Code::Conflict, Code::TooManyRequests])
}

fn refresh() -> Operation {
    let text = "Each refresh token is good for one refresh, and once more within 30 seconds for who never got the answer. One \
                that comes later once more ends the login: somebody may have a copy of it.";
    Operation::post("/v1/login/refresh", "refreshLogin", "Takes a refresh token for the next tokens")
        .text(text)
        .open()
        .takes::<Refresh>(json!({ "refresh_token": "s-0123456789.0123456789" }))
        .gives::<LoggedIn>(200, "The next tokens.")
        .led()
        .fails(&[Code::Unauthorized, Code::WrongLogin, Code::TokenRevoked, Code::Conflict, Code::TooManyRequests])
}

fn change_password() -> Operation {
    Operation::put("/v1/me/password", "changePassword", "Changes the asker's password")
        .text("All other sessions of the user end with it.")
        .takes::<ChangePassword>(json!({ "old": "a long passphrase", "new": "another long passphrase" }))
        .gives_nothing(204, "It is changed.")
        .led()
        .fails(&[Code::WrongLogin, Code::NotFound, Code::Conflict])
}

fn revoke() -> Operation {
    let text = "It counts no more, at coordinators at once and at nodes from their next heartbeat on. Everybody takes back \
                their own tokens, administrators of the cluster those of others too.";
    Operation::post("/v1/tokens/revoke", "revokeToken", "Takes a token back")
        .text(text)
        .takes::<Revoke>(json!({ "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl" }))
        .gives_nothing(204, "It counts no more, or had ended before.")
        .led()
        .fails(&[Code::Conflict, Code::TooManyRequests])
}
