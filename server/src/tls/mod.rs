//! Encryption: which certificate a server shows, whom it believes, and what has to be encrypted.
//!
//! A server with a certificate answers plain HTTP and TLS on one port ([`accept`]). Without a word of configuration a cluster
//! with a secret has certificates: its authority follows from the secret ([`authority`]). It knows nothing of requests; that
//! a caller is a server its token says ([`crate::auth`]).

mod accept;
mod authority;
pub(crate) mod files;
mod guard;
mod shown;
#[cfg(test)]
mod tests;
mod trust;
mod witness;

pub use accept::Acceptor;
pub(crate) use accept::Opened;
pub(crate) use guard::encrypted;

use authority::Authority;
use microtome_proto::{
    tls::{BetweenServers, Settings, lifted},
    token,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
};
use shown::Shown;
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use trust::Trust;

/// How often files are looked at.
const FILES_EVERY: Duration = Duration::from_secs(5);
/// Names of every server: whoever asks it from its own machine.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Something cannot be used; the text says what, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// A server's certificates. Clones share them.
#[derive(Clone)]
pub struct Tls {
    shown: Option<Arc<Shown>>,
    acceptor: Option<Acceptor>,
    trust: Arc<Trust>,
    between: BetweenServers,
}

impl Tls {
    /// For a server that is reached at `named` (URLs, addresses). Files are read.
    ///
    /// # Errors
    /// Where a key or a file cannot be used.
    pub fn open<'a>(
        settings: &Settings,
        auth: &token::Settings,
        named: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TlsError> {
        settings.check(auth.is_on()).map_err(|error| TlsError(error.to_owned()))?;
        let authorities = Authority::all(auth)?;
        let mut own = RootCertStore::empty();
        for authority in &authorities {
            own.add(authority.certificate().clone()).map_err(|error| TlsError(error.to_string()))?;
        }
        let keys = auth.verifying_keys.as_deref();
        let trust = Trust::new(own, keys, settings.ca_file.as_deref(), settings.certificate.is_some())?;
        let shown = match (&settings.certificate, authorities.into_iter().next()) {
            (Some(files), _) => Some(Shown::of_files(files.clone())?),
            (None, Some(authority)) => {
                let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let named = named.into_iter().chain(HERE).map(str::to_owned).chain([machine]);
                let hosts = authority::hosts(named);
                Some(Shown::by_authority(authority, hosts)?)
            }
            (None, None) => None,
        };
        let shown = shown.map(Arc::new);
        let acceptor = shown.clone().map(Acceptor::new).transpose()?;
        let between = settings.between_servers(auth.is_on());
        Ok(Self { shown, acceptor, trust: Arc::new(trust), between })
    }

    /// What answers TLS, where there is a certificate.
    pub fn acceptor(&self) -> Option<Acceptor> {
        self.acceptor.clone()
    }

    /// How this server calls others.
    ///
    /// # Errors
    /// Where the library and its cryptography do not fit together.
    pub fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let config = config.map_err(|error| TlsError(error.to_string()))?.dangerous();
        Ok(config.with_custom_certificate_verifier(Arc::clone(&self.trust) as _).with_no_client_auth())
    }

    /// Whether calls to other servers go over TLS, also where their addresses are plain.
    pub fn encrypts(&self) -> bool {
        self.between.encrypts()
    }

    /// Where another server is called whose address is `url`.
    pub fn call<'u>(&self, url: &'u str) -> Cow<'u, str> {
        if self.encrypts() { lifted(url) } else { Cow::Borrowed(url) }
    }

    /// Keeps certificates and authorities as they are in files, until `stop` is cancelled.
    pub async fn keep_up(self, stop: CancellationToken) {
        let follow = async {
            let mut failed = None;
            loop {
                tokio::time::sleep(FILES_EVERY).await;
                let own = self.clone();
                let read = tokio::task::spawn_blocking(move || own.read_again()).await;
                let failure = read.ok().and_then(Result::err);
                // Once is enough.
                if let Some(error) = failure.as_ref().filter(|_| failure != failed) {
                    tracing::warn!(%error, "certificates cannot be read: those before stay");
                }
                failed = failure;
            }
        };
        stop.run_until_cancelled(follow).await;
    }

    fn read_again(&self) -> Result<(), TlsError> {
        let shown = self.shown.as_ref().map_or(Ok(false), |shown| shown.read_again());
        self.trust.read_again()?;
        if shown? {
            tracing::info!("another certificate is shown from now on");
        }
        Ok(())
    }
}

/// None: plain HTTP, and nobody is believed.
impl Default for Tls {
    fn default() -> Self {
        Self { shown: None, acceptor: None, trust: Arc::new(Trust::nobody()), between: BetweenServers::Off }
    }
}

/// The certificate of a cluster's own authority in PEM, by which browsers and others believe its servers; none where it
/// has neither a secret nor a key.
///
/// # Errors
/// Where the key cannot be used.
pub fn authority_pem(auth: &token::Settings) -> Result<Option<String>, TlsError> {
    Ok(Authority::all(auth)?.first().map(Authority::pem))
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}
