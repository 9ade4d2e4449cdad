//! How a request came, plain or encrypted: what leads its asker on has to go the same way.

use axum::{
    extract::FromRequestParts,
    http::{Extensions, HeaderValue, header, request::Parts},
    response::Response,
};
use microtome_proto::tls::lifted;
use std::{borrow::Cow, convert::Infallible};

/// How a request came: among the extensions of all that the router answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Plain.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// A request's, by its extensions.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The answer, which leads this asker to another server, or to none.
    pub fn lead_on(self, mut answer: Response) -> Response {
        let place = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        if let Some(lifted) =
            place.map(|place| self.address(place)).and_then(|place| HeaderValue::try_from(&*place).ok())
        {
            answer.headers_mut().insert(header::LOCATION, lifted);
        }
        answer
    }

    /// The address of a server of the cluster, for this asker: whoever came encrypted goes on so.
    pub fn address(self, url: &str) -> Cow<'_, str> {
        match self {
            Self::Http => Cow::Borrowed(url),
            Self::Https => lifted(url),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Scheme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
