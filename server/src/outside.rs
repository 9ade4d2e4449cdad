//! Asking servers that are not the cluster's: one request each, bounded in time and size, without redirects, over TLS by the
//! certificates that this machine trusts, or plain where the address says so.

use crate::tls::files::machine_roots;
use axum::http::{Error as Unbuilt, HeaderValue, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
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

/// A provider's keys at `url`, or why they cannot be had.
pub(crate) async fn get(url: &str, within: Duration) -> Result<Vec<u8>, String> {
    let uri = KeysAt::url(url).map_err(|error| error.to_string())?;
    let request = Request::get(path(&uri)).body(Full::default());
    let (status, body) = ask(url, &uri, request, within).await?;
    match status {
        StatusCode::OK => Ok(body),
        status => Err(format!("{url}: it answers {status}")),
    }
}

/// Sends JSON to `url`; the status and the body of the answer.
///
/// # Errors
/// Why there is none, in words.
pub async fn post_json(url: &str, body: Vec<u8>, within: Duration) -> Result<(StatusCode, Vec<u8>), String> {
    let uri = address(url)?;
    let request = Request::post(path(&uri)).header(header::CONTENT_TYPE, "application/json").body(Full::from(body));
    ask(url, &uri, request, within).await
}

/// An address that can be asked.
///
/// # Errors
/// A sentence, where it is none.
pub fn address(url: &str) -> Result<Uri, String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")));
    let uri = uri.filter(|uri| uri.authority().is_some_and(|own| !own.as_str().contains('@')));
    uri.ok_or_else(|| format!("'{url}' is no address: write https://HOST/PATH, or http://…"))
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

type Asked = Request<Full<Bytes>>;

async fn ask(
    url: &str,
    uri: &Uri,
    request: Result<Asked, Unbuilt>,
    within: Duration,
) -> Result<(StatusCode, Vec<u8>), String> {
    let request = request.map_err(|error| error.to_string())?;
    // What stands in a query may be a secret.
    let url = url.split('?').next().unwrap_or_default();
    match tokio::time::timeout(within, send(uri, request)).await {
        Ok(answer) => answer.map_err(|error| format!("{url}: {error}")),
        Err(_) => Err(format!("{url}: no whole answer within {} s", within.as_secs_f32())),
    }
}

async fn send(uri: &Uri, request: Asked) -> Result<(StatusCode, Vec<u8>), String> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    if !encrypted {
        return answer(stream, uri, request).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = connector().await?.connect(name, stream).await.map_err(|error| error.to_string())?;
    answer(stream, uri, request).await
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

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    uri: &Uri,
    mut request: Asked,
) -> Result<(StatusCode, Vec<u8>), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let _gone_with_the_answer = AbortOnDropHandle::new(tokio::spawn(connection));
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("microtome/", env!("CARGO_PKG_VERSION"))));
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("it answers {status}, and redirects are not followed: name the address itself"));
    }
    let body = Limited::new(response.into_body(), JWKS_LEN_MAX).collect().await;
    body.map(|body| (status, body.to_bytes().to_vec())).map_err(|error| error.to_string())
}
