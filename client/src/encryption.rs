//! Whom a caller believes that speaks TLS, and whether it speaks anything else.

use crate::{ClientError, error};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use std::{
    borrow::Cow,
    io,
    path::Path,
    sync::{Arc, OnceLock},
};

/// Longest file with certificates of authorities, in bytes.
const FILE_LEN_MAX: u64 = 4 << 20;

/// How a caller encrypts.
#[derive(Debug, Clone)]
pub struct Encryption {
    config: Result<ClientConfig, String>,
    always: bool,
}

impl Encryption {
    /// By the authorities that this machine believes (or those in the file that `SSL_CERT_FILE` names).
    pub fn by_machine() -> Self {
        Self::believing(Arc::new(Machine::default()))
    }

    /// By the authorities in a file, PEM, alone.
    ///
    /// # Errors
    /// Where there is none in it.
    pub fn by_file(path: &Path) -> Result<Self, ClientError> {
        let failed = |what: String| {
            ClientError::io("take authorities from", path, io::Error::new(io::ErrorKind::InvalidData, what))
        };
        let len = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
        if len > FILE_LEN_MAX {
            return Err(failed(format!("it is longer than {FILE_LEN_MAX} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(failed("it has no certificate in PEM (BEGIN CERTIFICATE)".to_owned()));
        }
        verifier(roots).map(|verifier| Self::believing(verifier)).map_err(failed)
    }

    /// As a server of the cluster calls the others: with `always` nothing goes plain, whatever addresses say.
    pub fn of_server(config: ClientConfig, always: bool) -> Self {
        Self { config: Ok(config), always }
    }

    fn believing(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string());
        let config =
            config.map(|config| config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        Self { config, always: false }
    }

    pub(crate) fn into_parts(self) -> (Result<ClientConfig, String>, bool) {
        (self.config, self.always)
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()));
    verifier.build().map_err(|error| error.to_string())
}

/// The machine's authorities, which are read when the first certificate comes: most callers meet none.
#[derive(Debug, Default)]
struct Machine(OnceLock<Result<Arc<WebPkiServerVerifier>, String>>);

impl Machine {
    fn verifier(&self) -> Result<&WebPkiServerVerifier, Error> {
        let read = || {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            verifier(roots)
        };
        match self.0.get_or_init(read) {
            Ok(verifier) => Ok(verifier),
            // It has none.
            Err(_) => Err(CertificateError::Other(OtherError(Arc::new(error::NoAuthorities))).into()),
        }
    }
}

impl ServerCertVerifier for Machine {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(certificate, between, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Where a call goes whose address is `url`: to one that goes always encrypted, nothing goes plain.
pub(crate) fn address(url: &str, always: bool) -> Cow<'_, str> {
    if always { microtome_proto::tls::lifted(url) } else { Cow::Borrowed(url) }
}
