//! Whom a server believes that it calls another one.
//!
//! A certificate of the cluster's own authority is enough, whatever host it names: only servers of the cluster have the
//! secret that makes them, and addresses may be forwarded. Other authorities certify strangers as well, so the host counts.

use super::{TlsError, files, provider, witness};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// How often it is told that somebody is not believed.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The authorities as they are now.
#[derive(Debug)]
pub(super) struct Trust {
    /// The cluster's own that do not change, and all of them.
    fixed: RootCertStore,
    own: RwLock<Arc<RootCertStore>>,
    /// A set of keys of the cluster's own, whose word for an authority is enough.
    keys: Option<PathBuf>,
    others: RwLock<Option<Arc<WebPkiServerVerifier>>>,
    file: Option<PathBuf>,
    algorithms: WebPkiSupportedAlgorithms,
    /// When it was last told that somebody is not believed.
    told: Mutex<Option<Instant>>,
}

impl Trust {
    /// The cluster's own and those that its `keys` vouch for, and those in a file, or the machine's where there is none and
    /// they are wanted.
    pub(super) fn new(
        fixed: RootCertStore,
        keys: Option<&Path>,
        file: Option<&Path>,
        machine: bool,
    ) -> Result<Self, TlsError> {
        let others = match file {
            Some(file) => Some(named(files::roots(file)?)?),
            None if machine => Some(named(files::machine_roots()?)?),
            None => None,
        };
        let own = RwLock::new(Arc::new(with_keys(&fixed, keys)?));
        let (keys, file) = (keys.map(Path::to_owned), file.map(Path::to_owned));
        Ok(Self { fixed, own, keys, others: RwLock::new(others), file, ..Self::nobody() })
    }

    /// Nobody is believed.
    pub(super) fn nobody() -> Self {
        let none = Arc::new(RootCertStore::empty());
        Self {
            fixed: RootCertStore::empty(),
            own: RwLock::new(none),
            keys: None,
            others: RwLock::default(),
            file: None,
            algorithms: provider().signature_verification_algorithms,
            told: Mutex::default(),
        }
    }

    /// Callers repeat their calls: a line now and then tells why none comes through.
    fn tell(&self, name: &ServerName<'_>, error: &Error) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            let server = name.to_str();
            tracing::warn!(%server, %error, "a server's certificate is not believed: all need the same secret, or 'ca_file'");
        }
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let own = Arc::clone(&self.own.read().unwrap_or_else(PoisonError::into_inner));
        let own = verify_server_cert_signed_by_trust_anchor(&parsed, &own, between, now, self.algorithms.all);
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner).clone();
        match (own, others) {
            (Ok(()), _) => Ok(ServerCertVerified::assertion()),
            // It is the cluster's and cannot be used: others have nothing to say to it.
            (Err(error), Some(_)) if error != CertificateError::UnknownIssuer.into() => Err(error),
            (Err(_), Some(others)) => others.verify_server_cert(certificate, between, name, ocsp, now),
            (Err(error), None) => Err(error),
        }
    }

    /// Reads the files again.
    pub(super) fn read_again(&self) -> Result<(), TlsError> {
        if self.keys.is_some() {
            let own = with_keys(&self.fixed, self.keys.as_deref())?;
            *self.own.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let read = named(files::roots(file)?)?;
        *self.others.write().unwrap_or_else(PoisonError::into_inner) = Some(read);
        Ok(())
    }
}

fn with_keys(fixed: &RootCertStore, keys: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut all = fixed.clone();
    if let Some(path) = keys {
        all.roots.extend(witness::anchors(path, &files::read(path)?)?);
    }
    Ok(all)
}

fn named(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
    verifier.build().map_err(|error| TlsError(error.to_string()))
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = self.check(certificate, between, name, ocsp, now);
        checked.inspect_err(|error| self.tell(name, error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
