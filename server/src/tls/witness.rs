//! A signing key's word for its authority: a certificate of the authority that the key has signed.
//!
//! Servers believe the keys of the cluster's own that are in files, which are public: so a server that has the next key already
//! is believed by those that only know of it, as its tokens are.

use super::TlsError;
use microtome_proto::token::Jwks;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, TrustAnchor};
use std::path::Path;

/// What stands before an Ed25519 key in a certificate: its algorithm, and a string of bits that is the key.
const ED25519: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What a common name is, in a certificate.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
const UTF8: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The certificate of an authority by an Ed25519 key, PKCS#8.
pub(super) fn certificate(
    authority: &CertificateParams,
    public: &KeyPair,
    key: &PrivatePkcs8KeyDer<'_>,
) -> Result<CertificateDer<'static>, TlsError> {
    let failed = |error: rcgen::Error| TlsError(error.to_string());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(key, &PKCS_ED25519).map_err(failed)?;
    let mut own = CertificateParams::default();
    own.distinguished_name.remove(DnType::CommonName);
    own.distinguished_name.push(DnType::CommonName, name(key.public_key_raw()));
    let signed = authority.signed_by(public, &Issuer::new(own, key)).map_err(failed)?;
    Ok(signed.der().clone())
}

/// The Ed25519 keys in a set, each as one whose word is believed.
pub(super) fn anchors(path: &Path, set: &[u8]) -> Result<Vec<TrustAnchor<'static>>, TlsError> {
    let set = Jwks::read(set).map_err(|error| TlsError(format!("{}: {error}", path.display())))?;
    Ok(set.keys.iter().filter_map(|key| key.ed25519().map(anchor)).collect())
}

fn anchor(public: &[u8]) -> TrustAnchor<'static> {
    let name = name(public);
    let value = tagged(UTF8, name.as_bytes());
    let subject = tagged(SET, &tagged(SEQUENCE, &[&COMMON_NAME[..], &value].concat()));
    let key = [&ED25519[..], public].concat();
    TrustAnchor { subject: subject.into(), subject_public_key_info: key.into(), name_constraints: None }
}

/// By which certificates say who has signed them.
fn name(public: &[u8]) -> String {
    format!("Microtome key {}", &blake3::hash(public).to_hex()[..16])
}

/// A few bytes with their length and what they are.
fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag, bytes.len() as u8][..], bytes].concat()
}
