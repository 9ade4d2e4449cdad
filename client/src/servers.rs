//! The addresses that a caller knows, and which of them answered last.

use crate::ClientError;
use reqwest::Url;
use std::sync::{Mutex, PoisonError};

/// Most addresses kept: what a server tells is not trusted to be short.
const SERVERS_MAX: usize = 64;

/// Base URLs, the one to ask first at the front. Never empty unless it was made so.
#[derive(Debug)]
pub(crate) struct Servers(Mutex<Vec<String>>);

impl Servers {
    pub(crate) fn new(servers: impl IntoIterator<Item = String>) -> Self {
        Self(Mutex::new(distinct(servers)))
    }

    /// In the order in which to ask them.
    pub(crate) fn in_order(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// `server` answered: it is asked first from now on.
    pub(crate) fn prefer(&self, server: &str) {
        let mut all = self.lock();
        if let Some(at) = all.iter().position(|known| known == server) {
            all.rotate_left(at);
        }
    }

    pub(crate) fn replace(&self, servers: impl IntoIterator<Item = String>) {
        let new = distinct(servers);
        if !new.is_empty() {
            *self.lock() = new;
        }
    }

    /// Adds what is not known yet, to be asked last.
    pub(crate) fn add(&self, servers: impl IntoIterator<Item = String>) {
        let mut all = self.lock();
        let known = std::mem::take(&mut *all);
        *all = distinct(known.into_iter().chain(servers));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn distinct(servers: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for server in servers {
        let base = with_scheme(&server);
        if !base.is_empty() && !all.contains(&base) && all.len() < SERVERS_MAX {
            all.push(base);
        }
    }
    all
}

fn with_scheme(text: &str) -> String {
    let text = text.trim();
    let base = text.trim_end_matches('/');
    if base.is_empty() || text.contains("://") { base.to_owned() } else { format!("http://{base}") }
}

/// Brings a server's address as people write it (`HOST:PORT`, a slash at its end) into the form used everywhere.
///
/// # Errors
/// [`ClientError::Address`] where it is none.
pub fn check_address(text: &str) -> Result<String, ClientError> {
    let base = with_scheme(text);
    parse(&base).map(|_| base).map_err(|_| ClientError::Address(shown(text)))
}

/// A URL that can be asked: http or https, with a host, without a password in it.
pub(crate) fn parse(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).map_err(|_| ClientError::Address(shown(text)))?;
    let plain = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        "http" | "https" if url.host().is_some() && plain => Ok(url),
        _ => Err(ClientError::Address(shown(text))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        assert_eq!(check_address("localhost:7400/").unwrap(), "http://localhost:7400");
        assert_eq!(check_address("https://lab.example:7400/").unwrap(), "https://lab.example:7400");
        for text in ["", "http://", "ftp://x", "http://user:secret@x", "not an address"] {
            assert!(matches!(check_address(text), Err(ClientError::Address(_))), "{text}");
        }
    }

    #[test]
    fn who_answered_is_asked_first_and_all_stay_known() {
        let servers = Servers::new(["a:1".to_owned(), "b:1".to_owned(), "a:1/".to_owned()]);
        servers.prefer("http://b:1");
        servers.add(["c:1".to_owned(), "b:1".to_owned()]);
        assert_eq!(servers.in_order(), ["http://b:1", "http://a:1", "http://c:1"]);
        servers.replace([]);
        assert_eq!(servers.in_order().len(), 3);
    }
}
