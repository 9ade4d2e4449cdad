//! openraft's own suite over our store, and the ways in which a disk can let it down: whatever is lost or damaged, the
//! store opens with all that was acknowledged, or says that it cannot.

use super::{
    log::RaftLog,
    machine::Machine,
    open::Parts,
    types::{Entry, LogId, TypeConfig},
};
use crate::{
    Config,
    core::{
        command::{Command, Proposal},
        tables::Nodes,
        view::{Memory, Typed as _},
    },
    store::folder::{Folder, Lock},
};
use microtome_proto::{ClusterId, Timestamp};
use openraft::{
    EntryPayload, RaftSnapshotBuilder as _, StorageError, StorageHelper,
    impls::leader_id_adv::LeaderId,
    storage::{RaftLogStorage as _, RaftLogStorageExt as _, RaftStateMachine as _},
    testing::log::{StoreBuilder, Suite},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

struct Builder;

impl StoreBuilder<TypeConfig, RaftLog, Machine, (Lock, tempfile::TempDir)> for Builder {
    async fn build(&self) -> Result<((Lock, tempfile::TempDir), RaftLog, Machine), StorageError<TypeConfig>> {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&root.path().join("data")).await.unwrap();
        Ok(((store.lock, root), store.log, store.machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openrafts_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}

/// The parts of one coordinator, as raft holds them.
struct Store {
    lock: Lock,
    log: RaftLog,
    machine: Machine,
    state: Arc<crate::store::state::State>,
}

impl Store {
    async fn open(path: &Path) -> Result<Self, String> {
        let (folder, lock) = Folder::open(path, 1, "lab").map_err(|error| error.to_string())?;
        let parts = Parts::open(&folder).map_err(|error| error.to_string())?;
        let state = Arc::clone(&parts.state);
        let machine = Machine::new(parts.state, Arc::clone(&parts.snapshots), parts.stamp, watch::channel(0).0);
        Ok(Self { lock, log: parts.raft_log, machine, state })
    }

    /// Opens it and brings it to where it was, as raft does when it starts.
    async fn recover(path: &Path) -> Result<Self, String> {
        let mut store = Self::open(path).await?;
        let mut helper = StorageHelper::new(&mut store.log, &mut store.machine).with_id(1);
        helper.get_initial_state().await.map_err(|error| error.to_string())?;
        Ok(store)
    }

    /// Writes entries `range`, durably, as the acknowledged and committed writes of a leader.
    async fn write(&mut self, range: std::ops::Range<u64>) {
        for index in range {
            let entry = entry(index);
            self.log.save_committed(Some(entry.log_id)).await.unwrap();
            self.log.blocking_append([entry.clone()]).await.unwrap();
            let item: std::io::Result<_> = Ok((entry, None));
            self.machine.apply(futures_util::stream::iter([item])).await.unwrap();
        }
    }

    async fn snapshot(&mut self) {
        let mut builder = self.machine.try_create_snapshot_builder(true).await.unwrap();
        builder.build_snapshot().await.unwrap();
    }

    async fn purge(&mut self, index: u64) {
        self.log.purge(log_id(index)).await.unwrap();
    }

    fn nodes(&self) -> usize {
        self.state.read(|view| view.scan_keys::<Nodes>(&[], None).map(Result::unwrap).count())
    }
}

fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId { term: 1, node_id: 1 }, index)
}

fn entry(index: u64) -> Entry {
    let command = match index {
        0 => Command::Found { cluster: ClusterId::from_random(1), name: "lab".to_owned() },
        _ => Command::RegisterNode {
            instance: format!("{index:032x}"),
            name: format!("node {index}"),
            url: format!("http://10.0.0.1:{index}"),
            zone: None,
            labels: Default::default(),
            version: "0.1.0".to_owned(),
        },
    };
    let at = Timestamp::from_millis(i64::try_from(index).unwrap());
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(Proposal { at, by: None, command }) }
}

/// A folder as a process killed at this moment leaves it: what is still in its memory is lost.
fn killed(path: &Path, name: &str) -> PathBuf {
    let copy = path.with_file_name(name);
    copy_folder(path, &copy);
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn newest_snapshot(path: &Path) -> PathBuf {
    let mut all: Vec<_> = fs::read_dir(path.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.pop().unwrap()
}

fn flip_in_the_middle(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_the_state_everything_acknowledged_is_there_again() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let mut store = Store::recover(&path).await.unwrap();
    store.write(0..100).await;
    store.snapshot().await;
    store.write(100..160).await;
    store.purge(60).await;
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("killed", |_| ()),
        ("without state", |path| fs::remove_dir_all(path.join("state")).unwrap()),
        ("state emptied", |path| fs::write(path.join("state/db"), b"").unwrap()),
        ("state cut off", |path| {
            let db = fs::File::options().write(true).open(path.join("state/db")).unwrap();
            db.set_len(db.metadata().unwrap().len() / 2).unwrap();
        }),
        ("state overwritten", |path| flip_in_the_middle(&path.join("state/db"))),
    ];
    for (name, damage) in damages {
        let copy = killed(&path, name);
        damage(&copy);
        let mut store = Store::recover(&copy).await.unwrap();
        assert_eq!(store.nodes(), 159, "{name}");
        // And it goes on.
        store.write(160..170).await;
        assert_eq!(store.nodes(), 169, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_snapshot_is_bridged_by_the_one_before_or_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let mut store = Store::recover(&path).await.unwrap();
    store.write(0..50).await;
    store.snapshot().await;
    store.write(50..100).await;
    store.snapshot().await;
    store.write(100..120).await;
    store.purge(30).await;
    let damaged = |name| {
        let copy = killed(&path, name);
        flip_in_the_middle(&newest_snapshot(&copy));
        fs::remove_dir_all(copy.join("state")).unwrap();
        copy
    };
    assert_eq!(Store::recover(&damaged("bridged")).await.unwrap().nodes(), 119);
    store.purge(80).await;
    let error = Store::recover(&damaged("told")).await.err().unwrap();
    assert!(error.contains("80"), "{error}");
    // With its state whole, the same coordinator needs no snapshot: it takes a new one.
    drop(store);
    let _idle = Store::open(&path).await.unwrap();
    let copy = killed(&path, "whole");
    flip_in_the_middle(&newest_snapshot(&copy));
    assert_eq!(Store::recover(&copy).await.unwrap().nodes(), 119);
}

/// Power failed after the applied state had come to disk, but not the log entries that it came from: the state knew more
/// than the log, and raft took the gap for purged entries.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_ahead_of_the_log_is_not_believed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let mut store = Store::recover(&path).await.unwrap();
    store.write(0..20).await;
    let log = fs::read(path.join("log.redb")).unwrap();
    store.write(20..30).await;
    drop(store);
    // Another file under the same name: the old one is still being closed.
    fs::write(path.join("older"), log).unwrap();
    fs::rename(path.join("older"), path.join("log.redb")).unwrap();
    let mut store = Store::recover(&path).await.unwrap();
    assert_eq!(store.nodes(), 19);
    assert_eq!(store.log.get_log_state().await.unwrap().last_purged_log_id, None);
}

/// A folder that was filled with books opens as if a leader's snapshot had brought them.
#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_folder_has_the_books_and_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let (there, here) = (root.path().join("there"), root.path().join("here"));
    let mut store = Store::recover(&there).await.unwrap();
    store.write(0..2000).await;
    // Behind what the state keeps about itself.
    let books = store.state.read(|view| view.scan(b"", Some(b"\0about")).collect::<Result<Memory, _>>()).unwrap();
    let config = Config { data_dir: here.clone(), cluster_name: "lab".to_owned(), ..Config::default() };
    super::seed(&config, &books).unwrap();
    let mut store = Store::recover(&here).await.unwrap();
    assert_eq!(store.nodes(), 1999);
    assert_eq!(store.machine.applied_state().await.unwrap().1.membership().voter_ids().collect::<Vec<_>>(), [1]);
    store.write(2000..2010).await;
    assert_eq!(store.nodes(), 2009);
}
