//! By what a server checks tokens, as it is configured.

use super::{InvalidKey, Key, KeyRing, Policy, Signer};
use http::Uri;
use std::{fmt, net::IpAddr, path::PathBuf};

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// By what a server checks tokens: the same on every server. With nothing set, nothing is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's secret (HS256).
    pub secret: Option<Secret>,
    /// Another secret that is taken: the one before or the one to come.
    pub previous_secret: Option<Secret>,
    /// The cluster's key, which then signs in the secret's place: Ed25519, PKCS#8 in PEM.
    pub signing_key: Option<Secret>,
    /// A JWKS with more keys of the cluster's own, read again when it changes.
    pub verifying_keys: Option<PathBuf>,
    /// Identity providers.
    pub providers: Vec<Provider>,
}

/// An identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// What its tokens must be and may claim.
    pub policy: Policy,
    /// Where its keys are.
    pub keys: KeysAt,
}

/// Where a provider's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// Fetched now and then: `https`, or `http` on loopback.
    Url(String),
    /// Read again when it changes.
    File(PathBuf),
}

impl KeysAt {
    /// Keys that are fetched: over TLS, or from this very machine, since whoever changes them on their way is everybody.
    ///
    /// # Errors
    /// Where it is no such address.
    pub fn url(text: &str) -> Result<Uri, InvalidKey> {
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.authority().is_some_and(|own| !own.as_str().contains('@')));
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        match uri {
            Some(uri) if uri.scheme_str() == Some("https") => Ok(uri),
            Some(uri) if uri.scheme_str() == Some("http") && is_here => Ok(uri),
            _ => Err(InvalidKey(format!(
                "'{text}' is no address of keys: write https://HOST/PATH (http on loopback only)"
            ))),
        }
    }
}

impl Settings {
    /// A secret and nothing else.
    pub fn of_secret(secret: &str) -> Self {
        Self { secret: Some(Secret::new(secret)), ..Self::default() }
    }

    /// Whether tokens are checked.
    pub const fn is_on(&self) -> bool {
        self.secret.is_some() || self.signing_key.is_some()
    }

    /// What signs the cluster's own tokens, where they are checked.
    ///
    /// # Errors
    /// Where the key or the secret cannot be used.
    pub fn signer(&self) -> Result<Option<Signer>, InvalidKey> {
        match (&self.signing_key, &self.secret) {
            (Some(key), _) => Signer::from_pem(key.as_str()).map(Some),
            (None, Some(secret)) => Signer::from_secret(secret.as_str()).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The cluster's own keys, but those of [`Settings::verifying_keys`].
    ///
    /// # Errors
    /// Where one cannot be used.
    pub fn own_keys(&self) -> Result<Vec<Key>, InvalidKey> {
        let mut keys = Vec::new();
        for secret in self.secret.iter().chain(&self.previous_secret) {
            keys.push(Key::from_secret(secret.as_str())?);
        }
        if let Some(key) = &self.signing_key {
            keys.push(Signer::from_pem(key.as_str())?.key());
        }
        Ok(keys)
    }

    /// All that is known before a file is read or a provider asked.
    ///
    /// # Errors
    /// As [`Settings::check`].
    pub fn ring(&self) -> Result<KeyRing, InvalidKey> {
        self.check()?;
        Ok(KeyRing::new(self.own_keys()?, self.providers.iter().map(|provider| provider.policy.clone())))
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// What, and a way out.
    pub fn check(&self) -> Result<(), InvalidKey> {
        self.own_keys()?;
        for provider in &self.providers {
            if let KeysAt::Url(url) = &provider.keys {
                KeysAt::url(url)?;
            }
        }
        let more = self.previous_secret.is_some() || self.verifying_keys.is_some() || !self.providers.is_empty();
        if more && !self.is_on() {
            return Err(InvalidKey::new(
                "servers have to sign what they ask of each other: set 'secret' or 'signing_key_file' under [auth], too",
            ));
        }
        Ok(())
    }
}
