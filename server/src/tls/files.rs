//! Certificates and keys in files.

use super::TlsError;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{fs, io, path::Path};

/// Longest file with certificates or a key, in bytes: a machine's whole list of authorities fits.
const FILE_LEN_MAX: u64 = 4 << 20;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error: io::Error| TlsError(format!("cannot read {}: {error}", path.display()));
    let file = fs::metadata(path).map_err(failed)?;
    if !file.is_file() || file.len() > FILE_LEN_MAX {
        return Err(TlsError(format!("{} is no file of at most {FILE_LEN_MAX} bytes", path.display())));
    }
    fs::read(path).map_err(failed)
}

/// All certificates in a file, of which there is one at least.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
    if all.is_empty() {
        return Err(TlsError(format!("{} has no certificate in PEM (BEGIN CERTIFICATE)", path.display())));
    }
    Ok(all)
}

/// Those of a file as authorities.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
    }
    Ok(roots)
}

/// The machine's (or those in the file that `SSL_CERT_FILE` names).
pub(crate) fn machine_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs).0 == 0 {
        return Err(TlsError(
            "this machine has no certificates of authorities (SSL_CERT_FILE names a file of them)".to_owned(),
        ));
    }
    Ok(roots)
}
