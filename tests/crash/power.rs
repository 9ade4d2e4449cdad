//! The power fails, again and again.

use crate::{
    disk::Disk,
    harness::{Cluster, Place, Server, eventually, loopback, noise},
};
use microtome_proto::{
    MaterialId,
    material::{CreateMaterial, Material, MaterialState, PatchMaterial},
    page::PageQuery,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Crashes in a story; `MICROTOME_CRASHES` asks for more.
fn crashes() -> usize {
    std::env::var("MICROTOME_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// What is known of something at each crash: whatever was acknowledged before.
type Told<T> = Arc<Mutex<BTreeMap<MaterialId, T>>>;

/// Keeps the disk's state at moments of chance while `server` works, each with what had been told by then and nobody was
/// about to change.
async fn crash<T: Copy + PartialEq>(
    disk: &Disk,
    server: &Server,
    told: &Told<T>,
    dir: &tempfile::TempDir,
) -> Vec<(PathBuf, BTreeMap<MaterialId, T>)> {
    let mut chance = StdRng::seed_from_u64(1);
    let mut kept = Vec::new();
    for nth in 0..crashes() {
        tokio::time::sleep(Duration::from_millis(chance.random_range(100..1200))).await;
        let mut known = told.lock().unwrap().clone();
        server.signal("STOP");
        known.retain(|id, before| told.lock().unwrap().get(id) == Some(before));
        let snapshot = dir.path().join(format!("{nth}"));
        disk.snapshot(&snapshot);
        server.signal("CONT");
        kept.push((snapshot, known));
    }
    kept
}

/// Bytes of an upload that its sender was told of, of how many, from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    seed: u64,
    len: usize,
    offset: usize,
}

/// Sends one file after the other, each in pieces.
async fn send(http: reqwest::Client, client: microtome_client::Cluster, told: Told<Sent>) {
    let mut chance = StdRng::seed_from_u64(2);
    for seed in 0.. {
        let len = chance.random_range(1..4_000_000) >> chance.random_range(0..9);
        let bytes = noise(len, seed);
        let wanted = CreateMaterial {
            name: format!("{seed}.bin"),
            size: len as u64,
            media_type: None,
            blake3: None,
            population: Some(1),
            origin: None,
        };
        let material = client.create_material(&wanted).await.unwrap();
        let (id, url) = (material.id, material.upload_url.unwrap());
        let mut offset = 0;
        while offset < len {
            let end = (offset + 1 + chance.random_range(0..len)).min(len);
            let answer = http
                .patch(&url)
                .header("Tus-Resumable", "1.0.0")
                .header("Upload-Offset", offset)
                .header("Content-Type", "application/offset+octet-stream")
                .body(bytes[offset..end].to_vec())
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 204);
            offset = end;
            told.lock().unwrap().insert(id.clone(), Sent { seed, len, offset });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_what_it_acknowledged_when_the_power_fails() {
    let Some(disk) = Disk::new() else { return };
    let mut places = loopback(2);
    places[1].data_dir = Some(disk.data_dir());
    let (coordinators, nodes) = places.split_at(1);
    let mut cluster = Cluster::start_at(coordinators, nodes, None).await;
    let told: Told<Sent> = Told::default();
    let sending = tokio::spawn(send(cluster.http.clone(), cluster.client.clone(), Arc::clone(&told)));
    let kept = crash(&disk, &cluster.nodes[0], &told, &cluster.dir).await;
    sending.abort();
    // It serves what it holds, whether or not a coordinator answers.
    cluster.coordinators[0].kill();
    let (mut whole, mut begun) = (0, 0);
    for (snapshot, known) in kept {
        cluster.nodes[0].kill();
        let disk = Disk::after_crash(&snapshot);
        cluster.nodes[0].moved_to(disk.data_dir());
        cluster.nodes[0].start();
        let base = cluster.nodes[0].url.clone();
        eventually("it answers", || async { cluster.http.get(format!("{base}/healthz")).send().await.ok() }).await;
        for (id, sent) in known {
            let bytes = noise(sent.len, sent.seed);
            let upload = format!("{base}/v1/uploads/{id}");
            if sent.offset == sent.len {
                whole += 1;
            } else {
                begun += 1;
                let head = cluster.http.head(&upload).header("Tus-Resumable", "1.0.0").send().await.unwrap();
                assert_eq!(head.status(), 200, "{id} {sent:?}");
                let offset: usize = head.headers()["upload-offset"].to_str().unwrap().parse().unwrap();
                assert!((sent.offset..=sent.len).contains(&offset), "{id} {sent:?}: {offset}");
                // What lies before the offset is right: the whole has its hash.
                if offset < sent.len {
                    let answer = cluster.patch(&upload, offset as u64, bytes[offset..].to_vec()).await;
                    assert_eq!(answer.status(), 204, "{id} {sent:?}");
                }
            }
            assert!(cluster.get(&format!("{base}/v1/materials/{id}/file")).await == bytes, "{id} {sent:?}");
        }
        cluster.nodes[0].kill();
    }
    eprintln!("{} crashes: {whole} acknowledged files and {begun} begun ones are there", crashes());
    assert!(whole > 0);
}

/// The last thing that a client was told of a material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Population(u32),
    Deleted,
    /// Asked for, and not answered yet.
    Open,
}

async fn change(client: microtome_client::Cluster, told: Told<Last>, seed: u64) {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut own = Vec::new();
    for nth in 0.. {
        let say = |id: &MaterialId, last: Last| told.lock().unwrap().insert(id.clone(), last);
        match chance.random_range(0..4) {
            0 | 1 => {
                let wanted = CreateMaterial {
                    name: format!("{seed}-{nth}"),
                    size: 0,
                    media_type: None,
                    blake3: None,
                    population: Some(1),
                    origin: None,
                };
                let material: Material = client.create_material(&wanted).await.unwrap();
                say(&material.id, Last::Population(1));
                own.push(material.id);
            }
            2 if !own.is_empty() => {
                let id: &MaterialId = &own[chance.random_range(0..own.len())];
                let population = chance.random_range(1..9);
                say(id, Last::Open);
                let patch = PatchMaterial { population: Some(population), ..PatchMaterial::default() };
                client.patch_material(id, &patch).await.unwrap();
                say(id, Last::Population(population));
            }
            3 if own.len() > 5 => {
                let id = own.swap_remove(chance.random_range(0..own.len()));
                say(&id, Last::Open);
                client.delete_material(&id).await.unwrap();
                say(&id, Last::Deleted);
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_keeps_what_it_acknowledged_when_the_power_fails() {
    let Some(disk) = Disk::new() else { return };
    let mut places: Vec<Place> = loopback(2);
    places[0].data_dir = Some(disk.data_dir());
    let (coordinators, nodes) = places.split_at(1);
    let mut cluster = Cluster::start_at(coordinators, nodes, None).await;
    let told: Told<Last> = Told::default();
    let changing: Vec<_> =
        (0..4).map(|seed| tokio::spawn(change(cluster.client.clone(), Arc::clone(&told), seed))).collect();
    let kept = crash(&disk, &cluster.coordinators[0], &told, &cluster.dir).await;
    changing.iter().for_each(tokio::task::JoinHandle::abort);
    let mut checked = 0;
    for (snapshot, known) in kept {
        cluster.coordinators[0].kill();
        let disk = Disk::after_crash(&snapshot);
        cluster.coordinators[0].moved_to(disk.data_dir());
        cluster.coordinators[0].start();
        let mut found = BTreeMap::new();
        let mut query = PageQuery { limit: Some(1000), cursor: None };
        loop {
            let page = cluster.client.materials(&query).await.unwrap();
            found.extend(page.items.into_iter().map(|material| (material.id.clone(), material)));
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        for (id, last) in known {
            let material = found.get(&id).filter(|material| material.state != MaterialState::Deleting);
            match last {
                Last::Population(population) => {
                    assert_eq!(material.map(|material| material.population), Some(population), "{id}");
                }
                Last::Deleted => assert!(material.is_none(), "{id}: {material:?}"),
                Last::Open => {}
            }
            checked += 1;
        }
        cluster.coordinators[0].kill();
    }
    eprintln!("{} crashes: {checked} acknowledged changes are there", crashes());
    assert!(checked > 0);
}
