//! Extractors that refuse in problem+json: axum's own answer in plain text.

use axum::{
    extract::{FromRequest, FromRequestParts, Path as AxumPath, Query as AxumQuery, Request},
    http::request::Parts,
};
use microtome_proto::{Code, Problem, limits::CONTROL_BODY_LEN_MAX};
use serde::de::DeserializeOwned;

/// A JSON body of at most [`CONTROL_BODY_LEN_MAX`] bytes.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = axum::body::to_bytes(request.into_body(), CONTROL_BODY_LEN_MAX).await.map_err(|_| {
            Problem::new(Code::TooLarge, format!("the body did not arrive whole within {CONTROL_BODY_LEN_MAX} bytes"))
        })?;
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
