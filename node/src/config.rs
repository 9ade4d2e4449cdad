//! What a node has to be told.

use crate::{CheckConfig, NodeError};
use microtome_proto::{
    limits::{LABELS_MAX, NAME_LEN_MAX},
    tls, token,
};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

/// A node's configuration.
#[derive(Clone)]
pub struct Config {
    /// `HOST:PORT` to listen on; port 0 lets the system choose.
    pub listen: String,
    /// Base URL under which clients and other nodes reach it; from the address listened on if left out.
    pub url: Option<String>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Base URLs of coordinators; one that answers is enough.
    pub coordinators: Vec<String>,
    /// The node's name; the host's if left out.
    pub name: Option<String>,
    /// The failure domain that it stands in.
    pub zone: Option<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// By what tokens are checked; with nothing set nothing is checked, and only loopback may be listened on.
    pub auth: token::Settings,
    /// How connections are encrypted.
    pub tls: tls::Settings,
    /// Bytes kept back for deletes and repairs; a part of the file system if left out.
    pub reserve_bytes: Option<u64>,
    /// An upload that gets no bytes for so long ends and gives back its room; never, if left out.
    pub uploads_expire_after: Option<Duration>,
    /// How what was uploaded is checked before it counts; not at all, if left out.
    pub checks: Option<CheckConfig>,
    /// Runs carried out at once; 0 for none.
    pub runs_max: usize,
    /// Bytes a second that are read to find what the disk changed; 0 for none.
    pub scrub_bytes_per_s: u64,
    /// How often all bytes are read for that.
    pub scrub_every: Duration,
}

/// The secret is left out.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("url", &self.url)
            .field("data_dir", &self.data_dir)
            .field("coordinators", &self.coordinators)
            .field("name", &self.name)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        let refuse = |text: String| Err(NodeError::Config(text));
        if self.coordinators.is_empty() {
            return refuse("a node needs the address of a coordinator: name one with --coordinator".to_owned());
        }
        for url in self.coordinators.iter().chain(&self.url) {
            microtome_client::check_address(url).map_err(|error| NodeError::Config(error.to_string()))?;
        }
        self.auth.check().map_err(|error| NodeError::Config(error.to_string()))?;
        self.tls.check(self.auth.is_on()).map_err(|error| NodeError::Config(error.to_owned()))?;
        let texts = self.name.iter().chain(&self.zone).chain(self.labels.iter().flat_map(|(key, value)| [key, value]));
        if texts.clone().any(|text| text.len() > NAME_LEN_MAX) || self.labels.len() > LABELS_MAX {
            return refuse(format!(
                "a node has at most {LABELS_MAX} labels, and its name, zone and labels have at most {NAME_LEN_MAX} bytes"
            ));
        }
        Ok(())
    }

    /// The node's base URL when it listens on `address`.
    pub(crate) fn url_at(&self, address: SocketAddr) -> Result<String, NodeError> {
        match &self.url {
            Some(url) => microtome_client::check_address(url).map_err(|error| NodeError::Config(error.to_string())),
            None if address.ip().is_unspecified() => Err(NodeError::Config(format!(
                "listening on {address} does not tell under which address others reach this node: name it with --url"
            ))),
            None => Ok(format!("http://{address}")),
        }
    }

    pub(crate) fn name_or_host(&self) -> String {
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            listen: "127.0.0.1:0".to_owned(),
            url: None,
            data_dir: PathBuf::from("/nowhere"),
            coordinators: vec!["http://127.0.0.1:7400".to_owned()],
            name: None,
            zone: None,
            labels: BTreeMap::new(),
            auth: token::Settings::of_secret("a secret of some length"),
            tls: tls::Settings::default(),
            reserve_bytes: None,
            uploads_expire_after: None,
            checks: None,
            runs_max: 2,
            scrub_bytes_per_s: 0,
            scrub_every: Duration::ZERO,
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_way_out() {
        assert!(config().check().is_ok());
        for (bad, word) in [
            (Config { coordinators: vec![], ..config() }, "--coordinator"),
            (Config { coordinators: vec!["not an address".to_owned()], ..config() }, "not an address"),
            (Config { auth: token::Settings::of_secret("short"), ..config() }, "secret"),
            (Config { name: Some("x".repeat(300)), ..config() }, "name"),
        ] {
            let text = bad.check().unwrap_err().to_string();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        assert!(!format!("{:?}", config()).contains("a secret"));
    }

    #[test]
    fn others_must_be_able_to_reach_it() {
        let everywhere: SocketAddr = "0.0.0.0:7500".parse().unwrap();
        assert!(config().url_at(everywhere).unwrap_err().to_string().contains("--url"));
        let named = Config { url: Some("http://node-1:7500/".to_owned()), ..config() };
        assert_eq!(named.url_at(everywhere).unwrap(), "http://node-1:7500");
        assert_eq!(config().url_at("127.0.0.1:7500".parse().unwrap()).unwrap(), "http://127.0.0.1:7500");
    }
}
