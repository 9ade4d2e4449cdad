//! One port for both: the first byte of a connection tells TLS from HTTP.

use super::{TlsError, provider, shown::Shown};
use crate::linger::Lingering;
use rustls::ServerConfig;
use std::{io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The first byte of a TLS handshake: no method of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;

/// Answers TLS with the certificate as it is at the time.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

/// What a connection turned out to be.
pub(crate) enum Opened {
    Plain(Lingering),
    Encrypted(Box<TlsStream<Lingering>>),
}

impl Acceptor {
    pub(super) fn new(shown: Arc<Shown>) -> Result<Self, TlsError> {
        let versions = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let versions = versions.map_err(|error| TlsError(error.to_string()))?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Waits for the first byte, and for the handshake where it is one.
    pub(crate) async fn open(&self, stream: TcpStream) -> io::Result<Opened> {
        let mut first = [0];
        let is_handshake = stream.peek(&mut first).await? == 1 && first == [HANDSHAKE];
        let stream = Lingering::new(stream);
        match is_handshake {
            true => self.0.accept(stream).await.map(Box::new).map(Opened::Encrypted),
            false => Ok(Opened::Plain(stream)),
        }
    }
}
