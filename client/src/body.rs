//! Bodies that are read piece by piece.

use crate::{ClientError, error::cause, transport::Answer};
use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap},
};
use std::time::Duration;

/// Longest silence within a body.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// An answer's body, read piece by piece; bytes arrive as fast as they are taken.
#[derive(Debug)]
pub struct ByteStream {
    server: String,
    status: StatusCode,
    headers: HeaderMap,
    response: Option<Response>,
}

impl ByteStream {
    pub(crate) fn new(answer: Answer) -> Self {
        Self { server: answer.server, status: answer.status, headers: answer.headers, response: answer.rest }
    }

    /// Base URL of the server that sends it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The body's length in bytes, where the server told it.
    pub fn length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The entity tag, quotes and all.
    pub fn etag(&self) -> Option<&str> {
        self.headers.get(ETAG)?.to_str().ok()
    }

    /// Where in the whole the body starts: 0 unless the server answered a range.
    pub fn offset(&self) -> Option<u64> {
        if self.status != StatusCode::PARTIAL_CONTENT {
            return Some(0);
        }
        let range = self.headers.get(CONTENT_RANGE)?.to_str().ok()?;
        range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
    }

    /// The next piece; `None` at the end of the whole body.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] where the connection ends early or is silent for long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let failed = match tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
            Ok(Ok(Some(chunk))) => return Ok(Some(chunk)),
            Ok(Ok(None)) => {
                self.response = None;
                return Ok(None);
            }
            Ok(Err(error)) => cause(&error),
            Err(_) => format!("nothing came for {} s", SILENCE_MAX.as_secs()),
        };
        self.response = None;
        Err(ClientError::Unreachable { servers: self.server.clone(), cause: failed })
    }
}
