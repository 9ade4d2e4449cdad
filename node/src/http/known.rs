//! If-None-Match: what the asker has already.

use axum::http::{HeaderMap, header};

/// Whether the asker has what has this tag. Weak comparison, as the header wants it.
pub(super) fn has(headers: &HeaderMap, etag: &[u8]) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let tags = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        tags.map(|tag| tag.strip_prefix(b"W/").unwrap_or(tag)).any(|tag| tag == etag)
    })
}

/// Whether the asker wants nothing that is there, whatever its tag.
pub(super) fn has_any(headers: &HeaderMap) -> bool {
    headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_one_of_several_is_enough() {
        for (text, is_known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\" ,W/\"a\"", true),
            ("\"b\"", false),
            ("a", false),
            ("\"A\"", false),
            ("*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, text.parse().unwrap())]);
            assert_eq!(has(&headers, b"\"a\""), is_known, "{text}");
            assert_eq!(has_any(&headers), text == "*", "{text}");
        }
        let mut headers = HeaderMap::new();
        for tag in ["\"b\"", "\"a\""] {
            headers.append(header::IF_NONE_MATCH, tag.parse().unwrap());
        }
        assert!(has(&headers, b"\"a\""), "the header may come more than once");
        assert!(!has(&HeaderMap::new(), b"\"a\"") && !has_any(&HeaderMap::new()));
    }
}
