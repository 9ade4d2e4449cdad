//! What a coordinator is started with, and what of it makes no sense.

use crate::CoordinatorError;
use microtome_proto::{
    CoordinatorId,
    limits::{COORDINATORS_MAX, NAME_LEN_MAX, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, POPULATION_MAX},
    tls, token,
};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// What a coordinator is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Its number, from 1.
    pub id: CoordinatorId,
    /// `HOST:PORT` to listen on; port 0 lets the system choose.
    pub listen: String,
    /// Base URL under which all others reach it. `http://` and the bound address where it is left out and
    /// `coordinators` does not tell it either.
    pub url: Option<String>,
    /// Its data folder.
    pub data_dir: PathBuf,
    /// Base URLs of all coordinators of the cluster, this one among them; empty where it is alone.
    pub coordinators: BTreeMap<CoordinatorId, String>,
    /// The cluster's name, the same on every server.
    pub cluster_name: String,
    /// By what tokens are checked, the same on every server. With nothing set nothing is checked, and only loopback is
    /// listened on.
    pub auth: token::Settings,
    /// How connections are encrypted.
    pub tls: tls::Settings,
    /// The first user's password, the same on every coordinator; drawn where it is left out.
    pub first_password: Option<token::Secret>,
    /// How often nodes are to heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
    /// After this much silence nothing new is placed on a node, in milliseconds.
    pub unreachable_after_ms: u64,
    /// After this much silence a node's copies no longer count, in milliseconds.
    pub down_after_ms: u64,
    /// Copies wanted of a material whose sender does not say.
    pub population: u32,
    /// Copies under way at once in the whole cluster, and to one node.
    pub copies_max: usize,
    /// See [`Config::copies_max`].
    pub copies_per_node_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: 1,
            listen: "127.0.0.1:7400".to_owned(),
            url: None,
            data_dir: PathBuf::from("microtome-data/coordinator-1"),
            coordinators: BTreeMap::new(),
            cluster_name: "microtome".to_owned(),
            auth: token::Settings::default(),
            tls: tls::Settings::default(),
            first_password: None,
            heartbeat_ms: 1_000,
            unreachable_after_ms: 3_000,
            down_after_ms: 10_000,
            population: 2,
            copies_max: 256,
            copies_per_node_max: 8,
        }
    }
}

impl Config {
    /// Refuses what cannot work, naming the key.
    ///
    /// # Errors
    /// [`CoordinatorError::Config`].
    pub fn check(&self) -> Result<(), CoordinatorError> {
        let refuse = |text: String| Err(CoordinatorError::Config(text));
        if self.id == 0 {
            return refuse("id is 0: coordinators are numbered from 1".to_owned());
        }
        if !self.coordinators.is_empty() && !self.coordinators.contains_key(&self.id) {
            let known: Vec<String> = self.coordinators.keys().map(u64::to_string).collect();
            return refuse(format!(
                "id is {}, but coordinators lists {} only: give this server one of those numbers, or add it to the list on \
                 every server",
                self.id,
                known.join(", ")
            ));
        }
        if self.coordinators.len() > COORDINATORS_MAX {
            return refuse(format!("coordinators lists more than {COORDINATORS_MAX}: three or five serve best"));
        }
        for url in self.coordinators.values().chain(&self.url) {
            check_url(url)?;
        }
        let mut urls: Vec<&str> = self.coordinators.values().map(|url| url.trim_end_matches('/')).collect();
        urls.sort_unstable();
        if urls.windows(2).any(|pair| pair[0] == pair[1]) {
            return refuse("coordinators lists one address twice".to_owned());
        }
        if self.cluster_name.is_empty() || self.cluster_name.len() > NAME_LEN_MAX {
            return refuse(format!("the cluster's name must have 1 to {NAME_LEN_MAX} bytes"));
        }
        self.auth.check().map_err(|error| CoordinatorError::Config(error.to_string()))?;
        self.tls.check(self.auth.is_on()).map_err(|error| CoordinatorError::Config(error.to_owned()))?;
        if let Some(password) = &self.first_password
            && !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&password.as_str().len())
        {
            return refuse(format!(
                "first_password_file: a password has {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} bytes"
            ));
        }
        if self.heartbeat_ms == 0 || self.heartbeat_ms >= self.unreachable_after_ms {
            return refuse(format!(
                "heartbeat_ms is {}, unreachable_after_ms is {}: the first must be smaller, and not 0",
                self.heartbeat_ms, self.unreachable_after_ms
            ));
        }
        if self.unreachable_after_ms > self.down_after_ms {
            return refuse(format!(
                "unreachable_after_ms is {}, down_after_ms is {}: the first must not be larger",
                self.unreachable_after_ms, self.down_after_ms
            ));
        }
        if self.copies_max == 0 || self.copies_per_node_max == 0 {
            return refuse(
                "copies_max and copies_per_node_max are at least 1: without copies no lost one is made again"
                    .to_owned(),
            );
        }
        if !(1..=POPULATION_MAX).contains(&self.population) {
            return refuse(format!("population is {}: it must be 1 to {POPULATION_MAX}", self.population));
        }
        Ok(())
    }

    /// Base URLs of all coordinators, this one's included, now that it listens on `bound`.
    pub(crate) fn members(&self, bound: SocketAddr) -> Result<BTreeMap<CoordinatorId, String>, CoordinatorError> {
        if !self.coordinators.is_empty() {
            let plain = |url: &String| url.trim_end_matches('/').to_owned();
            return Ok(self.coordinators.iter().map(|(id, url)| (*id, plain(url))).collect());
        }
        let url = match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => {
                return Err(CoordinatorError::Config(format!(
                    "listening on {bound} does not tell how others reach this server: set its url"
                )));
            }
            None => format!("http://{bound}"),
        };
        Ok(BTreeMap::from([(self.id, url)]))
    }
}

/// Whether a server can be asked under this URL: a host and nothing behind it.
pub(crate) fn is_base_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && bare && anonymous
    })
}

fn check_url(url: &str) -> Result<(), CoordinatorError> {
    if is_base_url(url) {
        return Ok(());
    }
    Err(CoordinatorError::Config(format!("'{url}' is no server's address: write http://HOST:PORT")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        Config::default().check().unwrap();
        assert!(refusal(|config| config.coordinators = BTreeMap::from([(2, "http://a:1".into())])).contains("id is 1"));
        assert!(refusal(|config| config.url = Some("a:1".into())).contains("'a:1'"));
        assert!(refusal(|config| config.url = Some("http://a:1/deep".into())).contains("deep"));
        assert!(refusal(|config| config.population = 17).contains("population is 17"));
        assert!(refusal(|config| config.heartbeat_ms = 5_000).contains("heartbeat_ms is 5000"));
        assert!(refusal(|config| config.down_after_ms = 5).contains("down_after_ms is 5"));
        assert!(refusal(|config| config.auth = token::Settings::of_secret("short")).contains("secret"));
        assert!(refusal(|config| config.tls.between_servers = Some(tls::BetweenServers::On)).contains("secret"));
        let twice = BTreeMap::from([(1, "http://a:1".into()), (2, "http://a:1/".into())]);
        assert!(refusal(|config| config.coordinators = twice).contains("twice"));
    }

    #[test]
    fn one_alone_is_reached_where_it_listens() {
        let members = |listen: &str| Config::default().members(listen.parse().unwrap());
        assert_eq!(members("127.0.0.1:7400").unwrap()[&1], "http://127.0.0.1:7400");
        assert!(members("0.0.0.0:7400").is_err());
    }
}
