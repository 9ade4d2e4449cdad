//! Logins of this machine's user, remembered across runs of the program, one for each cluster.
//!
//! A small JSON file that nobody else reads, replaced as a whole. A refresh token is good once: whoever takes it holds the
//! file's lock until the next one is written down.

use crate::{ClientError, Cluster, journal::replace};
use microtome_proto::{
    Code, Timestamp,
    account::{Confidential, LoggedIn},
};
use serde::{Deserialize, Serialize};
use std::{
    env,
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

const VERSION: u32 = 1;
/// An access token that ends within this time is not used any more, in milliseconds.
const MARGIN_MS: i64 = 60_000;
/// Others cannot read it.
const MODE: u32 = 0o600;

/// A login at a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The cluster, by the addresses that were named.
    pub servers: Vec<String>,
    /// Who is logged in.
    pub name: String,
    /// The access token.
    pub access_token: Confidential,
    /// When it ends.
    pub access_ends_at: Timestamp,
    /// The refresh token.
    pub refresh_token: Confidential,
}

impl Credential {
    /// What a login or a refresh at these servers answered just now.
    pub fn new(servers: &[String], login: LoggedIn) -> Self {
        Self {
            servers: servers.to_vec(),
            name: login.user.name,
            access_token: login.access_token,
            access_ends_at: Timestamp::now().plus_millis(login.expires_in_s.saturating_mul(1000)),
            refresh_token: login.refresh_token,
        }
    }

    /// Whether the access token is good for a while.
    pub fn is_fresh(&self) -> bool {
        self.access_ends_at.as_millis() - Timestamp::now().as_millis() > MARGIN_MS
    }

    fn is_at(&self, servers: &[String]) -> bool {
        self.servers.iter().any(|server| servers.contains(server))
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    logins: Vec<Credential>,
}

/// The file with the logins.
#[derive(Debug, Clone)]
pub struct Credentials {
    path: PathBuf,
}

impl Credentials {
    /// In `$XDG_CONFIG_HOME/microtome`, or `~/.config/microtome`; `None` where there is no home.
    pub fn of_user() -> Option<Self> {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
        Some(Self::at(config.join("microtome/credentials.json")))
    }

    /// In this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The login at any of these servers.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn find(&self, servers: &[String]) -> Result<Option<Credential>, ClientError> {
        Ok(self.read()?.into_iter().find(|login| login.is_at(servers)))
    }

    /// Remembers a login in place of the one before.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn remember(&self, login: &Credential) -> Result<(), ClientError> {
        let _lock = self.lock()?;
        self.write(&login.servers, Some(login))
    }

    /// Forgets the login at these servers.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn forget(&self, servers: &[String]) -> Result<(), ClientError> {
        let _lock = self.lock()?;
        self.write(servers, None)
    }

    /// The login at these servers with an access token that is good for a while: refreshed where it has to be. A login that has
    /// ended is forgotten. None where there is none.
    ///
    /// # Errors
    /// Where no server answers, or the file cannot be kept.
    pub async fn fresh(&self, cluster: &Cluster, servers: &[String]) -> Result<Option<Credential>, ClientError> {
        match self.find(servers)? {
            None => return Ok(None),
            Some(login) if login.is_fresh() => return Ok(Some(login)),
            Some(_) => {}
        }
        let this = self.clone();
        let locked = tokio::task::spawn_blocking(move || this.lock()).await;
        let _lock = locked.map_err(|error| self.failed(io::Error::other(error)))??;
        // Another run of the program may have been faster.
        let Some(login) = self.find(servers)? else { return Ok(None) };
        if login.is_fresh() {
            return Ok(Some(login));
        }
        match cluster.refresh_login(&login.refresh_token).await {
            Ok(answer) => {
                let login = Credential::new(&login.servers, answer);
                self.write(&login.servers, Some(&login))?;
                Ok(Some(login))
            }
            Err(error) if matches!(error.code(), Some(Code::Unauthorized | Code::TokenRevoked | Code::Conflict)) => {
                self.write(servers, None)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn write(&self, servers: &[String], login: Option<&Credential>) -> Result<(), ClientError> {
        let mut logins = self.read()?;
        logins.retain(|other| !other.is_at(servers));
        logins.extend(login.cloned());
        let json = serde_json::to_vec_pretty(&Document { version: VERSION, logins }).map_err(io::Error::from);
        json.and_then(|json| replace(&self.path, self.folder(), &json, MODE)).map_err(|error| self.failed(error))
    }

    fn read(&self) -> Result<Vec<Credential>, ClientError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(error)),
        };
        // What the reader says of it may show a token.
        let unreadable = |why: String| self.failed(io::Error::other(format!("{why}; delete it and log in again")));
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|_| unreadable("it is not of its form".to_owned()))?;
        if document.version != VERSION {
            return Err(unreadable(format!("its version is {}, not {VERSION}", document.version)));
        }
        Ok(document.logins)
    }

    fn lock(&self) -> Result<File, ClientError> {
        fs::create_dir_all(self.folder()).map_err(|error| self.failed(error))?;
        let path = self.path.with_extension("lock");
        let lock = File::options().write(true).create(true).truncate(false).mode(MODE).open(path);
        let lock = lock.map_err(|error| self.failed(error))?;
        lock.lock().map_err(|error| self.failed(error))?;
        Ok(lock)
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn failed(&self, error: io::Error) -> ClientError {
        ClientError::io("keep logins in", &self.path, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn login(server: &str, ends_at: Timestamp) -> Credential {
        Credential {
            servers: vec![server.to_owned()],
            name: "ada".to_owned(),
            access_token: Confidential("access".to_owned()),
            access_ends_at: ends_at,
            refresh_token: Confidential("refresh".to_owned()),
        }
    }

    #[test]
    fn a_login_is_found_by_its_servers_and_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/credentials.json");
        let credentials = Credentials::at(path.clone());
        let at = |server: &str| credentials.find(&[server.to_owned()]).unwrap();
        assert_eq!(at("http://a:1"), None);
        let (a, b) = (login("http://a:1", Timestamp::now()), login("http://b:1", Timestamp::now()));
        credentials.remember(&a).unwrap();
        credentials.remember(&b).unwrap();
        assert_eq!((at("http://a:1"), at("http://c:1")), (Some(a.clone()), None));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        credentials.forget(&a.servers).unwrap();
        assert_eq!((at("http://a:1"), at("http://b:1")), (None, Some(b)));
        fs::write(&path, r#"{"version":1,"logins":[{"access_token":"a secret"}]}"#).unwrap();
        let error = credentials.find(&[]).unwrap_err().to_string();
        assert!(error.contains("credentials.json") && !error.contains("a secret"), "{error}");
    }

    #[test]
    fn an_access_token_is_fresh_until_shortly_before_its_end() {
        assert!(login("a", Timestamp::now().plus_millis(70_000)).is_fresh());
        assert!(!login("a", Timestamp::now().plus_millis(50_000)).is_fresh());
        assert!(!format!("{:?}", login("a", Timestamp::now())).contains("refresh\""), "no token is shown");
    }
}
