//! Who the node is: `node.json` in its data folder.

use crate::disk;
use microtome_proto::{ClusterId, NodeId, internal::Registered};
use parking_lot::RwLock;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    version: u32,
    instance: String,
    #[serde(default)]
    node: Option<NodeId>,
    #[serde(default)]
    cluster: Option<ClusterId>,
    /// Base URLs of its coordinators, in order: a node that was told of one alone finds the others after a start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coordinators: Vec<String>,
}

/// The node's identity: the instance is drawn once for a data folder; the cluster gives the id for it.
#[derive(Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    stored: RwLock<Stored>,
}

impl Identity {
    /// Reads the identity at `path`, or draws one and writes it down.
    ///
    /// # Errors
    /// Where the file cannot be read, understood or written. A file that is not understood is never overwritten: the
    /// node would lose its name to the cluster.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let stored = match std::fs::read(path) {
            Ok(bytes) => read(&bytes)
                .map_err(|reason| io::Error::other(format!("{} is not understood: {reason}", path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let instance = format!("{:032x}", rand::rng().random::<u128>());
                let stored = Stored { version: VERSION, instance, node: None, cluster: None, coordinators: Vec::new() };
                store(path, &stored)?;
                stored
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        Ok(Self { path: path.to_owned(), stored: RwLock::new(stored) })
    }

    /// Random, drawn once for the data folder.
    pub(crate) fn instance(&self) -> String {
        self.stored.read().instance.clone()
    }

    /// The node's id, once the cluster has given it one.
    pub(crate) fn node(&self) -> Option<NodeId> {
        self.stored.read().node.clone()
    }

    /// The cluster that it belongs to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.stored.read().cluster.clone()
    }

    /// Writes down who the cluster says that it is. Blocks.
    pub(crate) fn registered(&self, answer: &Registered) -> io::Result<()> {
        let (node, cluster) = (Some(answer.node.clone()), Some(answer.cluster.clone()));
        self.change(|stored| Stored { node, cluster, ..stored })
    }

    /// The coordinators that the cluster last told of.
    pub(crate) fn coordinators(&self) -> Vec<String> {
        self.stored.read().coordinators.clone()
    }

    /// Whether these are others than are written down.
    pub(crate) fn has_others_than(&self, coordinators: &[String]) -> bool {
        self.stored.read().coordinators != in_order(coordinators)
    }

    /// Writes the coordinators down. Blocks.
    pub(crate) fn remember(&self, coordinators: &[String]) -> io::Result<()> {
        self.change(|stored| Stored { coordinators: in_order(coordinators), ..stored })
    }

    fn change(&self, change: impl FnOnce(Stored) -> Stored) -> io::Result<()> {
        let mut stored = self.stored.write();
        let new = change(stored.clone());
        if new != *stored {
            store(&self.path, &new)?;
            *stored = new;
        }
        Ok(())
    }
}

/// Who leads changes, and is nothing to be written down.
fn in_order(coordinators: &[String]) -> Vec<String> {
    let mut all = coordinators.to_vec();
    all.sort();
    all
}

fn read(bytes: &[u8]) -> Result<Stored, String> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if stored.version != VERSION {
        return Err(format!("its version is {}, and this program knows {VERSION}", stored.version));
    }
    Ok(stored)
}

fn store(path: &Path, stored: &Stored) -> io::Result<()> {
    disk::write(path, &serde_json::to_vec_pretty(stored).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_stays_over_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.json");
        let first = Identity::open(&path).unwrap();
        let answer = Registered {
            node: NodeId::from_counter(3),
            cluster: ClusterId::from_random(9),
            heartbeat_ms: 1000,
            coordinators: vec!["http://b:1".to_owned(), "http://a:1".to_owned()],
            protocol: 1,
        };
        first.registered(&answer).unwrap();
        first.remember(&answer.coordinators).unwrap();
        let second = Identity::open(&path).unwrap();
        assert_eq!(second.instance(), first.instance());
        assert_eq!(second.instance().len(), 32);
        assert_eq!((second.node(), second.cluster()), (Some(answer.node), Some(answer.cluster)));
        assert_eq!(second.coordinators(), ["http://a:1", "http://b:1"]);
        assert!(!second.has_others_than(&answer.coordinators));
        second.remember(&["http://c:1".to_owned()]).unwrap();
        assert_eq!(Identity::open(&path).unwrap().coordinators(), ["http://c:1"]);
    }

    #[test]
    fn an_identity_that_is_not_understood_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.json");
        std::fs::write(&path, b"{\"version\":9}").unwrap();
        assert!(Identity::open(&path).unwrap_err().to_string().contains("node.json"));
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"version\":9}");
    }
}
