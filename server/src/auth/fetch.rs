//! Fetching a provider's keys: one GET, bounded in time and size, without redirects, over TLS or from this very machine.

use crate::tls::files::machine_roots;
use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use microtome_proto::token::{JWKS_LEN_MAX, KeysAt};
use rustls::{ClientConfig, crypto::aws_lc_rs, pki_types::ServerName};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// What is at `url`, or why it cannot be had.
pub(super) async fn get(url: &str, within: Duration) -> Result<Vec<u8>, String> {
    let uri = KeysAt::url(url).map_err(|error| error.to_string())?;
    match tokio::time::timeout(within, ask(&uri)).await {
        Ok(answer) => answer.map_err(|error| format!("{url}: {error}")),
        Err(_) => Err(format!("{url}: no whole answer within {} s", within.as_secs_f32())),
    }
}

async fn ask(uri: &Uri) -> Result<Vec<u8>, String> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    if !encrypted {
        return answer(stream, uri).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = connector().await?.connect(name, stream).await.map_err(|error| error.to_string())?;
    answer(stream, uri).await
}

/// The machine's certificates are read anew each time: seldom enough, and those that were added count.
async fn connector() -> Result<TlsConnector, String> {
    let read = tokio::task::spawn_blocking(machine_roots).await.map_err(|error| error.to_string())?;
    let roots = read.map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, uri: &Uri) -> Result<Vec<u8>, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let _gone_with_the_answer = AbortOnDropHandle::new(tokio::spawn(connection));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("microtome/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("it answers {status}, and redirects are not followed: name the address itself"));
    }
    if status != StatusCode::OK {
        return Err(format!("it answers {status}"));
    }
    let body = Limited::new(response.into_body(), JWKS_LEN_MAX).collect().await;
    body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
}
