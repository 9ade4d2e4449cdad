//! `PUT /v1/spaces/{space}/files/{key}`: an upload in one request. It is made as any other, without its bytes, and they are
//! passed on to its node as they come; where they end early the upload ends, too, as nobody could go on with it.

use crate::http::{
    App, Shared,
    access::{By, forbidden},
    check::{bad, digits},
    leader::was_forwarded,
    materials::Sending,
    uploads::place,
};
use axum::{
    body::{Body, BodyDataStream},
    extract::{OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use microtome_proto::{
    Code, MaterialId, Problem, internal::Located, limits::NAME_LEN_MAX, material::CreateMaterial, tus,
};
use microtome_server::{
    auth::Asker,
    extract::{Path, Query},
};
use serde::Deserialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Says that something stood under the key when the upload was made.
const REPLACES: HeaderName = HeaderName::from_static("microtome-replaces");
/// The material that was made.
const MATERIAL: HeaderName = HeaderName::from_static("microtome-material");
/// A repetition is the same by itself: the key says what is written.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Time that a node has for a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the books may take to hear of a copy that is whole.
const HEARD_WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks at the books.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What may be said of the file beside its key.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct PutQuery {
    population: Option<u32>,
    expires_in_s: Option<u64>,
    idle_expires_in_s: Option<u64>,
}

/// The upload alone, at the leader.
pub(in crate::http) async fn create(
    State(app): Shared,
    Path((space, key)): Path<(String, String)>,
    Query(query): Query<PutQuery>,
    By(by): By,
    request: Parts,
) -> Result<Response, Problem> {
    let headers = &request.headers;
    let asker = Asker::of(&request.extensions)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let size_deferred = text(tus::DEFER_LENGTH).is_some();
    let wanted = CreateMaterial {
        name: name_of(&key),
        size: text(tus::LENGTH).and_then(digits).unwrap_or(0),
        media_type: text(header::CONTENT_TYPE.as_str()).map(str::to_owned),
        population: query.population,
        space: Some(space.clone()),
        key: Some(key.clone()),
        expires_in_s: query.expires_in_s,
        idle_expires_in_s: query.idle_expires_in_s,
        ..CreateMaterial::default()
    };
    let terms = app.terms(asker, &wanted, headers)?;
    if terms.space.as_ref() != Some(&space) {
        return Err(forbidden(&format!("you may not send files to the space '{space}'")));
    }
    let sending = Sending { size_deferred, owner: asker.owner(), terms, by, ..Sending::default() };
    let (material, _) = app.create(headers, wanted, sending).await?;
    let replaces = app.glance(|scene| scene.under_key(&space, &key))?.is_some_and(|(id, _)| id != material.id);
    let mut response = (StatusCode::CREATED, [(header::LOCATION, place(&material)?)]).into_response();
    if replaces {
        response.headers_mut().insert(REPLACES, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The last name in a key, as far as a name may be long.
fn name_of(key: &str) -> String {
    let last = key.rsplit('/').next().unwrap_or_default();
    last.chars()
        .scan(0, |len, c| {
            *len += c.len_utf8();
            (*len <= NAME_LEN_MAX).then_some(c)
        })
        .collect()
}

/// Middleware: makes the upload, and sends its bytes after it.
pub(in crate::http) async fn with_bytes(State(app): Shared, request: Request, next: Next) -> Response {
    // What another coordinator passes on is the upload alone: the bytes are its to send.
    if request.method() != Method::PUT || was_forwarded(request.headers()) {
        return next.run(request).await;
    }
    receive(&app, request, next).await.unwrap_or_else(|problem| problem.into_response())
}

async fn receive(app: &Arc<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    if parts.headers.contains_key(header::CONTENT_RANGE) {
        return Err(bad("Content-Range is there: a file is written as a whole"));
    }
    let length = match parts.headers.remove(header::CONTENT_LENGTH) {
        Some(length) => {
            Some(length.to_str().ok().and_then(digits).ok_or_else(|| bad("Content-Length must be a number of bytes"))?)
        }
        None => None,
    };
    for name in [IDEMPOTENCY_KEY, tus::LENGTH, tus::DEFER_LENGTH] {
        parts.headers.remove(name);
    }
    match length {
        Some(length) => parts.headers.insert(HeaderName::from_static(tus::LENGTH), HeaderValue::from(length)),
        None => parts.headers.insert(HeaderName::from_static(tus::DEFER_LENGTH), HeaderValue::from_static("1")),
    };
    let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |uri| uri.0.clone());
    let token = parts.headers.get(header::AUTHORIZATION).cloned();
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let created = next.run(Request::from_parts(parts, Body::empty())).await;
    let location = created.headers().get(header::LOCATION).filter(|_| created.status() == StatusCode::CREATED);
    let Some(upload) = location.and_then(|location| location.to_str().ok()) else { return Ok(created) };
    let id: MaterialId = upload
        .rsplit('/')
        .next()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Problem::new(Code::Internal, "an upload has an address that is none"))?;
    let is_new = !created.headers().contains_key(REPLACES);
    let transfer = Transfer { app: Arc::clone(app), url: format!("{upload}{query}"), token, id: id.clone(), length };
    // Who sends may go away: what becomes of the upload then is for this to see to.
    let sent = tokio::spawn(transfer.run(body.into_data_stream()));
    let etag = sent.await.map_err(|_| Problem::new(Code::Internal, "passing the bytes on failed"))??;
    let mut response = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT }.into_response();
    let headers = response.headers_mut();
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    headers.extend(HeaderValue::try_from(id.as_str()).map(|id| (MATERIAL, id)));
    if is_new {
        headers.extend(HeaderValue::try_from(path.path()).map(|path| (header::LOCATION, path)));
    }
    Ok(response)
}

/// Bytes on their way to a node.
struct Transfer {
    app: Arc<App>,
    /// The upload at its node.
    url: String,
    token: Option<HeaderValue>,
    id: MaterialId,
    length: Option<u64>,
}

impl Transfer {
    /// Sends them all; answers the file's tag when it stands under its key.
    async fn run(self, body: BodyDataStream) -> Result<Option<HeaderValue>, Problem> {
        let (came, has_ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, ended) = (Arc::clone(&came), Arc::clone(&has_ended));
        let end = futures_util::stream::poll_fn(move |_| {
            ended.store(true, Ordering::Release);
            std::task::Poll::Ready(None)
        });
        let counting = move |bytes: &bytes::Bytes| {
            counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        };
        let body = reqwest::Body::wrap_stream(body.inspect_ok(counting).chain(end));
        let sent = match self.patch(0, self.length, None, body).await {
            Ok(_) if self.length.is_none() => {
                let whole = came.load(Ordering::Relaxed);
                self.patch(whole, Some(0), Some(whole), reqwest::Body::default()).await
            }
            sent => sent,
        };
        let etag = match sent {
            Ok(etag) => etag,
            // Without its last byte it never becomes whole, whatever is still on its way.
            Err(problem) if !has_ended.load(Ordering::Acquire) => {
                self.end().await;
                return Err(problem);
            }
            Err(problem) if problem.code == Code::Unavailable => None,
            Err(problem) => return Err(problem),
        };
        self.heard().await?;
        Ok(etag)
    }

    fn asking(&self) -> HeaderMap {
        let spoken = [(HeaderName::from_static(tus::RESUMABLE), HeaderValue::from_static(tus::VERSION))];
        HeaderMap::from_iter(spoken.into_iter().chain(self.token.clone().map(|token| (header::AUTHORIZATION, token))))
    }

    /// One tus PATCH; the file's tag where the node knows it by then.
    async fn patch(
        &self,
        offset: u64,
        length: Option<u64>,
        told: Option<u64>,
        body: reqwest::Body,
    ) -> Result<Option<HeaderValue>, Problem> {
        let mut headers = self.asking();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(tus::PATCH_TYPE));
        headers.insert(tus::OFFSET, HeaderValue::from(offset));
        headers.extend(length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length))));
        headers.extend(told.map(|told| (HeaderName::from_static(tus::LENGTH), HeaderValue::from(told))));
        let peers = self.app.group.peers();
        match peers.pass_on(Method::PATCH, &self.url).headers(headers).body(body).send().await {
            Ok(answer) if answer.status().is_success() => Ok(answer.headers().get(header::ETAG).cloned()),
            Ok(answer) => {
                let status = answer.status();
                let unread = |_| Problem::new(Code::Unavailable, format!("the node answers {status}"));
                Err(answer.json::<Problem>().await.unwrap_or_else(unread))
            }
            Err(error) => {
                // Its address may carry a token.
                let error = error.without_url();
                tracing::debug!(%error, material = %self.id, "the bytes of a file did not all reach their node");
                Err(Problem::new(Code::Unavailable, "the file did not reach its node whole: send it again"))
            }
        }
    }

    async fn end(&self) {
        let peers = self.app.group.peers();
        let end = peers.pass_on(Method::DELETE, &self.url).headers(self.asking()).timeout(ANSWER_WITHIN);
        if let Err(error) = end.send().await {
            let error = error.without_url();
            tracing::debug!(%error, material = %self.id, "an upload that broke off ends by itself later");
        }
    }

    /// Waits until the books have heard of the copy: from then on it is what readers of the key get.
    async fn heard(&self) -> Result<(), Problem> {
        let until = Instant::now() + HEARD_WITHIN;
        loop {
            match self.app.located_anywhere(&self.id).await {
                Ok(located) if located.receiving.is_none() => return Ok(()),
                Err(problem) if problem.code == Code::NotFound => {
                    return Err(Problem::new(Code::Gone, format!("{} was deleted meanwhile", self.id)));
                }
                _ if Instant::now() >= until => {
                    let detail = format!("the file has arrived as {}, and no coordinator has heard of it yet", self.id);
                    return Err(Problem::new(Code::Unavailable, detail));
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

impl App {
    /// Where a material is, as the leader says, whoever that is.
    async fn located_anywhere(&self, id: &MaterialId) -> Result<Located, Problem> {
        let crate::raft::Leader::Other(_, url) = self.group.leader() else { return self.located(id).await };
        let peers = self.group.peers();
        let request = peers.call(Method::GET, &format!("{url}/internal/v1/materials/{id}"));
        let silent = |error: reqwest::Error| Problem::new(Code::NoLeader, error.without_url().to_string());
        let answer = request.timeout(ANSWER_WITHIN).send().await.map_err(silent)?;
        match answer.status().is_success() {
            true => answer.json().await.map_err(silent),
            false => Err(answer.json::<Problem>().await.map_err(silent)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_as_its_key_ends() {
        assert_eq!(name_of("P/6/9107.pdf"), "9107.pdf");
        assert_eq!(name_of("plain"), "plain");
        let long = name_of(&format!("a/{}", "é".repeat(400)));
        assert_eq!((long.len(), long.chars().all(|c| c == 'é')), (254, true));
    }
}
