//! The keys as they are now: the cluster's own, those in files, and those of identity providers, which this server fetches
//! itself. No other server is asked when a token is checked.
//!
//! Where a provider or a file cannot be read, the last keys that were known stay.

use super::revoked::Revoked;
use crate::outside;
use futures_util::future::{join, join_all};
use microtome_proto::token::{
    Bearer, Checker, InvalidKey, JWKS_LEN_MAX, Jwks, Key, KeysAt, Provider, Refused, Settings, now_s,
};
use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::Instant;

/// How often keys are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// A provider's that answers.
    pub(super) every: Duration,
    /// A provider's that does not answer, and one's whose token names a key that is not known: whoever makes up names of keys
    /// has nothing fetched more often.
    pub(super) again_after: Duration,
    /// How long a provider may take.
    pub(super) within: Duration,
    /// Files.
    pub(super) files_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            again_after: Duration::from_secs(30),
            within: Duration::from_secs(5),
            files_every: Duration::from_secs(5),
        }
    }
}

/// The keys as they are now.
pub(super) struct Keys {
    checker: RwLock<Arc<Checker>>,
    /// The cluster's own that stand in the configuration itself.
    configured: Vec<Key>,
    /// A file with more of them.
    file: Option<Source<PathBuf>>,
    providers: Vec<Source<Provider>>,
    pace: Pace,
    revoked: Revoked,
}

/// Something that keys are read from.
struct Source<T> {
    from: T,
    /// What it said last.
    said: Mutex<Said>,
    /// When it was last asked for a key that was not known. Whoever holds this is asking.
    asked: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    /// Whether its failure was told: once is enough.
    fails: bool,
}

impl<T> Source<T> {
    fn new(from: T) -> Self {
        Self { from, said: Mutex::default(), asked: Arc::default() }
    }

    /// Puts the keys that were read in their place, where they are others than before. What is remembered as said last is what
    /// stands there, also where two ask at the same time.
    fn take(&self, read: Result<Vec<u8>, String>, whose: &str, put: impl FnOnce(Vec<Key>)) -> Result<(), InvalidKey> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read.and_then(|bytes| match bytes == said.bytes && !bytes.is_empty() {
            true => Ok(None),
            false => Jwks::read(&bytes).map(|set| Some((bytes, set))).map_err(|error| error.to_string()),
        });
        match read {
            Ok(news) => {
                if mem::take(&mut said.fails) {
                    tracing::info!(whose, "keys can be read again");
                }
                let Some((bytes, set)) = news else { return Ok(()) };
                said.bytes = bytes;
                for why in &set.left_out {
                    tracing::warn!(whose, why, "a key is left out");
                }
                tracing::info!(whose, keys = set.keys.len(), "keys for tokens were read");
                put(set.keys);
                Ok(())
            }
            Err(error) => {
                if !mem::replace(&mut said.fails, true) {
                    tracing::warn!(whose, error, "keys cannot be read: those known last stay");
                }
                Err(InvalidKey::new(error))
            }
        }
    }
}

impl Keys {
    /// Reads the configuration's keys and files.
    pub(super) fn open(settings: &Settings, pace: Pace) -> Result<Self, InvalidKey> {
        let keys = Self {
            checker: RwLock::new(Arc::new(Checker::new(settings.ring()?))),
            configured: settings.own_keys()?,
            file: settings.verifying_keys.clone().map(Source::new),
            providers: settings.providers.iter().cloned().map(Source::new).collect(),
            pace,
            revoked: Revoked::default(),
        };
        keys.read_own()?;
        for (place, source) in keys.providers.iter().enumerate() {
            if let KeysAt::File(path) = &source.from.keys {
                keys.take(place, read_file(path))?;
            }
        }
        Ok(keys)
    }

    pub(super) fn remembered(&self, token: &str, now_s: u64) -> Option<Arc<Bearer>> {
        self.checker.read().unwrap_or_else(PoisonError::into_inner).remembered(token, now_s)
    }

    /// What a token proves. Where it names a key that is not known, its provider is asked once more before it is refused: the
    /// first token that is signed by a new key must not be.
    pub(super) async fn prove(self: &Arc<Self>, token: &str) -> Result<Arc<Bearer>, Refused> {
        match self.check(token) {
            Err(Refused::UnknownKey { provider: Some(place) } | Refused::KeysNotThere { provider: place }) => {
                self.ask_again(place).await;
                self.check(token)
            }
            other => other,
        }
    }

    /// What was proven before was not taken back then, nor since: see [`Keys::revoke`].
    fn check(&self, token: &str) -> Result<Arc<Bearer>, Refused> {
        let (checker, now_s) = (self.now(), now_s());
        if let Some(bearer) = checker.remembered(token, now_s) {
            return Ok(bearer);
        }
        if self.revoked.has(token) {
            return Err(Refused::Revoked);
        }
        if self.revoked.has_sessions() && self.revoked.has_session_of(&checker.ring().check(token, now_s)?) {
            return Err(Refused::Revoked);
        }
        checker.check(token, now_s)
    }

    /// From now on these count no more. What was proven goes after they are known: whoever proves anew meets them.
    pub(super) fn revoke(&self, version: u64, tokens: Vec<String>) {
        if self.revoked.replace(version, tokens) {
            self.change(|checker| Checker::new(checker.ring().clone()));
        }
    }

    pub(super) fn revoked_version(&self) -> u64 {
        self.revoked.version()
    }

    /// Asks a provider for its keys, unless that was done a moment ago. Whoever comes meanwhile waits for the same answer.
    async fn ask_again(self: &Arc<Self>, place: usize) {
        let Some(source) = self.providers.get(place) else { return };
        let mut asked = Arc::clone(&source.asked).lock_owned().await;
        if asked.is_some_and(|at| at.elapsed() < self.pace.again_after) {
            return;
        }
        *asked = Some(Instant::now());
        let keys = Arc::clone(self);
        // It goes on where its asker does not wait: what was learnt is for the others.
        let asking = tokio::spawn(async move {
            let _ = keys.ask(place).await;
            drop(asked);
        });
        let _ = asking.await;
    }

    /// Keeps all up to date.
    pub(super) async fn follow(&self) {
        let files = async {
            loop {
                tokio::time::sleep(self.pace.files_every).await;
                let _ = self.read_own();
            }
        };
        let providers = (0..self.providers.len()).map(|place| async move {
            loop {
                let read = self.ask(place).await;
                let is_file = self.providers.get(place).is_some_and(|one| matches!(one.from.keys, KeysAt::File(_)));
                let wait = match read {
                    _ if is_file => self.pace.files_every,
                    Ok(()) => self.pace.every,
                    Err(_) => self.pace.again_after,
                };
                tokio::time::sleep(wait).await;
            }
        });
        join(files, join_all(providers)).await;
    }

    async fn ask(&self, place: usize) -> Result<(), InvalidKey> {
        let Some(source) = self.providers.get(place) else { return Ok(()) };
        let read = match &source.from.keys {
            KeysAt::Url(url) => outside::get(url, self.pace.within).await,
            KeysAt::File(path) => read_file(path),
        };
        self.take(place, read)
    }

    fn take(&self, place: usize, read: Result<Vec<u8>, String>) -> Result<(), InvalidKey> {
        let Some(source) = self.providers.get(place) else { return Ok(()) };
        source.take(read, &source.from.policy.issuer, |keys| {
            self.change(|checker| Checker::new(checker.ring().with_provider(place, keys)));
        })
    }

    fn read_own(&self) -> Result<(), InvalidKey> {
        let Some(source) = &self.file else { return Ok(()) };
        source.take(read_file(&source.from), "the cluster", |more| {
            let own = self.configured.iter().cloned().chain(more).collect();
            self.change(|checker| Checker::new(checker.ring().with_own(own)));
        })
    }

    /// How many files and providers cannot be read just now.
    #[cfg(test)]
    pub(super) fn failing(&self) -> usize {
        let own = self.file.iter().map(|source| &source.said);
        let all = own.chain(self.providers.iter().map(|source| &source.said));
        all.filter(|said| said.lock().is_ok_and(|said| said.fails)).count()
    }

    fn now(&self) -> Arc<Checker> {
        Arc::clone(&self.checker.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// With the keys goes all that was proven by them.
    fn change(&self, change: impl FnOnce(&Checker) -> Checker) {
        let mut checker = self.checker.write().unwrap_or_else(PoisonError::into_inner);
        *checker = Arc::new(change(&checker));
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = fs::metadata(path).map_err(failed)?;
    if !file.is_file() || file.len() > JWKS_LEN_MAX as u64 {
        return Err(format!("{} is no file of at most {JWKS_LEN_MAX} bytes", path.display()));
    }
    fs::read(path).map_err(failed)
}
