//! The address under which an asker sees this server, for answers that name themselves.

use axum::http::{HeaderMap, header, uri::Authority};
use microtome_server::Scheme;

/// What a proxy in front says of the asker's connection.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Longest host that is repeated in an answer: a name's 253 letters and a port.
const HOST_LEN_MAX: usize = 260;

/// The server's base URL as the asker wrote it, or `own` where the asker says nothing that could stand in an answer. What
/// is repeated is a plain host with a port or without, and one of two schemes.
pub(super) fn base(headers: &HeaderMap, scheme: Scheme, own: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let Some(host) = text(header::HOST.as_str()).filter(|host| is_plain(host)) else {
        return scheme.address(own).into_owned();
    };
    let scheme = match text(FORWARDED_PROTO) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => "http",
        _ => scheme.as_str(),
    };
    format!("{scheme}://{host}")
}

/// Letters, digits, dots, hyphens, a port; or an IPv6 address in brackets: nothing that would end a URL's host, a header
/// or a JSON string.
fn is_plain(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let authority = (host.len() <= HOST_LEN_MAX && host.bytes().all(plain)).then(|| host.parse::<Authority>().ok());
    authority.flatten().is_some_and(|authority| !authority.host().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn seen(headers: &[(&'static str, &str)]) -> String {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        base(&headers.collect(), Scheme::Http, "http://own:7500")
    }

    #[test]
    fn a_server_is_called_as_its_asker_calls_it() {
        assert_eq!(seen(&[("host", "127.0.0.1:7500")]), "http://127.0.0.1:7500");
        assert_eq!(seen(&[("host", "slides.example"), ("x-forwarded-proto", "https")]), "https://slides.example");
        assert_eq!(seen(&[("host", "[::1]:80")]), "http://[::1]:80");
        assert_eq!(seen(&[("host", "h"), ("x-forwarded-proto", "javascript")]), "http://h");
    }

    #[test]
    fn what_could_break_out_of_an_answer_is_not_repeated() {
        let long = "a".repeat(300);
        for host in
            ["", "a b", "a/b", "a\"b", "user@host", "a,b", "a?b", "a#b", "<b>", ":80", "a:b:c", "[::1", "h%41", &long]
        {
            assert_eq!(seen(&[("host", host)]), "http://own:7500", "{host}");
        }
        assert_eq!(seen(&[]), "http://own:7500");
        assert_eq!(base(&HeaderMap::new(), Scheme::Https, "http://own:7500"), "https://own:7500");
    }
}
