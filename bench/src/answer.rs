//! HTTP/1.1 answers as far as a load generator has to understand them: the status, and where the answer ends.

use std::io;
use std::ops::Range;

/// Longest answer that is taken, in bytes.
pub(crate) const ANSWER_MAX: usize = 256 << 20;

/// How the body of an answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(usize),
    /// In chunks that each tell their length.
    Chunked,
}

/// What the head of an answer tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    /// Its own length in bytes, with the empty line.
    pub(crate) len: usize,
    pub(crate) framing: Framing,
    /// The server ends the connection after this answer.
    pub(crate) last: bool,
}

/// Reads the head once it has come; an error for anything but a whole or partial content whose end can be found.
pub(crate) fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !["HTTP/1.1 200", "HTTP/1.1 206"].iter().any(|good| status.starts_with(good)) {
        return Err(io::Error::other(format!("the server answered '{status}'")));
    }
    let (mut framing, mut last) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => framing = value.parse().ok().map(Framing::Length),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => framing = Some(Framing::Chunked),
            "connection" => last = value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    match framing {
        Some(Framing::Length(body)) if body > ANSWER_MAX => Err(io::Error::other(format!("an answer of {body} bytes"))),
        Some(framing) => Ok(Some(Head { len: end + 4, framing, last })),
        None => Err(io::Error::other("an answer without its length")),
    }
}

/// The pieces of a chunked body, and where the answer ends; nothing where its end has not come yet.
#[derive(Debug, PartialEq)]
pub(crate) struct Chunks {
    pub(crate) pieces: Vec<Range<usize>>,
    pub(crate) end: usize,
}

/// Takes a chunked body apart that begins at `at`. Trailers are refused: no server here sends any.
pub(crate) fn chunks(bytes: &[u8], mut at: usize) -> io::Result<Option<Chunks>> {
    let strange = || io::Error::other("a chunk without its length");
    let mut pieces = Vec::new();
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&rest[..line]).map_err(|_| strange())?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let len = usize::from_str_radix(digits, 16).ok().filter(|&len| len <= ANSWER_MAX).ok_or_else(strange)?;
        let from = at + line + 2;
        at = from + len + 2;
        if bytes.len() < at {
            return Ok(None);
        }
        if &bytes[at - 2..at] != b"\r\n" {
            return Err(strange());
        }
        if len == 0 {
            return Ok(Some(Chunks { pieces, end: at }));
        }
        pieces.push(from..from + len);
    }
}

/// Width and height of a JPEG or PNG.
pub(crate) fn picture_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.starts_with(b"\x89PNG") {
        let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        return Some((number(16)?, number(20)?));
    }
    let mut at = 2;
    while bytes.starts_with(b"\xff\xd8") {
        let segment = bytes.get(at..at + 9)?;
        let number = |at: usize| u32::from(segment[at]) << 8 | u32::from(segment[at + 1]);
        match segment[1] {
            0xc0..=0xc2 => return Some((number(7), u32::from(segment[5]) << 8 | u32::from(segment[6]))),
            _ => at += 2 + number(2) as usize,
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_where_the_answer_ends() {
        let answer = b"HTTP/1.1 206 Partial Content\r\ncontent-LENGTH: 5\r\nConnection: close\r\n\r\nhello";
        let told = Head { len: answer.len() - 5, framing: Framing::Length(5), last: true };
        assert_eq!(head(answer).unwrap(), Some(told));
        assert_eq!(head(&answer[..30]).unwrap(), None);
        assert!(head(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_put_together_and_none_is_missed() {
        let body = b"xx5\r\nhello\r\n3;a=b\r\n\r\n!\r\n0\r\n\r\nrest";
        let whole = chunks(body, 2).unwrap().unwrap();
        assert_eq!((whole.pieces, whole.end), (vec![5..10, 19..22], body.len() - 4));
        for len in 2..body.len() - 4 {
            assert_eq!(chunks(&body[..len], 2).unwrap(), None, "{len}");
        }
        assert!(chunks(b"zz\r\n", 0).is_err() && chunks(b"1\r\nabc", 0).is_err());
    }

    #[test]
    fn a_pictures_size_is_read_from_its_head() {
        let jpeg = b"\xff\xd8\xff\xfe\0\x04ab\xff\xc0\0\x11\x08\x01\x02\x03\x04\x03";
        assert_eq!(picture_size(jpeg), Some((0x304, 0x102)));
        assert_eq!(picture_size(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x02\0"), Some((1024, 512)));
        assert_eq!(picture_size(b"hello"), None);
        assert_eq!(picture_size(&jpeg[..12]), None);
    }
}
