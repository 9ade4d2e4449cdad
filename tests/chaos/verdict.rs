//! After the last fault: what was acknowledged is there and right, what was deleted is not, and all is as it should be.

use crate::{
    books,
    faults::Faults,
    harness::{Cluster, PATIENCE, token},
    load::Ledger,
    parts,
};
use microtome_client::Cluster as Client;
use microtome_proto::{
    Code, MaterialId,
    material::{Material, MaterialState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

pub async fn judge(cluster: &Cluster, secret: &str, seed: u64, ledger: &Ledger, faults: &Faults<'_>) {
    let start = Instant::now();
    let client = books::client(cluster, secret);
    let broken = ledger.broken.lock().unwrap().clone();
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}; {faults}");
    let files = ledger.files.lock().unwrap().clone();
    let mut materials = BTreeMap::new();
    for (id, file) in &files {
        let settled = loop {
            let reason = match settled(&client, id).await {
                Ok(settled) => break settled,
                Err(reason) => reason,
            };
            assert!(start.elapsed() < PATIENCE, "seed {seed}: {id} is not whole again: {reason}; {faults}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        match settled {
            Some(material) => drop(materials.insert(id.clone(), material)),
            None if file.deleting => {}
            None => ledger.lost.lock().unwrap().push(format!("{id}: not found")),
        }
    }
    let healed = start.elapsed();
    for (id, material) in &materials {
        let file = &files[id];
        assert!(!file.deleted, "{id} was deleted, and is there: {material:?}");
        for replica in &material.replicas {
            let holder = Client::new(vec![replica.url.clone()], Some(token(secret)));
            let mut bytes = Vec::new();
            let mut stream = holder.file(id, None).await.unwrap();
            while let Some(piece) = stream.chunk().await.unwrap() {
                bytes.extend_from_slice(&piece);
            }
            if bytes != file.bytes() {
                ledger.wrong.lock().unwrap().push(format!("{id} on {}", replica.node));
            }
        }
    }
    parts::tidy(&client, ledger, start + 2 * PATIENCE).await;
    loop {
        let orphans = orphans(cluster).await;
        if orphans.is_empty() {
            break;
        }
        assert!(start.elapsed() < 2 * PATIENCE, "seed {seed}: on disks, and in no books: {orphans:?}; {faults}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (wrong, lost) = (ledger.wrong.lock().unwrap().clone(), ledger.lost.lock().unwrap().clone());
    eprintln!(
        "seed {seed}: acknowledged uploads {}, lost {}; wrong bytes served {}; reads {}, refused {}; uploads refused {}; \
         {faults}; whole again after {:.1} s",
        ledger.acknowledged(),
        lost.len(),
        wrong.len(),
        ledger.reads.load(Ordering::Relaxed),
        ledger.refused_reads.load(Ordering::Relaxed),
        ledger.failed_uploads.load(Ordering::Relaxed),
        healed.as_secs_f64(),
    );
    assert!(wrong.is_empty() && lost.is_empty(), "seed {seed}: wrong {wrong:?}, lost {lost:?}");
    assert!(ledger.acknowledged() > 0, "seed {seed}: nothing was acknowledged");
}

/// A material as it should be, or that there is none; why not yet, where neither is so.
async fn settled(client: &Client, id: &MaterialId) -> Result<Option<Material>, String> {
    match client.material(id).await {
        Ok(material) => {
            let is_whole = material.state == MaterialState::Ready
                && material.replicas.len() == material.population as usize
                && material.population_live == material.population;
            if is_whole { Ok(Some(material)) } else { Err(format!("{material:?}")) }
        }
        Err(error) if error.code() == Some(Code::NotFound) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Copies on disks that the cluster does not count there.
async fn orphans(cluster: &Cluster) -> BTreeSet<String> {
    let mut counted = BTreeSet::new();
    for material in books::materials(&cluster.client).await.unwrap() {
        let urls = material.replicas.iter().map(|replica| replica.url.clone());
        counted.extend(urls.map(|url| format!("{url} {}", material.id)));
    }
    let mut found = BTreeSet::new();
    for node in &cluster.nodes {
        for entry in fs::read_dir(node.data_dir.join("materials")).unwrap() {
            found.insert(format!("{} {}", node.url, entry.unwrap().file_name().to_string_lossy()));
        }
    }
    found.difference(&counted).cloned().collect()
}
