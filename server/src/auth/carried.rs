//! Where a request carries its token: `Authorization: Bearer …`, `?token=…`, or the cookie `microtome_token`.
//!
//! A token in a query is for pictures and links, whose asker can set no header. It stays out of logs: what is logged of a
//! request is its path.

use axum::http::{HeaderMap, Method, Uri, header};
use microtome_proto::tus;

/// The cookie with a token.
const COOKIE: &str = "microtome_token";

/// The request's token, where it has one: the header's before the query's before the cookie's.
pub(super) fn token<'a>(method: &Method, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    bearer(headers).or_else(|| in_query(uri)).or_else(|| cookie(method, headers)).filter(|token| !token.is_empty())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The token in the query, where there is one.
pub(super) fn in_query(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// What a POST says that it stands for: where networks let nothing else through, tus has a header for it.
pub(super) fn stands_for(method: &Method, headers: &HeaderMap) -> Option<Method> {
    let other = headers.get(tus::METHOD_OVERRIDE).filter(|_| *method == Method::POST)?;
    Method::from_bytes(&other.as_bytes().to_ascii_uppercase()).ok()
}

/// Browsers send a cookie along with whatever any page asks for: with it, only what changes nothing may be asked.
fn cookie<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a str> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(name, value)| (name == COOKIE).then(|| value.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn found(method: &Method, uri: &'static str, pairs: &[(HeaderName, &'static str)]) -> Option<String> {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        token(method, &Uri::from_static(uri), &HeaderMap::from_iter(pairs)).map(str::to_owned)
    }

    #[test]
    fn a_token_is_taken_from_header_query_and_cookie_in_this_order() {
        let (authorization, cookie) = (header::AUTHORIZATION, header::COOKIE);
        let all = [(authorization.clone(), "bEARER a.b.c"), (cookie.clone(), "microtome_token=g.h.i")];
        assert_eq!(found(&Method::GET, "/x?token=d.e.f", &all).as_deref(), Some("a.b.c"));
        assert_eq!(found(&Method::GET, "/x?a=b&token=d.e.f&c", &all[1..]).as_deref(), Some("d.e.f"));
        assert_eq!(found(&Method::GET, "/x", &all[1..]).as_deref(), Some("g.h.i"));
        let among = [(cookie, "other=1; microtome_token=\"g.h.i\"; microtome_token2=x")];
        assert_eq!(found(&Method::HEAD, "/x", &among).as_deref(), Some("g.h.i"));
        assert_eq!(found(&Method::GET, "/x?token=&mytoken=x", &[(authorization, "Basic eDp5")]), None);
    }

    #[test]
    fn a_post_may_stand_for_another_method() {
        let named = |name: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(tus::METHOD_OVERRIDE), HeaderValue::from_static(name))])
        };
        assert_eq!(stands_for(&Method::POST, &named("delete")), Some(Method::DELETE));
        assert_eq!(stands_for(&Method::GET, &named("DELETE")), None);
        assert_eq!(stands_for(&Method::POST, &HeaderMap::new()), None);
    }

    /// Any page can have a browser send a form to another site, cookies and all.
    #[test]
    fn a_cookie_changes_nothing() {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(found(&method, "/x", &[(header::COOKIE, "microtome_token=g.h.i")]), None, "{method}");
        }
    }
}
