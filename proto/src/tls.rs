//! How connections are encrypted, as it is configured.
//!
//! A server that has a certificate answers plain HTTP and TLS on one port, so that an address of the one is an address of the
//! other ([`lifted`]).

use std::{borrow::Cow, fmt, path::PathBuf, str::FromStr};

const PLAIN: &str = "http://";
const PLAIN_PORT: &str = ":80";

/// How servers encrypt: the same on every server, but for their own certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The server's own certificate and those between it and its authority, PEM, and its key, PKCS#8, PKCS#1 or SEC1 in PEM:
    /// read again when they change. One by the cluster's own authority, if left out.
    pub certificate: Option<CertificateFiles>,
    /// Authorities that are believed beside the cluster's own, PEM, read again when they change.
    pub ca_file: Option<PathBuf>,
    /// What servers say to each other; see [`Settings::between_servers`].
    pub between_servers: Option<BetweenServers>,
}

/// A certificate that an operator brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Whether servers encrypt what they say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetweenServers {
    /// All calls go over TLS, and what comes plain from another machine is refused.
    On,
    /// All calls go over TLS, and plain ones are answered: while servers that are still [`BetweenServers::Off`] run beside.
    Prefer,
    /// Calls go plain: while servers run beside that know no TLS.
    Off,
}

impl Settings {
    /// What servers do: encrypt where they have a secret or a key, unless something else is said.
    pub fn between_servers(&self, has_secret: bool) -> BetweenServers {
        let default = if has_secret { BetweenServers::On } else { BetweenServers::Off };
        self.between_servers.unwrap_or(default)
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// What, and a way out.
    pub fn check(&self, has_secret: bool) -> Result<(), &'static str> {
        match self.between_servers {
            Some(BetweenServers::On | BetweenServers::Prefer) if !has_secret => Err(
                "servers that encrypt what they say to each other need a common secret: set 'secret' or 'signing_key_file' \
                 under [auth], or leave 'between_servers' out",
            ),
            _ => Ok(()),
        }
    }
}

impl BetweenServers {
    /// Whether calls go over TLS.
    pub const fn encrypts(self) -> bool {
        matches!(self, Self::On | Self::Prefer)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Prefer => "prefer",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for BetweenServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BetweenServers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::On, Self::Prefer, Self::Off];
        let found = all.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| format!("'{text}' is none of 'on', 'prefer' and 'off'"))
    }
}

/// The address over TLS of what is at a plain one: the same host and port. Others stay as they are.
pub fn lifted(url: &str) -> Cow<'_, str> {
    let split = url.split_at_checked(PLAIN.len()).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(PLAIN));
    let Some((_, rest)) = split else { return Cow::Borrowed(url) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // What stands in brackets has colons of its own.
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let port = if has_port { "" } else { PLAIN_PORT };
    Cow::Owned(format!("https://{authority}{port}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lifted_with_its_port() {
        for (plain, encrypted) in [
            ("http://10.0.0.1:7500", "https://10.0.0.1:7500"),
            ("HTTP://node/v1/uploads/m-1?token=a:b", "https://node:80/v1/uploads/m-1?token=a:b"),
            ("http://[::1]/x", "https://[::1]:80/x"),
            ("http://[::1]:7500?x", "https://[::1]:7500?x"),
            ("https://node/x", "https://node/x"),
            ("/v1/materials", "/v1/materials"),
            ("", ""),
        ] {
            assert_eq!(lifted(plain), encrypted);
        }
    }

    #[test]
    fn servers_with_a_secret_encrypt_unless_they_are_told_not_to() {
        let said = |between_servers| Settings { between_servers, ..Settings::default() };
        assert_eq!(said(None).between_servers(true), BetweenServers::On);
        assert_eq!(said(None).between_servers(false), BetweenServers::Off);
        assert_eq!(said(Some(BetweenServers::Off)).between_servers(true), BetweenServers::Off);
        assert!(said(Some(BetweenServers::On)).check(false).unwrap_err().contains("secret"));
        assert!(said(Some(BetweenServers::On)).check(true).is_ok() && said(None).check(false).is_ok());
        for one in [BetweenServers::On, BetweenServers::Prefer, BetweenServers::Off] {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        assert!("yes".parse::<BetweenServers>().unwrap_err().contains("'yes'"));
    }
}
