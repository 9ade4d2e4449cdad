//! One sender for all servers: a file as the body of one request, as fast as the server takes it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::PIECE;

/// Sends the file with `method` to `path` at `address`, and waits for a status of success. Blocks.
pub(super) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    file: &Path,
) -> anyhow::Result<()> {
    let mut file = File::open(file)?;
    let mut stream = TcpStream::connect(address)?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", file.metadata()?.len());
    stream.write_all(head.as_bytes())?;
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
        Some(status) if status.starts_with('2') => Ok(()),
        _ => bail!("{address} answered: {}", answer.lines().next().unwrap_or("nothing")),
    }
}
