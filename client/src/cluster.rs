//! [`Cluster`]: what a caller keeps of a cluster.

use crate::{
    ClientError, Encryption, encryption,
    servers::{self, Servers},
};
use reqwest::Url;
use std::{fmt, sync::Arc, time::Duration};

/// Makes the token for a call: servers sign a fresh one each time, users have one that stays.
pub type TokenSource = Arc<dyn Fn() -> Option<String> + Send + Sync>;

const DEADLINE: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A cluster as seen from outside: some servers' addresses, and a token. Clones share what they learn.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deadline: Duration,
    pub(crate) refused_max: Duration,
}

pub(crate) struct Shared {
    pub(crate) servers: Servers,
    pub(crate) token: TokenSource,
    http: Result<reqwest::Client, String>,
    /// Nothing goes plain.
    encrypts: bool,
}

impl Cluster {
    /// A cluster of which `servers` (any coordinators or nodes) are known, asked with `token` where it needs one.
    pub fn new(servers: Vec<String>, token: Option<String>) -> Self {
        Self::with_token_source(servers, Arc::new(move || token.clone()))
    }

    /// The same with a token that is made for every call.
    pub fn with_token_source(servers: Vec<String>, token: TokenSource) -> Self {
        Self::encrypted(servers, token, Encryption::by_machine())
    }

    /// The same with a word on whom to believe. Where all servers are asked over TLS, those that they lead to are, too: the
    /// token never goes plain.
    pub fn encrypted(servers: Vec<String>, token: TokenSource, encryption: Encryption) -> Self {
        let (config, always) = encryption.into_parts();
        let servers = Servers::new(servers);
        let known = servers.in_order();
        let encrypts = always || (!known.is_empty() && known.iter().all(|server| server.starts_with("https://")));
        let shared = Shared { servers, token, http: config.and_then(http_client), encrypts };
        Self { shared: Arc::new(shared), deadline: DEADLINE, refused_max: DEADLINE }
    }

    /// The same cluster, whose calls are given up after `deadline` (30 s otherwise).
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline, refused_max: deadline }
    }

    /// The same cluster, whose calls are given up already after `refused_max` where every server's machine says that
    /// nothing listens there: somebody sits in front of it.
    #[must_use]
    pub fn with_refused_max(&self, refused_max: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline: self.deadline, refused_max }
    }

    /// The servers known, the one to be asked next at the front.
    pub fn servers(&self) -> Vec<String> {
        self.shared.servers.in_order()
    }

    /// Forgets the servers known and takes these, to be asked in this order. An empty list changes nothing.
    pub fn set_servers(&self, servers: impl IntoIterator<Item = String>) {
        self.shared.servers.replace(servers);
    }

    /// Asks for the coordinators and keeps those that were not known.
    ///
    /// # Errors
    /// Where nobody answers.
    pub async fn learn(&self) -> Result<(), ClientError> {
        let cluster = self.cluster().await?;
        self.shared.servers.add(cluster.coordinators.into_iter().map(|coordinator| coordinator.url));
        Ok(())
    }

    /// Where a call goes whose address is `url`.
    pub(crate) fn address(&self, url: &str) -> Result<Url, ClientError> {
        servers::parse(&encryption::address(url, self.shared.encrypts))
    }

    pub(crate) fn http(&self) -> Result<&reqwest::Client, ClientError> {
        self.shared.http.as_ref().map_err(|cause| ClientError::Unreachable {
            servers: self.servers().join(", "),
            cause: format!("this machine cannot make connections: {cause}"),
        })
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("servers", &self.servers()).finish_non_exhaustive()
    }
}

/// Redirects are followed by [`crate::transport`], which keeps the token. A cluster is reached directly: a proxy in
/// the environment is meant for the world outside.
fn http_client(encryption: rustls::ClientConfig) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(encryption)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_keepalive(Duration::from_secs(15))
        .user_agent(concat!("microtome/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())
}
