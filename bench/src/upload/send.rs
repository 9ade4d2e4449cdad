//! One sender for all servers: part of a file as the body of a request, as fast as the server takes it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::PIECE;

/// What a body is.
pub(super) struct Body<'a> {
    pub(super) file: &'a Path,
    /// Which of its bytes.
    pub(super) range: Range<u64>,
}

impl<'a> Body<'a> {
    pub(super) fn whole(file: &'a Path) -> anyhow::Result<Self> {
        Ok(Body { file, range: 0..file.metadata()?.len() })
    }
}

/// Sends the body with `method` to `path` at `address`, and waits for a status of success. Gives the answer's head. Blocks.
pub(super) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &Body<'_>,
) -> anyhow::Result<String> {
    let length = body.range.end - body.range.start;
    let mut stream = TcpStream::connect(address)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut file = File::open(body.file)?;
    file.seek(SeekFrom::Start(body.range.start))?;
    let mut file = file.take(length);
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        stream.write_all(&buffer[..count]).with_context(|| format!("{address} takes no more"))?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(answer),
        _ => bail!("{address} answered: {}", answer.lines().next().unwrap_or("nothing")),
    }
}
