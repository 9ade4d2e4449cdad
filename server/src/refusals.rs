//! What the HTTP library refuses by itself, in our words.
//!
//! A head that is too large, or is none, never becomes a request: hyper answers it with a bare status and closes the
//! connection. Such an answer is taken out of the stream, and a problem is sent in its place. Owns those words; knows
//! nothing of requests that were understood.
//!
//! Bytes do not tell who wrote them: a file that looks like a refusal is somebody's file. So it looks at a connection's
//! bytes only until a first request was [`Understood`]; before that nobody but hyper writes. What it refuses later has its
//! status alone.

use http::header;
use microtome_proto::{Code, Problem};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Largest head of a request, its address included, in bytes.
pub(crate) const HEAD_LEN_MAX: usize = 64 << 10;
/// Most headers of a request: what hyper reads unless it is told otherwise.
const HEADERS_MAX: usize = 100;

/// Whether a request of a connection was understood. Clones are the same one's.
#[derive(Clone, Default)]
pub(crate) struct Understood(Arc<AtomicBool>);

impl Understood {
    /// One was: from now on others write, too.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A connection on which they are so.
pub(crate) struct Worded<S> {
    stream: S,
    understood: Understood,
    /// Of ours, not sent yet.
    left: Vec<u8>,
}

impl<S> Worded<S> {
    pub(crate) fn new(stream: S, understood: Understood) -> Self {
        Self { stream, understood, left: Vec::new() }
    }
}

impl<S: AsyncWrite + Unpin> Worded<S> {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.left.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.left))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether these bytes were a bare refusal, in whose place ours is to be sent.
    fn has_taken(&mut self, bytes: &[u8]) -> bool {
        if self.understood.0.load(Ordering::Acquire) {
            return false;
        }
        let Some(problem) = refused(bytes) else { return false };
        self.left = answer(&problem);
        true
    }
}

/// The problem behind one of hyper's own answers.
fn refused(bytes: &[u8]) -> Option<Problem> {
    let rest = bytes.strip_prefix(b"HTTP/1.1 4")?;
    let is_bare = rest.ends_with(b"\r\n\r\n") && rest.windows(19).any(|part| part == b"content-length: 0\r\n");
    match rest.get(..2)? {
        b"00" if is_bare => Some(Problem::new(
            Code::BadRequest,
            "this is no request of HTTP/1.1: its method, address, version or one of its headers breaks the protocol's form",
        )),
        b"14" | b"31" if is_bare => Some(Problem::new(
            Code::HeadTooLarge,
            format!(
                "a request's address and headers have at most {HEAD_LEN_MAX} bytes together, in {HEADERS_MAX} headers"
            ),
        )),
        _ => None,
    }
}

fn answer(problem: &Problem) -> Vec<u8> {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let status = http::StatusCode::from_u16(problem.status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let mut headers = http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_LENGTH, http::HeaderValue::from(body.len()));
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    crate::cors::allow(&mut headers);
    let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &headers {
        bytes.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        if self.has_taken(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        // A bare refusal has no body that would make it two.
        if let [only] = bufs
            && self.has_taken(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_reworded() {
        let bare =
            |status: &str| refused(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\ndate: x\r\n\r\n").as_bytes());
        assert_eq!(bare("400 Bad Request").unwrap().code, Code::BadRequest);
        let large = bare("431 Request Header Fields Too Large").unwrap();
        assert!(large.code == Code::HeadTooLarge && large.detail.contains("65536"), "{large:?}");
        assert_eq!(bare("414 URI Too Long").unwrap().status, 431);
        assert!(bare("404 Not Found").is_none() && bare("200 OK").is_none());
        for others in ["HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n", "HTTP/1.1 4", "", "HTTP/1.1 400 x"] {
            assert!(refused(others.as_bytes()).is_none(), "{others}");
        }
        assert!(refused(&answer(&large)).is_none(), "ours is left as it is");
    }
}
