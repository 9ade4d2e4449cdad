//! Passwords: hashed by Argon2id, a few at a time, on threads that wait for nothing else.
//!
//! Whoever is not there, or shut out, has as much computed for them as anybody: the time that an answer takes tells nothing.

use crate::core::tables::Hidden;
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};
use microtome_proto::{Code, Problem, limits::LOGINS_WAITING_MAX};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes: what OWASP asks for at least. With others here, each hash is made anew at its owner's next
/// login.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Passwords that are hashed at once; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// Stands for the hash of who has none: nobody knows a password for it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords and checks them.
pub(crate) struct Passwords {
    computing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// How often it was computed.
    computed: Arc<AtomicU64>,
}

/// What a password proved to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) is_right: bool,
    /// Whether the hash was made by other parameters than those of today.
    pub(crate) is_outdated: bool,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            computing: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(LOGINS_WAITING_MAX)),
            computed: Arc::default(),
        }
    }

    /// A new hash, in the PHC string format.
    pub(crate) async fn hash(&self, password: &str) -> Result<Hidden, Problem> {
        let password = password.to_owned();
        let hash = move || {
            let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>());
            let hashed =
                salt.and_then(|salt| argon2()?.hash_password(password.as_bytes(), &salt).map(|it| it.to_string()));
            hashed
                .map(Hidden)
                .map_err(|error| Problem::new(Code::Internal, format!("a password cannot be hashed: {error}")))
        };
        self.compute(hash).await?
    }

    /// Holds a password against a hash, or against none at the same cost.
    pub(crate) async fn check(&self, password: &str, hash: Option<&Hidden>) -> Result<Verdict, Problem> {
        let is_somebodys = hash.is_some();
        let (password, hash) = (password.to_owned(), hash.map_or_else(|| NOBODYS.to_owned(), |hash| hash.0.clone()));
        let check = move || {
            let Ok(hash) = PasswordHash::new(&hash) else { return Verdict { is_right: false, is_outdated: false } };
            // By the parameters in the hash.
            let is_right = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
            Verdict { is_right: is_right && is_somebodys, is_outdated: is_outdated(&hash) }
        };
        self.compute(check).await
    }

    /// How often a password was hashed.
    pub(crate) fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(&self, compute: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || Problem::new(Code::TooManyRequests, format!("{LOGINS_WAITING_MAX} logins wait already"));
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.computing).acquire_owned().await.map_err(|_| busy())?;
        drop(place);
        self.computed.fetch_add(1, Ordering::Relaxed);
        // It goes on where its asker does not wait, and keeps its turn as long.
        let computed = tokio::task::spawn_blocking(move || {
            let computed = compute();
            drop(turn);
            computed
        });
        computed.await.map_err(|error| Problem::new(Code::Internal, error.to_string()))
    }
}

/// What tells the books which hash a password was held against.
pub(crate) fn proof(hash: &Hidden) -> Hidden {
    Hidden(blake3::hash(hash.0.as_bytes()).to_hex().to_string())
}

fn argon2() -> Result<Argon2<'static>, argon2::password_hash::Error> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn is_outdated(hash: &PasswordHash<'_>) -> bool {
    let present = (hash.algorithm.as_str() == "argon2id" && hash.version == Some(19))
        .then(|| Params::try_from(hash).ok())
        .flatten()
        .map(|parameters| (parameters.m_cost(), parameters.t_cost(), parameters.p_cost()));
    present != Some(PARAMETERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_hash_alone_and_a_hash_of_yesterday_is_told() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap(), "salted");
        let right = Verdict { is_right: true, is_outdated: false };
        assert_eq!(passwords.check("correct horse", Some(&hash)).await.unwrap(), right);
        assert!(!passwords.check("correct horsf", Some(&hash)).await.unwrap().is_right);
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        let old = Hidden(weak.hash_password(b"correct horse", &salt).unwrap().to_string());
        assert_eq!(
            passwords.check("correct horse", Some(&old)).await.unwrap(),
            Verdict { is_right: true, is_outdated: true }
        );
        assert_eq!(format!("{hash:?}"), "…");
    }

    #[tokio::test]
    async fn who_is_not_there_costs_as_much_and_is_never_right() {
        let passwords = Passwords::new();
        let before = passwords.computed();
        assert!(!passwords.check("", None).await.unwrap().is_right);
        assert_eq!(passwords.computed(), before + 1);
        assert!(!is_outdated(&PasswordHash::new(NOBODYS).unwrap()), "the same cost as everybody's");
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let passwords = Arc::new(Passwords::new());
        let held = Arc::clone(&passwords.computing).acquire_many_owned(2).await.unwrap();
        let wait = |passwords: Arc<Passwords>| tokio::spawn(async move { passwords.check("x", None).await });
        let waiting: Vec<_> = (0..LOGINS_WAITING_MAX).map(|_| wait(Arc::clone(&passwords))).collect();
        while passwords.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.check("x", None).await.unwrap_err().code, Code::TooManyRequests);
        for one in &waiting {
            one.abort();
        }
        drop(held);
    }
}
