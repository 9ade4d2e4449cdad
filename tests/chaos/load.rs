//! What goes on in a cluster: uploads, reads, deletes; and a ledger of what was acknowledged.

use crate::{
    books,
    harness::{Bytes, Cluster, noise, token},
    parts::Sender,
};
use microtome_client::Cluster as Client;
use microtome_proto::{Code, MaterialId, material::CreateMaterial};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

const UPLOADERS: u64 = 3;
const READERS: u64 = 4;
pub const LEN_MAX: usize = 3 << 20;
/// Who asks waits no longer than this before it asks for something else.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// A file that was uploaded, made anew from its seed.
#[derive(Debug, Clone)]
pub struct File {
    pub seed: u64,
    pub len: usize,
    /// Somebody asked for its deletion, whatever was answered.
    pub deleting: bool,
    /// The deletion was acknowledged.
    pub deleted: bool,
}

impl File {
    pub fn bytes(&self) -> Vec<u8> {
        noise(self.len, self.seed)
    }
}

/// What was acknowledged and what was seen.
#[derive(Debug, Default)]
pub struct Ledger {
    pub files: Mutex<BTreeMap<MaterialId, File>>,
    pub failed_uploads: AtomicU64,
    pub reads: AtomicU64,
    pub refused_reads: AtomicU64,
    pub wrong: Mutex<Vec<String>>,
    pub lost: Mutex<Vec<String>>,
    /// The ids of all materials that were made.
    made: Mutex<BTreeSet<MaterialId>>,
    /// Parts that were made, of files that were put together or not.
    pub parts: Mutex<BTreeSet<MaterialId>>,
    /// What must never be, and was.
    pub broken: Mutex<BTreeSet<String>>,
}

impl Ledger {
    pub fn made(&self, id: &MaterialId) {
        if !self.made.lock().unwrap().insert(id.clone()) {
            self.broken.lock().unwrap().insert(format!("{id} was given to two materials"));
        }
    }

    fn pick(&self, chance: &mut StdRng) -> Option<(MaterialId, File)> {
        let files = self.files.lock().unwrap();
        let nth = chance.random_range(0..files.len().max(1));
        files.iter().nth(nth).map(|(id, file)| (id.clone(), file.clone()))
    }

    pub fn acknowledged(&self) -> usize {
        self.files.lock().unwrap().len()
    }
}

/// The clients at work.
pub struct Load {
    pub ledger: Arc<Ledger>,
    pub client: Client,
    tasks: JoinSet<()>,
}

impl Load {
    pub fn start(cluster: &Cluster, secret: &str, seed: u64) -> Self {
        let ledger = Arc::new(Ledger::default());
        let mut tasks = JoinSet::new();
        let coordinators: Vec<_> = cluster.coordinators.iter().map(|server| server.url.clone()).collect();
        let all: Vec<_> = cluster.nodes.iter().map(|server| server.url.clone()).chain(coordinators.clone()).collect();
        for nth in 0..UPLOADERS {
            let client = Client::new(coordinators.clone(), Some(token(secret)));
            tasks.spawn(upload(client, Arc::clone(&ledger), seed * 1000 + nth));
        }
        tasks.spawn(Sender::new(cluster, secret, Arc::clone(&ledger)).go_on(seed * 1000 + 50));
        for nth in 0..READERS {
            let client = Client::new(all.clone(), Some(token(secret))).with_deadline(PATIENCE);
            tasks.spawn(read(client, Arc::clone(&ledger), seed * 1000 + 100 + nth));
        }
        let client = books::client(cluster, secret);
        tasks.spawn(books::watch(client.clone(), Arc::clone(&ledger)));
        tasks.spawn(delete(client.clone(), Arc::clone(&ledger), seed * 1000 + 200));
        Self { ledger, client, tasks }
    }

    /// Everybody goes home.
    pub async fn stop(mut self) -> Arc<Ledger> {
        self.tasks.shutdown().await;
        self.ledger
    }
}

async fn upload(client: Client, ledger: Arc<Ledger>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    for nth in 0.. {
        let file = File {
            seed: seed * 100_000 + nth,
            len: chance.random_range(1..LEN_MAX) >> chance.random_range(0..8),
            deleting: false,
            deleted: false,
        };
        let wanted = CreateMaterial {
            name: format!("{}.bin", file.seed),
            size: file.len as u64,
            media_type: None,
            blake3: None,
            population: Some(2),
            ..CreateMaterial::default()
        };
        let sent = async {
            let material = client.with_deadline(PATIENCE).create_material(&wanted).await?;
            ledger.made(&material.id);
            client.upload(&material, Arc::new(Bytes(file.bytes())), &|_| ()).await.map(|()| material.id)
        };
        match sent.await {
            Ok(id) => drop(ledger.files.lock().unwrap().insert(id, file)),
            Err(_) => drop(ledger.failed_uploads.fetch_add(1, Ordering::Relaxed)),
        }
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..300))).await;
    }
}

async fn read(client: Client, ledger: Arc<Ledger>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..20))).await;
        let Some((id, file)) = ledger.pick(&mut chance) else { continue };
        let start = chance.random_range(0..file.len);
        let end = (start + 1 + chance.random_range(0..400_000)).min(file.len);
        ledger.reads.fetch_add(1, Ordering::Relaxed);
        let got = async {
            let mut stream = client.file(&id, Some(start as u64..end as u64)).await?;
            let mut got = Vec::new();
            while let Some(piece) = stream.chunk().await? {
                got.extend_from_slice(&piece);
            }
            Ok::<_, microtome_client::ClientError>(got)
        };
        match got.await {
            Ok(got) if got == file.bytes()[start..end] => {}
            Ok(got) => {
                let what = format!("{id}, bytes {start} to {end}: {} bytes that are not these", got.len());
                ledger.wrong.lock().unwrap().push(what);
            }
            // What nobody asked to delete is not unknown.
            Err(error) if error.code() == Some(Code::NotFound) => {
                let files = ledger.files.lock().unwrap();
                if files.get(&id).is_some_and(|file| !file.deleting) {
                    ledger.lost.lock().unwrap().push(format!("{id}: {error}"));
                }
            }
            Err(_) => drop(ledger.refused_reads.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

async fn delete(client: Client, ledger: Arc<Ledger>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    loop {
        tokio::time::sleep(Duration::from_millis(chance.random_range(500..2500))).await;
        let Some((id, _)) = ledger.pick(&mut chance) else { continue };
        let mark = |mark: fn(&mut File)| {
            if let Some(file) = ledger.files.lock().unwrap().get_mut(&id) {
                mark(file);
            }
        };
        mark(|file| file.deleting = true);
        if client.delete_material(&id).await.is_ok() {
            mark(|file| file.deleted = true);
        }
    }
}
