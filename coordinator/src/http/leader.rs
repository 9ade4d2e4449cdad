//! Whatever needs the leader goes to the leader: a follower passes the whole request on and the answer back.

use super::Shared;
use crate::raft::Leader;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use microtome_proto::{Code, Problem, token::Role};
use microtome_server::{Peer, Scheme, extract};
use std::time::Duration;
use tokio::time::Instant;

/// The header of a request that was passed on: it is not passed on again.
const FORWARDED: HeaderName = HeaderName::from_static("microtome-forwarded");
/// Where a request that was passed on came from.
const PEER: HeaderName = HeaderName::from_static("microtome-peer");
/// Whether it came there encrypted.
const SCHEME: HeaderName = HeaderName::from_static("microtome-scheme");
/// A token of the server that has passed a request on: what it says of where it came from is true.
const VOUCHER: HeaderName = HeaderName::from_static("microtome-voucher");
/// How long a request waits for a leader to be found.
const LEADER_WITHIN: Duration = Duration::from_millis(2_500);
/// How long the leader may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// A leader that cannot be reached is asked again after this long: it may be the wrong one, or just starting.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Headers about one connection, not about the message.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Middleware: the leader answers itself, everybody else asks it.
pub(super) async fn lead(State(app): Shared, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + LEADER_WITHIN;
    let mut leader = app.group.leader();
    if leader == Leader::Unknown {
        leader = app.group.leader_after(&Leader::Unknown, deadline).await;
    }
    if leader == Leader::Own {
        return lead_on(request, next).await;
    }
    if was_forwarded(request.headers()) {
        return Problem::new(Code::NoLeader, "this coordinator does not lead any more").into_response();
    }
    let (parts, body) = request.into_parts();
    let body = match extract::whole(body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    loop {
        match &leader {
            Leader::Own => return lead_on(Request::from_parts(parts, Body::from(body)), next).await,
            Leader::Unknown => return nobody().into_response(),
            Leader::Other(_, url) => {
                let failure = match forward(&app, url, &parts, body.clone()).await {
                    Ok(answer) => return answer,
                    Err(failure) => failure,
                };
                // It was not reached: whoever leads next may be asked the same.
                if !failure.is_connect() {
                    tracing::warn!(error = %failure, %url, "the leader did not answer a request");
                    return Problem::new(Code::NoLeader, "the leader did not answer: whether it acted is not known")
                        .into_response();
                }
                if Instant::now() + AGAIN_AFTER >= deadline {
                    return nobody().into_response();
                }
                let until = Instant::now() + AGAIN_AFTER;
                leader = app.group.leader_after(&leader, until).await;
            }
        }
    }
}

/// The answer is for whoever asked first, and for the way that it came.
async fn lead_on(mut request: Request, next: Next) -> Response {
    let told = request.headers().get(SCHEME).filter(|_| request.headers().contains_key(FORWARDED));
    if let Some(told) = told {
        let scheme = if told == Scheme::Https.as_str() { Scheme::Https } else { Scheme::Http };
        request.extensions_mut().insert(scheme);
    }
    let scheme = Scheme::of(request.extensions());
    scheme.lead_on(next.run(request).await)
}

/// The same for what is answered with a redirect: the body is meant for the server that is redirected to.
pub(super) async fn lead_unread(state: Shared, request: Request, next: Next) -> Response {
    let (parts, _unread) = request.into_parts();
    lead(state, Request::from_parts(parts, Body::empty()), next).await
}

/// Whether another coordinator has passed a request on.
pub(super) fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
}

async fn forward(app: &super::App, leader: &str, parts: &Parts, body: Bytes) -> Result<Response, reqwest::Error> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = end_to_end(&parts.headers);
    headers.insert(FORWARDED, HeaderValue::from_static("1"));
    headers.remove(PEER);
    headers.remove(VOUCHER);
    headers.extend(HeaderValue::try_from(address(app, parts).await).map(|peer| (PEER, peer)));
    let voucher = app.auth.server_token(&format!("coordinator {}", app.group.id())).map(HeaderValue::try_from);
    headers.extend(voucher.and_then(Result::ok).map(|voucher| (VOUCHER, voucher)));
    headers.insert(SCHEME, HeaderValue::from_static(Scheme::of(&parts.extensions).as_str()));
    let request = app.group.peers().pass_on(parts.method.clone(), &format!("{leader}{path}"));
    // The error goes to the log, and the address may carry a token.
    let sent = request.headers(headers).body(body).timeout(ANSWER_WITHIN).send().await;
    let mut answer = sent.map_err(reqwest::Error::without_url)?;
    let (status, headers) = (answer.status(), end_to_end(&std::mem::take(answer.headers_mut())));
    let mut response = Response::new(Body::from(answer.bytes().await.map_err(reqwest::Error::without_url)?));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The address that a request comes from, or came from before it was passed on; empty where it is not known.
pub(super) fn peer(parts: &Parts) -> String {
    match parts.headers.get(PEER).filter(|_| was_forwarded(&parts.headers)) {
        Some(told) => told.to_str().unwrap_or_default().to_owned(),
        None => parts.extensions.get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default(),
    }
}

/// The same where nobody may feign another, as far as tokens are checked: whoever says that they pass a request on must be
/// a server.
pub(super) async fn address(app: &super::App, parts: &Parts) -> String {
    let own = || parts.extensions.get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
    if !parts.headers.contains_key(FORWARDED) || !app.auth.is_on() {
        return peer(parts);
    }
    let Some(voucher) = parts.headers.get(VOUCHER).and_then(|voucher| voucher.to_str().ok()) else { return own() };
    match app.auth.bearer(voucher).await {
        Ok(bearer) if bearer.role == Role::Server => peer(parts),
        _ => own(),
    }
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in HOP_BY_HOP {
        kept.remove(name);
    }
    kept
}

fn nobody() -> Problem {
    Problem::new(Code::NoLeader, "no coordinator leads: they are electing one, or fewer than half of them run")
}
