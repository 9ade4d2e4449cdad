//! etcd as a peer: three members with its own defaults, asked by gRPC as its clients ask.

use std::env;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request};

use super::group::Place;
use super::writes::{KEYS, VALUES, value};
use crate::load::{self, Client};
use crate::process::Process;
use crate::report::note;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Where it is installed.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|program| program.is_file());
    if found.is_none() {
        note("etcd is not there and is left out: apt-get install etcd-server, or --etcd FILE");
    }
    found
}

/// Starts a member of the group.
pub(super) fn start(program: &Path, folder: &Path, places: &[Place], which: usize) -> anyhow::Result<Process> {
    let name = |at: usize| format!("member-{}", at + 1);
    let all: Vec<_> =
        places.iter().enumerate().map(|(at, place)| format!("{}=http://{}", name(at), place.members)).collect();
    let clients = format!("http://{}", places[which].clients);
    let members = format!("http://{}", places[which].members);
    let log = File::create(folder.join(format!("{}.log", name(which))))?;
    let mut command = Command::new(program);
    for (variable, _) in env::vars_os() {
        if variable.to_str().is_some_and(|name| name.starts_with("ETCD_")) {
            command.env_remove(variable);
        }
    }
    command
        .args(["--name", &name(which), "--logger", "zap", "--log-level", "error"])
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &members, "--initial-advertise-peer-urls", &members])
        .args(["--initial-cluster", &all.join(","), "--initial-cluster-state", "new"])
        .arg("--data-dir")
        .arg(folder.join(name(which)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::spawn(&name(which), &mut command)
}

/// Who leads.
pub(super) fn leader(places: &[Place]) -> io::Result<Option<usize>> {
    for (which, place) in places.iter().enumerate() {
        let metrics = load::once(place.clients, b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        if String::from_utf8_lossy(&metrics).lines().any(|line| line == "etcd_server_is_leader 1") {
            return Ok(Some(which));
        }
    }
    Ok(None)
}

/// Messages that put values, each another one than the message before for the same key.
pub(super) fn puts() -> Arc<Vec<Bytes>> {
    let one = |number: usize| put(format!("/materials/{:012}", number % KEYS).as_bytes(), value(number).as_bytes());
    Arc::new((0..KEYS * VALUES).map(one).collect())
}

/// A `PutRequest` as it travels: protobuf within gRPC's frame.
fn put(key: &[u8], value: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    for (number, field) in [(1, key), (2, value)] {
        message.put_u8(number << 3 | 2);
        let mut len = field.len();
        while len >= 0x80 {
            message.put_u8(len as u8 | 0x80);
            len >>= 7;
        }
        message.put_u8(len as u8);
        message.put_slice(field);
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put(message);
    framed.freeze()
}

/// A connection of HTTP/2 that is kept open. Only in [`load::alone`].
pub(super) struct Putting {
    send: SendRequest<Bytes>,
    messages: Arc<Vec<Bytes>>,
    url: String,
}

impl Putting {
    pub(super) async fn open(address: SocketAddr, messages: Arc<Vec<Bytes>>) -> io::Result<Self> {
        let stream = load::connect(address).await?;
        let (send, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(async move {
            // Whoever asks hears of a failure.
            let _ = connection.await;
        });
        Ok(Self { send, messages, url: format!("http://{address}/etcdserverpb.KV/Put") })
    }

    async fn put(&mut self, message: Bytes) -> Result<usize, h2::Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.parse().map_err(|_| h2::Reason::INTERNAL_ERROR)?;
        let headers = request.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
        headers.insert("te", http::HeaderValue::from_static("trailers"));
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request(request, false)?;
        body.send_data(message, true)?;
        let answer = answer.await?;
        let is_refused_at_once = is_refused(answer.headers());
        let mut body = answer.into_body();
        let mut len = 0;
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            len += chunk.len();
            body.flow_control().release_capacity(chunk.len())?;
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        match is_refused_at_once || is_refused(&trailers) || !trailers.contains_key(STATUS) {
            true => Err(h2::Reason::REFUSED_STREAM.into()),
            false => Ok(len),
        }
    }
}

const STATUS: &str = "grpc-status";

fn is_refused(headers: &HeaderMap) -> bool {
    headers.get(STATUS).is_some_and(|status| status != "0")
}

impl Client for Putting {
    async fn ask(&mut self, number: usize) -> io::Result<usize> {
        let message = self.messages[number % self.messages.len()].clone();
        let answered = tokio::time::timeout(ANSWER_WITHIN, self.put(message)).await;
        answered.map_err(|_| io::Error::other("no answer in time"))?.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_travels_as_protobuf_in_a_frame() {
        assert_eq!(&put(b"k", b"vw")[..], b"\0\0\0\0\x07\x0a\x01k\x12\x02vw");
        let long = put(b"", &[b'x'; 300]);
        assert_eq!(&long[..10], b"\0\0\0\x01\x31\x0a\0\x12\xac\x02");
        assert_eq!(long.len(), 310);
    }
}
