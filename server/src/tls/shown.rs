//! The certificate that a server shows: one of the cluster's own authority, made anew each day, or an operator's, which is
//! read again when it changes. Connections that are open stay as they are.

use super::{TlsError, authority::Authority, files, provider};
use microtome_proto::tls::CertificateFiles;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

/// How long a certificate of the cluster's own is shown.
const SHOWN_FOR: Duration = Duration::from_secs(86_400);
/// How far the clock may have been put back since one was made.
const BACK_MAX: Duration = Duration::from_secs(3600);

/// The certificate as it is now.
pub(super) struct Shown {
    from: From,
    now: RwLock<(Arc<CertifiedKey>, SystemTime)>,
}

enum From {
    Authority { authority: Box<Authority>, hosts: Vec<String> },
    Files(CertificateFiles),
}

impl From {
    fn make(&self, now: SystemTime) -> Result<Arc<CertifiedKey>, TlsError> {
        match self {
            Self::Authority { authority, hosts } => authority.issue(hosts, now).map(Arc::new),
            Self::Files(files) => read(files).map(Arc::new),
        }
    }
}

impl Shown {
    pub(super) fn by_authority(authority: Authority, hosts: Vec<String>) -> Result<Self, TlsError> {
        Self::new(From::Authority { authority: Box::new(authority), hosts })
    }

    pub(super) fn of_files(files: CertificateFiles) -> Result<Self, TlsError> {
        Self::new(From::Files(files))
    }

    fn new(from: From) -> Result<Self, TlsError> {
        let now = SystemTime::now();
        let first = from.make(now)?;
        Ok(Self { from, now: RwLock::new((first, now)) })
    }

    /// Reads the operator's files again; whether another certificate is shown now.
    pub(super) fn read_again(&self) -> Result<bool, TlsError> {
        let From::Files(_) = &self.from else { return Ok(false) };
        let now = SystemTime::now();
        let read = self.from.make(now)?;
        let mut shown = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = shown.0.cert != read.cert;
        *shown = (read, now);
        Ok(is_other)
    }

    fn at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let (shown, made) = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        if matches!(self.from, From::Files(_)) || !is_over(made, now) {
            return shown;
        }
        match self.from.make(now) {
            Ok(next) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = (Arc::clone(&next), now);
                next
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate stays the one before");
                shown
            }
        }
    }
}

fn is_over(made: SystemTime, now: SystemTime) -> bool {
    match now.duration_since(made) {
        Ok(age) => age > SHOWN_FOR,
        Err(back) => back.duration() > BACK_MAX,
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(SystemTime::now()))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

fn read(from: &CertificateFiles) -> Result<CertifiedKey, TlsError> {
    let chain: Vec<CertificateDer<'static>> = files::certificates(&from.certificate)?;
    let named = |path: &std::path::Path, error: &dyn fmt::Display| TlsError(format!("{}: {error}", path.display()));
    let key = PrivateKeyDer::from_pem_slice(&files::read(&from.key)?)
        .map_err(|error| named(&from.key, &format!("it is no private key in PEM: {error}")))?;
    // Also where the key is another certificate's.
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| named(&from.key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use microtome_proto::token::Settings;

    #[test]
    fn a_certificate_is_made_anew_each_day_and_when_the_clock_was_put_back() {
        let authority = Authority::all(&Settings::of_secret("a secret of some length")).unwrap().remove(0);
        let shown = Shown::by_authority(authority, vec!["localhost".to_owned()]).unwrap();
        let (first, begin) = shown.now.read().unwrap().clone();
        let at = |after: Duration| shown.at(begin + after);
        assert!(Arc::ptr_eq(&at(Duration::from_secs(3600)), &first));
        let second = at(SHOWN_FOR + Duration::from_secs(1));
        assert!(second.cert != first.cert);
        assert!(Arc::ptr_eq(&at(SHOWN_FOR + Duration::from_secs(2)), &second));
        assert!(shown.at(begin - BACK_MAX).cert != second.cert);
    }

    #[test]
    fn an_operators_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
        let put = || {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&certificate, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            made.cert.der().clone()
        };
        let is_shown = |shown: &Shown, der: &CertificateDer<'_>| shown.at(SystemTime::now()).cert[0] == *der;
        let first = put();
        let shown = Shown::of_files(CertificateFiles { certificate: certificate.clone(), key: key.clone() }).unwrap();
        assert!(is_shown(&shown, &first) && !shown.read_again().unwrap());
        let second = put();
        assert!(shown.read_again().unwrap() && is_shown(&shown, &second));
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        let error = shown.read_again().unwrap_err().to_string();
        assert!(error.contains("k.pem") && is_shown(&shown, &second), "{error}");
        std::fs::write(&certificate, "nothing").unwrap();
        assert!(shown.read_again().unwrap_err().to_string().contains("c.pem"));
    }
}
