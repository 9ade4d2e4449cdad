//! The token check.
//!
//! A cluster with a secret checks a token on every request but health's; one without checks nothing, and its servers
//! listen on loopback only (see [`Auth::check_address`]).

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{
    Code, Problem, Timestamp,
    token::{Keys, Role},
};
use std::{net::IpAddr, sync::Arc};

/// How long a token lives that a server makes for its own calls, in seconds.
const SERVER_TOKEN_S: u64 = 300;

/// Checks tokens, or nothing where the cluster has no secret.
#[derive(Clone, Default)]
pub struct Auth(Option<Arc<Keys>>);

impl Auth {
    /// From the cluster's secret, where it has one.
    pub fn new(secret: Option<&str>) -> Self {
        Self(secret.map(|secret| Arc::new(Keys::from_secret(secret))))
    }

    /// Whether tokens are checked.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Without a secret only loopback may be listened on.
    ///
    /// # Errors
    /// A sentence with a way out.
    pub fn check_address(&self, address: IpAddr) -> Result<(), String> {
        if self.is_on() || address.is_loopback() {
            return Ok(());
        }
        Err(format!(
            "without a secret everybody who reaches {address} could read and delete everything: \
             set 'secret' under [auth] in cluster.toml (the same on every server), or listen on 127.0.0.1"
        ))
    }

    /// Without a secret, being on this machine is all that protects the cluster, and a browser on it runs anybody's pages:
    /// those of other origins may look, as with any image server, and change nothing.
    ///
    /// # Errors
    /// `forbidden`.
    fn check_origin(&self, role: Role, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let looks = matches!(*method, Method::GET | Method::HEAD) && role == Role::Administrator;
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.is_on() && !looks && !is_loopback(origin) => Err(Problem::new(
                Code::Forbidden,
                "a page of another origin may change nothing in a cluster that has no secret",
            )),
            _ => Ok(()),
        }
    }

    /// Checks what the middleware checks: the token, and where the request comes from.
    ///
    /// # Errors
    /// `unauthorized` or `forbidden`.
    pub fn check_request(&self, role: Role, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        self.check(headers, uri, role)?;
        self.check_origin(role, method, headers)
    }

    /// A fresh token for a server's own call, where tokens are checked.
    pub fn server_token(&self, subject: &str) -> Option<String> {
        let now = u64::try_from(Timestamp::now().as_millis() / 1000).unwrap_or(0);
        self.0.as_ref().and_then(|keys| keys.sign(subject, Role::Server, now, SERVER_TOKEN_S).ok())
    }

    /// The name that the request's token bears, where tokens are checked and this one is valid.
    pub fn bearer(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        let token = bearer(headers).or_else(|| query_token(uri))?;
        self.0.as_ref()?.check(token).ok().map(|claims| claims.sub)
    }

    /// Checks that the request carries a token of at least `role`.
    ///
    /// # Errors
    /// `unauthorized` or `forbidden`.
    pub fn check(&self, headers: &HeaderMap, uri: &Uri, role: Role) -> Result<(), Problem> {
        let Some(keys) = &self.0 else { return Ok(()) };
        let token = bearer(headers)
            .or_else(|| query_token(uri))
            .ok_or_else(|| Problem::new(Code::Unauthorized, "the request carries no token"))?;
        let claims = keys.check(token).map_err(|error| Problem::new(Code::Unauthorized, error.to_string()))?;
        match (role, claims.role) {
            (Role::Server, Role::Administrator) => {
                Err(Problem::new(Code::Forbidden, "only servers of the cluster may call this"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a page that has this origin came from this very machine.
fn is_loopback(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn query_token(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Middleware for what users call.
pub async fn user(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    guarded(&auth, Role::Administrator, request, next).await
}

/// Middleware for what servers say to each other.
pub async fn server(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    guarded(&auth, Role::Server, request, next).await
}

async fn guarded(auth: &Auth, role: Role, request: Request, next: Next) -> Response {
    // A browser asks before it sends a token: preflight requests carry none.
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    match auth.check_request(role, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth: &Auth, header: Option<&str>, uri: &str, role: Role) -> Result<(), Code> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        auth.check(&headers, &uri.parse().unwrap(), role).map_err(|problem| problem.code)
    }

    #[test]
    fn tokens_are_taken_from_header_and_query() {
        let auth = Auth::new(Some("a secret of some length"));
        let token = auth.server_token("node").unwrap();
        assert_eq!(check(&auth, Some(&format!("Bearer {token}")), "/", Role::Server), Ok(()));
        let bearer = |auth: &Auth| auth.bearer(&HeaderMap::new(), &format!("/x?token={token}").parse().unwrap());
        assert_eq!((bearer(&auth).as_deref(), bearer(&Auth::default())), (Some("node"), None));
        assert_eq!(check(&auth, None, &format!("/x?a=b&token={token}"), Role::Administrator), Ok(()));
        assert_eq!(check(&auth, None, "/x", Role::Administrator), Err(Code::Unauthorized));
        assert_eq!(check(&auth, Some("Bearer x.y.z"), "/x", Role::Administrator), Err(Code::Unauthorized));
    }

    #[test]
    fn pages_of_other_origins_change_nothing_in_an_open_cluster() {
        let check = |auth: &Auth, role: Role, method: Method, origin: Option<&'static str>| {
            let origin = origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin)));
            auth.check_origin(role, &method, &HeaderMap::from_iter(origin)).is_ok()
        };
        let open = Auth::default();
        for own in [None, Some("http://127.0.0.1:7400"), Some("http://localhost:5173"), Some("http://[::1]:7400")] {
            assert!(check(&open, Role::Administrator, Method::DELETE, own), "{own:?}");
        }
        for other in ["https://evil.example", "http://localhost.evil.example", "http://10.0.0.1:7400", "null"] {
            assert!(!check(&open, Role::Administrator, Method::POST, Some(other)), "{other}");
            assert!(!check(&open, Role::Server, Method::GET, Some(other)), "{other}");
            assert!(check(&open, Role::Administrator, Method::GET, Some(other)), "{other}");
            let closed = Auth::new(Some("a secret of some length"));
            assert!(check(&closed, Role::Administrator, Method::DELETE, Some(other)), "{other}");
        }
    }

    #[test]
    fn an_open_server_stays_on_loopback() {
        let open = Auth::default();
        assert!(open.check_address("127.0.0.1".parse().unwrap()).is_ok());
        assert!(open.check_address("0.0.0.0".parse().unwrap()).is_err());
        assert!(Auth::new(Some("a secret of some length")).check_address("0.0.0.0".parse().unwrap()).is_ok());
    }
}
