//! After the last fault: what was acknowledged is there and right, what was deleted is not, and all is as it should be.

use crate::{
    faults::Faults,
    harness::{Cluster, eventually, token},
    load::Ledger,
};
use microtome_client::Cluster as Client;
use microtome_proto::{
    Code, MaterialId,
    material::{Material, MaterialState},
    page::PageQuery,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::atomic::Ordering,
    time::Instant,
};

pub async fn judge(cluster: &Cluster, secret: &str, seed: u64, ledger: &Ledger, faults: &Faults<'_>) {
    let start = Instant::now();
    let files = ledger.files.lock().unwrap().clone();
    let mut materials = BTreeMap::new();
    for (id, file) in &files {
        match eventually(&format!("{id} settled"), || settled(cluster, id)).await {
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
    eventually("no node has what it should not have", || async { orphans(cluster).await.is_empty().then_some(()) })
        .await;
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

/// A material as it should be, or that there is none; nothing while neither is so.
async fn settled(cluster: &Cluster, id: &MaterialId) -> Option<Option<Material>> {
    match cluster.client.material(id).await {
        Ok(material) => {
            let is_whole = material.state == MaterialState::Ready
                && material.replicas.len() == material.population as usize
                && material.population_live == material.population;
            is_whole.then_some(Some(material))
        }
        Err(error) if error.code() == Some(Code::NotFound) => Some(None),
        Err(_) => None,
    }
}

/// Copies on disks that the cluster does not count there.
async fn orphans(cluster: &Cluster) -> BTreeSet<String> {
    let mut counted = BTreeSet::new();
    let mut query = PageQuery::default();
    loop {
        let page = cluster.client.materials(&query).await.unwrap();
        for material in page.items {
            let urls = material.replicas.iter().map(|replica| replica.url.clone());
            counted.extend(urls.map(|url| format!("{url} {}", material.id)));
        }
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let mut found = BTreeSet::new();
    for node in &cluster.nodes {
        for entry in fs::read_dir(node.data_dir.join("materials")).unwrap() {
            found.insert(format!("{} {}", node.url, entry.unwrap().file_name().to_string_lossy()));
        }
    }
    found.difference(&counted).cloned().collect()
}
