//! A server whose disk is recorded and goes wrong, what its clients were told meanwhile, and the crashes that follow.

use crate::{
    disk::{self, Disk, Fate},
    harness::{Cluster, Place, Server, loopback},
    preload,
};
use microtome_proto::MaterialId;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How long the servers have to start.
const START_WITHIN: Duration = Duration::from_secs(10);

/// Crashes in a story; `MICROTOME_CRASHES` asks for more.
fn crashes() -> usize {
    env::var("MICROTOME_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// How long a server works before and after it is killed and started again; `MICROTOME_CRASH_SECONDS` asks for more: a
/// coordinator takes its first snapshot after some 5000 changes.
fn works() -> Duration {
    let asked = env::var("MICROTOME_CRASH_SECONDS").ok().and_then(|text| text.parse().ok());
    asked.map_or(Duration::from_millis(1200), Duration::from_secs)
}

/// Chance begins here; `MICROTOME_CRASH_SEED` names another seed.
pub fn seed() -> u64 {
    env::var("MICROTOME_CRASH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How calls go wrong in a story, as `disk.c` has it: not at all, and in a few ways of many; with `MICROTOME_CRASH_ALL` in
/// all of them.
pub fn faults(few: &[&str]) -> Vec<Option<String>> {
    let mut faults = vec![None];
    if env::var_os("MICROTOME_CRASH_ALL").is_none() {
        faults.extend(few.iter().map(|fault| Some((*fault).to_owned())));
        return faults;
    }
    for call in ["read", "write", "sync", "open", "rename", "truncate", "mkdir", "remove"] {
        let hows: &[&str] =
            if matches!(call, "read" | "write") { &["short", EINTR, EIO, ENOSPC] } else { &[EIO, ENOSPC] };
        for (how, when) in hows.iter().flat_map(|how| ["1+3", "12+5", "20+40", "60+30"].map(|when| (how, when))) {
            faults.push(Some(format!("{call}:{how}:{when}")));
        }
    }
    faults
}

const EINTR: &str = "4";
const EIO: &str = "5";
const ENOSPC: &str = "28";

/// Records what a server does in a folder.
pub struct Recorder {
    dir: tempfile::TempDir,
    preload: (String, String),
    fault: Option<String>,
}

impl Recorder {
    /// Nothing where this machine cannot have one.
    pub fn new(fault: Option<String>) -> Option<Arc<Self>> {
        let dir = tempfile::tempdir().unwrap();
        let preload = preload::build("tests/crash/disk.c", dir.path())?;
        Some(Arc::new(Self { dir, preload, fault }))
    }

    /// A coordinator and nodes, `count` in all, of which the `nth` is the recorded one. Where calls fail it may not start, and
    /// say so or not: then that is told, and there is no story.
    pub async fn start(&self, count: usize, nth: usize) -> Option<Cluster> {
        let places = self.places(count, nth);
        let starting = tokio::spawn(async move {
            let (coordinators, nodes) = places.split_at(1);
            timeout(START_WITHIN, Cluster::start_at(coordinators, nodes, None)).await
        });
        let started = starting.await.ok().and_then(Result::ok);
        if started.is_none() {
            assert!(self.fault.is_some(), "it does not start on a disk without a fault");
            eprintln!("{}", self.named("it does not start"));
        }
        started
    }

    fn places(&self, count: usize, nth: usize) -> Vec<Place> {
        let mut places = loopback(count);
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut environment = vec![
            self.preload.clone(),
            ("MICROTOME_DISK_FOLDER".to_owned(), path(self.folder())),
            ("MICROTOME_DISK_JOURNAL".to_owned(), path(self.journal())),
        ];
        environment.extend(self.fault.clone().map(|fault| ("MICROTOME_DISK_FAULT".to_owned(), fault)));
        places[nth].environment = environment;
        places[nth].data_dir = Some(self.folder());
        places
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("data")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// How long the record is now: what was done before is in it.
    fn len(&self) -> usize {
        fs::metadata(self.journal()).map_or(0, |meta| meta.len() as usize)
    }

    /// Ways that a disk may be after the power failed, each with its folder and what had been told by then: at the moments
    /// when something was told, with all lost that can be, and at any moment, with some of it lost and torn.
    pub fn crashes<T: Copy>(&self, told: &Told<T>) -> Vec<Crash<T>> {
        let record = fs::read(self.journal()).unwrap();
        let mut chance = StdRng::seed_from_u64(seed());
        self.is_complete(&record);
        let told = told.history.lock().unwrap().clone();
        assert!(!told.is_empty() || self.fault.is_some(), "nothing was told");
        let crash = |nth: usize| {
            let (upto, fate) = match told.choose(&mut chance).filter(|_| nth.is_multiple_of(2)) {
                Some((at, ..)) => (*at, Fate::LOST),
                None => (chance.random_range(0..=record.len()), Fate::any(&mut chance)),
            };
            let folder = self.dir.path().join(format!("crash-{nth}"));
            Disk::at(&record, upto).after_crash(fate, &mut chance, &folder);
            let known = told.iter().filter(|(at, ..)| *at <= upto).map(|(_, id, what)| (id.clone(), *what)).collect();
            let name = format!("crash {nth} of seed {}, at {upto} of {}, {fate:?}", seed(), record.len());
            Crash { name: self.named(&name), folder, known }
        };
        (0..crashes()).map(crash).collect()
    }

    /// Lets the recorded server work; where it ends, it is started again.
    pub async fn work(&self, server: &mut Server) {
        let until = Instant::now() + works();
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if server.ended().is_some() {
                server.start();
            }
        }
    }

    /// Kills the recorded server, not between a call and its record.
    pub fn kill(&self, server: &mut Server) {
        let journal = fs::File::open(self.journal()).unwrap();
        journal.lock().unwrap();
        server.kill();
    }

    /// `what`, and which calls went wrong.
    pub fn named(&self, what: &str) -> String {
        self.fault.as_ref().map_or_else(|| what.to_owned(), |fault| format!("{fault}: {what}"))
    }

    /// How the calls go wrong.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// How many calls went wrong.
    pub fn struck(&self) -> usize {
        disk::faults(&fs::read(self.journal()).unwrap())
    }

    /// A record that lacks a call would prove nothing: all of it together is what the folder holds.
    fn is_complete(&self, record: &[u8]) {
        let all = self.dir.path().join("all");
        Disk::at(record, record.len()).after_crash(Fate::KEPT, &mut StdRng::seed_from_u64(0), &all);
        let (told, found) = (disk::tree(&all), disk::tree(&self.folder()));
        assert!(told.keys().eq(found.keys()), "recorded {:?}, found {:?}", told.keys(), found.keys());
        for (path, bytes) in &found {
            assert!(told[path] == *bytes, "{path} is not as it was recorded");
        }
    }
}

/// A disk after the power failed.
pub struct Crash<T> {
    pub name: String,
    pub folder: PathBuf,
    /// What was told last.
    pub known: BTreeMap<MaterialId, T>,
}

impl<T> Crash<T> {
    /// Starts the server again on what is left.
    pub async fn start(&self, server: &mut Server, http: &reqwest::Client) {
        server.moved_to(self.folder.clone());
        server.start();
        let health = format!("{}/healthz", server.url);
        while http.get(&health).send().await.is_err() {
            assert_eq!(server.ended(), None, "{}: it does not start again:\n{}", self.name, server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What clients were told, each with the length of the record then.
pub struct Told<T> {
    recorder: Arc<Recorder>,
    history: Mutex<Vec<(usize, MaterialId, T)>>,
}

impl<T> Told<T> {
    pub fn new(recorder: &Arc<Recorder>) -> Arc<Self> {
        Arc::new(Self { recorder: Arc::clone(recorder), history: Mutex::default() })
    }

    /// It has been told just now.
    pub fn say(&self, id: &MaterialId, what: T) {
        let mut history = self.history.lock().unwrap();
        history.push((self.recorder.len(), id.clone(), what));
    }

    /// Whether anything was told of it.
    pub fn knows(&self, id: &MaterialId) -> bool {
        self.history.lock().unwrap().iter().any(|(_, known, _)| known == id)
    }

    pub fn count(&self) -> usize {
        self.history.lock().unwrap().len()
    }
}
