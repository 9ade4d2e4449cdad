//! The data folder: who may use it, and whose it is.
//!
//! | name | what |
//! |---|---|
//! | `LOCK` | held by the one process that uses the folder |
//! | `coordinator.json` | whose folder it is |
//! | `log.redb` | vote and log: what must not be lost |
//! | `state/` | the applied state: what snapshot and log can rebuild |
//! | `snapshots/` | the newest two snapshots |
//! | `first-password` | the password of the first user, of the coordinator that made them known |

use super::StoreError;
use microtome_proto::{ClusterId, CoordinatorId};
use microtome_server::durable;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The form of `coordinator.json`.
const VERSION: u32 = 1;

/// Whose folder it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    version: u32,
    id: CoordinatorId,
    cluster_name: String,
    /// Known once the cluster was founded and this coordinator has heard of it.
    #[serde(default)]
    cluster: Option<ClusterId>,
}

/// While it lives, no other process uses the folder. It is apart from [`Folder`] so that its owner alone decides when it
/// ends.
pub(crate) type Lock = File;

/// A data folder, and whose it is.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    identity: Mutex<Identity>,
}

impl Folder {
    /// Takes the folder at `path`, which is made where it is not there, for coordinator `id`.
    pub(crate) fn open(path: &Path, id: CoordinatorId, cluster_name: &str) -> Result<(Self, Lock), StoreError> {
        fs::create_dir_all(path).map_err(|error| StoreError::io(path, error))?;
        let lock = lock(path)?;
        let wanted = Identity { version: VERSION, id, cluster_name: cluster_name.to_owned(), cluster: None };
        let identity = match read_identity(&path.join(IDENTITY))? {
            None if path.join(LOG).exists() => {
                return Err(StoreError::Damaged { path: path.join(IDENTITY), reason: "it is missing".to_owned() });
            }
            None => {
                write_identity(path, &wanted)?;
                wanted
            }
            Some(found) if found.id != id || found.cluster_name != cluster_name => {
                return Err(StoreError::Stranger {
                    path: path.to_owned(),
                    found: found.id,
                    found_cluster: found.cluster_name,
                    wanted: id,
                    wanted_cluster: cluster_name.to_owned(),
                });
            }
            Some(found) => found,
        };
        Ok((Self { path: path.to_owned(), identity: Mutex::new(identity) }, lock))
    }

    /// The cluster that the folder belongs to, once that is known.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.identity.lock().cluster.clone()
    }

    /// Keeps the cluster's id for good: messages of any other cluster are refused from now on.
    pub(crate) fn belong_to(&self, cluster: &ClusterId) -> Result<(), StoreError> {
        let mut identity = self.identity.lock();
        if identity.cluster.is_none() {
            let known = Identity { cluster: Some(cluster.clone()), ..identity.clone() };
            write_identity(&self.path, &known)?;
            *identity = known;
        }
        Ok(())
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(crate) fn first_password(&self) -> PathBuf {
        self.path.join("first-password")
    }
}

const IDENTITY: &str = "coordinator.json";
const LOG: &str = "log.redb";

fn lock(folder: &Path) -> Result<Lock, StoreError> {
    let path = folder.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| StoreError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path, error)),
    }
}

fn read_identity(path: &Path) -> Result<Option<Identity>, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(path, error)),
    };
    let damaged = |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() };
    let found = serde_json::from_slice::<Versioned>(&bytes).map_err(damaged)?.version;
    if found > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

fn write_identity(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
    let path = folder.join(IDENTITY);
    let bytes = serde_json::to_vec_pretty(identity).map_err(|error| StoreError::io(&path, error.into()))?;
    durable::write(&path, &bytes).map_err(|error| StoreError::io(&path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_and_one_process() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/coordinator-1");
        let (folder, lock) = Folder::open(&path, 1, "lab").unwrap();
        assert!(matches!(Folder::open(&path, 1, "lab"), Err(StoreError::Locked(_))));
        let cluster = ClusterId::from_random(7);
        folder.belong_to(&cluster).unwrap();
        folder.belong_to(&ClusterId::from_random(8)).unwrap();
        drop(lock);
        assert!(matches!(Folder::open(&path, 2, "lab"), Err(StoreError::Stranger { found: 1, .. })));
        assert!(matches!(Folder::open(&path, 1, "other"), Err(StoreError::Stranger { .. })));
        assert_eq!(Folder::open(&path, 1, "lab").unwrap().0.cluster(), Some(cluster));
    }

    #[test]
    fn an_unreadable_or_newer_identity_is_never_taken_for_an_empty_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(IDENTITY), b"{").unwrap();
        assert!(matches!(Folder::open(folder.path(), 1, "lab"), Err(StoreError::Damaged { .. })));
        fs::write(folder.path().join(IDENTITY), br#"{"version":9}"#).unwrap();
        assert!(matches!(Folder::open(folder.path(), 1, "lab"), Err(StoreError::Newer { found: 9, .. })));
        fs::remove_file(folder.path().join(IDENTITY)).unwrap();
        fs::write(folder.path().join(LOG), b"").unwrap();
        assert!(matches!(Folder::open(folder.path(), 1, "lab"), Err(StoreError::Damaged { .. })));
    }

    /// Yesterday's bytes stay readable.
    #[test]
    fn version_1_is_readable() {
        let folder = tempfile::tempdir().unwrap();
        let text = br#"{"version":1,"id":3,"cluster_name":"lab","cluster":"c-0000000000007"}"#;
        fs::write(folder.path().join(IDENTITY), text).unwrap();
        assert_eq!(Folder::open(folder.path(), 3, "lab").unwrap().0.cluster(), Some(ClusterId::from_random(7)));
    }
}
