//! The `Range` header of RFC 9110, section 14: one range; several are answered with the whole.

use axum::http::{HeaderMap, header};
use std::ops::Range;

/// What part of a file is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes: not empty, within the file.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Outside,
}

/// What the headers ask of a file of `len` bytes whose entity tag is `etag`.
pub(super) fn wanted(headers: &HeaderMap, len: u64, etag: &str) -> Wanted {
    let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::Whole;
    };
    // If-Range compares strongly; a date, which is none of ours, never matches.
    let unchanged = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    if unchanged { parse(range, len) } else { Wanted::Whole }
}

/// A header that is not understood is ignored, as the RFC wants it.
fn parse(range: &str, len: u64) -> Wanted {
    let bytes = range.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = bytes.and_then(|(_, set)| set.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Some(first), None) if last.is_empty() => first..len,
        (None, Some(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Wanted::Whole,
    };
    if part.is_empty() { Wanted::Outside } else { Wanted::Part(part) }
}

/// More digits than a number has are a number beyond every file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_as_the_rfc_has_them() {
        let cases = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-99", Wanted::Part(0..100)),
            ("bytes=90-200", Wanted::Part(90..100)),
            ("bytes=40-", Wanted::Part(40..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("Bytes=5-6", Wanted::Part(5..7)),
            ("bytes=100-", Wanted::Outside),
            ("bytes=100-200", Wanted::Outside),
            ("bytes=99999999999999999999-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=6-5", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, 100), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-0", 0), Wanted::Outside);
    }

    #[test]
    fn a_changed_file_is_sent_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=1-2".parse().unwrap());
        for (if_range, expected) in
            [("\"a\"", Wanted::Part(1..3)), ("\"b\"", Wanted::Whole), ("Sun, 22 Nov 2026 10:00:00 GMT", Wanted::Whole)]
        {
            headers.insert(header::IF_RANGE, if_range.parse().unwrap());
            assert_eq!(wanted(&headers, 10, "\"a\""), expected, "{if_range}");
        }
    }
}
