//! The cluster's own authority: it follows from the secret, so that all servers have the same one and none asks another.
//!
//! Whoever knows the secret may do everything anyway: that a certificate was made with it proves a server of this cluster,
//! whatever it is called and wherever it is.

use super::{TlsError, provider, witness};
use microtome_proto::token::{Secret, Settings};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

/// What tells this use of the secret from others.
const CONTEXT: &str = "microtome 2026-11-27 certificate authority";
/// Numbers drawn until one is a key: all but one in 2^32 are.
const DRAWS_MAX: usize = 8;
/// A P-256 key as PKCS#8, up to its 32 bytes.
const PKCS8_BEGIN: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20,
];
/// A server's certificate is made anew long before this is over.
const LIFE: Duration = Duration::from_secs(14 * 86_400);
/// Servers' clocks may be behind by this.
const BEFORE: Duration = Duration::from_secs(86_400);

/// An authority that makes certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The signing key's word for it, where it is that key's.
    witness: Option<CertificateDer<'static>>,
}

impl Authority {
    /// Those that are believed; the first one makes certificates. It is the secret's as long as there is one: all servers
    /// have it, also while they get to know a key.
    pub(super) fn all(settings: &Settings) -> Result<Vec<Self>, TlsError> {
        let of_secret = |secret: &Secret| Self::derived(secret.as_str().as_bytes(), None);
        let of_key = |key: &Secret| {
            let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_str().as_bytes());
            let key = key.map_err(|error| TlsError(error.to_string()))?;
            Self::derived(key.secret_pkcs8_der(), Some(&key))
        };
        let first = settings.secret.iter().map(of_secret).chain(settings.signing_key.iter().map(of_key));
        first.chain(settings.previous_secret.iter().map(of_secret)).collect()
    }

    fn derived(source: &[u8], signing_key: Option<&PrivatePkcs8KeyDer<'_>>) -> Result<Self, TlsError> {
        let key = key(source).ok_or_else(|| TlsError("no key follows from the secret: choose another".to_owned()))?;
        // Two clusters' authorities are told apart by people and by browsers.
        let mark = blake3::hash(key.public_key_raw()).to_hex();
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, format!("Microtome cluster {}", &mark[..8]));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // The same on all servers, whenever they were started.
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2125, 1, 1);
        let witness = signing_key.map(|by| witness::certificate(&params, &key, by)).transpose()?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(|error| TlsError(error.to_string()))?;
        Ok(Self { issuer, witness })
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new key and its certificate for a server that is reached at `hosts`.
    pub(super) fn issue(&self, hosts: &[String], now: SystemTime) -> Result<CertifiedKey, TlsError> {
        let failed = |error: &dyn std::fmt::Display| TlsError(format!("no certificate can be made: {error}"));
        let mut params = CertificateParams::new(hosts).map_err(|error| failed(&error))?;
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, "Microtome server");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = (now - BEFORE).into();
        params.not_after = (now + LIFE).into();
        let key = KeyPair::generate().map_err(|error| failed(&error))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| failed(&error))?;
        let chain = [certificate.der()].into_iter().chain(&self.witness).cloned().collect();
        CertifiedKey::from_der(chain, PrivateKeyDer::from(key), &provider()).map_err(|error| failed(&error))
    }
}

fn key(source: &[u8]) -> Option<KeyPair> {
    let mut drawn = blake3::Hasher::new_derive_key(CONTEXT).update(source).finalize_xof();
    (0..DRAWS_MAX).find_map(|_| {
        let mut number = [0; 32];
        drawn.fill(&mut number);
        let pkcs8 = [&PKCS8_BEGIN[..], &number].concat();
        KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.into(), &PKCS_ECDSA_P256_SHA256).ok()
    })
}

/// What of these can stand in a certificate, each once: the hosts of URLs and of addresses listened on.
pub(super) fn hosts(named: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut all = Vec::new();
    for text in named {
        let text = text.as_ref();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host =
            authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_everywhere = host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        if !is_everywhere && ServerName::try_from(host.as_str()).is_ok() && !all.contains(&host) {
            all.push(host);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                       -----END PRIVATE KEY-----\n";

    #[test]
    fn the_same_secret_makes_the_same_authority_and_another_one_another() {
        let of = |secret: &str| {
            let authority = Authority::all(&Settings::of_secret(secret)).unwrap().remove(0);
            (authority.issuer.key().public_key_raw().to_vec(), authority.issuer.key().serialize_der())
        };
        assert_eq!(of("a secret of some length"), of("a secret of some length"));
        assert_ne!(of("a secret of some length"), of("a secret of some lengtH"));
        // It must stay so: servers of two versions have to believe one another.
        let mark = blake3::hash(&of("a secret of some length").0).to_hex();
        assert_eq!(&mark[..8], "0d9f3443");
    }

    #[test]
    fn the_secret_makes_certificates_and_the_key_where_there_is_none() {
        let key = Settings { signing_key: Some(Secret::new(KEY)), ..Settings::default() };
        let secret = Settings::of_secret("a secret of some length");
        let both = Settings { previous_secret: Some(Secret::new("another secret of some length")), ..secret.clone() };
        let both = Settings { signing_key: key.signing_key.clone(), ..both };
        let first = |settings: &Settings| {
            Authority::all(settings).unwrap().first().map(|first| first.issuer.key().public_key_raw().to_vec())
        };
        assert_eq!(first(&both), first(&secret));
        assert!(first(&key).is_some() && first(&key) != first(&secret));
        assert_eq!(Authority::all(&both).unwrap().len(), 3);
        assert!(first(&Settings::default()).is_none());
    }

    #[test]
    fn a_certificate_names_hosts_and_nothing_else() {
        let named = ["http://Storage-1.lab.example:7500", "127.0.0.1:7500", "0.0.0.0:7500", "http://[::1]:7500", "::1"];
        assert_eq!(hosts(named), ["storage-1.lab.example", "127.0.0.1", "::1"]);
        assert!(hosts(["", "a b", "ä", "x_/y:"]).len() <= 1);
    }
}
