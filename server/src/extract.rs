//! Extractors that refuse in problem+json: axum's own answer in plain text.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path as AxumPath, Query as AxumQuery, Request},
    http::{HeaderMap, header, request::Parts},
};
use microtome_proto::{
    Code, Problem,
    limits::{CONTROL_BODY_LEN_MAX, CONTROL_BODY_WITHIN_S},
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The whole body of a control request.
///
/// # Errors
/// `too_large` or `too_slow`: what is kept in memory has both limits, or slow writers could fill it.
pub async fn whole(body: Body) -> Result<Bytes, Problem> {
    within(Duration::from_secs(CONTROL_BODY_WITHIN_S), body).await
}

async fn within(time: Duration, body: Body) -> Result<Bytes, Problem> {
    let too_large = |what: &str| Problem::new(Code::TooLarge, format!("the body {what} {CONTROL_BODY_LEN_MAX} bytes"));
    // One that says so itself is not waited for.
    if body.size_hint().lower() > CONTROL_BODY_LEN_MAX as u64 {
        return Err(too_large("is longer than"));
    }
    let read = tokio::time::timeout(time, axum::body::to_bytes(body, CONTROL_BODY_LEN_MAX));
    let bytes = read
        .await
        .map_err(|_| Problem::new(Code::TooSlow, format!("the body did not arrive within {} s", time.as_secs())))?;
    bytes.map_err(|_| too_large("did not arrive whole within"))
}

/// A JSON body, read as [`whole`] does. Where it may be left out, `Option<Json<T>>`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        must_be_json(request.headers())?;
        read(&whole(request.into_body()).await?)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = whole(body).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        must_be_json(&parts.headers)?;
        read(&bytes).map(Some)
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Json<T>, Problem> {
    // Serde takes a list for an object's fields in their order, which nobody means.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(Code::BadRequest, "the JSON body is a list, where an object is wanted"));
    }
    let value = serde_json::from_slice(bytes);
    value.map(Json).map_err(|error| Problem::new(Code::BadRequest, format!("the JSON body: {error}")))
}

/// What says that it is something else is not taken for JSON; what says nothing is.
fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let media_type = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_json = media_type.eq_ignore_ascii_case("application/json")
        || media_type.get(media_type.len().saturating_sub(5)..).is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    if is_json {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType, "the body is JSON: its Content-Type is 'application/json'"))
}

/// Parameters from the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AxumPath(value) = AxumPath::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(Code::BadRequest, format!("the path: {}", error.body_text())))?;
        Ok(Self(value))
    }
}

/// Parameters from the query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let AxumQuery(value) = AxumQuery::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(Code::BadRequest, format!("the query: {}", error.body_text())))?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn a_body_that_is_too_long_or_never_ends_is_refused() {
        assert_eq!(whole(Body::from("x")).await.unwrap(), "x");
        let long = whole(Body::from(vec![0; CONTROL_BODY_LEN_MAX + 1])).await;
        assert_eq!(long.unwrap_err().code, Code::TooLarge);
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let slow = within(Duration::from_millis(5), endless).await;
        assert_eq!(slow.unwrap_err().code, Code::TooSlow);
    }

    #[tokio::test]
    async fn what_says_that_it_is_no_json_is_refused() {
        let sent = |media_type: &'static str, body: &'static str| {
            let mut request = Request::new(Body::from(body));
            request.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
            request
        };
        for media_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            let read = <Json<u8> as FromRequest<_>>::from_request(sent(media_type, "7"), &()).await;
            assert_eq!(read.unwrap().0, 7, "{media_type}");
        }
        let list = <Json<(u8,)> as FromRequest<_>>::from_request(sent("application/json", " [7]"), &()).await;
        assert_eq!(list.unwrap_err().code, Code::BadRequest);
        let untold = <Json<u8> as FromRequest<_>>::from_request(Request::new(Body::from("7")), &()).await;
        assert_eq!(untold.unwrap().0, 7);
        for media_type in ["text/plain", "application/x-www-form-urlencoded", "json", ""] {
            let read = <Json<u8> as FromRequest<_>>::from_request(sent(media_type, "7"), &()).await;
            assert_eq!(read.unwrap_err().code, Code::UnsupportedMediaType, "{media_type}");
            let read = <Json<u8> as OptionalFromRequest<_>>::from_request(sent(media_type, ""), &()).await;
            assert!(read.unwrap().is_none(), "{media_type}: there is nothing that it is said of");
        }
    }
}
