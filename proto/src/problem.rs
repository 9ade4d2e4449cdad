//! Errors as they travel: RFC 9457 `application/problem+json` with a stable `code`, what happened, to what, and what to
//! do about it.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $cause:literal])+ $name:ident = $text:literal, $status:literal, $title:literal, $way_out:literal;)*) => {
        /// Every way of failing that a caller can meet. The text of a code never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $($(#[doc = $cause])+ #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// What went wrong, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// When it happens.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$name => concat!($($cause),+).trim_ascii()),* }
            }

            /// What to do about it.
            pub const fn way_out(self) -> &'static str {
                match self { $(Self::$name => $way_out),* }
            }
        }
    };
}

codes! {
    /// The request's path, query, header or body is not of the wanted form.
    BadRequest = "bad_request", 400, "The request is not understood",
        "Correct the part that the detail names and send it again.";
    /// No token came with the request, or one that is wrong.
    Unauthorized = "unauthorized", 401, "A valid token is needed",
        "Get a token with 'microtome login' or 'microtome token', and send it as 'Authorization: Bearer …' or '?token=…'.";
    /// The token was good and is too old.
    TokenExpired = "token_expired", 401, "The token has expired",
        "Get a new one where you got it: from 'microtome login', POST /v1/login/refresh, 'microtome token' or your identity \
         provider.";
    /// Name and password do not belong together, or there is no such user, or they are shut out: which of these is not told.
    WrongLogin = "wrong_login", 401, "Name or password is wrong",
        "Check both; where they are right, ask an administrator whether the account is there and not shut out.";
    /// A token for one material was good and is too old: whoever may still read it gets another.
    MaterialTokenExpired = "material_token_expired", 403, "The token for this material has expired",
        "Get a new one by POST /v1/materials/{id}/tokens; where that is refused, you may not read the material any more.";
    /// The token is good, but not for this.
    Forbidden = "forbidden", 403, "The token does not allow this",
        "Use a token that covers this, or ask an administrator for one.";
    /// The token was good, and was taken back, or its login has ended.
    TokenRevoked = "token_revoked", 403, "The token counts no more",
        "Log in again; where that is refused, ask an administrator.";
    /// What servers say to each other came without encryption, and this server wants it encrypted.
    EncryptionNeeded = "encryption_needed", 403, "Servers speak to each other over TLS here",
        "Set the same secret and the same 'between_servers' under [tls] on every server; while a cluster is upgraded, 'off' and then 'prefer'.";
    /// Bytes were sent to an upload that is put together from others.
    FinalUpload = "final_upload", 403, "The upload is put together from others and takes no bytes",
        "Send bytes to its parts, before it is made of them.";
    /// The token proves who asks, and that is nobody here.
    NoRights = "no_rights", 403, "The token gives no rights here",
        "A token names a space ('goup_path' or 'space') to send files to; who is an administrator is said under [auth] in cluster.toml.";
    /// There is nothing at this address.
    NotFound = "not_found", 404, "There is nothing here",
        "Check the address; list what there is with 'microtome ls'.";
    /// The tile, level or associated image lies outside what the slide has.
    OutsideSlide = "outside_slide", 404, "The slide has no such tile, level or image",
        "Ask /v1/materials/{id}/slide for its levels, tile grids and associated images.";
    /// The slide carries no ICC profile.
    NoIccProfile = "no_icc_profile", 404, "The slide has no ICC profile",
        "Take its pixels as they are; sRGB is what viewers assume.";
    /// The path is served, but not with this method.
    MethodNotAllowed = "method_not_allowed", 405, "This method is not served here",
        "Use one of the methods in the Allow header.";
    /// A request's body did not come within its time.
    TooSlow = "too_slow", 408, "The request did not come in time",
        "Send it again, over a connection that carries it within the time that the detail names.";
    /// The state of the thing does not allow the request.
    Conflict = "conflict", 409, "The present state does not allow this",
        "Look at its present state, then decide anew.";
    /// A PATCH named an offset that is not the upload's.
    OffsetMismatch = "offset_mismatch", 409, "The upload stands at another offset",
        "Ask for the offset with HEAD and go on from there.";
    /// A report or an order carries a generation older than the present one.
    StaleGeneration = "stale_generation", 409, "A newer assignment exists",
        "Drop the work; the next heartbeat's answer tells what to do.";
    /// The node belongs to another cluster, or its identity is taken.
    WrongCluster = "wrong_cluster", 409, "The node's data folder belongs to another cluster",
        "Start the node with an empty data folder, or point it at its own cluster.";
    /// The protocols that two servers speak are too far apart.
    VersionGap = "version_gap", 409, "Its version and the cluster's are too far apart",
        "Upgrade one release at a time: all coordinators first, then the nodes.";
    /// The thing was there and is gone for good.
    Gone = "gone", 410, "It is no longer here",
        "Create it anew.";
    /// The tus client speaks another version.
    TusVersion = "tus_version", 412, "This tus version is not spoken",
        "Send 'Tus-Resumable: 1.0.0'.";
    /// What the request says must stand there does not.
    PreconditionFailed = "precondition_failed", 412, "What was to stand there does not",
        "Look at what stands there now, then send the request with its ETag in 'If-Match', or without a condition.";
    /// The body or the announced size is over a limit.
    TooLarge = "too_large", 413, "It is larger than the limit",
        "Send less; the detail names the limit.";
    /// The body's media type is not the wanted one.
    UnsupportedMediaType = "unsupported_media_type", 415, "The body has the wrong media type",
        "Send the Content-Type that the detail names.";
    /// The range asked for lies outside the file.
    RangeNotSatisfiable = "range_not_satisfiable", 416, "The range lies outside the file",
        "Ask for a range within the length that Content-Range tells.";
    /// The material is no slide that can be read.
    NotASlide = "not_a_slide", 422, "The file cannot be read as a slide",
        "The original is kept and can be downloaded as it is; convert it to a tiled TIFF or SVS and upload that.";
    /// The material is a slide of a kind that is not read yet.
    UnsupportedSlide = "unsupported_slide", 422, "This kind of slide is not read",
        "The original is kept and can be downloaded as it is; convert it to a tiled TIFF with JPEG, deflate, LZW or no compression.";
    /// The slide's own data is damaged at this place.
    DamagedSlide = "damaged_slide", 422, "The slide is damaged at this place",
        "Other places may be whole; scan the slide again or export it anew.";
    /// The slide's ICC profile is damaged, or none of RGB pixels.
    BadIccProfile = "bad_icc_profile", 422, "The slide's ICC profile cannot be used",
        "Leave 'icc=srgb' out: the pixels come as the file has them.";
    /// The bytes that arrived do not have the hash that was announced.
    HashMismatch = "hash_mismatch", 422, "The bytes do not have the announced hash",
        "Check the file at its source and upload it again.";
    /// All bytes of the upload came, and the check that the operator has set up refuses the file.
    RefusedByCheck = "refused_by_check", 422, "The file was refused by this cluster's check",
        "The detail says why: correct the file, or ask the operator; it was not kept, and the same bytes are refused again.";
    /// The parameters or inputs of a run do not fit its pipeline.
    BadRun = "bad_run", 422, "The run does not fit its pipeline",
        "Correct what the detail names; 'GET /v1/pipelines' lists the pipelines.";
    /// Another writer holds the upload.
    Locked = "locked", 423, "Another request writes to this upload",
        "Wait until it ends, ask for the offset with HEAD and go on from there.";
    /// A request's bytes are not what its checksum says.
    ChecksumMismatch = "checksum_mismatch", 460, "The bytes do not have the checksum that came with them",
        "Nothing of them was kept, and the offset is as before: send them again from there.";
    /// The address and the headers of a request are larger than what is read of them.
    HeadTooLarge = "head_too_large", 431, "The request's address and headers are too large",
        "Send fewer or shorter ones; the detail names the limits.";
    /// The server does more than it should already.
    TooManyRequests = "too_many_requests", 429, "The server has too much to do",
        "Wait as long as Retry-After says and send it again.";
    /// Something in the server went wrong; its log tells more.
    Internal = "internal", 500, "The server failed",
        "Send it again; if it fails again, look in the server's log at this time.";
    /// The request is sound, and asks for what is not done here.
    NotImplemented = "not_implemented", 501, "This is not done here",
        "Ask for what the detail names instead.";
    /// No coordinator leads just now.
    NoLeader = "no_leader", 503, "No coordinator leads just now",
        "Send it again in a moment; if it goes on, start the missing coordinators: more than half must run.";
    /// Not all coordinators understand yet what is asked.
    Upgrading = "upgrading", 503, "The cluster is being upgraded",
        "Upgrade the coordinators that the detail names, or remove those that do not come back ('microtome coordinators').";
    /// None of the nodes that hold the material answers.
    Unavailable = "unavailable", 503, "No node that holds it answers",
        "Start the nodes that hold it ('microtome show ID' lists them), then ask again.";
    /// All bytes of the upload came, and the check that the operator has set up could not be made.
    NotChecked = "not_checked", 503, "The file could not be checked yet",
        "Nothing need be sent again: it is checked until that succeeds. Ask with HEAD, or tell the operator.";
    /// The server is stopping or has not finished starting.
    NotReady = "not_ready", 503, "The server is not ready",
        "Send it again in a moment, or ask another server.";
    /// No node has room for it.
    NoSpace = "no_space", 507, "No node has room for it",
        "Delete materials, add a node, or lower the population.";
    /// The space, or its owner in it, has as much as it may have.
    QuotaExceeded = "quota_exceeded", 507, "The space's quota does not allow it",
        "Delete files in the space, or ask its administrator for a larger quota ('microtome spaces set').";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI of the problem's kind, relative to the server.
    #[serde(rename = "type")]
    pub kind: String,
    /// What went wrong, in a few words; the same for each problem of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: Code,
    /// What happened, to what, and why.
    pub detail: String,
    /// What to do.
    pub way_out: String,
    /// Seconds after which a retry has a chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem: what happened, to what, and why.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/docs/problems#{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            way_out: code.way_out().to_owned(),
            retry_after_s: matches!(code.status(), 423 | 429 | 503).then_some(1),
        }
    }

    /// Whether the same request may well succeed a little later or elsewhere.
    pub fn is_retryable(&self) -> bool {
        matches!(self.status, 408 | 423 | 429 | 500 | 502 | 503 | 504)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.title, self.detail, self.code)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // RFC 9110, 11.6.1: each 401 says how to bring what it lacks.
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_401_says_how_to_bring_what_it_lacks() {
        for code in Code::ALL {
            let response = Problem::new(*code, "x").into_response();
            assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), code.status() == 401, "{code}");
        }
    }
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_text_of_its_own_a_cause_and_a_way_out() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for &code in Code::ALL {
            let json = serde_json::to_value(Problem::new(code, "x")).unwrap();
            assert_eq!(json["code"], code.as_str());
            assert!((400..600).contains(&code.status()), "{code}");
            assert!(!code.title().is_empty() && code.cause().ends_with('.') && code.way_out().ends_with('.'), "{code}");
        }
    }
}
