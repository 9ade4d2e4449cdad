//! Extractors that refuse in problem+json: axum's own answer in plain text.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request},
    http::request::Parts,
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

/// A JSON body, read as [`whole`] does.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = whole(request.into_body()).await?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::new(Code::BadRequest, format!("the JSON body: {error}")))?;
        Ok(Self(value))
    }
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
}
